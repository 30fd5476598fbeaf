//! Reads records back: all of a run, writer by writer in the order in which their files were begun, or one.
//!
//! What stands behind the last line break of a file was never finished, and so never acknowledged: it is no record. If it was
//! acknowledged all the same, the record is lost.

use super::writer::folder;
use crate::adapters::AdapterError;
use crate::adapters::directory::records::{FileName, LONGEST, row};
use crate::adapters::directory::wire::{Entry, Place, Spot};
use crate::model::Key;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of lines that are told at once.
const PIECE: usize = 256 << 10;

fn said(doing: &str, path: &Path, error: &io::Error) -> AdapterError {
    let text = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => AdapterError::Missing(text),
        ErrorKind::PermissionDenied => AdapterError::Refused(text),
        _ => AdapterError::Other(text),
    }
}

/// The run's files by whose they are: segments in the order in which they were begun, records in that of their numbers.
struct Files {
    segments: BTreeMap<Option<u16>, Vec<String>>,
    records: BTreeMap<(u16, u64, u32), String>,
    strange: Vec<String>,
}

fn files(folder: &Path) -> Result<Files, AdapterError> {
    let mut found = Files { segments: BTreeMap::new(), records: BTreeMap::new(), strange: Vec::new() };
    let listed = match std::fs::read_dir(folder) {
        // A copy that was made before the run began.
        Err(e) if e.kind() == ErrorKind::NotFound && folder.parent().is_some_and(Path::is_dir) => return Ok(found),
        listed => listed.map_err(|e| said("list", folder, &e))?,
    };
    for entry in listed {
        let entry = entry.map_err(|e| said("list", folder, &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        match FileName::read(&name).filter(|_| plain) {
            Some(FileName::Segment(writer)) => found.segments.entry(writer).or_default().push(name),
            Some(FileName::Record(key, attempt)) => {
                found.records.insert((key.writer, key.seq, attempt), name);
            }
            Some(FileName::Marker | FileName::Probe | FileName::Unfinished) => {}
            None => found.strange.push(name),
        }
    }
    found.segments.values_mut().for_each(|names| names.sort_unstable());
    Ok(found)
}

/// Entries that wait to be told.
struct Told<'a> {
    entries: Vec<Entry>,
    bytes: usize,
    tell: &'a mut dyn FnMut(Vec<Entry>),
}

impl Told<'_> {
    fn push(&mut self, entry: Entry) {
        self.bytes += match &entry {
            Entry::Line(text) | Entry::Own(_, _, text) | Entry::Strange(text) => text.len() + 32,
        };
        self.entries.push(entry);
        if self.bytes >= PIECE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        if !self.entries.is_empty() {
            (self.tell)(std::mem::take(&mut self.entries));
        }
    }
}

/// Everything, in pieces.
pub(super) fn all(place: &Place, tell: &mut dyn FnMut(Vec<Entry>)) -> Result<(), AdapterError> {
    let folder = folder(place);
    let Files { segments, records, strange } = files(&folder)?;
    let mut told = Told { entries: Vec::new(), bytes: 0, tell };
    for (writer, names) in segments {
        for name in names {
            lines(&folder.join(&name), writer, &mut told)?;
        }
    }
    for ((writer, seq, attempt), name) in records {
        let mut bytes = Vec::new();
        let path = folder.join(&name);
        let read = File::open(&path).and_then(|file| file.take(LONGEST as u64).read_to_end(&mut bytes));
        read.map_err(|e| said("read", &path, &e))?;
        told.push(Entry::Own(Key { writer, seq }, attempt, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for name in strange {
        told.push(Entry::Strange(name));
    }
    told.flush();
    Ok(())
}

/// The lines of one file. One that is in another writer's file is strange.
fn lines(path: &Path, writer: Option<u16>, told: &mut Told<'_>) -> Result<(), AdapterError> {
    let mut from = BufReader::with_capacity(1 << 16, File::open(path).map_err(|e| said("open", path, &e))?);
    let mut line = Vec::new();
    let mut rest_of_a_long_one = false;
    loop {
        line.clear();
        let read = (&mut from).take(LONGEST as u64).read_until(b'\n', &mut line).map_err(|e| said("read", path, &e))?;
        let whole = line.pop_if(|last| *last == b'\n').is_some();
        if read == 0 || (!whole && read < LONGEST) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        if !rest_of_a_long_one {
            let stranger = writer.is_some_and(|own| row(&text).key.is_ok_and(|key| key.writer != own));
            told.push(if !whole || stranger {
                Entry::Strange(text.chars().take(120).collect())
            } else {
                Entry::Line(text)
            });
        }
        rest_of_a_long_one = !whole;
    }
}

/// One record: from where it was written, else wherever it is.
pub(super) fn one(place: &Place, key: Key, spot: Option<&Spot>) -> Result<Option<String>, AdapterError> {
    let folder = folder(place);
    if let Some(spot) = spot {
        return line_at(&folder, spot);
    }
    let Files { segments, records, .. } = files(&folder)?;
    let own = records.range((key.writer, key.seq, 0)..=(key.writer, key.seq, u32::MAX)).next();
    if let Some((_, name)) = own {
        return line_at(&folder, &Spot { file: name.clone(), at: 0 });
    }
    let mut found = None;
    for name in [Some(key.writer), None].iter().filter_map(|writer| segments.get(writer)).flatten() {
        let mut keep = |entries: Vec<Entry>| {
            found = found.take().or_else(|| entries.into_iter().find_map(|entry| line_of(entry, key)));
        };
        let mut told = Told { entries: Vec::new(), bytes: 0, tell: &mut keep };
        lines(&folder.join(name), None, &mut told)?;
        told.flush();
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

fn line_of(entry: Entry, key: Key) -> Option<String> {
    match entry {
        Entry::Line(text) if row(&text).key == Ok(key) => Some(text),
        _ => None,
    }
}

/// The line that begins there; none if the file is not there, or is shorter.
fn line_at(folder: &Path, spot: &Spot) -> Result<Option<String>, AdapterError> {
    let path = folder.join(&spot.file);
    let mut file = match File::open(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound && folder.is_dir() => return Ok(None),
        opened => opened.map_err(|e| said("open", &path, &e))?,
    };
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(spot.at)).map_err(|e| said("read", &path, &e))?;
    let read = BufReader::new(file).take(LONGEST as u64).read_until(b'\n', &mut line);
    read.map_err(|e| said("read", &path, &e))?;
    let whole = line.pop_if(|last| *last == b'\n').is_some();
    Ok((whole || !line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned()))
}
