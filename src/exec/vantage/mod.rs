//! Vantages: clients in processes of their own, on this machine, perhaps in other network namespaces. Here: what runner and
//! vantage say to each other. The runner's end is in `link`, the vantage's in `serve`; what clients do is `sampler`'s.
//!
//! They speak lines of JSON over two pipes. The first line says everything, secrets too, so that none is in a list of
//! processes; the vantage answers it before anything else is said. A vantage writes its operations logs itself, and the
//! runner vouches for them in the journal by the marks that it is told.
//!
//! Invariant: a vantage ends when its runner does: the pipe to it is then closed.

mod link;
mod serve;

pub(super) use link::{Link, Seat};
pub use serve::{enter, hello, refuse, serve};

use crate::adapters::{ClientSettings, Endpoint, NamespaceIdentity};
use crate::event::{OpsMark, StallCause};
use crate::model::{Mono, Span, WorkloadName, WorkloadStats};
use crate::plan::WorkloadPlan;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The name of the helper that a vantage is.
pub const HELPER: &str = "vantage";
/// A vantage says so often how it stands.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// What the runner says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromRunner {
    /// Operation k of this workload is due at the origin + k/rate.
    Start(WorkloadName, Mono),
    /// Its schedule ends.
    Stop(WorkloadName),
}

/// The first line.
#[derive(Serialize, Deserialize)]
pub struct Hello {
    /// The run's folder.
    dir: PathBuf,
    /// The network namespace to work in; the runner's if none.
    namespace: Option<NamespaceIdentity>,
    /// What clients do there.
    seats: Vec<Assignment>,
}

/// One workload.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// As planned.
    pub plan: WorkloadPlan,
    /// What it drives, references filled in.
    pub endpoint: Endpoint,
    /// How.
    pub settings: ClientSettings,
}

/// What a vantage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromVantage {
    /// All workloads are opened, or why not.
    Ready(Result<(), String>),
    /// How each workload stands.
    Report(Vec<Standing>),
    /// It could not see in this span; one workload of it alone, if that is named.
    Stalled(Span, StallCause, Option<WorkloadName>),
    /// A schedule has ended and its log is complete, or cannot be.
    Stopped(WorkloadName, Result<OpsMark, String>),
    /// It cannot go on.
    Failed(String),
}

/// A workload right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    stats: WorkloadStats,
    mark: Result<OpsMark, String>,
}

/// A line of it.
fn line(message: &impl Serialize) -> Vec<u8> {
    // These types have only keys that are text.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
