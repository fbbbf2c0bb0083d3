//! Draws a report for a terminal; it's Markdown, so that it can be quoted as it is.

mod notes;

use super::report::{Report, Row, Unit, Verdict};
use super::results::Record;
use super::target::{Allocator, Target};
use super::text::{WIDTH, grouped, per, spanned, wrap};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use notes::{reasons, references, remarks};
use std::collections::BTreeSet;

const NOT_MEASURED: &str = "not measured";
const LEGEND: &str =
    "+ is better than hyper by hand, - is worse; without a sign this run shows no difference.";

/// What it is, the table, why rows are missing, and what else there's to know.
pub(super) fn draw(report: &Report) -> String {
    let mut text = format!("{}\n\n", wrap(&report.about));
    if !report.rows.is_empty() {
        text += &format!("{}\n", table(report));
    }
    let legend = report.rows.iter().any(|row| verdict(row).is_some());
    let legend = legend.then(|| LEGEND.to_owned());
    let lines = legend.into_iter().chain(references(report));
    let lines = lines.chain(reasons(report)).chain(remarks(report));
    for line in lines.chain(report.notes.iter().cloned()) {
        text += &format!("\n{}\n", wrap(&line));
    }
    text
}

fn table(report: &Report) -> Table {
    let varying = Varying::of(report);
    let columns = columns(report);
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    let mut header = varying.names();
    let left = header.len();
    let workload = report.rows.first().map_or("", |row| row.workload);
    header.extend(columns.iter().map(|column| per(workload, column.name())));
    table.set_header(header);
    for index in left..left + columns.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut seen = BTreeSet::new();
    for row in &report.rows {
        if seen.insert(key(row)) {
            let mut cells = varying.values(row);
            cells.extend(columns.iter().map(|column| {
                let of_line = |other: &&Row| key(other) == key(row) && other.unit == column.unit();
                let cell = report.rows.iter().find(of_line);
                cell.map_or_else(String::new, |cell| column.cell(report, cell))
            }));
            table.add_row(cells);
        }
    }
    table
}

/// What stands right of the target.
#[derive(Clone, Copy)]
enum Column {
    Value(Unit),
    Ratio(Unit),
    Fit(Unit),
}

fn columns(report: &Report) -> Vec<Column> {
    let units: BTreeSet<Unit> = report.rows.iter().map(|row| row.unit).collect();
    let mut columns = Vec::new();
    for &unit in &units {
        columns.push(Column::Value(unit));
        // Where a figure measures its ratio, a quotient of two medians would only contradict it.
        let has_one = |row: &Row| row.unit == unit && report.ratio(row).is_some();
        if !units.iter().any(|unit| unit.is_ratio()) && report.rows.iter().any(has_one) {
            columns.push(Column::Ratio(unit));
        }
        if report
            .rows
            .iter()
            .any(|row| row.unit == unit && row.r_squared.is_some())
        {
            columns.push(Column::Fit(unit));
        }
    }
    columns
}

impl Column {
    fn unit(self) -> Unit {
        match self {
            Self::Value(unit) | Self::Ratio(unit) | Self::Fit(unit) => unit,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Value(unit) => unit.label(),
            Self::Ratio(_) => Unit::Ratio.label(),
            Self::Fit(_) => "R2",
        }
    }

    fn cell(self, report: &Report, row: &Row) -> String {
        match self {
            Self::Value(_) => value(report, row),
            Self::Ratio(_) => report
                .ratio(row)
                .map_or_else(String::new, |ratio| format!("{ratio:.3}")),
            Self::Fit(_) => row.r_squared.map_or_else(String::new, |fit| format!("{fit:.4}")),
        }
    }
}

/// What a line of the table is about.
type Key = (&'static str, Allocator, usize, Target);

fn key(row: &Row) -> Key {
    (row.workload, row.allocator, row.connections, row.target)
}

/// The columns that tell one line from another, beside the target.
struct Varying {
    workload: bool,
    allocator: bool,
    connections: bool,
}

impl Varying {
    fn of(report: &Report) -> Self {
        fn differ<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
            let first = values.next();
            values.any(|value| Some(value) != first)
        }
        let rows = &report.rows;
        Self {
            workload: differ(rows.iter().map(|row| row.workload)),
            allocator: differ(rows.iter().map(|row| row.allocator)),
            connections: differ(rows.iter().map(|row| row.connections)),
        }
    }

    fn columns(&self, values: [String; 3]) -> Vec<String> {
        let shown = [self.workload, self.allocator, self.connections];
        let pairs = values.into_iter().zip(shown);
        pairs
            .filter_map(|(value, shown)| shown.then_some(value))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names = vec!["target".to_owned()];
        names.extend(self.columns(["workload", "allocator", "connections"].map(str::to_owned)));
        names
    }

    fn values(&self, row: &Row) -> Vec<String> {
        let mut values = vec![row.target.name().to_owned()];
        values.extend(self.columns([
            row.workload.to_owned(),
            row.allocator.name().to_owned(),
            row.connections.to_string(),
        ]));
        values
    }
}

