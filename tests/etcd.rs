//! Real etcd: the adapter against a single member and against the scripts' cluster, and the drills under `drills/etcd/` with
//! the built binary. Needs the servers that `tests/install.sh` installs, and says so when they are missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "etcd/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "etcd/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "etcd/drills.rs"]
mod drills;
#[path = "etcd/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
