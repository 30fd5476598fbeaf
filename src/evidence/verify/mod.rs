//! The check of runs as evidence: each folder against its manifest, its record, its signature and timestamp, all of them
//! against the chain of runs, and reports against what the record gives. Findings are data; nothing is written, nothing
//! outside the folders is opened, and no link is followed.
//!
//! Invariant: every file of a folder is either vouched for or found fault with.

mod addenda;
mod files;
mod finding;
mod record;
mod reports;
mod runs;
mod signed;
mod stamps;
mod tombstone;

pub use finding::{Area, Checked, Finding, Kind, Level};
pub use reports::{Recompute, Rendered};
pub use stamps::{AskAuthority, Authority};

use super::allowed::AllowedSigners;
use super::{manifest, sums};
use crate::journal;
use runs::{Place, Placed};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a run must have beside being whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// A signature by an allowed signer.
    Signed,
    /// A place in a chain of runs.
    Chained,
    /// A timestamp whose authority was checked.
    Stamped,
}

/// What is asked of runs, and whom to believe.
#[derive(Default)]
pub struct Policy<'a> {
    /// Who may sign; none: signatures are checked, and whose they are is not.
    pub signers: Option<AllowedSigners>,
    /// What must be there.
    pub require: BTreeSet<Requirement>,
    /// Asks whether an authority signed a timestamp; none: nobody is asked.
    pub authority: Option<&'a AskAuthority<'a>>,
    /// Computes reports again; none: they are not.
    pub recompute: Option<&'a Recompute<'a>>,
}

impl Policy<'_> {
    fn requires(&self, requirement: Requirement) -> bool {
        self.require.contains(&requirement)
    }
}

/// Runs that were checked, in the order of their folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// One after the other.
    pub runs: Vec<Checked>,
}

impl Verified {
    /// The worst of all that was found; none if nothing was.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.runs.iter().filter_map(Checked::level).max()
    }
}

/// Deeper than this no folder of reports goes.
const DEEPEST: usize = 8;
/// More folders than this are a mistake.
const MOST_FOLDERS: usize = 1_000_000;

/// The folder itself if it is a run's, else those below it that are, in order. Links are not followed.
///
/// # Errors
/// If the folder cannot be listed.
pub fn runs_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_run = |dir: &Path| {
        [journal::FILE, manifest::FILE, tombstone::FILE, sums::FILE].iter().any(|name| dir.join(name).is_file())
    };
    if is_run(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let (mut runs, mut waiting, mut looked) = (Vec::new(), vec![(folder.to_owned(), 0)], 0);
    while let Some((dir, depth)) = waiting.pop() {
        looked += 1;
        for entry in std::fs::read_dir(&dir)?.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || looked > MOST_FOLDERS {
                continue;
            }
            let path = entry.path();
            if is_run(&path) {
                runs.push(path);
            } else if depth < DEEPEST {
                waiting.push((path, depth + 1));
            }
        }
    }
    runs.sort();
    Ok(runs)
}

/// Checks runs: each alone, on all cores, then all of them as a chain.
#[must_use]
pub fn verify(folders: &[PathBuf], policy: &Policy<'_>) -> Verified {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(folders.len().max(1));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(folders.len())));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(folder) = folders.get(index) else { break };
                    let one = one(folder, policy);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, one));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    let mut placed: Vec<Placed> = done.into_iter().map(|(_, one)| one).collect();
    runs::check(&mut placed, policy);
    let ordered = |placed: Placed| {
        let mut seen = placed.seen;
        seen.findings.sort_by(|a, b| (b.level, a.kind.area(), &a.file).cmp(&(a.level, b.kind.area(), &b.file)));
        seen.good.sort_by_key(|(area, _)| *area);
        seen
    };
    Verified { runs: placed.into_iter().map(ordered).collect() }
}

fn one(dir: &Path, policy: &Policy<'_>) -> Placed {
    let mut seen = Checked {
        folder: dir.to_owned(),
        run: None,
        drill: None,
        environment: None,
        exit_code: None,
        manifest: None,
        signer: None,
        fingerprint: None,
        good: Vec::new(),
        findings: Vec::new(),
    };
    let files = files::scan(dir, &mut seen);
    let place = if files.contains_key(tombstone::FILE) && !files.contains_key(journal::FILE) {
        tombstone::check(dir, &files, policy, &mut seen)
    } else {
        whole(dir, &files, policy, &mut seen)
    };
    Placed { seen, place }
}

/// A run with all its files; its place in the chain.
fn whole(dir: &Path, files: &files::Files, policy: &Policy<'_>, seen: &mut Checked) -> Place {
    let manifest = files::read_manifest(dir, files, seen);
    let sums = files::read_sums(dir, files, seen);
    seal(files, seen);
    if let Some(manifest) = &manifest {
        files::compare(files, manifest, sums.as_ref(), seen);
        files::attestation(dir, files, seen);
    } else if let Some(sums) = &sums {
        files::against_sums(files, sums, seen);
    }
    let record = record::check(dir, files, manifest.as_ref(), seen);
    if let (None, Some(manifest)) = (&seen.run, &manifest) {
        (seen.run, seen.drill) = (Some(manifest.run.clone()), Some(manifest.drill.clone()));
        seen.environment = Some(manifest.environment.clone());
    }
    let declared = record.as_ref().and_then(|record| record.signer().map(str::to_owned));
    let ended = record.as_ref().and_then(|record| record.ended);
    signed::check(dir, files, (declared.as_deref(), ended), policy, seen);
    stamps::check(dir, files, policy, seen);
    let replaces = manifest.as_ref().map(|m| m.replaces.clone()).unwrap_or_default();
    addenda::check(dir, files, &replaces, policy, seen);
    // The start record was there first; the manifest stands in where there is none.
    let lineage = record.as_ref().and_then(|record| record.start.lineage.as_deref());
    let chain = match &record {
        Some(record) => record.chain().cloned(),
        None => manifest.as_ref().and_then(|manifest| manifest.chain.clone()),
    };
    let name = lineage.map(|lineage| lineage.chain_name.clone()).unwrap_or_default();
    let place = Place { chain, name, replaces };
    match (record, policy.recompute) {
        (Some(record), Some(recompute)) => reports::check((dir, files), record, manifest.as_ref(), recompute, seen),
        (Some(_), None) => {
            seen.find(
                Kind::RecomputeSkipped,
                "",
                "not computed again: that the reports follow from the record is only said",
            );
        }
        (None, _) => seen.find(Kind::NotRecomputed, journal::FILE, "without a record there is no verdict"),
    }
    place
}

/// Is it sealed at all? What is there in part was sealed once.
fn seal(files: &files::Files, seen: &mut Checked) {
    let there = |name: &str| files.contains_key(name);
    let beside = there(sums::SIGNATURE) || there(sums::STAMP);
    let any = there(manifest::FILE) || there(sums::FILE) || beside;
    for name in [manifest::FILE, sums::FILE] {
        if any && !there(name) {
            seen.find(Kind::Missing, name, "the run was sealed, and this part of the seal is not there");
        }
    }
    if !any {
        let why = if there(UNSEALED) { " (its file UNSEALED says why)" } else { "" };
        seen.find(Kind::Unsealed, "", format!("not sealed{why}: nothing tells what its files held"));
    }
}

/// Left in a folder that was not sealed on purpose.
const UNSEALED: &str = "UNSEALED";
