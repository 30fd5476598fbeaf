//! The supervisor and router: starts both nodes, checks the leader's health, promotes the standby when it is gone, and
//! can start a node again or hand over. What clients ask is in `front` and `router`, a node's process in `member`.

use super::front::serve;
use super::log::Store;
use super::member::{Place, Process, ending, places, start, write_pid};
use super::node::{Health, Role};
use super::router::{Forwarder, Leader};
use super::truth::{Fact, Truth};
use super::violation::Violations;
use super::{Failover, Replication, StagingError, listen, told_to_end, wire};
use crate::clock::Clock;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::watch;

const READY_LIMIT: Duration = Duration::from_secs(20);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(1);
const PROMOTE_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// What a cluster is started with.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Where its files are.
    pub dir: PathBuf,
    /// The router's port, the first of five.
    pub port: u16,
    /// When writes are acknowledged.
    pub replication: Replication,
    /// How much later a standby gets a record.
    pub lag: Duration,
    /// How long a `sync` primary waits for its standby before it acknowledges alone; never if `None`.
    pub degrade_after: Option<Duration>,
    /// Time between two health checks.
    pub check_every: Duration,
    /// A health check that takes longer has failed.
    pub check_timeout: Duration,
    /// Failed checks in a row that lead to a failover.
    pub failures: u32,
    /// Whether there is a failover at all.
    pub failover: Failover,
    /// How long a request may wait for the leader.
    pub proxy_timeout: Duration,
    /// Lies, for tests.
    pub violations: Violations,
}

/// What a cluster says once it is up.
#[derive(Debug, Serialize)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
    /// Where clients go.
    pub url: String,
    /// Where its files are.
    pub dir: String,
    /// The supervisor.
    pub pid: u32,
    /// The pid of node a.
    pub a: u32,
    /// The pid of node b.
    pub b: u32,
    /// Who leads.
    pub leader: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) process: Option<Process>,
    pub(super) last_pid: u32,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) settings: ClusterSettings,
    pub(super) places: [Place; 2],
    members: Mutex<[Member; 2]>,
    leader: watch::Sender<Leader>,
    /// One change of leader or start of a node at a time.
    change: tokio::sync::Mutex<()>,
    pub(super) healthy: watch::Sender<bool>,
    truth: Arc<Truth>,
}

/// Runs a cluster until it is told to end; `ready` is called when both nodes are up and the standby follows. When it
/// returns, no process of it is left.
///
/// # Errors
/// When a port is taken, a file cannot be written or a node does not start.
pub async fn run(settings: ClusterSettings, ready: impl FnOnce(&Ready)) -> Result<(), StagingError> {
    let places = places(settings.port)?;
    let front = listen("router", settings.port).await?;
    let truth = Truth::open(&settings.dir, "cluster")
        .map_err(|cause| StagingError::file("cannot write", &super::truth::path(&settings.dir, "cluster"), cause))?;
    write_pid(&settings.dir, "cluster", std::process::id())?;
    let (first, term) = elect(&settings, &places)?;
    let leader = Leader { node: places[first].name, address: places[first].http, term };
    let cluster = Arc::new(Cluster {
        settings,
        places,
        members: Mutex::default(),
        leader: watch::Sender::new(leader),
        change: tokio::sync::Mutex::new(()),
        healthy: watch::Sender::new(false),
        truth: Arc::new(truth),
    });
    let ended = tokio::select! {
        ended = cluster.lead(front, first, ready) => ended,
        () = told_to_end() => Ok(()),
    };
    cluster.end().await;
    ended
}

/// The node whose log is ahead leads, in a term that is new; node a if both are empty.
fn elect(settings: &ClusterSettings, places: &[Place; 2]) -> Result<(usize, u64), StagingError> {
    let mut state = [(0, 0); 2];
    for (state, place) in state.iter_mut().zip(places) {
        let path = settings.dir.join(format!("{}.data", place.name));
        let store = Store::open(&path).map_err(|cause| StagingError::file("cannot open", &path, cause))?;
        *state = (store.terms().last().map_or(0, |t| t.0), store.len());
    }
    let first = usize::from(state[1] > state[0]);
    Ok((first, state[first].0 + 1))
}

