//! A server that takes turns with others, and what came of it.

use super::affinity::Place;
use super::load::{Done, Load};
use super::noise::{Noise, Sample};
use super::server::Server;
use super::target::Target;
use super::timed::{Stage, Window};
use super::workload::Scenario;
use anyport_bench_load::Effort;
use std::time::{Duration, Instant};

/// How long each has a turn. In less it would do little but fill its caches; with more, windows
/// agree less.
pub(super) const SLICE: Duration = Duration::from_millis(10);
/// How often each connection has a response in a turn, at least, if responses are short: a turn
/// ends when all have theirs, and who comes last is not to be taken for starved.
pub(super) const RESPONSES: f64 = 5.0;
/// No turn is longer for their sake.
const LONGEST_SLICE: f64 = 0.1;

/// A server that is asked, and what came of it.
pub(super) struct Contender<'a> {
    pub(super) target: &'a Target,
    pub(super) server: Server,
    load: Load,
    /// What it did in a second of its warm-up.
    pub(super) rate: f64,
    sum: Done,
    elapsed: Duration,
}

/// In how many slices a window goes, if none may be shorter than so many seconds.
pub(super) fn slices(window: Duration, shortest: f64) -> u32 {
    let shortest = shortest.clamp(SLICE.as_secs_f64(), LONGEST_SLICE);
    ((window.as_secs_f64() / shortest).round() as u32).max(1)
}

pub(super) fn sample(contenders: &[Contender<'_>], place: &Place) -> anyhow::Result<Sample> {
    let servers = contenders
        .iter()
        .map(|contender| contender.server.processes().numbers().to_vec());
    Sample::take(&servers.collect::<Vec<_>>(), &place.watched())
}

impl<'a> Contender<'a> {
    pub(super) fn new(target: &'a Target, server: Server, load: Load, rate: f64) -> Self {
        Self {
            target,
            server,
            load,
            rate,
            sum: Done::default(),
            elapsed: Duration::ZERO,
        }
    }

    /// What it has done so far counts for nothing.
    pub(super) fn forget(&mut self) {
        let _ = self.load.starved();
        (self.sum, self.elapsed) = (Done::default(), Duration::ZERO);
    }

    pub(super) fn run(&mut self, slice: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let done = self.load.run(slice)?;
        self.elapsed += begun.elapsed();
        self.sum = Done {
            count: self.sum.count + done.count,
            effort: Effort {
                elapsed: self.sum.effort.elapsed + done.effort.elapsed,
                cpu: self.sum.effort.cpu + done.effort.cpu,
            },
            ..done
        };
        Ok(())
    }

    pub(super) fn end(
        &mut self,
        before: &Sample,
        after: &Sample,
        stage: &Stage<'_>,
        scenario: &'static Scenario,
    ) -> anyhow::Result<Window> {
        let first = self
            .server
            .processes()
            .numbers()
            .first()
            .copied()
            .unwrap_or_default();
        let nanoseconds = after.server_time_since(before, first)? as f64;
        let starved = self.load.starved();
        // Of long responses there may be too few in a window for each connection to have one.
        let is_enough = self.sum.count as f64 >= RESPONSES * scenario.connections as f64;
        anyhow::ensure!(
            starved == 0 || !is_enough,
            "it answered nothing on {starved} of {} connections for {:?}",
            scenario.connections,
            self.elapsed
        );
        anyhow::ensure!(
            self.sum.count > 0,
            "it answered nothing for {:?}",
            self.elapsed
        );
        let (count, seconds) = (self.sum.count as f64, self.elapsed.as_secs_f64());
        let noise = Noise::between(before, after);
        let peak = scenario
            .has_peak()
            .then(|| self.server.processes().peak_memory())
            .transpose()?;
        Ok(Window {
            target: self.target.name.clone(),
            workload: scenario.name,
            round: stage.round,
            cpu: nanoseconds / 1000.0 / count,
            rate: self.sum.rate.unwrap_or(count / seconds),
            busy: nanoseconds / 1e9 / seconds / stage.place.cores() as f64,
            load_busy: self.sum.effort.busy(),
            peak,
            latency: self.sum.latency,
            stolen: noise.stolen,
            foreign: noise.foreign,
            disturbance: noise.disturbance().map(|(what, _)| what),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::slices;
    use std::time::Duration;

    #[test]
    fn a_slice_has_several_responses_of_each_connection() {
        let window = Duration::from_millis(300);
        assert_eq!(slices(window, 0.001), 30);
        assert_eq!(slices(window, 0.05), 6);
        // Long responses don't make it longer than a tenth of a second.
        assert_eq!(slices(window, 2.0), 3);
        assert_eq!(slices(Duration::from_millis(40), 2.0), 1);
    }
}
