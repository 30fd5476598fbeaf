//! A column of whole numbers that are mostly small: four bytes each, five once one needs more, the few that do not fit
//! even then kept aside.

/// Whole numbers by place.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    /// The low four bytes of the number as zigzag.
    low: Vec<u32>,
    /// The fifth byte; empty until one is needed.
    high: Vec<u8>,
    /// Numbers that need more than five, in order of their places.
    far: Vec<(usize, i64)>,
}

/// Stands for a number that is kept aside.
const FAR: u64 = 0xff_ffff_ffff;

impl Column {
    pub fn len(&self) -> usize {
        self.low.len()
    }

    #[inline]
    pub fn get(&self, place: usize) -> i64 {
        let low = u64::from(self.low[place]);
        let value = self.high.get(place).map_or(low, |high| u64::from(*high) << 32 | low);
        if value == FAR { self.far(place) } else { (value >> 1).cast_signed() ^ -(value & 1).cast_signed() }
    }

    #[cold]
    fn far(&self, place: usize) -> i64 {
        self.far.binary_search_by_key(&place, |(at, _)| *at).map_or(0, |found| self.far[found].1)
    }

    #[inline]
    pub fn push(&mut self, number: i64) {
        let mut value = (number << 1 ^ number >> 63).cast_unsigned();
        if value >= FAR {
            self.far.push((self.low.len(), number));
            value = FAR;
        }
        if value >> 32 != 0 || !self.high.is_empty() {
            self.high.resize(self.low.len(), 0);
            self.high.push((value >> 32) as u8);
        }
        self.low.push(value as u32);
    }

    pub fn truncate(&mut self, length: usize) {
        self.low.truncate(length);
        self.high.truncate(length);
        self.far.truncate(self.far.partition_point(|(at, _)| *at < length));
    }

    /// The same numbers in another order: first the one at `order[0]`, and so on.
    pub fn reordered(&self, order: &[u32]) -> Self {
        let mut column = Self { low: Vec::with_capacity(order.len()), ..Self::default() };
        order.iter().for_each(|place| column.push(self.get(*place as usize)));
        column
    }

    /// Gives back the room that more numbers would have had.
    pub fn shrink(&mut self) {
        self.low.shrink_to_fit();
        self.high.shrink_to_fit();
    }
}

#[cfg(test)]
impl Column {
    /// What it takes.
    pub fn bytes(&self) -> usize {
        self.low.len() * 4 + self.high.len() + size_of_val(self.far.as_slice())
    }
}
