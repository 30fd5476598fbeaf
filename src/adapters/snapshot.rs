//! A ledger's store at one moment, as a read-back asks for it: how much is there, sums by block, rows. What is asked in
//! which order, and what the answers mean, is `exec`'s business.

use super::{AdapterError, Fut, Row, row_hash};
use crate::ledger::BLOCK;
use crate::model::Key;
use std::collections::BTreeMap;

/// How many rows of one writer there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterSum {
    /// The writer, as the store has it.
    pub writer: i32,
    /// Rows.
    pub count: u64,
    /// The largest sequence number.
    pub max: i64,
}

/// The rows of one writer whose sequence numbers divided by 4,096 are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSum {
    /// The writer, as the store has it.
    pub writer: i32,
    /// The sequence numbers divided by 4,096, rounded down.
    pub block: i64,
    /// Rows.
    pub count: u64,
    /// The smallest sequence number.
    pub min: i64,
    /// The largest.
    pub max: i64,
    /// The sum of the rows' hashes (see [`super::row_hash`]), modulo 2⁶⁴.
    pub sum: u64,
    /// The hash of the sequence numbers in the server's order.
    pub order: u64,
    /// The first place in the server's order.
    pub first: i64,
    /// The last.
    pub last: i64,
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of the run.
    All,
    /// Those of these blocks: writer and block, ascending.
    Blocks(Vec<(i32, i64)>),
}

impl Which {
    /// Is the row of this key one of them?
    #[must_use]
    pub fn holds(&self, key: Key) -> bool {
        let name = (i32::from(key.writer), (key.seq / BLOCK).cast_signed());
        match self {
            Self::All => true,
            Self::Blocks(blocks) => blocks.binary_search(&name).is_ok(),
        }
    }
}

/// A store at one moment; all answers are about the same rows.
pub trait Snapshot: Send {
    /// How it hashes rows.
    fn hashing(&self) -> row_hash::Hashing {
        row_hash::Hashing::default()
    }
    /// Level one.
    fn writers(&mut self) -> Fut<'_, Result<Vec<WriterSum>, AdapterError>>;
    /// Level two.
    fn blocks(&mut self) -> Fut<'_, Result<Vec<BlockSum>, AdapterError>>;
    /// Level three: rows in the server's order, each with its place in it.
    fn rows<'a>(
        &'a mut self,
        which: &'a Which,
        row: &'a mut (dyn FnMut(i64, Row) + Send),
    ) -> Fut<'a, Result<(), AdapterError>>;
}

/// Sums rows up, for stores of our own.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    blocks: BTreeMap<(i32, i64), (BlockSum, row_hash::OrderHash)>,
}

impl Summary {
    /// The next row in the server's order.
    pub fn row(&mut self, place: i64, key: Key, payload: &[u8]) {
        let (writer, block, seq) = (i32::from(key.writer), (key.seq / BLOCK).cast_signed(), key.seq.cast_signed());
        let new = || {
            let (count, sum, order) = (0, 0, 0);
            let sum = BlockSum { writer, block, count, min: seq, max: seq, sum, order, first: place, last: place };
            (sum, row_hash::OrderHash::default())
        };
        let (sum, order) = self.blocks.entry((writer, block)).or_insert_with(new);
        order.push(key.seq);
        sum.count += 1;
        (sum.min, sum.max) = (sum.min.min(seq), sum.max.max(seq));
        sum.sum = sum.sum.wrapping_add(row_hash::row(key.seq, payload));
        (sum.order, sum.last) = (order.value(), place);
    }

    /// All blocks.
    #[must_use]
    pub fn finish(self) -> Vec<BlockSum> {
        self.blocks.into_values().map(|(sum, _)| sum).collect()
    }
}

/// Level one from level two.
#[must_use]
pub fn by_writer(blocks: &[BlockSum]) -> Vec<WriterSum> {
    let mut writers: BTreeMap<i32, WriterSum> = BTreeMap::new();
    for BlockSum { writer, count, max, .. } in blocks {
        let sum = writers.entry(*writer).or_insert(WriterSum { writer: *writer, count: 0, max: *max });
        (sum.count, sum.max) = (sum.count + count, sum.max.max(*max));
    }
    writers.into_values().collect()
}

impl BlockSum {
    /// As a line of the embedded staging's protocol.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { writer, block, count, min, max, sum, order, first, last } = self;
        format!("{writer} {block} {count} {min} {max} {sum} {order} {first} {last}")
    }

    /// Reads such a line.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let block = Self {
            writer: words.next()?.parse().ok()?,
            block: words.next()?.parse().ok()?,
            count: words.next()?.parse().ok()?,
            min: words.next()?.parse().ok()?,
            max: words.next()?.parse().ok()?,
            sum: words.next()?.parse().ok()?,
            order: words.next()?.parse().ok()?,
            first: words.next()?.parse().ok()?,
            last: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(block)
    }
}
