//! How reports say things: durations, error bars, counts, verdicts. Every format speaks through here, so that the
//! terminal, the page and the job summary never disagree. No layout, no escaping.

use crate::analysis::{Analysis, Attribution, ObjectiveResult, StepResult};
use crate::event::{Healer, Phase, StallCause, StepOutcome};
pub use crate::model::figure::{about, at_least, at_most, duration, interval};
use crate::model::{ClientBehaviour, Interval, ObjectiveKind, RunState, Verdict, WorkloadName};
use chrono::{DateTime, Utc};

/// What is written where nothing is known.
pub const UNKNOWN: &str = "—";

/// Text from outside on one line, without anything that a terminal or a reader's eye could take for a command: control
/// characters, and marks that turn the direction of writing.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| {
            !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .collect()
}

/// At most so many characters, with a sign where something is left out. A name that is cut in two still ends.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    let whole = kept.matches('`').count().is_multiple_of(2);
    format!("{kept}{}", if whole { "…" } else { "…`" })
}

/// A piece of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Words(&'a str),
    /// A name, which sentences put between backticks.
    Name(&'a str),
}

/// A sentence cut at its backticks; one without a partner stays as it is.
pub fn pieces(sentence: &str) -> impl Iterator<Item = Piece<'_>> {
    let parts: Vec<&str> = sentence.split('`').collect();
    let paired = !parts.len().is_multiple_of(2);
    let pieces: Vec<Piece<'_>> = if paired {
        parts
            .iter()
            .enumerate()
            .map(|(i, part)| if i % 2 == 0 { Piece::Words(part) } else { Piece::Name(part) })
            .collect()
    } else {
        vec![Piece::Words(sentence)]
    };
    pieces.into_iter().filter(|piece| !matches!(piece, Piece::Words("")))
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// An interval that may be unknown.
#[must_use]
pub fn maybe(i: Option<Interval>) -> String {
    i.map_or_else(|| UNKNOWN.to_owned(), about)
}

/// A count with its thousands set apart.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count that may be unknown.
#[must_use]
pub fn maybe_count(n: Option<u64>) -> String {
    n.map_or_else(|| UNKNOWN.to_owned(), count)
}

/// `1 write`, `2 writes`.
#[must_use]
pub fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share of a whole in percent; 99.97 % never becomes 100 %.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return UNKNOWN.to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match (part == whole, percent) {
        (true, _) => "100 %".to_owned(),
        (_, p) if p > 99.0 => format!("{:.2} %", (p * 100.0).floor() / 100.0),
        (_, p) => format!("{p:.1} %"),
    }
}

/// The wall clock, to the second.
#[must_use]
pub fn wall(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What an objective limits, in few words.
#[must_use]
pub fn objective(kind: ObjectiveKind) -> &'static str {
    match kind {
        ObjectiveKind::Rto => "RTO",
        ObjectiveKind::RpoTime => "RPO (time)",
        ObjectiveKind::RpoWrites => "RPO (writes)",
        ObjectiveKind::Detect => "time to detect",
    }
}

/// `RTO of orders`; what is about the drill as a whole needs no name.
#[must_use]
pub fn objective_of(kind: ObjectiveKind, workload: &WorkloadName) -> String {
    if kind.is_of_the_drill() { objective(kind).to_owned() } else { format!("{} of {workload}", objective(kind)) }
}

/// A value in the objective's own unit.
#[must_use]
pub fn target(kind: ObjectiveKind, value: i64) -> String {
    match kind {
        ObjectiveKind::Rto | ObjectiveKind::RpoTime | ObjectiveKind::Detect => duration(value),
        ObjectiveKind::RpoWrites => plural(value.max(0).unsigned_abs(), "write"),
    }
}

