//! The record of a run (journal, logs of operations, read-backs, playbooks) against itself and against the manifest.
//! What the record amounts to is `reports`' business.

use super::files::Files;
use super::finding::{Area, Checked, Finding, Kind, Level};
use crate::event::{ChainSeal, RunStarted, What};
use crate::evidence::manifest::{self, Manifest};
use crate::evidence::merkle;
use crate::journal::{self, Cut, Stored};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::path::Path;

/// A record that has a start.
pub(super) struct Record {
    pub start: Box<RunStarted>,
    /// When the last end was written; none if the run never ended.
    pub ended: Option<DateTime<Utc>>,
    pub stored: Stored,
}

impl Record {
    pub fn chain(&self) -> Option<&ChainSeal> {
        self.start.lineage.as_ref()?.chain.as_ref()
    }

    pub fn signer(&self) -> Option<&str> {
        self.start.lineage.as_ref()?.signer.as_deref()
    }
}

/// Reads the record and checks it; none if there is not even a start.
pub(super) fn check(dir: &Path, files: &Files, manifest: Option<&Manifest>, seen: &mut Checked) -> Option<Record> {
    if !files.contains_key(journal::FILE) {
        if manifest.is_none() {
            seen.find(Kind::NoStart, journal::FILE, "there is no record of the run");
        }
        return None;
    }
    // A pipe in the place of a log would be waited for; what a link leads to is none of the run's.
    if seen.findings.iter().any(|finding| matches!(finding.kind, Kind::Link | Kind::Special)) {
        seen.find(
            Kind::Unreadable,
            journal::FILE,
            "the record is not read: there are links or other things among its files",
        );
        return None;
    }
    let stored = match journal::read(dir) {
        Ok(stored) => stored,
        Err(error) => {
            seen.find(Kind::Unreadable, journal::FILE, error.to_string());
            return None;
        }
    };
    let bytes = std::fs::read(dir.join(journal::FILE)).unwrap_or_default();
    let newer = cut(&stored, &bytes, seen);
    blamed(&stored, seen);
    if let Some(manifest) = manifest {
        sealed(manifest, &stored, &bytes, seen);
    }
    let Some(What::RunStarted(start)) = stored.events.first().map(|event| &event.what) else {
        if !newer {
            seen.find(Kind::NoStart, journal::FILE, "its first line is no start record");
        }
        return None;
    };
    let start = start.clone();
    let last_end = stored.events.iter().rev().find(|event| matches!(event.what, What::RunEnded { .. }));
    let record = Record { start, ended: last_end.map(|event| event.at.wall), stored };
    identity(&record, manifest, seen);
    if manifest.is_some() && !seen.doubts(Area::Manifest) {
        seen.good(Area::Manifest, "run, place in the chain, head, lines and Merkle root as the record has them");
    }
    playbooks(&record.start, files, seen);
    end(dir, &record, manifest, seen);
    if !seen.doubts(Area::Journal) {
        seen.good(Area::Journal, format!("{} lines, each continues the one before it", record.stored.lines));
    }
    if !seen.doubts(Area::Operations) {
        let Stored { ops, read_backs, .. } = &record.stored;
        seen.good(
            Area::Operations,
            format!("{} logs and {} read-backs, as the journal says", ops.len(), read_backs.len()),
        );
    }
    Some(record)
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// What of the journal does not verify. True if it is only of a later version.
fn cut(stored: &Stored, bytes: &[u8], seen: &mut Checked) -> bool {
    let Some(Cut { offset, torn, why, .. }) = &stored.cut else { return false };
    let rest = usize::try_from(*offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let newer = serde_json::from_slice(line).is_ok_and(|Version { v }| v > journal::VERSION);
    let kind = match (newer, torn) {
        (true, _) => Kind::NewerFormat,
        (false, true) => Kind::JournalTorn,
        (false, false) => Kind::JournalBroken,
    };
    seen.find(kind, journal::FILE, format!("line {}: {why}", stored.lines + 1));
    newer
}

/// What the reader found fault with, by file.
fn blamed(stored: &Stored, seen: &mut Checked) {
    let read_back = |file: &str| {
        let named = |what: &What| matches!(what, What::ReadBack(done) if done.file.as_deref() == Some(file));
        stored.events.iter().any(|event| named(&event.what))
    };
    for (problem, file) in stored.problems.iter().zip(&stored.blamed) {
        let kind = match file.as_str() {
            journal::FILE => Kind::JournalOrder,
            file if read_back(file) => Kind::ReadBack,
            _ => Kind::Operations,
        };
        seen.find(kind, file, problem);
    }
}

/// What the manifest says of the journal's bytes. They are taken whole: a tail that does not verify was not sealed.
fn sealed(manifest: &Manifest, stored: &Stored, bytes: &[u8], seen: &mut Checked) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let head = lines.last().map_or_else(|| stored.head.clone(), |line| journal::digest(line));
    if manifest.journal_head != head {
        let what = format!("it says that the journal's last line is {}, and that is {head}", manifest.journal_head);
        seen.find(Kind::ManifestHead, manifest::FILE, what);
    }
    if manifest.journal_lines != lines.len() as u64 {
        let what = format!("it counts {} lines of the journal, which has {}", manifest.journal_lines, lines.len());
        seen.find(Kind::ManifestLines, manifest::FILE, what);
    }
    let root = merkle::root_of_lines(bytes);
    if manifest.journal_root != root {
        let what = format!("it says that the journal's Merkle root is {}, and that is {root}", manifest.journal_root);
        seen.find(Kind::ManifestRoot, manifest::FILE, what);
    }
}

/// Run, drill, environment and place in the chain, as the start record has them.
fn identity(record: &Record, manifest: Option<&Manifest>, seen: &mut Checked) {
    let start = &record.start;
    (seen.run, seen.drill) = (Some(start.run.clone()), Some(start.drill.clone()));
    seen.environment = Some(start.environment.clone());
    let Some(manifest) = manifest else { return };
    let mut differs = |kind: Kind, name: &str, theirs: &str, ours: &str| {
        if theirs != ours {
            let what = format!("it says that the {name} is `{theirs}`; the start record says `{ours}`");
            seen.find(kind, manifest::FILE, what);
        }
    };
    differs(Kind::ManifestRun, "run", manifest.run.as_str(), start.run.as_str());
    differs(Kind::ManifestDrill, "drill", &manifest.drill.0, &start.drill.0);
    differs(Kind::ManifestEnvironment, "environment", &manifest.environment, &start.environment);
    if manifest.chain.as_ref() != record.chain() {
        let what =
            format!("it says {}; the start record says {}", place(manifest.chain.as_ref()), place(record.chain()));
        seen.find(Kind::ManifestChain, manifest::FILE, what);
    }
}

/// A place in the chain, in words.
pub(super) fn place(chain: Option<&ChainSeal>) -> String {
    let Some(ChainSeal { counter, previous }) = chain else { return "no place in a chain".to_owned() };
    let Some(previous) = previous else { return format!("run {counter}, the first of its chain") };
    let digest = previous.manifest.as_deref().map_or("not sealed then", |digest| digest.get(..12).unwrap_or(digest));
    format!("run {counter}, after {} ({digest})", previous.run)
}

/// The playbooks that lie there are those that were sealed before the fault.
fn playbooks(start: &RunStarted, files: &Files, seen: &mut Checked) {
    let named = [("playbook.yaml", &start.playbook_digest), ("playbook.resolved.yaml", &start.resolved_digest)];
    for (file, digest) in named {
        match files.get(file) {
            Some(found) if found.sha256 == *digest => {}
            Some(_) => {
                seen.find(Kind::PlaybookDigest, file, "not the one whose digest was sealed before the fault");
            }
            None => seen.find(Kind::PlaybookDigest, file, "the start record has its digest, and it is not there"),
        }
    }
    if !seen.doubts(Area::Playbook) {
        let objectives = start.objectives.len();
        seen.good(Area::Playbook, format!("as sealed before the fault, with {objectives} objectives"));
    }
}

/// A run that never ended is no evidence of anything but that.
fn end(dir: &Path, record: &Record, manifest: Option<&Manifest>, seen: &mut Checked) {
    if record.ended.is_some() || record.stored.cut.is_some() {
        return;
    }
    let (level, what) = if manifest.is_some() {
        (Level::Broken, "sealed, and its record has no end".to_owned())
    } else if journal::alive(dir) {
        (Level::Unverifiable, "the run is still going on".to_owned())
    } else {
        (Level::Unverifiable, format!("the run never ended: blackstart recover {}", dir.display()))
    };
    seen.findings.push(Finding::new(Kind::NeverEnded, journal::FILE, what).at(level));
}
