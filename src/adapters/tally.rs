//! What a store holds of a run, in three numbers a writer: cheap enough to be asked for several times a second, to see when
//! several sites hold the same.

use super::{AdapterError, LedgerStore};
use std::collections::BTreeMap;

/// Sequence numbers by writer, inclusive: nothing above them is counted, and no other writer.
pub type Frontier = BTreeMap<u16, u64>;

/// What is there of one writer. Two sites with the same numbers hold the same number of records up to the same one; the sum
/// tells apart most of those that hold other ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rows.
    pub count: u64,
    /// The highest sequence number.
    pub highest: u64,
    /// The sum of all sequence numbers.
    pub sum: u128,
}

impl Tally {
    /// One row more.
    pub fn add(&mut self, seq: u64) {
        self.count += 1;
        self.highest = self.highest.max(seq);
        self.sum += u128::from(seq);
    }
}

/// By reading everything: for stores that cannot count by themselves.
pub(super) async fn by_reading<S: LedgerStore + ?Sized>(
    store: &S,
    upto: Option<&Frontier>,
) -> Result<BTreeMap<u16, Tally>, AdapterError> {
    let mut all: BTreeMap<u16, Tally> = BTreeMap::new();
    store
        .read_back(&mut |row| {
            let Ok(key) = row.key else { return };
            if upto.is_none_or(|upto| upto.get(&key.writer).is_some_and(|last| key.seq <= *last)) {
                all.entry(key.writer).or_default().add(key.seq);
            }
        })
        .await?;
    Ok(all)
}
