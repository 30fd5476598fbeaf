//! Simulated targets and faults on the paused clock.
