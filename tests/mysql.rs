//! A real MariaDB: the adapter against single servers and a pair, fingerprints of its tables, restores, and the drills under
//! `drills/mariadb/` with the built binary. Needs the server that `tests/install.sh` installs, and says so when it is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "mysql/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "mysql/conformance.rs"]
mod conformance;
#[path = "data/drill.rs"]
mod drill;
#[path = "mysql/drills.rs"]
mod drills;
#[path = "mysql/fingerprints.rs"]
mod fingerprints;
#[path = "mysql/input.rs"]
mod input;
#[path = "data/suite.rs"]
mod ledgers;
#[path = "postgres/planted.rs"]
mod planted;
#[path = "mysql/restores.rs"]
mod restores;
#[path = "mysql/server.rs"]
mod server;
#[path = "fingerprints/suite.rs"]
mod suite;
