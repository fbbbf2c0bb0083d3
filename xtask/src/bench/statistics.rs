//! The few numbers that a figure boils down to: a slope, a median, and how sure they are.

use super::report::Interval;
use fastrand::Rng;

/// A straight line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    /// How much of what the points differ by the line explains, from 0 to 1.
    pub(super) r_squared: f64,
}

/// The line of least squares; nothing if the points don't tell one.
pub(super) fn line(points: &[(f64, f64)]) -> Option<Line> {
    let n = points.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |product: &dyn Fn(f64, f64) -> f64| {
        points
            .iter()
            .map(|point| product(point.0 - x, point.1 - y))
            .sum::<f64>()
    };
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let slope = xy / xx;
    slope.is_finite().then(|| Line {
        slope,
        // Points all alike are a line, too.
        r_squared: if yy > 0.0 { xy * xy / (xx * yy) } else { 1.0 },
    })
}

/// The middle one; nothing of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The standard deviation of a sample; nothing of fewer than two.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

/// Where the median lies with a probability of 95 %, by the percentile bootstrap; nothing of so few that it would only repeat them.
pub(super) fn interval_of_median(values: &[f64], rng: &mut Rng) -> Option<Interval> {
    const FEWEST: usize = 5;
    const RESAMPLES: usize = 10_000;
    const TAIL: f64 = 0.025;
    if values.len() < FEWEST {
        return None;
    }
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let resample: Vec<f64> = values
            .iter()
            .filter_map(|_| rng.choice(values).copied())
            .collect();
        medians.push(median(&resample)?);
    }
    medians.sort_by(f64::total_cmp);
    let quantile = |share: f64| medians[(share * (RESAMPLES - 1) as f64).round() as usize];
    Some(Interval {
        low: quantile(TAIL),
        high: quantile(1.0 - TAIL),
    })
}

#[cfg(test)]
mod tests {
    use super::{deviation, interval_of_median, line, median};
    use fastrand::Rng;

    #[test]
    fn a_line_is_found_again() {
        let points: Vec<_> = [1000.0, 2000.0, 4000.0, 8000.0]
            .map(|x| (x, 1_000_000.0 + 512.0 * x))
            .into();
        let found = line(&points).unwrap();
        assert!((found.slope - 512.0).abs() < 1e-6, "{found:?}");
        assert!((found.r_squared - 1.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn points_off_the_line_show() {
        let found = line(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0), (3.0, 3.0)]).unwrap();
        assert!((found.slope - 0.6).abs() < 1e-9, "{found:?}");
        assert!((found.r_squared - 0.2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn one_point_is_no_line() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(1.0, 1.0)]), None);
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0)]), None);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[1.0, 9.0, 3.0, 5.0]), Some(4.0));
    }

    #[test]
    fn the_deviation_is_a_samples() {
        assert_eq!(deviation(&[2.0]), None);
        assert_eq!(deviation(&[1.0, 3.0]), Some(2.0_f64.sqrt()));
    }

    /// Times of one and the same thing: 3 % of noise, and now and then a disturbance.
    fn times(rng: &mut Rng, scale: f64) -> Vec<f64> {
        let time = |rng: &mut Rng| {
            let disturbance = if rng.u8(..) < 25 { 0.2 } else { 0.0 };
            scale * (1.0 + 0.03 * rng.f64() + disturbance)
        };
        (0..15).map(|_| time(rng)).collect()
    }

    fn ratios(rng: &mut Rng, scale: f64) -> Vec<f64> {
        let (a, b) = (times(rng, scale), times(rng, 1.0));
        a.iter().zip(&b).map(|(a, b)| a / b).collect()
    }

    #[test]
    fn a_against_a_is_one_nearly_always() {
        let mut rng = Rng::with_seed(7);
        let contains = |rng: &mut Rng| {
            let ratios = ratios(rng, 1.0);
            let interval = interval_of_median(&ratios, rng).unwrap();
            interval.low <= 1.0 && 1.0 <= interval.high
        };
        let hits = (0..20).filter(|_| contains(&mut rng)).count();
        assert!(hits >= 17, "{hits} of 20");
    }

    #[test]
    fn a_difference_of_a_tenth_shows() {
        let mut rng = Rng::with_seed(7);
        let ratios = ratios(&mut rng, 1.1);
        let interval = interval_of_median(&ratios, &mut rng).unwrap();
        assert!(interval.low > 1.0, "{interval:?}");
        assert!(interval.low < 1.1 && 1.1 < interval.high + 0.03, "{interval:?}");
    }

    #[test]
    fn few_values_have_no_interval() {
        let mut rng = Rng::with_seed(7);
        assert_eq!(interval_of_median(&[], &mut rng), None);
        assert_eq!(interval_of_median(&[1.0, 1.1, 1.2, 1.3], &mut rng), None);
        assert!(interval_of_median(&[1.0, 1.1, 1.2, 1.3, 1.4], &mut rng).is_some());
    }
}
