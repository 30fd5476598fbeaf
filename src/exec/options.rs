//! What a run is given besides its plan, and what it gives back.

use super::ask::{Answers, Nobody};
use super::guardian::Guarding;
use super::kill_switch::KillSwitch;
use crate::event::{Event, HostSeal, Lineage};
use crate::faults::Residue;
use crate::faults::kubernetes::Home;
use crate::model::{FaultId, RunId, RunState, WorkloadStats};
use crate::plan::EmbeddedStaging;
use crate::redact::Forms;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The command line that brings the embedded staging up in a folder: it writes a line when it is ready, and lives until
/// its standard input ends.
pub type Embedded = Arc<dyn Fn(&EmbeddedStaging, &Path) -> Vec<String> + Send + Sync>;

/// What a run is given besides its plan.
#[derive(Clone)]
pub struct RunOptions {
    /// Where run folders are made.
    pub reports_dir: PathBuf,
    /// Where runs with open faults are listed; it must outlive the run.
    pub state_dir: PathBuf,
    /// The name of this run; see [`new_run_id`].
    pub run: RunId,
    /// What is sealed about machine and tool.
    pub host: HostSeal,
    /// What is sealed about the runs around this one.
    pub lineage: Lineage,
    /// Brings the embedded staging up.
    pub embedded: Embedded,
    /// Who heals when the runner no longer can.
    pub guardian: Guarding,
    /// Answers `ask` steps.
    pub answers: Arc<dyn Answers>,
    /// What stops every run at once.
    pub kill_switch: KillSwitch,
    /// Where in a cluster this run keeps what reaches out of it, if it runs inside one.
    pub home: Option<Home>,
    /// The image that has this program, for pods of ours whose playbook names none.
    pub image: Option<String>,
    /// How long things may take that a playbook does not say.
    pub limits: Limits,
}

impl RunOptions {
    /// Nobody answers, nobody guards, usual limits, a staging that cannot be had.
    #[must_use]
    pub fn new(reports_dir: PathBuf, state_dir: PathBuf, run: RunId, host: HostSeal) -> Self {
        let embedded: Embedded = Arc::new(|_, _| Vec::new());
        let (answers, limits) = (Arc::new(Nobody), Limits::default());
        let guardian = Guarding::Nobody("none was asked for".to_owned());
        let kill_switch = KillSwitch::of(&state_dir);
        let (lineage, image, home) = (Lineage::default(), None, None);
        Self {
            reports_dir,
            state_dir,
            run,
            host,
            lineage,
            embedded,
            guardian,
            answers,
            kill_switch,
            home,
            image,
            limits,
        }
    }
}

/// How long things may take that a playbook does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From an injection to the look that sees its effect.
    pub effect: Duration,
    /// One heal call.
    pub heal_call: Duration,
    /// From a heal call to the look that confirms it.
    pub heal_look: Duration,
    /// Attempts to heal a fault.
    pub heal_attempts: u32,
    /// Between the first two attempts; doubles each time.
    pub heal_backoff: Duration,
    /// One look whether it is healed.
    pub heal_glance: Duration,
    /// A runner or a guardian that gives no sign for so long counts as dead.
    pub lease: Duration,
    /// So long after a fault's deadline the guardian leaves the healing to the runner.
    pub guardian_margin: Duration,
    /// Until the embedded staging is ready, and until it is down.
    pub staging: Duration,
    /// One read-back.
    pub read_back: Duration,
    /// Until a target answers in preflight.
    pub reach: Duration,
    /// On top of `baseline`, until all workloads are healthy.
    pub warm_up: Duration,
    /// On top of three times `stable`, until service is sustained at the end.
    pub settle: Duration,
    /// Between two looks at a condition, besides the cost of the look itself.
    pub look_every: Duration,
}

impl Limits {
    /// The longest that healing a fault may take, all attempts together.
    #[must_use]
    pub fn heal_bound(&self) -> Duration {
        let pauses = self.heal_backoff * 2_u32.saturating_pow(self.heal_attempts.min(16));
        (self.heal_call + self.heal_look + self.heal_glance) * self.heal_attempts + pauses + self.guardian_margin
    }
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            effect: s(30),
            heal_call: s(120),
            heal_look: s(60),
            heal_attempts: 4,
            heal_backoff: Duration::from_millis(500),
            heal_glance: s(30),
            lease: s(15),
            guardian_margin: s(10),
            staging: s(60),
            read_back: s(120),
            reach: s(5),
            warm_up: s(30),
            settle: s(30),
            look_every: Duration::from_millis(25),
        }
    }
}

