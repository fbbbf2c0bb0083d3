//! Amounts: bars from zero, or dots where the axis is logarithmic and has none; a line through the end is the span of several runs.

use super::rows::{self, PLOT};
use super::scale::{Kind, Scale};
use super::{Panel, px};
use crate::bench::results::Record;
use maud::{Markup, html};

pub(super) fn draw(panel: &Panel<'_>, scale: &Scale) -> Markup {
    let better = if panel.unit.is_rate() { "More" } else { "Less" };
    let axis = match scale.kind {
        Kind::Linear => "from zero",
        Kind::Logarithmic => "on a logarithmic scale",
    };
    let has_spans = panel.section.records.iter().any(|record| record.span.is_some());
    let lines = match has_spans {
        true => "; the line through an end leads from the lowest run to the highest",
        false => "",
    };
    let about = format!("Amounts {axis}{lines}. {better} is better. The table below has all numbers.");
    rows::draw(panel, scale, &about, |_| None, mark)
}

fn mark(record: &Record, scale: &Scale, y: f64) -> Markup {
    let value = record.value.unwrap_or_default();
    let x = scale.at(value);
    let mark = match scale.kind {
        Kind::Linear => html! {
            rect.mark.bar data-value=(value) x=(px(PLOT.0)) y=(px(y - 5.0)) width=(px(x - PLOT.0)) height="10" {}
        },
        Kind::Logarithmic => html! {
            line.stem x1=(px(PLOT.0)) x2=(px(x)) y1=(px(y)) y2=(px(y)) {}
            (super::dot(x, y, record, "differs"))
        },
    };
    html! {
        (mark)
        @if let Some(span) = record.span {
            line.span x1=(px(scale.at(span.lowest))) x2=(px(scale.at(span.highest))) y1=(px(y)) y2=(px(y)) {}
        }
    }
}
