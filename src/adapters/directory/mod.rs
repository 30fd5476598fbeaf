//! Directories: a ledger of records in files, the availability probe that it brings along, and questions for probes. All
//! file operations are done by processes of ours (`helpers`), because one that hangs cannot be broken off.

mod btrfs;
mod classify;
mod ledger;
pub mod records;
mod store;
pub mod wire;
mod worker;

use super::data::{Directory, Taken};
use super::systems::{DirectoryAsk, Seen};
use super::{AdapterError, ClientSettings, DirectoryPlace, LedgerStore, Opened};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, FileLayout, Fsync};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wire::{Keep, Place, Said, What};
use worker::{Gone, Pool};

fn pool(program: Option<&Path>, place: &DirectoryPlace, settings: &ClientSettings) -> Pool {
    let keep = if settings.behaviour == ClientBehaviour::Fresh { Keep::Closed } else { Keep::Open };
    let place = Place {
        path: place.path.clone(),
        name: place.name.clone(),
        run: settings.run.to_string(),
        fsync: place.fsync,
        layout: place.layout,
        keep,
        process: 0,
    };
    Pool::new(program.map(Path::to_path_buf), place)
}

/// Opens a ledger; its first process starts when it is prepared.
#[must_use]
pub fn open_ledger(clock: &Clock, program: Option<&Path>, place: &DirectoryPlace, settings: &ClientSettings) -> Opened {
    let pool = Arc::new(pool(program, place, settings));
    let store = store::Store { pool: Arc::clone(&pool), need: place.need };
    let client = ledger::Ledger::new(clock.clone(), pool, settings);
    Opened { client: Arc::new(client), store: Some(Arc::new(store)) }
}

/// The same ledger as another directory holds it: what a volume was copied to.
#[must_use]
pub fn open_copy(program: Option<&Path>, place: &DirectoryPlace, settings: &ClientSettings) -> Arc<dyn LedgerStore> {
    Arc::new(store::Store { pool: Arc::new(pool(program, place, settings)), need: None })
}

/// Opens the probe that looks whether files can be written.
///
/// # Errors
/// When its process does not start.
pub async fn open_probe(
    clock: &Clock,
    program: Option<&Path>,
    place: &DirectoryPlace,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let pool = pool(program, place, settings);
    pool.worker(0).await?;
    Ok(Opened { client: Arc::new(ledger::Probe::new(clock.clone(), pool, settings)), store: None })
}

/// What a process that only looks is told.
fn nowhere(path: &Path) -> Place {
    Place {
        path: path.to_path_buf(),
        name: String::new(),
        run: String::new(),
        fsync: Fsync::default(),
        layout: FileLayout::default(),
        keep: Keep::Closed,
        process: 0,
    }
}

/// One answer of a process of its own, within `limit`.
async fn once(program: Option<&Path>, path: &Path, what: What, limit: Duration) -> Result<Said, AdapterError> {
    let silent = |gone: Gone| AdapterError::Other(format!("{}: {gone:?}", path.display()));
    let work = async {
        let worker = Pool::new(program.map(PathBuf::from), nowhere(path)).alone().await?;
        match worker.ask(0, what).map_err(silent)?.answer().await.map_err(silent)? {
            Said::Refused(why) => Err(why),
            said => Ok(said),
        }
    };
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", path.display()));
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// Answers one question within `limit`.
///
/// # Errors
/// When the directory does not answer, or is not there.
pub(super) async fn look(
    program: Option<&Path>,
    path: &Path,
    ask: &DirectoryAsk,
    limit: Duration,
) -> Result<Seen, AdapterError> {
    if let DirectoryAsk::SnapshotAge | DirectoryAsk::Generation = ask {
        let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", path.display()));
        return timeout(limit, btrfs::look(path, ask, limit)).await.unwrap_or_else(|_| Err(late()));
    }
    match once(program, path, What::Look(ask.clone()), limit).await? {
        Said::Seen { value, fields } => Ok(Seen { value, fields }),
        other => Err(AdapterError::Other(format!("{}: an answer to another question: {other:?}", path.display()))),
    }
}

/// The fingerprint of a directory, taken within `limit`.
///
/// # Errors
/// When the directory does not answer, cannot be read, or changes meanwhile.
pub(super) async fn fingerprint(
    program: Option<&Path>,
    asked: &Directory,
    limit: Duration,
) -> Result<Taken, AdapterError> {
    match once(program, &asked.path, What::Fingerprint(asked.clone()), limit).await? {
        Said::Taken(taken) => Ok(taken),
        other => {
            Err(AdapterError::Other(format!("{}: an answer to another question: {other:?}", asked.path.display())))
        }
    }
}
