//! `blackstart export`: a run's operations as a table for other programs. What is exported has been verified first, or
//! the user has said that it need not be.

use super::files::plain;
use super::{Complaint, Exit, Terminal, evidence};
use crate::event::{RunStarted, What};
use crate::journal::Stored;
use crate::model::{Mono, WorkloadName};
use crate::report::export::{self, Table};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Which run, and as what.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("format").required(true))]
pub struct Args {
    /// The run's folder (reports/DRILL/RUN)
    run: PathBuf,
    /// Comma-separated values: a line of names, then a line an operation
    #[arg(long, group = "format")]
    csv: bool,
    /// Apache Parquet; needs --output
    #[arg(long, group = "format", requires = "output")]
    parquet: bool,
    /// Only this workload
    #[arg(long, value_name = "NAME")]
    workload: Option<WorkloadName>,
    /// Write to this file, which appears whole or not at all, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also export a record that does not verify, up to where it does
    #[arg(long)]
    unverified: bool,
}

/// Ends with 0, or with 2 if the record does not verify.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let stored = evidence::read(&args.run)?;
    let (run, started) = start(&stored, &args.run)?;
    if let Some(name) = args.workload.as_ref().filter(|name| run.workloads.iter().all(|seal| seal.name != **name)) {
        let names: Vec<&str> = run.workloads.iter().map(|seal| seal.name.as_str()).collect();
        let what = format!("that run has no workload `{name}`");
        return Err(Complaint::new(Exit::Usage, what).mend(format!("one of: {}", names.join(", "))));
    }
    let doubts = doubts(&stored);
    if !args.unverified && !doubts.is_empty() {
        let what = format!("the record does not verify: {}", doubts.join("; "));
        return Err(Complaint::new(Exit::Inconclusive, what).mend("--unverified, to export what of it does"));
    }
    doubts.iter().for_each(|doubt| terminal.warn(&format!("not verified: {doubt}")));
    let table = Table { run, started, ops: &stored.ops, only: args.workload.as_ref() };
    let written = match &args.output {
        Some(path) => whole(path, |file| write(args, table, file)),
        None => write(args, table, io::stdout()),
    };
    match written {
        // Nobody listens any more: not our error.
        Err(error) if args.output.is_none() && error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Pass),
        Err(error) => {
            let to = args.output.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string());
            Err(Complaint::new(Exit::Internal, format!("cannot write {to}: {}", plain(&error))))
        }
        Ok(()) => Ok(Exit::Pass),
    }
}

fn start<'a>(stored: &'a Stored, dir: &Path) -> Result<(&'a RunStarted, Mono), Complaint> {
    let first = stored.events.first();
    let start = first.and_then(|event| match &event.what {
        What::RunStarted(start) => Some((&**start, event.at.mono)),
        _ => None,
    });
    start.ok_or_else(|| {
        Complaint::new(Exit::Internal, format!("the record in {} has no start: nothing can be exported", dir.display()))
    })
}

/// What does not verify. A torn end, as a crash leaves it, is none: what is before it verifies.
fn doubts(stored: &Stored) -> Vec<String> {
    let cut = stored.cut.iter().filter(|cut| !cut.torn).map(ToString::to_string);
    cut.chain(stored.problems.iter().cloned()).collect()
}

fn write(args: &Args, table: Table, out: impl Write + Send) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    if args.parquet {
        export::parquet(table, &mut out).map_err(io::Error::other)?;
        out.flush()
    } else {
        export::csv(table, &mut out)
    }
}

/// Writes a file beside its place and then puts it there in one step.
fn whole(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = File::create(&beside).and_then(|file| write(&file).and_then(|()| file.sync_all()));
    let placed = written.and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        drop(fs::remove_file(&beside));
    }
    placed
}
