//! A pass-through file system over a directory: everything goes to the directory beneath, and what it is told to disturb
//! on the way is late or fails. It is told by an extended attribute of its root (`adapters::disk::disturb`).
//!
//! It ends when it is unmounted and the last file that was opened through it is closed: a program that has one open must
//! not lose it by a heal. SIGTERM, and its own limit, end all disturbance and unmount it.

mod gate;
mod nodes;
mod pass;

use super::Ready;
use crate::adapters::disk::disturb::SOURCE;
use crate::clock::Clock;
use crate::model::Dur;
use fuser::{Config, MountOption, Session, SessionACL};
use gate::Gate;
use pass::Pass;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The helper's name.
pub(super) const NAME: &str = "slowfs";
/// Threads that take requests; reads, writes and syncs that are delayed wait elsewhere.
const THREADS: usize = 8;

/// What it is told when it is started.
#[derive(Debug, Serialize, Deserialize)]
struct Parameters {
    /// The directory that it covers and passes everything to.
    directory: PathBuf,
    /// Its owner's tag, or another word for a mount that is no fault: what is mounted is named by it.
    tag: String,
    /// It unmounts itself after this; never if not given.
    #[serde(default)]
    limit: Option<Dur>,
}

/// Mounts, serves, and returns when nobody uses it any more.
pub(super) fn helper(parameters: &str, ready: Ready<'_>) -> Result<(), String> {
    let Parameters { directory, tag, limit } = serde_json::from_str(parameters).map_err(|e| e.to_string())?;
    let _as_wide = crate::adapters::allow_descriptors(65_536);
    // Programs' own masks have been applied when a request comes here.
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let gate = Arc::new(Gate::default());
    let pass = Pass::over(&directory, Arc::clone(&gate)).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut config = Config::default();
    let all = nix::unistd::geteuid().is_root();
    config.mount_options = vec![MountOption::FSName(format!("{SOURCE}{tag}")), MountOption::DefaultPermissions];
    if all {
        config.mount_options.extend([MountOption::Dev, MountOption::Suid]);
    }
    config.acl = if all { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(THREADS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    // Signals are caught before there is anything to be left behind.
    let mut term = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate()).map_err(|e| e.to_string())?
    };
    let session = Session::new(pass, &directory, &config);
    let session = session.map_err(|e| format!("cannot mount over {}: {e}", directory.display()))?;
    let (served, over) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        let ended = session.run();
        drop(served);
        ended
    });
    ready("mounted");
    runtime.block_on(async {
        let limit = async {
            match limit {
                Some(limit) => Clock::System.sleep_until(Clock::System.mono().after(limit.0)).await,
                None => std::future::pending().await,
            }
        };
        let mut over = over;
        tokio::select! {
            _unmounted = &mut over => return,
            () = limit => {}
            _ = term.recv() => {}
        }
        gate.clear();
        crate::adapters::disk::let_go(&directory, &tag);
        let _last_file_closed = over.await;
    });
    match serving.join() {
        Ok(Ok(())) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}
