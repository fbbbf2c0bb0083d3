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
    /// With its interval, if it has one now.
    fn figure(&self, summary: &Summary) -> Result<String, String> {
        let figure = summary.figure(&self.column, &self.target)?;
        let figure = figure.split(" *").next().unwrap_or(figure);
        let end = if self.says.contains('(') { "\n" } else { " (" };
        let figure = figure.split(end).next().unwrap_or(figure);
        Ok(format!(" {figure}"))
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
        let cell = |target: &str, columns: &Vec<Column>| {
            let figures = columns.iter().map(|column| summary.figure(column, target));
            Ok::<_, String>(figures.collect::<Result<Vec<_>, _>>()?.join(", "))
        };
        let cells: Vec<Vec<String>> = if self.has_targets_as_rows {
            let row = |target: &&str| self.figures.iter().map(|figure| cell(target, figure)).collect();
            self.targets.iter().map(row).collect::<Result<_, _>>()?
        } else {
            let row = |figure| self.targets.iter().map(|target| cell(target, figure)).collect();
            self.figures.iter().map(row).collect::<Result<_, _>>()?
        };
        let mut start = self.at.end + 1;
        let mut rows = Vec::new();
        for line in text[start..].lines().take_while(|line| line.starts_with('|')) {
            rows.push((start, line));
            start += line.len() + 1;
        }
        // A head, and the line below it.
        let rows = rows.get(2..).unwrap_or_default();
        if rows.len() != cells.len() {
            return Err(format!(
                "the table has {} rows, and the comment above it says {}",
                rows.len(),
                cells.len()
            ));
        }
        let edit = |(&(start, row), cells): (&(usize, &str), &Vec<String>)| {
            let label = row.split('|').nth(1).unwrap_or_default().trim();
            Edit {
                at: start..start + row.len(),
                says: Ok(format!("| {label} | {} |", cells.join(" | "))),
            }
        };
        Ok(rows.iter().zip(&cells).map(edit).collect())
    }
}
