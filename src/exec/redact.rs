//! Takes secrets out of every text that is noted: as they are, and base64-, URL- and JSON-encoded.

use crate::event::{FaultIntent, StepOutcome, What};
use std::sync::{PoisonError, RwLock};

/// A shorter secret is not looked for: it would occur everywhere.
pub(super) const SHORTEST: usize = 4;

/// Knows all secrets of a run.
#[derive(Default)]
pub(super) struct Redactor {
    /// Each form of a secret and what stands for it, longest first.
    forms: RwLock<Vec<(String, String)>>,
}

impl Redactor {
    /// From now on this secret is taken out.
    pub fn register(&self, name: &str, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let stands = format!("${{secrets.{name}}}");
        let json = serde_json::Value::from(secret).to_string();
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        let encoded =
            [secret.to_owned(), base64(secret.as_bytes()), percent(secret), json.trim_matches('"').to_owned()];
        for form in encoded {
            if !forms.iter().any(|(known, _)| *known == form) {
                forms.push((form, stands.clone()));
            }
        }
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    }

    /// The text without secrets.
    pub fn text(&self, text: &mut String) {
        for (form, stands) in self.forms.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if text.contains(form) {
                *text = text.replace(form, stands);
            }
        }
    }

    /// Does a secret stand in it?
    pub fn holds(&self, text: &str) -> bool {
        self.forms.read().unwrap_or_else(PoisonError::into_inner).iter().any(|(form, _)| text.contains(form))
    }

    /// Takes secrets out of everything in an event that is free text. Names and identities stay: a drill is read by them.
    pub fn event(&self, what: &mut What) {
        match what {
            What::RunStarted(start) => {
                start.params.values_mut().for_each(|t| self.text(t));
                start.metadata.values_mut().flatten().for_each(|t| self.text(t));
            }
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
            What::ReadBack(done) => done.error.iter_mut().for_each(|t| self.text(t)),
            What::Sites(look) => look.sites.values_mut().filter_map(|s| s.as_mut().err()).for_each(|t| self.text(t)),
            What::Fingerprint(taken) => {
                taken.error.iter_mut().for_each(|t| self.text(t));
                taken.named.iter_mut().flat_map(|n| &mut n.first).for_each(|(name, _)| self.text(name));
            }
            What::Note { text } | What::VantageLost { why: text, .. } => self.text(text),
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
            | What::AbortRequested { .. }
            | What::VantageStalled { .. }
            | What::Stall { .. } => {}
        }
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
}

/// RFC 4648 §4, without padding, so that it is found in the middle of a longer text.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let block = chunk.iter().fold(0_u32, |sum, b| sum << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(char::from(LETTERS[(block >> (18 - 6 * i) & 63) as usize]));
        }
    }
    out
}

/// RFC 3986 §2: everything but the unreserved characters.
fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_right() {
        assert_eq!(["", "f", "fo", "foo", "foob"].map(|t| base64(t.as_bytes())), ["", "Zg", "Zm8", "Zm9v", "Zm9vYg"]);
        assert_eq!(percent("a b/ä~"), "a%20b%2F%C3%A4~");
    }

    #[test]
    fn every_form_of_a_secret_is_taken_out() {
        let redactor = Redactor::default();
        redactor.register("db", "p\"ss w/rd");
        for form in ["p\"ss w/rd", "p\\\"ss w/rd", "cCJzcyB3L3Jk", "p%22ss%20w%2Frd"] {
            let mut what = What::Note { text: format!("before {form} after") };
            assert!(redactor.holds(form));
            redactor.event(&mut what);
            assert_eq!(what, What::Note { text: "before ${secrets.db} after".into() }, "{form}");
        }
    }

    #[test]
    fn the_longest_secret_goes_first_and_the_shortest_stay() {
        let redactor = Redactor::default();
        for (name, secret) in [("a", "abcd"), ("b", "abcdef"), ("c", "ab")] {
            redactor.register(name, secret);
        }
        let mut text = "abcdef abcd ab".to_owned();
        redactor.text(&mut text);
        assert_eq!(text, "${secrets.b} ${secrets.a} ab");
    }
}
