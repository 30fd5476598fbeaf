//! Ledgers in real files: the adapter on file systems of its own, which are filled, frozen and lost, and the drills under
//! `drills/files/` with the built binary. Needs root, for mounts, and what `tests/install.sh` installs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "files/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[expect(dead_code, reason = "other systems' tests need more of it")]
#[path = "data/common.rs"]
mod common;
#[path = "files/conformance.rs"]
mod conformance;
#[expect(dead_code, reason = "other systems' tests need more of it")]
#[path = "data/drill.rs"]
mod drill;
#[path = "files/drills.rs"]
mod drills;
#[path = "truth/ports.rs"]
mod ports;
#[path = "data/suite.rs"]
mod suite;
#[path = "files/volume.rs"]
mod volume;
