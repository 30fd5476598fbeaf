//! Operations as bytes: a tag, then differences as variable-length integers. The state goes on from block to block,
//! so a steady schedule costs about 13 bytes an operation.

use crate::model::{Action, Found, Key, Mono, OpRecord, Outcome};
use std::collections::BTreeMap;

/// What the next operation is told from.
#[derive(Debug, Clone, Default)]
pub(super) struct Codec {
    due: i64,
    seqs: BTreeMap<u16, u64>,
}

impl Codec {
    pub(super) fn put(&mut self, op: &OpRecord, out: &mut Vec<u8>) {
        out.push(tag(op));
        signed(out, op.due.0.wrapping_sub(self.due));
        signed(out, op.sent.0.wrapping_sub(op.due.0));
        signed(out, op.done.0.wrapping_sub(op.sent.0));
        self.due = op.due.0;
        if let Some(Key { writer, seq }) = op.key {
            unsigned(out, u64::from(writer));
            let last = self.seqs.insert(writer, seq).unwrap_or(0);
            signed(out, seq.wrapping_sub(last).cast_signed());
        }
    }

    /// The next operation, or `None` if the bytes are none.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<OpRecord> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        let due = self.due.wrapping_add(get_signed(bytes)?);
        let sent = due.wrapping_add(get_signed(bytes)?);
        let done = sent.wrapping_add(get_signed(bytes)?);
        self.due = due;
        let key = if tag & KEYED == 0 { None } else { Some(self.key(bytes)?) };
        let (action, outcome, found) = untag(*tag)?;
        Some(OpRecord { due: Mono(due), sent: Mono(sent), done: Mono(done), action, outcome, key, found })
    }

    fn key(&mut self, bytes: &mut &[u8]) -> Option<Key> {
        let writer = u16::try_from(get_unsigned(bytes)?).ok()?;
        let last = self.seqs.get(&writer).copied().unwrap_or(0);
        let seq = last.wrapping_add(get_signed(bytes)?.cast_unsigned());
        self.seqs.insert(writer, seq);
        Some(Key { writer, seq })
    }
}

/// Bit 7: the operation has a key. Bits 0–1 action, 2–4 outcome, 5–6 what a read found.
const KEYED: u8 = 0x80;

fn tag(op: &OpRecord) -> u8 {
    let action = match op.action {
        Action::Write => 0,
        Action::Read => 1,
        Action::Visit => 2,
    };
    let outcome = match op.outcome {
        Outcome::Ok => 0,
        Outcome::OkLocal => 1,
        Outcome::Fail => 2,
        Outcome::Unknown => 3,
        Outcome::Missed => 4,
        Outcome::Unsent => 5,
    };
    let found = match op.found {
        None => 0,
        Some(Found::Intact) => 1,
        Some(Found::Corrupted) => 2,
        Some(Found::Absent) => 3,
    };
    let keyed = if op.key.is_some() { KEYED } else { 0 };
    action | outcome << 2 | found << 5 | keyed
}

fn untag(tag: u8) -> Option<(Action, Outcome, Option<Found>)> {
    let action = match tag & 3 {
        0 => Action::Write,
        1 => Action::Read,
        2 => Action::Visit,
        _ => return None,
    };
    let outcome = match tag >> 2 & 7 {
        0 => Outcome::Ok,
        1 => Outcome::OkLocal,
        2 => Outcome::Fail,
        3 => Outcome::Unknown,
        4 => Outcome::Missed,
        5 => Outcome::Unsent,
        _ => return None,
    };
    let found = match tag >> 5 & 3 {
        0 => None,
        1 => Some(Found::Intact),
        2 => Some(Found::Corrupted),
        _ => Some(Found::Absent),
    };
    Some((action, outcome, found))
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
