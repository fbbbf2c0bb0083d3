//! `summary.md`: the tables of a run for whoever reads it in a repository, drawn from `results.json` alone.

use super::group::{Setting, find, unique};
use super::{labels, table::reasons};
use crate::bench::environment;
use crate::bench::report::{Unit, Verdict};
use crate::bench::results::{Environment, Record, Results, Section};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// The file in the folder of a run.
pub(super) const SUMMARY: &str = "summary.md";

/// More settings than these, and each unit has a table of its own, with a column for each setting.
const FEW: usize = 2;

const LEGEND: &str = "\
**+** is better than the reference and **-** worse, by more than this run's 95 % interval; without a sign it shows no difference. \
*client-bound*: the load was busier than the server, which can do more. *unsaturated*: neither was busy, and the rate is that of the way there and back. In both, the \
CPU time counts.";

pub(super) fn draw(results: &Results, environment: &Environment) -> String {
    let known = |name: &str| environment.get(name).map_or("unknown", String::as_str);
    let mut text = format!("# {}\n\n`{}`\n\n", results.run, results.command);
    if let Some(machine) = environment::machine(environment) {
        text += &format!("On {machine}; commit {}. ", known("commit"));
    }
    text +=
        "One core for the server, one for the load, over loopback: only ratios travel to another machine. ";
    text += LEGEND;
    text.push('\n');
    for section in &results.sections {
        text += &draw_section(section);
    }
    text
}

fn draw_section(section: &Section) -> String {
    let mut text = format!("\n## {}\n\n{}\n", labels::figure(&section.figure), section.about);
    let settings = Setting::all(section);
    let mut units = unique(section.records.iter().map(|record| record.unit));
    units.sort_unstable();
    let columns = |unit: Unit| settings.iter().map(move |&setting| Column { unit, setting });
    if settings.len() > FEW {
        for &unit in &units {
            text += &format!("\n### {}\n\n", labels::head(unit, &units));
            let name = |column: &Column<'_>| column.setting.distinction(&settings);
            text += &table(section, &columns(unit).collect::<Vec<_>>(), &name);
        }
    } else {
        let name = |column: &Column<'_>| {
            let unit = labels::head(column.unit, &units);
            match column.setting.distinction(&settings).as_str() {
                "" => unit,
                setting => format!("{unit}, {setting}"),
            }
        };
        let columns: Vec<Column<'_>> = units.iter().copied().flat_map(columns).collect();
        text += &format!("\n{}", table(section, &columns, &name));
    }
    for (reason, targets) in reasons(section) {
        text += &format!("\n- not measured: {targets}: {reason}");
    }
    for note in &section.notes {
        text += &format!("\n- {note}");
    }
    if section.interrupted {
        text += "\n- This was interrupted: it's what had been measured by then.";
    }
    text.trim_end().to_owned() + "\n"
}

/// What's told of each target.
struct Column<'a> {
    unit: Unit,
    setting: Setting<'a>,
}

