//! Runs among each other: what an index keeps of each ([`entry`]), and what follows from several. Pure folds; where an index
//! is kept is an adapter's business, and every index can be made again from the runs' folders.
//!
//! Invariant: two runs are compared only if they are of the same class ([`class`]); else it is said why not.

pub mod class;
pub mod compare;
pub mod coverage;
pub mod entry;
pub mod folder;
pub mod gate;
mod numbers;
pub mod report;
pub mod trend;
