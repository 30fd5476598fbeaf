//! May a release go out, as far as a drill can say? Three layers: what was promised ([`judge()`], always), whether it got
//! worse (`regression`, advisory unless asked), and whether the evidence is recent, verified and about this playbook.
//! Pure: what a bundle is worth as evidence is found elsewhere and handed in as [`Seal`].
//!
//! Invariant: a last run that is worse in anything never makes the answer better.

mod judge;
mod regression;

pub use judge::judge;
pub use regression::{Bound, Compared, Layer};

use super::entry::Entry;
use crate::model::RunId;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What must be so of the last run besides its objectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It passed as a whole: not inconclusive, not aborted.
    Passed,
    /// Somebody who may signed it.
    Signed,
    /// It names the run before it, and that is here.
    Chained,
    /// A time stamp authority vouches for when.
    Stamped,
}

/// Does a regression decide?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regression {
    /// It is told.
    Advisory,
    /// It fails the gate.
    Decides,
}

/// What is asked of every drill.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The moment.
    pub now: DateTime<Utc>,
    /// The last run may be that old; if not given, as old as the playbook's frequency says.
    pub max_age: Option<TimeDelta>,
    /// What must be so.
    pub require: BTreeSet<Need>,
    /// What must have been under test: `sha256:…`, `gitCommit:…`.
    pub subjects: Vec<String>,
    /// A figure may be that much above the median: 0.2 is a fifth.
    pub tolerance: f64,
    /// So many comparable runs are needed at least.
    pub least: usize,
    /// Does a regression decide?
    pub regression: Regression,
    /// Of n runs, so many may lie above a bound that is claimed; none: n are too few for the claim.
    pub allowed: fn(u64) -> Option<u64>,
}

/// Is a bundle what was sealed?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Every file is as it was sealed.
    Intact,
    /// Something is not; each named.
    Broken(Vec<String>),
    /// Nobody can say: it is not sealed, or cannot be read.
    Unknown(String),
}

/// Is something about a bundle so?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is; by whom or when.
    Good(String),
    /// It is wrong: somebody else's, or about other bytes.
    Bad(String),
    /// There is none.
    Missing(String),
    /// It is there and cannot be checked here.
    Unknown(String),
}

/// What a bundle is worth as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its files.
    pub integrity: Integrity,
    /// Its signature.
    pub signature: Standing,
    /// Its place in the chain of runs.
    pub chain: Standing,
    /// Its time stamp.
    pub stamp: Standing,
}

/// A run and what its bundle is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The run.
    pub entry: Entry,
    /// Its bundle.
    pub seal: Seal,
}

/// A folder of a drill's runs that is no run: nothing can be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The folder.
    pub folder: String,
    /// When it began, if its start record can be read.
    pub started: Option<DateTime<Utc>>,
    /// Why.
    pub why: String,
    /// What of it is not as it was sealed.
    pub broken: Vec<String>,
}

/// What is known of a drill.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    /// Its runs, in any order.
    pub evidence: &'a [Evidence],
    /// What ought to be runs of it.
    pub unreadable: &'a [Unreadable],
    /// The runs that the last one is held against; if not given, those before it.
    pub baseline: Option<&'a [Evidence]>,
}

/// A playbook as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Its file.
    pub path: String,
    /// SHA-256 as written, hex.
    pub written: String,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// SHA-256 as it would be run with them, hex.
    pub resolved: String,
}

/// A drill that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub drill: String,
    /// Its environment; none: any, the last run decides.
    pub environment: Option<String>,
    /// Its playbook as it is now, if one was given.
    pub playbook: Option<Pinned>,
    /// How often it must run, by its playbook.
    pub every: Option<TimeDelta>,
}

/// How it stands with a drill. Ordered: the worse one is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Good.
    Good,
    /// It cannot be verified.
    Unverified,
    /// Stale, missing, tampered with, or an objective was missed.
    Bad,
}

/// What speaks against a drill, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// How much.
    pub grade: Grade,
    /// For programs: `missing`, `tampered`, `unsealed`, `objective`, `not_passed`, `signature`, `chain`, `stamp`,
    /// `stale`, `future`, `playbook`, `subject`, `regression`
    pub code: &'static str,
    /// In plain words.
    pub text: String,
    /// What to do.
    pub mend: String,
}

/// How it stands with a drill, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The drill.
    pub drill: String,
    /// Its environment, if it was told or a run tells it.
    pub environment: Option<String>,
    /// All in all.
    pub grade: Grade,
    /// The run that decided.
    pub run: Option<RunId>,
    /// When that began.
    pub started: Option<DateTime<Utc>>,
    /// Its age in seconds.
    pub age: Option<i64>,
    /// Its folder.
    pub folder: Option<String>,
    /// What speaks against it, the worst first.
    pub reasons: Vec<Reason>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// Was it worse than earlier runs?
    pub regression: Layer,
}
