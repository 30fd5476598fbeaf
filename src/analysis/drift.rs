//! How far another machine's clock was from ours, from looks at it: each is a question and its answer, and what that clock
//! said in between.

use crate::model::{Mono, Span};

/// Two clocks may drift apart by so many nanoseconds in a second: either is steered by at most 500 ppm.
const DRIFT: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;

/// A look at another clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// On our clock, between question and answer.
    pub span: Span,
    /// What the other one said then.
    pub said: Mono,
}

/// The other clock minus ours, as low and as high as it can have been.
#[derive(Clone, Copy)]
struct Apart {
    at: i64,
    lo: i64,
    hi: i64,
}

impl Apart {
    fn of(look: &Look) -> Self {
        let (lo, hi) = (look.said.0.saturating_sub(look.span.hi.0), look.said.0.saturating_sub(look.span.lo.0));
        Self { at: look.span.lo.0 / 2 + look.span.hi.0 / 2, lo, hi }
    }

    /// A slow answer says no less than what its neighbour said and drift allows.
    fn narrowed(self, by: &Self) -> Self {
        let slack = drift(self.at - by.at);
        let (lo, hi) = (by.lo.saturating_sub(slack), by.hi.saturating_add(slack));
        Self { lo: self.lo.max(lo), hi: self.hi.min(hi), ..self }
    }
}

fn drift(apart: i64) -> i64 {
    let drifted = i128::from(apart.abs()) * i128::from(DRIFT) / i128::from(SECOND);
    i64::try_from(drifted).unwrap_or(i64::MAX)
}

/// The other clock minus ours, and the error of that either way, so that it holds all the time; none without a look.
pub(super) fn apart(looks: &[Look]) -> Option<(i64, i64)> {
    let mut all: Vec<Apart> = looks.iter().map(Apart::of).collect();
    all.sort_by_key(|one| one.at);
    let mut narrow = all.clone();
    for next in 1..narrow.len() {
        narrow[next] = narrow[next].narrowed(&narrow[next - 1]);
    }
    for before in (0..narrow.len().saturating_sub(1)).rev() {
        narrow[before] = narrow[before].narrowed(&narrow[before + 1]);
    }
    // A clock that has jumped drifts more than clocks do: then every look counts as it is.
    let steady = narrow.iter().all(|one| one.lo <= one.hi);
    let counted = if steady { &narrow } else { &all };
    let (lo, hi) = (counted.iter().map(|one| one.lo).min()?, counted.iter().map(|one| one.hi).max()?);
    let gap = all.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or(SECOND);
    let (lo, hi) = (lo.saturating_sub(drift(gap)), hi.saturating_add(drift(gap)));
    let offset = lo / 2 + hi / 2;
    Some((offset, hi.saturating_sub(offset).max(offset.saturating_sub(lo)).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    fn look(asked: i64, answered: i64, said: i64) -> Look {
        Look { span: Span::new(Mono(asked), Mono(answered)), said: Mono(said) }
    }

    #[test]
    fn a_quick_answer_makes_up_for_a_slow_one() {
        assert_eq!(apart(&[]), None);
        let (quick, slow) = (look(0, 2 * MS, 5_001 * MS), look(1000 * MS, 1400 * MS, 6_390 * MS));
        let (offset, error) = apart(&[quick, slow]).unwrap();
        // 5 s ahead to a millisecond, a millisecond of drift to the next look, and the same again between looks.
        assert!((offset - 5000 * MS).abs() <= 2 * MS && error <= 4 * MS, "{offset} {error}");
        assert!(apart(&[slow]).unwrap().1 >= 200 * MS);
    }

    #[test]
    fn a_clock_that_jumped_is_known_only_so_well() {
        let (offset, error) = apart(&[look(0, MS, 0), look(1000 * MS, 1001 * MS, 4000 * MS)]).unwrap();
        assert!(offset - error <= -MS && offset + error >= 3000 * MS, "{offset} {error}");
    }

    proptest! {
        /// Whatever a clock within the drift did, and however late answers came, it was where it is said to have been.
        #[test]
        fn the_truth_is_always_within(
            start in -20_000_i64..20_000,
            ppm in -500_i64..500,
            delays in prop::collection::vec((0_i64..300, 0_i64..300), 1..20),
        ) {
            let truth = |at: i64| start * MS + at / 1_000_000 * ppm;
            let looks: Vec<Look> = delays.iter().enumerate().map(|(n, (there, back))| {
                let asked = n as i64 * 2 * SECOND;
                let seen = asked + there * MS;
                look(asked, seen + back * MS, seen + truth(seen))
            }).collect();
            let (offset, error) = apart(&looks).unwrap();
            let end = looks.last().unwrap().span.hi.0;
            for at in (0..=end).step_by(100_000_000) {
                prop_assert!((truth(at) - offset).abs() <= error, "{} is not {offset} +- {error}", truth(at));
            }
        }
    }
}
