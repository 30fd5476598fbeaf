//! `addenda/NNNN-review.json`: what people add to a run afterwards. It names the run's manifest and the addendum before it,
//! and never changes either. Pure data.

use crate::event::OpenAction;
use crate::model::{DrillName, RunId};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// The folder of a run that holds them.
pub const FOLDER: &str = "addenda";
/// The version that this program writes, and the only one that it reads.
pub const VERSION: &str = "blackstart/addendum/v1";

/// What a person added to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addendum {
    /// [`VERSION`].
    pub schema: String,
    /// Its number in the run, from 1.
    pub number: u32,
    /// The run.
    pub run: RunId,
    /// SHA-256 of the run's `MANIFEST.json`, hex.
    pub manifest: String,
    /// SHA-256 of the addendum before it, hex; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When it was written, by the clock of the machine.
    pub at: DateTime<Utc>,
    /// Who wrote it, as given.
    pub by: String,
    /// Their role, as given; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// What they say.
    pub review: Review,
}

/// What a reviewer says of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What they decided; none: only notes or actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Who took part, who was absent, what was communicated, deviations, root cause, lessons: by field, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Actions of this run or of earlier ones that are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closes: Vec<Closed>,
}

/// A reviewer's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Signed off as it is.
    Accepted,
    /// Signed off, with something to be done.
    AcceptedWithActions,
    /// Not accepted as evidence.
    Rejected,
}

/// Text for a field of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// `deviation`, `root_cause`, `lesson`, `communication`, `security`, `participant`, `absent`, or `note`.
    pub field: String,
    /// In people's words.
    pub text: String,
}

/// A corrective action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its number in the run, from 1, over all addenda.
    pub number: u32,
    /// What is to be done.
    pub text: String,
    /// By whom.
    pub owner: String,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<NaiveDate>,
    /// Is it closed only by a run that retests it (a later run of the same drill that passes)?
    #[serde(default)]
    pub retest: bool,
}

/// An action that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The run whose review asked for it.
    pub run: RunId,
    /// Its number there.
    pub number: u32,
    /// How.
    pub how: String,
}

/// What notes can be about.
pub const NOTE_FIELDS: [&str; 8] =
    ["participant", "absent", "deviation", "root_cause", "lesson", "communication", "security", "note"];

/// A decision with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub decision: Decision,
    /// By whom.
    pub by: String,
    /// In which role; may be empty.
    pub role: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The decision that holds: the last one.
#[must_use]
pub fn decision(addenda: &[Addendum]) -> Option<Decided> {
    addenda.iter().rev().find_map(|addendum| {
        let (by, role) = (addendum.by.clone(), addendum.role.clone());
        addendum.review.decision.map(|decision| Decided { decision, by, role, at: addendum.at })
    })
}

/// The number that a run's next action gets.
#[must_use]
pub fn next_action(addenda: &[Addendum]) -> u32 {
    addenda.iter().flat_map(|a| &a.review.actions).map(|a| a.number).max().unwrap_or(0).saturating_add(1)
}

/// A run with its reviews, as far as actions need it.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// Which.
    pub run: RunId,
    /// Of which drill.
    pub drill: DrillName,
    /// Where.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Did it pass?
    pub passed: bool,
    /// Its addenda, in order.
    pub addenda: Vec<Addendum>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionState {
    /// Nothing yet.
    Open,
    /// Somebody said that it is done.
    Closed {
        /// How.
        how: String,
        /// Who said so.
        by: String,
    },
    /// A later run that passed.
    Retested(RunId),
}

/// An action and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The run whose review asked for it.
    pub run: RunId,
    /// The action.
    pub action: Action,
    /// What became of it.
    pub state: ActionState,
}

impl Tracked {
    /// As a start record has it.
    #[must_use]
    pub fn as_open(&self) -> OpenAction {
        let Action { number, text, owner, due, .. } = self.action.clone();
        OpenAction { run: self.run.clone(), number, text, owner, due }
    }
}

/// Every action of these runs with what became of it, in the order of runs and numbers. One that is to be retested is closed only by
/// a run of the same drill in the same environment that began after it was asked for, passed, and was not rejected.
#[must_use]
pub fn track(runs: &[Reviewed]) -> Vec<Tracked> {
    let mut tracked: Vec<Tracked> = Vec::new();
    for run in runs {
        for addendum in &run.addenda {
            for action in &addendum.review.actions {
                let state = if action.retest {
                    retested(runs, run, addendum.at.max(run.started)).map_or(ActionState::Open, ActionState::Retested)
                } else {
                    closed(runs, &run.run, action.number).unwrap_or(ActionState::Open)
                };
                tracked.push(Tracked { run: run.run.clone(), action: action.clone(), state });
            }
        }
    }
    tracked.sort_by(|a, b| (&a.run, a.action.number).cmp(&(&b.run, b.action.number)));
    tracked
}

