//! The rig's ledger: rows in memory, in the order in which they came, and the lies it is told to tell. Each lie is
//! named, so that it can be written down. Nothing is decided here about when a request is answered.

use super::log::Lie;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

/// What the store does wrong; each number is "every so many", 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lies {
    /// When the first spell begins, it forgets what it accepted in the last so many milliseconds.
    pub lose_last_ms: u64,
    /// When the first spell begins, it forgets the first so many records.
    pub lose_first: u64,
    /// Forgets every so-many-th record at once, though it was acknowledged.
    pub holes: u64,
    /// Keeps it twice.
    pub duplicates: u64,
    /// Damages its payload.
    pub corrupts: u64,
    /// Refuses it, and keeps it.
    pub resurrects: u64,
    /// Makes another record up.
    pub phantoms: u64,
    /// Tells every so-many-th reader that it is not there.
    pub stale: u64,
    /// Acknowledges every so-many-th write only after the client has given up.
    pub late: u64,
}

impl Lies {
    /// Are writes refused or left without an answer when all is well otherwise?
    #[must_use]
    pub fn refuse(&self) -> bool {
        self.resurrects > 0 || self.late > 0
    }

    /// The words on the command line.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let all = [
            ("--lose-last-ms", self.lose_last_ms),
            ("--lose-first", self.lose_first),
            ("--holes", self.holes),
            ("--duplicates", self.duplicates),
            ("--corrupts", self.corrupts),
            ("--resurrects", self.resurrects),
            ("--phantoms", self.phantoms),
            ("--stale", self.stale),
            ("--late", self.late),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).flat_map(|(name, n)| [name.to_owned(), n.to_string()]).collect()
    }
}

/// A row.
#[derive(Debug, Clone)]
struct Row {
    at: i64,
    run: String,
    writer: u16,
    seq: u64,
    attempt: u32,
    payload: Vec<u8>,
}

/// A record's name: run, writer, sequence number.
pub(super) type Name = (String, u16, u64);

/// What comes of a write.
pub(super) struct Written {
    /// Is it to be refused, though it may be kept?
    pub refused: bool,
    /// Is it to be acknowledged only after the client has given up?
    pub late: bool,
    /// The lies that were told.
    pub lies: Vec<(Lie, Name)>,
}

/// The rows and what was told about them.
#[derive(Debug, Default)]
pub(super) struct Store {
    lies: Lies,
    rows: Vec<Row>,
    /// Payload by name, for reads.
    named: HashMap<Name, Vec<u8>>,
    writes: u64,
    reads: u64,
}

fn every(n: u64, count: u64) -> bool {
    n > 0 && count.is_multiple_of(n)
}

impl Store {
    pub fn new(lies: Lies) -> Self {
        Self { lies, ..Self::default() }
    }

    /// Takes a write; at most one lie is told about each.
    pub fn write(&mut self, at: i64, name: Name, attempt: u32, payload: &[u8]) -> Written {
        self.writes += 1;
        let (n, lies) = (self.writes, self.lies);
        let mut written = Written { refused: false, late: every(lies.late, n), lies: Vec::new() };
        let (run, writer, seq) = name.clone();
        let mut row = Row { at, run, writer, seq, attempt, payload: payload.to_vec() };
        if every(lies.holes, n) {
            written.lies.push((Lie::Lost, name));
            return written;
        }
        if every(lies.corrupts, n) {
            damage(&mut row.payload);
            written.lies.push((Lie::Corrupted, name.clone()));
        } else if every(lies.duplicates, n) {
            self.rows.push(row.clone());
            written.lies.push((Lie::Duplicated, name.clone()));
        } else if every(lies.resurrects, n) {
            written.refused = true;
            written.lies.push((Lie::Resurrected, name.clone()));
        } else if every(lies.phantoms, n) {
            let made_up = Row { seq: seq + 1_000_000_000, ..row.clone() };
            written.lies.push((Lie::Phantom, (made_up.run.clone(), made_up.writer, made_up.seq)));
            self.rows.push(made_up);
        }
        self.named.insert(name, row.payload.clone());
        self.rows.push(row);
        written
    }

    /// The payload of a record, or that it is not there; the second says whether that is a lie.
    pub fn read(&mut self, name: &Name) -> (Option<&[u8]>, bool) {
        self.reads += 1;
        let lie = every(self.lies.stale, self.reads) && self.named.contains_key(name);
        (if lie { None } else { self.named.get(name).map(Vec::as_slice) }, lie)
    }

