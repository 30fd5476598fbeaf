//! Puts operations in order of their due times. A log has them in order of their ends, which is nearly that: they are
//! dealt into slots of equal width first, and only the few within a slot are compared.

use super::parts::SIZE;
use super::{CHUNK, Column, Ops};

impl Ops {
    /// Orders them by due time, those due together by their end. Takes five bytes an operation while it lasts, and a
    /// column.
    pub fn sort(&mut self) {
        if !self.sorted {
            let order = self.by_due();
            self.take_order(&order);
        }
        let columns = [&mut self.due, &mut self.lag, &mut self.took, &mut self.seqs];
        columns.into_iter().for_each(Column::shrink);
        self.tags.shrink();
        self.writers.shrink();
    }

    /// Are they in order of their due times?
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }

    fn by_due(&self) -> Vec<u32> {
        let all = || 0..u32::try_from(self.len()).unwrap_or(u32::MAX);
        let span = self.bounds.1.wrapping_sub(self.bounds.0).cast_unsigned();
        let shift = (0..63).find(|shift| span >> shift <= self.len() as u64 / 4).unwrap_or(63);
        let slot = |place: u32| {
            let due = self.due(place as usize).0;
            (due.wrapping_sub(self.bounds.0).cast_unsigned() >> shift) as usize
        };
        let mut ends = vec![0_u32; (span >> shift) as usize + 2];
        all().for_each(|place| ends[slot(place) + 1] += 1);
        (1..ends.len()).for_each(|i| ends[i] += ends[i - 1]);
        let mut order = vec![0_u32; self.len()];
        for place in all() {
            let next = &mut ends[slot(place)];
            order[*next as usize] = place;
            *next += 1;
        }
        let (mut from, mut keys) = (0, Vec::new());
        for end in ends {
            self.sort_slot(&mut order[from..end as usize], &mut keys);
            from = end as usize;
        }
        order
    }

    /// The few of one slot; `keys` is kept from slot to slot.
    fn sort_slot(&self, slot: &mut [u32], keys: &mut Vec<(i64, i64, u32)>) {
        if slot.len() < 2 {
            return;
        }
        keys.clear();
        keys.extend(slot.iter().map(|place| {
            let due = self.due(*place as usize).0;
            (due, due.wrapping_add(self.latency(*place as usize)), *place)
        }));
        keys.sort_unstable();
        slot.iter_mut().zip(keys).for_each(|(place, key)| *place = key.2);
    }

    fn take_order(&mut self, order: &[u32]) {
        let mut due = Column::default();
        let mut bases = Vec::with_capacity(self.bases.len());
        for (place, old) in order.iter().enumerate() {
            let at = self.due(*old as usize).0;
            if place.is_multiple_of(CHUNK) {
                bases.push(at);
            }
            due.push(at.wrapping_sub(bases[place / CHUNK]));
        }
        (self.bases, self.due) = (bases, due);
        for column in [&mut self.lag, &mut self.took] {
            *column = std::mem::take(column).reordered(order);
        }
        self.tags = std::mem::take(&mut self.tags).reordered(order);
        if !self.writers.is_empty() {
            self.writers = std::mem::take(&mut self.writers).reordered(order);
            self.seqs = std::mem::take(&mut self.seqs).reordered(order);
        }
        self.sorted = true;
        if let Some(last) = self.len().checked_sub(1) {
            self.last = (self.due(last).0, self.done(last).0);
        }
    }
}

/// For every part of an order, the first place that it or a later one names.
pub(super) fn needed_from(order: &[u32]) -> Vec<usize> {
    let first = |part: &[u32]| part.iter().copied().min().map_or(usize::MAX, |place| place as usize);
    let mut needed: Vec<usize> = order.chunks(SIZE).map(first).collect();
    (1..needed.len()).rev().for_each(|part| needed[part - 1] = needed[part - 1].min(needed[part]));
    needed
}
