//! When writes were sent and answered: bounds for every block of 1,024, and exact times of the last 2²⁰ writes, or of
//! those around a fault.

use super::table::Table;
use crate::model::{Key, Mono, Span};

/// Sequence numbers that share one pair of bounds.
pub(super) const BLOCK: u64 = 1024;
/// Writes whose exact times are kept.
pub const RING: usize = 1 << 20;

/// The bounds of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The earliest `sent` of all writes.
    pub first_sent: i64,
    /// The latest `done` of acknowledged writes.
    pub last_acked: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { first_sent: i64::MAX, last_acked: i64::MIN }
    }
}

/// The bounds of all blocks of one writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks(Table<Bounds>);

impl Blocks {
    #[inline]
    pub fn sent(&mut self, seq: u64, sent: Mono) -> &mut Bounds {
        let bounds = self.0.at(seq / BLOCK);
        bounds.first_sent = bounds.first_sent.min(sent.0);
        bounds
    }

    /// Between these a write was sent and, if it was acknowledged, answered.
    pub fn of(&self, seq: u64) -> Option<Span> {
        let bounds = self.0.get(seq / BLOCK)?;
        let span = Span::new(Mono(bounds.first_sent), Mono(bounds.last_acked));
        (span.lo <= span.hi).then_some(span)
    }

    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// One write in the ring; writer and sequence number share a word.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    sent: i64,
    done: i64,
}

const SEQ_BITS: u32 = 48;

/// Exact times of the last writes. A fault freezes it half full of what came before and half of what came after.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    entries: Vec<Entry>,
    next: usize,
    /// So many more are taken.
    left: usize,
}

impl Ring {
    pub fn new() -> Self {
        Self { entries: Vec::new(), next: 0, left: usize::MAX }
    }

    #[inline]
    pub fn push(&mut self, key: Key, sent: Mono, done: Mono) {
        if self.left == 0 || key.seq >> SEQ_BITS != 0 {
            return;
        }
        self.left -= 1;
        let entry = Entry { key: u64::from(key.writer) << SEQ_BITS | key.seq, sent: sent.0, done: done.0 };
        match self.entries.get_mut(self.next) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        self.next = (self.next + 1) % RING;
    }

    /// A fault happens now: half of the ring is for what was before, half for what follows.
    pub fn fault(&mut self) {
        self.left = RING / 2;
    }

    pub fn iter(&self) -> impl Iterator<Item = (Key, Mono, Mono)> {
        self.entries.iter().map(|entry| {
            let key = Key { writer: (entry.key >> SEQ_BITS) as u16, seq: entry.key & ((1 << SEQ_BITS) - 1) };
            (key, Mono(entry.sent), Mono(entry.done))
        })
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_what_was_around_it() {
        let mut ring = Ring::new();
        let total = 3 * RING as u64;
        for seq in 0..total {
            if seq == total / 2 {
                ring.fault();
            }
            ring.push(Key { writer: 9, seq }, Mono(seq.cast_signed()), Mono(seq.cast_signed() + 1));
        }
        let mut kept: Vec<u64> = ring.iter().map(|(key, ..)| key.seq).collect();
        kept.sort_unstable();
        let half = RING as u64 / 2;
        assert_eq!((kept.len(), kept[0], kept[RING - 1]), (RING, total / 2 - half, total / 2 + half - 1));
        assert!(ring.iter().all(|(key, sent, done)| sent.0 == key.seq as i64 && done - sent == 1 && key.writer == 9));
    }

    #[test]
    fn blocks_bound_what_was_written() {
        let mut blocks = Blocks::default();
        blocks.sent(5, Mono(100)).last_acked = 140;
        blocks.sent(1023, Mono(90));
        blocks.sent(1024, Mono(7));
        assert_eq!(blocks.of(1), Some(Span { lo: Mono(90), hi: Mono(140) }));
        assert_eq!((blocks.of(1030), blocks.of(u64::MAX)), (None, None));
    }
}
