//! What a number of runs says about all others: distribution-free bounds by order statistics (S. S. Wilks, "Determination
//! of sample sizes for setting tolerance limits", 1941), and the largest share they support (C. J. Clopper and
//! E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934).
//! Nothing is assumed but that runs are independent and alike. Numbers of runs and shares only; no durations.
//!
//! Of `n` runs let `r` lie above the bound. The bound holds for a share `p` of all runs with the confidence
//! `1 − P(Bin(n, 1 − p) ≤ r)`; with `r = 0` that is `1 − pⁿ`.

/// "With this confidence, at least this share of all runs …"; both strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    confidence: f64,
    share: f64,
}

/// More runs than anybody makes; where counting stops.
const MOST: u64 = 1 << 40;

impl Claim {
    /// None unless both lie strictly between 0 and 1.
    #[must_use]
    pub fn new(confidence: f64, share: f64) -> Option<Self> {
        let inside = |x: f64| x > 0.0 && x < 1.0;
        (inside(confidence) && inside(share)).then_some(Self { confidence, share })
    }

    /// How sure.
    #[must_use]
    pub fn confidence(self) -> f64 {
        self.confidence
    }

    /// Of how many.
    #[must_use]
    pub fn share(self) -> f64 {
        self.share
    }

    /// Do `n` runs, of which `r` lie above the bound, support it?
    #[must_use]
    pub fn holds(self, n: u64, r: u64) -> bool {
        1.0 - at_most(r, n, 1.0 - self.share) >= self.confidence
    }

    /// The most of `n` runs that may lie above the bound; none if `n` are too few even without any.
    #[must_use]
    pub fn allowed(self, n: u64) -> Option<u64> {
        self.holds(n, 0).then(|| last(0, n, |r| self.holds(n, r)))
    }

    /// The fewest runs that support it when `r` of them lie above the bound.
    #[must_use]
    pub fn needed(self, r: u64) -> u64 {
        let mut high = r.saturating_add(1);
        while high < MOST && !self.holds(high, r) {
            high = high.saturating_mul(2);
        }
        last(r, high, |n| !self.holds(n, r)).saturating_add(1)
    }

    /// Do `missed` of `n` runs speak against it, with the same confidence? They do if so many would be that unlikely,
    /// were the share true.
    #[must_use]
    pub fn refuted(self, n: u64, missed: u64) -> bool {
        missed > 0 && at_most(missed - 1, n, 1.0 - self.share) >= self.confidence
    }
}

/// The largest share that `n` runs support with this confidence when `r` of them lie above the bound; 0 if none.
#[must_use]
pub fn share_supported(n: u64, r: u64, confidence: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        if Claim::new(confidence, middle).is_some_and(|claim| claim.holds(n, r)) { low = middle } else { high = middle }
    }
    low
}

/// P(Bin(n, q) ≤ r), summed from the logarithms of its terms.
fn at_most(r: u64, n: u64, q: f64) -> f64 {
    if r >= n {
        return 1.0;
    }
    let odds = q.ln() - (-q).ln_1p();
    let mut term = n as f64 * (-q).ln_1p();
    let mut sum = term.exp();
    for j in 1..=r {
        term += ((n - j + 1) as f64 / j as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The last number from `from` to `to` for which it is so, given that it is so for `from` and then stops being so once.
fn last(from: u64, to: u64, so: impl Fn(u64) -> bool) -> u64 {
    let (mut yes, mut no) = (from, to.saturating_add(1));
    while no - yes > 1 {
        let middle = yes.midpoint(no);
        if so(middle) { yes = middle } else { no = middle }
    }
    yes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(confidence: f64, share: f64) -> Claim {
        Claim::new(confidence, share).unwrap()
    }

    #[test]
    fn clean_runs_that_a_claim_needs_are_the_known_ones() {
        for (share, needed) in [(0.9, [29, 46, 61]), (0.95, [59, 93, 124]), (0.99, [299, 473, 628])] {
            for (r, n) in needed.into_iter().enumerate() {
                assert_eq!(claim(0.95, share).needed(r as u64), n, "{share} with {r}");
            }
        }
        assert_eq!(claim(0.99, 0.99).needed(0), 459);
    }

    #[test]
    fn allowed_and_needed_are_two_sides_of_one_thing() {
        for share in [0.5, 0.9, 0.95] {
            let claim = claim(0.95, share);
            for n in 1..400 {
                match claim.allowed(n) {
                    None => assert!(claim.needed(0) > n),
                    Some(r) => assert!(claim.needed(r) <= n && claim.needed(r + 1) > n, "{n} {r}"),
                }
            }
        }
    }

    /// Every sequence of n outcomes, one by one.
    fn slowly(r: u32, n: u32, q: f64) -> f64 {
        let fails = |outcomes: &u32| outcomes.count_ones();
        let chance = |outcomes: u32| q.powi(fails(&outcomes) as i32) * (1.0 - q).powi((n - fails(&outcomes)) as i32);
        (0..1_u32 << n).filter(|outcomes| fails(outcomes) <= r).map(chance).sum()
    }

    #[test]
    fn the_binomial_is_what_counting_every_outcome_gives() {
        for n in 1..=12 {
            for r in 0..=n {
                for q in [0.01, 0.1, 0.5, 0.93] {
                    let (fast, slow) = (at_most(r.into(), n.into(), q), slowly(r, n, q));
                    assert!((fast - slow).abs() < 1e-12, "{r} of {n} at {q}: {fast} {slow}");
                }
            }
        }
    }

    #[test]
    fn the_share_supported_is_the_limit_of_clopper_and_pearson() {
        // Without a miss it is (1 − confidence)^(1/n).
        for n in [1_u64, 5, 20, 300] {
            assert!((share_supported(n, 0, 0.95) - 0.05_f64.powf(1.0 / n as f64)).abs() < 1e-9);
        }
        // 18 of 20, lower limit at 95 %, from published tables.
        assert!((share_supported(20, 2, 0.95) - 0.7174).abs() < 5e-4);
        assert!(share_supported(7, 7, 0.95) < 1e-9);
    }

    #[test]
    fn too_many_misses_refute_a_claim_and_none_never_do() {
        let claim = claim(0.95, 0.9);
        assert!(!claim.refuted(1_000, 0) && !claim.refuted(10, 1) && claim.refuted(10, 4) && claim.refuted(2, 2));
        assert!((0..=60).all(|r| !(claim.refuted(60, r) && claim.holds(60, r))));
    }

    #[test]
    fn senseless_claims_are_none_and_many_runs_are_no_trouble() {
        assert!([0.0, 1.0, -1.0, f64::NAN].into_iter().all(|x| Claim::new(x, 0.9).is_none()));
        assert!([0.0, 1.0, 2.0, f64::NAN].into_iter().all(|x| Claim::new(0.95, x).is_none()));
        let claim = claim(0.95, 0.9);
        let allowed = claim.allowed(100_000).unwrap();
        assert!((9_800..9_900).contains(&allowed), "{allowed}");
    }
}
