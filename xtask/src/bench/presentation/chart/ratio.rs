//! Ratios to the reference: a dot where the median is, and a whisker for its interval.

use super::rows;
use super::scale::Scale;
use super::{Panel, px};
use crate::bench::report::Verdict;
use crate::bench::results::Record;
use maud::{Markup, html};

pub(super) fn draw(panel: &Panel<'_>, scale: &Scale) -> Markup {
    let better = if panel.unit.is_rate() { "More" } else { "Less" };
    let about = format!(
        "Medians and their 95 % intervals on a logarithmic scale. {better} is better. A filled mark differs from its reference, a \
        hollow one shows no difference. The table below has all numbers."
    );
    rows::draw(
        panel,
        scale,
        &about,
        |reference| Some(format!("× {reference}")),
        mark,
    )
}

fn mark(record: &Record, scale: &Scale, y: f64) -> Markup {
    let x = scale.at(record.value.unwrap_or(1.0));
    let difference = match record.verdict() {
        Some(Verdict::Better | Verdict::Worse) => "differs",
        Some(Verdict::Alike) | None => "alike",
    };
    html! {
        line.one x1=(px(scale.at(1.0))) x2=(px(scale.at(1.0))) y1=(px(y - 8.5)) y2=(px(y + 8.5)) {}
        @if record.is_reference() {
            line.mark.reference data-value=(record.value.unwrap_or(1.0)) x1=(px(x)) x2=(px(x)) y1=(px(y - 6.0)) y2=(px(y + 6.0)) {}
        } @else {
            @if let Some(interval) = record.interval {
                line.whisker data-low=(interval.low) data-high=(interval.high) x1=(px(scale.at(interval.low)))
                    x2=(px(scale.at(interval.high))) y1=(px(y)) y2=(px(y)) {}
            }
            (super::dot(x, y, record, difference))
        }
    }
}
