//! Servers that speak CouchDB's protocol (PouchDB Server): the adapter against a single one and against the scripts' two
//! regions, answers that only a double gives, and the drills under `drills/couchdb/` with the built binary. Needs what
//! `tests/install.sh` installs, and says so when it is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "couchdb/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "couchdb/conformance.rs"]
mod conformance;
#[path = "couchdb/double.rs"]
mod double;
#[path = "data/drill.rs"]
mod drill;
#[path = "couchdb/drills.rs"]
mod drills;
#[path = "couchdb/regions.rs"]
mod regions;
#[path = "couchdb/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
