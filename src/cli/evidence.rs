//! From a run's folder to its reports: reads the record, has it analysed, renders every format, and writes or compares
//! the files. The numbers come from the record alone, so doing it again gives the same bytes.

use super::files::plain;
use super::{Complaint, Exit, formats};
use crate::analysis::stats::{self, Sample};
use crate::analysis::{self, Analysis, Record};
use crate::config::Also;
use crate::event::{Event, What};
use crate::journal::{self, Stored};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// A record with everything that follows from it.
pub struct Judged {
    /// The numbers.
    pub analysis: Analysis,
    /// What the run amounts to.
    pub exit: Exit,
    /// Every report: file name and content.
    pub files: Vec<(&'static str, String)>,
    /// The run among others.
    pub sample: Sample,
}

impl Judged {
    /// With formats that are made only where they are asked for.
    #[must_use]
    pub fn with(mut self, also: &[Also]) -> Self {
        for (name, text) in also.iter().map(|which| formats::also(*which, &self.analysis)) {
            if self.files.iter().all(|(there, _)| *there != name) {
                self.files.push((name, text));
            }
        }
        self
    }
}

/// What became of a report that was computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// The same bytes.
    Yes,
    /// Other bytes.
    No,
    /// There was none.
    Missing,
}

/// Reads and judges the run in a folder.
///
/// # Errors
/// When the folder holds no record, or one without a start.
pub fn judge(dir: &Path) -> Result<Judged, Complaint> {
    judge_stored(dir, read(dir)?)
}

/// Judges a run whose record has been read from a folder.
///
/// # Errors
/// When the record has no start.
pub fn judge_stored(dir: &Path, stored: Stored) -> Result<Judged, Complaint> {
    let (record, analysis) = analysed(dir, stored)?;
    let exit = exit_of(&record.events, &analysis);
    let files = formats::of_run(dir, &analysis, exit);
    let sample = stats::sample(&analysis, &record.problems);
    Ok(Judged { analysis, exit, files, sample })
}

/// What the run in a folder is among others; computed from its record, whatever its reports say.
///
/// # Errors
/// As [`judge`].
pub fn sample(dir: &Path) -> Result<Sample, Complaint> {
    analysed(dir, read(dir)?).map(|(record, analysis)| stats::sample(&analysis, &record.problems))
}

fn analysed(dir: &Path, stored: Stored) -> Result<(Record, Analysis), Complaint> {
    if !matches!(stored.events.first().map(|event| &event.what), Some(What::RunStarted(_))) {
        let what = format!("the record in {} has no start: nothing can be said about that run", dir.display());
        return Err(Complaint::new(Exit::Internal, what));
    }
    let record = record(stored);
    let analysis = analysis::analyze(&record);
    Ok((record, analysis))
}

/// Reads the record in a run's folder.
///
/// # Errors
/// When the folder holds none.
pub fn read(dir: &Path) -> Result<Stored, Complaint> {
    journal::read(dir).map_err(|e| {
        Complaint::new(Exit::Usage, e.to_string()).mend("the folder of a run, such as reports/quickstart/20261121T…")
    })
}

fn record(stored: Stored) -> Record {
    let Stored { events, ops, read_backs, head, lines, cut, problems, .. } = stored;
    Record { events, ops, read_backs, head, lines, cut: cut.map(|cut| cut.to_string()), problems }
}

/// What a record amounts to; an internal error outranks all but an open fault.
fn exit_of(events: &[Event], analysis: &Analysis) -> Exit {
    let broke = events.iter().any(|event| matches!(&event.what, What::RunEnded { error: Some(_), .. }));
    let exit = Exit::of_run(analysis.state, analysis.verdict);
    if broke { exit.merge(Exit::Internal) } else { exit }
}

/// Writes every report. Each appears whole or not at all.
///
/// # Errors
/// Names the file that could not be written.
pub fn write(dir: &Path, judged: &Judged) -> Result<(), Complaint> {
    for (name, text) in &judged.files {
        whole(&dir.join(name), text.as_bytes()).map_err(|e| {
            let what = format!("cannot write {}: {}", dir.join(name).display(), plain(&e));
            let mend = format!("blackstart analyze {}, when there is room", dir.display());
            Complaint::new(Exit::Internal, what).mend(mend)
        })?;
    }
    Ok(())
}

/// Compares every report with what was written before.
#[must_use]
pub fn compare(dir: &Path, judged: &Judged) -> Vec<(&'static str, Same)> {
    let same = |name: &str, text: &str| match fs::read(dir.join(name)) {
        Ok(bytes) if bytes == text.as_bytes() => Same::Yes,
        Ok(_) => Same::No,
        Err(_) => Same::Missing,
    };
    judged.files.iter().map(|(name, text)| (*name, same(name, text))).collect()
}

/// Puts a file in its place in one step, on disk when this returns.
///
/// # Errors
/// When it cannot be written; then nothing is left.
pub fn whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        drop(fs::remove_file(&beside));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        whole(&path, b"one").unwrap();
        whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(whole(Path::new("/proc/report.json"), b"x").is_err());
    }

    #[test]
    fn a_folder_without_a_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let complaint = judge(dir.path()).err().unwrap();
        assert_eq!(complaint.exit, Exit::Usage);
        assert!(complaint.what.contains("journal.jsonl"), "{}", complaint.what);
    }
}
