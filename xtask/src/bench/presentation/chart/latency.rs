//! How late which share of the answers was: a small chart per target, over the curves of all others.

use super::px;
use super::scale::Scale;
use crate::bench::presentation::curve::{self, Curve, Curves};
use crate::bench::presentation::group::{Group, Setting, find};
use crate::bench::presentation::labels;
use crate::bench::report::Unit;
use crate::bench::results::{Record, Section};
use maud::{Markup, html};

const WIDTH: f64 = 188.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 182.0;
const TOP: f64 = 9.0;
const BOTTOM: f64 = 112.0;

/// The curves of one setting that share their axes.
#[derive(Debug)]
pub(in crate::bench::presentation) struct Family<'a> {
    section: &'a Section,
    setting: Setting<'a>,
    curves: &'a Curves,
    /// Microseconds.
    late: Scale,
    /// Of 1 / (1 - share): each nine is as wide.
    rare: Scale,
}

impl<'a> Family<'a> {
    /// Nothing if there's no curve.
    pub(in crate::bench::presentation) fn new(
        section: &'a Section,
        setting: Setting<'a>,
        curves: &'a Curves,
    ) -> Option<Self> {
        let records = section
            .records
            .iter()
            .filter(|record| Setting::of(record) == setting);
        let drawn: Vec<&Curve> = records.filter_map(|record| curve_of(record, curves)).collect();
        let points = || drawn.iter().flat_map(|curve| &curve.0);
        let late = points()
            .map(|point| point.microseconds)
            .filter(|&late| late > 0.0);
        let (soonest, latest) = late.fold((f64::INFINITY, 0.0_f64), |(soonest, latest), late| {
            (soonest.min(late), latest.max(late))
        });
        let rarest = points()
            .map(|point| rarity(point.share))
            .filter(|rare| rare.is_finite());
        let rarest = rarest.fold(100.0, f64::max);
        (latest > 0.0).then(|| Self {
            section,
            setting,
            curves,
            late: Scale::of_decades(soonest, latest, (BOTTOM, TOP)),
            rare: Scale::logarithmic(1.0, rarest, (LEFT, RIGHT)),
        })
    }

    /// What [`Family::draw`] refers to: the curves of a group, once on the page.
    pub(in crate::bench::presentation) fn define(&self, group: &Group<'_>, id: &str) -> Markup {
        html! {
            g id=(id) {
                @for target in &group.targets {
                    @if let Some(path) = self.path(target.name) { path d=(path) {} }
                }
            }
        }
    }

    /// The chart of a target; nothing if it has no curve.
    pub(in crate::bench::presentation) fn draw(
        &self,
        group: &Group<'_>,
        target: &str,
        is_peer: bool,
        others: &str,
        id: &str,
    ) -> Option<Markup> {
        let path = self.path(target)?;
        let kind = if is_peer { "peer" } else { "ours" };
        let label = self.label(target);
        let reference = self.path(group.reference).filter(|_| group.reference != target);
        Some(html! {
            svg.chart.curves viewBox=(format!("0 0 {} {}", px(WIDTH), px(HEIGHT))) role="img" aria-label=(label) id=(id) {
                title { (label) }
                @for tick in self.late.ticks(18.0) {
                    line.grid data-late=(tick) x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(self.late.at(tick))) y2=(px(self.late.at(tick))) {}
                    text.tick x=(px(LEFT - 4.0)) y=(px(self.late.at(tick) + 3.5)) text-anchor="end" { (duration(tick)) }
                }
                @for nines in 0..7 {
                    @let tick = 10_f64.powi(nines);
                    @if self.rare.holds(tick) {
                        line.grid data-rare=(tick) x1=(px(self.rare.at(tick))) x2=(px(self.rare.at(tick))) y1=(px(TOP)) y2=(px(BOTTOM)) {}
                    }
                }
                @for (tick, text) in [(1.0, "0"), (100.0, "99 %"), (1e4, "99.99 %")] {
                    @if self.rare.holds(tick) {
                        text.tick x=(px(self.rare.at(tick))) y=(px(HEIGHT - 5.0)) text-anchor="middle" { (text) }
                    }
                }
                use.others href=(format!("#{others}")) {}
                @if let Some(reference) = reference { path.curve.reference d=(reference) {} }
                path.curve.(kind) data-target=(target) d=(path) {}
            }
        })
    }

    fn label(&self, target: &str) -> String {
        let mut label = format!("{target}: latency by percentile, both axes logarithmic");
        for unit in [Unit::P50, Unit::P99, Unit::P999, Unit::Max] {
            let value = find(self.section, unit, self.setting, target).and_then(|record| record.value);
            if let Some(value) = value {
                label += &format!(", {} {}", unit.label(), labels::number(value, unit));
            }
        }
        label.replace(" us", " µs")
    }

    fn path(&self, target: &str) -> Option<String> {
        let record = self
            .section
            .records
            .iter()
            .find(|record| record.target == target && Setting::of(record) == self.setting)?;
        let curve = curve_of(record, self.curves)?;
        let mut path = String::new();
        let mut last = String::new();
        for point in &curve.0 {
            let x = self.rare.at(rarity(point.share));
            let place = format!("{} {}", px(x), px(self.late.at(point.microseconds)));
            if place != last {
                path += if path.is_empty() { "M" } else { "L" };
                path += &place;
                last = place;
            }
        }
        (!path.is_empty()).then_some(path)
    }
}

/// Nothing of who couldn't bear the rate: what its histogram holds is how far it fell behind.
fn curve_of<'a>(record: &Record, curves: &'a Curves) -> Option<&'a Curve> {
    record.value?;
    curves.get(&curve::name(record))
}

/// One in how many answers is later.
fn rarity(share: f64) -> f64 {
    1.0 / (1.0 - share)
}

fn duration(microseconds: f64) -> String {
    match microseconds {
        late if late >= 1e6 => format!("{} s", late / 1e6),
        late if late >= 1e3 => format!("{} ms", late / 1e3),
        late => format!("{late} µs"),
    }
}
