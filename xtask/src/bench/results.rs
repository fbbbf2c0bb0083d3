//! What a run has measured so far, and why some of it failed.

use super::row::Unit;
use super::target::Target;
use super::timed::Window;
use super::workload::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// A target and a workload that failed so often are given up.
const MOST_FAILURES: usize = 2;

/// The names of a target and of a workload.
pub(super) type Key = (String, &'static str);

pub(super) type Counts = Vec<(Unit, f64)>;

#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) windows: Vec<Window>,
    /// Counts and memory of each round.
    pub(super) counts: BTreeMap<Key, Vec<Counts>>,
    /// How often each failed, and the last reason.
    failures: BTreeMap<Key, (usize, String)>,
    /// The targets and workloads that keep the contract.
    pub(super) checked: BTreeSet<Key>,
}

impl Results {
    /// How many windows and rounds there are.
    pub(super) fn len(&self) -> usize {
        self.windows.len() + self.counts.values().map(Vec::len).sum::<usize>()
    }

    /// Whether a workload is to be measured, or measured again.
    pub(super) fn wants(&self, target: &Target, scenario: &Scenario) -> bool {
        let failure = self.failures.get(&key(target, scenario));
        target.supports(scenario).is_ok() && failure.is_none_or(|(times, _)| *times < MOST_FAILURES)
    }

    /// Adds a round, or why there is none.
    pub(super) fn add(
        &mut self,
        target: &Target,
        scenario: &Scenario,
        counts: anyhow::Result<Counts>,
    ) {
        match counts {
            Err(error) => self.fail(target, scenario, &error),
            Ok(counts) => {
                let rounds = self.counts.entry(key(target, scenario));
                rounds.or_default().push(counts);
            }
        }
    }

    pub(super) fn fail(&mut self, target: &Target, scenario: &Scenario, error: &anyhow::Error) {
        let failures = self.failures.entry(key(target, scenario));
        let (times, reason) = failures.or_default();
        *times += 1;
        *reason = format!("{error:#}");
    }

    /// Why a workload has no figures.
    pub(super) fn reason(&self, target: &Target, scenario: &Scenario) -> &str {
        let failure = self.failures.get(&key(target, scenario));
        let known = failure.map(|(_, reason)| reason.as_str());
        let reason = target.supports(scenario).err().or(known);
        reason.unwrap_or("the run ended before its first round")
    }
}

pub(super) fn key(target: &Target, scenario: &Scenario) -> Key {
    (target.name.clone(), scenario.name)
}
