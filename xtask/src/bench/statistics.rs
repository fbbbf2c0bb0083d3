//! The median of several values, and its interval.

/// The middle value. None of no values.
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

/// Of fewer values, the median lies beyond all of them with a probability above [`MISSES`].
pub(super) const FEWEST: usize = 6;

/// The probability that the median lies outside of its interval.
const MISSES: f64 = 0.05;

/// Where the median lies: between two of the values, by the sign test. None of fewer than
/// [`FEWEST`] values.
///
/// The test holds for any distribution. The bootstrap of a median does not: of seven values, it
/// leaves out the outermost two, and misses in one case of eight.
pub(super) fn interval_of_median(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len();
    // The probability that exactly, and that at most, `outside` of the values lie below the median.
    // The first is a logarithm, since it may be tiny.
    let mut exactly = -(n as f64);
    let mut at_most = exactly.exp2();
    let mut outside = 0;
    while 2.0 * at_most <= MISSES {
        exactly += ((n - outside) as f64 / (outside + 1) as f64).log2();
        at_most += exactly.exp2();
        outside += 1;
    }
    let sorted = sorted(values);
    // The last step was one too many.
    let lowest = outside.checked_sub(1)?;
    Some((sorted[lowest], sorted[n - 1 - lowest]))
}

#[cfg(test)]
mod tests {
    use super::{FEWEST, interval_of_median, median};

    #[test]
    fn median_is_the_middle_value() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[1.0, 9.0, 3.0, 5.0]), Some(4.0));
    }

    #[test]
    fn few_values_have_no_interval() {
        let values = [1.0, 1.4, 1.1, 1.3, 1.2, 1.5];
        for n in 0..FEWEST {
            assert_eq!(interval_of_median(&values[..n]), None, "{n}");
        }
        assert_eq!(interval_of_median(&values), Some((1.0, 1.5)));
    }

    /// The ranks are those of tables of the sign test for 95 %.
    #[test]
    fn ranks_are_those_of_the_sign_test() {
        for (n, rank) in [(8, 1), (9, 2), (15, 4), (25, 8), (100, 40), (2_000, 956)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let interval = (f64::from(rank), f64::from(n + 1 - rank));
            assert_eq!(interval_of_median(&values), Some(interval), "{n}");
        }
    }
}
