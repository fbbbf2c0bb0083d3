//! How late which share of the answers was, as the folder of a run keeps it: HdrHistogram's percentiles.

use crate::bench::results::{Record, Results, histogram};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// By the name of their files.
pub(super) type Curves = BTreeMap<String, Curve>;

/// A distribution, from the soonest to the latest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve(pub(super) Vec<Point>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) microseconds: f64,
    /// How many of one that were no later.
    pub(super) share: f64,
}

/// Reads those that the results' records have; one without a file has no curve.
///
/// # Errors
///
/// When a file can't be read, or isn't of this form.
pub(super) fn read(folder: &Path, results: &Results) -> anyhow::Result<Curves> {
    let mut curves = Curves::new();
    for record in results.sections.iter().flat_map(|section| &section.records) {
        let name = name(record);
        if curves.contains_key(&name) {
            continue;
        }
        let path = folder.join(&name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let curve = parse(&text).map_err(|line| {
            anyhow::anyhow!(
                "{}:{line}: not a line of HdrHistogram's percentiles (value, percentile, count); remove the file, and its curve is left out",
                path.display()
            )
        })?;
        curves.insert(name, curve);
    }
    Ok(curves)
}

/// The file of the record's distribution, if it has one.
pub(super) fn name(record: &Record) -> String {
    histogram(
        &record.figure,
        &record.workload,
        record.connections,
        &record.target,
    )
}

/// The number of the first line that's wrong, if one is.
fn parse(text: &str) -> Result<Curve, usize> {
    let mut points = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        // A comment or the head.
        if line.trim().is_empty() || line.starts_with('#') || line.trim_start().starts_with("Value") {
            continue;
        }
        points.push(point(line).ok_or(number)?);
    }
    Ok(Curve(points))
}

fn point(line: &str) -> Option<Point> {
    let mut numbers = line.split_whitespace().map(str::parse::<f64>);
    let (microseconds, share) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let is_one = microseconds.is_finite() && microseconds >= 0.0 && (0.0..=1.0).contains(&share);
    is_one.then_some(Point { microseconds, share })
}

#[cfg(test)]
mod tests {
    use super::{Curve, Point, parse};

    #[test]
    fn percentiles_are_read() {
        let text = "\
       Value   Percentile   TotalCount 1/(1-Percentile)

      82.000 0.000000000000          1           1.00
     140.500 0.990000000000        990         100.00
    1200.000 1.000000000000       1000
#[Mean    =      101.000, StdDeviation   =        9.000]
#[Max     =     1200.000, Total count    =         1000]
";
        let points = [(82.0, 0.0), (140.5, 0.99), (1200.0, 1.0)];
        let points = points.map(|(microseconds, share)| Point { microseconds, share });
        assert_eq!(parse(text), Ok(Curve(points.to_vec())));
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for line in ["12.0", "twelve 0.5 1", "12.0 1.5 1", "-1 0.5 1", "NaN 0.5 1"] {
            assert_eq!(parse(&format!("1.0 0.0 1\n{line}\n")), Err(2), "{line}");
        }
    }
}
