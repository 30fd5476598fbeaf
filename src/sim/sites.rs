//! Two simulated sites that both take writes and send them to each other: processes that die and freeze, a link between
//! them, and a record of what arrived where and when. Clients and the world around them are in `sites_world`.

use crate::adapters::ProcessState;
use crate::clock::Clock;
use crate::model::{Key, Mono, Outcome, ProcessIdentity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How two sites are.
#[derive(Debug, Clone, PartialEq)]
pub struct PairSettings {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How much later a record is at the other site.
    pub lag: Duration,
    /// How long a killed site takes to come back once it is started.
    pub restart: Duration,
    /// What it has then.
    pub disk: Disk,
}

/// What a site that was killed has when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Everything: the others get what they lack.
    Kept,
    /// What the other site has: all that was not sent there yet is lost.
    Lost,
}

/// The names of the sites, in order.
pub const SITES: [&str; 2] = ["berlin", "lyon"];
/// The process that carries records from site to site.
pub const LINK: &str = "link";

/// A record that came to a site, from a client or from the other site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Which site.
    pub site: usize,
    /// Which record.
    pub key: Key,
    /// When.
    pub at: Mono,
}

/// What really happened.
#[derive(Debug, Clone, Default)]
pub struct PairTruth {
    /// Every record that ever came to a site.
    pub arrivals: Vec<Arrival>,
    /// When each site lost all that it had, and when it got what the other had.
    pub emptied: Vec<(usize, Mono)>,
    /// What each site has now.
    pub stored: [BTreeSet<Key>; 2],
    /// What clients were told about each write.
    pub told: BTreeMap<Key, Outcome>,
    /// From when to when each site took no requests.
    pub down: [Vec<(Mono, Option<Mono>)>; 2],
}

#[derive(Debug)]
pub(super) struct Node {
    pub pid: i32,
    pub state: ProcessState,
}

#[derive(Debug, Default)]
struct Store {
    /// In the order in which they came.
    log: Vec<Key>,
    keys: BTreeSet<Key>,
    /// What clients wrote here, and when.
    taken: Vec<(Key, Mono)>,
    /// So many of those are at the other site.
    sent: usize,
}

#[derive(Debug)]
pub(super) struct PairState {
    /// The sites, then the link.
    pub nodes: [Node; 3],
    stores: [Store; 2],
    truth: PairTruth,
    next_pid: i32,
}

/// Two sites.
pub struct Pair {
    pub(super) clock: Clock,
    pub(super) settings: PairSettings,
    state: Mutex<PairState>,
    pub(super) changed: Notify,
}

