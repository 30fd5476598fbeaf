//! What run folders lie below a folder of reports, and what is known of each. Only reads.

use super::super::digest;
use super::super::manifest::{self, Manifest};
use super::super::scan::UNSEALED;
use super::super::tombstone::{self, Tombstone};
use crate::event::{ChainSeal, RunStarted, What};
use crate::journal;
use crate::model::{DrillName, RunId, RunState, Verdict};
use chrono::{DateTime, Utc};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Runs lie at most so many folders below: reports, drills, and what people put between.
const DEEPEST: usize = 4;

/// What lies beside a manifest and is not in it, besides what a tombstone keeps: the statement made from it, and what a removal
/// leaves that was killed before it began.
const BESIDE: [&str; 2] = ["attestation.intoto.jsonl", "TOMBSTONE.new"];

/// Is what the folder holds what was sealed?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealing {
    /// Every file is as the manifest says.
    Holds,
    /// It was never sealed.
    Never,
    /// It was, and this is not as it was.
    Broken(String),
}

/// A run's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where.
    pub dir: PathBuf,
    /// The run.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When the last of it was noted.
    pub ended: DateTime<Utc>,
    /// How it ended; none if it did not, or nobody can say.
    pub state: Option<RunState>,
    /// Is a fault or a staging of it open?
    pub open: bool,
    /// Does somebody work on it right now?
    pub alive: bool,
    /// What its report says.
    pub verdict: Option<Verdict>,
    /// The same as an exit code.
    pub exit_code: Option<u8>,
    /// Its place in the chain.
    pub chain: Option<ChainSeal>,
    /// SHA-256 of its manifest.
    pub manifest: Option<String>,
    /// SHA-256 of its journal's last line.
    pub journal_head: String,
    /// Was it sealed, and is it as it was then?
    pub sealing: Sealing,
    /// `metadata.retention` as written.
    pub retention: Option<String>,
    /// What its files take, in bytes.
    pub bytes: u64,
}

/// What lies below a folder of reports.
#[derive(Debug, Default, PartialEq)]
pub struct Survey {
    /// Runs, by drill, environment and time.
    pub runs: Vec<Found>,
    /// Runs of which the removal was begun: it is to be finished.
    pub begun: Vec<(PathBuf, Tombstone)>,
    /// Tombstones.
    pub tombstones: usize,
    /// Folders that hold a record that cannot be used, and why.
    pub unclear: Vec<(PathBuf, String)>,
}

/// Looks at every run's folder below. Links are not followed.
///
/// # Errors
/// When a folder cannot be read.
pub fn survey(reports: &Path) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut todo = vec![(reports.to_owned(), 0)];
    while let Some((folder, depth)) = todo.pop() {
        if folder.join(tombstone::FILE).is_file() {
            buried(&folder, &mut survey);
        } else if folder.join(journal::FILE).is_file() {
            match look(&folder) {
                Ok(found) => survey.runs.push(found),
                Err(why) => survey.unclear.push((folder, why)),
            }
        } else if depth < DEEPEST {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    todo.push((entry.path(), depth + 1));
                }
            }
        }
    }
    let key = |run: &Found| (run.drill.clone(), run.environment.clone(), run.started, run.run.clone());
    survey.runs.sort_by_key(key);
    survey.begun.sort_by(|a, b| a.0.cmp(&b.0));
    survey.unclear.sort();
    Ok(survey)
}

/// A tombstone counts only if it belongs to the folder: nothing else may make files disappear.
fn buried(folder: &Path, survey: &mut Survey) {
    let unclear = |why: &str| (folder.to_owned(), format!("{}: {why}", tombstone::FILE));
    let read = fs::read(folder.join(tombstone::FILE)).ok();
    let Some(stone) = read.and_then(|bytes| serde_json::from_slice::<Tombstone>(&bytes).ok()) else {
        return survey.unclear.push(unclear("it cannot be read"));
    };
    let sealed = fs::read(folder.join(manifest::FILE)).ok().map(|bytes| journal::digest(&bytes));
    let named = folder.file_name().is_some_and(|name| name.to_string_lossy() == stone.run.as_str());
    if stone.schema != tombstone::VERSION || sealed != stone.manifest || !named {
        return survey.unclear.push(unclear("it does not belong to this folder"));
    }
    survey.tombstones += 1;
    let left = files(folder).is_ok_and(|files| files.iter().any(|(name, _)| !tombstone::keeps(name)));
    if left {
        survey.begun.push((folder.to_owned(), stone));
    }
}

