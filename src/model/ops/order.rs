//! Puts operations in order of their due times. A log has them in order of their ends, which is nearly that: they are
//! dealt into slots of equal width first, and only the few within a slot are compared.

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
        self.tags.shrink_to_fit();
        self.writers.shrink_to_fit();
    }

    /// Are they in order of their due times?
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }

    fn by_due(&self) -> Vec<u32> {
        let all = || 0..u32::try_from(self.len()).unwrap_or(u32::MAX);
        let due = |place: &u32| self.due(*place as usize).0;
        let (first, last) =
            all().fold((i64::MAX, i64::MIN), |(lo, hi), place| (lo.min(due(&place)), hi.max(due(&place))));
        let span = last.wrapping_sub(first).cast_unsigned();
        let shift = (0..63).find(|shift| span >> shift <= self.len() as u64 / 4).unwrap_or(63);
        let slot = |place: &u32| (due(place).wrapping_sub(first).cast_unsigned() >> shift) as usize;
        let mut ends = vec![0_u32; (span >> shift) as usize + 2];
        all().for_each(|place| ends[slot(&place) + 1] += 1);
        (1..ends.len()).for_each(|i| ends[i] += ends[i - 1]);
        let mut order = vec![0_u32; self.len()];
        for place in all() {
            let next = &mut ends[slot(&place)];
            order[*next as usize] = place;
            *next += 1;
        }
        let mut from = 0;
        for end in ends {
            let slot = &mut order[from..end as usize];
            if slot.len() > 1 {
                slot.sort_unstable_by_key(|place| (due(place), self.done(*place as usize), *place));
            }
            from = end as usize;
        }
        order
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
            *column = column.reordered(order);
        }
        self.tags = order.iter().map(|place| self.tags[*place as usize]).collect();
        if !self.writers.is_empty() {
            self.writers = order.iter().map(|place| self.writers[*place as usize]).collect();
            self.seqs = self.seqs.reordered(order);
        }
        self.sorted = true;
        if let Some(last) = self.len().checked_sub(1) {
            self.last = (self.due(last).0, self.done(last).0);
        }
    }
}
