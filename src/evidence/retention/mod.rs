//! Which runs are kept, which are removed, and their removal. A run that is removed leaves a tombstone, so that the chain of
//! runs still verifies.
//!
//! Invariant: the tombstone is on the disk before the first file is gone, and nothing is removed that was not looked at: a run
//! that is under way, has an open fault, or does not hold what its manifest says, stays.

mod choice;
mod remove;
mod survey;

pub use choice::{Choice, Fate, Keep, choose};
pub use remove::{PruneError, Pruner, finish, remove};
pub use survey::{Found, Sealing, Survey, look, survey};
