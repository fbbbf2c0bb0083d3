//! What a document cites: where it stands, and what should.

use super::summary::{Column, Summary};
use crate::tidy::links;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;

/// The end of what a citation links to.
const SUMMARY: &str = "summary.md";
/// Begins the comment above a table of figures; what ends it is a line of its own.
const TABLE: &str = "<!-- figures of ";
const END: &str = "-->";

/// A part of a text that has to say something else, or why it can't say anything.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) at: Range<usize>,
    pub(super) says: Result<String, String>,
}

/// Where the text of the document `path` isn't what stands in the runs. `read` reads a summary, by its path from the repository's root.
pub(super) fn edits(path: &str, text: &str, read: &dyn Fn(&str) -> Option<Summary>) -> Vec<Edit> {
    let open = |link: &str| {
        let file = links::target(path, link).unwrap_or_default();
        read(&file).ok_or_else(|| format!("there's no {file}"))
    };
    let mut edits: Vec<Edit> = links_of(text)
        .into_iter()
        .map(|link| {
            let figure = open(&link.file).and_then(|summary| link.figure(&summary));
            let (at, says) = (link.at, figure);
            Edit { at, says }
        })
        .collect();
    for table in tables(text) {
        let at = table.at.clone();
        match open(table.file).and_then(|summary| table.rows(text, &summary)) {
            Ok(rows) => edits.extend(rows),
            Err(fault) => edits.push(Edit { at, says: Err(fault) }),
        }
    }
    // What's wrapped says the same.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    edits.retain(|edit| {
        edit.says
            .as_ref()
            .map_or(true, |says| words(&text[edit.at.clone()]) != words(says))
    });
    edits.sort_by_key(|edit| edit.at.start);
    edits
}

/// A link into a summary.
#[derive(Debug, Default)]
struct Link {
    file: String,
    column: Column,
    target: String,
    /// Where its figure stands, and what it is.
    at: Range<usize>,
    says: String,
}

fn links_of(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut open: Option<Link> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::Link { dest_url, title, .. }), _) => {
                let (file, section) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
                open = file.ends_with(SUMMARY).then(|| Link {
                    file: file.to_owned(),
                    column: Column {
                        section: section.to_owned(),
                        name: title.to_string(),
                    },
                    at: range.start..range.start,
                    ..Link::default()
                });
            }
            (Event::Code(code), Some(link)) => {
                link.target = code.to_string();
                link.at = range.end..range.end;
            }
            (Event::Text(says), Some(link)) => {
                link.says += &says;
                link.at.end = range.end;
            }
            (Event::End(TagEnd::Link), _) => {
                // Without a digit it only leads there.
                let is_figure = |link: &Link| link.says.contains(|letter: char| letter.is_ascii_digit());
                links.extend(open.take().filter(is_figure));
            }
            _ => {}
        }
    }
    links
}

impl Link {
    fn figure(&self, summary: &Summary) -> Result<String, String> {
        let figure = in_form_of(&self.says, summary.figure(&self.column, &self.target)?);
        // What's marked is said in the tables.
        let unmarked = figure.split(" *").next().unwrap_or_default();
        Ok(format!(" {unmarked}"))
    }
}

/// With its interval, if what's said now has one; marks stay.
fn in_form_of(now: &str, figure: &str) -> String {
    match (figure.split_once(" ("), now.contains('(')) {
        (Some((value, rest)), false) => {
            let mark = rest.split_once(" *").map(|(_, mark)| format!(" *{mark}"));
            value.to_owned() + &mark.unwrap_or_default()
        }
        _ => figure.to_owned(),
    }
}

/// A table whose cells stand in a summary, but for its head and its first column. The comment above it says what: `rows: ` or `columns: ` with targets, and in the other
/// direction a line for each figure, `#SECTION COLUMN`, or several of them with ` & ` in between.
#[derive(Debug)]
struct Table<'a> {
    file: &'a str,
    targets: Vec<&'a str>,
    has_targets_as_rows: bool,
    figures: Vec<Vec<Column>>,
    /// Where the comment stands, and where the rows begin.
    at: Range<usize>,
}

fn tables(text: &str) -> Vec<Table<'_>> {
    let starts = text.match_indices(TABLE).map(|(start, _)| start);
    starts
        .filter_map(|start| {
            let end = start + text[start..].find(END)?;
            let mut lines = text[start + TABLE.len()..end].lines().map(str::trim);
            let file = lines.next()?;
            let (direction, targets) = lines.next()?.split_once(": ")?;
            let figures = lines.map(|line| line.split(" & ").filter_map(column).collect());
            Some(Table {
                file,
                targets: targets.split(", ").collect(),
                has_targets_as_rows: direction == "rows",
                figures: figures.collect(),
                at: start..end + END.len(),
            })
        })
        .collect()
}

fn column(text: &str) -> Option<Column> {
    let (section, name) = text.strip_prefix('#')?.split_once(' ')?;
    Some(Column {
        section: section.to_owned(),
        name: name.to_owned(),
    })
}

impl Table<'_> {
    /// What each row has to be.
    fn rows(&self, text: &str, summary: &Summary) -> Result<Vec<Edit>, String> {
        let height = if self.has_targets_as_rows {
            self.targets.len()
        } else {
            self.figures.len()
        };
        let mut start = self.at.end + 1;
        let mut rows = Vec::new();
        for line in text[start..].lines().take_while(|line| line.starts_with('|')) {
            rows.push((start, line));
            start += line.len() + 1;
        }
        // A head, and the line below it.
        let rows = rows.get(2..).unwrap_or_default();
        if rows.len() != height {
            return Err(format!(
                "the table has {} rows, and the comment above it says {height}",
                rows.len()
            ));
        }
        let edit = |(row, &(start, line)): (usize, &(usize, &str))| {
            let mut cells = line.split('|').skip(1);
            let label = cells.next().unwrap_or_default().trim().to_owned();
            let all = self.row(row).into_iter().map(|(target, columns)| {
                let now = cells.next().unwrap_or_default();
                let figure = |column| Ok(in_form_of(now, summary.figure(column, target)?));
                let figures: Result<Vec<_>, String> = columns.iter().map(figure).collect();
                Ok(figures?.join(", "))
            });
            let cells: Vec<String> = all.collect::<Result<_, String>>()?;
            Ok(Edit {
                at: start..start + line.len(),
                says: Ok(format!("| {label} | {} |", cells.join(" | "))),
            })
        };
        rows.iter().enumerate().map(edit).collect()
    }

    /// Whose figures stand in a row.
    fn row(&self, row: usize) -> Vec<(&str, &[Column])> {
        if self.has_targets_as_rows {
            let figures = self.figures.iter();
            figures
                .map(|figure| (self.targets[row], figure.as_slice()))
                .collect()
        } else {
            let targets = self.targets.iter();
            targets
                .map(|&target| (target, self.figures[row].as_slice()))
                .collect()
        }
    }
}
