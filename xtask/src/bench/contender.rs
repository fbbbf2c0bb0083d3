//! A server that takes turns with others, and the window that comes of it.

use super::noise::Sample;
use super::pinning::Pinning;
use super::server::Server;
use super::target::Target;
use super::timed::{Round, WARM_UP, Window};
use super::workload::{Kind, Scenario};
use anyport_bench_load::{Clients, CpuUse, H2Load, Load, Mixed, Outcome, Timeout};
use std::time::{Duration, Instant};

/// A turn. In a shorter one, a server would do little but fill its caches. With longer ones,
/// windows differ more.
pub(super) const SLICE: Duration = Duration::from_millis(10);
/// How many responses each connection has in a turn at least, if responses are short. A turn ends
/// when all connections have theirs, and the last ones are not to be starved.
const RESPONSES: f64 = 5.0;
/// No turn is longer for their sake, in seconds.
const LONGEST_SLICE: f64 = 0.1;

/// Requests in flight on each connection of HTTP/2, so that responses share their writes.
const STREAMS: usize = 8;

pub(super) struct Contender<'a> {
    pub(super) target: &'a Target,
    pub(super) server: Server,
    /// Of the current workload.
    load: Option<Box<dyn Load>>,
    /// Responses per second during the warm-up.
    pub(super) rate: f64,
    sum: Outcome,
    elapsed: Duration,
}

/// All clocks, before or after the turns of these.
pub(super) fn sample(contenders: &[Contender<'_>], pinning: &Pinning) -> anyhow::Result<Sample> {
    let servers = contenders.iter().map(|of| &of.server);
    let all = servers.flat_map(|of| [Some(of), of.upstream()]);
    let processes = all.flatten().map(|of| of.processes().numbers().to_vec());
    Sample::take(&processes.collect::<Vec<_>>(), pinning.cores())
}

/// How many slices a window has, if the slowest server has so many responses per second.
pub(super) fn slices(window: Duration, connections: usize, slowest: f64) -> u32 {
    let wanted = RESPONSES * connections as f64 / slowest;
    let slice = wanted.clamp(SLICE.as_secs_f64(), LONGEST_SLICE);
    ((window.as_secs_f64() / slice).round() as u32).max(1)
}

impl<'a> Contender<'a> {
    pub(super) fn new(target: &'a Target, server: Server) -> Self {
        Self {
            target,
            server,
            load: None,
            rate: 0.0,
            sum: Outcome::default(),
            elapsed: Duration::ZERO,
        }
    }

    /// Connects, and warms up.
    pub(super) fn connect(&mut self, scenario: &Scenario, timeout: &Timeout) -> anyhow::Result<()> {
        self.load = None;
        if scenario.has_peak() {
            self.server.processes().reset_peak()?;
        }
        let (address, connections) = (self.server.address(), scenario.connections);
        self.load = Some(match scenario.kind {
            Kind::Busy(kind) => Box::new(Clients::connect(address, kind, connections, timeout)?),
            Kind::Mixed => Box::new(Mixed::connect(address, connections, timeout)?),
            Kind::Http2 => Box::new(H2Load {
                address: address.clone(),
                connections,
                streams: STREAMS,
            }),
            _ => anyhow::bail!("`{}` is not measured by time", scenario.name),
        });
        self.reset();
        if !scenario.is_http2() {
            self.run(WARM_UP)?;
            self.rate = self.sum.count as f64 / self.elapsed.as_secs_f64();
            self.reset();
        }
        Ok(())
    }

    /// Forgets what it has done so far.
    pub(super) fn reset(&mut self) {
        let _ = self.load.as_mut().map(|load| load.take_starved());
        (self.sum, self.elapsed) = (Outcome::default(), Duration::ZERO);
    }

    /// Takes a turn.
    pub(super) fn run(&mut self, slice: Duration) -> anyhow::Result<()> {
        let Some(load) = &mut self.load else {
            return Ok(());
        };
        let start = Instant::now();
        let done = load.run_for(slice)?;
        self.elapsed += start.elapsed();
        self.sum = Outcome {
            count: self.sum.count + done.count,
            cpu: CpuUse {
                elapsed: self.sum.cpu.elapsed + done.cpu.elapsed,
                cpu: self.sum.cpu.cpu + done.cpu.cpu,
            },
            ..done
        };
        Ok(())
    }

    /// Closes its connections, and makes a window of its turns.
    pub(super) fn finish(
        &mut self,
        before: &Sample,
        after: &Sample,
        round: &Round<'_>,
        scenario: &'static Scenario,
    ) -> anyhow::Result<Window> {
        let starved = self.load.take().map_or(0, |mut load| load.take_starved());
        let first = self.server.processes().numbers().first();
        let time = after.server_time_since(before, first.copied().unwrap_or_default())? as f64;
        // Of long responses, a window may have too few for each connection to have one.
        let is_enough = self.sum.count as f64 >= RESPONSES * scenario.connections as f64;
        let (elapsed, connections) = (self.elapsed, scenario.connections);
        anyhow::ensure!(
            starved == 0 || !is_enough,
            "it answered nothing on {starved} of {connections} connections for {elapsed:?}"
        );
        anyhow::ensure!(self.sum.count > 0, "it answered nothing for {elapsed:?}");
        let (count, seconds) = (self.sum.count as f64, elapsed.as_secs_f64());
        let processes = self.server.processes();
        let peak = scenario.has_peak().then(|| processes.peak_memory());
        Ok(Window {
            target: self.target.name.clone(),
            workload: scenario.name,
            round: round.number,
            cpu: time / 1000.0 / count,
            rate: self.sum.rate.unwrap_or(count / seconds),
            busy: time / 1e9 / seconds / round.pinning.server_cores() as f64,
            load_busy: self.sum.cpu.share(),
            peak: peak.transpose()?,
            foreign: after.foreign_since(before),
        })
    }
}
