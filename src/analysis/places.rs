//! Which of a workload's operations are meant, as places in order of due time. Mostly all of them, and then nothing is
//! stored.

use crate::model::{Action, Ops};

/// Places of operations, ascending.
#[derive(Debug, Clone)]
pub(super) enum Places {
    /// The first so many.
    First(usize),
    /// Only these.
    These(Vec<u32>),
}

impl Places {
    /// Those of one action.
    pub fn of(ops: &Ops, action: Action) -> Self {
        Self::First(ops.len()).filtered(|place| ops.action(place) == action)
    }

    /// Those of these that are good for something.
    pub fn filtered(&self, mut good: impl FnMut(usize) -> bool) -> Self {
        let mut kept = Self::First(0);
        self.iter().filter(|place| good(*place)).for_each(|place| kept.push(place, self.len()));
        kept
    }

    fn push(&mut self, place: usize, most: usize) {
        match self {
            Self::First(count) if *count == place => *count += 1,
            Self::First(count) => {
                let mut these = Vec::with_capacity(most);
                these.extend(0..*count as u32);
                these.push(place as u32);
                *self = Self::These(these);
            }
            Self::These(these) => these.push(place as u32),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::First(count) => *count,
            Self::These(these) => these.len(),
        }
    }

    /// The place of the `i`th of them.
    #[inline]
    pub fn get(&self, i: usize) -> usize {
        match self {
            Self::First(_) => i,
            Self::These(these) => these[i] as usize,
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// How many of them, from the first on, are before something.
    pub fn partition_point(&self, from: usize, mut before: impl FnMut(usize) -> bool) -> usize {
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
