//! Vantages: clients in processes of their own, on this machine, perhaps in other network namespaces, or in pods of a
//! cluster. Here: what runner and vantage say to each other. The runner's end is in `link`, the vantage's in `serve`; a
//! vantage's pod is in `pod`, its clock in `clock`; what clients do is `sampler`'s.
//!
//! They speak lines of JSON over two pipes, or a connection. The line that greets says everything, secrets too, so that none
//! is in a list of processes or in an object of a cluster; the vantage answers it before anything else is said. A vantage
//! writes its operations logs itself; one that shares no disk with the runner hands on what it wrote. The runner vouches for
//! them in the journal by the marks that it is told.
//!
//! Invariant: a vantage ends when its runner does: the pipe to it is then closed, or nothing is heard of it any more.

mod clock;
mod link;
pub(super) mod pod;
mod serve;

pub(super) use link::{Link, Place, Seat};
pub use serve::{enter, hello, listen, refuse, serve, world};

use crate::adapters::{ClientSettings, Endpoint, NamespaceIdentity};
use crate::event::{OpsMark, StallCause};
use crate::model::{Mono, Span, WorkloadName, WorkloadStats};
use crate::plan::WorkloadPlan;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The name of the helper that a vantage is.
pub const HELPER: &str = "vantage";
/// What a vantage that listens says first to whoever connects.
const GREETING: &[u8; 9] = b"vantage1\n";
/// A runner on another machine that says nothing for so long is gone, and so is a vantage.
const SILENCE: Duration = Duration::from_secs(20);
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
    /// What does its clock say? It is asked before it is greeted, too.
    Ping(u64),
}

/// The line that greets.
#[derive(Serialize, Deserialize)]
pub struct Hello {
    /// The run's folder.
    dir: PathBuf,
    /// The network namespace to work in; the runner's if none.
    namespace: Option<NamespaceIdentity>,
    /// What clients do there.
    seats: Vec<Assignment>,
    /// So far the runner's clock is ahead of this machine's, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ahead: Option<i64>,
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
    /// What its clock says.
    Pong(u64, Mono),
    /// The next bytes of a workload's log, base64.
    Log(WorkloadName, String),
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
