//! Exact percentiles of many numbers without keeping them: they are counted in narrow classes first, and only those of
//! the classes that a percentile lies in are looked at one by one.

use super::Percentiles;
use std::collections::BTreeMap;

/// Numbers of a class share their highest eleven bits.
const BITS: u32 = 10;
const CLASSES: usize = (65 - BITS as usize) << BITS;

/// p50, p95, p99 and the largest, by nearest rank. Asks for the values twice; they must be the same.
pub(super) fn percentiles<I: Iterator<Item = i64>>(values: impl Fn() -> I) -> Option<Percentiles> {
    let (mut counts, mut all, mut max) = (vec![0_usize; CLASSES], 0_usize, i64::MIN);
    for value in values() {
        counts[class(value)] += 1;
        all += 1;
        max = max.max(value);
    }
    if all == 0 {
        return None;
    }
    let places = [50, 95, 99].map(|percent| find(&counts, (all * percent).div_ceil(100).max(1) - 1));
    let mut kept: BTreeMap<usize, Vec<i64>> = places.iter().map(|(class, _)| (*class, Vec::new())).collect();
    for value in values() {
        let class = class(value);
        if places.iter().any(|(wanted, _)| *wanted == class) {
            kept.entry(class).or_default().push(value);
        }
    }
    let mut exact = |(class, inside): (usize, usize)| {
        kept.get_mut(&class).map_or(max, |values| *values.select_nth_unstable(inside).1)
    };
    Some(Percentiles { p50: exact(places[0]), p95: exact(places[1]), p99: exact(places[2]), max })
}

/// The class of a number; what is not positive is in the first.
fn class(value: i64) -> usize {
    let value = value.max(0).unsigned_abs();
    let shift = (63 - BITS).saturating_sub((value | 1).leading_zeros());
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The class that a rank lies in, and its rank there.
fn find(counts: &[usize], rank: usize) -> (usize, usize) {
    let mut before = 0;
    for (class, count) in counts.iter().enumerate() {
        if rank < before + count {
            return (class, rank - before);
        }
        before += count;
    }
    (CLASSES - 1, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![0..3000_i64, 0..5_000_000_000_i64, Just(7), any::<i64>()]
    }

    proptest! {
        #[test]
        fn they_are_as_if_sorted(list in proptest::collection::vec(number(), 1..400)) {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
            let expected = Percentiles { p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) };
            prop_assert_eq!(percentiles(|| list.iter().copied()), Some(expected));
        }

        #[test]
        fn classes_ascend(a in number(), b in number()) {
            prop_assert!(class(a) < CLASSES && class(a.max(b)) >= class(a.min(b)));
        }
    }

    #[test]
    fn of_nothing_there_are_none() {
        assert_eq!(percentiles(std::iter::empty), None);
    }
}