impl Pair {
    /// Healthy ones, with nothing in them.
    #[must_use]
    pub fn new(clock: Clock, settings: PairSettings) -> Arc<Self> {
        let node = |pid| Node { pid, state: ProcessState::Running };
        let state = PairState {
            nodes: [node(2001), node(2002), node(2003)],
            stores: [Store::default(), Store::default()],
            truth: PairTruth::default(),
            next_pid: 2004,
        };
        Arc::new(Self { clock, settings, state: Mutex::new(state), changed: Notify::new() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PairState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What really happened, up to now.
    #[must_use]
    pub fn truth(&self) -> PairTruth {
        let state = self.state();
        PairTruth { stored: [state.stores[0].keys.clone(), state.stores[1].keys.clone()], ..state.truth.clone() }
    }

    pub(super) fn told(&self, key: Key, outcome: Outcome) {
        if outcome != Outcome::Unsent {
            self.state().truth.told.insert(key, outcome);
        }
    }

    pub(super) fn identity(&self, pid: i32) -> Option<ProcessIdentity> {
        let state = self.state();
        let place = state.nodes.iter().position(|node| node.pid == pid && node.state != ProcessState::Gone)?;
        let name = SITES.get(place).map_or(LINK, |name| *name).to_owned();
        Some(ProcessIdentity { pid, started: pid.unsigned_abs().into(), boot: "simulated".to_owned(), name })
    }

    pub(super) fn process_state(&self, pid: i32) -> ProcessState {
        let state = self.state();
        state.nodes.iter().find(|node| node.pid == pid).map_or(ProcessState::Gone, |node| node.state)
    }

    /// KILL, STOP or CONT.
    pub(super) fn signal(&self, pid: i32, signal: &str) -> Result<(), String> {
        let wanted = match signal.trim_start_matches("SIG") {
            "KILL" | "TERM" => ProcessState::Gone,
            "STOP" => ProcessState::Stopped,
            "CONT" => ProcessState::Running,
            other => return Err(format!("signal {other} is not simulated")),
        };
        let now = self.clock.mono();
        {
            let mut state = self.state();
            let place = state.nodes.iter().position(|node| node.pid == pid && node.state != ProcessState::Gone);
            let place = place.ok_or_else(|| format!("process {pid} is gone"))?;
            state.turn(place, wanted, now);
            if wanted == ProcessState::Gone && self.settings.disk == Disk::Lost && place < SITES.len() {
                state.empty(place, now);
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Sends on what is older than the lag.
    pub(super) fn ship(&self) {
        let now = self.clock.mono();
        self.state().ship(now, self.settings.lag);
    }

    /// Everything that is gone is there again.
    pub(super) fn start_gone(&self) {
        let now = self.clock.mono();
        {
            let mut state = self.state();
            for place in 0..state.nodes.len() {
                if state.nodes[place].state == ProcessState::Gone {
                    state.nodes[place].pid = state.next_pid;
                    state.next_pid += 1;
                    state.turn(place, ProcessState::Running, now);
                    if self.settings.disk == Disk::Lost && place < SITES.len() {
                        state.copy_from_the_other(place, now);
                    }
                }
            }
        }
        self.changed.notify_waiters();
    }
}

impl PairState {
    fn turn(&mut self, place: usize, wanted: ProcessState, now: Mono) {
        let was = self.nodes[place].state;
        self.nodes[place].state = wanted;
        let (up, is_up) = (was == ProcessState::Running, wanted == ProcessState::Running);
        if let Some(down) = self.truth.down.get_mut(place) {
            match (up, is_up) {
                (true, false) => down.push((now, None)),
                (false, true) => down.iter_mut().filter(|(_, to)| to.is_none()).for_each(|(_, to)| *to = Some(now)),
                _ => {}
            }
        }
    }

    /// A client wrote it here.
    pub(super) fn take(&mut self, site: usize, key: Key, now: Mono) {
        self.put(site, key, now);
        self.stores[site].taken.push((key, now));
    }

    fn put(&mut self, site: usize, key: Key, now: Mono) {
        if self.stores[site].keys.insert(key) {
            self.stores[site].log.push(key);
            self.truth.arrivals.push(Arrival { site, key, at: now });
        }
    }

    pub(super) fn has(&self, site: usize, key: Key) -> bool {
        self.stores[site].keys.contains(&key)
    }

    pub(super) fn copy(&self, site: usize) -> Vec<Key> {
        self.stores[site].log.clone()
    }

    fn runs(&self, place: usize) -> bool {
        self.nodes[place].state == ProcessState::Running
    }

    fn ship(&mut self, now: Mono, lag: Duration) {
        if !(0..self.nodes.len()).all(|place| self.runs(place)) {
            return;
        }
        for site in 0..SITES.len() {
            let waiting = &self.stores[site].taken[self.stores[site].sent..];
            let due: Vec<Key> =
                waiting.iter().take_while(|(_, at)| at.after(lag) <= now).map(|(key, _)| *key).collect();
            self.stores[site].sent += due.len();
            due.into_iter().for_each(|key| self.put(1 - site, key, now));
        }
    }

    fn empty(&mut self, site: usize, now: Mono) {
        self.stores[site] = Store::default();
        self.truth.emptied.push((site, now));
    }

    fn copy_from_the_other(&mut self, site: usize, now: Mono) {
        self.copy(1 - site).into_iter().for_each(|key| self.put(site, key, now));
        // It has all of it now.
        self.stores[1 - site].sent = self.stores[1 - site].taken.len();
    }
}
