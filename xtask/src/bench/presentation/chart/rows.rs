//! What charts with a row per target have in common: names at the left, numbers at the right, an axis above.

use super::scale::{Pixels, Scale, round};
use super::{Panel, px};
use crate::bench::presentation::group::{Setting, find, groups};
use crate::bench::presentation::labels;
use crate::bench::results::Record;
use maud::{Markup, html};

const WIDTH: f64 = 328.0;
/// Where names end, which has room for the longest, `hyper-glommio-unix`.
const NAMES: f64 = 128.0;
/// Where numbers end.
const NUMBERS: f64 = WIDTH - 1.0;
/// What's between names and numbers.
pub(super) const PLOT: Pixels = (136.0, 274.0);
const ROW: f64 = 17.0;
/// From the axis's numbers to the first row.
const HEAD: f64 = 20.0;
/// How far apart the axis's numbers are at least.
const APART: f64 = 27.0;
/// From a line of text's middle to its baseline.
const BASELINE: f64 = 4.0;

/// How a panel draws what's between names and numbers.
pub(super) type Mark = fn(&Record, &Scale, y: f64) -> Markup;

pub(super) fn draw(
    panel: &Panel<'_>,
    scale: &Scale,
    about: &str,
    heads: fn(&str) -> Option<String>,
    mark: Mark,
) -> Markup {
    let of_panel = |record: &&Record| record.unit == panel.unit && Setting::of(record) == panel.setting;
    let groups = groups(panel.section.records.iter().filter(of_panel));
    let mut y = HEAD;
    let mut rows = Vec::new();
    for group in &groups {
        rows.push(html! {
            text.group x=(px(NAMES)) y=(px(y + ROW / 2.0 + BASELINE)) text-anchor="end" { (labels::transport(group.transport)) }
            @if let Some(head) = heads(group.reference) {
                text.group x=(px(PLOT.0)) y=(px(y + ROW / 2.0 + BASELINE)) { (head) }
            }
        });
        y += ROW;
        for target in &group.targets {
            if let Some(record) = find(panel.section, panel.unit, panel.setting, target.name) {
                rows.push(row(record, scale, y + ROW / 2.0, mark));
                y += ROW;
            }
        }
        y += ROW / 3.0;
    }
    let (title, desc) = (format!("{}-title", panel.id), format!("{}-desc", panel.id));
    html! {
        svg.chart viewBox=(format!("0 0 {} {}", px(WIDTH), px(y))) role="img" aria-labelledby=(format!("{title} {desc}"))
            id=(panel.id) data-scale=(format!("{:?}", scale.kind).to_lowercase()) {
            title id=(title) { (panel.title) }
            desc id=(desc) { (about) }
            @for tick in scale.ticks(APART) {
                line.grid data-tick=(round(tick).replace(',', "")) x1=(px(scale.at(tick))) x2=(px(scale.at(tick)))
                    y1=(px(HEAD - 4.0)) y2=(px(y - ROW / 3.0)) {}
                text.tick x=(px(scale.at(tick))) y=(px(HEAD - 8.0)) text-anchor="middle" { (round(tick)) }
            }
            @for row in rows { (row) }
        }
    }
}

fn row(record: &Record, scale: &Scale, y: f64, mark: Mark) -> Markup {
    let kind = if record.is_peer { "peer" } else { "ours" };
    let words = match record.value {
        None => Some("not measured"),
        Some(_) => record.bound().map(|bound| bound.label()),
    };
    html! {
        g.row.(kind) data-target=(record.target) {
            title { (labels::sentence(record)) }
            // What can be pointed at.
            rect.band x="0" y=(px(y - ROW / 2.0)) width=(px(WIDTH)) height=(px(ROW)) {}
            text.name x=(px(NAMES)) y=(px(y + BASELINE)) text-anchor="end" { (record.target) }
            @match (words, record.value) {
                (None, Some(value)) => {
                    (mark(record, scale, y))
                    text.number x=(px(NUMBERS)) y=(px(y + BASELINE)) text-anchor="end" { (labels::number(value, record.unit)) }
                }
                (words, _) => { text.none x=(px(PLOT.0 + 2.0)) y=(px(y + BASELINE)) { (words.unwrap_or_default()) } }
            }
        }
    }
}
