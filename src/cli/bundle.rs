//! `blackstart bundle`: a run's folder as one archive, the same bytes each time. What does not hold what was sealed is refused.

use super::files::plain;
use super::upload::{self, To};
use super::{Complaint, Exit, Terminal};
use crate::evidence::archive;
use crate::evidence::retention::{self, Found, Sealing};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Which run, and where to.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("to").required(true).multiple(true))]
pub struct Args {
    /// The run's folder (reports/DRILL/RUN)
    run: PathBuf,
    /// Write the archive to this file, which appears whole or not at all
    #[arg(long, value_name = "FILE.tar.gz", group = "to")]
    output: Option<PathBuf>,
    #[command(flatten)]
    to: To,
    /// Also a run that was never sealed
    #[arg(long)]
    unsealed: bool,
}

/// Ends with 0, or with 2 if the folder is not what was sealed.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let unsealed = args.unsealed.then_some(Unsealed);
    let found = sound(&args.run, unsealed)?;
    if let Some(output) = &args.output {
        write(&args.run, &found, output)?;
        terminal.say(&format!("{}: run {} of {}", output.display(), found.run, found.drill));
    }
    if let Some(upload) = args.to.or(None) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?;
        let stored = upload::put(&args.run, &upload, unsealed, &runtime)?;
        terminal.say(&upload::in_words(&stored));
    }
    Ok(Exit::Pass)
}

/// The user takes a run that was never sealed.
#[derive(Debug, Clone, Copy)]
pub struct Unsealed;

/// What may be packed: a run that is over, and as it was sealed.
///
/// # Errors
/// Why it may not.
pub fn sound(dir: &Path, unsealed: Option<Unsealed>) -> Result<Found, Complaint> {
    let found = retention::look(dir).map_err(|why| {
        Complaint::new(Exit::Usage, format!("{}: {why}", dir.display()))
            .mend("the folder of a run, such as reports/quickstart/20261121T…")
    })?;
    if archive::is_marked(dir) {
        let what = format!("{} is marked UNSEALED: a secret stands in it, so it must not be handed on", dir.display());
        return Err(Complaint::new(Exit::Inconclusive, what).mend(format!("see {}", dir.join("UNSEALED").display())));
    }
    if found.alive {
        return Err(
            Complaint::new(Exit::NotRun, format!("run {} is under way", found.run)).mend("wait until it is over")
        );
    }
    match (&found.sealing, unsealed) {
        (Sealing::Broken(why), _) => {
            let what = format!("{} does not hold what was sealed: {why}", dir.display());
            Err(Complaint::new(Exit::Inconclusive, what).mend(format!("blackstart verify {}", dir.display())))
        }
        (Sealing::Never, None) => {
            let what = format!("{} was never sealed", dir.display());
            Err(Complaint::new(Exit::Inconclusive, what).mend("--unsealed, to pack it all the same"))
        }
        (Sealing::Holds, _) | (Sealing::Never, Some(_)) => Ok(found),
    }
}

/// Packs a run into a file beside its place and then puts it there in one step.
///
/// # Errors
/// Names what could not be read or written.
pub fn write(dir: &Path, found: &Found, output: &Path) -> Result<(), Complaint> {
    let failed = |why: String| Complaint::new(Exit::Internal, format!("cannot write {}: {why}", output.display()));
    let inside = fs::canonicalize(dir).ok().zip(output.parent().and_then(|parent| fs::canonicalize(parent).ok()));
    if inside.is_some_and(|(dir, parent)| parent.starts_with(dir)) {
        let what = format!("{} lies in the run's folder, which is sealed", output.display());
        return Err(Complaint::new(Exit::Usage, what).mend("--output FILE somewhere else"));
    }
    let mut beside = output.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let moment = u64::try_from(found.ended.timestamp()).unwrap_or_default();
    let packed = File::create(&beside).map_err(|e| plain(&e)).and_then(|file| {
        archive::pack(dir, found.run.as_str(), moment, BufWriter::new(&file)).map_err(|e| e.to_string())?;
        file.sync_all().map_err(|e| plain(&e))
    });
    let placed = packed.and_then(|()| fs::rename(&beside, output).map_err(|e| plain(&e)));
    if placed.is_err() {
        drop(fs::remove_file(&beside));
    }
    placed.map_err(failed)
}