fn value(report: &Report, row: &Row) -> String {
    let Some(value) = row.value else {
        return NOT_MEASURED.to_owned();
    };
    if let Some(mark) = row.mark.filter(|_| row.unit == Unit::RateRatio) {
        return mark.label().to_owned();
    }
    let number = |value| grouped(value, row.unit.decimals());
    let Some(interval) = row.interval.filter(|_| has_room(report, row.unit)) else {
        return spanned(value, row.span, row.unit);
    };
    let text = format!(
        "{} ({}–{})",
        number(value),
        number(interval.low),
        number(interval.high)
    );
    match verdict(row) {
        Some(Verdict::Better) => text + " +",
        Some(Verdict::Worse) => text + " -",
        Some(Verdict::Alike) => text + "  ",
        None => text,
    }
}

/// Whether a value's interval is shown: where there are many columns, only ratios have one.
fn has_room(report: &Report, unit: Unit) -> bool {
    let units: BTreeSet<Unit> = report.rows.iter().map(|row| row.unit).collect();
    let values = units.iter().filter(|unit| !unit.is_ratio()).count();
    unit.is_ratio() || values == 1
}

fn verdict(row: &Row) -> Option<Verdict> {
    Record::from(row).verdict()
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, draw};
    use crate::bench::report::{Interval, Mark, Report, Row, Span, Unit};
    use crate::bench::target::{Allocator, Target};
    use clap::ValueEnum as _;

    fn report(rows: Vec<Row>) -> Report {
        Report {
            about: "Instructions per request.".to_owned(),
            rows,
            notes: Vec::new(),
            interrupted: false,
        }
    }

    fn row(target: Target, unit: Unit, value: Option<f64>) -> Row {
        Row {
            connections: 8,
            value,
            ..Row::new("instructions", target, Allocator::Mimalloc, unit)
        }
    }

    #[test]
    fn the_ratio_to_the_reference_stands_beside_each_value() {
        let report = report(vec![
            row(Target::Tcp, Unit::Instructions, Some(7500.0)),
            row(Target::Hyper, Unit::Instructions, Some(5000.0)),
        ]);
        let expected = "\
Instructions per request.

| target | instructions/request | x hyper |
|--------|----------------------|---------|
| tcp    |                7,500 |   1.500 |
| hyper  |                5,000 |   1.000 |
";
        assert_eq!(draw(&report), expected);
    }

    #[test]
    fn a_ratio_to_another_reference_says_to_which() {
        let rows = [
            (Target::Tcp, 3.0),
            (Target::Monoio, 2.0),
            (Target::Unix, 1.0),
            (Target::UnixPerCore, 1.0),
            (Target::HyperUnix, 1.0),
            (Target::HyperMonoio, 4.0),
            (Target::HyperMonoioPoll, 4.0),
        ];
        let rows = rows.map(|(target, value)| row(target, Unit::Instructions, Some(value)));
        let drawn = draw(&report(rows.to_vec()));
        let said =
            "x hyper: unix-per-core and unix to hyper-unix, monoio and hyper-monoio-poll to hyper-monoio.";
        assert!(drawn.ends_with(&format!("|\n\n{said}\n")), "{drawn}");
        assert!(drawn.contains(" 0.500 |"), "{drawn}");
    }

    #[test]
    fn what_was_not_measured_says_why_below_the_table() {
        let mut missing = row(Target::Axum, Unit::Instructions, None);
        missing.reason = Some("`peer-axum` does not build".to_owned());
        let drawn = draw(&report(vec![
            row(Target::Tcp, Unit::Instructions, Some(1.0)),
            missing,
        ]));
        assert!(drawn.contains(" not measured |"), "{drawn}");
        assert!(
            drawn.ends_with("axum: not measured: `peer-axum` does not build\n"),
            "{drawn}"
        );
    }

    #[test]
    fn what_costs_several_lines_is_said_once() {
        let rows = [Target::Tcp, Target::Hyper].into_iter().flat_map(|target| {
            [Unit::Allocations, Unit::Bytes].map(|unit| Row {
                reason: Some("`valgrind` isn't installed".to_owned()),
                ..row(target, unit, None)
            })
        });
        let drawn = draw(&report(rows.collect()));
        assert!(
            drawn.ends_with("|\n\ntcp, hyper: not measured: `valgrind` isn't installed\n"),
            "{drawn}"
        );
    }

    #[test]
    fn a_difference_is_called_one_only_where_the_interval_excludes_1() {
        let ratio = |unit, low, high| Row {
            interval: Some(Interval { low, high }),
            ..row(Target::Tcp, unit, Some(f64::midpoint(low, high)))
        };
        for (unit, low, high, expected) in [
            (Unit::Ratio, 0.8, 0.9, "0.850 (0.800–0.900) + |"),
            (Unit::Ratio, 1.1, 1.2, "1.150 (1.100–1.200) - |"),
            (Unit::Ratio, 0.9, 1.1, "1.000 (0.900–1.100)   |"),
            (Unit::RateRatio, 0.8, 0.9, "0.850 (0.800–0.900) - |"),
            (Unit::RateRatio, 1.1, 1.2, "1.150 (1.100–1.200) + |"),
        ] {
            let drawn = draw(&report(vec![ratio(unit, low, high)]));
            assert!(
                drawn.contains(expected) && drawn.contains("+ is better"),
                "{drawn}"
            );
        }
        let bound = Row {
            mark: Some(Mark::ClientBound),
            ..ratio(Unit::RateRatio, 0.8, 0.9)
        };
        let drawn = draw(&report(vec![bound]));
        assert!(
            drawn.contains(" client-bound |") && !drawn.contains("0.850"),
            "{drawn}"
        );
    }

    /// With a line for each target, none of whose cells is broken.
    #[track_caller]
    fn fits(units: &[Unit], of_unit: fn(Row) -> Row) {
        let targets = Target::value_variants();
        let row = |unit| {
            targets
                .iter()
                .map(move |&target| of_unit(row(target, unit, None)))
        };
        let drawn = draw(&report(units.iter().copied().flat_map(row).collect()));
        let table = drawn.lines().filter(|line| line.starts_with('|'));
        assert_eq!(table.count(), targets.len() + 2, "a cell is broken: {drawn}");
        let mut widths = drawn.lines().map(|line| line.chars().count());
        assert!(widths.all(|width| width <= usize::from(WIDTH)), "{drawn}");
    }

    #[test]
    fn a_throughput_table_fits() {
        let units = [
            Unit::RequestsPerSecond,
            Unit::RateRatio,
            Unit::Microseconds,
            Unit::Ratio,
        ];
        fits(&units, |row| Row {
            value: Some(if row.unit.is_ratio() { 1.234 } else { 123_456.789 }),
            interval: Some(Interval {
                low: 1.111,
                high: 1.222,
            }),
            ..row
        });
    }

    #[test]
    fn a_table_of_spans_fits() {
        fits(&[Unit::Allocations, Unit::Bytes], |row| Row {
            value: Some(1_234.5),
            span: Some(Span {
                lowest: 1_111.1,
                highest: 1_999.9,
            }),
            ..row
        });
    }

    #[test]
    fn no_line_is_longer_than_a_hundred_columns() {
        let mut rows = Vec::new();
        for &target in Target::value_variants() {
            for (unit, workload, allocator, connections) in [
                (Unit::Allocations, "kept alive, idle", Allocator::System, 1),
                (Unit::Bytes, "fresh", Allocator::Mimalloc, 10_000),
            ] {
                let interval = Some(Interval {
                    low: 123_456.789,
                    high: 1_234_567.891,
                });
                rows.push(Row {
                    workload,
                    allocator,
                    connections,
                    interval,
                    ..row(target, unit, Some(1_234_567.891))
                });
                rows.push(Row {
                    reason: Some("a reason that is so long that it has to be broken, ".repeat(4)),
                    ..row(target, unit, None)
                });
            }
        }
        let mut report = report(rows);
        report.about = "What it is, and how it was measured. ".repeat(6);
        report.notes.push("What else there's to know. ".repeat(8));
        for line in draw(&report).lines() {
            assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
        }
    }
}
