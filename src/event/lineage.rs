//! What the start record says of the runs around this one: its place in the chain of runs, who will sign it, what was under
//! test, and what is known of earlier runs. Sealed before the fault like everything else there, so that reports are
//! computed from the record alone.

use crate::model::{RunId, RunState, Verdict};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A run among others. Every part may be missing: records without it are as they always were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Its place in the chain of runs; none if it is not chained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainSeal>,
    /// The name of that chain, `DRILL@ENVIRONMENT@RUNNER`; empty if it is not chained.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chain_name: String,
    /// Fingerprint (`SHA256:…`, as ssh-keygen prints it) of the key that will sign the evidence; none: unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What was under test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
    /// Earlier runs of the same drill in the same environment, oldest first, at most [`EARLIER`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierRun>,
    /// Actions of earlier runs that nobody has closed and no run has retested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<OpenAction>,
}

/// So many earlier runs are remembered at most.
pub const EARLIER: usize = 20;

/// A place in the chain of runs of a drill, an environment and a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSeal {
    /// 1 for the first run of the chain, then one more for each.
    pub counter: u64,
    /// The run before it; none: the chain starts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The run before in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Which.
    pub run: RunId,
    /// SHA-256 of its `MANIFEST.json`, hex; none if it was not sealed when this run began (it was still going on, or
    /// its runner died).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// Something that was under test: an image, a release, a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name; may be empty.
    pub name: String,
    /// `sha256:…` or `gitCommit:…`
    pub digest: String,
}

/// An earlier run, as its own report said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierRun {
    /// Which.
    pub run: RunId,
    /// When.
    pub started: DateTime<Utc>,
    /// How it ended.
    pub state: RunState,
    /// What it came to.
    pub verdict: Verdict,
    /// Is it comparable with this one: the same resolved playbook apart from names of places, and the same load?
    pub comparable: bool,
    /// Its figures.
    pub figures: Vec<EarlierFigure>,
}

/// What an earlier run measured for an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierFigure {
    /// `rto`, `rpo_time`, `rpo_writes`, `detect`
    pub objective: String,
    /// The workload; empty if the objective is about the drill.
    pub workload: String,
    /// The fault it counts from; empty for the only one.
    pub fault: String,
    /// Its clock basis; empty if it has none.
    pub basis: String,
    /// The interval in the objective's unit (seconds or writes); none if it was not measured.
    pub low: Option<f64>,
    /// Best value.
    pub best: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The target at that time.
    pub target: f64,
}

/// A corrective action that is still to be done or to be retested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAction {
    /// The run whose review asked for it.
    pub run: RunId,
    /// Its number in that run, from 1.
    pub number: u32,
    /// What is to be done.
    pub text: String,
    /// By whom.
    pub owner: String,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<NaiveDate>,
}
