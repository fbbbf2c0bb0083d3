//! All numbers, for whoever can't see the charts, or wants to copy them.

use super::group::{Setting, connections, find, groups, unique};
use super::labels;
use crate::bench::report::Verdict;
use crate::bench::results::{Record, Section};
use maud::{Markup, html};

/// Those of a section; the columns are its units.
pub(super) fn draw(section: &Section, settings: &[Setting<'_>]) -> Markup {
    let caption = labels::figure(&section.figure);
    let mut units = unique(section.records.iter().map(|record| record.unit));
    units.sort_unstable();
    let has_fit = |unit| {
        let mut records = section.records.iter();
        records.any(|record| record.unit == unit && record.r_squared.is_some())
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        th scope="col" { "Target" }
                        @for &unit in &units {
                            th scope="col" { (labels::head(unit, &units)) }
                            @if has_fit(unit) { th scope="col" { "R²" } }
                        }
                    }
                }
                @for &setting in settings {
                    tbody {
                        @if settings.len() > 1 {
                            tr { th.setting scope="rowgroup" colspan=(units.len() * 2 + 1) { (heading(setting, settings)) } }
                        }
                        @for group in groups(section.records.iter().filter(|record| Setting::of(record) == setting)) {
                            @for target in &group.targets {
                                tr {
                                    th scope="row" { (target.name) }
                                    @for &unit in &units {
                                        @let record = find(section, unit, setting, target.name);
                                        td { @if let Some(record) = record { (value(record)) (sigma(record)) } }
                                        @if has_fit(unit) {
                                            td { @if let Some(fit) = record.and_then(|record| record.r_squared) { (format!("{fit:.4}")) } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn heading(setting: Setting<'_>, settings: &[Setting<'_>]) -> String {
    let text = setting.distinction(settings);
    if text.is_empty() {
        connections(setting.connections)
    } else {
        text
    }
}

/// A value, its interval, and what it says.
pub(super) fn value(record: &Record) -> Markup {
    let Some(number) = record.value else {
        return html! { span.none { "not measured" } };
    };
    html! {
        data.muted[record.bound().is_some()] value=(number) { (labels::number(number, record.unit)) }
        @if let Some(interval) = labels::interval(record) { " " span.interval { "(" (interval) ")" } }
        @if let Some(span) = labels::span(record) { " " span.span title="from the lowest run to the highest" { "(" (span) ")" } }
        (said(record))
    }
}

/// How far the rounds are from each other.
fn sigma(record: &Record) -> Markup {
    html! {
        @if let Some(sigma) = record.sigma { " " span.sigma { "σ " (labels::number(sigma, record.unit)) } }
    }
}

/// Whether it's better or worse than the reference, or why nobody knows.
pub(super) fn said(record: &Record) -> Markup {
    html! {
        @if let Some(mark) = record.shown_mark() { " " span.said.bound { (mark.label()) } }
        @match record.verdict() {
            Some(verdict @ Verdict::Better) => { " " span.said.better { (labels::verdict(verdict)) } }
            Some(verdict @ Verdict::Worse) => { " " span.said.worse { (labels::verdict(verdict)) } }
            Some(Verdict::Alike) | None => {}
        }
    }
}

/// Why there's no value, each reason once, and for which targets.
pub(super) fn reasons(section: &Section) -> Vec<(&str, String)> {
    let missing = || {
        let records = section.records.iter();
        records.filter_map(|record| Some((record.reason.as_deref()?, record)))
    };
    let reasons = unique(missing().map(|(reason, _)| reason));
    let all = reasons.into_iter().map(|reason| {
        let records = missing().filter(|(other, _)| *other == reason);
        let whose = unique(records.map(|(_, record)| whose(section, record)));
        (reason, whose.join("; "))
    });
    all.collect()
}

/// In as few words as tell it: what holds for a target everywhere isn't said of each setting.
fn whose(section: &Section, record: &Record) -> String {
    let settings = Setting::all(section);
    let mut words = vec![record.target.clone()];
    let of_target = || {
        section
            .records
            .iter()
            .filter(|other| other.target == record.target)
    };
    if of_target().any(|other| other.reason != record.reason) {
        let here = Setting::of(record);
        let distinction = here.distinction(&settings);
        words.extend((!distinction.is_empty()).then_some(distinction));
    }
    words.join(", ")
}
