//! Tables in documents: the bench writes between two markers only.
//!
//! A marker says which rows and columns:
//! `<!-- bench: tcp "Tcp::bind(..)", axum | plaintext.ratio "CPU", idle.kept -->`, and
//! `<!-- /bench -->` ends the table. A name without a title stands for itself.

use super::super::row::{Run, Unit, write};
use super::{cell, markdown};
use anyhow::Context as _;
use comfy_table::Table;
use std::fs;
use std::path::Path;

/// The documents that have tables.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/choosing.md"];
const START: &str = "<!-- bench:";
const END: &str = "<!-- /bench -->";

/// Writes the tables of all documents.
pub(in crate::bench) fn update(run: &Run, root: &Path) -> anyhow::Result<()> {
    for name in DOCUMENTS {
        let path = root.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let updated = updated(&text, run).with_context(|| format!("in {name}"))?;
        if updated != text {
            write(&path, &updated)?;
        }
    }
    Ok(())
}

fn updated(text: &str, run: &Run) -> anyhow::Result<String> {
    let mut updated = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, marked) = rest.split_at(at);
        let (marker, after) = marked.split_once("-->").context("a marker without `-->`")?;
        let (_, after) = after
            .split_once(END)
            .with_context(|| format!("a table without `{END}`"))?;
        let table = table(marker.trim_start_matches(START), run)?;
        updated += &format!("{before}{marker}-->\n{table}\n{END}");
        rest = after;
    }
    Ok(updated + rest)
}

fn table(marker: &str, run: &Run) -> anyhow::Result<Table> {
    let (targets, columns) = marker
        .split_once('|')
        .context("a marker is `targets | workload.figure, ..`")?;
    let columns = items(columns).map(|(name, title)| {
        let column = name.split_once('.').and_then(|(workload, unit)| {
            let unit = Unit::ALL.iter().find(|known| known.name() == unit)?;
            Some((workload, *unit, title))
        });
        column.with_context(|| format!("`{name}` is no workload.figure"))
    });
    let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
    let titles = columns.iter().map(|(_, _, title)| *title);
    let mut table = markdown([""].into_iter().chain(titles));
    for (target, title) in items(targets) {
        anyhow::ensure!(
            run.rows.iter().any(|row| row.target == target),
            "the run {} has no target `{target}`",
            run.name
        );
        let title = match title == target {
            true => format!("`{target}`"),
            false => title.to_owned(),
        };
        let cells = columns.iter().map(|&(workload, unit, _)| {
            let mut rows = run.rows.iter();
            let row = rows.find(|row| row.target == target && row.workload == workload);
            let cell = row.map(|row| cell(row, unit));
            let cell = cell.filter(|cell| !cell.is_empty());
            cell.unwrap_or_else(|| "–".to_owned())
        });
        table.add_row([title].into_iter().chain(cells));
    }
    Ok(table)
}

/// Names and their titles. A name without a title is its own.
fn items(list: &str) -> impl Iterator<Item = (&str, &str)> {
    // Titles have no commas.
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            let (name, title) = item.split_once('"').unwrap_or((item, item));
            (name.trim(), title.trim_end_matches('"').trim())
        })
}

#[cfg(test)]
mod tests {
    use super::super::super::row::tests::run;
    use super::updated;

    #[test]
    fn only_text_between_markers_changes() {
        let text = "before\n<!-- bench: tcp \"ours\", axum | plaintext.ratio \"CPU\", idle.kept -->\nold\n<!-- /bench -->\nafter\n";
        let new = updated(text, &run()).unwrap();
        let start = "before\n<!-- bench: tcp \"ours\", axum |";
        assert!(new.starts_with(start), "{new}");
        assert!(new.ends_with("\n<!-- /bench -->\nafter\n"), "{new}");
        assert!(!new.contains("old"), "{new}");
        let row = "| `axum` | 1.140 (1.130–1.150) **-** |";
        assert!(new.contains(row), "{new}");
        assert_eq!(updated(&new, &run()).unwrap(), new);
    }

    #[test]
    fn markers_with_unknown_names_are_errors() {
        for (marker, error) in [
            ("tcp, nobody | plaintext.ratio", "has no target `nobody`"),
            (
                "tcp | plaintext.speed",
                "`plaintext.speed` is no workload.figure",
            ),
            ("tcp", "targets | workload.figure"),
        ] {
            let text = format!("<!-- bench: {marker} -->\n<!-- /bench -->");
            let said = updated(&text, &run()).unwrap_err().to_string();
            assert!(said.contains(error), "{said}");
        }
    }
}
