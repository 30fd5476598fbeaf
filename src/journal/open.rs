//! What of a record is still to be done: faults to be healed, a staging to be brought down.

use crate::event::{Event, FaultIntent, What};

/// Intents that are not healed and that somebody has to heal, oldest first. An intent counts from the moment it was
/// written: the injection may have happened even if the record stops right after it.
#[must_use]
pub fn open_faults(events: &[Event]) -> Vec<FaultIntent> {
    let mut open: Vec<&FaultIntent> = Vec::new();
    for event in events {
        match &event.what {
            What::FaultIntent(intent) => {
                open.retain(|known| known.fault != intent.fault);
                open.push(intent);
            }
            What::Healed { fault, .. } => open.retain(|known| known.fault != *fault),
            _ => {}
        }
    }
    open.into_iter().filter(|intent| !intent.irreversible).cloned().collect()
}

/// A staging that a record leaves up.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftUp {
    /// The command that brings it down, secrets by reference.
    pub down: serde_json::Value,
    /// What another process needs besides.
    pub context: serde_json::Value,
}

/// The staging of commands that was begun, perhaps only in part, and not brought down.
#[must_use]
pub fn left_up(events: &[Event]) -> Option<LeftUp> {
    let mut left: Option<LeftUp> = None;
    for event in events {
        match &event.what {
            What::StagingBegun { down, context } => {
                left = Some(LeftUp { down: down.clone(), context: context.clone() });
            }
            What::StagingDown { error: None } => left = None,
            _ => {}
        }
    }
    left
}

/// Did somebody else than the runner begin to heal it, and not end yet?
#[must_use]
pub fn being_healed(events: &[Event]) -> bool {
    let taken = events.iter().rposition(|e| matches!(e.what, What::TakenOver { .. }));
    taken.is_some() && !events.iter().any(|e| matches!(e.what, What::RunEnded { .. }))
}
