//! A figure: what it is, its charts, its numbers, and what wasn't measured.

use super::chart::{self, Family, Panel};
use super::curve::Curves;
use super::group::{Setting, groups, unique};
use super::{labels, table};
use crate::bench::report::Unit;
use crate::bench::results::Section;
use maud::{Markup, html};

pub(super) fn draw(section: &Section, curves: &Curves) -> Markup {
    let settings = Setting::all(section);
    let workloads = unique(settings.iter().map(|setting| setting.workload));
    let reasons = table::reasons(section);
    html! {
        section id=(section.figure) aria-labelledby=(format!("{}-head", section.figure)) {
            h2 id=(format!("{}-head", section.figure)) { (labels::figure(&section.figure)) }
            p.about { (section.about) }
            @if section.interrupted { p.warning { "This was interrupted: it's what had been measured by then." } }
            @for &workload in &workloads {
                @let settings: Vec<_> = settings.iter().copied().filter(|setting| setting.workload == workload).collect();
                @if workloads.len() > 1 { h3 { (workload) } }
                (charts(section, &settings, curves))
                details.numbers {
                    summary { "All numbers" @if workloads.len() > 1 { " of " (workload) } }
                    (table::draw(section, &settings, &caption(section, workload)))
                }
            }
            @if !reasons.is_empty() {
                div.reasons {
                    h3 { "Not measured" }
                    dl {
                        @for (reason, targets) in reasons {
                            dt { (targets) }
                            dd { (reason) }
                        }
                    }
                }
            }
            @if !section.notes.is_empty() {
                ul.notes { @for note in &section.notes { li { (note) } } }
            }
        }
    }
}

fn caption(section: &Section, workload: &str) -> String {
    format!("{}, {workload}", labels::figure(&section.figure))
}

fn charts(section: &Section, settings: &[Setting<'_>], curves: &Curves) -> Markup {
    let mut units = unique(section.records.iter().map(|record| record.unit));
    units.sort_unstable();
    let charted: Vec<Unit> = units
        .iter()
        .copied()
        .filter(|&unit| table::is_charted(unit, &units))
        .collect();
    html! {
        @for &setting in settings {
            @if let Some(family) = Family::new(section, setting, curves) { (families(section, settings, setting, &family)) }
        }
        @for unit in charted {
            @let panels = panels(section, settings, unit);
            @let scale = chart::scale(&panels);
            @if !panels.is_empty() {
                div.panels {
                    @for panel in &panels {
                        figure {
                            figcaption { (panel.title) " " span.direction { (direction(unit)) } }
                            (panel.draw(&scale))
                        }
                    }
                }
            }
        }
    }
}

fn direction(unit: Unit) -> &'static str {
    if unit.is_rate() {
        "more is better"
    } else {
        "less is better"
    }
}

fn panels<'a>(section: &'a Section, settings: &[Setting<'a>], unit: Unit) -> Vec<Panel<'a>> {
    let has_unit = |setting: &Setting<'_>| {
        let mut records = section.records.iter();
        records.any(|record| record.unit == unit && Setting::of(record) == *setting)
    };
    let settings: Vec<_> = settings.iter().copied().filter(has_unit).collect();
    let panel = |&setting: &Setting<'a>| {
        let mut title = labels::unit(unit).to_owned();
        let distinction = setting.distinction(&settings);
        if !distinction.is_empty() {
            title += &format!(", {distinction}");
        }
        Panel {
            section,
            unit,
            setting,
            id: id(section, setting, labels::unit(unit)),
            title,
        }
    };
    settings.iter().map(panel).collect()
}

/// A small chart per target, a row of them per reference.
fn families(
    section: &Section,
    settings: &[Setting<'_>],
    setting: Setting<'_>,
    family: &Family<'_>,
) -> Markup {
    let of_setting = section
        .records
        .iter()
        .filter(|record| Setting::of(record) == setting);
    let distinction = setting.distinction(settings);
    html! {
        @for group in groups(of_setting) {
            @let others = id(section, setting, &format!("others {}", group.reference));
            h4 {
                (labels::transport(group.transport))
                @if !distinction.is_empty() { ", " (distinction) }
                " " span.direction { "lower is better; dashed: " (group.reference) "; thin: all others" }
            }
            svg.definitions width="0" height="0" aria-hidden="true" { defs { (family.define(&group, &others)) } }
            div.curves-of-all {
                @for target in &group.targets {
                    figure {
                        figcaption { (target.name) }
                        @match family.draw(&group, target.name, target.is_peer, &others, &id(section, setting, target.name)) {
                            Some(chart) => (chart),
                            None => p.none { "no curve" },
                        }
                    }
                }
            }
        }
    }
}

/// Unique on the page, of letters, digits and hyphens.
fn id(section: &Section, setting: Setting<'_>, what: &str) -> String {
    let words = format!(
        "{} {} {} {} {what}",
        section.figure, setting.workload, setting.allocator, setting.connections
    );
    let letters = words.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    letters.collect()
}
