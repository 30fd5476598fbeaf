//! The append-only, hash-chained record of a run: writing it, reading it back, and what may follow what.
//! The formats are described in `docs/journal.md`. What the record means is `analysis`'s business, not this module's.
//!
//! Invariant: what [`read`] returns is the longest prefix of the record that verifies; the rest is reported, never used.

mod error;
mod format;
mod open;
pub mod ops;
pub mod readback;
mod reader;
mod reserve;
pub mod state;
pub mod transitions;
mod writer;

pub use error::JournalError;
pub use format::{Cut, FILE, VERSION, digest};
pub use open::{LeftUp, being_healed, left_up, open_faults};
pub use reader::{Stored, read, read_events};
pub use writer::{Held, Journal, alive, hold};

#[cfg(test)]
mod tests;
