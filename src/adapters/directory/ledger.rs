//! Writes ledger records into files, by a process of ours. A writer has its own slot there: its records are carried out one
//! after the other, and one that is stuck holds up nobody else.

use super::classify;
use super::records;
use super::wire::{SLOTS, Said, Spot, What};
use super::worker::{Gone, Pending, Pool};
use crate::adapters::writes::Writes;
use crate::adapters::{Act, Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Of so many records it is known where they stand; others are searched for.
const SPOTS: usize = 1 << 16;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    pool: Arc<Pool>,
    settings: ClientSettings,
    writers: Vec<tokio::sync::Mutex<()>>,
    spots: Mutex<Spots>,
    readers: Slots,
}

/// Slots of operations that come in any order, each with one of its own.
pub(super) struct Slots {
    first: u32,
    state: Mutex<(Vec<u32>, u32)>,
}

impl Slots {
    /// From this number on.
    fn from(first: u32) -> Self {
        Self { first, state: Mutex::default() }
    }

    /// One that nobody has; none if there are too many already.
    fn take(&self) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (free, used) = &mut *state;
        if let Some(slot) = free.pop() {
            return Some(slot);
        }
        let slot = self.first + *used;
        *used += u32::from(slot < SLOTS);
        (slot < SLOTS).then_some(slot)
    }

    fn give_back(&self, slot: u32) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.push(slot);
    }
}

/// Where the latest records stand.
#[derive(Default)]
struct Spots {
    known: HashMap<Key, Spot>,
    order: VecDeque<Key>,
}

impl Spots {
    fn put(&mut self, key: Key, spot: Spot) {
        if self.known.insert(key, spot).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > SPOTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Ledger {
    pub fn new(clock: Clock, pool: Arc<Pool>, settings: &ClientSettings) -> Self {
        Self {
            clock,
            pool,
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            settings: settings.clone(),
            spots: Mutex::default(),
            readers: Slots::from(u32::from(settings.writers)),
        }
    }

    fn spots(&self) -> std::sync::MutexGuard<'_, Spots> {
        self.spots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> usize {
        usize::try_from(self.settings.payload).unwrap_or(usize::MAX)
    }

    /// One attempt. Whatever was not handed to the process did not happen: nobody has given it to the kernel.
    async fn try_once(&self, key: Key, number: u32, limit: Duration, sent: &mut Option<Mono>) -> Outcome {
        let bytes = payload::payload(&self.settings.run, key, self.size());
        let what = What::Write { key, attempt: number, line: records::line(key, number, &bytes) };
        let mut handed_over = false;
        let work = async {
            let mut pending = match self.hand_over(u32::from(key.writer), what).await {
                Ok(pending) => pending,
                Err(outcome) => return outcome,
            };
            sent.get_or_insert(self.clock.mono());
            handed_over = true;
            match pending.answer().await {
                Ok(Said::Done(spot)) => {
                    spot.into_iter().for_each(|spot| self.spots().put(key, spot));
                    Outcome::Ok
                }
                Ok(Said::Failed(trouble)) => classify::write(&trouble),
                Ok(_) | Err(Gone::Ended | Gone::NotSent(_)) => Outcome::Unknown,
            }
        };
        match timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) if handed_over => Outcome::Unknown,
            Err(_) => self.pool.not_handed_over(),
        }
    }

    /// To a process in which this slot is free. One that ended meanwhile is replaced once.
    async fn hand_over(&self, slot: u32, what: What) -> Result<Pending, Outcome> {
        for _ in 0..2 {
            // A process that cannot be started is our own gap.
            let worker = self.pool.worker(slot).await.map_err(|_| Outcome::Unsent)?;
            if let Ok(pending) = worker.ask(slot, what.clone()) {
                return Ok(pending);
            }
        }
        Err(Outcome::Unsent)
    }

