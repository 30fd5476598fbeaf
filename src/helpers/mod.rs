//! Helper programs: what a detached child of ours does while it holds a fault. One file per kind, one line in `KINDS`.
//! Starting, finding and ending them is in `adapters`; the fault that needs one is in `faults`.

use crate::adapters::directory::wire;
use crate::adapters::pressure::{CpuLoad, HeldMemory};

mod control;
mod directory;
mod life;
mod pressure;
pub mod proxy;
pub mod resolver;
mod slowfs;

/// Called once, with one line of text, when the helper does what it was started for.
pub type Ready<'a> = &'a mut dyn FnMut(&str);

/// A helper: its parameters as JSON; it ends when it gets SIGTERM or its own deadline passes.
type Helper = fn(&str, Ready<'_>) -> Result<(), String>;

/// All kinds.
const KINDS: &[(&str, Helper)] = &[
    (wire::HELPER, directory::helper),
    ("proxy", proxy::helper),
    (CpuLoad::HELPER, pressure::cpu),
    (HeldMemory::HELPER, pressure::memory),
    (slowfs::NAME, slowfs::helper),
    ("resolver", resolver::helper),
];

/// Runs a helper to its end.
///
/// # Errors
/// Why it could not do what it was started for.
pub fn run(kind: &str, parameters: &str, ready: Ready<'_>) -> Result<(), String> {
    // It must outlive the runner's terminal and process group.
    let _leader_already = nix::unistd::setsid();
    match KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, helper)) => helper(parameters, ready),
        None => Err(format!("there is no helper `{kind}`")),
    }
}
