//! What was measured: rows, as `--json` prints them and as the table draws them.

use super::target::{Allocator, Target};
use serde::{Serialize, Serializer};

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
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) figure: &'static str,
    #[serde(serialize_with = "target_name")]
    pub(super) target: Target,
    pub(super) transport: &'static str,
    pub(super) workload: &'static str,
    #[serde(serialize_with = "allocator_name")]
    pub(super) allocator: Allocator,
    pub(super) connections: usize,
    pub(super) value: Option<f64>,
    pub(super) unit: Unit,
    #[serde(flatten)]
    pub(super) interval: Option<Interval>,
    /// How well a straight line fits, for a value that is a slope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r_squared: Option<f64>,
    /// What the line was drawn through: connections, and the whole process's value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) points: Vec<(f64, f64)>,
    /// Why there's no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// Where the value lies with a probability of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Unit {
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
    #[serde(rename = "us/request")]
    Microseconds,
    #[serde(rename = "us/handshake")]
    HandshakeMicroseconds,
    /// To the reference.
    #[serde(rename = "ratio")]
    Ratio,
    #[serde(rename = "handshakes/s")]
    HandshakesPerSecond,
}

impl Report {
    /// Whether each row has its value.
    pub(super) fn is_complete(&self) -> bool {
        !self.interrupted && self.rows.iter().all(|row| row.value.is_some())
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

impl Row {
    /// A row without a value, still.
    pub(super) fn new(figure: &'static str, target: Target, allocator: Allocator, unit: Unit) -> Self {
        Self {
            figure,
            target,
            transport: target.transport(),
            workload: "plaintext",
            allocator,
            connections: 0,
            value: None,
            unit,
            interval: None,
            r_squared: None,
            points: Vec::new(),
            reason: None,
        }
    }
}

impl Unit {
    /// The head of the value's column.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Instructions => "instructions/request",
            Self::Syscalls => "syscalls/request",
            Self::Allocations => "allocations/request",
            Self::Bytes => "bytes/request",
            Self::Kibibytes => "KiB/connection",
            Self::Microseconds => "CPU us/request",
            Self::HandshakeMicroseconds => "CPU us/handshake",
            Self::Ratio => "x hyper",
            Self::HandshakesPerSecond => "handshakes/s",
        }
    }

    /// How many digits after the point mean something.
    pub(super) fn decimals(self) -> usize {
        match self {
            Self::Instructions | Self::Bytes | Self::HandshakesPerSecond => 0,
            Self::HandshakeMicroseconds => 1,
            Self::Syscalls | Self::Allocations | Self::Kibibytes | Self::Microseconds => 2,
            Self::Ratio => 3,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn target_name<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(target.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn allocator_name<S: Serializer>(allocator: &Allocator, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(allocator.name())
}
