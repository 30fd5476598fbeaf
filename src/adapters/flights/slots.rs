//! Things in numbered places that are used again. A place's turn tells its things apart, so that late news about one
//! that is gone is never taken for news about the next. Pure.

/// One thing in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    place: u32,
    turn: u32,
}

impl Token {
    /// As the kernel carries it.
    pub fn bits(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.place)
    }

    /// Back from there.
    pub fn from_bits(bits: u64) -> Self {
        Self { place: bits as u32, turn: (bits >> 32) as u32 }
    }
}

/// The places.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts a thing where there is room.
    pub fn put(&mut self, thing: T) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            (self.places.len() - 1) as u32
        });
        let (turn, slot) = &mut self.places[place as usize];
        *slot = Some(thing);
        Token { place, turn: *turn }
    }

    /// It, unless it is gone.
    pub fn get(&mut self, token: Token) -> Option<&mut T> {
        let (turn, slot) = self.places.get_mut(token.place as usize)?;
        slot.as_mut().filter(|_| *turn == token.turn)
    }

    /// Takes it out; its token is worth nothing from now on.
    pub fn take(&mut self, token: Token) -> Option<T> {
        let (turn, slot) = self.places.get_mut(token.place as usize)?;
        if *turn != token.turn {
            return None;
        }
        let thing = slot.take()?;
        // The highest turns belong to tokens that are none.
        *turn = (*turn + 1) % (u32::MAX - 1);
        self.free.push(token.place);
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_an_old_token_is_worth_nothing() {
        let mut slots = Slots::new();
        let first = slots.put('a');
        assert_eq!(Token::from_bits(first.bits()), first);
        assert_eq!((slots.take(first), slots.take(first)), (Some('a'), None));
        let second = slots.put('b');
        assert_eq!((second.place, slots.get(first)), (first.place, None));
        assert_eq!(slots.get(second), Some(&mut 'b'));
        let third = slots.put('c');
        assert_ne!(third.place, second.place);
    }
}
