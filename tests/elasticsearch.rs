//! Elasticsearch, against a double of it: three processes that answer its REST API. The vendor's own client holds the double to
//! what it says, and finds each thing that it does wrong on purpose; then the adapter, the conformance suite, and the drills
//! under `drills/elasticsearch/` with the built binary. Needs what `tests/install.sh` installs, and says so when it is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "elasticsearch/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "elasticsearch/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "elasticsearch/drills.rs"]
mod drills;
#[path = "truth/ports.rs"]
mod ports;
#[path = "elasticsearch/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
#[path = "elasticsearch/vendor.rs"]
mod vendor;
