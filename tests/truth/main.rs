//! Truth: what the embedded staging really did, against what was measured.
//!
//! `staging` tests the staging itself; `program` computes the truth and `self_check` tests that against a client of its
//! own; `rig` runs real drills (`drill`) and holds each against the truth (`judge`), and then plants `seeded` bugs into
//! what was recorded, each of which must be noticed. `known` does the same with the rig of the program itself, which
//! plays outages whose moments it knows exactly; `runner`, `quota` and `clocks` disturb the runner meanwhile. Nothing here uses `blackstart::analysis` to compute a truth.
//! `BLACKSTART_BIN` names another binary to test, `BLACKSTART_TRUTH_ONLY=NAME,NAME` runs only those drills.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod clocks;
mod drill;
mod http;
mod judge;
mod known;
mod playbooks;
mod ports;
mod program;
mod quota;
mod rig;
mod runner;
mod seeded;
mod self_check;
mod selftest;
mod staging;
mod steal;
mod support;
