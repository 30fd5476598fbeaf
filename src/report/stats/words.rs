//! What several runs support, in sentences.

use super::Shown;
use crate::analysis::stats::{Bound, Ends, Group, Limit, Measured, Row, Sample, Support};
use crate::model::{ClockBasis, Interval, ObjectiveKind, RunState, Verdict};
use crate::report::words::{self as say, UNKNOWN, plural};
use std::collections::BTreeSet;

/// Drill, environment and parameters.
pub(super) fn title(group: &Group) -> String {
    let Some(first) = group.runs.first() else { return String::new() };
    let params: String = first.params.iter().map(|(name, value)| format!(", {name}={value}")).collect();
    let runs = plural(group.runs.len() as u64, "run");
    format!("{} in {}{params}: {runs}", first.drill, first.environment)
}

/// How the runs ended.
pub(super) fn verdicts(group: &Group) -> String {
    let word = |run: &Sample| match (&run.doubt, run.state, run.verdict) {
        (Some(_), ..) => "not verified",
        (_, RunState::Dirty, _) => "not healed",
        (_, RunState::Aborted, _) => "aborted",
        (_, RunState::NotRun | RunState::Held, _) => "not run",
        (_, _, Verdict::Pass) => "passed",
        (_, _, Verdict::Fail) => "failed",
        (_, _, Verdict::Inconclusive) => "inconclusive",
    };
    let order = ["passed", "failed", "inconclusive", "aborted", "not healed", "not run", "not verified"];
    let count = |wanted: &&str| group.runs.iter().filter(|run| word(run) == *wanted).count() as u64;
    let told = order.iter().map(|w| (w, count(w))).filter(|(_, n)| *n > 0);
    told.map(|(w, n)| format!("{} {w}", say::count(n))).collect::<Vec<_>>().join(", ")
}

/// `RTO of orders`, with its clock, its fault and its target where it has them.
pub(super) fn subject(row: &Row) -> String {
    let clock = if row.subject.basis == ClockBasis::Declared { " from the declaration" } else { "" };
    let fault = row.subject.fault.as_ref().map_or_else(String::new, |fault| format!(" after {fault}"));
    format!("{}{clock}{fault}", say::objective_of(row.subject.kind, &row.subject.workload))
}

/// A target in the unit of its kind.
pub(super) fn figure(kind: ObjectiveKind, value: i64) -> String {
    say::target(kind, value)
}

/// What nothing may be above: rounded up, never down.
pub(super) fn upper(kind: ObjectiveKind, value: i64) -> String {
    if kind == ObjectiveKind::RpoWrites { figure(kind, value) } else { say::at_most(value) }
}

/// What nothing may be below: rounded down, never up.
pub(super) fn lower(kind: ObjectiveKind, value: i64) -> String {
    if kind == ObjectiveKind::RpoWrites { figure(kind, value) } else { say::at_least(value) }
}

/// `4.21–4.23 s`, `at least 12 s`.
pub(super) fn ends(kind: ObjectiveKind, ends: Ends) -> String {
    match (ends.high, kind) {
        (None, _) => format!("at least {}", lower(kind, ends.low)),
        (Some(high), _) if high == ends.low => figure(kind, high),
        (Some(high), ObjectiveKind::RpoWrites) => format!("{}–{} writes", ends.low, high),
        (Some(high), _) => say::about(Interval { low: ends.low, best: ends.low.midpoint(high), high }),
    }
}

/// What one run says.
pub(super) fn measured(kind: ObjectiveKind, measured: Measured) -> String {
    match measured {
        Measured::Within(i) => ends(kind, Ends { low: i.low, high: Some(i.high) }),
        Measured::AtLeast(low) => ends(kind, Ends { low, high: None }),
        Measured::Unknown => "not known".to_owned(),
        Measured::NotReached => UNKNOWN.to_owned(),
    }
}

/// `95 %`, `99.9 %`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Claim by claim.
pub(super) fn claims(group: &Group, row: &Row) -> Vec<String> {
    if row.tally.runs == 0 {
        return vec!["nothing: in none of these runs the fault came".to_owned()];
    }
    let mut lines: Vec<String> = row.bounds.iter().map(|bound| claim(group, row, bound)).collect();
    let none = !row.bounds.iter().any(|bound| matches!(bound.within, Limit::Within(_)));
    let confidence = row.bounds.first().map(|bound| bound.claim.confidence());
    if let (true, Some(confidence), Some((share, most))) = (none, confidence, row.supported)
        && share >= 0.0001
    {
        // Never more than was shown.
        let share = (share * 1_000.0).floor() / 1_000.0;
        let sentence = sentence(group, row.subject.kind, confidence, share, most);
        lines.push(format!("so far: {sentence}, the most that was measured"));
    }
    lines
}

