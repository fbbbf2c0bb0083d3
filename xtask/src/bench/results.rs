//! What a run has measured so far, and why some of it failed.

use super::idle::Memory;
use super::row::{Figure, Unit};
use super::target::Target;
use super::timed::Window;
use super::workload::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// A target and a workload that failed so often are given up.
const MOST_FAILURES: usize = 2;

/// The names of a target and of a workload.
pub(super) type Key = (String, &'static str);

#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) windows: Vec<Window>,
    /// Memory of idle connections in each round.
    pub(super) memory: BTreeMap<Key, Vec<Memory>>,
    pub(super) counted: BTreeMap<Key, BTreeMap<Unit, Figure>>,
    /// How often each failed, and the last reason.
    failures: BTreeMap<Key, (usize, String)>,
    /// The targets and workloads that keep the contract.
    pub(super) checked: BTreeSet<Key>,
}

impl Results {
    /// How many windows and rounds of memory there are.
    pub(super) fn len(&self) -> usize {
        self.windows.len() + self.memory.values().map(Vec::len).sum::<usize>()
    }

    /// Whether a workload is to be measured, or measured again.
    pub(super) fn wants(&self, target: &Target, scenario: &Scenario) -> bool {
        let failure = self.failures.get(&key(target, scenario));
        target.supports(scenario).is_ok() && failure.is_none_or(|(times, _)| *times < MOST_FAILURES)
    }

    pub(super) fn fail(&mut self, target: &str, workload: &'static str, error: &anyhow::Error) {
        let failures = self.failures.entry((target.to_owned(), workload));
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
