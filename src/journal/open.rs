//! Which faults of a record still have to be healed.

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
