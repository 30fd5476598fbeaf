//! Takes secrets out of every event before it is noted. Which forms a secret has is [`crate::redact`]'s business.

use crate::event::{AbortCause, FaultIntent, RunStarted, StepOutcome, What};
use crate::redact::Forms;
use serde_json::Value;

/// Knows all secrets of a run.
#[derive(Default)]
pub(super) struct Redactor {
    /// In all their forms; the command line gets a handle to them, to search the run's folder.
    pub forms: Forms,
}

impl Redactor {
    /// The text without secrets.
    pub fn text(&self, text: &mut String) {
        self.forms.clean(text);
    }

    /// Does a secret stand in what another process would heal by? It must be there as it is, or not at all.
    pub fn refuses(&self, text: &str) -> Option<String> {
        if self.forms.holds(text) {
            return Some("a secret's value stands in what would be journaled; write it as ${secrets.NAME}".to_owned());
        }
        let found = self.forms.find(text.as_bytes()).into_iter().next()?;
        let what = found.what;
        Some(format!("{what} stands in what would be journaled; declare it in `secrets:` and write ${{secrets.NAME}}"))
    }

    /// Takes secrets out of everything in an event that is free text. Names and identities, by which a drill is read, are
    /// changed only where a secret stands in them that can be told from any other text.
    pub fn event(&self, what: &mut What) {
        self.free_text(what);
        // The executor refuses these before they get here: whoever heals needs them as they are.
        if matches!(what, What::FaultIntent(_) | What::StagingBegun { .. }) {
            return;
        }
        let whole = serde_json::to_value(&*what).unwrap_or_default();
        if self.forms.find(whole.to_string().as_bytes()).is_empty() {
            return;
        }
        let mut whole = whole;
        self.everywhere(&mut whole);
        let withheld = || What::Note { text: "an event was left out, because a secret stood in it".to_owned() };
        *what = serde_json::from_value(whole).unwrap_or_else(|_| withheld());
    }

    fn free_text(&self, what: &mut What) {
        match what {
            What::RunStarted(start) => self.start(start),
            What::TakenOver { why, .. } => self.text(why),
            What::StagingUp { fields } => fields.values_mut().for_each(|t| self.text(t)),
            What::StagingDown { error } | What::RunEnded { error, .. } => error.iter_mut().for_each(|t| self.text(t)),
            What::TargetsResolved { targets, .. } => {
                targets.iter_mut().flat_map(|t| t.fields.values_mut()).for_each(|t| self.text(t));
            }
            What::StepEnded { outcome, output, .. } => {
                self.outcome(outcome);
                output.values_mut().for_each(|t| self.text(t));
            }
            What::FaultIntent(intent) => self.intent(intent),
            What::FaultInjectFailed { error, .. } | What::HealFailed { error, .. } => self.text(error),
            What::FaultEffect { detail, .. } | What::Healed { detail, .. } | What::GuardBroken { detail, .. } => {
                self.text(detail);
            }
            What::AbortRequested { cause } => self.cause(cause),
            What::ReadBack(done) => done.error.iter_mut().for_each(|t| self.text(t)),
            What::Sites(look) => look.sites.values_mut().filter_map(|s| s.as_mut().err()).for_each(|t| self.text(t)),
            What::Restored(done) => {
                done.error.iter_mut().for_each(|t| self.text(t));
                self.text(&mut done.claim.backup);
                done.claim.exposure.iter_mut().filter_map(|e| e.as_mut().err()).for_each(|t| self.text(t));
            }
            What::Fingerprint(taken) => {
                taken.error.iter_mut().for_each(|t| self.text(t));
                taken.named.iter_mut().flat_map(|n| &mut n.first).for_each(|(name, _)| self.text(name));
            }
            What::Note { text } | What::VantageLost { why: text, .. } => self.text(text),
            What::VantagePlaced(placed) => self.text(&mut placed.server),
            What::PreflightFailed { reasons, .. } => reasons.iter_mut().for_each(|t| self.text(t)),
            What::PhaseStarted { .. }
            | What::PhaseEnded { .. }
            | What::WorkloadStarted { .. }
            | What::OpsMark(_)
            | What::WorkloadStopped(_)
            | What::StepStarted { .. }
            | What::Milestone { .. }
            | What::FaultInjected { .. }
            | What::HealStarted { .. }
            | What::Guarded { .. }
            | What::StagingBegun { .. }
            | What::VantageStalled { .. }
            | What::VantageClock { .. }
            | What::Stall { .. } => {}
        }
    }