/// What was measured, in the objective's own unit.
#[must_use]
pub fn actual(o: &ObjectiveResult) -> String {
    match (o.actual, o.objective.kind) {
        (None, _) => "not measured".to_owned(),
        (Some(i), ObjectiveKind::RpoWrites) if i.low == i.high => plural(i.best.max(0).unsigned_abs(), "write"),
        (Some(i), ObjectiveKind::RpoWrites) => format!("{}–{} writes", i.low, i.high),
        (Some(i), _) => interval(i),
    }
}

/// `measured 21.550 ± 0.015 s, target 30 s: met with 8.4 s to spare`
#[must_use]
pub fn seen(o: &ObjectiveResult) -> String {
    let measured = if o.actual.is_some() { "measured " } else { "" };
    format!("{measured}{}, target {}: {}", actual(o), target(o.objective.kind, o.objective.target), o.why)
}

/// Met, missed or not decided.
#[must_use]
pub fn judged(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "met",
        Verdict::Fail => "missed",
        Verdict::Inconclusive => "not decided",
    }
}

/// A verdict's sign; always beside a word, so that colour and shape are never the only carriers.
#[must_use]
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Inconclusive => "?",
    }
}

/// The first thing a reader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// `✓`, `✗`, `?` or `!`.
    pub sign: &'static str,
    /// `PASSED`, `FAILED`, …
    pub word: &'static str,
    /// How to colour it.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
}

/// The verdict with its reason. A fault that is still open outranks everything, as it does in the exit code.
#[must_use]
pub fn headline(a: &Analysis) -> Headline {
    let (sign, word, verdict) = match (a.state, a.verdict) {
        (RunState::Dirty, _) => ("!", "NOT HEALED", Verdict::Fail),
        (RunState::NotRun | RunState::Held, _) => ("?", "NOT RUN", Verdict::Inconclusive),
        (RunState::Aborted, v) => ("!", "ABORTED", v.merge(Verdict::Inconclusive)),
        (RunState::Ended, Verdict::Pass) => ("✓", "PASSED", Verdict::Pass),
        (RunState::Ended, Verdict::Fail) => ("✗", "FAILED", Verdict::Fail),
        (RunState::Ended, Verdict::Inconclusive) => ("?", "INCONCLUSIVE", Verdict::Inconclusive),
    };
    let reason = a.reasons.first().map_or_else(|| passed(a), |r| clean(&r.text));
    Headline { sign, word, verdict, reason }
}

/// Why a run without reasons passed: its worst figures beside their targets.
fn passed(a: &Analysis) -> String {
    if a.objectives.is_empty() {
        return "every expectation held; no objective was set".to_owned();
    }
    format!("every objective met: {}", figures(a))
}

/// The worst figure of each kind of objective beside its target, with its error; empty without objectives.
#[must_use]
pub fn figures(a: &Analysis) -> String {
    let kinds = [ObjectiveKind::Rto, ObjectiveKind::RpoTime, ObjectiveKind::RpoWrites, ObjectiveKind::Detect];
    let figures: Vec<String> = kinds
        .into_iter()
        .filter_map(|kind| {
            let of_kind = a.objectives.iter().filter(|o| o.objective.kind == kind);
            let worst = of_kind.max_by_key(|o| o.actual.map_or(i64::MIN, |i| i.high))?;
            let target = target(kind, worst.objective.target);
            Some(match (kind, worst.actual) {
                (ObjectiveKind::RpoWrites, _) => format!("{} lost (at most {target})", actual(worst)),
                (ObjectiveKind::Detect, Some(i)) => format!("detected in {} (target {target})", about(i)),
                (_, Some(i)) => format!("{} {} (target {target})", &objective(kind)[..3], about(i)),
                (_, None) => format!("{} not measured (target {target})", &objective(kind)[..3]),
            })
        })
        .collect();
    figures.join(", ")
}

/// Who heals in place of the runner.
#[must_use]
pub fn healer(by: Healer) -> &'static str {
    match by {
        Healer::Guardian => "guardian",
        Healer::Recover => "recover",
    }
}

