//! Objectives against what was measured: met, missed, or not decided and what would decide it.

use super::recovery::Judged;
use super::{LedgerResult, ObjectiveResult, Verdict};
use crate::model::figure::{at_least, at_most};
use crate::model::{ClockBasis, Exposure, FaultId, Interval, Objective, ObjectiveKind};

/// What an objective of one workload is judged by.
pub(super) struct Evidence<'a> {
    pub judged: &'a [Judged],
    pub ledger: Option<&'a LedgerResult>,
    /// The fault that starts the clock: the named one, or the first injected.
    pub fault: Option<&'a FaultId>,
    /// Why that fault cannot start a clock (not injected, not effective).
    pub no_clock: Option<String>,
    /// How long after that fault somebody noticed, if anybody did.
    pub detected: Option<Interval>,
    /// Of the histories of backups that the drill restored from.
    pub exposures: &'a [Result<Exposure, String>],
}

/// Judges one objective.
pub(super) fn judge(objective: &Objective, evidence: &Evidence) -> ObjectiveResult {
    let (actual, verdict, why) = match objective.kind {
        ObjectiveKind::Rto => rto(objective, evidence),
        ObjectiveKind::RpoTime => exposed(objective.target, rpo_time(objective, evidence), evidence.exposures),
        ObjectiveKind::RpoWrites => rpo_writes(objective, evidence),
        ObjectiveKind::Detect => detect(objective.target, evidence),
    };
    ObjectiveResult { objective: objective.clone(), fault: evidence.fault.cloned(), actual, verdict, why }
}

type Judgement = (Option<Interval>, Verdict, String);

fn undecided(why: impl Into<String>) -> Judgement {
    (None, Verdict::Inconclusive, why.into())
}

/// A drill that ends with nobody having noticed says nothing about when somebody would have.
fn detect(target: i64, evidence: &Evidence) -> Judgement {
    if let Some(why) = &evidence.no_clock {
        return (evidence.detected, Verdict::Inconclusive, why.clone());
    }
    let Some(actual) = evidence.detected else {
        return undecided("nobody noticed it: the milestone `detected` was not reached");
    };
    decided(target, actual, at_least).unwrap_or_else(|| {
        let bounds = format!("the target lies between {} and {}", at_least(actual.low), at_most(actual.high));
        (Some(actual), Verdict::Inconclusive, format!("{bounds}; a look that is quicker would decide it"))
    })
}

fn rto(objective: &Objective, evidence: &Evidence) -> Judgement {
    let judged = evidence.fault.and_then(|id| evidence.judged.iter().find(|j| j.recovery.fault == *id));
    let Some(judged) = judged else {
        return undecided(evidence.no_clock.clone().unwrap_or_else(|| "the workload was not measured".to_owned()));
    };
    let recovery = &judged.recovery;
    let actual = match objective.basis {
        ClockBasis::Fault => recovery.sustained,
        ClockBasis::Declared => recovery.sustained_from_declared,
    };
    if let Some(why) = &evidence.no_clock {
        let shown = actual.filter(|_| !recovery.unnoticed);
        return (shown, Verdict::Inconclusive, why.clone());
    }
    match (actual, recovery.at_least) {
        (Some(actual), _) => time(objective.target, actual, recovery.fixed_width, judged.rate),
        (None, Some(least)) if objective.basis == ClockBasis::Fault && least > objective.target => {
            let why = recovery.why.as_deref().unwrap_or("service did not come back");
            (None, Verdict::Fail, format!("missed: it took more than {}; {why}", at_least(least)))
        }
        (None, _) if recovery.sustained.is_some() => undecided("nobody declared a disaster: no `declared` milestone"),
        (None, _) => undecided(recovery.why.clone().unwrap_or_else(|| "internal error".to_owned())),
    }
}

/// Met if hi ≤ target; missed if lo > target; otherwise undecided, with the rate that would decide it:
/// r ≥ 2 / (|target − best| − w₀), w₀ the width that is not due to the rate.
fn time(target: i64, actual: Interval, fixed: i64, rate: f64) -> Judgement {
    if let Some(judgement) = decided(target, actual, at_least) {
        return judgement;
    }
    let room = (target - actual.best).abs() - fixed;
    let bounds = format!("the target lies between {} and {}", at_least(actual.low), at_most(actual.high));
    let advice = if room > 0 {
        let needed = 2e9 / room as f64;
        let needed = if needed > rate { needed } else { rate * 2.0 };
        if needed >= 10.0 {
            format!("at least {needed:.0}/s would decide it")
        } else {
            format!("at least {needed:.1}/s would decide it")
        }
    } else {
        "no rate decides it".to_owned()
    };
    (Some(actual), Verdict::Inconclusive, format!("{bounds}; {advice}"))
}

