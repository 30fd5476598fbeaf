//! Carries out a plan: the phases of a drill, from preflight to the final read-back. Judging is `analysis`'s business,
//! showing is `report`'s and `cli`'s.
//!
//! Invariant: no fault is injected before its intent has reached the disk, and every fault that was injected is healed
//! and looked at, or named as open, on every way out: end, abort, error, panic.

mod ask;
mod budget;
mod clusters;
mod context;
mod doors;
mod drill;
mod fault;
mod fingerprints;
mod finish;
mod guarded;
pub mod guardian;
mod guards;
mod heal;
pub mod inside;
mod kill_switch;
mod load;
mod lock;
mod objects;
mod options;
mod output;
mod phases;
mod preflight;
mod record;
mod recover;
mod redact;
mod rehearsal;
mod residue;
mod restore;
mod run;
pub mod sampler;
mod scene;
mod seal;
mod secrets;
mod several;
mod sites;
mod source;
mod staging;
mod step;
mod stop;
mod targets;
pub mod vantage;
mod verb;
mod vigil;
mod watch;
mod when;

#[cfg(test)]
mod tests;

pub use ask::{Answer, AnswerFile, Answers, Nobody};
pub use clusters::{InCluster, Left as LeftInCluster, Rights, Runner, look_at_cluster, recover_from_cluster, rights};
pub use guardian::Guarding;
pub use kill_switch::{KillSwitch, engage, release};
pub use options::{Embedded, Finished, Limits, Observer, RunError, RunOptions, Silent, new_run_id};
pub use preflight::unavailable;
pub use recover::{Recovered, StillOpen, recover};
pub use residue::{Able, Blind, Left, left_behind};
pub use run::run;
pub use stop::StopSignal;
pub use targets::look;
