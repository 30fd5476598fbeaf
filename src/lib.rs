//! Blackstart runs chaos and disaster-recovery drills and measures what clients lost.
//!
//! Text flows one way: a playbook is parsed ([`playbook`]), lowered to a plan ([`plan`]), executed ([`exec`]) into
//! events ([`event`]) that are appended to a journal ([`journal`]); [`analysis`] folds the journal into numbers and
//! verdicts, and [`report`] renders them.
//!
//! Invariant: everything a user sees is a fold over events; `analysis` and `report` are pure.
//! Invariant: imports point one way (`tests/architecture.rs` reads the sources and holds this).
//! Invariant: only [`clock`] reads the time, only [`adapters`] name client crates, only [`cli`] prints and knows clap.

pub mod adapters;
pub mod analysis;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controls;
pub mod docs;
pub mod event;
pub mod evidence;
pub mod exec;
pub mod faults;
pub mod fingerprints;
pub mod helpers;
pub mod history;
pub mod inside;
pub mod journal;
pub mod ledger;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod probes;
pub mod redact;
pub mod report;
pub mod restores;
pub mod rig;
pub mod sim;
pub mod staging;
pub mod workloads;
