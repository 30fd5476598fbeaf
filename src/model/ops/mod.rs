//! The operations of a workload as columns: 13 bytes each (19 with a key, up to 23 when answers take longer than two
//! seconds), because a record holds tens of millions of them. They come out as [`OpRecord`] values or column by column.
//! What they mean is `analysis`'s business; `order` puts them in order of their due times.

mod column;
mod order;
mod parts;

use super::tag::Tag;
use super::{Action, Found, Key, Mono, OpRecord, Outcome};
use column::Column;
use parts::Parts;

/// Operations, in the order in which they were pushed, or by due time after [`Ops::sort`].
#[derive(Debug, Clone)]
pub struct Ops {
    /// The first due time of every `CHUNK` operations; `due` counts from it.
    bases: Vec<i64>,
    due: Column,
    /// sent − due.
    lag: Column,
    /// done − sent.
    took: Column,
    tags: Parts<Tag>,
    /// Writers and sequence numbers; empty until an operation has a key.
    writers: Parts<u16>,
    seqs: Column,
    sorted: bool,
    last: (i64, i64),
    bounds: (i64, i64),
}

const CHUNK: usize = 256;

impl Default for Ops {
    fn default() -> Self {
        Self::new()
    }
}

impl Ops {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bases: Vec::new(),
            due: Column::default(),
            lag: Column::default(),
            took: Column::default(),
            tags: Parts::default(),
            writers: Parts::default(),
            seqs: Column::default(),
            sorted: true,
            last: (i64::MIN, i64::MIN),
            bounds: (i64::MAX, i64::MIN),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Adds one at the end.
    #[inline]
    pub fn push(&mut self, op: OpRecord) {
        let (due, sent, done) = (op.due.0, op.sent.0, op.done.0);
        if self.tags.len().is_multiple_of(CHUNK) {
            self.bases.push(due);
        }
        let base = self.bases.last().copied().unwrap_or(0);
        self.due.push(due.wrapping_sub(base));
        self.lag.push(sent.wrapping_sub(due));
        self.took.push(done.wrapping_sub(sent));
        if op.key.is_some() || !self.writers.is_empty() {
            self.push_key(op.key);
        }
        self.tags.push(Tag::of(&op));
        self.sorted &= self.last <= (due, done);
        self.last = (due, done);
        self.bounds.0 = self.bounds.0.min(due).min(sent).min(done);
        self.bounds.1 = self.bounds.1.max(due).max(sent).max(done);
    }

    fn push_key(&mut self, key: Option<Key>) {
        // Those before the first that has a key.
        while self.seqs.len() < self.tags.len() {
            self.writers.push(0);
            self.seqs.push(0);
        }
        let Key { writer, seq } = key.unwrap_or(Key { writer: 0, seq: 0 });
        self.writers.push(writer);
        self.seqs.push(seq.cast_signed());
    }

    /// Keeps only the first `length`.
    pub fn truncate(&mut self, length: usize) {
        if length >= self.len() {
            return;
        }
        self.bases.truncate(length.div_ceil(CHUNK));
        let columns = [&mut self.due, &mut self.lag, &mut self.took, &mut self.seqs];
        columns.into_iter().for_each(|column| column.truncate(length));
        self.tags.truncate(length);
        self.writers.truncate(length);
        self.last = length.checked_sub(1).map_or((i64::MIN, i64::MIN), |last| (self.due(last).0, self.done(last).0));
    }

    /// Changes them as a list; for few operations, as tests have them.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<OpRecord>)) {
        let mut list = self.to_vec();
        change(&mut list);
        *self = list.into();
    }

    /// All of them as a list, in their order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<OpRecord> {
        self.iter().collect()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = OpRecord> + ExactSizeIterator + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    /// The operation at a place.
    #[must_use]
    pub fn at(&self, place: usize) -> OpRecord {
        let (due, tag) = (self.due(place), self.tag(place));
        let sent = Mono(due.0.wrapping_add(self.lag.get(place)));
        let done = Mono(sent.0.wrapping_add(self.took.get(place)));
        let (action, outcome, found) = (tag.action(), tag.outcome(), tag.found());
        OpRecord { due, sent, done, action, outcome, key: self.key(place), found }
    }

    /// When the schedule wanted it.
    #[inline]
    #[must_use]
    pub fn due(&self, place: usize) -> Mono {
        Mono(self.bases[place / CHUNK].wrapping_add(self.due.get(place)))
    }

    /// When it was sent.
    #[inline]
    #[must_use]
    pub fn sent(&self, place: usize) -> Mono {
        Mono(self.due(place).0.wrapping_add(self.lag.get(place)))
    }

    /// When it ended.
    #[inline]
    #[must_use]
    pub fn done(&self, place: usize) -> Mono {
        Mono(self.sent(place).0.wrapping_add(self.took.get(place)))
    }

    /// sent − due, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn lateness(&self, place: usize) -> i64 {
        self.lag.get(place)
    }

    /// done − due, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn latency(&self, place: usize) -> i64 {
        self.lag.get(place).wrapping_add(self.took.get(place))
    }

    /// What it did.
    #[inline]
    #[must_use]
    pub fn action(&self, place: usize) -> Action {
        self.tag(place).action()
    }

    /// What became of it.
    #[inline]
    #[must_use]
    pub fn outcome(&self, place: usize) -> Outcome {
        self.tag(place).outcome()
    }

    /// What it found.
    #[inline]
    #[must_use]
    pub fn found(&self, place: usize) -> Option<Found> {
        self.tag(place).found()
    }

    /// The ledger record it wrote or read.
    #[inline]
    #[must_use]
    pub fn key(&self, place: usize) -> Option<Key> {
        let key = || Key { writer: self.writers.get(place), seq: self.seqs.get(place).cast_unsigned() };
        self.tag(place).keyed().then(key)
    }

    /// Acknowledged, and no later than `deadline` nanoseconds after it was due?
    #[inline]
    #[must_use]
    pub fn served(&self, place: usize, deadline: i64) -> bool {
        matches!(self.outcome(place), Outcome::Ok | Outcome::OkLocal) && self.latency(place) <= deadline
    }

    #[inline]
    fn tag(&self, place: usize) -> Tag {
        self.tags.get(place)
    }

    /// No time of any operation lies before the first or after the second of these moments; the first is after the
    /// second if there are none.
    #[must_use]
    pub fn bounds(&self) -> (Mono, Mono) {
        (Mono(self.bounds.0), Mono(self.bounds.1))
    }
}

impl PartialEq for Ops {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Extend<OpRecord> for Ops {
    fn extend<I: IntoIterator<Item = OpRecord>>(&mut self, ops: I) {
        ops.into_iter().for_each(|op| self.push(op));
    }
}

impl FromIterator<OpRecord> for Ops {
    fn from_iter<I: IntoIterator<Item = OpRecord>>(iter: I) -> Self {
        let mut ops = Self::new();
        ops.extend(iter);
        ops
    }
}

impl From<Vec<OpRecord>> for Ops {
    fn from(list: Vec<OpRecord>) -> Self {
        list.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
