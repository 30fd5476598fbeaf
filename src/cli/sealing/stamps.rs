//! Time stamps over the start record and over the seal. The first is asked for in the background as soon as the start record
//! is written; none is ever waited for while a drill goes on.

use super::settings::Authority;
use crate::adapters::timestamp;
use crate::event::{Event, What};
use crate::evidence::{place, stamp};
use crate::exec::Observer;
use crate::journal;
use crate::model::WorkloadStats;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// The stamp over the start record of a run.
pub(super) struct Start {
    authority: Authority,
    dir: PathBuf,
    task: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl Start {
    pub fn new(authority: &Authority, dir: &Path) -> Self {
        Self { authority: authority.clone(), dir: dir.to_path_buf(), task: Mutex::new(None) }
    }

    fn begin(&self) {
        let (authority, dir) = (self.authority.clone(), self.dir.clone());
        // The start record is the first event, and the run's own tasks note it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let task = runtime.spawn(async move { over_start(&authority, &dir).await });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Waits until it is there; its request is bounded.
    pub async fn ended(&self) -> Result<(), String> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        match task {
            None => Err("the run has no start record".to_owned()),
            Some(task) => task.await.unwrap_or_else(|broke| Err(broke.to_string())),
        }
    }
}

async fn over_start(authority: &Authority, dir: &Path) -> Result<(), String> {
    let record = std::fs::read(dir.join(journal::FILE)).map_err(|e| e.to_string())?;
    let first = record.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    over(authority, first, &dir.join(stamp::START)).await
}

/// Puts a stamp over a file of a folder beside it.
pub(super) async fn stamp(authority: &Authority, dir: &Path, over_file: &str, name: &str) -> Result<(), String> {
    let bytes = std::fs::read(dir.join(over_file)).map_err(|e| e.to_string())?;
    over(authority, &bytes, &dir.join(name)).await
}

async fn over(authority: &Authority, bytes: &[u8], path: &Path) -> Result<(), String> {
    let ca = authority.ca.as_ref().map(|path| path.to_string_lossy().into_owned());
    let answer = timestamp::ask(&authority.url, ca.as_deref(), stamp::request(bytes)).await;
    let answer = answer.map_err(|e| e.to_string())?;
    stamp::granted(&answer, bytes)?;
    place::put(path, &answer).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

struct Watching {
    start: Arc<Start>,
    observer: Arc<dyn Observer>,
}

/// Asks for the stamp when the start record is written.
pub(super) fn watching(start: Arc<Start>, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
    Arc::new(Watching { start, observer })
}

impl Observer for Watching {
    fn event(&self, event: &Event) {
        if matches!(event.what, What::RunStarted(_)) {
            self.start.begin();
        }
        self.observer.event(event);
    }

    fn stats(&self, stats: &[WorkloadStats]) {
        self.observer.stats(stats);
    }
}
