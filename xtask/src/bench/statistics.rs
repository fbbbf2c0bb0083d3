//! The few numbers that a figure boils down to: a median, and how sure it is.

/// The middle one; nothing of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Fewer values don't tell where their median lies: with a probability above 5 % it's on one side
/// of all of them.
pub(super) const FEWEST: usize = 6;

/// How often what's told of a median is to be wrong: in one case of twenty.
pub(super) const MISSES: f64 = 0.05;

/// Where the median lies, wrong with a probability of `misses` at the most: between two of the
/// values, as far inside as the sign test allows; nothing of too few, which are those below
/// [`FEWEST`] for [`MISSES`].
///
/// It holds however the values are distributed. The bootstrap of a median doesn't: of seven values,
/// it leaves out the outermost two and misses in one case of eight.
pub(super) fn interval_of_median(values: &[f64], misses: f64) -> Option<(f64, f64)> {
    let n = values.len();
    // How probable it is that so many of the values, and no more, lie below the median (its
    // logarithm, since it may be tiny); and that at most so many do.
    let mut exactly = -(n as f64);
    let mut at_most = exactly.exp2();
    let mut outside = 0;
    while 2.0 * at_most <= misses {
        exactly += ((n - outside) as f64 / (outside + 1) as f64).log2();
        at_most += exactly.exp2();
        outside += 1;
    }
    let sorted = sorted(values);
    // The last step went too far.
    let lowest = outside.checked_sub(1)?;
    Some((sorted[lowest], sorted[n - 1 - lowest]))
}

#[cfg(test)]
mod tests {
    use super::{FEWEST, MISSES, interval_of_median, median};
    use fastrand::Rng;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[1.0, 9.0, 3.0, 5.0]), Some(4.0));
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
            let interval = interval_of_median(&ratios, MISSES).unwrap();
            interval.0 <= 1.0 && 1.0 <= interval.1
        };
        let hits = (0..2_000).filter(|_| contains(&mut rng)).count();
        assert!(hits >= 1_900, "{hits} of 2,000");
    }

    #[test]
    fn a_difference_of_a_tenth_shows() {
        let mut rng = Rng::with_seed(7);
        let ratios = ratios(&mut rng, 1.1);
        let interval = interval_of_median(&ratios, MISSES).unwrap();
        assert!(interval.0 > 1.0, "{interval:?}");
        assert!(interval.0 < 1.1 && 1.1 < interval.1 + 0.03, "{interval:?}");
    }

    #[test]
    fn few_values_have_no_interval() {
        let values = [1.0, 1.4, 1.1, 1.3, 1.2, 1.5];
        for n in 0..FEWEST {
            assert_eq!(interval_of_median(&values[..n], MISSES), None, "{n}");
        }
        assert_eq!(interval_of_median(&values, MISSES), Some((1.0, 1.5)));
    }

    #[test]
    fn who_wants_to_be_surer_gets_a_wider_interval() {
        let values: Vec<f64> = (1..=15).map(f64::from).collect();
        let (low, high) = (2.0, 14.0);
        assert_eq!(interval_of_median(&values, 0.002), Some((low, high)));
        assert_eq!(interval_of_median(&values[..9], 0.002), None);
    }

    /// The ranks that tables of the sign test give for 95 %.
    #[test]
    fn of_many_values_the_outermost_are_left_out() {
        for (n, rank) in [(8, 1), (9, 2), (15, 4), (25, 8), (100, 40), (2_000, 956)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let (low, high) = (f64::from(rank), f64::from(n + 1 - rank));
            assert_eq!(
                interval_of_median(&values, MISSES),
                Some((low, high)),
                "{n}"
            );
        }
    }
}