    /// Reads one record back. A read changes nothing, so it is unknown only when no answer came in time.
    async fn read(&self, key: Key) -> Done {
        let sent = self.clock.mono();
        let spot = self.spots().known.get(&key).cloned();
        let slot = self.readers.take();
        let work = async {
            let slot = slot.ok_or((Outcome::Unsent, None))?;
            let mut pending =
                self.hand_over(slot, What::Read { key, spot }).await.map_err(|outcome| (outcome, None))?;
            match pending.answer().await {
                Ok(Said::Found(line)) => Ok(self.found(key, line.as_deref())),
                Ok(Said::Failed(_)) => Err((Outcome::Fail, None)),
                Ok(_) | Err(_) => Err((Outcome::Unknown, None)),
            }
        };
        let (outcome, found) = match timeout(self.settings.timeout, work).await {
            Err(_) => (Outcome::Unknown, None),
            Ok(Err(ended)) => ended,
            Ok(Ok(found)) => (Outcome::Ok, Some(found)),
        };
        slot.into_iter().for_each(|slot| self.readers.give_back(slot));
        Done { sent, done: self.clock.mono(), outcome, found }
    }

    fn found(&self, key: Key, line: Option<&str>) -> Found {
        let Some(line) = line else { return Found::Absent };
        let row = records::row(line);
        match row.key {
            Ok(read) if read == key => payload::check(&self.settings.run, key, self.size(), &row.payload),
            _ => Found::Corrupted,
        }
    }
}

impl Writes for Ledger {
    type Kept = ();

    fn settings(&self) -> (&Clock, &ClientSettings) {
        (&self.clock, &self.settings)
    }

    fn slot(&self, writer: u16) -> Option<&tokio::sync::Mutex<Self::Kept>> {
        self.writers.get(usize::from(writer))
    }

    /// Whether files are kept open, the process was told when it was started.
    fn hang_up((): &mut Self::Kept) {}

    fn attempt<'a>(
        &'a self,
        (): &'a mut Self::Kept,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &'a mut Option<Mono>,
    ) -> Fut<'a, Outcome> {
        Box::pin(self.try_once(key, number, limit, sent))
    }
}

impl Client for Ledger {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            match operation.act {
                Act::Write(key) => self.write(key).await,
                Act::Read(key) => self.read(key).await,
                // A ledger is not visited; the probe it brings along has a client of its own.
                Act::Visit(_) => {
                    let now = self.clock.mono();
                    Done { sent: now, done: now, outcome: Outcome::Unsent, found: None }
                }
            }
        })
    }
}

/// The availability probe that a ledger brings along: a small file of its own, written, synced and read again.
pub(super) struct Probe {
    clock: Clock,
    pool: Pool,
    slots: Slots,
    limit: Duration,
}

impl Probe {
    /// Each visit goes its own way, as a new client would.
    pub fn new(clock: Clock, pool: Pool, settings: &ClientSettings) -> Self {
        Self { clock, pool, slots: Slots::from(0), limit: settings.timeout }
    }

    async fn visit(&self, slot: u32, number: u64) -> Outcome {
        let mut handed_over = false;
        let work = async {
            let Ok(worker) = self.pool.worker(slot).await else { return Outcome::Unsent };
            let Ok(mut pending) = worker.ask(slot, What::Visit { number }) else { return Outcome::Unsent };
            handed_over = true;
            match pending.answer().await {
                Ok(Said::Done(_)) => Outcome::Ok,
                Ok(Said::Failed(trouble)) => classify::visit(&trouble),
                Ok(_) | Err(_) => Outcome::Unknown,
            }
        };
        match timeout(self.limit, work).await {
            Ok(outcome) => outcome,
            Err(_) if handed_over => Outcome::Unknown,
            Err(_) => self.pool.not_handed_over(),
        }
    }
}

impl Client for Probe {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let number = operation.act.number();
            let sent = self.clock.mono();
            let slot = self.slots.take();
            let outcome = match slot {
                Some(slot) => self.visit(slot, number).await,
                None => Outcome::Unsent,
            };
            slot.into_iter().for_each(|slot| self.slots.give_back(slot));
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}
