//! Folds the rows of a ledger's store into what is there, per writer, as runs: memory grows with disorder, not with the
//! number of records. What it means for the ledger is `analysis`'s business. Pure.

use crate::adapters::{ClientSettings, Row};
use crate::event::{ReadBack, WriterFindings};
use crate::model::{Found, Key, RunId};
use crate::workloads::payload;
use std::collections::{BTreeMap, BTreeSet};

const PHANTOMS: usize = 1_000;
const PHANTOM_TEXT: usize = 200;

/// A read-back that is going on.
#[derive(Debug)]
pub struct Fold {
    run: RunId,
    writers: u16,
    size: usize,
    seen: BTreeMap<u16, Seen>,
    phantoms: Vec<String>,
    phantom_count: u64,
}

/// What was seen of one writer so far.
#[derive(Debug, Default)]
struct Seen {
    /// Inclusive runs, start → end; disjoint and not adjacent.
    runs: BTreeMap<u64, u64>,
    /// Where the last run ends, to append without a search.
    highest: Option<u64>,
    corrupted: BTreeSet<u64>,
    reordered: Vec<u64>,
    /// Attempts of rows that are not the first attempt, to tell apart duplicates.
    attempts: BTreeMap<u64, u32>,
    /// All attempts of what is there more than once.
    duplicated: BTreeMap<u64, Vec<u32>>,
}

impl Fold {
    /// For a ledger with these settings.
    #[must_use]
    pub fn new(settings: &ClientSettings) -> Self {
        Self {
            run: settings.run.clone(),
            writers: settings.writers,
            size: usize::try_from(settings.payload).unwrap_or(usize::MAX),
            seen: BTreeMap::new(),
            phantoms: Vec::new(),
            phantom_count: 0,
        }
    }

    /// The next row in the server's order.
    pub fn row(&mut self, row: &Row) {
        match &row.key {
            Ok(key) if key.writer < self.writers => {
                let corrupted = payload::check(&self.run, *key, self.size, &row.payload) != Found::Intact;
                let seen = self.seen.entry(key.writer).or_default();
                seen.row(*key, row.attempt);
                if corrupted {
                    seen.corrupted.insert(key.seq);
                }
            }
            Ok(key) => self.phantom(&format!("writer {} seq {}", key.writer, key.seq)),
            Err(text) => self.phantom(text),
        }
    }

    fn phantom(&mut self, text: &str) {
        self.phantom_count += 1;
        if self.phantoms.len() < PHANTOMS {
            self.phantoms.push(text.chars().take(PHANTOM_TEXT).collect());
        }
    }

    /// All rows were handed over.
    #[must_use]
    pub fn finish(self) -> ReadBack {
        let writers = self.seen.into_iter().map(|(id, seen)| (id, seen.finish())).collect();
        ReadBack { writers, phantoms: self.phantoms, phantom_count: self.phantom_count }
    }
}

impl Seen {
    fn row(&mut self, key: Key, attempt: u32) {
        let seq = key.seq;
        let again = self.highest.is_some_and(|highest| seq <= highest) && self.contains(seq);
        if again {
            let first = self.attempts.get(&seq).copied().unwrap_or(1);
            self.duplicated.entry(seq).or_insert_with(|| vec![first]).push(attempt);
            return;
        }
        if attempt != 1 {
            self.attempts.insert(seq, attempt);
        }
        if self.highest.is_some_and(|highest| seq < highest) {
            self.reordered.push(seq);
        }
        self.insert(seq);
        self.highest = self.highest.max(Some(seq));
    }

    fn contains(&self, seq: u64) -> bool {
        self.runs.range(..=seq).next_back().is_some_and(|(_, end)| *end >= seq)
    }

    fn insert(&mut self, seq: u64) {
        let below = self.runs.range(..seq).next_back().filter(|(_, end)| **end + 1 == seq).map(|(start, _)| *start);
        let above = seq.checked_add(1).and_then(|next| self.runs.remove(&next));
        self.runs.insert(below.unwrap_or(seq), above.unwrap_or(seq));
    }

    fn finish(self) -> WriterFindings {
        let duplicated = self.duplicated.into_iter().map(|(seq, mut attempts)| {
            let rows = attempts.len();
            attempts.sort_unstable();
            let shared =
                attempts.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).map(<[u32]>::len).sum::<usize>();
            (seq, count(rows), count(shared))
        });
        WriterFindings {
            present: self.runs.into_iter().collect(),
            corrupted: self.corrupted.into_iter().collect(),
            duplicated: duplicated.collect(),
            reordered: self.reordered,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClientBehaviour;
    use proptest::prelude::*;
    use std::time::Duration;

    fn settings() -> ClientSettings {
        ClientSettings {
            run: "r".into(),
            behaviour: ClientBehaviour::Pooled,
            timeout: Duration::from_secs(1),
            writers: 2,
            payload: 16,
            rate: 1.0,
        }
    }

    fn row(writer: u16, seq: u64, attempt: u32) -> Row {
        let key = Key { writer, seq };
        Row { key: Ok(key), attempt, payload: payload::payload(&"r".into(), key, 16) }
    }

    fn fold(rows: &[Row]) -> ReadBack {
        let mut fold = Fold::new(&settings());
        rows.iter().for_each(|r| fold.row(r));
        fold.finish()
    }

    #[test]
    fn every_kind_of_finding_is_told_apart() {
        let mut torn = row(0, 5, 1);
        torn.payload.pop();
        let rows = [
            row(0, 0, 1),
            row(0, 1, 1),
            row(0, 3, 1),
            row(0, 2, 1),
            torn,
            row(1, 0, 2),
            row(1, 0, 1),
            row(0, 1, 1),
            row(0, 1, 2),
            row(2, 0, 1),
            Row { key: Err("zz".to_owned()), attempt: 1, payload: Vec::new() },
        ];
        let back = fold(&rows);
        let zero = WriterFindings {
            present: vec![(0, 3), (5, 5)],
            corrupted: vec![5],
            duplicated: vec![(1, 3, 2)],
            reordered: vec![2],
        };
        let one = WriterFindings { present: vec![(0, 0)], duplicated: vec![(0, 2, 0)], ..WriterFindings::default() };
        assert_eq!(back.writers, BTreeMap::from([(0, zero), (1, one)]));
        assert_eq!((back.phantom_count, back.phantoms), (2, vec!["writer 2 seq 0".to_owned(), "zz".to_owned()]));
    }

    #[test]
    fn the_largest_number_and_many_phantoms_are_no_trouble() {
        let mut rows = vec![row(0, u64::MAX, 1), row(0, u64::MAX - 1, 1), row(0, u64::MAX, 1)];
        rows.extend((0..2_000).map(|k| Row { key: Err(format!("x{k}")), attempt: 1, payload: Vec::new() }));
        let back = fold(&rows);
        assert_eq!(back.writers[&0].present, [(u64::MAX - 1, u64::MAX)]);
        assert_eq!((back.phantom_count, back.phantoms.len()), (2_000, PHANTOMS));
    }

    proptest! {
        #[test]
        fn runs_hold_exactly_what_was_there(seqs in prop::collection::vec(0_u64..60, 0..200)) {
            let rows: Vec<_> = seqs.iter().map(|seq| row(0, *seq, 1)).collect();
            let back = fold(&rows);
            let runs = back.writers.get(&0).map(|w| w.present.clone()).unwrap_or_default();
            let listed: Vec<u64> = runs.iter().flat_map(|(a, b)| *a..=*b).collect();
            let truth: Vec<u64> = seqs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(listed, truth);
            prop_assert!(runs.windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }
}
