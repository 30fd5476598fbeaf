//! What a read-back sees, row by row in the server's order: present, again, out of order, damaged, strange.

use super::codes::Codes;
use crate::event::{ReadBack, WriterFindings};
use crate::model::{Found, Key};
use std::collections::{BTreeMap, BTreeSet};

const PHANTOMS: usize = 1_000;
const PHANTOM_TEXT: usize = 200;
const PRESENT: u8 = 1;

/// A read-back that is going on. Memory grows with disorder, not with the number of rows.
#[derive(Debug, Clone)]
pub struct Sight {
    seen: Vec<Seen>,
    phantoms: Vec<String>,
    phantom_count: u64,
}

/// Is a row behind a larger number of its writer that is not handed over as a row?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Not that anybody knows.
    Ascending,
    /// It is.
    Behind,
}

/// What was seen of one writer so far.
#[derive(Debug, Clone, Default)]
struct Seen {
    present: Codes,
    any: bool,
    highest: Option<u64>,
    corrupted: BTreeSet<u64>,
    reordered: Vec<u64>,
    /// Attempts of rows that are not the first attempt, to tell apart duplicates.
    attempts: BTreeMap<u64, u32>,
    /// All attempts of what is there more than once.
    duplicated: BTreeMap<u64, Vec<u32>>,
}

impl Sight {
    /// Of a ledger with so many writers.
    #[must_use]
    pub fn new(writers: u16) -> Self {
        let seen = (0..writers).map(|_| Seen::default()).collect();
        Self { seen, phantoms: Vec::new(), phantom_count: 0 }
    }

    /// The next row in the server's order. A writer that the ledger does not have makes it a phantom.
    #[inline]
    pub fn row(&mut self, key: Key, attempt: u32, found: Found) {
        self.row_in(Order::Ascending, key, attempt, found);
    }

    /// The next row of those that are handed over, when not all are.
    #[inline]
    pub fn row_in(&mut self, order: Order, key: Key, attempt: u32, found: Found) {
        match self.seen.get_mut(usize::from(key.writer)) {
            Some(seen) => seen.row(order, key.seq, attempt, found),
            None => self.phantom(&format!("writer {} seq {}", key.writer, key.seq)),
        }
    }

    /// These are there, once each, intact and in order; no row of them is handed over.
    pub fn whole(&mut self, writer: u16, from: u64, to: u64) {
        if let Some(seen) = self.seen.get_mut(usize::from(writer)) {
            seen.present.put_run(from, to, PRESENT);
            seen.any = true;
        }
    }

    /// A row that is no record of this ledger.
    pub fn phantom(&mut self, text: &str) {
        self.phantom_count += 1;
        if self.phantoms.len() < PHANTOMS {
            self.phantoms.push(text.chars().take(PHANTOM_TEXT).collect());
        }
    }

    /// All rows were handed over.
    #[must_use]
    pub fn finish(self) -> ReadBack {
        let writers = (0..=u16::MAX).zip(self.seen).filter(|(_, seen)| seen.any);
        let writers = writers.map(|(id, seen)| (id, seen.finish())).collect();
        ReadBack { writers, phantoms: self.phantoms, phantom_count: self.phantom_count }
    }
}

impl Seen {
    #[inline]
    fn row(&mut self, order: Order, seq: u64, attempt: u32, found: Found) {
        self.any = true;
        if found != Found::Intact {
            self.corrupted.insert(seq);
        }
        if self.highest.is_none_or(|highest| seq > highest) {
            self.highest = Some(seq);
            if order == Order::Behind {
                self.reordered.push(seq);
            }
        } else if self.present.code(seq) != 0 {
            let first = self.attempts.get(&seq).copied().unwrap_or(1);
            self.duplicated.entry(seq).or_insert_with(|| vec![first]).push(attempt);
            return;
        } else {
            self.reordered.push(seq);
        }
        if attempt != 1 {
            self.attempts.insert(seq, attempt);
        }
        self.present.put(seq, PRESENT);
    }

    fn finish(mut self) -> WriterFindings {
        let duplicated = self.duplicated.into_iter().map(|(seq, mut attempts)| {
            let rows = attempts.len();
            attempts.sort_unstable();
            let shared =
                attempts.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).map(<[u32]>::len).sum::<usize>();
            (seq, count(rows), count(shared))
        });
        let mut present = Vec::new();
        self.present.close();
        self.present.each(&mut |from, to, _| present.push((from, to)));
        WriterFindings {
            present,
            corrupted: self.corrupted.into_iter().collect(),
            duplicated: duplicated.collect(),
            reordered: self.reordered,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