    /// The first spell begins: what it forgets with it.
    pub fn crash(&mut self, at: i64) -> Vec<Name> {
        let lies = std::mem::take(&mut self.lies);
        let since = at - i64::try_from(lies.lose_last_ms).unwrap_or(0) * 1_000_000;
        let (mut gone, mut place) = (HashSet::new(), 0_u64);
        self.rows.retain(|row| {
            place += 1;
            let forgotten = (lies.lose_last_ms > 0 && row.at >= since) || place <= lies.lose_first;
            if forgotten {
                gone.insert((row.run.clone(), row.writer, row.seq));
            }
            !forgotten
        });
        self.lies = Lies { lose_last_ms: 0, lose_first: 0, ..lies };
        gone.retain(|name| !self.rows.iter().any(|row| (&row.run, row.writer, row.seq) == (&name.0, name.1, name.2)));
        self.named.retain(|name, _| !gone.contains(name));
        gone.into_iter().collect()
    }

    /// All rows of a run, as the ledger's protocol has them.
    pub fn dump(&self, run: &str) -> String {
        let mut text = String::new();
        let mut count = 0_u64;
        for row in self.rows.iter().filter(|row| row.run == run) {
            let _infallible = write!(text, "{} {} {} ", row.writer, row.seq, row.attempt);
            for byte in &row.payload {
                let _infallible = write!(text, "{byte:02x}");
            }
            text.push('\n');
            count += 1;
        }
        let _infallible = writeln!(text, "end {count}");
        text
    }
}

fn damage(payload: &mut Vec<u8>) {
    match payload.last_mut() {
        Some(byte) => *byte ^= 0x55,
        None => payload.push(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(seq: u64) -> Name {
        ("r".to_owned(), 0, seq)
    }

    fn filled(lies: Lies, count: u64) -> (Store, Vec<(Lie, Name)>) {
        let mut store = Store::new(lies);
        let mut told = Vec::new();
        for seq in 0..count {
            told.extend(store.write(seq as i64 * 1_000_000, name(seq), 1, b"x").lies);
        }
        (store, told)
    }

    fn seqs(store: &Store) -> Vec<u64> {
        store.dump("r").lines().filter_map(|l| l.split(' ').nth(1)?.parse().ok()).take(store.rows.len()).collect()
    }

    #[test]
    fn what_it_forgets_in_a_crash_is_named_and_gone() {
        let (mut store, _) = filled(Lies { lose_last_ms: 3, lose_first: 2, ..Lies::default() }, 10);
        let mut gone = store.crash(10_000_000);
        gone.sort();
        assert_eq!(gone, [0, 1, 7, 8, 9].map(name));
        assert_eq!(seqs(&store), [2, 3, 4, 5, 6]);
        assert!(store.read(&name(8)).0.is_none() && store.read(&name(4)).0.is_some());
        assert!(store.crash(10_000_000).is_empty(), "only once");
    }

    #[test]
    fn every_lie_is_told_as_it_is_named() {
        let (mut store, told) = filled(Lies { holes: 5, duplicates: 3, stale: 2, ..Lies::default() }, 6);
        assert_eq!(told, [(Lie::Duplicated, name(2)), (Lie::Lost, name(4)), (Lie::Duplicated, name(5))]);
        assert_eq!(seqs(&store), [0, 1, 2, 2, 3, 5, 5]);
        assert!(store.dump("r").ends_with("end 7\n") && store.dump("other") == "end 0\n");
        assert!(!store.read(&name(0)).1);
        assert!(store.read(&name(0)).1, "every second reader is told that it is not there");
        assert_eq!(store.read(&name(4)), (None, false));
    }

    #[test]
    fn what_is_damaged_differs_and_what_is_refused_may_be_there() {
        let mut store = Store::new(Lies { corrupts: 2, resurrects: 3, phantoms: 5, ..Lies::default() });
        let written: Vec<Written> = (0..5).map(|seq| store.write(0, name(seq), 1, b"x")).collect();
        assert_eq!(written.iter().map(|w| w.refused).collect::<Vec<_>>(), [false, false, true, false, false]);
        assert_eq!(store.read(&name(1)).0, Some(&[b'x' ^ 0x55][..]));
        assert_eq!(store.read(&name(2)).0, Some(&b"x"[..]));
        assert_eq!(written[4].lies, [(Lie::Phantom, name(1_000_000_004))]);
    }
}
