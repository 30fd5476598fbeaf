//! The runner's side of a run inside a cluster: holds the Lease before anything is touched, hands the run's folder over when
//! it is over, and lets the Lease go if nothing is open.

use super::super::{Complaint, Exit, Terminal, bundle, files};
use super::fetch::{archive_beside, measured};
use crate::adapters::World;
use crate::adapters::kubernetes::Access;
use crate::evidence::archive;
use crate::exec::StopSignal;
use crate::exec::inside::{Collected, Kept, Packed, Seat, SeatError, Sitter, begin};
use crate::model::RunId;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A runner waits so long for its guardian's pod.
const GUARDIAN: Duration = Duration::from_secs(600);

/// A run's Lease, held by this process.
pub struct Held {
    kept: Kept,
    run: RunId,
    hold: Duration,
}

/// This pod, or this process if it is in none.
pub fn sitter() -> Sitter {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Sitter {
        pod: variable("POD_NAME").unwrap_or_else(host),
        uid: variable("POD_UID").unwrap_or_else(|| std::process::id().to_string()),
    }
}

/// Where a Lease is, from `NAMESPACE/NAME`.
///
/// # Errors
/// When it is something else.
pub fn seat(text: &str) -> Result<Seat, Complaint> {
    Seat::parse(text).ok_or_else(|| Complaint::new(Exit::Usage, format!("`{text}` is no Lease: NAMESPACE/NAME")))
}

/// Takes the run's Lease and waits for the guardian.
///
/// # Errors
/// When nobody guards: nothing was touched.
pub fn hold(
    (lease, run, hold): (&str, &RunId, Duration),
    (world, runtime, stop): (&World, &Runtime, &StopSignal),
    terminal: &mut Terminal,
) -> Result<Held, Complaint> {
    let seat = seat(lease)?;
    let refused = |why: String, exit| Complaint::new(exit, format!("{why}; nothing was touched"));
    let kept = runtime.block_on(async {
        let cluster =
            world.clusters.open(&Access::default()).await.map_err(|e| refused(e.to_string(), Exit::Preflight))?;
        begin(&world.clock, cluster, (&seat, &sitter(), run), GUARDIAN, stop).await.map_err(|why| match why {
            SeatError::Stopped => Complaint::new(Exit::NotRun, why.to_string()),
            SeatError::Taken(..) => refused(why.to_string(), Exit::NotRun),
            _ => refused(why.to_string(), Exit::Preflight),
        })
    })?;
    terminal.say(&format!("run {run}: the guardian's pod watches over {}", seat.runner()));
    Ok(Held { kept, run: run.clone(), hold })
}

impl Held {
    /// The run is over: hands its folder over and lets the Lease go. What is still open is left to the guardian.
    pub fn conclude(self, dir: Option<&Path>, exit: Exit, runtime: &Runtime, terminal: &mut Terminal) {
        let packed = dir.map(|dir| self.pack(dir));
        let none = Packed { digest: String::new(), size: 0 };
        let packed = match packed {
            Some(Ok(packed)) => packed,
            Some(Err(why)) => {
                terminal.complain(&why);
                none
            }
            None => none,
        };
        let hold = if packed.size == 0 { Duration::ZERO } else { self.hold };
        match runtime.block_on(self.kept.hand_over(&packed, exit.code(), hold)) {
            Ok(Collected::Nobody) if packed.size > 0 => {
                terminal.warn("nobody fetched the run's folder in time");
            }
            Ok(_) => {}
            Err(why) => terminal.warn(&format!("what the run came to could not be said: {why}")),
        }
        dir.into_iter().for_each(|dir| drop(fs::remove_file(self.archive(dir))));
        if exit == Exit::NotHealed {
            terminal.warn("something is still open: the Lease is left to run out, so that the guardian heals");
            return;
        }
        if let Err(why) = runtime.block_on(self.kept.release()) {
            terminal.warn(&format!("the run's Lease could not be let go, and runs out: {why}"));
        }
    }

    /// `reports/DRILL/RUN` is packed beside `reports`.
    fn archive(&self, dir: &Path) -> std::path::PathBuf {
        let reports = dir.parent().and_then(Path::parent).unwrap_or(dir);
        archive_beside(reports, self.run.as_str())
    }

    fn pack(&self, dir: &Path) -> Result<Packed, Complaint> {
        let found = bundle::sound(dir, Some(bundle::Unsealed))?;
        let to = self.archive(dir);
        let failed = |why: String| Complaint::new(Exit::Internal, format!("cannot pack {}: {why}", dir.display()));
        let file = File::create(&to).map_err(|e| failed(files::plain(&e)))?;
        let moment = u64::try_from(found.ended.timestamp()).unwrap_or_default();
        archive::pack(dir, self.run.as_str(), moment, &file).map_err(|e| failed(e.to_string()))?;
        file.sync_all().and_then(|()| measured(&to)).map_err(|e| failed(files::plain(&e)))
    }
}
