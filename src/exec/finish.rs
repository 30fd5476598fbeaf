//! What always happens at the end of a run, however the rest ended: healing, the last looks, the load's end, the final
//! read-back, the staging's end, the end of the record.

use super::drill::{Broken, Drill};
use super::options::{Finished, RunError};
use crate::event::{Phase, ReadBackStage, What};
use crate::model::RunState;
use futures_util::FutureExt;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

/// Runs it; a panic becomes its message.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("internal error: {}", text.unwrap_or("no message"))
}

/// Why nothing was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Preflight,
    Held,
    /// Something of an earlier drill is open.
    Left,
}

impl Drill<'_> {
    /// Ends the run. `conducted` is how the drill itself ended.
    pub async fn finish(&self, conducted: Result<Result<(), Broken>, String>) -> Finished {
        let mut panics = Vec::new();
        let (mut reasons, mut refused) = (Vec::new(), Refused::Preflight);
        let whole = match conducted {
            Ok(Ok(())) => true,
            Ok(Err(Broken::Stopped)) => false,
            Ok(Err(Broken::Preflight(why))) => {
                self.note(What::PreflightFailed { reasons: why.clone(), held: false });
                reasons = why;
                false
            }
            Ok(Err(Broken::Held(why))) => {
                self.note(What::PreflightFailed { reasons: why.clone(), held: true });
                (reasons, refused) = (why, Refused::Held);
                false
            }
            Ok(Err(Broken::Left(why))) => {
                self.note(What::PreflightFailed { reasons: why.clone(), held: false });
                (reasons, refused) = (why, Refused::Left);
                false
            }
            Err(panic) => {
                panics.push(panic);
                false
            }
        };
        self.note_abort();
        self.end_phase();
        panics.extend(caught(self.mend()).await.err());
        if whole {
            panics.extend(caught(self.last_looks()).await.err());
        }
        panics.extend(caught(self.close_down(whole)).await.err());
        self.end_phase();
        let finished = self.end_record((reasons, refused), panics);
        self.let_guardian_go().await;
        finished
    }

    /// Heals what is open.
    async fn mend(&self) {
        if !self.open_faults().is_empty() {
            self.phase(Phase::Unwind, self.unwind()).await;
        }
    }

    /// The steady state again, under load, for long enough.
    async fn last_looks(&self) {
        if self.stop.requested().is_none() && self.open_faults().is_empty() {
            self.phase(Phase::Converge, self.converge()).await;
        }
        if self.stop.requested().is_none() {
            self.phase(Phase::Steady, self.settle()).await;
        }
    }

    async fn close_down(&self, whole: bool) {
        self.armed.store(false, Ordering::SeqCst);
        self.note_guards();
        let load = !self.plan.workloads.is_empty();
        if load {
            self.phase(Phase::Drain, self.stop_load()).await;
        }
        if whole && (load || !self.plan.fingerprints.is_empty()) {
            let last_looks = async {
                self.until_sites_agree().await;
                self.read_back(ReadBackStage::Final).await;
                self.read_back_sites(ReadBackStage::Final).await;
                self.fingerprints_after().await;
            };
            let _stopped = self.phase(Phase::ReadBack, self.unless_stopped(last_looks)).await;
        }
        if self.has_doors() {
            self.doors_down().await;
        }
        self.release_leases().await;
        if self.progress().staging.is_some() {
            self.phase(Phase::StagingDown, self.staging_down()).await;
        }
    }

    /// The last event, and what the caller is told.
    fn end_record(&self, (reasons, refused): (Vec<String>, Refused), panics: Vec<String>) -> Finished {
        self.note_abort();
        let open = self.open_faults();
        let error = panics.first().cloned();
        let state = if !open.is_empty() {
            RunState::Dirty
        } else if !reasons.is_empty() {
            if refused == Refused::Held { RunState::Held } else { RunState::NotRun }
        } else if error.is_some() || self.stop.requested().is_some() {
            RunState::Aborted
        } else {
            RunState::Ended
        };
        let ids = open.iter().map(|f| f.intent.fault.clone()).collect();
        self.note(What::RunEnded { state, open: ids, error: error.clone() });
        // What is healed but could not be written down stays listed: a recovery looks again, and completes the record.
        let over = open.is_empty() && self.record.failure().is_none();
        let removed = if over { self.index.remove(&self.options.run) } else { Ok(()) };
        if let Err(why) = removed {
            self.record.failing(&why.to_string());
        }
        let by_hand = open.iter().map(|f| (f.intent.fault.clone(), f.intent.by_hand.clone())).collect();
        let error = match (state, error.or_else(|| self.record.failure())) {
            (RunState::Dirty, _) => Some(RunError::NotHealed(by_hand)),
            (RunState::NotRun, _) if refused == Refused::Left => Some(RunError::LeftInCluster(reasons)),
            (RunState::NotRun, _) => Some(RunError::Preflight(reasons)),
            (RunState::Held, _) => Some(RunError::Held(reasons)),
            (_, Some(why)) => Some(RunError::Internal(why)),
            (_, None) => None,
        };
        let secrets = self.record.redactor.forms.clone();
        let error = error.map(|error| error.clean(&secrets));
        Finished { dir: Some(self.dir.clone()), state, error, secrets }
    }
}
