//! Truth: what the embedded staging really did, against what was measured. `staging` tests the staging itself,
//! `program` computes the truth, `self_check` tests that. Nothing in here uses `blackstart::analysis` to compute a truth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod http;
mod program;
mod self_check;
mod staging;
mod support;
