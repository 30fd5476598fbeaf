//! Items by number: a plain vector while numbers grow step by step, a tree for those far beyond. A wild number (a
//! phantom's) then costs one item, not a vector up to it.

use std::collections::BTreeMap;

/// A number this far beyond the vector's end is still near: writers are a little ahead of one another.
const NEAR: u64 = 64;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    near: Vec<T>,
    far: BTreeMap<u64, T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { near: Vec::new(), far: BTreeMap::new() }
    }
}

impl<T: Default> Table<T> {
    /// The item of that number, made if it is not there.
    #[inline]
    pub fn at(&mut self, number: u64) -> &mut T {
        if number < self.near.len() as u64 {
            return &mut self.near[number as usize];
        }
        self.beyond(number)
    }

    #[cold]
    fn beyond(&mut self, number: u64) -> &mut T {
        let length = self.near.len() as u64;
        if number >= length + NEAR {
            return self.far.entry(number).or_default();
        }
        for next in length..=number {
            let item = self.far.remove(&next).unwrap_or_default();
            self.near.push(item);
        }
        &mut self.near[number as usize]
    }

    /// The item of that number, if it was made.
    pub fn get(&self, number: u64) -> Option<&T> {
        match usize::try_from(number).ok().and_then(|place| self.near.get(place)) {
            Some(item) => Some(item),
            None => self.far.get(&number),
        }
    }

    /// All items in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let near = self.near.iter().enumerate().map(|(number, item)| (number as u64, item));
        near.chain(self.far.iter().map(|(number, item)| (*number, item)))
    }

    /// Bytes of the items themselves, without what they point at.
    pub fn bytes(&self) -> usize {
        self.near.capacity() * size_of::<T>() + self.far.len() * (size_of::<T>() + size_of::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_numbers_cost_one_item_and_are_found_again_when_the_vector_gets_there() {
        let mut table = Table::<u32>::default();
        *table.at(u64::MAX) = 1;
        *table.at(200) = 2;
        for number in 0..300 {
            *table.at(number) += 10;
        }
        assert_eq!((table.get(200), table.get(u64::MAX), table.get(301)), (Some(&12), Some(&1), None));
        let numbers: Vec<u64> = table.iter().map(|(number, _)| number).collect();
        assert!(numbers.is_sorted() && numbers.len() == 301);
        assert!(table.bytes() < 16 * 1024);
    }
}
