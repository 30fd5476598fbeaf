//! A node's store: an ordered log of records in memory, and the same in an append-only file that a restart reads back.
//! The file survives the death of the process, not of the machine (it is not synced). Who may append is decided by
//! [`super::node`].
//!
//! One line per record: `term run writer seq attempt payload-hex crc32-hex`, the checksum over what stands before it.
//! A last line that is cut off or wrong is dropped when the file is opened.

use crate::model::Mono;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// A store never holds more than this: it is a staging, not a database.
pub const MAX_RECORDS: usize = 5_000_000;

/// One accepted write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The term of the primary that accepted it.
    pub term: u64,
    /// The run it belongs to.
    pub run: String,
    /// Its writer.
    pub writer: u16,
    /// Its sequence number.
    pub seq: u64,
    /// Which attempt of the client stored it.
    pub attempt: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Record {
    /// The record as a line, without a line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { term, run, writer, seq, attempt, payload } = self;
        format!("{term} {run} {writer} {seq} {attempt} {}", Hex(payload))
    }

    /// Reads what [`Record::to_line`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let record = Self {
            term: words.next()?.parse().ok()?,
            run: words.next()?.to_owned(),
            writer: words.next()?.parse().ok()?,
            seq: words.next()?.parse().ok()?,
            attempt: words.next()?.parse().ok()?,
            payload: from_hex(words.next()?)?,
        };
        words.next().is_none().then_some(record)
    }
}

/// Bytes shown as hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let text: String = self
            .0
            .iter()
            .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
            .map(char::from)
            .collect();
        f.write_str(&text)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| if let [h, l] = pair { Some(digit(*h)? << 4 | digit(*l)?) } else { None })
        .collect()
}

#[derive(Debug, Clone)]
struct Stored {
    record: Arc<Record>,
    accepted: Mono,
    end: u64,
}

/// The log of one node.
#[derive(Debug)]
pub struct Store {
    file: File,
    log: Vec<Stored>,
    index: HashMap<String, HashMap<(u16, u64), usize>>,
    hidden: usize,
}

/// Where a term begins: term and the index of its first record.
pub type TermStart = (u64, usize);

impl Store {
    /// Opens the file, reads its records and cuts off a torn end.
    ///
    /// # Errors
    /// When the file cannot be opened, read or cut.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut store = Self { file, log: Vec::new(), index: HashMap::new(), hidden: 0 };
        let mut reader = BufReader::new(store.file.try_clone()?);
        reader.seek(SeekFrom::Start(0))?;
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            let Some(record) = checked(&line) else { break };
            let end = store.end() + line.len() as u64;
            store.remember(record, Mono(0), end);
            line.clear();
        }
        store.file.set_len(store.end())?;
        Ok(store)
    }

    /// Appends a record; returns its index.
    ///
    /// # Errors
    /// When the disk does not take it; then it is not in the store either.
    pub fn append(&mut self, record: Record, accepted: Mono) -> io::Result<usize> {
        let body = record.to_line();
        let line = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
        if let Err(cause) = self.file.write_all(line.as_bytes()) {
            self.file.set_len(self.end())?;
            return Err(cause);
        }
        self.remember(record, accepted, self.end() + line.len() as u64);
        Ok(self.len() - 1)
    }

    fn remember(&mut self, record: Record, accepted: Mono, end: u64) {
        let names = match self.index.get_mut(&record.run) {
            Some(names) => names,
            None => self.index.entry(record.run.clone()).or_default(),
        };
        names.insert((record.writer, record.seq), self.log.len());
        self.log.push(Stored { record: Arc::new(record), accepted, end });
    }

    fn end(&self) -> u64 {
        self.log.last().map_or(0, |s| s.end)
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The newest record of that name.
    #[must_use]
    pub fn get(&self, run: &str, writer: u16, seq: u64) -> Option<Arc<Record>> {
        let place = *self.index.get(run)?.get(&(writer, seq))?;
        (place >= self.hidden).then(|| Arc::clone(&self.log[place].record))
    }

    /// The record at `place`, and when it was accepted here (0 if it was read from the file or from a primary).
    #[must_use]
    pub fn at(&self, place: usize) -> Option<(Arc<Record>, Mono)> {
        self.log.get(place).map(|s| (Arc::clone(&s.record), s.accepted))
    }

    /// The visible records from `from` up to `to`, at most `limit`.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize, limit: usize) -> Vec<Arc<Record>> {
        let from = from.max(self.hidden).min(self.len());
        let to = to.min(self.len()).min(from.saturating_add(limit)).max(from);
        self.log[from..to].iter().map(|s| Arc::clone(&s.record)).collect()
    }

    /// The first record that readers see; 0 unless a seeded violation hid some.
    #[must_use]
    pub fn first_visible(&self) -> usize {
        self.hidden
    }

    /// Hides the first `count` records from readers: a seeded violation.
    pub fn hide_first(&mut self, count: usize) {
        self.hidden = count.min(self.len());
    }

    /// Where each term begins, in order.
    #[must_use]
    pub fn terms(&self) -> Vec<TermStart> {
        let mut starts: Vec<TermStart> = Vec::new();
        for (place, stored) in self.log.iter().enumerate() {
            if starts.last().is_none_or(|(term, _)| *term != stored.record.term) {
                starts.push((stored.record.term, place));
            }
        }
        starts
    }

    /// Cuts the log to its first `len` records and returns what was discarded.
    ///
    /// # Errors
    /// When the file cannot be cut; then nothing is discarded.
    pub fn truncate(&mut self, len: usize) -> io::Result<Vec<Arc<Record>>> {
        if len >= self.len() {
            return Ok(Vec::new());
        }
        self.file.set_len(if len == 0 { 0 } else { self.log[len - 1].end })?;
        let discarded = self.log.drain(len..).map(|s| s.record).collect();
        self.index.clear();
        for (place, stored) in self.log.iter().enumerate() {
            let record = &stored.record;
            self.index.entry(record.run.clone()).or_default().insert((record.writer, record.seq), place);
        }
        Ok(discarded)
    }
}

