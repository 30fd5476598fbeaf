//! The guardian: somebody besides the runner who knows how every open fault is healed, and does it when the runner no
//! longer can. Here: what the two say to each other. The runner's end is in `link`, the guardian's in `serve`, when it
//! must act is decided in `lease`, what it then does is `recover`'s.
//!
//! They speak lines of JSON over two pipes. The runner's words are `FromRunner`, the guardian's `FromGuardian`. A
//! fault is injected only after the guardian has confirmed its intent.
//!
//! Invariant: the guardian touches neither journal nor targets while its runner may still act: it makes sure first that
//! the runner cannot inject any more.

mod fence;
mod lease;
mod link;
mod serve;

pub(super) use link::Link;
pub use serve::{Served, serve};

use super::options::Limits;
pub use crate::adapters::guardian::Ends;
use crate::event::FaultIntent;
use crate::model::{FaultId, ProcessIdentity, RunId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Who heals when the runner no longer can.
#[derive(Clone)]
pub enum Guarding {
    /// A guardian in a process of its own, started by this command line; the run's name is appended.
    Process(Vec<String>),
    /// One in this process, for worlds that are simulated: makes one and gives the runner's ends of its pipes.
    Within(Arc<dyn Fn() -> Ends + Send + Sync>),
    /// Nobody, and why. What is open when the runner dies is then healed by `recover` only; the record says so.
    Nobody(String),
}

/// Pipes between a runner and a guardian in the same process: the runner's ends and the guardian's.
#[must_use]
pub fn pipes() -> (Ends, Ends) {
    let ((from_runner, to_guardian), (from_guardian, to_runner)) = (tokio::io::simplex(PIPE), tokio::io::simplex(PIPE));
    let runner = Ends { from: Box::new(from_guardian), to: Box::new(to_guardian) };
    (runner, Ends { from: Box::new(from_runner), to: Box::new(to_runner) })
}

/// As much as a pipe of the system holds.
const PIPE: usize = 64 << 10;

/// What the runner says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromRunner {
    /// First of all.
    Hello(Box<Hello>),
    /// Nothing is injected before this is confirmed.
    Intent(Box<FaultIntent>),
    /// The runner heals it now; it may take as long as the limits say.
    Healing(FaultId),
    /// It is healed, and that is on disk.
    Healed(FaultId),
    /// All attempts failed; the runner tries again at its end, and says so if it is in vain.
    Stuck(FaultId),
    /// The runner lives.
    Beat,
    /// The run was given up inside a process that lives on: there is nobody to be killed.
    Abandoned,
    /// The run is over and its record complete.
    Goodbye,
}

/// What the guardian says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromGuardian {
    /// It is out of the runner's session and knows what it must know.
    Ready(Option<ProcessIdentity>),
    /// It could heal this fault.
    Confirmed(FaultId),
    /// It could not, and why.
    Refused(FaultId, String),
    /// It lives.
    Beat,
}

/// What a guardian must know from the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// Where open runs are listed.
    pub state_dir: PathBuf,
    /// Who must be gone before anything is healed; none in a world without processes.
    pub runner: Option<ProcessIdentity>,
    /// How long things may take.
    pub limits: Limits,
}

/// A line of it.
fn line(message: &impl Serialize) -> Vec<u8> {
    // These types have only keys that are text.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
