//! Visits without a runtime in between: one thread holds the schedule, the connections and the way to the log, so that
//! an operation is due, sent, answered and written down without a task, a lock for each or another thread's wake-up.
//! Which operations are due is `schedule`'s business, what is sent is the client's.

use super::live::Live;
use super::schedule::{Due, Running, Schedule, Stop};
use super::stall::Stalls;
use super::{OpsSink, Recorder, never_sent};
use crate::adapters::{Act, Ended, Flights, Operation};
use crate::clock::Clock;
use crate::event::What;
use crate::model::{Action, Mono, OpRecord, Outcome, Span};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// After so many operations that are due at once it looks at what has come meanwhile.
const BURST: usize = 64;

/// What the thread shares with those who ask.
pub(super) struct Shared {
    live: Mutex<Live>,
    /// When the last operation was given up that the service may still be working on; 0 if none was.
    last_unknown: AtomicI64,
}

impl Shared {
    pub fn new(live: Live) -> Self {
        Self { live: Mutex::new(live), last_unknown: AtomicI64::new(0) }
    }

    pub fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn last_unknown(&self) -> Option<Mono> {
        Some(Mono(self.last_unknown.load(Ordering::Relaxed))).filter(|at| at.0 > 0)
    }
}

/// A workload of visits, ready to run on a thread of its own.
pub(super) struct Engine {
    pub clock: Clock,
    pub flights: Box<dyn Flights>,
    pub sink: Arc<dyn OpsSink>,
    pub recorder: Arc<dyn Recorder>,
    pub shared: Arc<Shared>,
    /// This workload's operations were late.
    pub late: Stalls,
    pub starved: Stalls,
    /// Makes visits of different runs different.
    pub nonce: u64,
    pub deadline: i64,
    pub capacity: usize,
}

impl Engine {
    /// Runs the schedule on a thread of its own until it is stopped and everything in flight has ended.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self, schedule: Schedule) -> std::io::Result<Running> {
        let waker = self.flights.waker();
        let (running, stop) = Running::new(Some(waker));
        let thread = std::thread::Builder::new().name("engine".to_owned());
        thread.spawn(move || {
            self.clock.sharpen_this_thread();
            Loop::new(self, schedule).run(&stop);
            stop.ended();
        })?;
        Ok(running)
    }
}

/// The thread's own.
struct Loop {
    engine: Engine,
    schedule: Schedule,
    /// Due, and waiting for a place in flight.
    waiting: VecDeque<Due>,
    ended: Ended,
    /// Records on their way to the log.
    records: Vec<OpRecord>,
    fired: u64,
    /// Of those, the ones it came to late.
    late: u64,
}

impl Loop {
    fn new(engine: Engine, schedule: Schedule) -> Self {
        Self { engine, schedule, waiting: VecDeque::new(), ended: Vec::new(), records: Vec::new(), fired: 0, late: 0 }
    }

    fn run(mut self, stop: &Stop) {
        loop {
            self.fire(stop);
            let next = self.schedule.peek().filter(|due| stop.covers(*due)).map(|due| due.at);
            if next.is_none() && self.waiting.is_empty() && self.engine.flights.in_flight() == 0 {
                break;
            }
            self.expire();
            self.write_down();
            let until = [next, self.next_expiry()].into_iter().flatten().min();
            self.engine.flights.wait(until, &mut self.ended);
            self.note();
            self.fill();
        }
        self.write_down();
        let last = [self.engine.late.flush(), self.engine.starved.flush()];
        last.into_iter().for_each(|stall| self.record(stall));
    }

    /// Begins what is due.
    fn fire(&mut self, stop: &Stop) {
        for _ in 0..BURST {
            let Some(due) = self.schedule.peek().filter(|due| stop.covers(*due)) else { return };
            let now = self.engine.clock.mono();
            if due.at > now {
                return;
            }
            self.schedule.take(due);
            self.fired += 1;
            self.late += u64::from(self.engine.late.is_late(due.at, now));
            let stall = self.engine.late.observe(due.at, now);
            self.record(stall);
            if now - due.at > self.engine.deadline {
                // Whatever the service did meanwhile: the schedule itself came too late.
                self.end(never_sent(due.at, now, Action::Visit, Outcome::Unsent));
            } else if self.waiting.is_empty() && self.engine.flights.in_flight() < self.engine.capacity {
                self.begin(due);
            } else {
                self.waiting.push_back(due);
            }
        }
    }

    fn begin(&mut self, due: Due) {
        let act = Act::Visit(self.engine.nonce.wrapping_add(due.number));
        self.engine.flights.begin(Operation { due: due.at, act }, &mut self.ended);
        self.note();
    }

    /// Places that came free are taken by what has waited for longest.
    fn fill(&mut self) {
        while self.engine.flights.in_flight() < self.engine.capacity {
            self.expire();
            let Some(due) = self.waiting.pop_front() else { return };
            self.begin(due);
        }
    }

    /// What has waited for its whole deadline is missed, unless it was the runner that stalled.
    fn expire(&mut self) {
        while let Some(due) = self.waiting.front().copied() {
            let now = self.engine.clock.mono();
            if now - due.at <= self.engine.deadline {
                return;
            }
            self.waiting.pop_front();
            let runner = self.engine.late.explains(due.at, self.engine.deadline);
            let outcome = if runner { Outcome::Unsent } else { Outcome::Missed };
            self.end(never_sent(due.at, now, Action::Visit, outcome));
        }
    }

    fn next_expiry(&self) -> Option<Mono> {
        self.waiting.front().map(|due| due.at + (self.engine.deadline + 1))
    }

    /// What the client says has ended.
    fn note(&mut self) {
        for index in 0..self.ended.len() {
            let Some((operation, done)) = self.ended.get(index).copied() else { break };
            let mut record = done.record(operation);
            if record.outcome == Outcome::Unsent {
                let stall = self.engine.starved.late(Span::new(operation.due, record.done));
                self.record(stall);
                record = never_sent(operation.due, record.done, record.action, Outcome::Unsent);
            }
            self.end(record);
        }
        self.ended.clear();
    }

    fn end(&mut self, record: OpRecord) {
        if record.outcome == Outcome::Unknown {
            self.engine.shared.last_unknown.fetch_max(record.done.0, Ordering::Relaxed);
        }
        self.records.push(record);
    }

    /// Hands over what has gathered since the last time.
    fn write_down(&mut self) {
        if self.fired == 0 && self.records.is_empty() {
            return;
        }
        self.engine.sink.push_all(&self.records);
        let mut live = self.engine.shared.live();
        live.due(std::mem::take(&mut self.fired));
        live.late(std::mem::take(&mut self.late), self.engine.clock.mono());
        self.records.iter().for_each(|record| live.ended(record));
        drop(live);
        self.records.clear();
    }

    fn record(&self, what: Option<What>) {
        if let Some(what) = what {
            self.engine.recorder.record(what);
        }
    }
}
