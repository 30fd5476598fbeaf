//! Several runs together: what counts, what does not, and whether bounds hold as often as they say.

use super::*;
use crate::model::Interval;

const S: i64 = 1_000_000_000;

fn claim(share: f64) -> Claim {
    Claim::new(0.95, share).unwrap()
}

fn subject() -> Subject {
    Subject { kind: ObjectiveKind::Rto, workload: "orders".into(), basis: ClockBasis::Fault, fault: None }
}

fn run(n: usize, measured: Measured) -> Sample {
    let attribution = if matches!(measured, Measured::Within(_)) { Attribution::System } else { Attribution::None };
    Sample {
        run: RunId(format!("run-{n}")),
        drill: "d".into(),
        environment: "staging".to_owned(),
        params: BTreeMap::new(),
        resolved: "r".to_owned(),
        head: format!("head-{n}"),
        started: DateTime::UNIX_EPOCH,
        host: "h".to_owned(),
        tool: "t".to_owned(),
        expects_failover: true,
        state: RunState::Ended,
        verdict: Verdict::Pass,
        doubt: None,
        observations: vec![Observation { subject: subject(), target: Some(10 * S), measured, attribution, outages: 1 }],
    }
}

fn within(low: i64, high: i64) -> Measured {
    Measured::Within(Interval::between(low, high).unwrap())
}

fn only(samples: Vec<Sample>, claims: &[Claim]) -> Row {
    let mut statistics = statistics(samples, claims);
    assert_eq!(statistics.groups.len(), 1);
    assert_eq!(statistics.groups[0].rows.len(), 1);
    statistics.groups.remove(0).rows.remove(0)
}

/// `n` runs of 1 s, 2 s, …, each a second wide at most.
fn clean(n: usize) -> Vec<Sample> {
    (1..=n).map(|i| run(i, within(i as i64 * S / 10, i as i64 * S / 10 + S / 100))).collect()
}

#[test]
fn a_bound_is_an_upper_end_and_needs_enough_runs() {
    let row = only(clean(28), &[claim(0.9)]);
    assert_eq!(row.bounds[0].within, Limit::MoreRuns(1));
    assert_eq!(row.bounds[0].target, Some(Support::MoreRuns(1)));
    let row = only(clean(29), &[claim(0.9)]);
    assert_eq!(row.bounds[0].within, Limit::Within(29 * S / 10 + S / 100));
    assert_eq!(row.bounds[0].target, Some(Support::Supported));
    // From 46 runs on the largest may be left aside.
    let row = only(clean(46), &[claim(0.9)]);
    assert_eq!(row.bounds[0].within, Limit::Within(45 * S / 10 + S / 100));
}

#[test]
fn a_run_of_which_nothing_is_known_counts_as_one_that_took_for_ever() {
    let mut samples = clean(29);
    samples[0].observations[0].measured = Measured::Unknown;
    let row = only(samples.clone(), &[claim(0.9)]);
    assert_eq!((row.tally.runs, row.tally.unknown, row.tally.undecided), (29, 1, 1));
    assert_eq!(row.bounds[0].within, Limit::TooManyUnknown { unknown: 1, allowed: 0, more: 17 });
    assert_eq!(row.bounds[0].target, Some(Support::MoreRuns(17)));
    // With those 17 more the claim holds.
    samples.extend((30..=46).map(|i| run(i, within(S, 2 * S))));
    let row = only(samples, &[claim(0.9)]);
    assert_eq!(row.bounds[0].within, Limit::Within(29 * S / 10 + S / 100));
    assert_eq!(row.bounds[0].target, Some(Support::Supported));
}

#[test]
fn what_was_seen_only_so_far_has_no_end_and_may_still_be_missed() {
    let row = only(vec![run(1, Measured::AtLeast(12 * S)), run(2, Measured::AtLeast(S))], &[claim(0.9)]);
    assert_eq!((row.tally.censored, row.tally.missed, row.tally.undecided), (2, 1, 1));
    assert_eq!(row.spread.unwrap().min, Ends { low: S, high: None });
    assert_eq!(row.supported, None);
    assert_eq!(row.tally.by_system, 0);
}

