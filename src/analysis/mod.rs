//! Pure folds from a run's events and operations to numbers and verdicts.

mod record;
pub mod types;

pub use record::Record;
pub use types::*;
