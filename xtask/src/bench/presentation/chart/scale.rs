//! Where a value lies on an axis, and which values are written there.

use crate::bench::text::grouped;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::bench::presentation) struct Scale {
    pub(super) kind: Kind,
    /// The values at its ends.
    low: f64,
    high: f64,
    /// The pixels of its ends.
    from: f64,
    to: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From zero.
    Linear,
    Logarithmic,
}

/// So close to each other that they're the same.
const CLOSE: f64 = 1.000_001;

/// From its first pixel to its last.
pub(super) type Pixels = (f64, f64);

impl Scale {
    /// Twice as much lies as far from 1 as half as much.
    pub(super) fn of_ratios(values: impl Iterator<Item = f64>, (from, to): Pixels) -> Self {
        /// So that noise doesn't look like a difference.
        const NARROWEST: f64 = 1.05;
        const MARGIN: f64 = 0.04;
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = positive.fold((1.0 / NARROWEST, NARROWEST), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let margin = (high / low).powf(MARGIN);
        Self {
            kind: Kind::Logarithmic,
            low: low / margin,
            high: high * margin,
            from,
            to,
        }
    }

    /// Bars from zero, or, where the small ones couldn't be seen then, powers of ten.
    pub(super) fn of_amounts(values: impl Iterator<Item = f64>, (from, to): Pixels) -> Self {
        /// A bar of a 30th of the width can still be told from none.
        const WIDEST: f64 = 30.0;
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if high > WIDEST * low {
            return Self::of_decades(low, high, (from, to));
        }
        Self {
            kind: Kind::Linear,
            low: 0.0,
            high: if high > 0.0 { high } else { 1.0 },
            from,
            to,
        }
    }

    /// From power of ten to power of ten.
    pub(super) fn of_decades(low: f64, high: f64, pixels: Pixels) -> Self {
        let low = 10_f64.powf(low.log10().floor());
        let high = 10_f64.powf(high.log10().ceil()).max(low * 10.0);
        Self::logarithmic(low, high, pixels)
    }

    /// Both ends have to be positive.
    pub(super) fn logarithmic(low: f64, high: f64, (from, to): Pixels) -> Self {
        Self {
            kind: Kind::Logarithmic,
            low,
            high,
            from,
            to,
        }
    }

    /// The pixel of a value; what's beyond an end is at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        // A logarithm of nothing is no number.
        let share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        self.from + share * (self.to - self.from)
    }

    /// Whether a value lies between its ends.
    pub(super) fn holds(&self, value: f64) -> bool {
        // What was a power of ten is one, whatever the logarithm's last digit says.
        (self.low / CLOSE..=self.high * CLOSE).contains(&value)
    }

    /// As many round values as fit with this many pixels between them; the first ones are the ones to have.
    pub(super) fn ticks(&self, apart: f64) -> Vec<f64> {
        let candidates = match self.kind {
            Kind::Linear => self.multiples(apart),
            Kind::Logarithmic => self.round_values(),
        };
        let mut ticks: Vec<f64> = Vec::new();
        for candidate in candidates {
            let has_room = |tick: &f64| (self.at(*tick) - self.at(candidate)).abs() >= apart;
            if self.holds(candidate) && ticks.iter().all(has_room) {
                ticks.push(candidate);
            }
        }
        ticks.sort_by(f64::total_cmp);
        ticks
    }

    /// Of the smallest round step that's as wide as that.
    fn multiples(&self, apart: f64) -> Vec<f64> {
        let least = (self.high - self.low) * apart / (self.to - self.from).abs();
        let power = 10_f64.powf(least.log10().floor());
        let steps = [1.0, 2.0, 5.0].map(|step| step * power);
        let step = steps
            .into_iter()
            .find(|&step| step >= least)
            .unwrap_or(10.0 * power);
        let count = ((self.high - self.low) / step * CLOSE) as usize;
        (0..=count).map(|count| self.low + count as f64 * step).collect()
    }

