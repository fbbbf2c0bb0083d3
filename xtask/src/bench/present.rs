//! The tables of a run for the terminal and `summary.md`, and its page.

mod chart;
mod document;
mod page;

use super::row::{Figure, Row, Run, Unit, write as write_file};
use super::{environment, target, workload};
use comfy_table::{CellAlignment, Table, presets};
pub(super) use document::update as update_documents;
use std::cmp::Ordering;
use std::path::Path;

/// How to read the tables.
const LEGEND: &str = "Ratios are the server's CPU time beside its reference's in the same round, \
    with the 95 % interval of their median: **+** is better, **-** is worse, and without a sign \
    this run shows no difference. `~` counts rounds that other programs disturbed.";
const INTERRUPTED: &str = "This run was interrupted: these are its results so far.";

/// Draws `summary.md` and `report.html` beside the results.
pub(super) fn write(run: &Run, folder: &Path) -> anyhow::Result<()> {
    write_file(&folder.join("summary.md"), &summary(run))?;
    write_file(&folder.join("report.html"), &page::draw(run).into_string())
}

fn summary(run: &Run) -> String {
    format!("{}\n{}", head(run), tables(run))
}

/// What was measured, when and where.
fn head(run: &Run) -> String {
    let mut text = format!("# {}\n\n`{}`\n\n", run.name, run.command);
    let known = |name: &str| run.environment.get(name).map(String::as_str);
    for (head, value) in [
        ("Machine", environment::machine(&run.environment)),
        ("Time", known("time").map(str::to_owned)),
        ("Commit", known("commit").map(str::to_owned)),
    ] {
        if let Some(value) = value {
            text += &format!("{head}: {value}  \n");
        }
    }
    text
}

/// One table for each workload, as Markdown that a terminal can show.
pub(super) fn tables(run: &Run) -> String {
    let mut text = notes(run);
    for (workload, rows) in run.workloads() {
        text += &format!("\n## {workload}\n\n{}\n", about(&rows));
        if rows.iter().any(|row| !row.figures.is_empty()) {
            text += &format!("\n{}\n", table(&rows));
        }
        text += &reasons(&rows);
    }
    text
}

/// The text above the tables.
fn notes(run: &Run) -> String {
    let interrupted = run.interrupted.then_some(INTERRUPTED).into_iter();
    let notes = run.notes.iter().map(String::as_str);
    let notes = [LEGEND].into_iter().chain(interrupted).chain(notes);
    notes.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// The description of the workload.
fn about(rows: &[&Row]) -> String {
    let Some(row) = rows.first() else {
        return String::new();
    };
    let connections = match row.connections {
        1 => "one connection".to_owned(),
        connections => format!("{connections} connections"),
    };
    match workload::named(&row.workload) {
        Some(scenario) => format!(
            "{}; {connections}, figures per {}.",
            scenario.about, scenario.each
        ),
        None => format!("{connections}."),
    }
}

/// The columns that these rows have.
fn units(rows: &[&Row]) -> Vec<Unit> {
    let has = |unit: &Unit| rows.iter().any(|row| row.figures.contains_key(unit));
    Unit::ALL.iter().copied().filter(has).collect()
}

fn table(rows: &[&Row]) -> Table {
    let units = units(rows);
    let labels = units.iter().map(|unit| unit.label());
    let mut table = markdown(
        ["target"]
            .into_iter()
            .chain(labels)
            .chain(["rounds", "reference"]),
    );
    for row in rows.iter().filter(|row| !row.figures.is_empty()) {
        let mut cells = vec![row.target.clone()];
        cells.extend(units.iter().map(|unit| cell(row, *unit)));
        let rounds = match row.disturbed {
            0 => row.rounds.to_string(),
            disturbed => format!("{}, ~{disturbed}", row.rounds),
        };
        cells.extend([rounds, row.reference.clone()]);
        table.add_row(cells);
    }
    table
}

/// A table whose columns are right-aligned, except the first.
fn markdown<'a>(header: impl Iterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A figure in all tables.
fn cell(row: &Row, unit: Unit) -> String {
    let Some(&figure) = row.figures.get(&unit) else {
        return String::new();
    };
    let mut text = unit.format(figure.value);
    if unit == Unit::Ratio && !row.is_reference() {
        text += &ends(figure, unit);
        text += match row.verdict() {
            Some(Ordering::Less) => " **+**",
            Some(Ordering::Greater) => " **-**",
            _ => "",
        };
    }
    match &row.mark {
        Some(mark) if unit == Unit::Rate => format!("{text} *{mark}*"),
        _ => text,
    }
}

/// The figures of a row in one line.
pub(super) fn line(row: &Row) -> String {
    let figures = units(&[row])
        .into_iter()
        .map(|unit| format!("{} {}", cell(row, unit), unit.label()));
    let figures = figures.collect::<Vec<_>>().join(", ");
    let text = row.reason.as_ref().unwrap_or(&figures);
    format!("{}: {}: {text}", row.workload, row.target)
}

fn ends(figure: Figure, unit: Unit) -> String {
    let ends = figure
        .ends()
        .map(|(low, high)| (unit.format(low), unit.format(high)));
    ends.map_or(String::new(), |(low, high)| format!(" ({low}–{high})"))
}

/// Each reason once, with its targets.
fn reasons(rows: &[&Row]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(reason) = &row.reason else { continue };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, targets)) => targets.push(&row.target),
            None => reasons.push((reason, vec![&row.target])),
        }
    }
    let lines = reasons
        .iter()
        .map(|(reason, targets)| format!("\nnot measured: {}: {reason}\n", targets.join(", ")));
    lines.collect()
}

/// Targets, workloads and figures.
pub(super) fn list() -> String {
    let mut text = "Targets, and the references that their ratios are to:\n".to_owned();
    for target in target::all() {
        text += &format!(
            "  {:20} {:5} {}\n",
            target.name,
            format!("{:?}", target.transport).to_lowercase(),
            target.reference
        );
    }
    text += "\nWorkloads:\n";
    for scenario in workload::ALL {
        text += &format!(
            "  {:20} {:5} {}\n",
            scenario.name, scenario.connections, scenario.about
        );
    }
    text += "\nFigures (docs/bench.md explains them):\n";
    for unit in Unit::ALL {
        text += &format!("  {:20} {}\n", unit.name(), unit.label());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::run;
    use super::{list, tables};

    #[test]
    fn tables_have_all_targets() {
        let text = tables(&run());
        for expected in [
            "## plaintext",
            "1.140 (1.130–1.150) **-**",
            "1.000 (0.990–1.010) ",
            "| axum ",
            "64 connections, figures per request",
        ] {
            assert!(text.contains(expected), "{expected} is not in: {text}");
        }
    }

    #[test]
    fn tables_have_disturbed_rounds_and_reasons() {
        let mut run = run();
        run.rows[0].disturbed = 3;
        run.rows[2].figures.clear();
        run.rows[2].reason = Some("it does not build".to_owned());
        let text = tables(&run);
        assert!(text.contains("7, ~3"), "{text}");
        let reason = "not measured: axum: it does not build";
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("| axum "), "{text}");
    }

    #[test]
    fn list_has_targets_workloads_and_figures() {
        let list = list();
        for name in [
            "monoio-unix",
            "hyper-rustls",
            "discard-16m",
            "mixed",
            "peak MiB",
        ] {
            assert!(list.contains(name), "{name}");
        }
    }
}
