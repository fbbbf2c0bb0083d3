//! The rows of a run, one for each target and workload. The terminal, the files and the page have
//! the same.

use anyhow::Context as _;
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Raised when the file's meaning changes.
const FORMAT: u32 = 3;
pub(super) const RESULTS: &str = "results.json";

/// A whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Run {
    format: u32,
    pub(super) name: String,
    /// The command that started it.
    pub(super) command: String,
    /// The machine, the tools and the versions, by dotted names.
    pub(super) environment: BTreeMap<String, String>,
    /// Notes above the tables.
    pub(super) notes: Vec<String>,
    pub(super) interrupted: bool,
    pub(super) rows: Vec<Row>,
}

/// A target and a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) target: String,
    /// The target whose ratio is 1.
    pub(super) reference: String,
    /// Whether it is not anyport's.
    pub(super) peer: bool,
    pub(super) workload: String,
    pub(super) connections: usize,
    /// How many rounds the figures have.
    pub(super) rounds: usize,
    /// How many of them other programs disturbed.
    #[serde(default)]
    pub(super) disturbed: usize,
    /// `client-bound` or `unsaturated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<String>,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) figures: BTreeMap<Unit, Figure>,
}

/// A median and its 95 % interval; of few rounds, the lowest and the highest value. Counts have
/// neither.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) high: Option<f64>,
}

/// Each line has the name in Rust, the name in files and markers, the head of the column, and the
/// digits after the point.
macro_rules! units {
    ($($unit:ident $name:literal, $label:literal, $decimals:literal;)*) => {
        /// The unit of a figure, in the order of the columns.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub(super) enum Unit {
            $(#[serde(rename = $name)] $unit),*
        }

        impl Unit {
            pub(super) const ALL: &[Self] = &[$(Self::$unit),*];

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$unit => $name),*
                }
            }

            pub(super) fn label(self) -> &'static str {
                match self {
                    $(Self::$unit => $label),*
                }
            }

            fn decimals(self) -> usize {
                match self {
                    $(Self::$unit => $decimals),*
                }
            }
        }
    };
}

units! {
    Ratio "ratio", "CPU × reference", 3;
    Cpu "cpu", "CPU µs", 2;
    Rate "rate", "per second", 0;
    Peak "peak", "peak MiB", 1;
    Instructions "instructions", "instructions", 0;
    Allocations "allocations", "allocations", 2;
    Syscalls "syscalls", "system calls", 2;
    Fresh "fresh", "KiB fresh", 2;
    Kept "kept", "KiB kept alive", 2;
}

impl Unit {
    pub(super) fn format(self, value: f64) -> String {
        grouped(value, self.decimals())
    }
}

impl Figure {
    pub(super) fn new(value: f64, ends: Option<(f64, f64)>) -> Self {
        let (low, high) = ends.unzip();
        Self { value, low, high }
    }

    pub(super) fn ends(self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }
}

impl Row {
    pub(super) fn is_reference(&self) -> bool {
        self.target == self.reference
    }

    /// How the interval of the ratio compares with 1: `Less` is better, and `Equal` contains 1.
    pub(super) fn verdict(&self) -> Option<Ordering> {
        let (low, high) = self.figures.get(&Unit::Ratio)?.ends()?;
        let verdict = match (low > 1.0, high < 1.0) {
            (true, _) => Ordering::Greater,
            (_, true) => Ordering::Less,
            _ => Ordering::Equal,
        };
        (!self.is_reference()).then_some(verdict)
    }
}

impl Run {
    pub(super) fn new(
        name: String,
        command: String,
        environment: BTreeMap<String, String>,
    ) -> Self {
        Self {
            format: FORMAT,
            name,
            command,
            environment,
            ..Self::default()
        }
    }

    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(RESULTS);
        let file = path.display();
        let text = fs::read_to_string(&path).with_context(|| {
            format!("cannot read {file}; give the folder of a run, such as target/bench/NAME")
        })?;
        let run: Self = serde_json::from_str(&text)
            .with_context(|| format!("{file} is no result of this bench; measure again"))?;
        let format = run.format;
        anyhow::ensure!(
            format == FORMAT,
            "{file} has format {format}, and this bench reads format {FORMAT}; measure again"
        );
        Ok(run)
    }

    /// With each row on a line, for diffs of two runs.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let rows = self.rows.iter().map(serde_json::to_string);
        let rows = rows.collect::<Result<Vec<_>, _>>()?.join(",\n");
        let mut head = self.clone();
        head.rows.clear();
        let text = serde_json::to_string_pretty(&head)?;
        let text = text.replacen("\"rows\": []", &format!("\"rows\": [\n{rows}\n]"), 1);
        write(&folder.join(RESULTS), &(text + "\n"))
    }

    /// The rows of each workload.
    pub(super) fn workloads(&self) -> Vec<(&str, Vec<&Row>)> {
        let workloads = self
            .rows
            .chunk_by(|one, next| one.workload == next.workload);
        let named = workloads.map(|rows| (rows[0].workload.as_str(), rows.iter().collect()));
        named.collect()
    }
}

/// Replaces a file at once: it never has a part of the text.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// To five significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let step = 10_f64.powf(4.0 - value.abs().log10().floor());
    (value * step).round() / step
}

/// With commas between thousands, unless it is negative.
fn grouped(value: f64, decimals: usize) -> String {
    let value = if value.abs() < 1e-9 { 0.0 } else { value };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    match whole.parse() {
        Ok(whole) => format!("{}{fraction}", HumanCount(whole)),
        Err(_) => text,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Figure, Ordering, Row, Run, Unit, grouped, rounded};

    pub(in crate::bench) fn row(target: &str, ratio: f64) -> Row {
        let near = Figure::new(ratio, Some((ratio - 0.01, ratio + 0.01)));
        let cpu = Figure::new(8.5 * ratio, None);
        Row {
            target: target.to_owned(),
            reference: "hyper".to_owned(),
            peer: target != "tcp",
            workload: "plaintext".to_owned(),
            connections: 64,
            rounds: 7,
            disturbed: 0,
            mark: None,
            reason: None,
            figures: [(Unit::Ratio, near), (Unit::Cpu, cpu)].into(),
        }
    }

    pub(in crate::bench) fn run() -> Run {
        let mut run = Run::new(
            "a-run".to_owned(),
            "cargo xtask bench".to_owned(),
            [].into(),
        );
        run.rows = vec![row("tcp", 1.0), row("hyper", 1.0), row("axum", 1.14)];
        run
    }

    #[test]
    fn runs_are_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        run().write(folder.path()).unwrap();
        let read = Run::read(folder.path()).unwrap();
        assert_eq!((read.name.as_str(), read.rows), ("a-run", run().rows));
    }

    #[test]
    fn verdicts_need_an_interval_without_one() {
        assert_eq!(row("tcp", 1.0).verdict(), Some(Ordering::Equal));
        assert_eq!(row("axum", 1.14).verdict(), Some(Ordering::Greater));
        assert_eq!(row("axum", 0.9).verdict(), Some(Ordering::Less));
        assert_eq!(row("hyper", 1.0).verdict(), None);
    }

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!(grouped(1_234_567.8, 1), "1,234,567.8");
        assert_eq!(grouped(-0.0, 2), "0.00");
        assert_eq!(grouped(-12.34, 1), "-12.3");
        assert_eq!(rounded(123_456.789), 123_460.0);
        assert_eq!(rounded(0.012_345_678), 0.012_346);
    }
}
