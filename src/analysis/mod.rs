//! Pure folds from a run's events and operations to numbers and verdicts.
