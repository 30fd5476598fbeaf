//! Pure folds from a run's events and operations to numbers and verdicts.

pub mod types;

pub use types::*;
