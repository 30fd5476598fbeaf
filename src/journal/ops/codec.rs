//! Operations as bytes: a tag, then differences as variable-length integers. The state goes on from block to block,
//! so a steady schedule costs about 13 bytes an operation.

use crate::model::{Key, Mono, OpRecord, Tag};

/// What the next operation is told from.
#[derive(Debug, Clone, Default)]
pub(super) struct Codec {
    due: i64,
    /// The last sequence number of each writer.
    seqs: Vec<u64>,
}

impl Codec {
    pub(super) fn put(&mut self, op: &OpRecord, out: &mut Vec<u8>) {
        out.push(Tag::of(op).byte());
        signed(out, op.due.0.wrapping_sub(self.due));
        signed(out, op.sent.0.wrapping_sub(op.due.0));
        signed(out, op.done.0.wrapping_sub(op.sent.0));
        self.due = op.due.0;
        if let Some(Key { writer, seq }) = op.key {
            unsigned(out, u64::from(writer));
            let last = self.last(writer);
            signed(out, seq.wrapping_sub(*last).cast_signed());
            *last = seq;
        }
    }

    /// The next operation, or `None` if the bytes are none.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<OpRecord> {
        let (tag, rest) = bytes.split_first()?;
        let tag = Tag::from_byte(*tag)?;
        *bytes = rest;
        let due = self.due.wrapping_add(get_signed(bytes)?);
        let sent = due.wrapping_add(get_signed(bytes)?);
        let done = sent.wrapping_add(get_signed(bytes)?);
        self.due = due;
        let key = if tag.keyed() { Some(self.key(bytes)?) } else { None };
        let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
        Some(OpRecord { due, sent, done, action: tag.action(), outcome: tag.outcome(), key, found: tag.found() })
    }

    fn key(&mut self, bytes: &mut &[u8]) -> Option<Key> {
        let writer = u16::try_from(get_unsigned(bytes)?).ok()?;
        let by = get_signed(bytes)?.cast_unsigned();
        let last = self.last(writer);
        *last = last.wrapping_add(by);
        Some(Key { writer, seq: *last })
    }

    fn last(&mut self, writer: u16) -> &mut u64 {
        let place = usize::from(writer);
        if place >= self.seqs.len() {
            self.seqs.resize(place + 1, 0);
        }
        &mut self.seqs[place]
    }
}

/// Small magnitudes of either sign become small numbers.
fn signed(out: &mut Vec<u8>, value: i64) {
    unsigned(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = get_unsigned(bytes)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

fn get_unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
