//! How the page calls what the results name by short words.

use crate::bench::report::{Mark, Unit, Verdict};
use crate::bench::results::Record;
use crate::bench::text::grouped;

/// The head of a figure's section.
pub(super) fn figure(name: &str) -> &str {
    match name {
        "throughput" => "Throughput",
        "latency" => "Latency",
        "sustained" => "Sustained rates",
        "latency-sustained" => "Latency at 80 % of each one's sustained rate",
        "churn" => "New connections",
        "handshakes" => "TLS handshakes",
        "syscalls" => "System calls",
        "instructions" => "User instructions",
        "allocations" => "Allocations",
        "idle" => "Memory of idle connections",
        "cpu" => "CPU time",
        other => other,
    }
}

/// The head of a unit's chart or column.
pub(super) fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::RateRatio => "Rate × reference",
        Unit::Ratio => "CPU time × reference",
        Unit::LatencyRatio => "p99 × reference",
        Unit::Microseconds => "CPU µs/request",
        Unit::HandshakeMicroseconds => "CPU µs/handshake",
        Unit::ConnectionMicroseconds => "CPU µs/connection",
        Unit::P50 => "p50 µs",
        Unit::P90 => "p90 µs",
        Unit::P99 => "p99 µs",
        Unit::P999 => "p99.9 µs",
        Unit::Max => "max µs",
        Unit::RequestsPerSecond => "Requests/s",
        Unit::HandshakesPerSecond => "Handshakes/s",
        Unit::ConnectionsPerSecond => "Connections/s",
        Unit::Instructions => "Instructions/request",
        Unit::Syscalls => "System calls/request",
        Unit::Allocations => "Allocations/request",
        Unit::Bytes => "Allocated bytes/request",
        Unit::Kibibytes => "KiB/connection",
    }
}

/// The same where these units stand beside it: a ratio says of what it is.
pub(super) fn head(unit: Unit, all: &[Unit]) -> String {
    let rate = all.iter().find(|other| other.is_rate() && !other.is_ratio());
    match (unit, rate) {
        (Unit::RateRatio, Some(&rate)) => format!("{} × reference", self::unit(rate)),
        _ => self::unit(unit).to_owned(),
    }
}

pub(super) fn transport(name: &str) -> &str {
    match name {
        "tcp" => "TCP",
        "unix" => "Unix sockets",
        "tls" => "TLS",
        other => other,
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Alike => "no difference shown",
    }
}

/// With as many digits as mean something.
pub(super) fn number(value: f64, unit: Unit) -> String {
    grouped(value, unit.decimals())
}

pub(super) fn interval(record: &Record) -> Option<String> {
    let interval = record.interval?;
    Some(format!(
        "{}–{}",
        number(interval.low, record.unit),
        number(interval.high, record.unit)
    ))
}

/// Of what was counted several times, unless all runs look alike.
pub(super) fn span(record: &Record) -> Option<String> {
    record.span?.shown(record.unit)
}

/// All there's to say of a record, for whoever points at its mark or can't see it.
pub(super) fn sentence(record: &Record) -> String {
    let Some(value) = record.value else {
        let reason = record.reason.as_deref().unwrap_or("nobody says why");
        return format!("{}: not measured: {reason}", record.target);
    };
    let mut text = format!("{}: {}", record.target, number(value, record.unit));
    if let Some(ends) = interval(record).or_else(|| span(record)) {
        text += &format!(" ({ends})");
    }
    if let Some(mark) = record.shown_mark() {
        text += match mark {
            Mark::ClientBound => ", client-bound: the load was busier than the server",
            Mark::Unsaturated => ", unsaturated: neither the load nor the server was busy",
            Mark::SystemAllocator => ", with the system's allocator",
        };
    } else if let Some(said) = record.verdict() {
        text += &format!(", {}", verdict(said));
    }
    text
}
