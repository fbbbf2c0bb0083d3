//! What stands in the tables of a `summary.md`.

use std::collections::BTreeMap;

/// Which column: the anchor of its section, and its name, which is its head, behind that of its table where this has one (`CPU µs/request, json, 64 connections`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) section: String,
    pub(super) name: String,
}

/// All cells, by their column and their target.
#[derive(Debug, Default)]
pub(super) struct Summary(BTreeMap<Column, BTreeMap<String, String>>);

impl Summary {
    pub(super) fn read(text: &str) -> Self {
        let mut summary = Self::default();
        let (mut section, mut table) = (String::new(), None);
        let mut names: Vec<String> = Vec::new();
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("## ") {
                (section, table) = (anchor(head), None);
            } else if let Some(head) = line.strip_prefix("### ") {
                table = Some(head);
            }
            let Some(row) = line.strip_prefix('|') else {
                names.clear();
                continue;
            };
            let mut cells = row.trim_end_matches('|').split('|').map(str::trim);
            let target = cells.next().unwrap_or_default();
            if names.is_empty() {
                let name =
                    |head: &str| table.map_or_else(|| head.to_owned(), |table| format!("{table}, {head}"));
                names = cells.map(name).collect();
                continue;
            }
            for (name, cell) in names.iter().zip(cells) {
                let column = Column {
                    section: section.clone(),
                    name: name.clone(),
                };
                let cells = summary.0.entry(column).or_default();
                cells.insert(target.to_owned(), cell.to_owned());
            }
        }
        summary
    }

    /// What stands there, without the sign that says whether it's better.
    ///
    /// # Errors
    ///
    /// What isn't there.
    pub(super) fn figure(&self, column: &Column, target: &str) -> Result<&str, String> {
        let Column { section, name } = column;
        let cells = self.0.get(column);
        let cells = cells.ok_or_else(|| format!("#{section} has no column \"{name}\""))?;
        let cell = cells.get(target).filter(|cell| !cell.is_empty());
        let cell = cell.ok_or_else(|| format!("#{section} has no `{target}` in \"{name}\""))?;
        Ok(cell.split(" **").next().unwrap_or(cell))
    }
}

/// As the hosts of repositories name a heading.
fn anchor(head: &str) -> String {
    let letters = head.to_lowercase().replace(' ', "-");
    letters
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '-')
        .collect()
}
