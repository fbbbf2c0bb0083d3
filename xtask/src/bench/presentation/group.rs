//! What's drawn together: records that differ by their target only, and among them those of one reference.

use crate::bench::report::Unit;
use crate::bench::results::{Record, Section};

/// Alike but for their target and their unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting<'a> {
    pub(super) workload: &'a str,
    pub(super) allocator: &'a str,
    pub(super) connections: usize,
}

/// Those that are measured by one reference.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) transport: &'a str,
    pub(super) reference: &'a str,
    /// Ours, then the peers, in the order in which they were measured.
    pub(super) targets: Vec<Target<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) is_peer: bool,
}

impl<'a> Setting<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        Self {
            workload: &record.workload,
            allocator: &record.allocator,
            connections: record.connections,
        }
    }

    /// Those of a section, in its order.
    pub(super) fn all(section: &'a Section) -> Vec<Self> {
        unique(section.records.iter().map(Self::of))
    }

    /// What tells it from the others, in words.
    pub(super) fn distinction(&self, others: &[Self]) -> String {
        let mut words = Vec::new();
        if others.iter().any(|other| other.workload != self.workload) {
            words.push(self.workload.to_owned());
        }
        if others.iter().any(|other| other.connections != self.connections) {
            words.push(connections(self.connections));
        }
        if others.iter().any(|other| other.allocator != self.allocator) {
            words.push(format!("allocator {}", self.allocator));
        }
        words.join(", ")
    }
}

/// `1 connection`, `64 connections`.
pub(super) fn connections(number: usize) -> String {
    match number {
        1 => "1 connection".to_owned(),
        number => format!("{} connections", crate::bench::text::grouped(number as f64, 0)),
    }
}

/// The record of a target in this unit and setting.
pub(super) fn find<'a>(
    section: &'a Section,
    unit: Unit,
    setting: Setting<'_>,
    target: &str,
) -> Option<&'a Record> {
    let is_it =
        |record: &&Record| record.unit == unit && record.target == target && Setting::of(record) == setting;
    section.records.iter().find(is_it)
}

/// Each target once, beside those of its reference.
pub(super) fn groups<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for record in records {
        let target = Target {
            name: &record.target,
            is_peer: record.is_peer,
        };
        let is_its = |group: &&mut Group<'_>| {
            group.transport == record.transport && group.reference == record.reference
        };
        match groups.iter_mut().find(is_its) {
            Some(group) if group.targets.contains(&target) => {}
            Some(group) => group.targets.push(target),
            None => groups.push(Group {
                transport: &record.transport,
                reference: &record.reference,
                targets: vec![target],
            }),
        }
    }
    for group in &mut groups {
        group.targets.sort_by_key(|target| target.is_peer);
    }
    groups
}

/// Each once, in the order of their first appearance.
pub(super) fn unique<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for one in all {
        if !unique.contains(&one) {
            unique.push(one);
        }
    }
    unique
}
