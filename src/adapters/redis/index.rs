//! Where in the stream a record is: the identifiers that the server gave, by writer and sequence number, so that one record
//! can be read without reading all. Exact for the first million records, then for every second one, every fourth, and so on:
//! in between lie the records of a range. Bounded; pure.

use crate::model::Key;
use std::collections::BTreeMap;

/// Identifiers that are kept.
const MOST: usize = 1 << 20;

/// An entry of a stream: milliseconds, and a number within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub u64, pub u64);

impl Id {
    /// As Redis writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, number) = text.split_once('-')?;
        Some(Self(time.parse().ok()?, number.parse().ok()?))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    most: usize,
    kept: BTreeMap<(u16, u64), Id>,
    /// Only sequence numbers that this divides are kept.
    step: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Index {
    fn of(most: usize) -> Self {
        Self { most, kept: BTreeMap::new(), step: 1 }
    }

    /// A record was acknowledged, and is there.
    pub fn note(&mut self, key: Key, id: Id) {
        if key.seq.is_multiple_of(self.step) {
            self.kept.insert((key.writer, key.seq), id);
        }
        while self.kept.len() > self.most {
            self.step *= 2;
            let step = self.step;
            self.kept.retain(|(_, seq), _| seq.is_multiple_of(step));
        }
    }

    /// From where to where an acknowledged record is to be looked for; no end if nothing later is known.
    pub fn range(&self, key: Key) -> (Option<Id>, Option<Id>) {
        let of = |range: std::collections::btree_map::Range<'_, (u16, u64), Id>, last: Last| match last {
            Last::Highest => range.map(|(_, id)| *id).next_back(),
            Last::Lowest => range.map(|(_, id)| *id).next(),
        };
        let place = (key.writer, key.seq);
        let from = of(self.kept.range((key.writer, 0)..=place), Last::Highest);
        let to = of(self.kept.range(place..=(key.writer, u64::MAX)), Last::Lowest);
        (from, to)
    }
}

/// Which end of a range.
enum Last {
    Highest,
    Lowest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(writer: u16, seq: u64) -> Key {
        Key { writer, seq }
    }

    #[test]
    fn a_record_is_found_exactly_until_there_are_too_many() {
        let mut index = Index::of(100);
        assert_eq!(index.range(key(0, 5)), (None, None));
        for seq in 0..50 {
            index.note(key(0, seq), Id(seq, 0));
            index.note(key(1, seq), Id(seq, 1));
        }
        assert_eq!(index.range(key(1, 7)), (Some(Id(7, 1)), Some(Id(7, 1))));
        assert_eq!(index.range(key(1, 99)), (Some(Id(49, 1)), None));
        for seq in 50..1_000 {
            index.note(key(0, seq), Id(seq, 0));
        }
        assert!(index.kept.len() <= 100, "{}", index.kept.len());
        for seq in 0..1_000 {
            let (from, to) = index.range(key(0, seq));
            assert!(from.unwrap() <= Id(seq, 0) && to.is_none_or(|to| to >= Id(seq, 0)), "{seq}");
            assert!(to.map_or(1_000, |to| to.0) - from.unwrap().0 <= 32, "{seq}");
        }
        assert_eq!(index.range(key(2, 0)), (None, None));
    }

    #[test]
    fn an_identifier_is_two_numbers() {
        assert_eq!(Id::parse("1692632086370-12"), Some(Id(1_692_632_086_370, 12)));
        assert_eq!(Id(5, 0).to_string(), "5-0");
        for wrong in ["", "5", "5-", "a-1", "5-1-2"] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }
}
