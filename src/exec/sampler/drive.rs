//! One operation from due to the operations log: capacity, the client, what was missed and what the runner itself
//! could not send. When operations are due is `schedule`'s business.

use super::acked::Acked;
use super::live::Live;
use super::schedule::{Due, Lane};
use super::stall::Stalls;
use super::writers::{Turn, Writers};
use super::{OpsSink, Recorder, never_sent};
use crate::adapters::{Act, Client, Done, Operation};
use crate::clock::Clock;
use crate::event::What;
use crate::ledger::Ledger;
use crate::model::{Action, Mono, OpRecord, Outcome, Span};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// A client ends every operation within the time-out; one that does not is given up after this much more.
const GRACE: Duration = Duration::from_millis(500);

/// What the lanes of one workload share.
pub(super) struct Driver {
    pub clock: Clock,
    pub runtime: Handle,
    pub tasks: TaskTracker,
    pub client: Arc<dyn Client>,
    pub sink: Arc<dyn OpsSink>,
    pub recorder: Arc<dyn Recorder>,
    pub timeout: Duration,
    pub deadline: i64,
    /// Makes visits of different runs different.
    pub nonce: u64,
    pub visits: Arc<Semaphore>,
    pub reads: Arc<Semaphore>,
    pub state: Mutex<State>,
}

/// What changes while operations go on.
pub(super) struct State {
    pub writers: Writers,
    pub acked: Acked,
    pub live: Live,
    /// What clients were told of every write, for the read-back.
    pub ledger: Ledger,
    /// This workload's operations were late.
    pub late: Stalls,
    /// What the schedule had handed over was taken up late: the runtime that all workloads share was starved.
    pub behind: Stalls,
    pub starved: Stalls,
    /// When the last operation was given up that the service may still be working on.
    pub last_unknown: Option<Mono>,
}

impl Driver {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the schedule at the moment an operation is due; it only hands over.
    pub fn fire(self: &Arc<Self>, due: Due) {
        let now = self.clock.mono();
        let stall = {
            let mut state = self.state();
            if due.lane != Lane::Read {
                state.live.due(1);
            }
            if now - due.at > self.deadline {
                state.live.late(1, now);
            }
            state.late.observe(due.at, now)
        };
        self.record(stall);
        if now - due.at > self.deadline {
            // Whatever the service did meanwhile: the schedule itself came too late.
            self.end(never_sent(due.at, now, due.lane.action(), Outcome::Unsent));
            return;
        }
        let driver = Arc::clone(self);
        match due.lane {
            Lane::Write => {
                let turn = self.state().writers.due(due.at);
                match turn {
                    Some(turn) => self.spawn(async move { driver.write(turn, now).await }),
                    None => self.spawn(async move { driver.queued(due.at, now) }),
                }
            }
            Lane::Read => self.spawn(async move { driver.read(due.at, now).await }),
            Lane::Visit => self.spawn(async move { driver.visit(due, now).await }),
        }
    }

