//! The one way into the journal: secrets are taken out, the observer is told, and a journal that cannot be written
//! stops the run.

use super::options::Observer;
use super::redact::Redactor;
use super::sampler;
use super::stop::StopSignal;
use crate::clock::Clock;
use crate::event::{AbortCause, Event, What};
use crate::journal::{Journal, JournalError};
use crate::model::WorkloadStats;
use std::sync::{Arc, Mutex, PoisonError};

/// Notes what happens.
pub(super) struct Record {
    journal: Journal,
    observer: Arc<dyn Observer>,
    clock: Clock,
    stop: StopSignal,
    /// All secrets of the run.
    pub redactor: Redactor,
    failed: Mutex<Option<String>>,
}

impl Record {
    pub fn new(
        (journal, redactor): (Journal, Redactor),
        observer: Arc<dyn Observer>,
        clock: Clock,
        stop: StopSignal,
    ) -> Self {
        Self { journal, observer, clock, stop, redactor, failed: Mutex::new(None) }
    }

    /// Notes it. If that fails the run is asked to stop; the observer is told in any case, for healing goes on.
    pub fn note(&self, what: What) {
        // What an error means is settled where it is found.
        let _asked_to_stop = self.write(what);
    }

    /// Notes it, and says whether it is noted: nothing may be injected otherwise.
    ///
    /// # Errors
    /// The journal's.
    pub fn write(&self, mut what: What) -> Result<(), JournalError> {
        self.redactor.event(&mut what);
        match self.journal.append(what.clone()) {
            Ok(event) => {
                if self.journal.is_full() {
                    self.stop.trigger(AbortCause::Journal("the disk is full".to_owned()));
                }
                self.observer.event(&event);
                Ok(())
            }
            Err(error) => {
                self.failing(&error.to_string());
                self.observer.event(&Event { at: self.clock.stamp(), what });
                Err(error)
            }
        }
    }

    /// What workloads say about themselves, for whoever watches.
    pub fn stats(&self, stats: &[WorkloadStats]) {
        self.observer.stats(stats);
    }

    /// The record can no longer be complete.
    pub fn failing(&self, why: &str) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_owned());
        self.stop.trigger(AbortCause::Journal(why.to_owned()));
    }

    /// Why the record is not complete, if it is not.
    pub fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl sampler::Recorder for Record {
    fn record(&self, what: What) {
        self.note(what);
    }
}
