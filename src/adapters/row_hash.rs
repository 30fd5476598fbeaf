//! The hashes that a store and the runner compute alike: of a row's number and payload, and of the order of numbers in a
//! block. There are two kinds, for a server can only compute what it has. The first are those of PostgreSQL's `hash_array_extended`, so that a server computes them by itself; whether one
//! really computes the same, the read-back asks before it relies on it. Underneath is Bob Jenkins's lookup3 (public
//! domain, burtleburtle.net/bob/c/lookup3.c), with the seed mixed in first. The second is the beginning of a SHA-256, which
//! MySQL and MariaDB have.

use sha2::{Digest, Sha256};

/// Which hashes a store computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hashing {
    /// As PostgreSQL's arrays.
    #[default]
    Lookup3,
    /// The first eight bytes of a SHA-256: of `NUMBER:PAYLOAD`, and of the numbers' places in their block with commas
    /// between them.
    Sha256,
}

/// The sum of a block's rows, and the hash of their order.
#[derive(Clone)]
pub struct BlockHash {
    hashing: Hashing,
    sum: u64,
    order: OrderHash,
    places: Sha256,
    rows: u64,
}

impl BlockHash {
    /// Of no rows yet.
    #[must_use]
    pub fn of(hashing: Hashing) -> Self {
        Self { hashing, sum: 0, order: OrderHash::default(), places: Sha256::new(), rows: 0 }
    }

    /// The next row in the server's order.
    pub fn push(&mut self, seq: u64, payload: &[u8]) {
        match self.hashing {
            Hashing::Lookup3 => {
                self.sum = self.sum.wrapping_add(row(seq, payload));
                self.order.push(seq);
            }
            Hashing::Sha256 => {
                let digest = Sha256::new().chain_update(format!("{seq}:")).chain_update(payload).finalize();
                self.sum = self.sum.wrapping_add(beginning(&digest));
                let comma = if self.rows == 0 { "" } else { "," };
                self.places.update(format!("{comma}{}", seq % crate::ledger::BLOCK));
            }
        }
        self.rows += 1;
    }

    /// The sum, modulo 2⁶⁴, and the hash of the order.
    #[must_use]
    pub fn finish(self) -> (u64, u64) {
        match self.hashing {
            Hashing::Lookup3 => (self.sum, self.order.value()),
            Hashing::Sha256 => (self.sum, beginning(&self.places.finalize())),
        }
    }
}

fn beginning(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Covers a row: its sequence number and its payload.
#[must_use]
pub fn row(seq: u64, payload: &[u8]) -> u64 {
    FIRST.wrapping_mul(FACTOR).wrapping_add(bytes(payload, seq))
}

/// Covers the order of numbers in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderHash(u64);

impl Default for OrderHash {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl OrderHash {
    /// The next number of the block in the server's order.
    pub fn push(&mut self, seq: u64) {
        let offset = (seq % crate::ledger::BLOCK) as u32;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(word(offset));
    }

    /// The hash of all so far.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

/// An array's hash is 31·hash + element, from 1 on.
const FIRST: u64 = 1;
const FACTOR: u64 = 31;

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: u32, seed: u64) -> Self {
        let start = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
        let mut state = Self { a: start, b: start, c: start };
        if seed != 0 {
            state.add((seed >> 32) as u32, seed as u32, 0);
            state.mix();
        }
        state
    }

    fn add(&mut self, a: u32, b: u32, c: u32) {
        (self.a, self.b, self.c) = (self.a.wrapping_add(a), self.b.wrapping_add(b), self.c.wrapping_add(c));
    }

    /// lookup3's mix: six rounds, the three words taking turns.
    fn mix(&mut self) {
        let (mut a, mut b, mut c) = (self.a, self.b, self.c);
        for shift in [4, 6, 8, 16, 19, 4] {
            a = a.wrapping_sub(c) ^ c.rotate_left(shift);
            c = c.wrapping_add(b);
            (a, b, c) = (b, c, a);
        }
        (self.a, self.b, self.c) = (a, b, c);
    }

    /// lookup3's final mix: seven rounds.
    fn finish(self) -> u64 {
        let (mut a, mut b, mut c) = (self.a, self.b, self.c);
        for shift in [14, 11, 25, 16, 4, 14, 24] {
            c = (c ^ b).wrapping_sub(b.rotate_left(shift));
            (a, b, c) = (b, c, a);
        }
        // After seven rounds the words have turned by one.
        let (b, c) = (a, b);
        u64::from(b) << 32 | u64::from(c)
    }
}

fn bytes(data: &[u8], seed: u64) -> u64 {
    let mut state = State::new(data.len() as u32, seed);
    let mut chunks = data.chunks_exact(12);
    let number = |part: &[u8]| part.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    for chunk in &mut chunks {
        state.add(number(&chunk[..4]), number(&chunk[4..8]), number(&chunk[8..]));
        state.mix();
    }
    let mut rest = chunks.remainder().chunks(4).map(number);
    let mut next = || rest.next().unwrap_or(0);
    // The lowest byte of the third word is the length's.
    let (a, b, c) = (next(), next(), next() << 8);
    state.add(a, b, c);
    state.finish()
}

fn word(value: u32) -> u64 {
    let mut state = State::new(4, 0);
    state.add(value, 0, 0);
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MariaDB 10.11 answers `conv(left(sha2(…, 256), 16), 16, 10)`.
    #[test]
    fn they_are_those_of_a_server_with_sha_256() {
        let mut block = BlockHash::of(Hashing::Sha256);
        block.push(4096 + 1, b"abc");
        block.push(4096 + 2, b"");
        let (sum, order) = block.finish();
        assert_eq!((sum, order), (1_349_839_025_726_932_171, 1_727_323_523_078_848_374));
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn they_are_those_of_postgresql() {
        assert_eq!(row(0, &[0]).cast_signed(), -4_194_760_714_999_882_620);
        let bytes: Vec<u8> = (1..=14).collect();
        assert_eq!(row(77, &bytes).cast_signed(), -4_331_223_453_254_659_768);
        let mut order = OrderHash::default();
        order.push(4096 + 1);
        order.push(4096 + 2);
        assert_eq!(order.value().cast_signed(), 539_583_254_774_067_761);
        let mut order = OrderHash::default();
        order.push(4095);
        assert_eq!(order.value().cast_signed(), -7_910_215_514_891_332_311);
    }
}
