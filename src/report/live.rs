//! What a person sees while a drill runs: events and live figures folded into a few lines. It draws nothing; `cli`
//! puts the lines on the screen, or, without a terminal, prints what [`Live::event`] returns.

use super::tables::Tone;
use super::terminal::Style;
use super::words;
use crate::event::{AbortCause, Event, HealCause, Healer, Phase, RunStarted, StepOutcome, What};
use crate::model::{FaultId, Mono, ObjectiveKind, StepId, Verdict, WorkloadStats};
use std::collections::BTreeMap;

/// The state that the lines are made of.
#[derive(Debug)]
pub struct Live {
    style: Style,
    run: Option<Box<RunStarted>>,
    began: Mono,
    phase: Option<(Phase, Mono)>,
    steps: BTreeMap<StepId, Mono>,
    open: BTreeMap<FaultId, String>,
    fault_at: Option<Mono>,
    milestones: Vec<(String, i64)>,
    stats: Vec<WorkloadStats>,
    stopping: Option<String>,
}

impl Live {
    /// Before the first event.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self {
            style,
            run: None,
            began: Mono(0),
            phase: None,
            steps: BTreeMap::new(),
            open: BTreeMap::new(),
            fault_at: None,
            milestones: Vec::new(),
            stats: Vec::new(),
            stopping: None,
        }
    }

    /// Takes live figures in.
    pub fn stats(&mut self, stats: &[WorkloadStats]) {
        stats.clone_into(&mut self.stats);
    }

    /// Takes an event in; returns a line if it is one that a log should have.
    pub fn event(&mut self, event: &Event) -> Option<String> {
        if let What::RunStarted(run) = &event.what {
            self.began = event.at.mono;
            self.run = Some(run.clone());
        }
        let (text, tone) = self.notable(event)?;
        let since = event.at.mono - self.began;
        let clock = self.style.paint(&format!("{:>7.1}s", words::seconds(since)), Tone::Faint);
        let text = words::clean(&text);
        Some(format!("{clock}  {}", if tone == Tone::Plain { text } else { self.style.paint(&text, tone) }))
    }

    fn notable(&mut self, event: &Event) -> Option<(String, Tone)> {
        let now = event.at.mono;
        match &event.what {
            What::RunStarted(run) => {
                Some((format!("{} in {}: run {}", run.drill, run.environment, run.run), Tone::Plain))
            }
            What::PhaseStarted { phase } => {
                self.phase = Some((*phase, now));
                Some((format!("── {} ──", words::phase(*phase)), Tone::Faint))
            }
            What::StagingUp { .. } => Some(("staging is up".to_owned(), Tone::Plain)),
            What::StagingDown { error: Some(error) } => Some((format!("staging is not down: {error}"), Tone::Bad)),
            What::WorkloadStarted { workload, .. } => Some((format!("clients of {workload} start"), Tone::Plain)),
            What::StepStarted { step, .. } => {
                self.steps.insert(step.clone(), now);
                None
            }
            What::StepEnded { step, outcome, .. } => {
                let took = self.steps.remove(step).map(|since| now - since);
                Some(self.step_ended(step, outcome, took))
            }
            What::Milestone { name, .. } => {
                let after = self.fault_at.map(|fault| now - fault);
                self.milestones.push((name.clone(), now - self.began));
                let after = after.map_or_else(String::new, |n| format!(", {} after the fault", words::duration(n)));
                Some((format!("◆ {name}{after}"), Tone::Plain))
            }
            What::PreflightFailed { reasons, held } => {
                let what = if *held { "not run" } else { "preflight failed" };
                Some((format!("{what}: {}", reasons.join("; ")), Tone::Bad))
            }
            What::GuardBroken { guard, detail } => Some((format!("guard broken: {guard}: {detail}"), Tone::Bad)),
            What::AbortRequested { cause } => {
                let why = abort(cause);
                let line = format!("stopping: {why}; healing what is open");
                self.stopping = Some(why);
                Some((line, Tone::Bad))
            }
            What::TakenOver { by: Healer::Guardian, why } => {
                Some((format!("{why}: the guardian takes over"), Tone::Bad))
            }
            What::TakenOver { by: Healer::Recover, why } => Some((format!("{why}: recovering"), Tone::Bad)),
            What::VantageLost { vantage, why, .. } => {
                Some((format!("nobody looks from the vantage {vantage} any more: {why}"), Tone::Bad))
            }
            What::Note { text } => Some((format!("note: {text}"), Tone::Faint)),
            What::ReadBack(done) => Some(match &done.error {
                None => (format!("read {} back from {}", done.workload, done.site), Tone::Plain),
                Some(error) => {
                    (format!("reading {} back from {} failed: {error}", done.workload, done.site), Tone::Unsure)
                }
            }),
            What::Sites(look) => Some(match look.same {
                true => (format!("the sites of {} hold the same", look.workload), Tone::Plain),
                false => (format!("the sites of {} differ", look.workload), Tone::Unsure),
            }),
            What::Fingerprint(taken) => Some(match &taken.error {
                None => (format!("took the fingerprint {}", taken.name), Tone::Plain),
                Some(error) => (format!("the fingerprint {} could not be taken: {error}", taken.name), Tone::Unsure),
            }),
            What::Restored(done) => done.error.is_none().then(|| {
                let took = done.parts.iter().fold(0_i64, |sum, part| sum.saturating_add(part.span.width()));
                (format!("{} restored {} in {}", done.kind, done.claim.backup, words::duration(took)), Tone::Plain)
            }),
            What::RunEnded { open, error, .. } => Some(ended(open, error.as_deref())),
            _ => self.fault(event),
        }
    }

    fn fault(&mut self, event: &Event) -> Option<(String, Tone)> {
        match &event.what {
            What::FaultIntent(intent) => {
                self.open.insert(intent.fault.clone(), intent.name.clone());
                Some((format!("⚡ {} ({}): {}", intent.name, intent.kind, intent.targets.join(", ")), Tone::Bad))
            }
            What::FaultInjected { span, .. } => {
                self.fault_at.get_or_insert(span.lo);
                None
            }
            What::FaultInjectFailed { fault, error } => {
                Some((format!("injecting {} failed: {error}", self.fault_name(fault)), Tone::Unsure))
            }
            What::FaultEffect { fault, effective, detail, .. } => Some(if *effective {
                (format!("{} took effect: {detail}", self.fault_name(fault)), Tone::Plain)
            } else {
                (format!("{} had no effect: {detail}", self.fault_name(fault)), Tone::Unsure)
            }),
            What::HealStarted { fault, by } => {
                Some((format!("healing {}{}", self.fault_name(fault), heal_cause(by)), Tone::Plain))
            }
            What::Healed { fault, detail, .. } => {
                let line = format!("✓ healed {}: {detail}", self.fault_name(fault));
                self.open.remove(fault);
                Some((line, Tone::Good))
            }
            What::HealFailed { fault, attempt, error, last } => {
                let next = if *last { "; giving up" } else { "" };
                Some((
                    format!("✗ healing {} failed (attempt {attempt}): {error}{next}", self.fault_name(fault)),
                    Tone::Bad,
                ))
            }
            _ => None,
        }
    }

    fn fault_name(&self, fault: &FaultId) -> String {
        self.open.get(fault).cloned().unwrap_or_else(|| fault.0.clone())
    }

    fn step_name(&self, step: &StepId) -> String {
        let seal = self.run.as_ref().and_then(|r| r.steps.iter().find(|s| s.id == *step));
        seal.map_or_else(|| step.0.clone(), |s| s.name.clone())
    }

    fn step_ended(&self, step: &StepId, outcome: &StepOutcome, took: Option<i64>) -> (String, Tone) {
        let name = self.step_name(step);
        let took = took.map_or_else(String::new, |n| format!(" ({})", words::duration(n)));
        let with = |detail: &str| if detail.is_empty() { String::new() } else { format!(": {detail}") };
        match outcome {
            StepOutcome::Passed { detail } => (format!("✓ {name}{took}{}", with(detail)), Tone::Good),
            StepOutcome::Failed { detail } => (format!("✗ {name}{took}{}", with(detail)), Tone::Bad),
            StepOutcome::Errored { error } => (format!("? {name}{took}{}", with(error)), Tone::Unsure),
            StepOutcome::Skipped { reason, .. } => (format!("– {name} skipped{}", with(reason)), Tone::Faint),
            StepOutcome::Aborted => (format!("– {name} stopped"), Tone::Faint),
        }
    }

    /// The progress lines as of `now`, each cut to `width`: where the drill is, then one line for each workload.
    #[must_use]
    pub fn lines(&self, now: Mono, width: usize) -> Vec<String> {
        let mut lines = vec![self.position(now)];
        lines.extend(self.clock(now));
        let widest = self.stats.iter().map(|s| s.workload.0.chars().count()).max().unwrap_or(0);
        let clients = self.stats.iter().map(|s| self.clients(s, widest));
        lines.into_iter().chain(clients).map(|(text, tone)| self.cut(&text, tone, width)).collect()
    }

    fn position(&self, now: Mono) -> (String, Tone) {
        let (phase, since) = self.phase.unwrap_or((Phase::Preflight, now));
        let mut text = format!("{} {}", words::phase(phase), clock(now - since));
        if let Some((step, since)) = self.steps.iter().max_by_key(|(_, since)| **since) {
            text.push_str(&format!("  ·  {} {}", self.step_name(step), clock(now - *since)));
        }
        if let Some(why) = &self.stopping {
            return (format!("stopping ({why})  ·  {text}"), Tone::Bad);
        }
        (format!("{text}  ·  {} in all", clock(now - self.began)), Tone::Plain)
    }

    /// Time since the fault against the tightest RTO target, until clients are served again.
    fn clock(&self, now: Mono) -> Option<(String, Tone)> {
        let since = now - self.fault_at?;
        let open = if self.open.is_empty() { "healed".to_owned() } else { format!("open: {}", self.open_names()) };
        let target = self
            .run
            .as_ref()
            .and_then(|r| r.objectives.iter().filter(|o| o.kind == ObjectiveKind::Rto).map(|o| o.target).min());
        let against = target.map_or_else(String::new, |t| format!(" of RTO {}", words::duration(t)));
        let late = target.is_some_and(|t| since > t) && self.down();
        Some((
            format!("{} since the fault{against}  ·  {open}", clock(since)),
            if late { Tone::Bad } else { Tone::Plain },
        ))
    }

    fn open_names(&self) -> String {
        self.open.values().cloned().collect::<Vec<_>>().join(", ")
    }

    fn down(&self) -> bool {
        self.stats.iter().any(|s| s.recent_done > 0 && s.recent_ok < s.recent_done)
    }

    fn clients(&self, s: &WorkloadStats, widest: usize) -> (String, Tone) {
        let latency = match (s.recent_p50, s.recent_p99) {
            (Some(p50), Some(p99)) => format!("p50 {} p99 {}", words::duration(p50), words::duration(p99)),
            _ => "no answer".to_owned(),
        };
        let bad: Vec<String> = [("failed", s.fail), ("unknown", s.unknown), ("missed", s.missed)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(word, n)| format!("{} {word}", words::count(n)))
            .collect();
        let bad = if bad.is_empty() { "no errors".to_owned() } else { bad.join(", ") };
        let share = words::share(s.recent_ok, s.recent_done);
        let text = format!(
            "{:<widest$}  {share:>7} ok  {:>6}/s  {latency}  ·  {bad}",
            s.workload.0,
            words::count(s.recent_ok)
        );
        let tone = match (s.recent_ok, s.recent_done) {
            (_, 0) => Tone::Faint,
            (0, _) => Tone::Bad,
            (ok, done) if ok < done => Tone::Unsure,
            _ => Tone::Good,
        };
        (text, tone)
    }

    fn cut(&self, text: &str, tone: Tone, width: usize) -> String {
        let text = words::clean(text);
        let short = if text.chars().count() > width {
            text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        } else {
            text
        };
        if tone == Tone::Plain { short } else { self.style.paint(&short, tone) }
    }
}

