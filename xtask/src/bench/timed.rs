//! What takes time, where only a ratio can be trusted: in rounds over all targets and workloads,
//! each beside its reference. The windows of those that share a reference go in slices, in turns,
//! so that whatever the machine does meets all of them.

use super::affinity::Place;
use super::build::Binaries;
use super::contender::{Contender, RESPONSES, SLICE, sample, slices};
use super::context::Context;
use super::contract;
use super::load::Load;
use super::noise::Sample;
use super::server::{Server, Start};
use super::target::Target;
use super::workload::{self, Kind, Scenario};
use anyport_bench_load::{Interrupted, Patience};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// Of each target before its window; h2load has no other.
const WARM_UP: Duration = Duration::from_millis(50);
/// A server that says nothing for so long won't say anything any more: nothing slows it down here.
const SILENCE: Duration = Duration::from_secs(10);
/// A program of its own takes a while to begin.
const SHORTEST_OUTSIDE: Duration = Duration::from_millis(200);
/// Whose responses are so few in a second is not slower for having been idle.
const SHORT: f64 = 500.0;
/// Who fails in so many rounds is not tried again.
pub(super) const FAILURES: usize = 2;

/// What a target did in a round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Window {
    pub(super) target: String,
    pub(super) workload: &'static str,
    pub(super) round: usize,
    /// Microseconds of CPU time that each took.
    pub(super) cpu: f64,
    /// How many there were in a second.
    pub(super) rate: f64,
    /// The share of its cores' time in which the server had something to do, and the same of the
    /// load.
    pub(super) busy: f64,
    pub(super) load_busy: f64,
    /// Bytes of memory at the most.
    pub(super) peak: Option<u64>,
    pub(super) latency: Option<(f64, f64)>,
    /// What else the machine did, as a share of the time.
    pub(super) stolen: f64,
    pub(super) foreign: f64,
    /// What disturbed it, if that was too much.
    pub(super) disturbance: Option<&'static str>,
}

/// Windows, and why some have none.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) kept: Vec<Window>,
    /// By target and workload: how often it failed, and the latest reason.
    failures: BTreeMap<(String, &'static str), (usize, String)>,
    /// Whom the contract was checked for.
    checked: BTreeSet<(String, &'static str)>,
    /// The rate at which latencies are measured: the same for all.
    rate: f64,
}

/// What a batch is measured with.
pub(super) struct Stage<'a> {
    pub(super) context: &'a Context,
    pub(super) binaries: &'a Binaries,
    pub(super) place: &'a Place,
    pub(super) round: usize,
    pub(super) window: Duration,
    /// Nothing is begun afterwards.
    pub(super) end: Instant,
}

impl Windows {
    /// Why there is no window of it.
    pub(super) fn failure(&self, target: &str, workload: &'static str) -> Option<&str> {
        let failure = self.failures.get(&(target.to_owned(), workload));
        failure.map(|(_, reason)| reason.as_str())
    }

    fn is_given_up(&self, target: &str, workload: &'static str) -> bool {
        let failure = self.failures.get(&(target.to_owned(), workload));
        failure.is_some_and(|(times, _)| *times >= FAILURES)
    }

    fn fail(&mut self, target: &str, workload: &'static str, error: &anyhow::Error) {
        let failure = self
            .failures
            .entry((target.to_owned(), workload))
            .or_default();
        *failure = (failure.0 + 1, format!("{error:#}"));
    }

    /// Half of what the slowest one can, which is measured before the first latency.
    fn latency_rate(
        &mut self,
        stage: &Stage<'_>,
        servers: &[(&Target, Server)],
    ) -> anyhow::Result<f64> {
        if self.rate == 0.0 {
            let known = self
                .kept
                .iter()
                .filter(|window| window.workload == "plaintext");
            let slowest = known.map(|window| window.rate).fold(f64::MAX, f64::min);
            let slowest = match slowest {
                f64::MAX => probe(stage, servers)?,
                slowest => slowest,
            };
            self.rate = (slowest / 2.0 / 1000.0).floor().max(1.0) * 1000.0;
        }
        Ok(self.rate)
    }

    pub(super) fn rate(&self) -> Option<f64> {
        (self.rate > 0.0).then_some(self.rate)
    }

