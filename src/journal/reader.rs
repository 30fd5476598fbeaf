//! Reads a run's folder back: the journal, the operations logs and the read-backs that it names.
//! Nothing here panics on garbage: what does not verify is left out and reported.

use super::format::{self, Cut, FILE, GENESIS, Torn};
use super::transitions::State;
use super::{JournalError, ops, readback};
use crate::event::{Event, OpsMark, ReadBack, ReadBackDone, RunStarted, What};
use crate::model::{Ops, WorkloadName};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A run's record as its folder holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Events, in order.
    pub events: Vec<Event>,
    /// Operations of each workload, in order of their due times.
    pub ops: BTreeMap<WorkloadName, Ops>,
    /// Read-backs by the file name in their event.
    pub read_backs: BTreeMap<String, ReadBack>,
    /// SHA-256 of the last good line, hex.
    pub head: String,
    /// Good lines.
    pub lines: u64,
    /// Bytes of good lines.
    pub bytes: u64,
    /// What of the journal is not used.
    pub cut: Option<Cut>,
    /// Whatever else does not verify, in plain words: events that may not follow, damaged or missing logs and
    /// read-backs. Any of it makes a run inconclusive.
    pub problems: Vec<String>,
    /// The file, relative to the run's folder, that each of the problems is about.
    pub blamed: Vec<String>,
}

impl Stored {
    fn blame(&mut self, file: &str, problems: impl IntoIterator<Item = String>) {
        self.problems.extend(problems);
        self.blamed.resize(self.problems.len(), file.to_owned());
    }
}

/// Reads and verifies the record in `dir`.
///
/// # Errors
/// Only if the journal itself cannot be opened or read; damage is data, in `cut` and `problems`.
pub fn read(dir: &Path) -> Result<Stored, JournalError> {
    let mut stored = read_events(dir)?;
    let mut misplaced = Vec::new();
    fold(&stored.events, &mut misplaced);
    stored.blame(FILE, misplaced);
    if let Some(What::RunStarted(start)) = stored.events.first().map(|event| &event.what) {
        let start = start.clone();
        logs(dir, &start, &mut stored);
    }
    read_backs(dir, &mut stored);
    Ok(stored)
}

/// Reads only the journal in `dir`: enough for whoever heals, however long the logs are.
///
/// # Errors
/// As [`read`].
pub fn read_events(dir: &Path) -> Result<Stored, JournalError> {
    let path = dir.join(FILE);
    let bytes = std::fs::read(&path).map_err(JournalError::io("read", &path))?;
    Ok(journal(&bytes))
}

/// The longest prefix of a journal that verifies.
pub(super) fn journal(bytes: &[u8]) -> Stored {
    let mut events = Vec::new();
    let (mut head, mut lines, mut offset) = (GENESIS.to_owned(), 0_u64, 0_usize);
    let mut cut = None;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            cut = Some(Cut::new(rest, offset, Torn::Yes, "the last line of the journal is torn"));
            break;
        };
        let line = &rest[..=end];
        match format::decode(line, lines, &head) {
            Ok(event) => events.push(event),
            Err(why) => {
                cut = Some(Cut::new(rest, offset, Torn::No, why));
                break;
            }
        }
        head = format::digest(line);
        lines += 1;
        offset += line.len();
    }
    let (ops, read_backs) = (BTreeMap::new(), BTreeMap::new());
    Stored { events, ops, read_backs, head, lines, bytes: offset as u64, cut, problems: Vec::new(), blamed: Vec::new() }
}

/// Folds the events through the transitions; what may not follow is reported and then taken as it is.
pub(super) fn fold(events: &[Event], problems: &mut Vec<String>) -> State {
    let mut state = State::default();
    for (index, event) in events.iter().enumerate() {
        if let Err(why) = state.check(&event.what) {
            problems.push(format!("line {} of the journal may not stand there: {why}", index + 1));
        }
        state.apply(&event.what);
    }
    state
}

fn logs(dir: &Path, start: &RunStarted, stored: &mut Stored) {
    for seal in &start.workloads {
        let marks: Vec<&OpsMark> = marks(&stored.events, &seal.name);
        let Some(path) = inside(dir, &seal.ops) else {
            let why = format!("the operations log of `{}` is named outside the run's folder", seal.name);
            stored.blame(FILE, [why]);
            continue;
        };
        let started = stored
            .events
            .iter()
            .any(|event| matches!(&event.what, What::WorkloadStarted { workload, .. } if *workload == seal.name));
        if !started && !path.exists() {
            continue;
        }
        match ops::read(&path) {
            Ok(mut log) => {
                log.records.sort();
                let stopped = stored
                    .events
                    .iter()
                    .any(|event| matches!(&event.what, What::WorkloadStopped(mark) if mark.workload == seal.name));
                let coverage = if stopped { ops::Coverage::Whole } else { ops::Coverage::SoFar };
                let problems = log.verify(&seal.name, &marks, coverage);
                stored.blame(&seal.ops, problems);
                stored.ops.insert(seal.name.clone(), log.records);
            }
            Err(error) => stored.blame(&seal.ops, [error.to_string()]),
        }
    }
}

fn marks<'a>(events: &'a [Event], workload: &WorkloadName) -> Vec<&'a OpsMark> {
    let of = |event: &'a Event| match &event.what {
        What::OpsMark(mark) | What::WorkloadStopped(mark) if mark.workload == *workload => Some(mark),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn read_backs(dir: &Path, stored: &mut Stored) {
    let found = |event: &Event| match &event.what {
        What::ReadBack(ReadBackDone { workload, file: Some(file), digest: Some(digest), .. }) => {
            Some((workload.clone(), file.clone(), digest.clone()))
        }
        _ => None,
    };
    let named: Vec<_> = stored.events.iter().filter_map(found).collect();
    for (workload, file, digest) in named {
        let found = inside(dir, &file).ok_or_else(|| format!("`{file}` is outside the run's folder"));
        match found.and_then(|path| readback::read(&path, &digest)) {
            Ok(findings) => {
                stored.read_backs.insert(file, findings);
            }
            Err(why) => stored.blame(&file, [format!("a read-back of `{workload}` cannot be used: {why}")]),
        }
    }
}

/// The path below `dir`; a record must not make anyone read files elsewhere.
fn inside(dir: &Path, relative: &str) -> Option<PathBuf> {
    let path = Path::new(relative);
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| dir.join(path))
}