fn claim(group: &Group, row: &Row, bound: &Bound) -> String {
    let (kind, claim) = (row.subject.kind, bound.claim);
    let sentence = |value| sentence(group, kind, claim.confidence(), claim.share(), value);
    let target = bound.target.zip(row.target);
    let head = match bound.within {
        Limit::Within(value) => sentence(value),
        Limit::MoreRuns(more) => {
            // With a target, its own number of runs is told.
            let then = if target.is_none() { format!("; {} give one", clean(more)) } else { String::new() };
            format!("{}: too few runs for a bound{then}", percent(claim.share()))
        }
        Limit::TooManyUnknown { unknown, allowed, more } => format!(
            "{}: no bound, as the end of {} is not known, and at most {allowed} may be; {} give one",
            percent(claim.share()),
            plural(unknown, "run"),
            clean(more)
        ),
    };
    let Some((support, target)) = target else { return head };
    let tail = match support {
        Support::Supported => format!("the target of {} is supported", figure(kind, target)),
        Support::Refuted => format!("these runs speak against the target of {}", figure(kind, target)),
        Support::MoreRuns(more) => format!("{} support \u{201c}{}\u{201d}", clean(more), sentence(target)),
    };
    format!("{head}; {tail}")
}

fn clean(more: u64) -> String {
    plural(more, "more clean run")
}

fn others(group: &Group, kind: ObjectiveKind) -> &'static str {
    let failover = group.runs.iter().all(|run| run.expects_failover);
    match kind {
        ObjectiveKind::Rto if failover => "failovers",
        ObjectiveKind::Rto => "recoveries",
        ObjectiveKind::RpoTime | ObjectiveKind::RpoWrites => "disasters",
        ObjectiveKind::Detect => "faults like it",
    }
}

fn sentence(group: &Group, kind: ObjectiveKind, confidence: f64, share: f64, value: i64) -> String {
    let verb = match kind {
        ObjectiveKind::Rto => "finish within",
        ObjectiveKind::RpoTime => "lose at most the last",
        ObjectiveKind::RpoWrites => "lose at most",
        ObjectiveKind::Detect => "are detected within",
    };
    let (sure, share) = (percent(confidence), percent(share));
    format!("with {sure} confidence, {share} of {} {verb} {}", others(group, kind), upper(kind, value))
}

/// What a reader must know of these runs.
pub(super) fn remarks(group: &Group) -> Vec<String> {
    let mut lines = Vec::new();
    for run in &group.runs {
        if let Some(doubt) = &run.doubt {
            lines.push(format!("{} does not verify: {doubt}; no figure of it is used", run.run));
        }
    }
    let most = |f: fn(&Row) -> u64| group.rows.iter().map(f).max().unwrap_or(0);
    let unknown = most(|row| row.tally.unknown);
    if unknown > 0 {
        lines.push(format!(
            "of up to {} nothing is known (inconclusive, or not verified): they are in no median, and in every bound \
             they count as runs that took for ever",
            plural(unknown, "run")
        ));
    }
    let not_reached = most(|row| row.tally.not_reached);
    if not_reached > 0 {
        lines.push(format!("in {} the fault never came: they are no samples", plural(not_reached, "run")));
    }
    for (what, values) in [
        ("machines", group.runs.iter().map(|run| run.host.as_str()).collect::<BTreeSet<_>>()),
        ("versions", group.runs.iter().map(|run| run.tool.as_str()).collect()),
    ] {
        if values.len() > 1 {
            let values: Vec<&str> = values.into_iter().collect();
            lines.push(format!("they were made by several {what}: {}", values.join(", ")));
        }
    }
    lines
}

/// What holds for all of it.
pub(super) fn closing(shown: Shown<'_>) -> Vec<String> {
    let mut lines: Vec<String> =
        shown.unreadable.iter().map(|(path, why)| format!("{path} was left out: {why}")).collect();
    if shown.statistics.twice > 0 {
        lines.push(format!("{} given more than once, counted once", plural(shown.statistics.twice, "run")));
    }
    lines.push(
        "Bounds assume nothing but that runs are independent, alike, and that their number was settled beforehand."
            .to_owned(),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_rounded_up_and_what_is_at_least_so_is_rounded_down() {
        let (rto, writes) = (ObjectiveKind::Rto, ObjectiveKind::RpoWrites);
        assert_eq!((upper(rto, 302_000_001).as_str(), lower(rto, 302_000_001).as_str()), ("303 ms", "302 ms"));
        assert_eq!((upper(writes, 7).as_str(), lower(writes, 1).as_str()), ("7 writes", "1 write"));
    }
}
