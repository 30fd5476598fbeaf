//! Whole drills on real processes, through the library: what a run leaves behind on every way it can end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "exec/acknowledged.rs"]
mod acknowledged;
#[path = "exec/bench.rs"]
mod bench;
#[path = "fingerprints/cluster.rs"]
mod cluster;
#[path = "exec/crash.rs"]
mod crash;
#[path = "exec/embedded.rs"]
mod embedded;
#[path = "exec/fingerprints.rs"]
mod fingerprints;
#[path = "fingerprints/moto.rs"]
mod moto;
#[path = "exec/oplog.rs"]
mod oplog;
#[path = "truth/ports.rs"]
mod ports;
#[path = "exec/several.rs"]
mod several;
#[path = "exec/simulated.rs"]
mod simulated;
#[path = "exec/sites.rs"]
mod sites;
#[path = "exec/steps.rs"]
mod steps;
#[path = "exec/victim.rs"]
mod victim;