fn retested(runs: &[Reviewed], asked: &Reviewed, after: DateTime<Utc>) -> Option<RunId> {
    let rejected = |run: &Reviewed| decision(&run.addenda).is_some_and(|d| d.decision == Decision::Rejected);
    runs.iter()
        .filter(|run| run.drill == asked.drill && run.environment == asked.environment)
        .filter(|run| run.passed && run.started > after && !rejected(run))
        .min_by_key(|run| run.started)
        .map(|run| run.run.clone())
}

fn closed(runs: &[Reviewed], run: &RunId, number: u32) -> Option<ActionState> {
    runs.iter().flat_map(|reviewed| &reviewed.addenda).find_map(|addendum| {
        let closes = addendum.review.closes.iter().find(|c| c.run == *run && c.number == number)?;
        Some(ActionState::Closed { how: closes.how.clone(), by: addendum.by.clone() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    fn run(name: &str, day: i64, passed: bool, review: Option<Review>) -> Reviewed {
        let addendum = |review| Addendum {
            schema: VERSION.to_owned(),
            number: 1,
            run: name.into(),
            manifest: String::new(),
            previous: None,
            at: at(day) + TimeDelta::hours(1),
            by: "Kim".to_owned(),
            role: String::new(),
            review,
        };
        let addenda = review.map(addendum).into_iter().collect();
        let environment = "staging".to_owned();
        Reviewed { run: name.into(), drill: "d".into(), environment, started: at(day), passed, addenda }
    }

    fn asks(retest: bool) -> Review {
        let action = Action { number: 1, text: "mend".to_owned(), owner: "Ann".to_owned(), due: None, retest };
        Review { actions: vec![action], ..Review::default() }
    }

    fn states(runs: &[Reviewed]) -> Vec<ActionState> {
        track(runs).into_iter().map(|tracked| tracked.state).collect()
    }

    #[test]
    fn what_is_to_be_retested_waits_for_a_run_that_passes() {
        let first = run("a", 1, false, Some(asks(true)));
        assert_eq!(states(std::slice::from_ref(&first)), [ActionState::Open]);
        let failed = run("b", 2, false, None);
        assert_eq!(states(&[first.clone(), failed.clone()]), [ActionState::Open]);
        let earlier = run("0", 0, true, None);
        assert_eq!(states(&[earlier, first.clone(), failed]), [ActionState::Open]);
        let passed = run("c", 3, true, None);
        assert_eq!(states(&[first.clone(), passed.clone()]), [ActionState::Retested("c".into())]);
        let elsewhere = Reviewed { environment: "other".to_owned(), ..passed.clone() };
        assert_eq!(states(&[first.clone(), elsewhere]), [ActionState::Open]);
        let rejected = Review { decision: Some(Decision::Rejected), ..Review::default() };
        assert_eq!(states(&[first, run("c", 3, true, Some(rejected))]), [ActionState::Open]);
    }

    #[test]
    fn a_review_of_any_run_closes_an_action_that_needs_no_retest() {
        let close = Closed { run: "a".into(), number: 1, how: "CHG-1".to_owned() };
        let review = Review { closes: vec![close], ..Review::default() };
        let closing = run("b", 2, false, Some(review));
        let done = ActionState::Closed { how: "CHG-1".to_owned(), by: "Kim".to_owned() };
        assert_eq!(states(&[run("a", 1, false, Some(asks(false))), closing.clone()]), [done]);
        assert_eq!(states(&[run("a", 1, false, Some(asks(true))), closing]), [ActionState::Open]);
    }

    #[test]
    fn the_last_decision_holds_and_numbers_go_on() {
        let decided = |decision| Review { decision: Some(decision), ..asks(false) };
        let mut one = run("a", 1, true, Some(decided(Decision::Accepted)));
        let second = run("a", 2, true, Some(decided(Decision::Rejected))).addenda.remove(0);
        one.addenda.push(second);
        assert_eq!(decision(&one.addenda).map(|d| d.decision), Some(Decision::Rejected));
        assert_eq!((next_action(&one.addenda), next_action(&[])), (2, 1));
    }
}
