//! Which record a read looks for: always one that was acknowledged before the read begins, in turn a fresh one (to see
//! staleness) and an older one (to see loss). Bounded, and repeatable: nothing here is random. Pure.

use crate::model::Key;
use std::collections::VecDeque;

const FRESH: usize = 64;
const OLDER: usize = 4_096;

/// Acknowledged records to choose from.
#[derive(Debug, Default)]
pub(super) struct Acked {
    fresh: VecDeque<Key>,
    older: Vec<Key>,
    seen: u64,
    picks: u64,
}

impl Acked {
    /// A record was acknowledged.
    pub fn note(&mut self, key: Key) {
        if self.fresh.len() == FRESH {
            self.fresh.pop_front();
        }
        self.fresh.push_back(key);
        self.seen += 1;
        // A reservoir: each record so far has had about the same chance to be among the older ones.
        if self.older.len() < OLDER {
            self.older.push(key);
        } else {
            let place = (scramble(self.seen) % self.seen) as usize;
            if let Some(slot) = self.older.get_mut(place) {
                *slot = key;
            }
        }
    }

    /// The next record to read; none before the first acknowledgement.
    pub fn pick(&mut self) -> Option<Key> {
        self.picks += 1;
        if self.picks % 2 == 1 {
            return self.fresh.back().copied();
        }
        let among = self.older.len().max(1) as u64;
        self.older.get((scramble(self.picks) % among) as usize).copied()
    }
}

/// The finalizer of SplitMix64: spreads consecutive numbers over all of them.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seq: u64) -> Key {
        Key { writer: 0, seq }
    }

    #[test]
    fn only_acknowledged_records_are_read() {
        let mut acked = Acked::default();
        assert_eq!(acked.pick(), None);
        acked.note(key(7));
        assert!((0..10).all(|_| acked.pick() == Some(key(7))));
    }

    #[test]
    fn fresh_and_older_records_take_turns_and_memory_is_bounded() {
        let mut acked = Acked::default();
        (0..100_000).for_each(|seq| acked.note(key(seq)));
        let picks: Vec<_> = (0..2_000).filter_map(|_| acked.pick()).collect();
        assert!(picks.iter().step_by(2).all(|k| *k == key(99_999)));
        let old = picks.iter().skip(1).step_by(2).filter(|k| k.seq < 50_000).count();
        assert!((300..700).contains(&old), "{old} of 1000 from the first half");
        assert_eq!((acked.fresh.len(), acked.older.len()), (FRESH, OLDER));
    }
}
