//! A window as `rounds.jsonl` has it: from these, everybody can recompute what's reported.

use super::Course;
use super::rounds::Judged;
use crate::bench::report::Unit;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(in crate::bench) struct Logged<'a> {
    figure: &'a str,
    workload: &'a str,
    connections: usize,
    target: &'static str,
    /// The target by whose value of the same round this one's is divided.
    reference: &'static str,
    /// Of all that were tried, from 1 on.
    round: usize,
    /// Whether it's among those that medians and intervals are made of.
    is_kept: bool,
    disturbance: Option<&'static str>,
    /// Why it says nothing, though nothing disturbed it.
    objection: Option<&'a str>,
    values: BTreeMap<Unit, f64>,
    server_busy: f64,
    load_busy: f64,
    stolen: f64,
    foreign: f64,
    late: f64,
}

impl<'a> Logged<'a> {
    pub(super) fn new(course: &Course, judged: &Judged<'a>) -> Self {
        let &Judged {
            target,
            round,
            window,
            is_kept,
        } = judged;
        Self {
            figure: course.figure,
            workload: course.workload,
            connections: course.connections,
            target: target.name(),
            reference: target.reference().name(),
            round: round + 1,
            is_kept,
            disturbance: window.noise.disturbance().map(|(what, _)| what),
            objection: window.objection.as_deref(),
            values: course
                .values
                .iter()
                .map(|value| (value.unit, (value.of)(window)))
                .collect(),
            server_busy: window.busy,
            load_busy: window.load_busy,
            stolen: window.noise.stolen,
            foreign: window.noise.foreign,
            late: window.noise.late,
        }
    }
}
