//! The simulated store: two nodes and a router that fails over, as a state that signals, requests and disturbances
//! change. Time passes in `world`, requests in `client`.

use super::truth::{Condition, Truth};
use crate::adapters::ProcessState;
use crate::clock::Clock;
use crate::model::{Key, Mono, Outcome, ProcessIdentity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How a simulated world is.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How much later than on the leader a record is on the standby; zero is as good as synchronous replication.
    pub lag: Duration,
    /// How often the router looks at the leader.
    pub check_every: Duration,
    /// Failed looks in a row until it promotes the standby; never, if none.
    pub failures: Option<u32>,
    /// How long a killed node takes to come back once it is started.
    pub restart: Duration,
    /// What else happens, counted from the first signal that a node gets.
    pub disturbances: Vec<Disturbance>,
    /// What the store does wrong.
    pub lies: Lies,
}

/// The service, between the router and the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing is wrong.
    Clear,
    /// Connections are refused.
    Refusing,
    /// Requests are taken, and not answered until that is over.
    Hanging,
    /// Answers take this much longer.
    Slow(Duration),
}

/// Weather that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    /// After the first signal to a node.
    pub after: Duration,
    /// So long.
    pub lasting: Duration,
    /// What.
    pub weather: Weather,
}

/// What a store must never do, each so many times in a hundred writes (that are acknowledged, or refused).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lies {
    /// Acknowledges without storing.
    pub drops: u64,
    /// Stores twice.
    pub duplicates: u64,
    /// Stores other bytes.
    pub corrupts: u64,
    /// Refuses, and stores.
    pub resurrects: u64,
}

/// A record as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub key: Key,
    pub intact: bool,
    pub accepted: Mono,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub pid: i32,
    pub state: ProcessState,
}

#[derive(Debug)]
pub(super) struct State {
    pub nodes: [Node; 2],
    pub leader: usize,
    pub term: u64,
    pub log: Vec<Stored>,
    pub keys: BTreeMap<Key, bool>,
    /// So much of the log is on the standby too.
    shipped: usize,
    /// Writes that a frozen leader has in its socket, with the term they belong to.
    stuck: Vec<(u64, Key)>,
    pub weather: Weather,
    pub truth: Truth,
    next_pid: i32,
    failed_looks: u32,
    pub disturbed: bool,
}

/// The simulated store with its router.
pub struct Cluster {
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// Wakes in the order in which they began to wait (a watch channel would not): the same seed, the same run.
    pub(super) changed: Notify,
}

const BOOT: &str = "simulated";
const NAMES: [&str; 2] = ["a", "b"];

