//! Clients of the simulated store: what a request meets from its arrival to its end, and what its client is told.

use super::cluster::{Cluster, State, Stored};
use super::rng::Rng;
use super::truth::Condition;
use crate::adapters::snapshot::{BlockSum, Snapshot, Summary, Which, WriterSum, by_writer};
use crate::adapters::{
    Act, AdapterError, Client, ClientSettings, Clients, Done, Endpoint, Fut, LedgerStore, Opened, Operation, Row,
};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Mono, Outcome, RunId};
use crate::workloads::payload;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Why a request was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It never reached a server.
    Definite,
    /// A server had it when it died, or when another one took over.
    InFlight,
}

/// A client of the simulated store, for records and for visits.
struct SimClient {
    cluster: Arc<Cluster>,
    settings: ClientSettings,
}

impl Cluster {
    /// A request from its arrival to its end; `carry_out` happens at most once, at the moment it is served, or (by
    /// chance) right before the server that had it dies.
    async fn request<T>(
        &self,
        mut rng: Rng,
        hanging: &AtomicBool,
        carry_out: impl FnOnce(&mut State, Mono) -> T,
    ) -> Result<T, Refusal> {
        let usual = Duration::from_millis(if rng.chance(30) { rng.below(3) } else { 0 });
        let term = self.state().term;
        let arrived = self.clock.mono();
        let mut ready: Option<Mono> = None;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let (condition, now_term) = {
                let state = self.state();
                (state.condition(), state.term)
            };
            if now_term != term {
                return self.undecided(&mut rng, carry_out);
            }
            let seen = ready.is_some() || hanging.load(Ordering::Relaxed);
            match condition {
                Condition::Refusing if seen => return self.undecided(&mut rng, carry_out),
                Condition::Refusing => return Err(Refusal::Definite),
                Condition::Hanging => {
                    hanging.store(true, Ordering::Relaxed);
                    changed.await;
                }
                Condition::Serving(extra) => {
                    hanging.store(false, Ordering::Relaxed);
                    let due = *ready.get_or_insert(arrived.after(usual) + extra);
                    if due <= self.clock.mono() {
                        return Ok(carry_out(&mut self.state(), self.clock.mono()));
                    }
                    // In a stated order, or the same seed would not always give the same run.
                    tokio::select! {
                        biased;
                        () = self.clock.sleep_until(due) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }

    /// The server is gone, or no longer the leader; it had carried the request out or not.
    fn undecided<T>(&self, rng: &mut Rng, carry_out: impl FnOnce(&mut State, Mono) -> T) -> Result<T, Refusal> {
        let mut state = self.state();
        if rng.chance(50) && state.condition() != Condition::Hanging {
            let now = self.clock.mono();
            carry_out(&mut state, now);
        }
        Err(Refusal::InFlight)
    }
}

/// What is left to chance about an act: the same for the same act, whatever else happens at that moment.
fn chance(cluster: &Cluster, act: Act) -> Rng {
    let thing = match act {
        Act::Write(key) => (1 << 62) | (u64::from(key.writer) << 40) | key.seq,
        Act::Read(key) => (1 << 61) | (u64::from(key.writer) << 40) | key.seq,
        Act::Visit(number) => number,
    };
    Rng::of(cluster.settings.seed, thing)
}

impl SimClient {
    async fn write(&self, key: Key) -> Outcome {
        let lies = self.cluster.settings.lies;
        let hanging = AtomicBool::new(false);
        let term = self.cluster.state().term;
        let mut rng = chance(&self.cluster, Act::Write(key));
        let (drops, intact) = (rng.chance(lies.drops), !rng.chance(lies.corrupts));
        let (twice, resurrects) = (rng.chance(lies.duplicates), rng.chance(lies.resurrects));
        let store = |state: &mut State, now| {
            if drops {
                return Outcome::Ok;
            }
            let record = Stored { key, intact, accepted: now };
            state.store(record);
            if twice {
                state.store(record);
            }
            Outcome::Ok
        };
        let outcome =
            match tokio::time::timeout(self.settings.timeout, self.cluster.request(rng, &hanging, store)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(Refusal::Definite)) => {
                    if resurrects {
                        self.resurrect(key);
                    }
                    Outcome::Fail
                }
                Ok(Err(Refusal::InFlight)) => Outcome::Unknown,
                Err(_) => {
                    if hanging.load(Ordering::Relaxed) {
                        self.cluster.state().leave_stuck(term, key);
                    }
                    Outcome::Unknown
                }
            };
        self.cluster.told(key, outcome);
        outcome
    }

    /// What was refused is stored all the same, if the store lies and its leader lives.
    fn resurrect(&self, key: Key) {
        let mut state = self.cluster.state();
        if state.leader_runs() {
            let now = self.cluster.clock.mono();
            state.store(Stored { key, intact: true, accepted: now });
        }
    }

    async fn read(&self, key: Key) -> (Outcome, Option<Found>) {
        let find = |state: &mut State, _| match state.keys.get(&key) {
            None => Found::Absent,
            Some(true) => Found::Intact,
            Some(false) => Found::Corrupted,
        };
        let hanging = AtomicBool::new(false);
        let request = self.cluster.request(chance(&self.cluster, Act::Read(key)), &hanging, find);
        match tokio::time::timeout(self.settings.timeout, request).await {
            Ok(Ok(found)) => (Outcome::Ok, Some(found)),
            Ok(Err(Refusal::Definite)) => (Outcome::Fail, None),
            Ok(Err(Refusal::InFlight)) | Err(_) => (Outcome::Unknown, None),
        }
    }

    async fn visit(&self, number: u64, limit: Duration) -> Outcome {
        let hanging = AtomicBool::new(false);
        let request = self.cluster.request(chance(&self.cluster, Act::Visit(number)), &hanging, |_, _| ());
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(())) => Outcome::Ok,
            Ok(Err(Refusal::Definite)) => Outcome::Fail,
            Ok(Err(Refusal::InFlight)) | Err(_) => Outcome::Unknown,
        }
    }

