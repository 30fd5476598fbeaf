//! Medians, quartiles and extremes of measurements that are intervals themselves: a quantile grows with every value, so
//! it lies between the quantile of the lows and the quantile of the highs.

/// Not less than `low`; not more than `high`, if anybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Not less.
    pub low: i64,
    /// Not more; none if nobody saw its end.
    pub high: Option<i64>,
}

/// Where the measurements of several runs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The smallest.
    pub min: Ends,
    /// A quarter is below.
    pub lower: Ends,
    /// Half is below.
    pub median: Ends,
    /// A quarter is above.
    pub upper: Ends,
    /// The largest.
    pub max: Ends,
}

impl Spread {
    /// Of these measurements; none of none.
    #[must_use]
    pub fn of(ends: &[Ends]) -> Option<Self> {
        let mut lows: Vec<i64> = ends.iter().map(|e| e.low).collect();
        let mut highs: Vec<i64> = ends.iter().map(|e| e.high.unwrap_or(i64::MAX)).collect();
        lows.sort_unstable();
        highs.sort_unstable();
        let at = |quarters: usize| {
            let high = quantile(&highs, quarters, 3)?;
            Some(Ends { low: quantile(&lows, quarters, 0)?, high: (high < i64::MAX).then_some(high) })
        };
        Some(Self { min: at(0)?, lower: at(1)?, median: at(2)?, upper: at(3)?, max: at(4)? })
    }
}

/// The value `quarters` quarters of the way from the first to the last, between neighbours in proportion. What lies
/// between a number and no end has no end. Lows are rounded down (`up` 0), highs up (`up` 3).
fn quantile(sorted: &[i64], quarters: usize, up: i128) -> Option<i64> {
    let way = sorted.len().checked_sub(1)? * quarters;
    let (place, rest) = (way / 4, (way % 4) as i128);
    let low = *sorted.get(place)?;
    let high = if rest == 0 { low } else { *sorted.get(place + 1)? };
    if high == i64::MAX {
        return Some(high);
    }
    let between = i128::from(low) + ((i128::from(high) - i128::from(low)) * rest + up) / 4;
    i64::try_from(between).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(values: &[i64]) -> Vec<Ends> {
        values.iter().map(|v| Ends { low: *v, high: Some(*v) }).collect()
    }

    fn point(value: i64) -> Ends {
        Ends { low: value, high: Some(value) }
    }

    fn between(low: i64, high: i64) -> Ends {
        Ends { low, high: Some(high) }
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        let spread = Spread::of(&exact(&[40, 10, 30, 20])).unwrap();
        assert_eq!([spread.min, spread.lower, spread.median], [point(10), between(17, 18), point(25)]);
        assert_eq!([spread.upper, spread.max], [between(32, 33), point(40)]);
        assert_eq!(Spread::of(&exact(&[7])).unwrap().upper, point(7));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn what_nobody_saw_the_end_of_has_no_upper_end() {
        let mut ends = exact(&[1, 2, 3, 4]);
        ends.push(Ends { low: 9, high: None });
        let spread = Spread::of(&ends).unwrap();
        assert_eq!(spread.median, point(3));
        assert_eq!(spread.max, Ends { low: 9, high: None });
        ends.push(Ends { low: 8, high: None });
        assert_eq!(Spread::of(&ends).unwrap().upper, Ends { low: 7, high: None });
    }

    proptest::proptest! {
        /// Whatever the true values are within their intervals, their quantiles lie within the quantiles' intervals.
        #[test]
        fn the_truth_is_inside(runs in proptest::collection::vec((0_i64..1_000, 0_i64..500, 0_u8..=100), 1..40)) {
            let ends: Vec<Ends> = runs.iter().map(|(low, width, _)| Ends { low: *low, high: Some(low + width) }).collect();
            let truth = |(low, width, at): &(i64, i64, u8)| low + width * i64::from(*at) / 100;
            let truth = Spread::of(&exact(&runs.iter().map(truth).collect::<Vec<_>>())).unwrap();
            let spread = Spread::of(&ends).unwrap();
            for (measured, truth) in [(spread.min, truth.min), (spread.lower, truth.lower), (spread.median, truth.median),
                (spread.upper, truth.upper), (spread.max, truth.max)] {
                proptest::prop_assert!(measured.low <= truth.low && truth.high <= measured.high);
            }
        }
    }
}