impl Cluster {
    /// A healthy one.
    #[must_use]
    pub fn new(clock: Clock, settings: Settings) -> Arc<Self> {
        let node = |pid| Node { pid, state: ProcessState::Running };
        let mut truth = Truth::default();
        truth.note(clock.mono(), Condition::Serving(0));
        let state = State {
            nodes: [node(1001), node(1002)],
            leader: 0,
            term: 1,
            log: Vec::new(),
            keys: BTreeMap::new(),
            shipped: 0,
            stuck: Vec::new(),
            weather: Weather::Clear,
            truth,
            next_pid: 1003,
            failed_looks: 0,
            disturbed: false,
        };
        Arc::new(Self { clock, settings, state: Mutex::new(state), changed: Notify::new() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, notes what that means for requests, and wakes those that wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let now = self.clock.mono();
        let result = {
            let mut state = self.state();
            state.ship(now, self.settings.lag);
            let result = change(&mut state);
            let condition = state.condition();
            match condition {
                Condition::Serving(_) => state.thaw(now),
                Condition::Refusing => state.stuck.clear(),
                Condition::Hanging => {}
            }
            state.truth.note(now, condition);
            result
        };
        self.changed.notify_waiters();
        result
    }

    /// What really happened, up to now.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let state = self.state();
        let stored = state.log.iter().map(|stored| (stored.key, stored.intact)).collect();
        Truth { stored, ..state.truth.clone() }
    }

    /// What a client was told about a write.
    pub(super) fn told(&self, key: Key, outcome: Outcome) {
        if outcome != Outcome::Unsent {
            self.state().truth.told.insert(key, outcome);
        }
    }

    pub(super) fn identity(&self, pid: i32) -> Option<ProcessIdentity> {
        let state = self.state();
        let index = state.nodes.iter().position(|node| node.pid == pid && node.state != ProcessState::Gone)?;
        let name = NAMES.get(index)?.to_string();
        Some(ProcessIdentity { pid, started: pid.unsigned_abs().into(), boot: BOOT.to_owned(), name })
    }

    pub(super) fn process_state(&self, pid: i32) -> ProcessState {
        let state = self.state();
        state.nodes.iter().find(|node| node.pid == pid).map_or(ProcessState::Gone, |node| node.state)
    }

    /// KILL, STOP or CONT; false if there is no such process any more.
    pub(super) fn signal(&self, pid: i32, signal: &str) -> Result<(), String> {
        let wanted = match signal.trim_start_matches("SIG") {
            "KILL" | "TERM" => ProcessState::Gone,
            "STOP" => ProcessState::Stopped,
            "CONT" => ProcessState::Running,
            other => return Err(format!("signal {other} is not simulated")),
        };
        self.change(|state| {
            let index = state.nodes.iter().position(|node| node.pid == pid && node.state != ProcessState::Gone);
            let index = index.ok_or_else(|| format!("process {pid} is gone"))?;
            state.nodes[index].state = wanted;
            state.disturbed = true;
            Ok(())
        })
    }

    /// One look of the router.
    pub(super) fn look(&self) {
        let now = self.clock.mono();
        let promote = {
            let mut state = self.state();
            state.ship(now, self.settings.lag);
            let healthy = state.nodes[state.leader].state == ProcessState::Running;
            state.failed_looks = if healthy { 0 } else { state.failed_looks + 1 };
            let standby = state.nodes[1 - state.leader].state == ProcessState::Running;
            standby && self.settings.failures.is_some_and(|failures| state.failed_looks >= failures)
        };
        if promote {
            self.change(|state| state.promote(now));
        }
    }

    /// Every node that is gone is there again, as a standby that has everything (or as the leader it still is).
    pub(super) fn start_gone(&self) {
        self.change(|state| {
            for index in 0..state.nodes.len() {
                if state.nodes[index].state == ProcessState::Gone {
                    state.nodes[index] = Node { pid: state.next_pid, state: ProcessState::Running };
                    state.next_pid += 1;
                    state.shipped = state.log.len();
                }
            }
        });
    }
}

impl State {
    /// What a request that arrives now meets.
    pub fn condition(&self) -> Condition {
        match (self.weather, self.nodes[self.leader].state) {
            (Weather::Refusing, _) | (Weather::Clear | Weather::Slow(_), ProcessState::Dying | ProcessState::Gone) => {
                Condition::Refusing
            }
            (Weather::Hanging, _) | (_, ProcessState::Stopped) => Condition::Hanging,
            (Weather::Clear, ProcessState::Running) => Condition::Serving(0),
            (Weather::Slow(extra), ProcessState::Running) => {
                Condition::Serving(i64::try_from(extra.as_nanos()).unwrap_or(i64::MAX))
            }
        }
    }

    /// The standby has what is older than the lag, if both run.
    fn ship(&mut self, now: Mono, lag: Duration) {
        if self.nodes.iter().all(|node| node.state == ProcessState::Running) {
            let due = |stored: &&Stored| stored.accepted.after(lag) <= now;
            self.shipped += self.log[self.shipped..].iter().take_while(due).count();
        }
    }

    fn promote(&mut self, now: Mono) {
        self.truth.promotions.push(now);
        self.leader = 1 - self.leader;
        self.term += 1;
        self.failed_looks = 0;
        self.log.truncate(self.shipped);
        let kept: BTreeSet<Key> = self.log.iter().map(|stored| stored.key).collect();
        self.keys.retain(|key, _| kept.contains(key));
    }

    /// The leader goes on: it carries out what is in its sockets, though nobody waits for it any more. What another
    /// leader had, or one that died, is gone.
    fn thaw(&mut self, now: Mono) {
        for (term, key) in std::mem::take(&mut self.stuck) {
            if term == self.term {
                self.store(Stored { key, intact: true, accepted: now });
            }
        }
    }

    /// A request was given up while the leader was frozen.
    pub fn leave_stuck(&mut self, term: u64, key: Key) {
        self.stuck.push((term, key));
    }

    /// Stores a record.
    pub fn store(&mut self, record: Stored) {
        self.log.push(record);
        self.keys.insert(record.key, record.intact);
    }

    /// Can the leader do anything at all?
    pub fn leader_runs(&self) -> bool {
        self.nodes[self.leader].state == ProcessState::Running
    }

    /// Do both nodes live, so that the standby follows?
    pub fn streaming(&self) -> bool {
        self.nodes.iter().all(|node| node.state == ProcessState::Running)
    }
}
