//! Drives a workload on an open-loop schedule and writes every operation down: due, sent, done, and what became of it.
//! Nothing is judged here, and no client crate is named here; the clients are in `adapters`.
//!
//! Invariant: an operation that was due ends in the operations log, as sent, missed (the service's doing) or unsent
//! (the runner's own); only reads that are due before anything was acknowledged leave no record.

mod acked;
mod drive;
mod endpoint;
mod engine;
pub mod levels;
mod live;
mod read_back;
mod schedule;
mod stall;
mod writers;

pub use endpoint::{EndpointError, demand, endpoint};

use crate::adapters::{AdapterError, Client, ClientSettings, Endpoint, Flights, LedgerStore, World};
use crate::clock::Clock;
use crate::event::{OpsMark, ReadBack, StallCause, What};
use crate::journal::JournalError;
use crate::journal::ops::OpsWriter;
use crate::ledger::{Keep, Ledger};
use crate::model::{Action, Mono, OpRecord, Outcome, WorkloadName, WorkloadStats};
use crate::plan::WorkloadPlan;
use crate::workloads::WorkloadSpec;
use drive::{Driver, State};
use engine::{Engine, Shared};
use read_back::Fold;
use schedule::{Lane, Pace, Running, Schedule};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Where operations are logged.
pub trait OpsSink: Send + Sync {
    /// Takes one operation; does not block for long.
    fn push(&self, record: OpRecord);
    /// Takes several, in this order; does not block for long.
    fn push_all(&self, records: &[OpRecord]) {
        records.iter().for_each(|record| self.push(*record));
    }
    /// How far the log has got.
    ///
    /// # Errors
    /// When operations could not be written: the record is no longer complete.
    fn mark(&self) -> Result<OpsMark, JournalError>;
    /// Writes everything out; nothing is pushed after it.
    ///
    /// # Errors
    /// As [`OpsSink::mark`].
    fn finish(&self) -> Result<OpsMark, JournalError>;
}

impl OpsSink for OpsWriter {
    fn push(&self, record: OpRecord) {
        Self::push(self, record);
    }

    fn push_all(&self, records: &[OpRecord]) {
        Self::push_all(self, records);
    }

    fn mark(&self) -> Result<OpsMark, JournalError> {
        Self::mark(self)
    }

    fn finish(&self) -> Result<OpsMark, JournalError> {
        Self::finish(self)
    }
}

/// Where a sampler notes what it saw of the runner itself.
pub trait Recorder: Send + Sync {
    /// Notes it; errors are the recorder's business.
    fn record(&self, what: What);
}

/// The most operations of a workload that can be in flight: all that become due until the first one is given up.
#[must_use]
pub fn capacity(rate: f64, timeout: Duration) -> usize {
    (rate * timeout.as_secs_f64()).ceil() as usize + 1
}

/// A workload that is opened and, after [`Sampler::start`], running. Dropping it stops its schedule.
pub struct Sampler {
    clock: Clock,
    sink: Arc<dyn OpsSink>,
    way: Way,
    store: Option<Arc<dyn LedgerStore>>,
    settings: ClientSettings,
    timeout: Duration,
    paces: Vec<Pace>,
    running: Mutex<Option<Arc<Running>>>,
}

/// How operations get from the schedule to the service.
enum Way {
    /// Each as a task of the runtime, by any client.
    Tasks(Arc<Driver>),
    /// All by the thread of the schedule; it has the engine once it is started.
    Thread(Mutex<Option<Box<Engine>>>, Arc<Shared>),
}

/// What a way needs besides its client.
struct Parts<'a> {
    clock: &'a Clock,
    plan: &'a WorkloadPlan,
    settings: &'a ClientSettings,
    sink: Arc<dyn OpsSink>,
    recorder: Arc<dyn Recorder>,
}

impl Sampler {
    /// Opens the client and prepares the store; nothing is due yet.
    ///
    /// # Errors
    /// When the client cannot be opened or the store cannot be prepared.
    pub async fn open(
        world: &World,
        plan: &WorkloadPlan,
        endpoint: Endpoint,
        settings: ClientSettings,
        ops: impl OpsSink + 'static,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Self, AdapterError> {
        let sink: Arc<dyn OpsSink> = Arc::new(ops);
        let parts = Parts { clock: &world.clock, plan, settings: &settings, sink: Arc::clone(&sink), recorder };
        let flights = world.clients.flights(&world.clock, &endpoint, &settings)?;
        let (way, store) = match flights {
            Some(flights) => (parts.thread(flights), None),
            None => {
                let opened = world.clients.open(&world.clock, &endpoint, &settings).await?;
                if let Some(store) = &opened.store {
                    store.prepare().await?;
                }
                (parts.tasks(opened.client), opened.store)
            }
        };
        let main = if settings.writers > 0 { Lane::Write } else { Lane::Visit };
        let paces = vec![Pace::new(main, plan.rate), Pace::new(Lane::Read, read_rate(plan))];
        let (clock, timeout) = (world.clock.clone(), plan.timeout);
        Ok(Self { clock, sink, way, store, settings, timeout, paces, running: Mutex::new(None) })
    }

