//! A long list in parts of equal size: growing it moves nothing, and the allocator can use the parts again.

/// Values in a part.
pub(super) const SIZE: usize = 1 << 15;

/// Values by place.
#[derive(Debug, Clone)]
pub(super) struct Parts<T> {
    parts: Vec<Vec<T>>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<T: Copy> Parts<T> {
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |last| (self.parts.len() - 1) * SIZE + last.len())
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    #[inline]
    pub fn get(&self, place: usize) -> T {
        self.parts[place / SIZE][place % SIZE]
    }

    #[inline]
    pub fn push(&mut self, value: T) {
        match self.parts.last_mut() {
            Some(last) if last.len() < SIZE => last.push(value),
            _ => {
                // A short list does not get a whole part.
                let mut part = Vec::with_capacity(if self.parts.is_empty() { 0 } else { SIZE });
                part.push(value);
                self.parts.push(part);
            }
        }
    }

    pub fn truncate(&mut self, length: usize) {
        self.parts.truncate(length.div_ceil(SIZE));
        if let Some(last) = self.parts.last_mut() {
            last.truncate(length - (length - 1) / SIZE * SIZE);
        }
    }

    /// Gives back the parts before this one; nobody asks for them any more.
    pub fn forget(&mut self, before: usize) {
        self.parts.iter_mut().take(before).for_each(|part| *part = Vec::new());
    }

    /// The same values in another order; see [`super::column::Column::reordered`].
    pub fn reordered(mut self, order: &[u32]) -> Self {
        let needed = super::order::needed_from(order);
        let mut parts = Self::default();
        for (part, places) in order.chunks(SIZE).enumerate() {
            self.forget(needed[part] / SIZE);
            places.iter().for_each(|place| parts.push(self.get(*place as usize)));
        }
        parts
    }

    pub fn shrink(&mut self) {
        self.parts.iter_mut().for_each(Vec::shrink_to_fit);
    }
}
