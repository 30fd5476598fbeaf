//! Several runs: the index, trends, coverage, the people's part, and the gate, with the built binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod drills;
mod folds;
mod gate;
mod index;
mod people;
mod server;
mod snippets;
mod support;