/// What is known of one run.
///
/// # Errors
/// When its record cannot be read or has no start, in plain words.
pub fn look(dir: &Path) -> Result<Found, String> {
    let stored = journal::read_events(dir).map_err(|e| e.to_string())?;
    let (first, last) = (stored.events.first(), stored.events.last());
    let (Some(What::RunStarted(start)), Some(last)) = (first.map(|event| &event.what), last) else {
        return Err("its record has no start".to_owned());
    };
    let state = stored.events.iter().rev().find_map(|event| match &event.what {
        What::RunEnded { state, .. } => Some(*state),
        _ => None,
    });
    let open = !journal::open_faults(&stored.events).is_empty() || journal::left_up(&stored.events).is_some();
    let (verdict, exit_code) = judged(dir);
    let files = files(dir).map_err(|e| format!("it cannot be read: {e}"))?;
    let (sealed, sealing) = sealing(dir, start, &stored.head, &files);
    let (manifest, code) = sealed.map_or((None, None), |sealed| (Some(sealed.0), sealed.1));
    Ok(Found {
        dir: dir.to_owned(),
        run: start.run.clone(),
        drill: start.drill.clone(),
        environment: start.environment.clone(),
        started: first.map_or(last.at.wall, |event| event.at.wall),
        ended: last.at.wall,
        state: if stored.cut.is_some() { None } else { state },
        open,
        alive: journal::alive(dir),
        verdict,
        // What was sealed counts, and is what a tombstone is held against.
        exit_code: code.or(exit_code),
        chain: start.lineage.as_ref().and_then(|lineage| lineage.chain.clone()),
        manifest,
        journal_head: stored.head,
        sealing,
        retention: start.metadata.get("retention").map(|words| words.join(", ")),
        bytes: files.iter().map(|(_, bytes)| bytes).sum(),
    })
}

/// What its report says.
fn judged(dir: &Path) -> (Option<Verdict>, Option<u8>) {
    let report = fs::read(dir.join("report.json")).ok();
    let report: Option<serde_json::Value> = report.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(run) = report.as_ref().and_then(|report| report.get("run")) else { return (None, None) };
    let verdict = run.get("verdict").cloned().and_then(|word| serde_json::from_value(word).ok());
    let code = run.get("exit_code").and_then(serde_json::Value::as_u64).and_then(|code| u8::try_from(code).ok());
    (verdict, code)
}

/// A manifest's digest, and the exit code in it.
type Sealed = (String, Option<u8>);

/// Is every file that the manifest names as it says, and is the manifest this run's?
fn sealing(dir: &Path, start: &RunStarted, head: &str, files: &[(String, u64)]) -> (Option<Sealed>, Sealing) {
    let Ok(bytes) = fs::read(dir.join(manifest::FILE)) else { return (None, Sealing::Never) };
    if files.iter().any(|(name, _)| name == UNSEALED) {
        return (None, Sealing::Never);
    }
    let digest = journal::digest(&bytes);
    let Ok(sealed) = serde_json::from_slice::<Manifest>(&bytes) else {
        return (Some((digest, None)), Sealing::Broken(format!("{} cannot be read", manifest::FILE)));
    };
    let wrong = if sealed.run != start.run || sealed.drill != start.drill {
        Some(format!("{} is of another run", manifest::FILE))
    } else if sealed.journal_head != head {
        Some("its record is not the one that was sealed".to_owned())
    } else {
        differs(dir, &sealed, files)
    };
    (Some((digest, Some(sealed.exit_code))), wrong.map_or(Sealing::Holds, Sealing::Broken))
}

/// What is changed, missing or added.
fn differs(dir: &Path, sealed: &Manifest, files: &[(String, u64)]) -> Option<String> {
    for file in &sealed.files {
        match digest_of(&dir.join(&file.path)) {
            Ok(found) if found == file.sha256 => {}
            Ok(_) => return Some(format!("{} is not as it was sealed", file.path)),
            Err(_) => return Some(format!("{} is missing", file.path)),
        }
    }
    let listed: std::collections::BTreeSet<&str> = sealed.files.iter().map(|file| file.path.as_str()).collect();
    let known = |name: &str| listed.contains(name) || tombstone::keeps(name) || BESIDE.contains(&name);
    files.iter().find(|(name, _)| !known(name)).map(|(name, _)| format!("{name} was added"))
}

/// Regular files below a folder, with their lengths, by path.
pub(super) fn files(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let (mut found, mut todo) = (Vec::new(), vec![(dir.to_owned(), String::new())]);
    while let Some((folder, prefix)) = todo.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                todo.push((entry.path(), format!("{name}/")));
            } else {
                found.push((name, entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn digest_of(path: &Path) -> io::Result<String> {
    digest::of_file(path).map(|(_, sha256)| sha256)
}