    /// From now on operation k is due at `origin` + k/rate. A second call has no effect.
    ///
    /// # Errors
    /// When the system gives no thread for the schedule.
    pub fn start(&self, origin: Mono) -> Result<(), AdapterError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return Ok(());
        }
        let schedule = Schedule::new(origin, self.paces.clone());
        let started = match &self.way {
            Way::Tasks(driver) => {
                let driver = Arc::clone(driver);
                Running::start(self.clock.clone(), schedule, move |due| driver.fire(due))
            }
            Way::Thread(engine, _) => match engine.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(engine) => engine.start(schedule),
                None => return Ok(()),
            },
        };
        let started = started.map_err(|e| AdapterError::Other(format!("start the thread of a schedule: {e}")))?;
        *running = Some(Arc::new(started));
        Ok(())
    }

    /// What it says about itself right now.
    #[must_use]
    pub fn stats(&self) -> WorkloadStats {
        let now = self.clock.mono();
        match &self.way {
            Way::Tasks(driver) => driver.state().live.stats(now),
            Way::Thread(_, shared) => shared.live().stats(now),
        }
    }

    /// How far the operations log has got.
    ///
    /// # Errors
    /// When operations could not be written: the record is no longer complete.
    pub fn mark(&self) -> Result<OpsMark, JournalError> {
        self.sink.mark()
    }

    /// Ends the schedule, waits until everything in flight has ended and until the service has had a whole time-out for
    /// whatever was given up, and completes the log. Takes at most about two time-outs and a deadline.
    ///
    /// # Errors
    /// As [`Sampler::mark`].
    pub async fn stop(&self) -> Result<OpsMark, JournalError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(running) = running {
            running.stop(self.clock.mono());
            running.ended().await;
        }
        let last_unknown = match &self.way {
            Way::Tasks(driver) => driver.drain().await,
            Way::Thread(_, shared) => shared.last_unknown(),
        };
        if let Some(given_up) = last_unknown {
            self.clock.sleep_until(given_up.after(self.timeout)).await;
        }
        self.sink.finish()
    }

    /// Is there a ledger to read back?
    #[must_use]
    pub fn is_ledger(&self) -> bool {
        self.store.is_some()
    }

    /// Reads everything back that is in the ledger's store now.
    ///
    /// # Errors
    /// When there is no store, or it could not be read to its end.
    pub async fn read_back(&self) -> Result<ReadBack, AdapterError> {
        let store = self.store.as_ref().ok_or_else(|| AdapterError::Missing("read back: not a ledger".to_owned()))?;
        // Before the store's moment: what is acknowledged from now on makes its block differ, and is read.
        let ledger = match &self.way {
            Way::Tasks(driver) => driver.state().ledger.clone(),
            Way::Thread(..) => Ledger::new(Keep::Outcomes),
        };
        let (found, _) = levels::read_back(&**store, &self.settings, ledger, levels::FEW).await?;
        Ok(found)
    }
}

impl Parts<'_> {
    fn deadline(&self) -> i64 {
        i64::try_from(self.plan.service.deadline.as_nanos()).unwrap_or(i64::MAX / 4)
    }

    fn tasks(self, client: Arc<dyn Client>) -> Way {
        let (plan, deadline) = (self.plan, self.deadline());
        let state = State {
            writers: writers::Writers::new(plan.writer_ids(), deadline),
            acked: acked::Acked::default(),
            live: live::Live::new(plan.name.clone()),
            ledger: Ledger::new(Keep::Outcomes),
            late: stall::Stalls::new(StallCause::Schedule, plan.rate).of(&plan.name),
            behind: stall::Stalls::new(StallCause::Schedule, plan.rate),
            starved: stall::Stalls::new(StallCause::Resources, plan.rate).of(&plan.name),
            last_unknown: None,
        };
        Way::Tasks(Arc::new(Driver {
            clock: self.clock.clone(),
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            client,
            sink: self.sink,
            recorder: self.recorder,
            timeout: plan.timeout,
            deadline,
            nonce: nonce(self.settings, &plan.name),
            visits: Arc::new(Semaphore::new(capacity(plan.rate, plan.timeout))),
            reads: Arc::new(Semaphore::new(capacity(read_rate(plan), plan.timeout))),
            state: Mutex::new(state),
        }))
    }

    fn thread(self, flights: Box<dyn Flights>) -> Way {
        let (plan, deadline) = (self.plan, self.deadline());
        let shared = Arc::new(Shared::new(live::Live::new(plan.name.clone())));
        let engine = Engine {
            clock: self.clock.clone(),
            flights,
            sink: self.sink,
            recorder: self.recorder,
            shared: Arc::clone(&shared),
            late: stall::Stalls::new(StallCause::Schedule, plan.rate).of(&plan.name),
            starved: stall::Stalls::new(StallCause::Resources, plan.rate).of(&plan.name),
            nonce: nonce(self.settings, &plan.name),
            deadline,
            capacity: capacity(plan.rate, plan.timeout),
        };
        Way::Thread(Mutex::new(Some(Box::new(engine))), shared)
    }
}

fn never_sent(due: Mono, done: Mono, action: Action, outcome: Outcome) -> OpRecord {
    OpRecord { due, sent: due, done, action, outcome, key: None, found: None }
}

/// Reads back everything that a site's own copy holds.
///
/// # Errors
/// When it could not be read to its end.
pub async fn read_back_of(store: &dyn LedgerStore, settings: &ClientSettings) -> Result<ReadBack, AdapterError> {
    let mut fold = Fold::new(settings);
    store.read_back(&mut |row| fold.row(&row)).await?;
    Ok(fold.finish())
}

fn read_rate(plan: &WorkloadPlan) -> f64 {
    match &plan.spec {
        WorkloadSpec::Ledger(ledger) if plan.probe_of.is_none() => ledger.read_rate.map_or(0.0, |rate| rate.0),
        _ => 0.0,
    }
}

/// Where the numbers of visits begin: FNV-1a over run and workload, with room for 2³² visits above.
fn nonce(settings: &ClientSettings, name: &WorkloadName) -> u64 {
    let bytes = settings.run.as_str().bytes().chain([0]).chain(name.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    hash & !0xFFFF_FFFF
}

#[cfg(test)]
mod tests;
