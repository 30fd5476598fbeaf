//! MongoDB: the adapter, the conformance suite and the drills under `drills/mongodb/`, against doubles of mongod (under
//! `tests/mongodb/double/`), for no registry has a server that could be installed. The doubles themselves are driven by
//! pymongo, MongoDB's own client, which also counts what is lost; and each way in which they can be told to lie is found out.
//! Needs what `tests/install.sh` installs, and says so when it is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "mongodb/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "mongodb/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "mongodb/drills.rs"]
mod drills;
#[path = "mongodb/preflight.rs"]
mod preflight;
#[path = "mongodb/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
#[path = "mongodb/three.rs"]
mod three;
