//! Truth: what the embedded staging really did, against what was measured. `staging` tests the staging itself;
//! Nothing in here uses `blackstart::analysis` to compute a truth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod http;
mod staging;
mod support;
