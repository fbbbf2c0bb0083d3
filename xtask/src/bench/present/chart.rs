//! A chart: each target has a row, with a mark for its median and a whisker for its interval. The
//! style sheet has the colours.

use super::super::row::{Row, Unit, rounded};
use super::{cell, ends};
use maud::{Markup, html};
use std::cmp::Ordering;

const WIDTH: f64 = 640.0;
/// Where names end, and where the plot starts and ends.
const NAMES: f64 = 150.0;
const PLOT: (f64, f64) = (160.0, 490.0);
const ROW: f64 = 18.0;
const HEAD: f64 = 22.0;

/// Positions of values.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// Logarithmic around 1 for ratios, from zero for amounts.
    fn of(rows: &[&Row], unit: Unit) -> Self {
        /// So that noise does not look like a difference.
        const NARROWEST: f64 = 1.1;
        let figures = rows.iter().filter_map(|row| row.figures.get(&unit));
        let values = figures
            .flat_map(|figure| [Some(figure.value), figure.low, figure.high])
            .flatten();
        let is_logarithmic = unit == Unit::Ratio;
        let start = if is_logarithmic {
            (1.0 / NARROWEST, NARROWEST)
        } else {
            (0.0, f64::MIN_POSITIVE)
        };
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold(start, |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let low = if is_logarithmic { low.max(0.05) } else { low };
        Self {
            low,
            high,
            is_logarithmic,
        }
    }

    fn at(self, value: f64) -> f64 {
        let share = match self.is_logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        PLOT.0 + share.clamp(0.0, 1.0) * (PLOT.1 - PLOT.0)
    }

    /// Round values, seven at most, and 1 for ratios.
    fn ticks(self) -> Vec<f64> {
        let range = self.high - self.low;
        let power = 10_f64.powf(range.log10().floor());
        let steps = [0.2, 0.5, 1.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| range / step <= 6.0);
        let step = step.unwrap_or(2.0 * power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        let mut ticks: Vec<f64> = (first..=last)
            .map(|count| rounded(count as f64 * step))
            .collect();
        if self.is_logarithmic && !ticks.contains(&1.0) {
            ticks.push(1.0);
        }
        ticks
    }
}

/// The chart of a figure of these rows.
pub(super) fn draw(rows: &[&Row], unit: Unit, title: &str) -> Markup {
    let mut rows = rows.to_vec();
    rows.retain(|row| row.figures.contains_key(&unit));
    let scale = Scale::of(&rows, unit);
    let height = HEAD + ROW * rows.len() as f64;
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(title) {
            @for tick in scale.ticks() {
                line.grid.one[unit == Unit::Ratio && tick == 1.0] x1=(px(scale.at(tick))) x2=(px(scale.at(tick)))
                    y1=(HEAD - 4.0) y2=(height) {}
                text.tick x=(px(scale.at(tick))) y=(HEAD - 9.0) text-anchor="middle" { (tick) }
            }
            @for (index, row) in rows.iter().enumerate() {
                (mark(row, unit, scale, HEAD + ROW * (index as f64 + 0.5)))
            }
        }
    }
}

fn mark(row: &Row, unit: Unit, scale: Scale, y: f64) -> Markup {
    let Some(figure) = row.figures.get(&unit) else {
        return html! {};
    };
    let x = scale.at(figure.value);
    let verdict = match row.verdict().filter(|_| unit == Unit::Ratio) {
        Some(Ordering::Equal) => "alike",
        _ => "differs",
    };
    let kind = if row.peer { "peer" } else { "ours" };
    html! {
        g.row.(kind) data-target=(row.target) data-value=(figure.value) {
            title { (row.target) ": " (unit.format(figure.value)) (ends(*figure, unit)) " " (unit.label()) }
            text.name x=(NAMES) y=(px(y + 4.0)) text-anchor="end" { (row.target) }
            @if unit != Unit::Ratio {
                line.stem x1=(px(PLOT.0)) x2=(px(x)) y1=(px(y)) y2=(px(y)) {}
            }
            @if let Some((low, high)) = figure.ends() {
                line.whisker x1=(px(scale.at(low))) x2=(px(scale.at(high))) y1=(px(y)) y2=(px(y)) {}
            }
            // Peers are rhombs, for readers who cannot tell the colours apart.
            @if row.peer {
                path.mark.(verdict) d=(format!("M{} {}l5 5-5 5-5-5z", px(x), px(y - 5.0))) {}
            } @else {
                circle.mark.(verdict) cx=(px(x)) cy=(px(y)) r="4" {}
            }
            text.number x=(WIDTH - 4.0) y=(px(y + 4.0)) text-anchor="end" { (cell(row, unit).replace('*', "")) }
        }
    }
}

/// A coordinate, to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::super::super::row::tests::{row, run};
    use super::{PLOT, Row, Scale, Unit};

    #[test]
    fn larger_ratios_are_right_of_one() {
        let run = run();
        let rows: Vec<&Row> = run.rows.iter().collect();
        let scale = Scale::of(&rows, Unit::Ratio);
        assert!(scale.ticks().contains(&1.0));
        assert!(scale.at(0.9) < scale.at(1.0) && scale.at(1.0) < scale.at(1.14));
        assert!((scale.at(2.0) - PLOT.1).abs() < 1e-9);
    }

    #[test]
    fn amounts_start_at_zero() {
        let (small, large) = (row("tcp", 1.0), row("axum", 100.0));
        let scale = Scale::of(&[&small, &large], Unit::Cpu);
        assert!((scale.at(0.0) - PLOT.0).abs() < 1e-9);
        let ticks = scale.ticks();
        assert_eq!(ticks[0], 0.0);
        assert!((3..=7).contains(&ticks.len()), "{ticks:?}");
    }
}