fn decided(target: i64, actual: Interval, show: impl Fn(i64) -> String) -> Option<Judgement> {
    if actual.high <= target {
        let spare = target - actual.high;
        let why = if spare == 0 { "met exactly".to_owned() } else { format!("met with {} to spare", show(spare)) };
        return Some((Some(actual), Verdict::Pass, why));
    }
    let over = actual.low - target;
    (over > 0).then(|| (Some(actual), Verdict::Fail, format!("missed by at least {}", show(over))))
}

fn books<'a>(evidence: &Evidence<'a>) -> Result<&'a LedgerResult, String> {
    let ledger = evidence.ledger.ok_or("the workload writes no ledger, so no loss can be counted")?;
    if ledger.lost.is_none() {
        return Err(ledger.why.clone().unwrap_or_else(|| "the ledger was not read back".to_owned()));
    }
    Ok(ledger)
}

fn rpo_time(objective: &Objective, evidence: &Evidence) -> Judgement {
    let ledger = match books(evidence) {
        Ok(ledger) => ledger,
        Err(why) => return undecided(why),
    };
    let named = objective.fault.as_ref().and_then(|id| ledger.losses.iter().find(|loss| loss.fault == *id));
    let actual = named.map_or(ledger.rpo_time, |loss| loss.rpo_time);
    if let Some(why) = &evidence.no_clock {
        return (actual, Verdict::Inconclusive, why.clone());
    }
    let Some(actual) = actual else {
        return undecided(ledger.why.clone().unwrap_or_else(|| "acknowledgements are missing from the log".to_owned()));
    };
    let undecided = || {
        let bounds = format!("the target lies between {} and {}", at_least(actual.low), at_most(actual.high));
        (Some(actual), Verdict::Inconclusive, format!("{bounds}; no rate decides it"))
    };
    decided(objective.target, actual, at_least).unwrap_or_else(undecided)
}

/// The verdict is the worse of what was lost and of what a disaster at the worst moment would have cost: a drill right after
/// the nightly backup proves nothing.
fn exposed(target: i64, (actual, verdict, why): Judgement, exposures: &[Result<Exposure, String>]) -> Judgement {
    let mut judged = (actual, verdict, why);
    for exposure in exposures {
        let (verdict, why) = match exposure {
            Err(why) => (Verdict::Inconclusive, format!("the exposure between backups is not known: {why}")),
            Ok(Exposure { worst, .. }) => {
                let (low, high) = (at_least(worst.low), at_most(worst.high));
                let between = format!("between backups up to {high} would have been lost");
                match decided(target, *worst, at_least) {
                    Some((_, verdict, why)) => (verdict, format!("{between}: {why}")),
                    None => (Verdict::Inconclusive, format!("between backups {low} to {high} would have been lost")),
                }
            }
        };
        judged = (judged.0, judged.1.max(verdict), format!("{}; {why}", judged.2));
    }
    judged
}

fn rpo_writes(objective: &Objective, evidence: &Evidence) -> Judgement {
    let ledger = match books(evidence) {
        Ok(ledger) => ledger,
        Err(why) => return undecided(why),
    };
    let named = objective.fault.as_ref().and_then(|id| ledger.losses.iter().find(|loss| loss.fault == *id));
    let known = named.map(|loss| loss.lost).or(ledger.lost).zip(ledger.lost_upper);
    let Some((lost, perhaps)) = known else {
        return undecided("how many writes may be lost besides is not known".to_owned());
    };
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (low, high) = (count(lost), count(lost.saturating_add(perhaps)));
    let actual = Interval { low, best: low, high };
    if let Some(why) = &evidence.no_clock {
        return (Some(actual), Verdict::Inconclusive, why.clone());
    }
    if let Some(why) = ledger.why.as_ref().filter(|_| low <= objective.target) {
        return (Some(actual), Verdict::Inconclusive, why.clone());
    }
    let writes = |n: i64| if n == 1 { "1 write".to_owned() } else { format!("{n} writes") };
    let undecided = || {
        let why = format!("between {} and {} are lost; the log does not say", writes(low), writes(high));
        (Some(actual), Verdict::Inconclusive, why)
    };
    decided(objective.target, actual, writes).unwrap_or_else(undecided)
}
