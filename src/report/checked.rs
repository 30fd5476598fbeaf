//! What a drill looked at, one after another: objectives, steps, the user's own data, sites. For formats that list checks
//! whatever they are about (attestation, assessment results). Skipped steps are none.

use super::{tables, words};
use crate::analysis::{Analysis, StepResult};
use crate::event::StepOutcome;
use crate::model::Verdict;

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Objective,
    Step,
    Data,
    Sites,
}

/// Something that was looked at and judged.
pub(super) struct Checked {
    pub about: About,
    /// The same for the same check of another run.
    pub key: String,
    /// For people.
    pub name: String,
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// `file:line`; empty if it has no place of its own.
    pub place: String,
    /// When it was decided, in nanoseconds since the start record; none: at the end.
    pub at: Option<i64>,
}

/// All of them, objectives first.
pub(super) fn all(a: &Analysis) -> Vec<Checked> {
    let mut all: Vec<Checked> = objectives(a);
    all.extend(a.steps.iter().filter(|s| counts(s)).map(step));
    all.extend(a.fingerprints.iter().map(|f| Checked {
        about: About::Data,
        key: f.name.clone(),
        name: format!("data of {}", f.name),
        verdict: f.verdict,
        seen: f.why.clone(),
        place: f.place.clone(),
        at: None,
    }));
    all.extend(a.sites.iter().map(|s| Checked {
        about: About::Sites,
        key: s.workload.0.clone(),
        name: format!("sites of {}", s.workload),
        verdict: s.verdict,
        seen: s.why.clone(),
        place: s.place.clone(),
        at: None,
    }));
    all
}

fn objectives(a: &Analysis) -> Vec<Checked> {
    let numbered = a.objectives.iter().enumerate();
    let checked = numbered.map(|(n, o)| Checked {
        about: About::Objective,
        key: (n + 1).to_string(),
        name: tables::objective(a, o),
        verdict: o.verdict,
        seen: words::seen(o),
        place: String::new(),
        at: None,
    });
    checked.collect()
}

/// A step that its own `when:` left out was not asked for; one that the run did not get to was.
fn counts(s: &StepResult) -> bool {
    !matches!(&s.outcome, Some(StepOutcome::Skipped { by_when: true, .. }))
}

fn step(s: &StepResult) -> Checked {
    let round = if s.round == 0 { String::new() } else { format!(" (round {})", s.round + 1) };
    let detail = words::detail(s);
    Checked {
        about: About::Step,
        key: format!("{}/{}", s.id, s.round),
        name: format!("{}: {}{round}", words::phase(s.phase), s.name),
        verdict: s.verdict,
        seen: if detail.is_empty() { words::outcome(s).to_owned() } else { detail.to_owned() },
        place: s.place.clone(),
        at: s.to,
    }
}
