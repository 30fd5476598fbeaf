//! Object storage by the S3 protocol, against moto as a process of its own: the adapter, the conformance suite, and the drills
//! under `drills/s3/` with the built binary. Needs what `tests/install.sh` installs, and says so when it is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "s3/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "s3/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "s3/drills.rs"]
mod drills;
#[path = "truth/ports.rs"]
mod ports;
#[path = "s3/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