    /// One batch: the targets of one reference, in fresh processes, and several workloads one after
    /// the other.
    ///
    /// # Errors
    ///
    /// Only [`Interrupted`]: whatever else goes wrong costs the target its window.
    pub(super) fn measure(
        &mut self,
        stage: &Stage<'_>,
        targets: &[&Target],
        scenarios: &[&'static Scenario],
    ) -> Result<(), Interrupted> {
        let context = stage.context;
        let wrapper = stage.place.wrapper();
        let mut servers = Vec::new();
        for &target in targets {
            let is_wanted = |scenario: &&&Scenario| {
                target.serves(scenario).is_ok() && !self.is_given_up(&target.name, scenario.name)
            };
            if !scenarios.iter().any(|scenario| is_wanted(&scenario)) {
                continue;
            }
            match start(stage, target, scenarios[0].is_http2(), &wrapper) {
                Ok(server) => servers.push((target, server)),
                Err(error) => {
                    for scenario in scenarios {
                        self.fail(&target.name, scenario.name, &error);
                    }
                }
            }
            context.patience.check()?;
        }
        for scenario in scenarios {
            if Instant::now() >= stage.end {
                break;
            }
            context.progress.step(&format!(
                "round {}, {}: {}",
                stage.round + 1,
                scenario.name,
                targets
                    .iter()
                    .map(|target| target.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
            let (wanted, rest) =
                servers
                    .into_iter()
                    .partition(|(target, _): &(&Target, Server)| {
                        target.serves(scenario).is_ok()
                            && !self.is_given_up(&target.name, scenario.name)
                    });
            servers = rest;
            servers.extend(self.window(stage, wanted, scenario));
            context.patience.check()?;
        }
        for (_, server) in servers {
            // It has its windows; one that does not end is killed.
            let _ = server.stop();
        }
        context.patience.check()
    }

    /// A window of each; gives the servers that are still good.
    fn window<'a>(
        &mut self,
        stage: &Stage<'_>,
        servers: Vec<(&'a Target, Server)>,
        scenario: &'static Scenario,
    ) -> Vec<(&'a Target, Server)> {
        let patience = stage.context.patience.of(SILENCE);
        let rate = match scenario.kind {
            Kind::Latency => self.latency_rate(stage, &servers).unwrap_or(1000.0),
            _ => 0.0,
        };
        let (mut contenders, mut others) = (Vec::new(), Vec::new());
        for (target, mut server) in servers {
            if let Err(error) = self.check(target, &server, scenario, &patience) {
                let error = server.explain(error);
                self.fail(&target.name, scenario.name, &error);
                // It answers this in another way; it may be good for the rest.
                if server.is_running() {
                    others.push((target, server));
                }
                continue;
            }
            match Self::begin(&server, scenario, rate, &patience) {
                Ok((load, rate)) => contenders.push(Contender::new(target, server, load, rate)),
                Err(error) => {
                    let error = server.explain(error);
                    self.fail(&target.name, scenario.name, &error);
                }
            }
        }
        if scenario.is_in_slices() {
            let slowest = contenders.iter().map(|of| of.rate).fold(f64::MAX, f64::min);
            let slices = slices(
                stage.window,
                RESPONSES * scenario.connections as f64 / slowest,
            );
            if slowest > SHORT {
                // The first turn finds connections that have been idle for longer than between any
                // others.
                contenders = self.take_turns(contenders, scenario, SLICE);
            }
            contenders.iter_mut().for_each(Contender::forget);
            let before = sample(&contenders, stage.place);
            for _ in 0..slices {
                contenders = self.take_turns(contenders, scenario, stage.window / slices);
            }
            others.extend(self.end(stage, contenders, scenario, before));
        } else {
            for contender in contenders {
                let alone = vec![contender];
                let before = sample(&alone, stage.place);
                let slice = stage.window.max(SHORTEST_OUTSIDE);
                let alone = self.take_turns(alone, scenario, slice);
                others.extend(self.end(stage, alone, scenario, before));
            }
        }
        others
    }

    /// Once; who gives another response than all others is not asked again.
    fn check(
        &mut self,
        target: &Target,
        server: &Server,
        scenario: &'static Scenario,
        patience: &Patience,
    ) -> anyhow::Result<()> {
        let key = (target.name.clone(), scenario.name);
        if !self.checked.contains(&key) {
            contract::check(target, server.address(), scenario, patience)?;
            self.checked.insert(key);
        }
        Ok(())
    }

    /// Connects, and warms up.
    fn begin(
        server: &Server,
        scenario: &'static Scenario,
        rate: f64,
        patience: &Patience,
    ) -> anyhow::Result<(Load, f64)> {
        if scenario.has_peak() {
            server.processes().forget_peak()?;
        }
        let mut load = Load::connect(scenario, server.address(), rate, patience)?;
        if !scenario.is_in_slices() {
            return Ok((load, 0.0));
        }
        let begun = Instant::now();
        let done = load.run(WARM_UP)?;
        let _ = load.starved();
        Ok((load, done.count as f64 / begun.elapsed().as_secs_f64()))
    }

    /// A slice of each; who fails has no other.
    fn take_turns<'a>(
        &mut self,
        contenders: Vec<Contender<'a>>,
        scenario: &'static Scenario,
        slice: Duration,
    ) -> Vec<Contender<'a>> {
        let mut others = Vec::new();
        for mut contender in contenders {
            match contender.run(slice) {
                Ok(()) => others.push(contender),
                Err(error) => {
                    let error = contender.server.explain(error);
                    self.fail(&contender.target.name, scenario.name, &error);
                }
            }
        }
        others
    }

    fn end<'a>(
        &mut self,
        stage: &Stage<'_>,
        contenders: Vec<Contender<'a>>,
        scenario: &'static Scenario,
        before: anyhow::Result<Sample>,
    ) -> Vec<(&'a Target, Server)> {
        let both = before.and_then(|before| Ok((before, sample(&contenders, stage.place)?)));
        let mut servers = Vec::new();
        for mut contender in contenders {
            let window = match &both {
                Ok((before, after)) => contender.end(before, after, stage, scenario),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            match window {
                Ok(window) => self.kept.push(window),
                Err(error) => self.fail(&contender.target.name, scenario.name, &error),
            }
            servers.push((contender.target, contender.server));
        }
        servers
    }
}

fn start(
    stage: &Stage<'_>,
    target: &Target,
    http2: bool,
    wrapper: &[OsString],
) -> anyhow::Result<Server> {
    let start = Start {
        wrapper,
        http2,
        ..Start::default()
    };
    Server::start(stage.context, stage.binaries, target, start)
}

/// What the slowest of these can do in a second.
fn probe(stage: &Stage<'_>, servers: &[(&Target, Server)]) -> anyhow::Result<f64> {
    let patience = stage.context.patience.of(SILENCE);
    let mut slowest = f64::MAX;
    for (_, server) in servers {
        let mut load = Load::connect(&workload::ALL[0], server.address(), 0.0, &patience)?;
        let begun = Instant::now();
        let done = load.run(2 * WARM_UP)?;
        slowest = slowest.min(done.count as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(slowest)
}
