//! A column of whole numbers that are mostly small: four bytes each, five in a part where one needs more, and those that
//! do not fit even then kept aside. It grows part by part, so it is never moved and nothing is reserved in vain.

use super::parts::SIZE;

/// Whole numbers by place.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    parts: Vec<Part>,
    /// Numbers that need more than five bytes, in order of their places.
    far: Vec<(usize, i64)>,
}

#[derive(Debug, Clone, Default)]
struct Part {
    /// The low four bytes of each number as zigzag.
    low: Vec<u32>,
    /// The fifth bytes, if one of them is needed.
    high: Vec<u8>,
}

/// Stands for a number that is kept aside.
const FAR: u64 = 0xff_ffff_ffff;

impl Column {
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |last| (self.parts.len() - 1) * SIZE + last.low.len())
    }

    #[inline(always)]
    pub fn get(&self, place: usize) -> i64 {
        let part = &self.parts[place / SIZE];
        let low = u64::from(part.low[place % SIZE]);
        if part.high.is_empty() { number(low) } else { self.wide(place, low) }
    }

    fn wide(&self, place: usize, low: u64) -> i64 {
        let value = u64::from(self.parts[place / SIZE].high[place % SIZE]) << 32 | low;
        if value == FAR { self.far(place) } else { number(value) }
    }

    #[cold]
    fn far(&self, place: usize) -> i64 {
        self.far.binary_search_by_key(&place, |(at, _)| *at).map_or(0, |found| self.far[found].1)
    }

    #[inline]
    pub fn push(&mut self, number: i64) {
        let mut value = (number << 1 ^ number >> 63).cast_unsigned();
        if value >= FAR {
            self.far.push((self.len(), number));
            value = FAR;
        }
        if self.parts.last().is_none_or(|last| last.low.len() == SIZE) {
            self.grow();
        }
        // There is one now.
        let Some(last) = self.parts.last_mut() else { return };
        if value >> 32 != 0 || !last.high.is_empty() {
            last.high.resize(last.low.len(), 0);
            last.high.push((value >> 32) as u8);
        }
        last.low.push(value as u32);
    }

    fn grow(&mut self) {
        // A short column does not get a whole part.
        let low = Vec::with_capacity(if self.parts.is_empty() { 0 } else { SIZE });
        self.parts.push(Part { low, high: Vec::new() });
    }

    pub fn truncate(&mut self, length: usize) {
        self.parts.truncate(length.div_ceil(SIZE));
        if let Some(last) = self.parts.last_mut() {
            let inside = length - (length - 1) / SIZE * SIZE;
            last.low.truncate(inside);
            last.high.truncate(inside);
        }
        self.far.truncate(self.far.partition_point(|(at, _)| *at < length));
    }

    /// The same numbers in another order: first the one at `order[0]`, and so on. Parts that are not needed any more are
    /// given back on the way.
    pub fn reordered(mut self, order: &[u32]) -> Self {
        let needed = super::order::needed_from(order);
        let mut column = Self::default();
        for (part, places) in order.chunks(SIZE).enumerate() {
            self.parts.iter_mut().take(needed[part] / SIZE).for_each(|part| *part = Part::default());
            places.iter().for_each(|place| column.push(self.get(*place as usize)));
        }
        column
    }

    /// Gives back the room that more numbers would have had.
    pub fn shrink(&mut self) {
        for part in &mut self.parts {
            part.low.shrink_to_fit();
            part.high.shrink_to_fit();
        }
    }
}

/// From zigzag.
fn number(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
impl Column {
    /// What it takes.
    pub fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.low.len() * 4 + part.high.len());
        parts.sum::<usize>() + size_of_val(self.far.as_slice())
    }
}
