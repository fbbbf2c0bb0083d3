//! The kinds of load that turns are made with.

use super::latency::Rates;
use super::target::Target;
use super::turns::{Begin, Done, Load};
use anyport_bench_child::Workload;
use anyport_bench_load::{Amount, ClosedLoop, Handshake, Handshakes};
use std::time::Duration;

/// Keep-alive connections, each of which asks again as soon as it's answered.
pub(super) fn closed(workload: Workload) -> Begin {
    Box::new(move |course, target, address, patience| {
        target.check_answers()?;
        Ok(Box::new(ClosedLoop::connect(
            address,
            course.connections,
            patience,
        )?))
    })
}

/// New connections that make a TLS handshake each.
pub(super) fn handshakes(handshake: Handshake) -> Begin {
    Box::new(move |course, target: Target, address, patience| {
        anyhow::ensure!(target.is_tls(), "it makes no TLS handshakes");
        Ok(Box::new(Handshakes::new(
            address,
            course.connections,
            handshake,
            patience,
        )?))
    })
}

impl Load for ClosedLoop {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        Ok(Done {
            count: Self::run(self, Amount::For(duration))?,
            latency: None,
        })
    }
}

impl Load for Handshakes {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        Ok(Done {
            count: Self::run(self, Amount::For(duration))?,
            latency: None,
        })
    }
}

/// Requests at a constant rate, each target's own.
pub(super) fn open(workload: Workload, rates: Rates) -> Begin {
    Box::new(move |course, target, address, patience| anyhow::bail!("todo"))
}
pub(super) fn search(workload: Workload, probes: usize) -> Begin {
    Box::new(move |course, target, address, patience| anyhow::bail!("todo"))
}
pub(super) fn churn() -> Begin {
    Box::new(move |course, target, address, patience| anyhow::bail!("todo"))
}
