//! Runs' folders as an index sees them: which there are, what each holds, and bringing an index up to date with them. They
//! are only read. What cannot be made an entry is listed with the reason: nothing is lost silently.

use super::{Afresh, Changes, Index, IndexError, Row};
use crate::history::folder::{self, Parts};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A report is not larger than this.
const MOST_BYTES: u64 = 64 << 20;
/// The first line of a journal is not longer than this.
const MOST_START: u64 = 8 << 20;
/// Folders are looked for so deep.
const DEEPEST: usize = 5;
/// So many folders are looked at.
const MOST_FOLDERS: usize = 200_000;
/// A run's folder holds one of these.
const SIGNS: [&str; 3] = ["journal.jsonl", "report.json", "MANIFEST.json"];

/// The folders of runs below one, relative to it, sorted. Hidden folders and links are not followed.
///
/// # Errors
/// When the folder itself cannot be listed.
pub fn list(reports: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(reports)?;
    let (mut found, mut todo, mut seen) = (Vec::new(), vec![(PathBuf::new(), 0)], 0);
    while let Some((relative, depth)) = todo.pop() {
        let dir = reports.join(&relative);
        if SIGNS.iter().any(|sign| dir.join(sign).is_file()) {
            let name = relative.to_string_lossy().into_owned();
            found.push(if name.is_empty() { ".".to_owned() } else { name });
            continue;
        }
        let inner = if depth < DEEPEST { fs::read_dir(&dir).ok() } else { None };
        for entry in inner.into_iter().flatten().flatten() {
            seen += 1;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if seen <= MOST_FOLDERS && !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push((relative.join(entry.file_name()), depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies in a run's folder, before it is understood.
struct Raw {
    report: io::Result<String>,
    manifest: Option<String>,
    addenda: io::Result<Vec<String>>,
}

impl Raw {
    fn read(dir: &Path) -> Self {
        let manifest = bounded(&dir.join("MANIFEST.json")).ok();
        Self { report: bounded(&dir.join("report.json")), manifest, addenda: addenda(dir) }
    }

    /// What an entry follows from, in one figure.
    fn mark(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(self.report.as_deref().unwrap_or(""));
        add(self.manifest.as_deref().unwrap_or(""));
        self.addenda.iter().flatten().for_each(|text| add(text));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn row(&self, dir: &Path, folder: &str, mark: String) -> Row {
        let made = || -> Result<_, String> {
            let report = self.report.as_deref().map_err(|e| match e.kind() {
                io::ErrorKind::NotFound if dir.join("TOMBSTONE.json").is_file() => {
                    "its files were removed on purpose; a tombstone stands for it".to_owned()
                }
                io::ErrorKind::NotFound => "it has no report.json (`blackstart analyze` makes one)".to_owned(),
                kind => format!("report.json cannot be read: {kind}"),
            })?;
            let addenda = self.addenda.as_deref().map_err(|e| format!("addenda cannot be read: {}", e.kind()))?;
            let start = first_line(&dir.join("journal.jsonl"));
            let parts = Parts { report, start: start.as_deref(), manifest: self.manifest.as_deref(), addenda, folder };
            folder::entry(&parts).map(Box::new).map_err(|e| e.to_string())
        };
        Row { folder: folder.to_owned(), mark, content: made() }
    }
}

fn bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// The first line of a run's journal, if there is a whole one.
#[must_use]
pub fn start_line(reports: &Path, folder: &str) -> Option<String> {
    first_line(&reports.join(folder).join("journal.jsonl"))
}

fn first_line(path: &Path) -> Option<String> {
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?.take(MOST_START)).read_line(&mut line).ok()?;
    line.ends_with('\n').then_some(line)
}

fn addenda(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir.join("addenda")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| bounded(path)).collect()
}

/// What a run's folder is in an index.
#[must_use]
pub fn read(reports: &Path, folder: &str) -> Row {
    let dir = reports.join(folder);
    let raw = Raw::read(&dir);
    let mark = raw.mark();
    raw.row(&dir, folder, mark)
}

/// How an index is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What is new or changed is put in; what is gone from the folder stays. A team's index remembers runs of workspaces that
    /// are long gone.
    Add,
    /// What is gone from the folder goes.
    Mirror,
    /// Everything of this folder is made again.
    Rebuild,
}

/// What was done to an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Updated {
    /// Folders of runs that are there.
    pub folders: usize,
    /// Of these, read again.
    pub read: usize,
    /// Taken out.
    pub gone: usize,
}

/// Brings an index up to date with the folders.
///
/// # Errors
/// When the index cannot be read or written, or the folder cannot be listed.
pub fn update(index: &mut Index, source: &str, reports: &Path, way: Way) -> Result<Updated, IndexError> {
    let folders = list(reports)
        .map_err(|e| IndexError::Unusable { place: reports.display().to_string(), why: e.kind().to_string() })?;
    let known = if way == Way::Rebuild { Default::default() } else { index.marks(source)? };
    let mut changes =
        Changes { afresh: if way == Way::Rebuild { Afresh::Yes } else { Afresh::No }, ..Changes::default() };
    for folder in &folders {
        let dir = reports.join(folder);
        let raw = Raw::read(&dir);
        let mark = raw.mark();
        if known.get(folder) != Some(&mark) {
            changes.put.push(raw.row(&dir, folder, mark));
        }
    }
    if way == Way::Mirror {
        changes.gone = known.keys().filter(|folder| folders.binary_search(folder).is_err()).cloned().collect();
    }
    let updated = Updated { folders: folders.len(), read: changes.put.len(), gone: changes.gone.len() };
    if way == Way::Rebuild || updated.read + updated.gone > 0 {
        index.change(source, &changes)?;
    }
    Ok(updated)
}

/// Puts one run into an index.
///
/// # Errors
/// When the index cannot be written.
pub fn add(index: &mut Index, source: &str, reports: &Path, folder: &str) -> Result<(), IndexError> {
    index.change(source, &Changes { put: vec![read(reports, folder)], ..Changes::default() })
}
