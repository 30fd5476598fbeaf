//! What an operation did, what became of it, what it found and whether it has a key, in one byte. The operations log
//! (`docs/journal.md`) writes this byte as it is, so its meaning is part of that format.

use super::{Action, Found, OpRecord, Outcome};

/// Bits 0–1 action, 2–4 outcome, 5–6 what a read found, 7: the operation has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u8);

const KEYED: u8 = 0x80;

impl Tag {
    /// The tag of an operation.
    #[must_use]
    pub fn of(op: &OpRecord) -> Self {
        let action = match op.action {
            Action::Write => 0,
            Action::Read => 1,
            Action::Visit => 2,
        };
        let outcome = match op.outcome {
            Outcome::Ok => 0,
            Outcome::OkLocal => 1,
            Outcome::Fail => 2,
            Outcome::Unknown => 3,
            Outcome::Missed => 4,
            Outcome::Unsent => 5,
        };
        let found = match op.found {
            None => 0,
            Some(Found::Intact) => 1,
            Some(Found::Corrupted) => 2,
            Some(Found::Absent) => 3,
        };
        let keyed = if op.key.is_some() { KEYED } else { 0 };
        Self(action | outcome << 2 | found << 5 | keyed)
    }

    /// The tag that a byte stands for, if it stands for one.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        (byte & 3 < 3 && byte >> 2 & 7 < 6).then_some(Self(byte))
    }

    /// As it is stored.
    #[must_use]
    pub fn byte(self) -> u8 {
        self.0
    }

    /// What the operation did.
    #[must_use]
    pub fn action(self) -> Action {
        const ACTIONS: [Action; 4] = [Action::Write, Action::Read, Action::Visit, Action::Visit];
        ACTIONS[usize::from(self.0 & 3)]
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        use Outcome::{Fail, Missed, Ok, OkLocal, Unknown, Unsent};
        const OUTCOMES: [Outcome; 8] = [Ok, OkLocal, Fail, Unknown, Missed, Unsent, Unsent, Unsent];
        OUTCOMES[usize::from(self.0 >> 2 & 7)]
    }

    /// What it found.
    #[must_use]
    pub fn found(self) -> Option<Found> {
        const FINDINGS: [Option<Found>; 4] = [None, Some(Found::Intact), Some(Found::Corrupted), Some(Found::Absent)];
        FINDINGS[usize::from(self.0 >> 5 & 3)]
    }

    /// Does it have a key?
    #[must_use]
    pub fn keyed(self) -> bool {
        self.0 & KEYED != 0
    }
}
