//! A run while it goes on: what it was given, and what it has come to. The phases work on it; nothing is decided here.

use super::clusters::Held;
use super::fault::OpenFault;
use super::guardian::Link;
use super::guards::Looks;
use super::load::Load;
use super::lock::Lock;
use super::options::RunOptions;
use super::record::Record;
use super::scene::Scene;
use super::staging::Up;
use super::stop::StopSignal;
use super::when::StepView;
use crate::adapters::World;
use crate::event::{Phase, What};
use crate::journal::state::Index;
use crate::model::{FaultId, Mono, ProcessIdentity, Span, StepId};
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{SetOnce, watch};

/// A run that goes on.
pub(super) struct Drill<'a> {
    pub plan: &'a Plan,
    pub world: &'a World,
    pub options: &'a RunOptions,
    pub dir: PathBuf,
    pub index: Index,
    pub record: Arc<Record>,
    pub scene: Scene,
    pub stop: StopSignal,
    pub load: Load,
    /// Who heals when this process no longer can.
    pub guardian: SetOnce<Link>,
    /// Do guards count now?
    pub armed: AtomicBool,
    /// How many steps have ended.
    pub ended: watch::Sender<u64>,
    progress: Mutex<Progress>,
}

/// What the run has come to.
#[derive(Default)]
pub(super) struct Progress {
    /// All faults, oldest first, healed ones too.
    pub faults: Vec<Arc<OpenFault>>,
    /// When the first injection was called.
    pub first_fault: Option<Mono>,
    /// When the `declared` milestone was reached.
    pub declared: Option<Mono>,
    /// Steps that have ended.
    pub steps: BTreeMap<String, StepDone>,
    /// What brings the staging down.
    pub staging: Option<Up>,
    /// The targets that are this drill's alone.
    pub locks: Vec<Lock>,
    /// The parts of clusters that are this drill's alone.
    pub leases: Vec<Held>,
    /// The process that holds an embedded staging together.
    pub held_staging: Option<ProcessIdentity>,
    /// Did the system save itself, as the playbook expected?
    pub failed_over: bool,
    /// Was the early read-back tried?
    pub early_read_back: bool,
    /// The phase that goes on.
    pub phase: Option<Phase>,
    /// Has the wish to stop been noted?
    pub abort_noted: bool,
    /// How closely probes of guards were looked at, by name.
    pub guards: BTreeMap<String, Looks>,
}

/// What became of a step.
pub(super) struct StepDone {
    /// What `when:` can see of it.
    pub view: StepView,
    /// As in its end record.
    pub span: Span,
    /// As in its end record.
    pub looks: u32,
}

/// Why a drill does not go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nothing was touched, and these are the reasons.
    Preflight(Vec<String>),
    /// Nothing was touched: another drill has a target.
    Held(Vec<String>),
    /// Nothing was touched: an earlier drill has left something open in a cluster.
    Left(Vec<String>),
    /// Somebody wished it to stop.
    Stopped,
}

impl<'a> Drill<'a> {
    pub fn new(
        plan: &'a Plan,
        world: &'a World,
        options: &'a RunOptions,
        record: Arc<Record>,
        stop: StopSignal,
        (dir, index): (PathBuf, Index),
    ) -> Self {
        let scene = Scene::new(plan, world, &options.run, &dir, &options.state_dir).kept_in(options.home.clone());
        let (ended, progress) = (watch::Sender::new(0), Mutex::default());
        let (load, armed, guardian) = (Load::default(), AtomicBool::new(false), SetOnce::new());
        Self { plan, world, options, dir, index, record, scene, stop, load, guardian, armed, ended, progress }
    }

    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Mono {
        self.world.clock.mono()
    }

    pub fn note(&self, what: What) {
        self.record.note(what);
    }

    pub fn say(&self, text: impl Into<String>) {
        self.note(What::Note { text: text.into() });
    }

    /// Faults that are not healed, newest first.
    pub fn open_faults(&self) -> Vec<Arc<OpenFault>> {
        self.progress().faults.iter().rev().filter(|f| f.is_open()).cloned().collect()
    }

    pub fn open_fault(&self, id: &FaultId) -> Option<Arc<OpenFault>> {
        self.open_faults().into_iter().find(|f| f.intent.fault == *id)
    }

    /// When a step ended, or a fault was injected.
    pub fn ended_at(&self, step: &StepId) -> Option<Mono> {
        let progress = self.progress();
        let fault = progress.faults.iter().find(|f| f.intent.fault.as_str() == step.as_str()).map(|f| f.injected);
        fault.or_else(|| progress.steps.get(step.as_str()).map(|done| done.span.hi))
    }

    /// Waits for it unless somebody wishes the run to stop; what is dropped then cleans up behind itself.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Broken> {
        tokio::select! {
            biased;
            () = self.stop.wait() => Err(Broken::Stopped),
            done = work => Ok(done),
        }
    }

    /// Carries a phase out, with its beginning and its end noted.
    pub async fn phase<T>(&self, phase: Phase, work: impl Future<Output = T>) -> T {
        self.progress().phase = Some(phase);
        self.note(What::PhaseStarted { phase });
        let done = work.await;
        self.end_phase();
        done
    }

    /// Notes the end of the phase that goes on, if one does: a panic may have left it open.
    pub fn end_phase(&self) {
        let open = self.progress().phase.take();
        if let Some(phase) = open {
            self.note(What::PhaseEnded { phase });
        }
    }
}
