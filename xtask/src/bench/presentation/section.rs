//! A figure: what it is, its charts, its numbers, and what wasn't measured.

use super::chart::{self, Family, Panel};
use super::curve::Curves;
use super::group::{Setting, connections, find, groups, unique};
use super::{labels, table};
use crate::bench::report::Unit;
use crate::bench::results::Section;
use maud::{Markup, html};

pub(super) fn draw(section: &Section, curves: &Curves) -> Markup {
    let settings = Setting::all(section);
    let reasons = table::reasons(section);
    let head = format!("{}-head", section.figure);
    html! {
        section id=(section.figure) aria-labelledby=(head) {
            h2 id=(head) { (labels::figure(&section.figure)) }
            p.about { (section.about) }
            @if let Some(counts) = counts(section, &settings) { p.conditions { (counts) } }
            @if section.interrupted { p.warning { "This was interrupted: it's what had been measured by then." } }
            @for &setting in &settings {
                @if let Some(family) = Family::new(section, setting, curves) { (families(section, &settings, setting, &family)) }
            }
            (charts(section, &settings))
            details.numbers {
                summary { "All numbers" }
                (table::draw(section, &settings))
            }
            @if !reasons.is_empty() {
                h3 { "Not measured" }
                dl.reasons {
                    @for (reason, targets) in reasons {
                        dt { (targets) }
                        dd { (reason) }
                    }
                }
            }
            @if !section.notes.is_empty() {
                ul.notes { @for note in &section.notes { li { (note) } } }
            }
        }
    }
}

/// How many connections there were; nothing of a figure that's told per connection, which had more and more of them.
fn counts(section: &Section, settings: &[Setting<'_>]) -> Option<String> {
    let counts = unique(settings.iter().map(|setting| setting.connections));
    match &counts[..] {
        [] => None,
        _ if section
            .records
            .iter()
            .all(|record| record.unit == Unit::Kibibytes) =>
        {
            None
        }
        [alone] => Some(connections(*alone)),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            Some(format!("{} or {}", others.join(", "), connections(*last)))
        }
    }
}

fn charts(section: &Section, settings: &[Setting<'_>]) -> Markup {
    let mut units = unique(section.records.iter().map(|record| record.unit));
    units.sort_unstable();
    let charts = units.iter().map(|&unit| {
        let head = labels::head(unit, &units);
        let panels = panels(section, settings, unit, &head);
        (unit, head, panels)
    });
    html! {
        @for (unit, head, panels) in charts.filter(|(_, _, panels)| !panels.is_empty()) {
            @let scale = chart::scale(&panels);
            h3 { (head) " " span.direction { (direction(unit)) } }
            div.panels {
                @for panel in &panels {
                    figure {
                        @let caption = panel.setting.distinction(settings);
                        @if !caption.is_empty() { figcaption { (caption) } }
                        (panel.draw(&scale))
                    }
                }
            }
        }
    }
}

/// Where a setting has a ratio or a curve, it stands for the values that it's made of; those are in the table.
fn is_charted(unit: Unit, all: &[Unit]) -> bool {
    let is_percentile = matches!(unit, Unit::P50 | Unit::P90 | Unit::P99 | Unit::P999 | Unit::Max);
    unit.is_ratio() || !(is_percentile || all.iter().any(|unit| unit.is_ratio()))
}

fn direction(unit: Unit) -> &'static str {
    if unit.is_rate() {
        "more is better"
    } else {
        "less is better"
    }
}

fn panels<'a>(section: &'a Section, settings: &[Setting<'a>], unit: Unit, head: &str) -> Vec<Panel<'a>> {
    let is_drawn = |setting: &Setting<'_>| {
        let records = section.records.iter();
        let its = records.filter(|record| Setting::of(record) == *setting);
        let units = unique(its.map(|record| record.unit));
        units.contains(&unit) && is_charted(unit, &units)
    };
    let panel = |setting: Setting<'a>| {
        let mut title = head.to_owned();
        let distinction = setting.distinction(settings);
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
    settings.iter().copied().filter(is_drawn).map(panel).collect()
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
                        figcaption .ours[!target.is_peer] { (target.name) (p99(section, setting, target.name)) }
                        @match family.draw(&group, target.name, target.is_peer, &others, &id(section, setting, target.name)) {
                            Some(chart) => (chart),
                            None => p.none { (no_curve(section, setting, target.name)) },
                        }
                    }
                }
            }
        }
    }
}

fn p99(section: &Section, setting: Setting<'_>, target: &str) -> Markup {
    let p99 = find(section, Unit::P99, setting, target).and_then(|record| record.value);
    html! {
        @if let Some(p99) = p99 { " " span.direction { "p99 " (labels::number(p99, Unit::P99)) " µs" } }
    }
}

fn no_curve(section: &Section, setting: Setting<'_>, target: &str) -> &'static str {
    match find(section, Unit::P99, setting, target).and_then(|record| record.value) {
        Some(_) => "the run kept no histogram",
        None => "not measured",
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
