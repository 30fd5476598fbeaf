//! The connection-bound half of a ledger: at most one write in flight per writer. Due writes wait for a free writer,
//! take their sequence number only when they are sent, and are missed when their deadline passes first. Pure.

use crate::model::{Key, Mono};
use std::collections::VecDeque;

/// A writer that is free, or that carries one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writer {
    id: u16,
    next: u64,
}

impl Writer {
    /// The record it writes next (or is writing).
    pub fn key(self) -> Key {
        Key { writer: self.id, seq: self.next }
    }

    /// The writer after its record was sent.
    pub fn advanced(self) -> Self {
        Self { next: self.next + 1, ..self }
    }
}

/// Free writers and waiting writes; never both.
#[derive(Debug)]
pub(super) struct Writers {
    free: VecDeque<Writer>,
    waiting: VecDeque<Mono>,
    deadline: i64,
}

/// A write that goes out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// When it was due.
    pub due: Mono,
    /// Who carries it.
    pub writer: Writer,
}

impl Writers {
    /// Writers with these numbers, all free; waiting writes are missed `deadline` nanoseconds after they were due.
    pub fn new(ids: impl Iterator<Item = u16>, deadline: i64) -> Self {
        Self { free: ids.map(|id| Writer { id, next: 0 }).collect(), waiting: VecDeque::new(), deadline }
    }

    /// A write is due: it goes out with the writer that has been free for longest, or waits.
    pub fn due(&mut self, due: Mono) -> Option<Turn> {
        let turn = self.free.pop_front().map(|writer| Turn { due, writer });
        if turn.is_none() {
            self.waiting.push_back(due);
        }
        turn
    }

    /// A writer is free again: the oldest waiting write goes out. Call [`Writers::expire`] before.
    pub fn freed(&mut self, writer: Writer) -> Option<Turn> {
        let turn = self.waiting.pop_front().map(|due| Turn { due, writer });
        if turn.is_none() {
            self.free.push_back(writer);
        }
        turn
    }

    /// Takes out the writes whose deadline has passed, oldest first. Due times ascend, so it looks at no others.
    pub fn expire(&mut self, now: Mono) -> Vec<Mono> {
        let expired = self.waiting.iter().take_while(|due| now - **due > self.deadline).count();
        self.waiting.drain(..expired).collect()
    }

    /// When the oldest waiting write will be missed.
    pub fn next_expiry(&self) -> Option<Mono> {
        self.waiting.front().map(|due| *due + (self.deadline + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_its_number_only_when_it_is_sent() {
        let mut writers = Writers::new(0..1, 100);
        let first = writers.due(Mono(0)).unwrap();
        assert_eq!(first.writer.key(), Key { writer: 0, seq: 0 });
        assert_eq!(writers.due(Mono(10)), None);
        assert_eq!(writers.due(Mono(50)), None);
        assert_eq!(writers.next_expiry(), Some(Mono(111)));
        assert_eq!(writers.expire(Mono(110)), []);
        assert_eq!(writers.expire(Mono(111)), [Mono(10)]);
        let second = writers.freed(first.writer.advanced()).unwrap();
        assert_eq!((second.due, second.writer.key().seq), (Mono(50), 1));
        assert_eq!(writers.freed(second.writer), None, "not sent after all: the number is free again");
        assert_eq!(writers.due(Mono(200)).unwrap().writer.key().seq, 1);
    }

    #[test]
    fn writers_take_turns() {
        let mut writers = Writers::new(0..3, 100);
        let ids: Vec<_> = (0..6)
            .map(|k| {
                let turn = writers.due(Mono(k)).unwrap();
                assert_eq!(writers.freed(turn.writer.advanced()), None);
                turn.writer.key()
            })
            .map(|key| (key.writer, key.seq))
            .collect();
        assert_eq!(ids, [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]);
    }
}
