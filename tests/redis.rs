//! Real Redis: the adapter against single servers and against the scripts' staging, and the drills under `drills/redis/` with
//! the built binary. Needs the servers that `tests/install.sh` installs, and says so when they are missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "redis/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "redis/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "redis/drills.rs"]
mod drills;
#[path = "redis/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
