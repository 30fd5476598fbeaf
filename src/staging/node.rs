//! One node: what it may do in its role and term, and how these change. Writes and reads are in `accept`, the HTTP
//! surface is in `node_http`, the stream between the nodes in `replication`; nodes never decide who leads.

use super::log::{Record, Store, TermStart, common};
use super::truth::{Fact, Name, Truth};
use super::violation::{Counter, Violations};
use super::{Replication, StagingError, listen, node_http, replication, told_to_end};
use crate::clock::Clock;
use crate::model::Mono;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// `a` or `b`.
    pub name: String,
    /// The staging's directory.
    pub dir: PathBuf,
    /// Where it serves HTTP.
    pub port: u16,
    /// Where it serves its log to a standby.
    pub replication_port: u16,
    /// The other node's replication address.
    pub peer: SocketAddr,
    /// The role it starts in.
    pub role: Role,
    /// The term it starts in.
    pub term: u64,
    /// When writes are acknowledged.
    pub replication: Replication,
    /// How much later a standby gets a record.
    pub lag: Duration,
    /// How long a primary of a `sync` pair waits for its standby before it acknowledges alone; never if `None`.
    pub degrade_after: Option<Duration>,
    /// Lies, for tests.
    pub violations: Violations,
    /// The process without which this one must not live.
    pub parent: Option<i32>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Accepts writes.
    Primary,
    /// Follows the primary.
    Standby,
    /// Was primary, accepts nothing any more and hands over the rest of its log.
    Draining,
}

impl Role {
    /// The word in logs and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Draining => "draining",
        }
    }
}

/// Role and term, which change together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it does.
    pub role: Role,
    /// Since which election.
    pub term: u64,
}

/// The standby as its primary sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    session: u64,
    pub(super) confirmed: usize,
    pub(super) connected: bool,
    /// When it came or went.
    pub(super) since: Mono,
}

/// What a node says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// `a` or `b`.
    pub name: String,
    /// Its pid.
    pub pid: u32,
    /// What it does.
    pub role: Role,
    /// In which term.
    pub term: u64,
    /// How many records it holds.
    pub records: usize,
    /// A primary: whether a standby follows. A standby: whether it follows.
    pub streaming: bool,
    /// Records the standby does not have yet.
    pub lag_records: usize,
    /// Age of the oldest of them.
    pub lag_ms: u64,
    /// Facts that could not be written to the truth log.
    pub truth_failures: u64,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    pub(super) settings: NodeSettings,
    store: Mutex<Store>,
    pub(super) status: watch::Sender<Status>,
    pub(super) length: watch::Sender<usize>,
    pub(super) replica: watch::Sender<Replica>,
    pub(super) following: AtomicBool,
    pub(super) truth: Truth,
    pub(super) writes: Counter,
    pub(super) reads: Counter,
    pub(super) held: Mutex<Vec<Record>>,
}

/// Runs a node until it is told to end; `ready` is called once it listens.
///
/// # Errors
/// When a port is taken or a file cannot be opened.
pub async fn run(settings: NodeSettings, ready: impl FnOnce()) -> Result<(), StagingError> {
    bind_to_parent(settings.parent);
    let who = format!("node {}", settings.name);
    let http = listen(&who, settings.port).await?;
    let log = listen(&who, settings.replication_port).await?;
    let node = Arc::new(Node::open(settings)?);
    ready();
    tokio::select! {
        ended = node_http::serve(Arc::clone(&node), http) => ended.map_err(|cause| StagingError::Stopped("its server", cause)),
        () = replication::serve(Arc::clone(&node), log) => Ok(()),
        () = replication::follow(Arc::clone(&node)) => Ok(()),
        () = told_to_end() => Ok(()),
    }
}