fn clock(nanos: i64) -> String {
    format!("{:.1} s", words::seconds(nanos.max(0)))
}

fn abort(cause: &AbortCause) -> String {
    match cause {
        AbortCause::Signal(name) => name.clone(),
        AbortCause::Guard(name) => format!("guard {name}"),
        AbortCause::MaxDuration => "the drill took longer than it may".to_owned(),
        AbortCause::Step(id) => format!("step {id} failed"),
        AbortCause::Journal(error) => format!("the journal cannot be written: {error}"),
        AbortCause::NotSteady(why) => format!("not steady: {why}"),
        AbortCause::KillSwitch(why) => format!("the kill switch is engaged: {why}"),
        AbortCause::Guardian(why) | AbortCause::Lease(why) => why.clone(),
    }
}

fn heal_cause(by: &HealCause) -> &'static str {
    match by {
        HealCause::Step(_) => "",
        HealCause::Closes(_) => " (a step took it over)",
        HealCause::Unwind => " (unwind)",
        HealCause::Deadline => " (its deadline passed)",
        HealCause::Recover => " (recover)",
        HealCause::Guardian => " (guardian)",
    }
}

fn ended(open: &[FaultId], error: Option<&str>) -> (String, Tone) {
    match (open, error) {
        ([], None) => ("the run ended; judging".to_owned(), Verdict::Pass.into()),
        ([], Some(error)) => (format!("the run ended with an error of ours: {error}"), Tone::Bad),
        (open, _) => {
            let names: Vec<&str> = open.iter().map(FaultId::as_str).collect();
            (format!("the run ended; NOT HEALED: {}", names.join(", ")), Tone::Bad)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FaultIntent, ReadBackDone, ReadBackStage};
    use crate::model::{Span, Stamp};
    use chrono::DateTime;

    const S: i64 = 1_000_000_000;

    fn event(seconds: i64, what: What) -> Event {
        Event { at: Stamp { mono: Mono(seconds * S), wall: DateTime::UNIX_EPOCH }, what }
    }

    fn intent() -> What {
        What::FaultIntent(Box::new(FaultIntent {
            fault: "kill".into(),
            name: "the primary\u{1b}[2J dies".to_owned(),
            kind: "process_kill".to_owned(),
            spec: serde_json::Value::Null,
            undo: serde_json::Value::Null,
            context: serde_json::Value::Null,
            targets: vec!["primary (pid 7)".to_owned()],
            deadline: None,
            deadline_boot: None,
            by_hand: String::new(),
            irreversible: false,
        }))
    }

    fn stats(ok: u64, done: u64) -> WorkloadStats {
        WorkloadStats {
            workload: "orders".into(),
            due: 1000,
            ok: 900,
            fail: 60,
            unknown: 40,
            missed: 0,
            recent_done: done,
            recent_ok: ok,
            recent_late: 0,
            recent_p50: (ok > 0).then_some(1_200_000),
            recent_p99: (ok > 0).then_some(9_100_000),
            recent_max: (ok > 0).then_some(9_900_000),
        }
    }

    #[test]
    fn a_fault_is_told_counted_and_closed() {
        let mut live = Live::new(Style::Plain);
        live.event(&event(0, What::PhaseStarted { phase: Phase::Outage }));
        let line = live.event(&event(5, intent())).unwrap();
        assert_eq!(line, "    5.0s  ⚡ the primary[2J dies (process_kill): primary (pid 7)");
        let span = Span::new(Mono(5 * S), Mono(5 * S + 1));
        assert_eq!(live.event(&event(5, What::FaultInjected { fault: "kill".into(), span })), None);
        live.stats(&[stats(0, 500)]);
        let lines = live.lines(Mono(8 * S), 100);
        assert_eq!(lines[0], "outage 8.0 s  ·  8.0 s in all");
        assert!(lines[1].starts_with("3.0 s since the fault  ·  open: the primary"), "{lines:?}");
        assert_eq!(lines[2], "orders    0.0 % ok       0/s  no answer  ·  60 failed, 40 unknown");
        live.event(&event(9, What::Healed { fault: "kill".into(), span, detail: "pid 8 answers".to_owned() }));
        assert!(live.lines(Mono(9 * S), 100)[1].ends_with("healed"));
    }

    #[test]
    fn lines_never_exceed_the_width_and_colour_comes_last() {
        let mut live = Live::new(Style::Colour);
        live.stats(&[stats(499, 500)]);
        let lines = live.lines(Mono(0), 20);
        assert!(lines[1].starts_with("\u{1b}[1;33m") && lines[1].ends_with("\u{1b}[0m"));
        assert_eq!(lines[1].replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", "").chars().count(), 20);
    }

    #[test]
    fn quiet_events_make_no_line_and_a_bad_end_is_loud() {
        let mut live = Live::new(Style::Plain);
        assert_eq!(live.event(&event(0, What::PhaseEnded { phase: Phase::Outage })), None);
        let failed = ReadBackDone {
            workload: "orders".into(),
            stage: ReadBackStage::Final,
            site: "service".to_owned(),
            began: None,
            file: None,
            digest: None,
            error: Some("refused".to_owned()),
        };
        assert!(live.event(&event(1, What::ReadBack(failed))).unwrap().contains("failed: refused"));
        let end = What::RunEnded { state: crate::model::RunState::Dirty, open: vec!["kill".into()], error: None };
        assert!(live.event(&event(2, end)).unwrap().contains("NOT HEALED: kill"));
    }
}
