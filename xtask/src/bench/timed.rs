//! Figures of CPU time. Targets that share a reference take turns in slices of a window, so that
//! what else the machine does meets all of them.

use super::contender::{Contender, SLICE, sample, slices};
use super::context::Context;
use super::contract;
use super::noise::Sample;
use super::pinning::Pinning;
use super::results::{Results, key};
use super::server::{Server, Start};
use super::target::Target;
use super::workload::Scenario;
use anyport_bench_load::Interrupted;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Before each window, except those of h2load.
pub(super) const WARM_UP: Duration = Duration::from_millis(50);
/// How long a server may send nothing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// h2load connects within its window. On a busy machine, TLS handshakes take longer than a shorter
/// window.
const SHORTEST_H2LOAD: Duration = Duration::from_millis(500);
/// A server with fewer responses per second is not slower after it was idle.
const FEW_RESPONSES: f64 = 500.0;

/// What a target did in a round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Window {
    pub(super) target: String,
    pub(super) workload: &'static str,
    pub(super) round: usize,
    /// Microseconds of CPU time of each response.
    pub(super) cpu: f64,
    /// Responses per second.
    pub(super) rate: f64,
    /// The share of the time in which the server was busy, and the same of the load.
    pub(super) busy: f64,
    pub(super) load_busy: f64,
    /// Bytes of memory at most.
    pub(super) peak: Option<u64>,
    /// The share of the time that other programs and the hypervisor took.
    pub(super) foreign: f64,
}

/// One round of some targets.
pub(super) struct Round<'a> {
    pub(super) context: &'a Context,
    pub(super) pinning: &'a Pinning,
    pub(super) number: usize,
    pub(super) window: Duration,
    /// No window begins afterwards.
    pub(super) end: Instant,
}

impl Round<'_> {
    /// Measures targets with one reference, in fresh processes, with one workload after the other.
    pub(super) fn measure(
        &self,
        results: &mut Results,
        targets: &[&Target],
        scenarios: &[&'static Scenario],
    ) -> Result<(), Interrupted> {
        let timeout = &self.context.timeout;
        let start = Start {
            wrapper: &self.pinning.wrapper(),
            http2: scenarios[0].is_http2(),
            ..Start::default()
        };
        let mut contenders = Vec::new();
        for &target in targets {
            if !scenarios.iter().any(|of| results.wants(target, of)) {
                continue;
            }
            match Server::start(self.context, target, start) {
                Ok(server) => contenders.push(Contender::new(target, server)),
                Err(error) => {
                    for scenario in scenarios {
                        results.fail(target, scenario, &error);
                    }
                }
            }
            timeout.check()?;
        }
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        for scenario in scenarios {
            if Instant::now() >= self.end {
                break;
            }
            let (number, names) = (self.number + 1, names.join(", "));
            let progress = format!("round {number}, {}: {names}", scenario.name);
            self.context.progress.show(&progress);
            let is_unwanted = |of: &mut Contender<'_>| !results.wants(of.target, scenario);
            let others: Vec<_> = contenders.extract_if(.., is_unwanted).collect();
            self.windows(results, &mut contenders, scenario);
            contenders.extend(others);
            timeout.check()?;
        }
        for contender in contenders {
            // A server that does not end is killed.
            let _ = contender.server.stop();
        }
        timeout.check()
    }

    /// Measures a window of each, and drops the servers that failed.
    fn windows<'a>(
        &self,
        results: &mut Results,
        contenders: &mut Vec<Contender<'a>>,
        scenario: &'static Scenario,
    ) {
        let timeout = &self.context.timeout.with_duration(TIMEOUT);
        let breaks_contract = |contender: &mut Contender<'a>| {
            let key = key(contender.target, scenario);
            if results.checked.contains(&key) {
                return false;
            }
            let address = contender.server.address();
            let checked = contract::check(contender.target, address, scenario, timeout);
            let Err(error) = checked.map_err(|error| contender.server.explain(error)) else {
                results.checked.insert(key);
                return false;
            };
            results.fail(contender.target, scenario, &error);
            true
        };
        // They may keep it with other workloads.
        let mut others: Vec<_> = contenders.extract_if(.., breaks_contract).collect();
        others.retain_mut(|contender| contender.server.is_running());
        each(results, contenders, scenario, |of| {
            of.connect(scenario, timeout)
        });
        if !scenario.is_http2() {
            let slowest = contenders.iter().map(|of| of.rate).fold(f64::MAX, f64::min);
            if slowest > FEW_RESPONSES {
                // Before the first turn, connections were idle for longer than before others.
                each(results, contenders, scenario, |of| of.run(SLICE));
                contenders.iter_mut().for_each(Contender::reset);
            }
            let slices = slices(self.window, scenario.connections, slowest);
            self.take_turns(results, contenders, scenario, slices, self.window / slices);
        } else {
            for contender in contenders.drain(..) {
                let mut alone = vec![contender];
                let window = self.window.max(SHORTEST_H2LOAD);
                self.take_turns(results, &mut alone, scenario, 1, window);
                others.extend(alone);
            }
        }
        contenders.extend(others);
    }

    fn take_turns(
        &self,
        results: &mut Results,
        contenders: &mut Vec<Contender<'_>>,
        scenario: &'static Scenario,
        slices: u32,
        slice: Duration,
    ) {
        let before = sample(contenders, self.pinning);
        for _ in 0..slices {
            each(results, contenders, scenario, |of| of.run(slice));
        }
        let samples: anyhow::Result<[Sample; 2]> =
            before.and_then(|before| Ok([before, sample(contenders, self.pinning)?]));
        for contender in contenders {
            let window = match &samples {
                Ok([before, after]) => contender.finish(before, after, self, scenario),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            match window {
                Ok(window) => results.windows.push(window),
                Err(error) => results.fail(contender.target, scenario, &error),
            }
        }
    }
}

/// Does something with each, and drops those that fail.
fn each<'a>(
    results: &mut Results,
    contenders: &mut Vec<Contender<'a>>,
    scenario: &'static Scenario,
    mut action: impl FnMut(&mut Contender<'a>) -> anyhow::Result<()>,
) {
    contenders.retain_mut(|contender| {
        let Err(error) = action(contender) else {
            return true;
        };
        let error = contender.server.explain(error);
        results.fail(contender.target, scenario, &error);
        false
    });
}
