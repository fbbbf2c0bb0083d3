//! What keeps a server busy, whichever kind of load that is.

use super::workload::{Kind, Scenario};
use anyport_bench_load::{self as load, Address, Amount, Effort, H2Load, Mixed, Patience};
use std::time::Duration;

/// Requests in flight on each connection of HTTP/2: enough that responses share their writes.
const STREAMS: usize = 8;

pub(super) enum Load {
    Busy(load::Load),
    Mixed(Box<Mixed>),
    Outside(H2Load, Address, usize, Patience),
}

/// What a load did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) count: u64,
    /// How many there were in a second, if that is not their number divided by the time.
    pub(super) rate: Option<f64>,
    /// What the load took itself.
    pub(super) effort: Effort,
    /// The 50th and the 99th percentile in microseconds.
    pub(super) latency: Option<(f64, f64)>,
}

impl Load {
    /// Connects; `rate` is that of latencies.
    ///
    /// # Errors
    ///
    /// When the server does not play along.
    pub(super) fn connect(
        scenario: &Scenario,
        address: &Address,
        rate: f64,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let connections = scenario.connections;
        let outside = |tool| Self::Outside(tool, address.clone(), connections, patience.clone());
        Ok(match scenario.kind {
            Kind::Busy(kind) => {
                Self::Busy(load::Load::connect(address, kind, connections, patience)?)
            }
            Kind::Http2 => outside(H2Load::Http2 { streams: STREAMS }),
            Kind::Latency => outside(H2Load::Paced { rate }),
            Kind::Mixed => Self::Mixed(Box::new(Mixed::connect(address, connections, patience)?)),
            _ => anyhow::bail!("`{}` is not measured by time", scenario.name),
        })
    }

    /// All that was begun within the time, and ended.
    pub(super) fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = match self {
            Self::Busy(load) => load.run(Amount::For(duration))?,
            Self::Mixed(load) => load.run(duration)?,
            Self::Outside(tool, address, connections, patience) => {
                let outcome = tool.run(address, *connections, duration, patience)?;
                let at = |share: f64| {
                    let last = outcome.latencies.len().checked_sub(1)?;
                    Some(outcome.latencies[(share * last as f64) as usize] as f64)
                };
                return Ok(Done {
                    count: outcome.requests,
                    rate: Some(outcome.rate),
                    effort: outcome.effort,
                    latency: at(0.5).zip(at(0.99)),
                });
            }
        };
        Ok(Done {
            count: outcome.count,
            effort: outcome.effort,
            ..Done::default()
        })
    }

    /// How many connections had no response since this was last asked.
    pub(super) fn starved(&mut self) -> usize {
        match self {
            Self::Busy(load) => load.starved(),
            _ => 0,
        }
    }
}