#[test]
fn a_record_that_does_not_verify_counts_but_is_not_believed() {
    let mut samples = clean(2);
    samples[1].doubt = Some("the journal was cut".to_owned());
    samples[1].observations.clear();
    samples[1].state = RunState::Dirty;
    let row = only(samples, &[claim(0.9)]);
    assert_eq!((row.tally.runs, row.tally.unknown, row.tally.measured), (2, 1, 1));
    assert_eq!(row.spread.unwrap().max.high, Some(S / 10 + S / 100));
}

#[test]
fn a_run_in_which_no_fault_came_is_no_sample() {
    let mut samples = clean(3);
    samples[0].state = RunState::NotRun;
    samples[1].observations[0].measured = Measured::NotReached;
    let row = only(samples, &[claim(0.9)]);
    assert_eq!((row.tally.runs, row.tally.not_reached), (1, 2));
}

#[test]
fn a_run_counts_once_and_experiments_are_kept_apart() {
    let mut samples = clean(3);
    samples.push(samples[0].clone());
    samples[1].params.insert("rate".to_owned(), "500/s".to_owned());
    samples[2].resolved = "another text".to_owned();
    let statistics = statistics(samples, &[claim(0.9)]);
    assert_eq!(statistics.twice, 1);
    assert_eq!(statistics.groups.iter().map(|g| g.runs.len()).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn runs_that_miss_the_target_refute_it() {
    let samples = (0..6).map(|i| run(i, within(11 * S, 12 * S))).collect();
    let row = only(samples, &[claim(0.9)]);
    assert_eq!(row.bounds[0].target, Some(Support::Refuted));
    assert_eq!(row.tally.missed, 6);
}

/// splitmix64, to [0, 1).
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Failovers whose distribution is known (uniform; heavy in the tail; a few steps), measured with error bars, some not
/// at all. In at least 95 % of experiments the bound covers its share; and it is not far above what it must be.
#[test]
fn bounds_hold_as_often_as_they_say() {
    // Seconds by quantile.
    let laws: [fn(f64) -> f64; 3] = [
        |u| 1.0 + u,
        |u| (1.0 - u).powf(-1.5),
        |u| {
            if u < 0.5 {
                1.0
            } else if u < 0.93 {
                2.0
            } else {
                30.0
            }
        },
    ];
    let nanos = |seconds: f64| (seconds * S as f64) as i64;
    for (n, share, unknown) in [(29, 0.9, 0.0), (59, 0.95, 0.0), (46, 0.9, 0.02), (100, 0.9, 0.03), (12, 0.75, 0.0)] {
        for (which, law) in laws.iter().enumerate() {
            let (mut state, mut held, mut given) = (n as u64 * 31 + which as u64, 0, 0);
            const EXPERIMENTS: u32 = 1_500;
            for _ in 0..EXPERIMENTS {
                let mut draw = |i: usize| {
                    let truth = nanos(law(random(&mut state)));
                    let (below, above) = (random(&mut state) * 1e7, random(&mut state) * 1e7);
                    let known = random(&mut state) >= unknown;
                    let measured = within(truth - below as i64, truth + above as i64);
                    run(i, if known { measured } else { Measured::Unknown })
                };
                let row = only((0..n).map(&mut draw).collect(), &[claim(share)]);
                match row.bounds[0].within {
                    Limit::Within(high) => {
                        given += 1;
                        held += u32::from(high >= nanos(law(share - 1e-9)));
                    }
                    // No bound is no wrong bound.
                    _ => held += 1,
                }
            }
            // Three standard errors of the simulation itself.
            let least = f64::from(EXPERIMENTS) * 0.95 - 3.0 * (f64::from(EXPERIMENTS) * 0.95 * 0.05).sqrt();
            assert!(f64::from(held) >= least, "{n} runs, {share}, law {which}: {held} of {EXPERIMENTS}");
            assert!(given > EXPERIMENTS / 10, "{n} runs, {share}, law {which}: a bound in {given} only");
        }
    }
}
