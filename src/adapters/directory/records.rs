//! How a ledger's records stand in files: one line each, and what their files are called. Pure.
//!
//! A record is the line `WRITER SEQ ATTEMPT PAYLOAD CHECKSUM`: numbers of a fixed width, the payload as base64, and the first
//! sixteen hexadecimal digits of SHA-256 over what stands before. Any tool can count them. `FOLDER/NAME/RUN/` holds them:
//! `w00003.0001-0002`, the second file that the first process began for writer 3; `g.0001-0001`, one that all writers
//! share; `r00003.000000000042.00001`, a record of its own.

use crate::adapters::{Row, base64};
use crate::model::Key;
use sha2::{Digest, Sha256};

/// What marks a folder as a run's own: a file of this name that holds the run's name.
pub const MARKER: &str = "blackstart-run";
/// Longer lines are no records.
pub const LONGEST: usize = 2 << 20;
/// Digits of a checksum.
const DIGITS: usize = 16;

/// What stands before the checksum, with a space at its end.
fn body(key: Key, attempt: u32, payload: &str) -> String {
    format!("{:05} {:012} {attempt:05} {payload} ", key.writer, key.seq)
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// A record as a line, with its line break.
#[must_use]
pub fn line(key: Key, attempt: u32, payload: &[u8]) -> String {
    let mut text = body(key, attempt, &base64::encoded(payload));
    let sum = checksum(&text);
    text.push_str(&sum);
    text.push('\n');
    text
}

/// How many bytes a record takes at most.
#[must_use]
pub fn size(payload: u64) -> u64 {
    payload.div_ceil(3) * 4 + 5 + 12 + 5 + DIGITS as u64 + 5
}

/// A line, without its break, as a read-back finds it. One that is damaged keeps its key where that can still be read:
/// then the record is there, and not what was written.
#[must_use]
pub fn row(line: &str) -> Row {
    let mut words = line.split(' ');
    let mut number = |width: usize| {
        let word = words.next().filter(|word| word.len() == width)?;
        word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse::<u64>().ok())?
    };
    let numbers = (number(5), number(12), number(5));
    let (Some(writer), Some(seq), Some(attempt)) = numbers else { return strange(line) };
    let (Ok(writer), Ok(attempt)) = (u16::try_from(writer), u32::try_from(attempt)) else { return strange(line) };
    let (payload, sum, more) = (words.next(), words.next(), words.next());
    let intact = match (payload, sum, more) {
        (Some(payload), Some(sum), None) => {
            let before = &line[..line.len() - sum.len()];
            base64::decoded(payload).filter(|_| checksum(before) == sum)
        }
        _ => None,
    };
    // What is damaged never is what was written, whatever a part of it may look like.
    let payload = intact.unwrap_or_else(|| [line.as_bytes(), b"\n"].concat());
    Row { key: Ok(Key { writer, seq }), attempt, payload }
}

/// What is no record, by name.
#[must_use]
pub fn strange(text: &str) -> Row {
    Row { key: Err(text.chars().take(120).collect()), attempt: 0, payload: Vec::new() }
}

/// Whose file it is, and what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileName {
    /// Records one after the other, of one writer or of all.
    Segment(Option<u16>),
    /// One record.
    Record(Key, u32),
    /// A record that was never finished.
    Unfinished,
    /// What an availability probe wrote.
    Probe,
    /// The run's mark.
    Marker,
}

impl FileName {
    /// None if it is no name of a file of ours.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let digits = |text: &str, width: usize| {
            let fits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.parse::<u64>().ok())?
        };
        let numbered = |text: &str| {
            let (process, own) = text.split_once('-')?;
            digits(process, 4).and(digits(own, 4))
        };
        if name == MARKER {
            return Some(Self::Marker);
        }
        if let Some(rest) = name.strip_prefix("g.") {
            return numbered(rest).map(|_| Self::Segment(None));
        }
        if let Some(rest) = name.strip_prefix('w') {
            let (writer, rest) = rest.split_once('.')?;
            numbered(rest)?;
            return Some(Self::Segment(Some(u16::try_from(digits(writer, 5)?).ok()?)));
        }
        if let Some(rest) = name.strip_prefix("probe.") {
            return digits(rest, 5).map(|_| Self::Probe);
        }
        if let Some(rest) = name.strip_prefix(".r") {
            return rest.bytes().all(|b| b.is_ascii_digit() || b == b'.').then_some(Self::Unfinished);
        }
        let mut parts = name.strip_prefix('r')?.split('.');
        let writer = u16::try_from(digits(parts.next()?, 5)?).ok()?;
        let seq = digits(parts.next()?, 12)?;
        let attempt = u32::try_from(digits(parts.next()?, 5)?).ok()?;
        parts.next().is_none().then_some(Self::Record(Key { writer, seq }, attempt))
    }
}

/// The name of a record's own file.
#[must_use]
pub fn record_name(key: Key, attempt: u32) -> String {
    format!("r{:05}.{:012}.{attempt:05}", key.writer, key.seq)
}

/// The name of the file that a process began as its `own`th, for a writer or for all.
#[must_use]
pub fn segment_name(writer: Option<u16>, process: u32, own: u32) -> String {
    match writer {
        Some(writer) => format!("w{writer:05}.{process:04}-{own:04}"),
        None => format!("g.{process:04}-{own:04}"),
    }
}

/// The name of a probe's file.
#[must_use]
pub fn probe_name(slot: u32) -> String {
    format!("probe.{slot:05}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { writer: 3, seq: 42 };

    #[test]
    fn a_line_is_read_back_and_any_damage_shows() {
        let line = line(KEY, 7, b"payload \n\xff");
        assert_eq!(line.len() as u64, size(10), "{line}");
        let text = line.strip_suffix('\n').unwrap();
        let read = row(text);
        assert_eq!((read.key.clone(), read.attempt, read.payload.as_slice()), (Ok(KEY), 7, &b"payload \n\xff"[..]));
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let damaged = row(&String::from_utf8(bytes).unwrap());
            assert_ne!(damaged, read, "byte {at}");
            assert_ne!(damaged.payload, read.payload, "byte {at}");
            let cut = row(&text[..at]);
            assert_ne!(cut.payload, read.payload, "cut off at {at}");
        }
    }

    #[test]
    fn only_our_own_names_are_ours() {
        assert_eq!(FileName::read(&record_name(KEY, 2)), Some(FileName::Record(KEY, 2)));
        assert_eq!(FileName::read(&segment_name(Some(9), 1, 2)), Some(FileName::Segment(Some(9))));
        assert_eq!(FileName::read(&segment_name(None, 1, 2)), Some(FileName::Segment(None)));
        assert_eq!(FileName::read(&probe_name(4)), Some(FileName::Probe));
        assert_eq!(FileName::read(MARKER), Some(FileName::Marker));
        assert_eq!(FileName::read(&format!(".{}", record_name(KEY, 2))), Some(FileName::Unfinished));
        for other in
            ["", "w", "notes.txt", "w00001", "w00001.0001", "r1.2.3", "w00001.0001-0002.bak", "wages.0001-0002"]
        {
            assert_eq!(FileName::read(other), None, "{other}");
        }
    }
}