fn checked(line: &str) -> Option<Record> {
    let (body, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(body.as_bytes())).then(|| Record::from_line(body)).flatten()
}

/// How many records two logs have in common, from where their terms begin and how long they are. A term has one
/// primary, so two logs that agree on where a term begins agree on its records as far as both go.
#[must_use]
pub fn common(mine: (&[TermStart], usize), theirs: (&[TermStart], usize)) -> usize {
    let end = |(starts, len): (&[TermStart], usize), place: usize| starts.get(place + 1).map_or(len, |next| next.1);
    let mut shared = 0;
    for (place, (left, right)) in mine.0.iter().zip(theirs.0).enumerate() {
        if left != right {
            break;
        }
        shared = end(mine, place).min(end(theirs, place));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(term: u64, seq: u64) -> Record {
        Record { term, run: "r".into(), writer: 1, seq, attempt: 1, payload: vec![0, 171, 255] }
    }

    #[test]
    fn survives_reopening_at_every_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.data");
        let mut store = Store::open(&path).unwrap();
        let mut ends = vec![0];
        for seq in 0..3 {
            store.append(record(1, seq), Mono(5)).unwrap();
            ends.push(store.end());
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end > 0 && **end <= cut as u64).count();
            let mut again = Store::open(&path).unwrap();
            assert_eq!(again.len(), expected, "cut at {cut}");
            again.append(record(2, 9), Mono(6)).unwrap();
            assert_eq!(Store::open(&path).unwrap().len(), expected + 1, "an append after cut {cut} is read back");
        }
    }

    #[test]
    fn a_flipped_byte_ends_the_log_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.data");
        let mut store = Store::open(&path).unwrap();
        for seq in 0..3 {
            store.append(record(1, seq), Mono(5)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let second = usize::try_from(store.log[0].end).unwrap() + 4;
        bytes[second] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Store::open(&path).unwrap().len(), 1);
    }

    #[test]
    fn truncation_forgets_the_tail_everywhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.data");
        let mut store = Store::open(&path).unwrap();
        for seq in 0..4 {
            store.append(record(1, seq), Mono(5)).unwrap();
        }
        let gone = store.truncate(2).unwrap();
        assert_eq!(gone.iter().map(|r| r.seq).collect::<Vec<_>>(), [2, 3]);
        assert!(store.get("r", 1, 2).is_none());
        assert_eq!(store.get("r", 1, 1).unwrap().seq, 1);
        assert_eq!(Store::open(&path).unwrap().len(), 2);
    }

    #[test]
    fn common_stops_where_the_logs_part() {
        let old: &[TermStart] = &[(1, 0)];
        let new: &[TermStart] = &[(1, 0), (2, 70)];
        assert_eq!(common((old, 100), (new, 90)), 70, "the old primary's tail is not shared");
        assert_eq!(common((old, 100), (old, 70)), 70, "nothing written yet in the new term");
        assert_eq!(common((old, 50), (new, 90)), 50, "a standby that is only behind");
        assert_eq!(common((&[(1, 0), (3, 60)], 80), (new, 90)), 60);
        assert_eq!(common((&[], 0), (new, 90)), 0);
        assert_eq!(common((&[(4, 0)], 5), (new, 90)), 0);
    }

    #[test]
    fn terms_lists_the_beginnings() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("a.data")).unwrap();
        for (term, seq) in [(1, 0), (1, 1), (3, 2), (3, 3)] {
            store.append(record(term, seq), Mono(5)).unwrap();
        }
        assert_eq!(store.terms(), [(1, 0), (3, 2)]);
    }
}
