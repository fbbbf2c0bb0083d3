//! The charts, each an SVG image whose text has the size of the page's; colours and strokes are the style sheet's.

mod amount;
mod latency;
mod ratio;
mod rows;
mod scale;

pub(super) use latency::Family;
pub(super) use scale::Scale;

use super::group::Setting;
use crate::bench::report::Unit;
use crate::bench::results::{Record, Section};
use maud::{Markup, html};

/// A chart of one unit in one setting.
#[derive(Debug)]
pub(super) struct Panel<'a> {
    pub(super) section: &'a Section,
    pub(super) unit: Unit,
    pub(super) setting: Setting<'a>,
    /// Unique on the page.
    pub(super) id: String,
    pub(super) title: String,
}

impl Panel<'_> {
    /// Panels that share a scale can be compared by eye.
    pub(super) fn draw(&self, scale: &Scale) -> Markup {
        if self.unit.is_ratio() {
            ratio::draw(self, scale)
        } else {
            amount::draw(self, scale)
        }
    }
}

/// The scale that has room for all of these panels' values.
pub(super) fn scale(panels: &[Panel<'_>]) -> Scale {
    let records = panels.iter().flat_map(|panel| {
        let is_its = |record: &&_| Setting::of(record) == panel.setting && record.unit == panel.unit;
        panel.section.records.iter().filter(is_its)
    });
    let is_ratio = panels.iter().any(|panel| panel.unit.is_ratio());
    let shown = records.filter(|record| record.value.is_some() && record.bound().is_none());
    let values = shown.flat_map(|record| {
        let ends = record.interval.filter(|_| is_ratio);
        let ends = ends.map(|interval| [interval.low, interval.high]);
        let highest = record.span.map(|span| span.highest);
        let values = record.value.into_iter().chain(highest);
        values.chain(ends.into_iter().flatten())
    });
    if is_ratio {
        Scale::of_ratios(values, rows::PLOT)
    } else {
        Scale::of_amounts(values, rows::PLOT)
    }
}

/// A coordinate, to a tenth of a pixel.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Ours are round and the peers' are square on a corner, for whoever can't tell the colours.
fn dot(x: f64, y: f64, record: &Record, difference: &str) -> Markup {
    let value = record.value.unwrap_or_default();
    html! {
        @if record.is_peer {
            path.mark.(difference) data-value=(value) d=(format!("M{} {}l4.4 4.4-4.4 4.4-4.4-4.4z", px(x), px(y - 4.4))) {}
        } @else {
            circle.mark.(difference) data-value=(value) cx=(px(x)) cy=(px(y)) r="3.6" {}
        }
    }
}
