//! Kill -9 at every moment of a drill: of its runner, of its guardian, and of both; damaged records; disks that are full
//! or read-only; a reboot. Whatever happens, every fault ends healed, or `recover` says which one is not and exits 3.
//!
//! A fault family joins with one line in `families.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod containers;
#[path = "../faults/engine.rs"]
mod engine;
mod families;
mod others;
mod place;
mod program;
mod records;
mod sweep;
mod watch;
