//! What was measured: rows, as the table draws them.

use super::scenario::Scenario;
use super::target::{Allocator, Target};
use super::text::grouped;
use serde::{Deserialize, Serialize};

/// All that a figure has to say.
#[derive(Debug)]
pub(super) struct Report {
    /// What it is, and how it was measured: the lines above the table.
    pub(super) about: String,
    pub(super) rows: Vec<Row>,
    /// What else the reader must know, below the table.
    pub(super) notes: Vec<String>,
    pub(super) interrupted: bool,
}

/// One value, or why there's none.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) figure: &'static str,
    pub(super) target: Target,
    pub(super) workload: &'static str,
    pub(super) allocator: Allocator,
    pub(super) connections: usize,
    /// The median, where there were rounds or several runs.
    pub(super) value: Option<f64>,
    pub(super) unit: Unit,
    pub(super) interval: Option<Interval>,
    /// What's counted has one, if it was counted more than once.
    pub(super) span: Option<Span>,
    /// The standard deviation of the rounds or runs.
    pub(super) sigma: Option<f64>,
    /// The value of each round that was kept, or of each run.
    pub(super) rounds: Vec<f64>,
    /// How well a straight line fits, for a value that is a slope.
    pub(super) r_squared: Option<f64>,
    /// What the line was drawn through: connections, and the whole process's value.
    pub(super) points: Vec<(f64, f64)>,
    /// What has to be known to read the value.
    pub(super) mark: Option<Mark>,
    /// Why there's no value.
    pub(super) reason: Option<String>,
}

/// What has to be known to read a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mark {
    /// The load was busier than the server: the server can do more.
    ClientBound,
    /// Neither had enough to do: the rate is that of the way there and back.
    Unsaturated,
    /// It's with the system's allocator, where others have another.
    SystemAllocator,
}

impl Mark {
    /// As tables and charts call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::ClientBound => "client-bound",
            Self::Unsaturated => "unsaturated",
            Self::SystemAllocator => "system's allocator",
        }
    }
}

/// Where the value lies with a probability of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// From the lowest to the highest of a few runs, which are too few to tell an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

impl Span {
    /// Nothing of fewer than two.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let [first, _, ..] = values else { return None };
        let span = |span: Self, &value: &f64| Self {
            lowest: span.lowest.min(value),
            highest: span.highest.max(value),
        };
        let alone = Self {
            lowest: *first,
            highest: *first,
        };
        Some(values.iter().fold(alone, span))
    }

    /// As tables have it; nothing if no digit would tell its ends apart.
    pub(super) fn shown(self, unit: Unit) -> Option<String> {
        let [lowest, highest] = [self.lowest, self.highest].map(|end| grouped(end, unit.decimals()));
        (lowest != highest).then(|| format!("{lowest}–{highest}"))
    }
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Unit {
    #[serde(rename = "requests/s")]
    RequestsPerSecond,
    #[serde(rename = "handshakes/s")]
    HandshakesPerSecond,
    #[serde(rename = "connections/s")]
    ConnectionsPerSecond,
    /// Of the rate, to the reference's.
    #[serde(rename = "rate ratio")]
    RateRatio,
    #[serde(rename = "us/request")]
    Microseconds,
    #[serde(rename = "us/handshake")]
    HandshakeMicroseconds,
    #[serde(rename = "us/connection")]
    ConnectionMicroseconds,
    /// Of the time, to the reference's.
    #[serde(rename = "ratio")]
    Ratio,
    #[serde(rename = "p50 us")]
    P50,
    #[serde(rename = "p90 us")]
    P90,
    #[serde(rename = "p99 us")]
    P99,
    #[serde(rename = "p99.9 us")]
    P999,
    #[serde(rename = "max us")]
    Max,
    /// Of the 99th percentile, to the reference's.
    #[serde(rename = "p99 ratio")]
    LatencyRatio,
    #[serde(rename = "instructions/request")]
    Instructions,
    #[serde(rename = "syscalls/request")]
    Syscalls,
    #[serde(rename = "allocations/request")]
    Allocations,
    #[serde(rename = "bytes/request")]
    Bytes,
    #[serde(rename = "KiB/connection")]
    Kibibytes,
}

impl Report {
    /// Whether each row has its value that can have one.
    pub(super) fn is_complete(&self) -> bool {
        let is_done = |row: &Row| row.value.is_some() || row.has_none_by_nature();
        !self.interrupted && self.rows.iter().all(is_done)
    }

    /// How often the reference's value a row's value is.
    pub(super) fn ratio(&self, row: &Row) -> Option<f64> {
        let reference = self.rows.iter().find(|other| {
            other.target == row.target.reference()
                && (other.unit, other.workload, other.allocator, other.connections)
                    == (row.unit, row.workload, row.allocator, row.connections)
        })?;
        let ratio = row.value? / reference.value?;
        ratio.is_finite().then_some(ratio)
    }
}

impl Interval {
    pub(super) fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What a ratio says about a target, if the interval leaves a doubt to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    Worse,
    /// 1 lies in the interval: this run shows no difference.
    Alike,
}