/// Watches a run while it goes on. Called from the run's own tasks: it must be quick.
pub trait Observer: Send + Sync {
    /// Something was noted.
    fn event(&self, event: &Event);
    /// What all running workloads say about themselves, about five times a second.
    fn stats(&self, stats: &[WorkloadStats]);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
    fn stats(&self, _: &[WorkloadStats]) {}
}

/// How a run ended. What it means is in its record.
#[derive(Debug)]
pub struct Finished {
    /// The run's folder; none if not even that could be made.
    pub dir: Option<PathBuf>,
    /// The end of its life cycle.
    pub state: RunState,
    /// Why it is not simply over.
    pub error: Option<RunError>,
    /// The secrets that it used: its folder is searched for them before it is sealed.
    pub secrets: Forms,
}

/// Why a run did not run, or is not simply over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// A fault of an earlier run is open: nothing may be broken on top of it.
    #[error("run {run} left the fault `{fault}` open; heal it with `blackstart recover`, or by hand: {by_hand}")]
    OpenFault {
        /// The earlier run.
        run: RunId,
        /// Its fault.
        fault: FaultId,
        /// The command that a person can run.
        by_hand: String,
    },
    /// What an earlier run left open is being healed at this moment.
    #[error(
        "what run {run} left open is being healed right now, by its guardian or by a recovery; try again when it is over"
    )]
    BeingHealed {
        /// The earlier run.
        run: RunId,
    },
    /// An earlier run died and left its staging up.
    #[error("run {run} left its staging up; bring it down with `blackstart recover`")]
    StagingUp {
        /// The earlier run.
        run: RunId,
    },
    /// An earlier run is listed as open, and its record cannot be read.
    #[error("run {run} may have left a fault open, and nobody can say which: {why}")]
    Unreadable {
        /// The earlier run.
        run: RunId,
        /// Why, and what to do.
        why: String,
    },
    /// Something of ours is on this host, and no run accounts for it.
    #[error("{}", residue(.0))]
    Residue(Vec<Residue>),
    /// A drill has left something open in a cluster.
    #[error("{}", .0.join("\n"))]
    LeftInCluster(Vec<String>),
    /// Something was missing before anything was touched.
    #[error("{}", .0.join("\n"))]
    Preflight(Vec<String>),
    /// Another drill has a target, or the kill switch is engaged; nothing was touched.
    #[error("{}", .0.join("\n"))]
    Held(Vec<String>),
    /// Faults of this run are open.
    #[error("{}", open_faults(.0))]
    NotHealed(Vec<(FaultId, String)>),
    /// A bug, or a record that cannot be written.
    #[error("{0}")]
    Internal(String),
}

impl RunError {
    /// The same without secrets: it is shown to people.
    #[must_use]
    pub(super) fn clean(mut self, secrets: &Forms) -> Self {
        match &mut self {
            Self::OpenFault { by_hand: text, .. } | Self::Unreadable { why: text, .. } | Self::Internal(text) => {
                secrets.clean(text);
            }
            Self::Preflight(texts) | Self::Held(texts) | Self::LeftInCluster(texts) => {
                texts.iter_mut().for_each(|text| secrets.clean(text));
            }
            Self::NotHealed(open) => open.iter_mut().for_each(|(_, text)| secrets.clean(text)),
            Self::BeingHealed { .. } | Self::StagingUp { .. } | Self::Residue(_) => {}
        }
        self
    }

    /// Did an earlier run leave something in the way?
    #[must_use]
    pub fn is_of_an_earlier_run(&self) -> bool {
        use RunError::{BeingHealed, LeftInCluster, OpenFault, Residue, StagingUp, Unreadable};
        matches!(self, OpenFault { .. } | BeingHealed { .. } | StagingUp { .. } | Unreadable { .. })
            || matches!(self, Residue(_) | LeftInCluster(_))
    }
}

fn residue(left: &[Residue]) -> String {
    let line =
        |r: &Residue| format!("left behind by a drill that nobody knows any more: {}; by hand: {}", r.what, r.by_hand);
    left.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn open_faults(open: &[(FaultId, String)]) -> String {
    let line = |(fault, by_hand): &(FaultId, String)| format!("the fault `{fault}` is not healed; by hand: {by_hand}");
    open.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A run's name: UTC time and five random letters.
#[must_use]
pub fn new_run_id(now: chrono::DateTime<chrono::Utc>) -> RunId {
    let mut random = RandomState::new().hash_one(std::process::id());
    let mut letters = String::new();
    for _ in 0..5 {
        letters.push(char::from(b'a' + u8::try_from(random % 26).unwrap_or_default()));
        random /= 26;
    }
    RunId(format!("{}-{letters}", now.format("%Y%m%dT%H%M%SZ")))
}
