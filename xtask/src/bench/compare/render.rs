//! The comparison as text: the environment first, then a table per figure and unit, then what both have in common.

use super::Run;
use super::agreement::Agreement;
use super::change::{Change, percent};
use super::pairs::{Pair, only, pairs};
use crate::bench::report::Unit;
use crate::bench::results::{Environment, Record};
use crate::bench::text::{WIDTH, grouped, spanned, wrap};
use crate::bench::tolerance;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::collections::{BTreeMap, BTreeSet};

/// With `changed`, only the rows that differ by more than noise.
pub(super) fn draw(a: &Run, b: &Run, changed: bool) -> String {
    let mut text = format!("A: {} ({})\n", a.results.run, a.results.command);
    text += &format!("B: {} ({})\n\n", b.results.run, b.results.command);
    text += &environments(a.environment.as_ref(), b.environment.as_ref());
    let pairs = pairs(&a.results, &b.results);
    let mut tables: Vec<(Head<'_>, Vec<&Pair<'_>>)> = Vec::new();
    for pair in &pairs {
        match tables.iter_mut().find(|(head, _)| *head == Head::of(pair)) {
            Some((_, rows)) => rows.push(pair),
            None => tables.push((Head::of(pair), vec![pair])),
        }
    }
    for (head, mut rows) in tables {
        let all = rows.len();
        if changed {
            rows.retain(|pair| Change::of(pair.a, pair.b).is_some_and(Change::is_more_than_noise));
        }
        if !rows.is_empty() {
            text += &format!("\n{}\n\n{}\n", head.text(rows.len(), all), table(&rows));
        }
    }
    let shown = pairs.iter().filter_map(|pair| Change::of(pair.a, pair.b));
    let more = shown.filter(|change| change.is_more_than_noise()).count();
    let mut lines = vec![format!(
        "{more} of {} rows that both runs have differ by more than noise.",
        pairs.len()
    )];
    lines.push(Agreement::of(&pairs).sentence());
    lines.push(legend());
    for (name, only) in [
        ("A", only(&a.results, &b.results)),
        ("B", only(&b.results, &a.results)),
    ] {
        lines.extend((!only.is_empty()).then(|| format!("Only in {name}: {}.", only.join("; "))));
    }
    lines.extend(reasons(&pairs));
    for line in lines {
        text += &format!("\n{}\n", wrap(&line));
    }
    text
}

fn legend() -> String {
    format!(
        "better, worse: from A to B by more than noise, so that the 95 % intervals have nothing in common, or that what's counted \
        differs by more than its tolerance ({}) and the spans of its runs have nothing in common. Without a word it's noise; with ? nobody knows, \
        since there's no interval.",
        tolerance::IN_WORDS
    )
}

/// What stands above a table, so that its rows have room.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head<'a> {
    figure: &'a str,
    workload: &'a str,
    allocator: &'a str,
    unit: Unit,
}

impl<'a> Head<'a> {
    fn of(pair: &Pair<'a>) -> Self {
        Self {
            figure: &pair.a.figure,
            workload: &pair.a.workload,
            allocator: &pair.a.allocator,
            unit: pair.a.unit,
        }
    }

    fn text(&self, shown: usize, all: usize) -> String {
        let Self {
            figure,
            workload,
            allocator,
            unit,
        } = self;
        let unit = match unit {
            Unit::RateRatio => "rate x reference",
            Unit::Ratio => "CPU time x reference",
            Unit::LatencyRatio => "p99 x reference",
            unit => unit.label(),
        };
        let count = if shown == all {
            String::new()
        } else {
            format!(" ({shown} of {all} rows)")
        };
        format!("## {figure}: {unit}, {workload}, {allocator}{count}")
    }
}

fn table(rows: &[&Pair<'_>]) -> Table {
    let mut table = empty(["target", "conns", "A", "B", "change", ""]);
    for index in 1..5 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for Pair { a, b } in rows {
        let change = Change::of(a, b);
        table.add_row([
            a.target.clone(),
            grouped(a.connections as f64, 0),
            value(a),
            value(b),
            percent(a, b).map_or_else(String::new, |percent| format!("{percent:+.1} %")),
            change.map_or("", Change::name).to_owned(),
        ]);
    }
    table
}

fn empty<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header);
    table
}

/// The interval stands beside ratios only, and spans where there's none: no row is wider than a terminal.
fn value(record: &Record) -> String {
    let number = |value| grouped(value, record.unit.decimals());
    match (record.value, record.interval.filter(|_| record.unit.is_ratio())) {
        (None, _) => "not measured".to_owned(),
        (Some(value), None) => spanned(value, record.span, record.unit),
        (Some(value), Some(interval)) => format!(
            "{} ({}–{})",
            number(value),
            number(interval.low),
            number(interval.high)
        ),
    }
}

fn environments(a: Option<&Environment>, b: Option<&Environment>) -> String {
    let (Some(a), Some(b)) = (a, b) else {
        let whose = match (a, b) {
            (None, None) => "Both runs have",
            (None, _) => "A has",
            _ => "B has",
        };
        return wrap(&format!(
            "{whose} no env.json, so nobody knows whether their environments are alike."
        )) + "\n";
    };
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differing: Vec<_> = names
        .into_iter()
        .filter(|&name| a.get(name) != b.get(name))
        .collect();
    if differing.is_empty() {
        return "Their environments are alike.\n".to_owned();
    }
    let mut table = empty(["environment", "A", "B"]);
    for name in differing {
        let value = |environment: &Environment| environment.get(name).map_or("-", String::as_str).to_owned();
        table.add_row([name.clone(), value(a), value(b)]);
    }
    format!("{table}\n")
}

/// Why there's no value, each reason once.
fn reasons(pairs: &[Pair<'_>]) -> Vec<String> {
    type Whose<'a> = (BTreeSet<&'a str>, BTreeMap<&'a str, BTreeSet<&'a str>>);
    let mut reasons: BTreeMap<&str, Whose<'_>> = BTreeMap::new();
    for Pair { a, b } in pairs {
        for (name, record) in [("A", a), ("B", b)] {
            if let Some(reason) = &record.reason {
                let (runs, figures) = reasons.entry(reason).or_default();
                runs.insert(name);
                figures.entry(&record.figure).or_default().insert(&record.target);
            }
        }
    }
    let say = |(reason, (runs, figures)): (&str, Whose<'_>)| {
        let figures = figures.into_iter().map(|(figure, targets)| {
            format!(
                "{figure} of {}",
                targets.into_iter().collect::<Vec<_>>().join(", ")
            )
        });
        format!(
            "Not measured in {}: {}: {reason}",
            runs.into_iter().collect::<Vec<_>>().join(" and "),
            figures.collect::<Vec<_>>().join("; ")
        )
    };
    reasons.into_iter().map(say).collect()
}