impl Verdict {
    pub(super) fn of(unit: Unit, interval: Interval) -> Self {
        let (above, below) = if unit.is_rate() {
            (Self::Better, Self::Worse)
        } else {
            (Self::Worse, Self::Better)
        };
        if interval.low > 1.0 {
            above
        } else if interval.high < 1.0 {
            below
        } else {
            Self::Alike
        }
    }
}

impl Row {
    /// A row without a value, still.
    pub(super) fn new(figure: &'static str, target: Target, allocator: Allocator, unit: Unit) -> Self {
        Self {
            figure,
            target,
            workload: "plaintext",
            allocator,
            connections: 0,
            value: None,
            unit,
            interval: None,
            span: None,
            sigma: None,
            rounds: Vec::new(),
            r_squared: None,
            points: Vec::new(),
            mark: None,
            reason: None,
        }
    }

    /// Whether it's known of the target that there can't be a value: nothing went wrong then.
    pub(super) fn has_none_by_nature(&self) -> bool {
        let is_counted = matches!(self.unit, Unit::Instructions | Unit::Allocations | Unit::Bytes);
        let scenario = Scenario::named(self.workload);
        let is_served =
            |target: Target| scenario.is_none_or(|scenario| target.check_serves(scenario).is_ok());
        !is_served(self.target)
            // What it's to be compared with has none either.
            || (self.unit.is_ratio() && !is_served(self.target.reference()))
            || (is_counted && self.target.check_valgrind().is_err())
            || (self.unit == Unit::Kibibytes && self.target.check_allocator(self.allocator).is_err())
    }
}

impl Unit {
    /// The head of the value's column.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests/s",
            Self::HandshakesPerSecond => "handshakes/s",
            Self::ConnectionsPerSecond => "connections/s",
            Self::Microseconds => "CPU us/request",
            Self::HandshakeMicroseconds => "CPU us/handshake",
            Self::ConnectionMicroseconds => "CPU us/connection",
            Self::RateRatio => "rate x hyper",
            Self::Ratio => "x hyper",
            Self::P50 => "p50 us",
            Self::P90 => "p90 us",
            Self::P99 => "p99 us",
            Self::P999 => "p99.9 us",
            Self::Max => "max us",
            Self::LatencyRatio => "p99 x hyper",
            Self::Instructions => "instructions/request",
            Self::Syscalls => "syscalls/request",
            Self::Allocations => "allocations/request",
            Self::Bytes => "bytes/request",
            Self::Kibibytes => "KiB/connection",
        }
    }

    /// How many digits after the point mean something.
    pub(super) fn decimals(self) -> usize {
        match self {
            Self::RequestsPerSecond
            | Self::HandshakesPerSecond
            | Self::ConnectionsPerSecond
            | Self::P50
            | Self::P90
            | Self::P99
            | Self::P999
            | Self::Max
            | Self::Instructions
            | Self::Bytes => 0,
            Self::HandshakeMicroseconds | Self::ConnectionMicroseconds => 1,
            Self::Syscalls | Self::Allocations | Self::Kibibytes | Self::Microseconds => 2,
            Self::RateRatio | Self::Ratio | Self::LatencyRatio => 3,
        }
    }

    /// Whether it's a ratio of the same round, rather than a value.
    pub(super) fn is_ratio(self) -> bool {
        matches!(self, Self::RateRatio | Self::Ratio | Self::LatencyRatio)
    }

    /// Whether more of it is better.
    pub(super) fn is_rate(self) -> bool {
        matches!(
            self,
            Self::RequestsPerSecond
                | Self::HandshakesPerSecond
                | Self::ConnectionsPerSecond
                | Self::RateRatio
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Row, Unit};
    use crate::bench::target::{Allocator, Target};

    fn is_complete_without(row: Row) -> bool {
        let report = Report {
            about: String::new(),
            rows: vec![row],
            notes: Vec::new(),
            interrupted: false,
        };
        report.is_complete()
    }

    #[test]
    fn what_a_target_never_serves_is_not_missed() {
        let row = |target, unit, workload| Row {
            workload,
            ..Row::new("throughput", target, Allocator::Mimalloc, unit)
        };
        for (target, unit, workload, is_complete) in [
            (Target::Floor, Unit::Ratio, "json", true),
            (Target::Floor, Unit::Ratio, "plaintext", false),
            (Target::Floor, Unit::Ratio, "plaintext-h2", true),
            (Target::Tcp, Unit::Ratio, "plaintext-h2", false),
            (Target::Tcp, Unit::Microseconds, "plaintext-h2", false),
            (Target::Monoio, Unit::Instructions, "plaintext", true),
            (Target::Monoio, Unit::Syscalls, "plaintext", false),
            (Target::Nginx, Unit::Kibibytes, "fresh", true),
            (Target::Nginx, Unit::Ratio, "plaintext", false),
            (Target::Monoio, Unit::Ratio, "websocket", true),
            (Target::Monoio, Unit::Microseconds, "websocket", false),
            (Target::Tcp, Unit::Kibibytes, "fresh", false),
        ] {
            let row = row(target, unit, workload);
            assert_eq!(is_complete_without(row), is_complete, "{target}, {workload}");
        }
    }
}
