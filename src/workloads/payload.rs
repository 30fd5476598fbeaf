//! The payload of a ledger record, derived from its name alone, so that checking it needs no storage. Pure.
//! Not a secret and not random: the same run, writer and sequence number always give the same bytes.

use crate::model::{Found, Key, RunId};
use sha2::{Digest, Sha256};

/// The payload of a record: `size` bytes that follow from its run and key. Every byte depends on all of them, so a
/// record that carries another one's payload, or a part of it, shows as corrupted.
#[must_use]
pub fn payload(run: &RunId, key: Key, size: usize) -> Vec<u8> {
    let mut state = seed(run, key);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&next(&mut state).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Compares what was read with what was written.
#[must_use]
pub fn check(run: &RunId, key: Key, size: usize, read: &[u8]) -> Found {
    if read.len() != size {
        return Found::Corrupted;
    }
    let mut state = seed(run, key);
    let intact = read.chunks(8).all(|part| next(&mut state).to_le_bytes()[..part.len()] == *part);
    if intact { Found::Intact } else { Found::Corrupted }
}

/// The first eight bytes of SHA-256 over run, writer and sequence number. The lengths are fixed or separated, so two
/// different names never hash the same text.
fn seed(run: &RunId, key: Key) -> u64 {
    let mut hash = Sha256::new();
    hash.update(run.as_str().as_bytes());
    hash.update([0]);
    hash.update(key.writer.to_le_bytes());
    hash.update(key.seq.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): one step.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { writer: 3, seq: 41 };

    #[test]
    fn what_was_written_is_intact_at_every_size() {
        let run = RunId::from("r");
        for size in [0, 1, 7, 8, 9, 128, 4096] {
            let bytes = payload(&run, KEY, size);
            assert_eq!(bytes.len(), size);
            assert_eq!(check(&run, KEY, size, &bytes), Found::Intact);
        }
    }

    #[test]
    fn any_changed_byte_and_any_other_length_is_corrupted() {
        let run = RunId::from("r");
        let bytes = payload(&run, KEY, 21);
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 1;
            assert_eq!(check(&run, KEY, 21, &torn), Found::Corrupted, "byte {at}");
        }
        assert_eq!(check(&run, KEY, 21, &bytes[..20]), Found::Corrupted);
        assert_eq!(check(&run, KEY, 21, &payload(&run, KEY, 22)), Found::Corrupted);
    }

    #[test]
    fn another_records_payload_is_corrupted() {
        let run = RunId::from("r");
        for (other, key) in [
            (RunId::from("s"), KEY),
            (run.clone(), Key { seq: 42, ..KEY }),
            (run.clone(), Key { writer: 4, ..KEY }),
            (run.clone(), Key { writer: 41, seq: 3 }),
        ] {
            assert_eq!(check(&run, KEY, 16, &payload(&other, key, 16)), Found::Corrupted);
        }
    }
}