impl Cluster {
    pub(super) fn members(&self) -> MutexGuard<'_, [Member; 2]> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leading(&self) -> Leader {
        *self.leader.borrow()
    }

    pub(super) fn leading_index(&self) -> usize {
        usize::from(self.leading().node == self.places[1].name)
    }

    fn is_alive(&self, index: usize) -> bool {
        self.members()[index].process.is_some()
    }

    async fn lead(
        self: &Arc<Self>,
        front: tokio::net::TcpListener,
        first: usize,
        ready: impl FnOnce(&Ready),
    ) -> Result<(), StagingError> {
        let Leader { node, term, .. } = self.leading();
        self.spawn(first, Role::Primary, term).await?;
        self.spawn(1 - first, Role::Standby, term).await?;
        self.write_roles()?;
        self.until_following(READY_LIMIT)
            .await
            .map_err(|reason| StagingError::NodeFailed { node: self.places[1 - first].name, reason })?;
        self.healthy.send_replace(true);
        self.truth.log(&Fact::RoutedTo { node, term });
        ready(&self.ready());
        let forwarder =
            Arc::new(Forwarder::new(self.leader.subscribe(), self.settings.proxy_timeout, Arc::clone(&self.truth)));
        tokio::select! {
            ended = serve(Arc::clone(self), forwarder, front) => ended.map_err(|cause| StagingError::Stopped("the router", cause)),
            () = self.check_leader() => Ok(()),
            () = self.tell_follower() => Ok(()),
            () = self.watch_stops() => Ok(()),
        }
    }

    fn ready(&self) -> Ready {
        let members = self.members();
        Ready {
            ready: true,
            url: format!("http://127.0.0.1:{}", self.settings.port),
            dir: self.settings.dir.display().to_string(),
            pid: std::process::id(),
            a: members[0].last_pid,
            b: members[1].last_pid,
            leader: self.leading().node,
        }
    }

    async fn spawn(self: &Arc<Self>, index: usize, role: Role, term: u64) -> Result<(), StagingError> {
        let own = self.places[index];
        let (process, child) = start(&self.settings, own, self.places[1 - index], role, term).await?;
        let pid = process.pid;
        self.truth.log(&Fact::Spawned { node: own.name, pid, role: role.word(), term });
        {
            let mut members = self.members();
            members[index] = Member { process: Some(process), last_pid: pid };
        }
        tokio::spawn(Arc::clone(self).await_end(index, pid, child));
        write_pid(&self.settings.dir, own.name, pid)
    }

    async fn await_end(self: Arc<Self>, index: usize, pid: u32, mut child: Child) {
        let status = child.wait().await;
        self.members()[index].process = None;
        self.truth.log(&Fact::ChildExited { node: self.places[index].name, pid, status: ending(status) });
    }

    fn write_roles(&self) -> Result<(), StagingError> {
        let leading = self.leading_index();
        let (primary, standby) = {
            let members = self.members();
            (members[leading].last_pid, members[1 - leading].last_pid)
        };
        write_pid(&self.settings.dir, "primary", primary)?;
        write_pid(&self.settings.dir, "standby", standby)
    }

    /// Asks a node for its health, and tells it the term.
    pub(super) async fn health(&self, index: usize, limit: Duration) -> io::Result<Health> {
        let path = format!("/health?term={}", self.leading().term);
        let (status, body) = wire::ask(self.places[index].http, "GET", &path, limit).await?;
        if status == 200 {
            serde_json::from_slice(&body).map_err(io::Error::from)
        } else {
            Err(io::Error::other("unhealthy"))
        }
    }

    /// Checks the leader for ever, and fails over.
    async fn check_leader(self: &Arc<Self>) {
        let mut misses = 0;
        let mut tick = tokio::time::interval(self.settings.check_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let Leader { node, term, .. } = self.leading();
            let checked = self.health(self.leading_index(), self.settings.check_timeout).await;
            if self.leading().term != term {
                misses = 0;
                continue;
            }
            let failed = match checked {
                Ok(health) if health.role == Role::Standby => Some("it says that it is a standby".to_owned()),
                Ok(_) => None,
                Err(why) => Some(why.to_string()),
            };
            self.healthy.send_replace(failed.is_none());
            let Some(error) = failed else {
                misses = 0;
                continue;
            };
            misses += 1;
            self.truth.log(&Fact::CheckFailed { node, count: misses, error });
            if misses >= self.settings.failures && self.settings.failover == Failover::Automatic {
                let _turn = self.change.lock().await;
                if self.leading().term == term && self.lead_from(1 - self.leading_index()).await {
                    misses = 0;
                }
            }
        }
    }

    /// Writes down when a node is stopped by a signal and when it goes on: it cannot do that itself. Ends are left to
    /// whoever waits for them.
    async fn watch_stops(&self) {
        let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child()) else {
            return std::future::pending().await;
        };
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
        while signals.recv().await.is_some() {
            for (place, pid) in self.places.iter().zip(self.pids()) {
                let process = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
                let node = place.name;
                // At most a few changes wait; a stop that was followed at once by its end is reported as neither.
                for _ in 0..4 {
                    match waitid(Id::Pid(process), flags) {
                        Ok(WaitStatus::Stopped(..)) => self.truth.log(&Fact::ChildStopped { node, pid }),
                        Ok(WaitStatus::Continued(_)) => self.truth.log(&Fact::ChildContinued { node, pid }),
                        _ => break,
                    }
                }
            }
        }
    }

    fn pids(&self) -> [u32; 2] {
        let members = self.members();
        [members[0].last_pid, members[1].last_pid]
    }

    /// Tells the other node the term, so that an old primary that comes back learns that it is deposed.
    async fn tell_follower(&self) {
        let mut tick = tokio::time::interval(self.settings.check_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // Whether it answers does not matter here.
            let _told = self.health(1 - self.leading_index(), self.settings.check_timeout).await;
        }
    }

    /// Promotes a node and routes to it; `false` if it could not be promoted. The caller holds `change`.
    async fn lead_from(&self, index: usize) -> bool {
        let (place, term) = (self.places[index], self.leading().term + 1);
        let promoted = wire::ask(place.http, "POST", &format!("/promote?term={term}"), PROMOTE_LIMIT).await;
        if !promoted.is_ok_and(|(status, _)| status == 200) {
            return false;
        }
        let leader = Leader { node: place.name, address: place.http, term };
        let before = self.leading();
        self.truth.log(&Fact::RoutedTo { node: place.name, term });
        self.leader.send_replace(leader);
        if self.write_roles().is_err() {
            self.truth.log(&Fact::CheckFailed {
                node: before.node,
                count: 0,
                error: "cannot write pid files".to_owned(),
            });
        }
        self.healthy.send_replace(true);
        true
    }

    /// Starts those of the nodes that are dead (as standbys, but the one that still leads) and waits until the standby
    /// has everything.
    pub(super) async fn start_nodes(self: &Arc<Self>, which: &[usize]) -> Result<(), String> {
        {
            let _turn = self.change.lock().await;
            for index in which.iter().copied().filter(|index| !self.is_alive(*index)) {
                let role = if index == self.leading_index() { Role::Primary } else { Role::Standby };
                self.spawn(index, role, self.leading().term).await.map_err(|e| e.to_string())?;
                self.write_roles().map_err(|e| e.to_string())?;
            }
        }
        self.until_following(CATCH_UP_LIMIT).await
    }

    /// Waits until the leader has a standby that holds all that the leader held when this was asked.
    async fn until_following(&self, limit: Duration) -> Result<(), String> {
        let deadline = Clock::System.mono().after(limit);
        let mut goal = None;
        loop {
            let asked = self.health(self.leading_index(), self.settings.check_timeout).await;
            if let Ok(leader) = &asked {
                let goal = *goal.get_or_insert(leader.records);
                if leader.streaming && leader.records - leader.lag_records >= goal {
                    return Ok(());
                }
            }
            if Clock::System.mono() > deadline {
                let seconds = limit.as_secs();
                return Err(asked.map_or_else(
                    |why| format!("the leader does not answer after {seconds} s: {why}"),
                    |h| format!("no standby has caught up after {seconds} s: {} records behind", h.lag_records),
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) async fn switch_over(&self) -> Result<(), String> {
        let _turn = self.change.lock().await;
        let from = self.leading_index();
        let handed = wire::ask(self.places[from].http, "POST", "/hand-over", CATCH_UP_LIMIT).await;
        match handed {
            Ok((200, _)) => {}
            Ok((_, body)) => return Err(String::from_utf8_lossy(&body).trim().to_owned()),
            Err(why) => return Err(why.to_string()),
        }
        if self.lead_from(1 - from).await { Ok(()) } else { Err("the standby could not be promoted".to_owned()) }
    }

    /// Ends both nodes: by the end of their standard input, then, what is left (frozen, say), by SIGKILL.
    async fn end(&self) {
        let pids: Vec<u32> =
            self.members().iter_mut().filter_map(|m| m.process.as_mut()).map(Process::dismiss).collect();
        for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGKILL] {
            for pid in pids.iter().filter(|pid| self.holds(**pid)) {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).unwrap_or(i32::MAX));
                // It may have ended by itself.
                let _sent = nix::sys::signal::kill(pid, signal);
            }
            let deadline = Clock::System.mono().after(END_LIMIT);
            while pids.iter().any(|pid| self.holds(*pid)) && Clock::System.mono() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Whether this process was started here and has not been seen to end; until then its pid is no other's.
    fn holds(&self, pid: u32) -> bool {
        self.members().iter().any(|m| m.process.as_ref().is_some_and(|p| p.pid == pid))
    }
}
