//! What stands below a table: whose figure is 1, why lines have no value, and what has to be known of a target.

use super::{NOT_MEASURED, Varying};
use crate::bench::report::Report;
use crate::bench::target::Target;
use std::collections::{BTreeMap, BTreeSet};

/// Whose figure is 1, where it isn't hyper's on tokio.
pub(super) fn references(report: &Report) -> Option<String> {
    let mut references: BTreeMap<Target, BTreeSet<Target>> = BTreeMap::new();
    for row in &report.rows {
        let (target, reference) = (row.target, row.target.reference());
        let has_ratio = row.unit.is_ratio() || report.ratio(row).is_some();
        if has_ratio && ![target, Target::Hyper].contains(&reference) {
            references.entry(reference).or_default().insert(target);
        }
    }
    let say = |(reference, targets): (&Target, &BTreeSet<Target>)| {
        let targets: Vec<&str> = targets.iter().map(|target| target.name()).collect();
        format!("{} to {reference}", targets.join(" and "))
    };
    let said: Vec<String> = references.iter().map(say).collect();
    (!said.is_empty()).then(|| format!("x hyper: {}.", said.join(", ")))
}

/// What has to be known of those that aren't like the others.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let targets: BTreeSet<Target> = report.rows.iter().map(|row| row.target).collect();
    let say = |target: Target| Some(format!("{target}: {}.", target.remark()?));
    targets.into_iter().filter_map(say).collect()
}

/// Why lines of the table have no value; what costs several of them is said once.
pub(super) fn reasons(report: &Report) -> Vec<String> {
    let varying = Varying::of(report);
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for row in &report.rows {
        let Some(reason) = &row.reason else { continue };
        let line = varying.values(row).join(" ");
        match reasons.iter_mut().find(|(other, _)| other == reason) {
            Some((_, lines)) if lines.contains(&line) => {}
            Some((_, lines)) => lines.push(line),
            None => reasons.push((reason, vec![line])),
        }
    }
    let say =
        |(reason, lines): (&str, Vec<String>)| format!("{}: {NOT_MEASURED}: {reason}", lines.join(", "));
    reasons.into_iter().map(say).collect()
}
