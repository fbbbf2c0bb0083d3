//! What a run leaves on disk: `results.json` and `env.json`, which `compare`, `--check` and the report read again.

use super::report::{Interval, Mark, Report, Row, Span, Unit, Verdict};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Raised when what's written changes its meaning, so that a reader of another one says so.
const FORMAT: u32 = 2;
/// The first had a single run of what's counted.
const OLDEST: u32 = 1;

pub(super) const RESULTS: &str = "results.json";
pub(super) const ENVIRONMENT: &str = "env.json";

/// Where in the folder of a run the distribution of a target's latencies lies.
pub(super) fn histogram(figure: &str, workload: &str, connections: usize, target: &str) -> String {
    format!("histograms/{figure}-{workload}-{connections}-{target}.hgrm")
}

/// What the machine, the tools and the versions were, by dotted names such as `cpu.model` and `limit.nofile`.
pub(super) type Environment = BTreeMap<String, String>;

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) format: u32,
    /// The name of the run, which is its folder's, also after it was moved.
    pub(super) run: String,
    /// What it was started by.
    pub(super) command: String,
    pub(super) sections: Vec<Section>,
}

/// One figure's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) figure: String,
    /// What it is, and how it was measured.
    pub(super) about: String,
    pub(super) notes: Vec<String>,
    pub(super) interrupted: bool,
    pub(super) records: Vec<Record>,
}

/// One value, or why there's none; a line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) figure: String,
    pub(super) target: String,
    pub(super) is_peer: bool,
    /// The target whose ratio is 1.
    pub(super) reference: String,
    pub(super) transport: String,
    pub(super) workload: String,
    pub(super) allocator: String,
    pub(super) connections: usize,
    pub(super) unit: Unit,
    /// The median, where there were rounds or several runs.
    pub(super) value: Option<f64>,
    /// Where the median lies with a probability of 95 %.
    #[serde(flatten)]
    pub(super) interval: Option<Interval>,
    /// The lowest and the highest run of what's counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<Span>,
    /// The standard deviation of the rounds or runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sigma: Option<f64>,
    /// The value of each round that was kept, or of each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<f64>,
    /// How well a straight line fits, for a value that is a slope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) r_squared: Option<f64>,
    /// What the line was drawn through: connections, and the whole process's value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) points: Vec<(f64, f64)>,
    /// What has to be known to read the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<Mark>,
    /// Why there's no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl Results {
    pub(super) fn new(run: String, command: String) -> Self {
        Self {
            format: FORMAT,
            run,
            command,
            sections: Vec::new(),
        }
    }

    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut results: Self = read(&folder.join(RESULTS))?;
        anyhow::ensure!(
            (OLDEST..=FORMAT).contains(&results.format),
            "{} has format {}, and this bench reads formats {OLDEST} to {FORMAT}; measure again, or read it with the bench that wrote it",
            folder.join(RESULTS).display(),
            results.format
        );
        // It may have been moved since.
        if let Some(name) = folder.canonicalize().ok().as_deref().and_then(Path::file_name) {
            results.run = name.to_string_lossy().into_owned();
        }
        Ok(results)
    }
}

pub(super) fn read_environment(folder: &Path) -> anyhow::Result<Environment> {
    read(&folder.join(ENVIRONMENT))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}; give the folder of a run, such as target/bench/NAME",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} isn't what the bench writes", path.display()))
}

impl Section {
    pub(super) fn new(figure: &str, report: &Report) -> Self {
        Self {
            figure: figure.to_owned(),
            about: report.about.clone(),
            notes: report.notes.clone(),
            interrupted: report.interrupted,
            records: report.rows.iter().map(Record::from).collect(),
        }
    }

    /// Takes in another part of the same figure.
    pub(super) fn take(&mut self, other: Self) {
        if self.about != other.about {
            self.about += &format!(" {}", other.about);
        }
        self.notes.extend(other.notes);
        self.interrupted |= other.interrupted;
        self.records.extend(other.records);
    }
}

impl Record {
    /// Whether it's the one whose ratio is 1.
    pub(super) fn is_reference(&self) -> bool {
        self.target == self.reference
    }

    /// Why it's a rate that isn't the server's, if it is.
    pub(super) fn bound(&self) -> Option<Mark> {
        self.mark.filter(|_| self.unit.is_rate())
    }

    /// What's said beside the value.
    pub(super) fn shown_mark(&self) -> Option<Mark> {
        let is_shown = |mark: &Mark| self.unit.is_rate() || *mark == Mark::SystemAllocator;
        self.mark.filter(is_shown)
    }

    /// What a ratio with an interval says; nothing of the reference itself.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let interval = self
            .interval
            .filter(|_| self.unit.is_ratio() && self.value.is_some())?;
        (!self.is_reference() && self.bound().is_none()).then(|| Verdict::of(self.unit, interval))
    }
}

impl From<&Row> for Record {
    fn from(row: &Row) -> Self {
        Self {
            figure: row.figure.to_owned(),
            target: row.target.name().to_owned(),
            is_peer: row.target.is_peer(),
            reference: row.target.reference().name().to_owned(),
            transport: row.target.transport().to_owned(),
            workload: row.workload.to_owned(),
            allocator: row.allocator.name().to_owned(),
            connections: row.connections,
            unit: row.unit,
            value: row.value,
            interval: row.interval,
            span: row.span,
            sigma: row.sigma,
            rounds: row.rounds.clone(),
            r_squared: row.r_squared,
            points: row.points.clone(),
            mark: row.mark,
            reason: row.reason.clone(),
        }
    }
}