/// ` by the guardian`, if it was not the runner.
#[must_use]
pub fn healed_by(by: Option<Healer>) -> &'static str {
    match by {
        Some(Healer::Guardian) => " by the guardian",
        Some(Healer::Recover) => " by `recover`",
        None => "",
    }
}

/// A phase's name.
#[must_use]
pub fn phase(p: Phase) -> &'static str {
    match p {
        Phase::Preflight => "preflight",
        Phase::StagingUp => "staging up",
        Phase::Baseline => "baseline",
        Phase::Outage => "outage",
        Phase::Failover => "failover",
        Phase::Restore => "restore",
        Phase::Verify => "verify",
        Phase::Unwind => "unwind",
        Phase::Converge => "converge",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
        Phase::ReadBack => "read-back",
        Phase::StagingDown => "staging down",
    }
}

/// How a step ended, in one word.
#[must_use]
pub fn outcome(s: &StepResult) -> &'static str {
    match &s.outcome {
        Some(StepOutcome::Passed { .. }) => "ok",
        Some(StepOutcome::Failed { .. }) => "failed",
        Some(StepOutcome::Errored { .. }) => "undecided",
        Some(StepOutcome::Skipped { .. }) => "skipped",
        Some(StepOutcome::Aborted) => "aborted",
        None => "did not end",
    }
}

/// What was seen when it ended.
#[must_use]
pub fn detail(s: &StepResult) -> &str {
    match &s.outcome {
        Some(StepOutcome::Passed { detail } | StepOutcome::Failed { detail }) => detail,
        Some(StepOutcome::Errored { error }) => error,
        Some(StepOutcome::Skipped { reason, .. }) => reason,
        Some(StepOutcome::Aborted) | None => "",
    }
}

/// Who brought the service back.
#[must_use]
pub fn attribution(a: Attribution) -> &'static str {
    match a {
        Attribution::System => "the system",
        Attribution::Restore => "our restore",
        Attribution::Heal => "our heal",
        Attribution::None => UNKNOWN,
    }
}

/// Why the runner could not see.
#[must_use]
pub fn stall(cause: StallCause) -> &'static str {
    match cause {
        StallCause::Schedule => "the runner's schedule woke late",
        StallCause::Suspend => "the machine slept",
        StallCause::ClockStep => "the wall clock was stepped",
        StallCause::Resources => "the runner had no descriptors or ports left",
        StallCause::Paused => "the runner was stopped",
        StallCause::Starved => "the runner got no processor",
    }
}

/// How a client behaves.
#[must_use]
pub fn client(c: &ClientBehaviour) -> String {
    match c {
        ClientBehaviour::Fresh => "fresh".to_owned(),
        ClientBehaviour::Pooled => "pooled".to_owned(),
        ClientBehaviour::Retrying(p) => format!("retrying (up to {} attempts)", p.attempts),
    }
}

/// `true` as yes, `false` as no, nothing as unknown.
#[must_use]
pub fn yes_no(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        assert_eq!(clean("a\nb\u{1b}[31mc\u{202e}d\0"), "a b[31mcd");
    }

    #[test]
    fn names_in_sentences_are_found() {
        let all = |s: &'static str| pieces(s).collect::<Vec<_>>();
        assert_eq!(all("RTO of `a b`: x"), [Piece::Words("RTO of "), Piece::Name("a b"), Piece::Words(": x")]);
        assert_eq!(all("a ` b"), [Piece::Words("a ` b")]);
    }

    #[test]
    fn what_is_cut_says_so_and_stays_a_sentence() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "ab…");
        assert_eq!(shortened("is `abcd` now", 7), "is `ab…`");
    }

    #[test]
    fn counts_and_shares_do_not_flatter() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(share(99_999, 100_000), "99.99 %");
        assert_eq!(share(1, 1), "100 %");
        assert_eq!(share(0, 0), UNKNOWN);
        assert_eq!(plural(1, "write"), "1 write");
        assert_eq!(plural(2000, "write"), "2,000 writes");
    }
}