/// Asks the system to kill this process with its parent: a frozen process cannot see that its standard input ended.
fn bind_to_parent(parent: Option<i32>) {
    if let Some(pid) = parent {
        // Without it the end of standard input still ends this process, unless it is frozen.
        let _best_effort = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
        if nix::unistd::getppid().as_raw() != pid {
            let _gone = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl Node {
    /// Opens the store and the truth log.
    ///
    /// # Errors
    /// When either cannot be opened.
    pub fn open(settings: NodeSettings) -> Result<Self, StagingError> {
        let data = settings.dir.join(format!("{}.data", settings.name));
        let store = Store::open(&data).map_err(|cause| StagingError::file("cannot open", &data, cause))?;
        let truth = Truth::open(&settings.dir, &settings.name).map_err(|cause| {
            StagingError::file("cannot write", &super::truth::path(&settings.dir, &settings.name), cause)
        })?;
        let (role, term, records) = (settings.role, settings.term, store.len());
        truth.log(&Fact::Started { pid: std::process::id(), role: role.word(), term, records });
        let alone = Replica { session: 0, confirmed: 0, connected: false, since: Clock::System.mono() };
        Ok(Self {
            settings,
            store: Mutex::new(store),
            status: watch::Sender::new(Status { role, term }),
            length: watch::Sender::new(records),
            replica: watch::Sender::new(alone),
            following: AtomicBool::new(false),
            truth,
            writes: Counter::default(),
            reads: Counter::default(),
            held: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Status {
        *self.status.borrow()
    }

    /// Becomes primary in `term`; `false` if that term is not new.
    pub(super) fn promote(&self, term: u64) -> bool {
        let mut store = self.store();
        let now = self.now();
        if term <= now.term {
            return now == Status { role: Role::Primary, term };
        }
        if let Some(count) = self.settings.violations.drop_prefix {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            for record in store.slice(0, count, count) {
                let Record { run, writer, seq, .. } = &*record;
                self.truth.log(&Fact::Violated { violation: "drop_prefix", run, writer: *writer, seq: *seq });
            }
            store.hide_first(count);
        }
        // The session goes on counting, so that a stream of an earlier time as primary cannot end a new one.
        let session = self.replica.borrow().session;
        self.replica.send_replace(Replica { session, confirmed: 0, connected: false, since: Clock::System.mono() });
        self.truth.log(&Fact::Promoted { term, records: store.len() });
        self.status.send_replace(Status { role: Role::Primary, term });
        true
    }

    /// Steps down for good if `seen` is a newer term than its own.
    pub(super) fn observe(&self, seen: u64) {
        let store = self.store();
        let now = self.now();
        if seen > now.term && now.role != Role::Standby {
            self.truth.log(&Fact::Demoted { term: seen, records: store.len() });
            self.status.send_replace(Status { role: Role::Standby, term: now.term });
        }
    }

    /// Stops accepting, for a switchover; waits until the standby has everything, then follows. `false` if it is not
    /// primary or the standby did not get it all within `limit` (then it is primary as before).
    pub(super) async fn hand_over(&self, limit: Duration) -> bool {
        let Status { role, term } = self.now();
        if role != Role::Primary || !self.replica.borrow().connected {
            return false;
        }
        self.set_role(Role::Draining, term);
        let (all, mut replica) = (self.store().len(), self.replica.subscribe());
        let handed = tokio::time::timeout(limit, replica.wait_for(|r| r.confirmed >= all)).await;
        let next = if matches!(handed, Ok(Ok(_))) { Role::Standby } else { Role::Primary };
        self.set_role(next, term);
        next == Role::Standby
    }

    fn set_role(&self, role: Role, term: u64) {
        let store = self.store();
        if self.now().term == term {
            if role == Role::Standby {
                self.truth.log(&Fact::Demoted { term, records: store.len() });
            }
            self.status.send_replace(Status { role, term });
        }
    }

    /// How this node is.
    pub(super) fn health(&self) -> Health {
        let (store, status, replica) = (self.store(), self.now(), *self.replica.borrow());
        let leading = status.role != Role::Standby;
        let behind = if leading { store.len().saturating_sub(replica.confirmed) } else { 0 };
        let oldest = if behind > 0 { store.at(replica.confirmed).map(|(_, at)| at) } else { None };
        // Records of another process's time have no moment of acceptance here.
        let oldest = oldest.filter(|at| at.0 > 0);
        Health {
            name: self.settings.name.clone(),
            pid: std::process::id(),
            role: status.role,
            term: status.term,
            records: store.len(),
            streaming: if leading { replica.connected } else { self.following.load(Ordering::Relaxed) },
            lag_records: behind,
            lag_ms: oldest
                .map_or(0, |at| u64::try_from(Clock::System.mono().since(at).as_millis()).unwrap_or(u64::MAX)),
            truth_failures: self.truth.failures(),
        }
    }

    /// A standby asks to follow: from which record on, and the session that is its own from now. `None` if this node
    /// does not lead, or stepped down because the standby knows a newer term.
    pub(super) fn standby_joins(&self, term: u64, starts: &[TermStart], len: usize) -> Option<(u64, usize)> {
        self.observe(term);
        let store = self.store();
        if self.now().role == Role::Standby {
            return None;
        }
        let from = common((&store.terms(), store.len()), (starts, len));
        let session = self.replica.borrow().session + 1;
        self.truth.log(&Fact::StandbyJoined { from });
        self.replica.send_replace(Replica { session, confirmed: from, connected: true, since: Clock::System.mono() });
        Some((session, from))
    }

    /// The standby of `session` has so many records.
    pub(super) fn standby_confirms(&self, session: u64, confirmed: usize) {
        self.replica.send_if_modified(|r| {
            let news = r.session == session && confirmed > r.confirmed;
            if news {
                r.confirmed = confirmed;
            }
            news
        });
    }

    /// The standby of `session` is gone; ignored if a newer one took its place.
    pub(super) fn standby_leaves(&self, session: u64) {
        let left = self.replica.send_if_modified(|r| {
            let ours = r.session == session && r.connected;
            if ours {
                (r.connected, r.since) = (false, Clock::System.mono());
            }
            ours
        });
        if left {
            self.truth.log(&Fact::StandbyLeft { confirmed: self.replica.borrow().confirmed });
        }
    }

    /// Discards what the primary of `term` does not share, and follows it from there. `false` if this node is no
    /// standby or the disk refused.
    pub(super) fn rewind(&self, term: u64, shared: usize) -> bool {
        let mut store = self.store();
        let now = self.now();
        if now.role != Role::Standby || term < now.term {
            return false;
        }
        let from = shared.min(store.len());
        let Ok(gone) = store.truncate(from) else { return false };
        if !gone.is_empty() {
            let name = |r: &Arc<Record>| Name { run: r.run.clone(), writer: r.writer, seq: r.seq };
            self.truth.log(&Fact::Truncated { from, records: gone.iter().map(name).collect() });
        }
        self.status.send_replace(Status { role: Role::Standby, term });
        true
    }

    /// Stores the primary's record at `place`; returns the new length, `None` if it does not fit here.
    pub(super) fn apply(&self, place: usize, record: Record) -> Option<usize> {
        let mut store = self.store();
        if self.now().role != Role::Standby || place != store.len() {
            return None;
        }
        let (run, writer, seq) = (record.run.clone(), record.writer, record.seq);
        store.append(record, Mono(0)).ok()?;
        self.truth.log(&Fact::Stored { run: &run, writer, seq });
        self.length.send_replace(store.len());
        Some(store.len())
    }

    /// Whether its records go out without the set lag: it hands over.
    pub(super) fn hurries(&self) -> bool {
        self.now().role == Role::Draining
    }
}