    fn start(&self, start: &mut RunStarted) {
        start.params.values_mut().for_each(|t| self.text(t));
        start.metadata.values_mut().flatten().for_each(|t| self.text(t));
        start.waivers.iter_mut().for_each(|t| self.text(t));
        let actions = start.lineage.iter_mut().flat_map(|lineage| &mut lineage.actions);
        actions.flat_map(|action| [&mut action.text, &mut action.owner]).for_each(|t| self.text(t));
    }

    /// Parameters and undo stay as they are: the executor refuses an intent that holds a secret before it gets here.
    fn intent(&self, intent: &mut FaultIntent) {
        self.text(&mut intent.by_hand);
        self.text(&mut intent.name);
        intent.targets.iter_mut().for_each(|t| self.text(t));
    }

    fn outcome(&self, outcome: &mut StepOutcome) {
        match outcome {
            StepOutcome::Passed { detail } | StepOutcome::Failed { detail } => self.text(detail),
            StepOutcome::Errored { error } => self.text(error),
            StepOutcome::Skipped { reason, .. } => self.text(reason),
            StepOutcome::Aborted => {}
        }
    }

    fn cause(&self, cause: &mut AbortCause) {
        match cause {
            AbortCause::Signal(why)
            | AbortCause::Guard(why)
            | AbortCause::Journal(why)
            | AbortCause::NotSteady(why)
            | AbortCause::KillSwitch(why)
            | AbortCause::Guardian(why)
            | AbortCause::Lease(why) => self.text(why),
            AbortCause::MaxDuration | AbortCause::Step(_) => {}
        }
    }

    fn everywhere(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.everywhere(item)),
            Value::Object(map) => {
                let entries = std::mem::take(map);
                for (mut key, mut value) in entries {
                    self.text(&mut key);
                    self.everywhere(&mut value);
                    map.insert(key, value);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Phase;

    fn knows(secret: &str) -> Redactor {
        let redactor = Redactor::default();
        redactor.forms.register("db", secret);
        redactor
    }

    #[test]
    fn events_are_noted_without_secrets() {
        let redactor = knows("p\"ss w/rd");
        for form in ["p\"ss w/rd", "p\\\"ss w/rd", "cCJzcyB3L3Jk", "p%22ss%20w%2Frd"] {
            let mut what = What::Note { text: format!("before {form} after") };
            redactor.event(&mut what);
            assert_eq!(what, What::Note { text: "before ${secrets.db} after".into() }, "{form}");
        }
        let mut what = What::AbortRequested { cause: AbortCause::Guard("it said p\"ss w/rd".into()) };
        redactor.event(&mut what);
        assert_eq!(what, What::AbortRequested { cause: AbortCause::Guard("it said ${secrets.db}".into()) });
    }

    #[test]
    fn names_keep_plain_words_and_lose_secrets() {
        let milestone = |name: &str| What::Milestone {
            name: name.to_owned(),
            step: "postgres".into(),
            span: crate::model::Span::new(crate::model::Mono(1), crate::model::Mono(2)),
        };
        let mut what = milestone("at kT9-vbQ2xZ");
        knows("kT9-vbQ2xZ").event(&mut what);
        assert_eq!(what, milestone("at ${secrets.db}"));
        let mut what = milestone("postgres");
        knows("postgres").event(&mut what);
        assert_eq!(what, milestone("postgres"));
        let mut what = What::PhaseStarted { phase: Phase::Outage };
        knows("outage").event(&mut what);
        assert_eq!(what, What::PhaseStarted { phase: Phase::Outage });
    }

    #[test]
    fn what_another_process_heals_by_is_refused_instead_of_changed() {
        let redactor = knows("kT9-vbQ2xZ");
        assert!(redactor.refuses("{\"argv\": \"kT9-vbQ2xZ\"}").unwrap().contains("${secrets.NAME}"));
        assert!(redactor.refuses("postgresql://app:hunter2@h").unwrap().contains("a password in a URL"));
        assert!(redactor.refuses("postgresql://app:${secrets.db}@h").is_none());
    }
}