    /// Visits as the behaviour says; a retrying client's logical outcome is ok if any attempt is.
    async fn visits(&self, number: u64) -> Outcome {
        let ClientBehaviour::Retrying(policy) = &self.settings.behaviour else {
            return self.visit(number, self.settings.timeout).await;
        };
        let until = self.cluster.clock.mono().after(self.settings.timeout);
        let (mut outcome, mut wait) = (Outcome::Fail, policy.backoff);
        for attempt in 0..u64::from(policy.attempts) {
            let left = until.since(self.cluster.clock.mono());
            match self.visit(number ^ (attempt << 50), policy.attempt_timeout.min(left)).await {
                Outcome::Ok => return Outcome::Ok,
                Outcome::Unknown => outcome = Outcome::Unknown,
                _ => {}
            }
            if self.cluster.clock.mono().after(wait) >= until {
                break;
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(policy.max_backoff);
        }
        outcome
    }
}

impl Client for SimClient {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let clock = &self.cluster.clock;
            let sent = clock.mono();
            let (outcome, found) = match operation.act {
                Act::Write(key) => (self.write(key).await, None),
                Act::Read(key) => self.read(key).await,
                Act::Visit(number) => (self.visits(number).await, None),
            };
            Done { sent, done: clock.mono(), outcome, found }
        })
    }
}

/// The store as a read-back sees it.
struct SimStore {
    cluster: Arc<Cluster>,
    run: RunId,
    payload: usize,
}

impl LedgerStore for SimStore {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(async { Ok(()) })
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            let (condition, log) = {
                let state = self.cluster.state();
                (state.condition(), state.log.clone())
            };
            if !matches!(condition, Condition::Serving(_)) {
                return Err(AdapterError::Unreachable("read back the ledger: nobody answers".to_owned()));
            }
            for stored in log {
                row(self.row(stored));
            }
            Ok(())
        })
    }

    fn snapshot(&self) -> Fut<'_, Result<Option<Box<dyn Snapshot + '_>>, AdapterError>> {
        Box::pin(async {
            let (condition, log) = {
                let state = self.cluster.state();
                (state.condition(), state.log.clone())
            };
            if !matches!(condition, Condition::Serving(_)) {
                return Err(AdapterError::Unreachable("read back the ledger: nobody answers".to_owned()));
            }
            let moment: Box<dyn Snapshot + '_> = Box::new(SimMoment { store: self, log });
            Ok(Some(moment))
        })
    }
}

impl SimStore {
    fn row(&self, stored: Stored) -> Row {
        let mut bytes = payload::payload(&self.run, stored.key, self.payload);
        if !stored.intact {
            bytes.pop();
        }
        Row { key: Ok(stored.key), attempt: 1, payload: bytes }
    }
}

/// The store at one moment.
struct SimMoment<'a> {
    store: &'a SimStore,
    log: Vec<Stored>,
}

impl Snapshot for SimMoment<'_> {
    fn writers(&mut self) -> Fut<'_, Result<Vec<WriterSum>, AdapterError>> {
        Box::pin(async { Ok(by_writer(&self.blocks().await?)) })
    }

    fn blocks(&mut self) -> Fut<'_, Result<Vec<BlockSum>, AdapterError>> {
        let mut summary = Summary::default();
        for (place, stored) in (0..).zip(&self.log) {
            summary.row(place, stored.key, &self.store.row(*stored).payload);
        }
        Box::pin(std::future::ready(Ok(summary.finish())))
    }

    fn rows<'a>(
        &'a mut self,
        which: &'a Which,
        row: &'a mut (dyn FnMut(i64, Row) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        for (place, stored) in (0..).zip(&self.log) {
            if which.holds(stored.key) {
                row(place, self.store.row(*stored));
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Opens clients of one simulated store, whatever the endpoint says.
pub(super) struct SimClients(pub Arc<Cluster>);

impl Clients for SimClients {
    fn open<'a>(
        &'a self,
        _: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        let cluster = Arc::clone(&self.0);
        let client = Arc::new(SimClient { cluster: Arc::clone(&cluster), settings: settings.clone() });
        let opened = match endpoint {
            Endpoint::KvLedger { .. } => {
                let payload = usize::try_from(settings.payload).unwrap_or(0);
                let store = Arc::new(SimStore { cluster, run: settings.run.clone(), payload });
                Ok(Opened { client, store: Some(store) })
            }
            Endpoint::Http { .. } | Endpoint::Tcp { .. } => Ok(Opened { client, store: None }),
            _ => Err(AdapterError::Missing("such a client is not simulated".to_owned())),
        };
        Box::pin(std::future::ready(opened))
    }
}
