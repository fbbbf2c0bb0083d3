//! One interface for all kinds of load.

use super::workload::{Kind, Scenario};
use anyport_bench_load::{self as load, Address, Amount, CpuUse, H2Load, Mixed, Timeout};
use std::time::Duration;

/// Requests in flight on each connection of HTTP/2, so that responses share their writes.
const STREAMS: usize = 8;

pub(super) enum Load {
    Busy(load::Load),
    Mixed(Box<Mixed>),
    External(H2Load, Address, usize, Timeout),
}

/// The result of a run.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) count: u64,
    /// Per second, if that is not the count divided by the time.
    pub(super) rate: Option<f64>,
    pub(super) cpu: CpuUse,
    /// The median and the 99th percentile in microseconds.
    pub(super) latency: Option<(f64, f64)>,
}

impl Load {
    /// Connects. `rate` is that of latencies.
    ///
    /// # Errors
    ///
    /// When the server does something unexpected.
    pub(super) fn connect(
        scenario: &Scenario,
        address: &Address,
        rate: f64,
        timeout: &Timeout,
    ) -> anyhow::Result<Self> {
        let connections = scenario.connections;
        let external = |tool| Self::External(tool, address.clone(), connections, timeout.clone());
        Ok(match scenario.kind {
            Kind::Busy(kind) => {
                Self::Busy(load::Load::connect(address, kind, connections, timeout)?)
            }
            Kind::Http2 => external(H2Load::Http2 { streams: STREAMS }),
            Kind::Latency => external(H2Load::Paced { rate }),
            Kind::Mixed => Self::Mixed(Box::new(Mixed::connect(address, connections, timeout)?)),
            _ => anyhow::bail!("`{}` is not measured by time", scenario.name),
        })
    }

    /// Runs for so long, and completes what was begun.
    pub(super) fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = match self {
            Self::Busy(load) => load.run(Amount::For(duration))?,
            Self::Mixed(load) => load.run(duration)?,
            Self::External(tool, address, connections, timeout) => {
                let outcome = tool.run(address, *connections, duration, timeout)?;
                let at = |share: f64| {
                    let last = outcome.latencies.len().checked_sub(1)?;
                    Some(outcome.latencies[(share * last as f64) as usize] as f64)
                };
                return Ok(Done {
                    count: outcome.requests,
                    rate: Some(outcome.rate),
                    cpu: outcome.cpu,
                    latency: at(0.5).zip(at(0.99)),
                });
            }
        };
        Ok(Done {
            count: outcome.count,
            cpu: outcome.cpu,
            ..Done::default()
        })
    }

    /// How many connections had no response since the last call.
    pub(super) fn take_starved(&mut self) -> usize {
        match self {
            Self::Busy(load) => load.take_starved(),
            _ => 0,
        }
    }
}
