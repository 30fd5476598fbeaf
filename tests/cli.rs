//! The command line as a user and a CI job meet it: what is printed where, and every exit code.
//! What a drill measures is tested in `truth`; here it is how the program begins, refuses, is interrupted and ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "cli/answers.rs"]
mod answers;
#[path = "cli/disk.rs"]
mod disk;
#[path = "cli/drill.rs"]
mod drill;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/held.rs"]
mod held;
#[path = "cli/repeated.rs"]
mod repeated;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/signals.rs"]
mod signals;
#[path = "cli/support.rs"]
mod support;
#[path = "cli/validating.rs"]
mod validating;
#[path = "cli/vantages.rs"]
mod vantages;
