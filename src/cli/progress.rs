//! A drill as it is seen while it runs: redrawn lines at a terminal, one line for each event otherwise, JSON lines for
//! programs. Progress goes to standard error, so that standard output holds the result; JSON lines are the result.

use super::Output;
use super::sealing;
use super::terminal::Look;
use crate::clock::Clock;
use crate::event::{Event, Lineage, RunStarted, What};
use crate::exec::Observer;
use crate::model::{ClockBasis, Mono, Objective, ObjectiveKind, WorkloadStats};
use crate::report::live::Live;
use crate::report::{Style, words};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Without a terminal the figures are printed only so often.
const EVERY: Duration = Duration::from_secs(5);

/// Longer lines are cut.
const LONGEST: usize = 200;

/// Shows a run.
pub struct Progress {
    shown: Mutex<Shown>,
    clock: Clock,
}

struct Shown {
    live: Live,
    screen: Screen,
    printed: Mono,
}

enum Screen {
    Redrawn(ProgressBar),
    Lines,
    Json,
}

impl Progress {
    /// For how the user looks at it.
    #[must_use]
    pub fn new(output: Output, look: Look, clock: Clock) -> Self {
        let (screen, style) = match (output, look) {
            (Output::Json, _) => (Screen::Json, Style::Plain),
            (Output::Human, Look::Rich) => (Screen::Redrawn(bar()), Style::Colour),
            (Output::Human | Output::Plain, _) => (Screen::Lines, Style::Plain),
        };
        let printed = clock.mono();
        Self { shown: Mutex::new(Shown { live: Live::new(style), screen, printed }), clock }
    }

    /// Clears what was redrawn.
    pub fn end(&self) {
        if let Screen::Redrawn(bar) = &self.lock().screen {
            bar.finish_and_clear();
        }
    }

    /// A remark between the lines.
    pub fn remark(&self, text: &str) {
        self.lock().screen.line(text);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        let now = self.clock.mono();
        let mut shown = self.lock();
        if let Screen::Json = shown.screen {
            return print(&json!({ "event": event }).to_string());
        }
        if let Some(line) = shown.live.event(event) {
            shown.screen.line(&line);
        }
        if let What::RunStarted(run) = &event.what {
            seal(run).iter().for_each(|line| shown.screen.line(line));
        }
        shown.redraw(now);
    }

    fn stats(&self, stats: &[WorkloadStats]) {
        let now = self.clock.mono();
        let mut shown = self.lock();
        shown.live.stats(stats);
        shown.redraw(now);
        if matches!(shown.screen, Screen::Lines) && now.since(shown.printed) >= EVERY {
            shown.printed = now;
            shown.live.lines(now, usize::MAX).iter().for_each(|line| shown.screen.line(&format!("          {line}")));
        }
    }
}

impl Shown {
    fn redraw(&self, now: Mono) {
        if let Screen::Redrawn(bar) = &self.screen {
            bar.set_message(self.live.lines(now, super::terminal::width()).join("\n"));
        }
    }
}

impl Screen {
    fn line(&self, text: &str) {
        match self {
            Self::Redrawn(bar) => bar.println(cut(text)),
            Self::Lines => drop(writeln!(std::io::stderr().lock(), "{}", cut(text))),
            Self::Json => {}
        }
    }
}

/// What a probe saw may be a whole page; the record has all of it.
fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn print(line: &str) {
    // A reader that went away is no reason to stop a drill.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// What is fixed before anything is touched: whoever keeps this log can see that the objectives were not chosen after
/// the result.
fn seal(run: &RunStarted) -> Vec<String> {
    let mut lines = vec![
        format!("  sealed before the fault: run {}, playbook {}", run.run, run.playbook),
        format!("    sha256 {}", run.playbook_digest),
    ];
    lines.extend(run.objectives.iter().map(|o| format!("    {}", promise(o))));
    lines.extend(run.lineage.iter().flat_map(|lineage| among_others(lineage)));
    lines
}

/// Its place among others, and whose signature to look for.
fn among_others(lineage: &Lineage) -> [String; 2] {
    let place = lineage.chain.as_ref().map(|seal| sealing::place_in_words(seal, &lineage.chain_name));
    let signer = lineage.signer.as_ref().map(|fingerprint| format!("to be signed by {fingerprint}"));
    [
        place.unwrap_or_else(|| "NOT CHAINED".to_owned()),
        signer.unwrap_or_else(|| "UNSIGNED: no key was given".to_owned()),
    ]
    .map(|line| format!("    {line}"))
}

fn promise(objective: &Objective) -> String {
    let basis = match (objective.kind, objective.basis) {
        (ObjectiveKind::Rto, ClockBasis::Fault) | (ObjectiveKind::Detect, _) => " from the fault",
        (ObjectiveKind::Rto, ClockBasis::Declared) => " from the declaration",
        (ObjectiveKind::RpoTime | ObjectiveKind::RpoWrites, _) => "",
    };
    let (name, target) = (words::objective(objective.kind), words::target(objective.kind, objective.target));
    let promise = format!("{name} at most {target}{basis}");
    if objective.kind.is_of_the_drill() { promise } else { format!("{}: {promise}", objective.workload) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkloadName;

    #[test]
    fn a_promise_names_workload_target_and_clock() {
        let objective = Objective {
            kind: ObjectiveKind::Rto,
            workload: WorkloadName::from("orders"),
            target: 10_000_000_000,
            basis: ClockBasis::Declared,
            fault: None,
        };
        let text = promise(&objective);
        assert!(text.starts_with("orders: RTO at most 10"), "{text}");
        assert!(text.ends_with("from the declaration"), "{text}");
        let writes = Objective { kind: ObjectiveKind::RpoWrites, target: 3, ..objective };
        assert_eq!(promise(&writes), "orders: RPO (writes) at most 3 writes");
        let detect = Objective { kind: ObjectiveKind::Detect, workload: "".into(), target: 3_000_000_000, ..writes };
        assert_eq!(promise(&detect), "time to detect at most 3 s from the fault");
    }
}
