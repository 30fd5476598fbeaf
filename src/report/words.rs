//! How reports say things: durations, error bars, counts, verdicts. Every format speaks through here, so that the
//! terminal, the page and the job summary never disagree. No layout, no escaping.

use crate::analysis::{Analysis, Attribution, ObjectiveResult, StepResult};
use crate::event::{Healer, Phase, StallCause, StepOutcome};
use crate::model::{ClientBehaviour, Interval, ObjectiveKind, RunState, Verdict};
use chrono::{DateTime, Utc};

const MICRO: f64 = 1e3;
const MILLI: f64 = 1e6;
const SECOND: f64 = 1e9;

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
    nanos as f64 / SECOND
}

/// A duration in the unit that a person would choose: `350 µs`, `4.2 ms`, `20.57 s`, `3 min 05 s`.
#[must_use]
pub fn duration(nanos: i64) -> String {
    if nanos < 0 {
        return format!("−{}", duration(nanos.saturating_neg()));
    }
    let n = nanos as f64;
    let whole = nanos % 1_000_000_000 == 0;
    match nanos {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..999_500 => format!("{:.0} µs", n / MICRO),
        999_500..9_950_000 => format!("{} ms", trimmed(n / MILLI, 1)),
        9_950_000..999_500_000 => format!("{:.0} ms", n / MILLI),
        _ if nanos < 120_000_000_000 && whole => format!("{} s", nanos / 1_000_000_000),
        999_500_000..9_995_000_000 => format!("{:.2} s", n / SECOND),
        9_995_000_000..119_950_000_000 => format!("{:.1} s", n / SECOND),
        _ => long((n / SECOND).round() as i64),
    }
}

/// Two minutes and more, in whole seconds.
fn long(total: i64) -> String {
    let (hours, minutes, secs) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, secs) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {secs:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A duration with its error bar: `20.574 ± 0.010 s`; where the bar is lopsided its ends are told too,
/// `21.550 s (21.548–21.565)`. The error is rounded up, never down.
#[must_use]
pub fn interval(i: Interval) -> String {
    let Some(scale) = Scale::of(i) else { return plainly(i) };
    if i.low > 0 && (scale.below - scale.above).abs() > scale.error() * 0.1 + 1.0 / scale.grid {
        return format!("{:.*} {} ({})", scale.decimals, scale.best, scale.name, scale.ends(i));
    }
    about(i)
}

/// Like [`interval`], but short: a lopsided bar counts as long as its longer side.
#[must_use]
pub fn about(i: Interval) -> String {
    let Some(scale) = Scale::of(i) else { return plainly(i) };
    if i.low <= 0 {
        return format!("{} {}", scale.ends(i), scale.name);
    }
    // Rounding the best estimate moves it by less than the grid, which rounding the error up makes good.
    let error = (scale.error() * scale.grid - 1e-6).ceil().max(1.0) / scale.grid;
    format!("{:.*} ± {error:.*} {}", scale.decimals, scale.best, scale.decimals, scale.name)
}

fn plainly(i: Interval) -> String {
    if i.low == i.high { duration(i.best) } else { format!("{} to {}", duration(i.low), duration(i.high)) }
}

/// The unit and the number of decimals that an error bar deserves: two digits of the error, at most three decimals.
struct Scale {
    unit: f64,
    name: &'static str,
    best: f64,
    below: f64,
    above: f64,
    decimals: usize,
    grid: f64,
}

impl Scale {
    fn of(i: Interval) -> Option<Self> {
        let (unit, name) = match i.high {
            _ if i.low >= i.high => return None,
            ..1_000_000 => (MICRO, "µs"),
            1_000_000..1_000_000_000 => (MILLI, "ms"),
            1_000_000_000..1_000_000_000_000 => (SECOND, "s"),
            _ => return None,
        };
        let (below, above) = ((i.best - i.low) as f64 / unit, (i.high - i.best) as f64 / unit);
        let decimals = (1.0 - below.max(above).log10().floor()).clamp(0.0, 3.0);
        let grid = 10_f64.powf(decimals);
        Some(Self { unit, name, best: i.best as f64 / unit, below, above, decimals: decimals as usize, grid })
    }

    fn error(&self) -> f64 {
        self.below.max(self.above)
    }

    fn ends(&self, i: Interval) -> String {
        let low = (i.low as f64 / self.unit * self.grid + 1e-6).floor() / self.grid;
        let high = (i.high as f64 / self.unit * self.grid - 1e-6).ceil() / self.grid;
        let low = if i.low <= 0 { "0".to_owned() } else { format!("{low:.*}", self.decimals) };
        format!("{low}–{high:.*}", self.decimals)
    }
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
    }
}

/// A value in the objective's own unit.
#[must_use]
pub fn target(kind: ObjectiveKind, value: i64) -> String {
    match kind {
        ObjectiveKind::Rto | ObjectiveKind::RpoTime => duration(value),
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
    let figures: Vec<String> = [ObjectiveKind::Rto, ObjectiveKind::RpoTime, ObjectiveKind::RpoWrites]
        .into_iter()
        .filter_map(|kind| {
            let of_kind = a.objectives.iter().filter(|o| o.objective.kind == kind);
            let worst = of_kind.max_by_key(|o| o.actual.map_or(i64::MIN, |i| i.high))?;
            let target = target(kind, worst.objective.target);
            Some(match (kind, worst.actual) {
                (ObjectiveKind::RpoWrites, _) => format!("{} lost (at most {target})", actual(worst)),
                (_, Some(i)) => format!("{} {} (target {target})", &objective(kind)[..3], about(i)),
                (_, None) => format!("{} not measured (target {target})", &objective(kind)[..3]),
            })
        })
        .collect();
    format!("every objective met: {}", figures.join(", "))
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
    fn durations_read_as_a_person_would_write_them() {
        for (nanos, text) in [
            (0, "0 s"),
            (350_000, "350 µs"),
            (4_200_000, "4.2 ms"),
            (20_000_000, "20 ms"),
            (999_700_000, "1.00 s"),
            (1_000_000_000, "1 s"),
            (20_574_000_000, "20.6 s"),
            (9_999_000_000, "10.0 s"),
            (30_000_000_000, "30 s"),
            (185_000_000_000, "3 min 05 s"),
            (119_990_000_000, "2 min"),
            (7_500_000_000_000, "2 h 05 min"),
            (-20_000_000, "−20 ms"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn error_bars_are_rounded_up_and_lopsided_ones_show_their_ends() {
        let of = |low, best, high| interval(Interval { low, best, high });
        assert_eq!(of(20_564_000_000, 20_574_000_000, 20_584_000_000), "20.574 ± 0.010 s");
        assert_eq!(of(20_563_900_000, 20_574_000_000, 20_584_100_000), "20.574 ± 0.011 s");
        assert_eq!(of(0, 10_000_000, 20_000_000), "0–20 ms");
        assert_eq!(of(0, 1_000_000, 20_000_000), "0–20 ms");
        assert_eq!(of(21_548_000_000, 21_550_000_000, 21_565_000_000), "21.550 s (21.548–21.565)");
        assert_eq!(
            about(Interval { low: 21_548_000_000, best: 21_550_000_000, high: 21_565_000_000 }),
            "21.550 ± 0.015 s"
        );
        assert_eq!(of(5, 5, 5), "5 ns");
    }

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
