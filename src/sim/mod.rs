//! A simulated world on the paused clock of a tokio runtime: a replicated store with its processes, a router, clients,
//! and disturbances, repeatable from a seed. Whole drills run in it in milliseconds, and it knows its own truth.
//!
//! What is simulated is what clients can see of a system, not the system; no report is made from it and nothing here
//! is used by a drill on the system clock. Call everything inside a `current_thread` runtime whose clock is paused.

mod client;
mod cluster;
mod rng;
mod sink;
mod sites;
mod sites_world;
mod truth;
mod world;

pub use cluster::{Cluster, Disturbance, Lies, Settings, Weather};
pub use rng::Rng;
pub use sink::{Memory, Only};
pub use sites::{Arrival, Disk, LINK, Pair, PairSettings, PairTruth, SITES};
pub use truth::{Books, Condition, Truth};