    /// A write waits for a writer. That this runs late shows a starved runtime, which then keeps writers too.
    fn queued(&self, due: Mono, handed: Mono) {
        self.is_stale(due, handed);
        self.expire_waiting(self.clock.mono());
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// A writer carries its write, and then the waiting ones.
    async fn write(&self, first: Turn, handed: Mono) {
        let mut turn = Some(first);
        let mut stale = self.is_stale(first.due, handed);
        while let Some(Turn { due, writer }) = turn {
            let outcome = if stale {
                self.end(never_sent(due, self.clock.mono(), Action::Write, Outcome::Unsent));
                Outcome::Unsent
            } else {
                self.operate(Operation { due, act: Act::Write(writer.key()) }).await
            };
            // What was certainly never sent keeps its sequence number free.
            let writer = if outcome == Outcome::Unsent { writer } else { writer.advanced() };
            self.expire_waiting(self.clock.mono());
            turn = self.state().writers.freed(writer);
            stale = false;
        }
    }

    async fn read(&self, due: Mono, handed: Mono) {
        let stale = self.is_stale(due, handed);
        let Some(_permit) = self.capacity(&self.reads, due, Action::Read, stale).await else { return };
        let Some(key) = self.state().acked.pick() else { return };
        self.operate(Operation { due, act: Act::Read(key) }).await;
    }

    async fn visit(&self, due: Due, handed: Mono) {
        let stale = self.is_stale(due.at, handed);
        let Some(_permit) = self.capacity(&self.visits, due.at, Action::Visit, stale).await else { return };
        self.operate(Operation { due: due.at, act: Act::Visit(self.nonce.wrapping_add(due.number)) }).await;
    }

    /// Was this operation, which the schedule handed over at `handed`, kept from the service beyond its deadline by the
    /// runner itself?
    fn is_stale(&self, due: Mono, handed: Mono) -> bool {
        let now = self.clock.mono();
        let stalls = {
            let mut state = self.state();
            if state.late.is_late(due, now) {
                state.live.late(1, now);
            }
            [state.late.observe(due, now), state.behind.observe(handed, now)]
        };
        stalls.into_iter().for_each(|stall| self.record(stall));
        now - due > self.deadline
    }

    /// A place in flight, or the record of why there was none.
    async fn capacity(
        &self,
        places: &Arc<Semaphore>,
        due: Mono,
        act: Action,
        stale: bool,
    ) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(places).try_acquire_owned();
        let outcome = match (free, stale) {
            (Ok(permit), false) => return Some(permit),
            (Ok(_), true) => Outcome::Unsent,
            (Err(_), _) => {
                let left = Duration::from_nanos((due + self.deadline - self.clock.mono()).max(0).unsigned_abs());
                match tokio::time::timeout(left, Arc::clone(places).acquire_owned()).await {
                    Ok(Ok(permit)) => return Some(permit),
                    _ => Outcome::Missed,
                }
            }
        };
        self.end(never_sent(due, self.clock.mono(), act, outcome));
        None
    }

    /// The client does it; whatever happens, it ends in the log.
    async fn operate(&self, operation: Operation) -> Outcome {
        let begun = self.clock.mono();
        let done = match tokio::time::timeout(self.timeout + GRACE, self.client.operate(operation)).await {
            Ok(done) => done,
            Err(_) => Done { sent: begun, done: self.clock.mono(), outcome: Outcome::Unknown, found: None },
        };
        let mut record = done.record(operation);
        if record.outcome == Outcome::Unsent {
            let stall = self.state().starved.late(Span::new(operation.due, record.done));
            self.record(stall);
            record = never_sent(operation.due, record.done, record.action, Outcome::Unsent);
        }
        self.end(record);
        record.outcome
    }

    /// Writes that no writer came free for in time are missed, unless it was the runner that stalled.
    pub fn expire_waiting(&self, now: Mono) {
        let expired: Vec<(Mono, Outcome)> = {
            let mut state = self.state();
            let expired = state.writers.expire(now);
            let outcome = |due| if state.late.explains(due, self.deadline) { Outcome::Unsent } else { Outcome::Missed };
            expired.into_iter().map(|due| (due, outcome(due))).collect()
        };
        for (due, outcome) in expired {
            self.end(never_sent(due, now, Action::Write, outcome));
        }
    }

    fn end(&self, record: OpRecord) {
        self.sink.push(record);
        let mut state = self.state();
        if let (Action::Write, Some(key)) = (record.action, record.key) {
            state.ledger.record(key, record.outcome, record.sent, record.done);
        }
        match (record.outcome, record.action, record.key) {
            (Outcome::Unknown, ..) => state.last_unknown = state.last_unknown.max(Some(record.done)),
            (Outcome::Ok, Action::Write, Some(key)) => state.acked.note(key),
            _ => {}
        }
        if record.action != Action::Read {
            state.live.ended(&record);
        }
    }

    fn record(&self, what: Option<What>) {
        if let Some(what) = what {
            self.recorder.record(what);
        }
    }

    /// After the schedule ended: everything in flight ends. Returns when the last operation was given up that the service
    /// may still be working on.
    pub async fn drain(&self) -> Option<Mono> {
        loop {
            self.expire_waiting(self.clock.mono());
            let Some(next) = self.state().writers.next_expiry() else { break };
            // Waiting writes go out as writers come free, or expire at the latest then.
            self.clock.sleep_until(next.min(self.clock.mono().after(Duration::from_millis(10)))).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        let (stalls, last_unknown) = {
            let mut state = self.state();
            ([state.late.flush(), state.behind.flush(), state.starved.flush()], state.last_unknown)
        };
        stalls.into_iter().for_each(|stall| self.record(stall));
        last_unknown
    }
}
