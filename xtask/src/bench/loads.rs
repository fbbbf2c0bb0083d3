//! The kinds of load that turns are made with.

use super::latency::Rates;
use super::target::Target;
use super::text::grouped;
use super::turns::{Begin, Done, Load};
use anyhow::Context as _;
use anyport_bench_load::{Amount, Churn, ClosedLoop, H2Load, Handshake, Handshakes, OpenLoop, Workload};
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// Keep-alive connections, each of which asks again as soon as it's answered.
pub(super) fn closed(workload: Workload) -> Begin {
    Begin::in_slices(move |course, _, address, patience| {
        ClosedLoop::connect(address, workload, course.connections, patience)
    })
}

/// The same over HTTP/2, with so many requests in flight on each connection.
pub(super) fn http2(streams: NonZeroUsize) -> Begin {
    Begin::whole(move |course, _, address, patience| {
        let connections = NonZeroUsize::new(course.connections).context("no connections")?;
        H2Load::new(address, Workload::Plaintext, connections, streams, patience)
    })
}

/// Requests at a constant rate, each target's own.
pub(super) fn open(workload: Workload, rates: Rates) -> Begin {
    Begin::whole(move |course, target, address, patience| {
        let rate = *rates.get(&target).context("it isn't known how much it can do")?;
        let open_loop = OpenLoop::connect(address, workload, course.connections, patience)?;
        Ok(Steady { open_loop, rate })
    })
}

/// The rate that can be sustained.
pub(super) fn search(workload: Workload, probes: usize) -> Begin {
    Begin::whole(move |course, _, address, patience| {
        let connections = course.connections;
        Ok(Search {
            closed_loop: ClosedLoop::connect(address, workload, connections, patience)?,
            open_loop: OpenLoop::connect(address, workload, connections, patience)?,
            probes,
        })
    })
}

/// A new connection for each request.
pub(super) fn churn(workload: Workload) -> Begin {
    Begin::in_slices(move |course, _, address, patience| {
        Churn::new(address, workload, course.connections, NonZeroU64::MIN, patience)
    })
}

/// New connections that make a TLS handshake each.
pub(super) fn handshakes(handshake: Handshake) -> Begin {
    Begin::in_slices(move |course, target: Target, address, patience| {
        anyhow::ensure!(target.is_tls(), "it makes no TLS handshakes");
        Handshakes::new(address, course.connections, handshake, patience)
    })
}

impl Load for ClosedLoop {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = Self::run(self, Amount::For(duration))?;
        Ok(Done {
            effort: Some(outcome.effort),
            latency: outcome.latency,
            ..Done::of(outcome.requests)
        })
    }

    fn objection(&mut self, duration: Duration) -> Option<String> {
        let starved = self.starved();
        (starved > 0).then(|| format!("it answered nothing on {starved} of its connections for {duration:?}"))
    }
}

impl Load for H2Load {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = Self::run(self, Amount::For(duration))?;
        Ok(Done {
            rate: Some(outcome.rate),
            effort: Some(outcome.effort),
            latency: outcome.latency,
            objection: outcome
                .starved
                .then(|| format!("it answered nothing on at least one of its connections for {duration:?}")),
            ..Done::of(outcome.requests)
        })
    }
}

/// Who sends a request later than this measures itself.
const LATE: Duration = Duration::from_millis(1);

/// A rate that stays the same.
struct Steady {
    open_loop: OpenLoop,
    rate: f64,
}

impl Load for Steady {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = self.open_loop.run(self.rate, duration)?;
        let kept = outcome.kept_rate();
        let (achieved, rate) = (outcome.achieved, self.rate);
        Ok(Done {
            rate: Some(achieved),
            is_paced: true,
            late: outcome.lateness.share_above(LATE),
            latency: Some(outcome.latency),
            objection: (!kept).then(|| {
                format!(
                    "it answers {} of {} requests per second, and its latency only grows; take a lower --rate",
                    grouped(achieved, 0),
                    grouped(rate, 0)
                )
            }),
            ..Done::of(outcome.requests)
        })
    }
}

/// Looks for the highest rate that a server keeps without being late.
struct Search {
    closed_loop: ClosedLoop,
    open_loop: OpenLoop,
    probes: usize,
}

impl Load for Search {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        /// In time is who answers 99 of 100 within this.
        const IN_TIME: Duration = Duration::from_millis(10);
        let closed = self.closed_loop.run(Amount::For(duration))?;
        // Nobody sustains more than what it does when it's asked all the time.
        let (mut low, mut high) = (0.0, closed.requests as f64 / closed.effort.elapsed.as_secs_f64());
        let mut requests = closed.requests;
        let mut late: f64 = 0.0;
        for _ in 0..self.probes {
            let rate = f64::midpoint(low, high);
            let outcome = self.open_loop.run(rate, duration)?;
            requests += outcome.requests;
            if outcome.kept_rate() && outcome.latency.percentile(99.0) <= IN_TIME {
                low = rate;
            } else {
                high = rate;
                // What failed because of the load says nothing of the server.
                late = late.max(outcome.lateness.share_above(LATE));
            }
        }
        Ok(Done {
            rate: Some(low),
            is_paced: true,
            late,
            ..Done::of(requests)
        })
    }

    fn warm_up(&mut self, duration: Duration) -> anyhow::Result<Done> {
        Load::run(&mut self.closed_loop, duration)
    }
}

impl Load for Churn {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = Self::run(self, Amount::For(duration))?;
        Ok(Done {
            effort: Some(outcome.effort),
            ..Done::of(outcome.connections)
        })
    }
}

impl Load for Handshakes {
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let outcome = Self::run(self, Amount::For(duration))?;
        Ok(Done {
            effort: Some(outcome.effort),
            ..Done::of(outcome.handshakes)
        })
    }
}