    /// One, powers of ten, and what's between them where there are few.
    fn round_values(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decades = |steps: &[f64]| {
            let powers = (first..=last).map(|power| 10_f64.powi(power));
            let values = powers.flat_map(|power| steps.iter().map(move |step| step * power));
            values.collect::<Vec<_>>()
        };
        let mut values = vec![1.0];
        for steps in [
            &[1.0][..],
            &[2.0, 5.0],
            &[1.5, 7.0, 3.0],
            &[1.2, 8.0, 6.0],
            &[1.1, 9.0],
            &[1.05, 9.5],
            &[1.02, 9.8],
        ] {
            values.extend(decades(steps));
        }
        values
    }
}

/// A round value with no more digits than it has.
pub(super) fn round(value: f64) -> String {
    let decimals = (0..6).find(|&decimals| {
        let power = 10_f64.powi(decimals);
        ((value * power).round() / power - value).abs() <= 1e-9 * value.abs()
    });
    grouped(value, decimals.map_or(6, |decimals| decimals as usize))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Scale, round};

    const PIXELS: (f64, f64) = (100.0, 300.0);

    #[test]
    fn one_is_in_the_middle_of_a_half_and_a_double() {
        let scale = Scale::of_ratios([0.5, 2.0].into_iter(), PIXELS);
        assert!((scale.at(1.0) - 200.0).abs() < 1e-9);
        let (half, double) = (scale.at(0.5), scale.at(2.0));
        assert!((half + double - 400.0).abs() < 1e-9 && half > 100.0 && double < 300.0);
    }

    #[test]
    fn one_is_always_written() {
        for values in [
            vec![],
            vec![0.98, 1.01],
            vec![0.7, 1.4],
            vec![0.2, 1.0],
            vec![1.0, 9.0],
            vec![0.01, 100.0],
        ] {
            let ticks = Scale::of_ratios(values.iter().copied(), PIXELS).ticks(30.0);
            let has_one = ticks.iter().any(|tick| (tick - 1.0).abs() < 1e-9);
            assert!(has_one && ticks.len() > 1, "{values:?}: {ticks:?}");
        }
    }

    #[test]
    fn bars_start_at_zero_unless_the_small_ones_vanished() {
        let scale = Scale::of_amounts([3.0, 80.0].into_iter(), PIXELS);
        assert_eq!(
            (scale.kind, scale.at(0.0), scale.at(80.0)),
            (Kind::Linear, 100.0, 300.0)
        );
        let scale = Scale::of_amounts([0.5, 80.0].into_iter(), PIXELS);
        assert_eq!(
            (scale.kind, scale.at(0.1), scale.at(100.0)),
            (Kind::Logarithmic, 100.0, 300.0)
        );
        assert!((scale.at(1.0) - scale.at(0.1) - (scale.at(100.0) - scale.at(10.0))).abs() < 1e-9);
    }

    #[test]
    fn nothing_has_a_scale_too() {
        let scale = Scale::of_amounts(std::iter::empty(), PIXELS);
        assert_eq!(scale.at(0.0), 100.0);
        assert!(scale.ticks(30.0).len() > 1);
    }

    #[test]
    fn ticks_have_their_room() {
        for high in [0.013, 1.0, 7.0, 64.0, 999.0, 1e7] {
            for low in [high / 2.0, high / 20.0, high / 1e5] {
                let scale = Scale::of_amounts([low, high].into_iter(), PIXELS);
                let ticks = scale.ticks(30.0);
                assert!(ticks.len() > 1, "{low} to {high}: {ticks:?}");
                let room = ticks.windows(2).map(|pair| scale.at(pair[1]) - scale.at(pair[0]));
                assert!(
                    room.into_iter().all(|room| room >= 30.0),
                    "{low} to {high}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn round_values_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (1.25, "1.25"),
            (20_000.0, "20,000"),
            (0.001, "0.001"),
        ] {
            assert_eq!(round(value), expected);
        }
    }
}
