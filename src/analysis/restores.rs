//! Restores: how long their parts took, what they say of themselves, and whether the clients' own books agree.
//!
//! Invariant: a claim is shown beside what was measured, and never in its place.

use super::recovery::Clock;
use super::story::Story;
use super::types::WorkloadResult;
use crate::event::{Event, What};
use crate::model::figure::{at_least, at_most};
use crate::model::{Interval, RestoreClaim, RestorePart, RestoreTime, Restored, Span, StepId};
use chrono::{DateTime, Utc};

/// By so much a claim may be off before it is called wrong: clocks of servers differ.
const CLOCKS: i64 = 1_000_000_000;

/// A restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreResult {
    /// The step that asked for it.
    pub step: StepId,
    /// Its name, for people.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its parts that ended, in order.
    pub parts: Vec<PartTime>,
    /// What it says of itself.
    pub claim: RestoreClaim,
    /// The loss that follows from what it says, by wall clocks: from the last commit in it until the fault.
    pub claimed: Option<Interval>,
    /// Why it is not what was asked for, if so.
    pub error: Option<String>,
}

impl RestoreResult {
    /// How long all of its parts took together, in nanoseconds.
    #[must_use]
    pub fn took(&self) -> i64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.took))
    }
}

/// A part of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartTime {
    /// Which.
    pub part: RestorePart,
    /// How long it took, in nanoseconds.
    pub took: i64,
    /// How much it moved, in bytes.
    pub bytes: Option<u64>,
}

/// Every restore, in the order in which they ended.
pub(super) fn all(events: &[Event], story: &Story, clock: Option<&Clock>) -> Vec<RestoreResult> {
    let done = events.iter().filter_map(|event| match &event.what {
        What::Restored(done) => Some(result(done, story, clock)),
        _ => None,
    });
    done.collect()
}

fn result(done: &Restored, story: &Story, clock: Option<&Clock>) -> RestoreResult {
    let seals = story.start.as_ref().map_or(&[][..], |start| &start.steps);
    let name = seals.iter().find(|seal| seal.id == done.step).map(|seal| seal.name.clone());
    let took = |span: Span| span.hi.0.saturating_sub(span.lo.0).max(0);
    let part = |t: &RestoreTime| PartTime { part: t.part, took: took(t.span), bytes: t.bytes };
    RestoreResult {
        step: done.step.clone(),
        name: name.unwrap_or_else(|| done.step.to_string()),
        kind: done.kind.clone(),
        parts: done.parts.iter().map(part).collect(),
        claimed: clock.zip(done.claim.recovered_to).and_then(|(clock, to)| claimed(story, clock, to)),
        claim: done.claim.clone(),
        error: done.error.clone(),
    }
}

/// Until when the restore says that it has everything is a wall clock's word, so the fault is taken by the wall clock too.
fn claimed(story: &Story, clock: &Clock, to: DateTime<Utc>) -> Option<Interval> {
    let wall = |mono: i64| story.started.timestamp_nanos_opt()?.checked_add(mono.checked_sub(story.t0)?);
    let to = to.timestamp_nanos_opt()?;
    Interval::between(wall(clock.lo)?.checked_sub(to)?, wall(clock.hi)?.checked_sub(to)?.max(0))
}

/// What of the claims does not fit the books.
pub(super) fn contradictions(restores: &[RestoreResult], workloads: &[WorkloadResult]) -> Vec<String> {
    let mut notes = Vec::new();
    for restore in restores {
        let Some(claimed) = restore.claimed else { continue };
        for workload in workloads {
            let actual = workload.ledger.as_ref().and_then(|ledger| ledger.rpo_time);
            let Some(actual) = actual.filter(|actual| actual.low > claimed.high.saturating_add(CLOCKS)) else {
                continue;
            };
            notes.push(format!(
                "`{}` says that it has all that was committed until {} before the fault, and `{}` lost a write that was \
                 acknowledged {} before it",
                restore.step,
                at_most(claimed.high),
                workload.name,
                at_least(actual.low)
            ));
        }
    }
    notes
}
