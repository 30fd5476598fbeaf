//! A read-back that asks for sums before it asks for rows: count and maximum of each writer, then sums of blocks of 4,096
//! rows, then the rows of blocks that are not as expected. What it finds is what reading every row finds.

use super::read_back::Fold;
use crate::adapters::row_hash::{BlockHash, Hashing};
use crate::adapters::snapshot::{BlockSum, Snapshot, Which};
use crate::adapters::{AdapterError, ClientSettings, LedgerStore};
use crate::event::ReadBack;
use crate::ledger::{BLOCK, Expected, Ledger, Order};
use crate::model::{Key, RunId};
use crate::workloads::payload;
use std::collections::BTreeMap;

/// A store with no more rows is read whole: sums would save nothing.
pub const FEW: u64 = 20_000;

/// What was asked of the store, for whoever wants to know what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Blocks that the store summed up.
    pub blocks: u64,
    /// Rows that it sent.
    pub rows: u64,
}

/// Reads back what is in the store now. `ledger` is what was recorded up to a moment before; what came in since makes its
/// block differ. Stores with at most `few` rows, and those that cannot sum up, are read whole.
///
/// # Errors
/// When the store could not be read to its end.
pub async fn read_back(
    store: &dyn LedgerStore,
    settings: &ClientSettings,
    ledger: Ledger,
    few: u64,
) -> Result<(ReadBack, Asked), AdapterError> {
    let Some(mut snapshot) = store.snapshot().await? else {
        let (mut fold, mut rows) = (Fold::new(settings), 0);
        store
            .read_back(&mut |row| {
                rows += 1;
                fold.row(&row);
            })
            .await?;
        return Ok((fold.finish(), Asked { blocks: 0, rows }));
    };
    let stored: u64 = snapshot.writers().await?.iter().map(|writer| writer.count).sum();
    if stored <= few {
        return rows(&mut *snapshot, settings, &Plan::default()).await;
    }
    let (run, size) = (settings.run.clone(), usize::try_from(settings.payload).unwrap_or(usize::MAX));
    // Hashing what is expected takes about as long as the server needs for hashing what is there.
    let hashing = snapshot.hashing();
    let expected = tokio::task::spawn_blocking(move || expect(ledger, &run, size, hashing));
    let sums = snapshot.blocks().await?;
    let expected =
        expected.await.map_err(|e| AdapterError::Other(format!("summing up what is expected of the ledger: {e}")))?;
    let plan = Plan::of(&expected, &sums);
    let (found, asked) = rows(&mut *snapshot, settings, &plan).await?;
    Ok((found, Asked { blocks: sums.len() as u64, ..asked }))
}

/// A block as it must be, and its sums; none if they decide nothing.
struct Sums {
    block: Expected,
    hashes: Option<(u64, u64)>,
}

fn expect(mut ledger: Ledger, run: &RunId, size: usize, hashing: Hashing) -> Vec<Sums> {
    let sums = |block: Expected| {
        let hashes = (!block.in_doubt).then(|| hashes(&block, run, size, hashing));
        Sums { block, hashes }
    };
    ledger.expected().into_iter().map(sums).collect()
}

/// The sum of the rows' hashes, and the hash of their order.
fn hashes(block: &Expected, run: &RunId, size: usize, hashing: Hashing) -> (u64, u64) {
    let mut hash = BlockHash::of(hashing);
    for seq in block.acked.iter().flat_map(|(from, to)| *from..=*to) {
        let bytes = payload::payload(run, Key { writer: block.writer, seq }, size);
        hash.push(seq, &bytes);
    }
    hash.finish()
}

impl Sums {
    fn matches(&self, found: &BlockSum) -> bool {
        let (Some((from, _)), Some((_, to))) = (self.block.acked.first(), self.block.acked.last()) else {
            return false;
        };
        let ends = (i64::try_from(*from), i64::try_from(*to)) == (Ok(found.min), Ok(found.max));
        ends && found.count == self.block.count() && self.hashes == Some((found.sum, found.order))
    }
}

/// Which rows have to be read, and what is known without them.
#[derive(Default)]
struct Plan {
    /// None: all.
    differ: Option<Vec<(i32, i64)>>,
    /// Writer and run of what is there as expected.
    whole: Vec<(u16, u64, u64)>,
    /// The first place of all later blocks of the writer: a row behind it is behind a larger number.
    later: BTreeMap<(i32, i64), i64>,
}

impl Plan {
    fn of(expected: &[Sums], found: &[BlockSum]) -> Self {
        let by_name: BTreeMap<(i32, i64), &Sums> = expected.iter().map(|sums| (name(&sums.block), sums)).collect();
        let mut ordered: Vec<&BlockSum> = found.iter().collect();
        ordered.sort_unstable_by_key(|sum| (sum.writer, sum.block));
        let mut later: BTreeMap<(i32, i64), i64> = BTreeMap::new();
        let (mut writer, mut first) = (None, i64::MAX);
        for sum in ordered.iter().rev() {
            if writer != Some(sum.writer) {
                (writer, first) = (Some(sum.writer), i64::MAX);
            }
            later.insert((sum.writer, sum.block), first);
            first = first.min(sum.first);
        }
        let behind = |sum: &BlockSum| later.get(&(sum.writer, sum.block)).is_some_and(|first| sum.last > *first);
        let (mut differ, mut whole) = (Vec::new(), Vec::new());
        for sum in ordered {
            match by_name.get(&(sum.writer, sum.block)) {
                Some(expected) if expected.matches(sum) && !behind(sum) => {
                    let Expected { writer, acked, .. } = &expected.block;
                    whole.extend(acked.iter().map(|(from, to)| (*writer, *from, *to)));
                }
                _ => differ.push((sum.writer, sum.block)),
            }
        }
        // Finding single blocks costs more than passing the others by.
        if differ.len() * 2 > found.len() { Self::default() } else { Self { differ: Some(differ), whole, later } }
    }
}

fn name(block: &Expected) -> (i32, i64) {
    (i32::from(block.writer), block.block.cast_signed())
}

async fn rows(
    snapshot: &mut dyn Snapshot,
    settings: &ClientSettings,
    plan: &Plan,
) -> Result<(ReadBack, Asked), AdapterError> {
    let (mut fold, mut rows) = (Fold::new(settings), 0);
    let which = plan.differ.clone().map_or(Which::All, Which::Blocks);
    if which != Which::Blocks(Vec::new()) {
        let mut take = |place: i64, row: crate::adapters::Row| {
            rows += 1;
            let of = |key: &Key| (i32::from(key.writer), (key.seq / BLOCK).cast_signed());
            let later = row.key.as_ref().ok().and_then(|key| plan.later.get(&of(key)));
            let behind = later.is_some_and(|first| place > *first);
            fold.row_in(if behind { Order::Behind } else { Order::Ascending }, &row);
        };
        snapshot.rows(&which, &mut take).await?;
    }
    for (writer, from, to) in &plan.whole {
        fold.whole(*writer, *from, *to);
    }
    Ok((fold.finish(), Asked { blocks: 0, rows }))
}

#[cfg(test)]
mod tests;
