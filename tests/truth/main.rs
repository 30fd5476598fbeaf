//! Truth: what the embedded staging really did, against what was measured. `staging` tests the staging itself;
//! Nothing in here uses `blackstart::analysis` to compute a truth.

mod http;
mod staging;
mod support;
