//! Checks the payload of a store's rows, and folds them into what is there, per writer. What it means for the ledger is
//! `analysis`'s business. Pure.

use crate::adapters::{ClientSettings, Row};
use crate::event::ReadBack;
use crate::ledger::{Order, Sight};
use crate::model::RunId;
use crate::workloads::payload;

/// A read-back that is going on.
#[derive(Debug)]
pub struct Fold {
    run: RunId,
    size: usize,
    sight: Sight,
}

impl Fold {
    /// For a ledger with these settings.
    #[must_use]
    pub fn new(settings: &ClientSettings) -> Self {
        let size = usize::try_from(settings.payload).unwrap_or(usize::MAX);
        Self { run: settings.run.clone(), size, sight: Sight::new(settings.writers) }
    }

    /// The next row in the server's order.
    pub fn row(&mut self, row: &Row) {
        self.row_in(Order::Ascending, row);
    }

    /// The next row of those that are read, when not all are.
    pub fn row_in(&mut self, order: Order, row: &Row) {
        match &row.key {
            Ok(key) => {
                let found = payload::check(&self.run, *key, self.size, &row.payload);
                self.sight.row_in(order, *key, row.attempt, found);
            }
            Err(text) => self.sight.phantom(text),
        }
    }

    /// These records are as expected; no row of them is handed over.
    pub fn whole(&mut self, writer: u16, from: u64, to: u64) {
        self.sight.whole(writer, from, to);
    }

    /// All rows were handed over.
    #[must_use]
    pub fn finish(self) -> ReadBack {
        self.sight.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WriterFindings;
    use crate::model::{ClientBehaviour, Key};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
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
        assert_eq!((back.phantom_count, back.phantoms.len()), (2_000, 1_000));
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