fn table(section: &Section, columns: &[Column<'_>], name: &dyn Fn(&Column<'_>) -> String) -> String {
    let targets = unique(
        section
            .records
            .iter()
            .map(|record| (record.target.as_str(), record.reference.as_str())),
    );
    let has_ratio = columns.iter().any(|column| column.unit.is_ratio());
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["target".to_owned()];
    header.extend(has_ratio.then(|| "reference".to_owned()));
    let left = header.len();
    header.extend(columns.iter().map(name));
    table.set_header(header);
    for (target, reference) in targets {
        let mut cells = vec![target.to_owned()];
        cells.extend(has_ratio.then(|| reference.to_owned()));
        let record = |column: &Column<'_>| find(section, column.unit, column.setting, target);
        cells.extend(
            columns
                .iter()
                .map(|column| record(column).map_or_else(String::new, cell)),
        );
        table.add_row(cells);
    }
    for index in left..left + columns.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

fn cell(record: &Record) -> String {
    let Some(value) = record.value else {
        return "not measured".to_owned();
    };
    let mut text = labels::number(value, record.unit);
    if let Some(interval) =
        labels::interval(record).filter(|_| record.unit.is_ratio() && !record.is_reference())
    {
        text += &format!(" ({interval})");
    }
    if let Some(span) = labels::span(record) {
        text += &format!(" ({span})");
    }
    if let Some(mark) = record.shown_mark() {
        text += &format!(" *{}*", mark.label());
    }
    match record.verdict() {
        Some(Verdict::Better) => text += " **+**",
        Some(Verdict::Worse) => text += " **-**",
        Some(Verdict::Alike) | None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{allocators::unify, read};
    use super::{SUMMARY, draw};
    use crate::bench::report::{Interval, Mark, Unit};
    use crate::bench::results::{Environment, Record, Results, Section, read_environment};
    use std::path::Path;

    fn record(target: &str, connections: usize, unit: Unit, value: Option<f64>) -> Record {
        Record {
            figure: "throughput".to_owned(),
            target: target.to_owned(),
            is_peer: target == "hyper",
            reference: "hyper".to_owned(),
            transport: "tcp".to_owned(),
            workload: "plaintext".to_owned(),
            allocator: "mimalloc".to_owned(),
            connections,
            unit,
            value,
            interval: value.map(|value| Interval {
                low: value - 0.01,
                high: value + 0.01,
            }),
            span: None,
            sigma: None,
            rounds: Vec::new(),
            r_squared: None,
            points: Vec::new(),
            mark: None,
            reason: None,
        }
    }

    fn results(records: Vec<Record>) -> Results {
        let mut results = Results::new("a run".to_owned(), "cargo xtask bench".to_owned());
        results.sections.push(Section {
            figure: "throughput".to_owned(),
            about: "What it is.".to_owned(),
            notes: vec!["A note.".to_owned()],
            interrupted: false,
            records,
        });
        results
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        let mut lines = text.lines();
        lines.find(|line| line.starts_with(start)).unwrap_or_default()
    }

    #[test]
    fn few_settings_share_a_table_that_says_who_is_better() {
        let ratio = |target, value| record(target, 64, Unit::Ratio, Some(value));
        let mut missing = record("monoio", 64, Unit::Ratio, None);
        missing.reason = Some("this kernel has no io_uring".to_owned());
        let mut bound = record("tcp", 64, Unit::RateRatio, Some(1.2));
        bound.mark = Some(Mark::ClientBound);
        let records = vec![
            bound,
            ratio("tcp", 0.98),
            ratio("axum", 1.05),
            ratio("hyper", 1.0),
            missing,
        ];
        let text = draw(&results(records), &Environment::new());
        assert!(
            line(&text, "| tcp ")
                .contains("| 1.200 (1.190–1.210) *client-bound* | 0.980 (0.970–0.990) **+** |"),
            "{text}"
        );
        assert!(
            line(&text, "| axum ").contains("1.050 (1.040–1.060) **-** |"),
            "{text}"
        );
        assert!(line(&text, "| hyper ").ends_with(" 1.000 |"), "{text}");
        assert!(line(&text, "| monoio ").contains("not measured"), "{text}");
        assert!(
            text.contains("- not measured: monoio: this kernel has no io_uring\n- A note.\n"),
            "{text}"
        );
    }

    #[test]
    fn many_settings_are_columns_of_a_table_for_each_unit() {
        let of = |connections| {
            [Unit::Microseconds, Unit::Ratio].map(|unit| record("tcp", connections, unit, Some(1.0)))
        };
        let records = [1, 64, 256].into_iter().flat_map(of).collect();
        let text = draw(&results(records), &Environment::new());
        assert!(
            text.contains("\n### CPU µs/request\n\n| target | 1 connection | 64 connections |"),
            "{text}"
        );
        assert!(
            text.contains("\n### CPU time × reference\n\n| target | reference | "),
            "{text}"
        );
    }

    #[test]
    fn who_has_another_allocator_than_the_rest_stands_among_them() {
        let of = |target, allocator: &str| Record {
            allocator: allocator.to_owned(),
            ..record(target, 8_000, Unit::Kibibytes, Some(0.5))
        };
        let mut run = results(vec![
            of("tcp", "mimalloc"),
            of("axum", "mimalloc"),
            of("nginx", "system"),
        ]);
        unify(&mut run);
        let text = draw(&run, &Environment::new());
        assert!(text.contains("| target |            KiB/connection |"), "{text}");
        assert!(
            line(&text, "| tcp ").ends_with("|                      0.50 |"),
            "{text}"
        );
        assert!(
            line(&text, "| nginx ").contains("| 0.50 *system's allocator* |"),
            "{text}"
        );
        assert!(
            text.contains("- system's allocator: nginx can't be had with mimalloc"),
            "{text}"
        );
        // Where there's a choice, each is a column.
        let mut run = results(vec![
            of("tcp", "mimalloc"),
            of("tcp", "system"),
            of("nginx", "system"),
        ]);
        unify(&mut run);
        let text = draw(&run, &Environment::new());
        assert!(text.contains("KiB/connection, allocator system |"), "{text}");
    }

    #[test]
    fn what_is_committed_is_what_its_results_give() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
        let mut count = 0;
        for run in std::fs::read_dir(&folder).unwrap() {
            let run = run.unwrap().path();
            if !run.is_dir() {
                continue;
            }
            let drawn = draw(&read(&run).unwrap(), &read_environment(&run).unwrap());
            let committed = std::fs::read_to_string(run.join(SUMMARY)).unwrap();
            assert!(
                drawn == committed,
                "{} isn't what its results.json gives; draw it anew by: cargo xtask bench report {}",
                run.join(SUMMARY).display(),
                run.display()
            );
            count += 1;
        }
        assert!(count > 0, "no run in {}", folder.display());
    }
}
