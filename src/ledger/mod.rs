//! The ledger of acknowledged writes: what clients were told of each, and what became of it. Small enough for 10⁹ writes:
//! per writer, runs of equal outcome that turn into bit planes on disorder. Pure; how rows come back from a store is
//! `exec`'s business, what a loss means for an objective `analysis`'s.

mod codes;
mod expected;
mod page;
mod sight;
mod table;
mod times;
mod verify;

pub use expected::{BLOCK, Expected};
pub use sight::{Order, Sight};
pub use times::RING;
pub use verify::{Log, LossTimes, Verified};

use crate::model::{Key, Mono, Outcome};
use codes::Codes;
use times::{Blocks, Ring};

/// What a client was told of a write. Should a key have been recorded twice, the smaller stands: a client that was told
/// ok once was told ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Acknowledged as asked.
    Acked = 1,
    /// Acknowledged, but less durable than asked.
    Local = 2,
    /// Nobody knows.
    Unknown = 3,
    /// It definitely did not happen.
    Failed = 4,
}

impl Told {
    /// What an outcome tells.
    #[inline]
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Acked,
            Outcome::OkLocal => Self::Local,
            Outcome::Unknown => Self::Unknown,
            Outcome::Fail | Outcome::Missed | Outcome::Unsent => Self::Failed,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Acked, Self::Local, Self::Unknown, Self::Failed].into_iter().find(|told| *told as u8 == code)
    }
}

/// Is it only asked what became of writes, or also when they were sent and answered?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Outcomes only.
    Outcomes,
    /// Times too: bounds for every 1,024 writes, and exact ones of the last 2²⁰ (24 MiB when full).
    Times,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Ledger {
    writers: Vec<Writer>,
    ring: Option<Ring>,
}

#[derive(Debug, Clone, Default)]
struct Writer {
    told: Codes,
    blocks: Blocks,
    /// One more than the highest sequence number that was recorded; 0 before the first.
    next: u64,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(keep: Keep) -> Self {
        let ring = match keep {
            Keep::Outcomes => None,
            Keep::Times => Some(Ring::new()),
        };
        Self { writers: Vec::new(), ring }
    }

    /// A write ended like this.
    #[inline]
    pub fn record(&mut self, key: Key, outcome: Outcome, sent: Mono, done: Mono) {
        let told = Told::of(outcome);
        let place = usize::from(key.writer);
        if place >= self.writers.len() {
            self.make_room(place);
        }
        let writer = &mut self.writers[place];
        writer.told.put(key.seq, told as u8);
        writer.next = writer.next.max(key.seq.saturating_add(1));
        if let Some(ring) = &mut self.ring {
            let bounds = writer.blocks.sent(key.seq, sent);
            if told <= Told::Local {
                bounds.last_acked = bounds.last_acked.max(done.0);
            }
            ring.push(key, sent, done);
        }
    }

    #[cold]
    fn make_room(&mut self, place: usize) {
        self.writers.resize_with(place + 1, Writer::default);
    }

    /// A fault happens now: of the exact times, those around this moment are kept.
    pub fn fault(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.fault();
        }
    }

    /// One more than the highest sequence number of a writer; 0 before its first write.
    #[must_use]
    pub fn next(&self, writer: u16) -> u64 {
        self.writers.get(usize::from(writer)).map_or(0, |writer| writer.next)
    }

    /// What the client was told of a write; none if it was never recorded.
    #[must_use]
    pub fn told(&self, key: Key) -> Option<Told> {
        Told::from_code(self.writers.get(usize::from(key.writer))?.told.code(key.seq))
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let ring = self.ring.as_ref().map_or(0, Ring::bytes);
        let writers = self.writers.iter().map(|writer| writer.told.bytes() + writer.blocks.bytes());
        self.writers.capacity() * size_of::<Writer>() + ring + writers.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
