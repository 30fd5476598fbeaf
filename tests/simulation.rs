//! Whole drills in simulated time: real playbooks, lowered, carried out, journaled and analysed, in a world that knows
//! its own truth. A failure names the seed; `BLACKSTART_SEED=N cargo test --test simulation` tries that one alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "simulation/crash.rs"]
mod crash;
#[path = "simulation/drill.rs"]
mod drill;
#[path = "simulation/guarded.rs"]
mod guarded;
#[path = "properties/record.rs"]
mod record;
#[path = "simulation/rig.rs"]
mod rig;
#[path = "simulation/scenario.rs"]
mod scenario;
#[path = "simulation/sites.rs"]
mod sites;
#[path = "simulation/truth.rs"]
mod truth;
