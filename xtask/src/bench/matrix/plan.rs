//! What a run measures, part after part.

use super::MatrixOptions;
use crate::bench::latency::Rates;
use crate::bench::report::{Report, Unit};
use crate::bench::results::Section;
use crate::bench::scenario::Scenario;
use crate::bench::session::Session;
use crate::bench::target::{Allocator, Target};
use crate::bench::turns::{self, Course, TurnOptions, Value};
use crate::bench::{counted, handshakes, idle, latency, loads};
use anyport_bench_child::Workload;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

/// New connections that are under way at once.
const LANES: usize = 16;
/// Requests in flight on each connection of HTTP/2: enough that answers share their writes.
const STREAMS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// What can be measured; some have several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Figure {
    /// Requests per second and CPU time per request, for each workload
    Throughput,
    /// How late answers are, at a rate that's the same for all
    Latency,
    /// CPU time per request that has a connection of its own
    Churn,
    /// CPU time per TLS handshake, full and resumed
    Handshakes,
    /// System calls per request
    Syscalls,
    /// User instructions per request
    Instructions,
    /// Allocations per request
    Allocations,
    /// Memory per idle connection
    Idle,
}

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Throughput { scenario: Scenario, connections: usize },
    Latency { connections: usize, rate: Rate },
    Sustained { connections: usize },
    Churn,
    Handshakes,
    Syscalls,
    Instructions,
    Allocations,
    Idle,
}

/// At which rate latencies are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// The same for all.
    Common,
    /// A share of what each can sustain.
    Sustained,
}

/// What's known of plaintext by now, by the number of connections.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What each target can do in a second.
    peaks: BTreeMap<usize, Rates>,
    /// What each can sustain.
    sustained: BTreeMap<usize, Rates>,
}

/// All that's to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    pub(super) parts: Vec<Part>,
}

impl Plan {
    pub(super) fn new(options: &MatrixOptions) -> Self {
        let targets = options.targets();
        let mut parts = Vec::new();
        for figure in options.figures() {
            match figure {
                Figure::Throughput => {
                    for scenario in options.scenarios() {
                        let part = |connections| Part::Throughput {
                            scenario,
                            connections,
                        };
                        parts.extend(options.connections(scenario).into_iter().map(part));
                    }
                }
                Figure::Latency => {
                    // One alone is never in another's way.
                    let crowds = options.connections(Scenario::Http1(Workload::Json));
                    for connections in crowds {
                        let part = |rate| Part::Latency { connections, rate };
                        parts.push(part(Rate::Common));
                        if options.sustainable {
                            parts.extend([Part::Sustained { connections }, part(Rate::Sustained)]);
                        }
                    }
                }
                Figure::Churn => parts.push(Part::Churn),
                Figure::Handshakes if targets.iter().any(|target| target.is_tls()) => {
                    parts.push(Part::Handshakes);
                }
                Figure::Handshakes => {}
                Figure::Syscalls => parts.push(Part::Syscalls),
                Figure::Instructions => parts.push(Part::Instructions),
                Figure::Allocations => parts.push(Part::Allocations),
                Figure::Idle => parts.push(Part::Idle),
            }
        }
        Self { targets, parts }
    }

    /// How long it takes from this part on, if nothing has to be repeated.
    pub(super) fn estimate(&self, options: &MatrixOptions, from: usize) -> Duration {
        let targets = self.targets.len() as f64;
        let round = targets * (options.turns.duration.as_secs_f64() + turns::OVERHEAD.as_secs_f64());
        let rounds = options.turns.rounds.get() as f64;
        let repeats = options.repeats.get() as f64;
        let seconds = |part: &Part| match part {
            Part::Throughput { .. } | Part::Latency { .. } | Part::Churn => rounds * round,
            Part::Sustained { .. } => rounds * round * latency::PROBES as f64,
            Part::Handshakes => {
                let tls = self.targets.iter().filter(|target| target.is_tls()).count();
                2.0 * rounds * round * tls as f64 / targets
            }
            Part::Syscalls => repeats * 2.0 * targets,
            Part::Instructions | Part::Allocations => repeats * 6.0 * targets,
            Part::Idle => repeats * 20.0 * targets,
        };
        Duration::from_secs_f64(self.parts.iter().skip(from).map(seconds).sum())
    }
}

