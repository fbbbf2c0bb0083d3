//! What stands below a table: whose figure is 1, why lines have no value, and what has to be known of a target.

use super::{NOT_MEASURED, Varying};
use crate::bench::report::{Report, Row};
use crate::bench::target::Target;
use anyport_bench_load::Workload;
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
    let is_websocket = |row: &Row| row.workload == Workload::WebSocket.name();
    let has_websockets = report.rows.iter().any(is_websocket);
    let say = |(target, remark): (Target, &str)| format!("{target}: {remark}.");
    let of_each = |target: Target| target.remarks(has_websockets).map(move |remark| (target, remark));
    targets.into_iter().flat_map(of_each).map(say).collect()
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

#[cfg(test)]
mod tests {
    use super::{Report, Row, Target, remarks};
    use crate::bench::report::Unit;
    use crate::bench::target::Allocator;

    fn remarks_of(target: Target, workload: &'static str) -> Vec<String> {
        let row = Row::new("", target, Allocator::Mimalloc, Unit::Microseconds);
        remarks(&Report {
            about: String::new(),
            rows: vec![Row { workload, ..row }],
            notes: Vec::new(),
            interrupted: false,
        })
    }

    #[test]
    fn what_is_no_server_is_called_so() {
        let said = ["floor: no server, answers fixed bytes."];
        assert_eq!(remarks_of(Target::Floor, "plaintext"), said);
    }

    #[test]
    fn what_is_to_be_known_of_websockets_stands_below_them_only() {
        let said = remarks_of(Target::Ntex, "websocket");
        assert!(
            said[0].starts_with("ntex: what agrees to its WebSockets "),
            "{said:?}"
        );
        assert!(remarks_of(Target::Ntex, "plaintext").is_empty());
    }
}