impl Part {
    pub(super) fn measure(&self, session: &mut Session, options: &MatrixOptions, known: &Known) -> Report {
        let turns = &options.turns;
        match *self {
            Self::Throughput {
                scenario,
                connections,
            } => throughput(session, turns, scenario, connections),
            Self::Latency { connections, rate } => match rate {
                Rate::Common => {
                    let peaks = known.peaks.get(&connections);
                    latency::common(session, turns, connections, options.rate, peaks)
                }
                Rate::Sustained => {
                    let sustained = known.sustained.get(&connections);
                    latency::sustained(session, turns, connections, sustained)
                }
            },
            Self::Sustained { connections } => latency::search(session, turns, connections),
            Self::Churn => {
                let course = Course {
                    figure: "churn",
                    workload: Workload::Plaintext.name(),
                    connections: LANES,
                    values: vec![
                        Value {
                            ratio: Some(Unit::RateRatio),
                            ..Value::rate(Unit::ConnectionsPerSecond)
                        },
                        Value::time(Unit::ConnectionMicroseconds),
                    ],
                    load: loads::churn(Workload::Plaintext),
                };
                let what = format!("CPU time per connection that has one request, {LANES} at once");
                turns::run(session, turns, &what, &[course])
            }
            Self::Handshakes => with(session, Target::is_tls, |session| {
                handshakes::measure(session, turns, LANES)
            }),
            Self::Syscalls => counted::run(session, &counted::SYSCALLS, options.repeats),
            Self::Instructions => counted::run(session, &counted::INSTRUCTIONS, options.repeats),
            Self::Allocations => counted::run(session, &counted::ALLOCATIONS, options.repeats),
            Self::Idle => idle::run(session, idle::STEPS, &[Allocator::Mimalloc], options.repeats),
        }
    }

    /// Takes down what a later part builds on.
    pub(super) fn remember(&self, report: &Report, known: &mut Known) {
        match *self {
            Self::Throughput {
                scenario: Scenario::PLAINTEXT,
                connections,
            } => drop(known.peaks.insert(connections, latency::rates(report))),
            Self::Sustained { connections } => {
                known.sustained.insert(connections, latency::rates(report));
            }
            _ => {}
        }
    }

    /// What's kept of it.
    pub(super) fn section(&self, report: &Report) -> Section {
        let mut section = Section::new(self.figure(), report);
        if let Some(setting) = self.setting() {
            for note in &mut section.notes {
                *note = format!("{setting}: {note}");
            }
        }
        section
    }

    /// What tells it from other parts of its figure.
    pub(super) fn setting(&self) -> Option<String> {
        match self {
            Self::Throughput {
                scenario,
                connections,
            } => Some(format!("{}, connections: {connections}", scenario.name())),
            Self::Latency { connections, .. } | Self::Sustained { connections } => {
                Some(format!("connections: {connections}"))
            }
            _ => None,
        }
    }

    pub(super) fn figure(&self) -> &'static str {
        match self {
            Self::Throughput { .. } => "throughput",
            Self::Latency {
                rate: Rate::Common, ..
            } => "latency",
            Self::Latency { .. } => "latency-sustained",
            Self::Sustained { .. } => "sustained",
            Self::Churn => "churn",
            Self::Handshakes => "handshakes",
            Self::Syscalls => "syscalls",
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::Idle => "idle",
        }
    }
}

fn throughput(session: &mut Session, turns: &TurnOptions, scenario: Scenario, connections: usize) -> Report {
    let mut what = "Requests per second and CPU time per request, with connections that ask again as soon as they're answered".to_owned();
    let load = match scenario {
        Scenario::Http1(workload) => loads::closed(workload),
        Scenario::PlaintextH2 => {
            what += &format!(" over HTTP/2, by h2load, {STREAMS} requests at a time on each");
            loads::http2(STREAMS)
        }
    };
    let course = Course {
        figure: "throughput",
        workload: scenario.name(),
        connections,
        values: vec![
            Value {
                ratio: Some(Unit::RateRatio),
                ..Value::rate(Unit::RequestsPerSecond)
            },
            Value::time(Unit::Microseconds),
        ],
        load,
    };
    turns::run(session, turns, &what, &[course])
}

/// Does something with those targets only that it fits.
fn with<T>(session: &mut Session, fits: fn(Target) -> bool, measure: impl FnOnce(&mut Session) -> T) -> T {
    let some = session
        .targets
        .iter()
        .copied()
        .filter(|&target| fits(target))
        .collect();
    let all = std::mem::replace(&mut session.targets, some);
    let measured = measure(session);
    session.targets = all;
    measured
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.figure())?;
        self.setting().map_or(Ok(()), |setting| write!(f, ", {setting}"))
    }
}
