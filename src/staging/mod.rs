//! The embedded staging: a replicated key-value service of our own, so that a drill needs nothing but this binary.
//! Real processes: a supervisor with a health-checking router in front, and two nodes, primary and standby. No
//! measuring happens here; every process writes down what it really did (`DIR/truth/NAME.jsonl`), so that what a drill
//! measured can be checked against it.
//!
//! # The ledger's protocol
//!
//! Spoken by the router and by each node. `x-blackstart-outcome` says what a refusal means for the write.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /ledger/{run}/{writer}/{seq}`, body: the payload, header `x-blackstart-attempt: N` (default 1) | 200: acknowledged; with `x-blackstart-durability: local` on the primary only. `x-blackstart-outcome: fail` (503, or 400 for nonsense): it definitely did not happen. Anything else: unknown |
//! | `GET /ledger/{run}/{writer}/{seq}` | 200 and the payload, 404: not there, 503: this node cannot say |
//! | `GET /ledger/{run}` | 200 and one line per stored row in the server's order, `writer seq attempt payload-hex`, then `end COUNT`; a dump without that last line is cut off. `?any=1` asks a standby for its own copy |
//! | `GET /ledger/{run}/tally` | 200 and one line per writer, `writer rows highest-seq sum-of-seqs`, then `end LINES`; `upto=W.S,W.S` counts only these writers, each up to S; `any=1` as above. Only a node answers it |
//! | `GET /ledger/{run}/blocks` | 200 and a line for each writer and 4,096 sequence numbers: `writer block count min max sum order first last` (sums of hashes, the hash of the order, and places in the server's order, as `adapters::snapshot` has them), then `end TERM LENGTH` |
//! | `POST /ledger/{run}/rows?term=TERM&to=LENGTH`, body: a line `writer block` for each block, or `all` | 200 and the dump's lines of these blocks with their place before them, of the same moment as the sums; 503 if it is over |
//! | `GET /keys?prefix=P` | 200 and a line for each stored row whose key `run/writer/seq` begins with P, `key payload-hex`, then `end COUNT`, which is not said if the log was cut meanwhile; `any=1` as above |
//! | `GET /?nonce=X` | 200 and a small page that holds X; 503 from a node that is not primary |
//!
//! Writer is a `u16`, seq a `u64`, the run's name `[A-Za-z0-9_.-]{1,128}`, a payload at most 64 KiB. Every PUT that is
//! accepted becomes a row of its own: a retried write is there twice and is told apart by its attempt.
//!
//! # The router's own requests
//!
//! `GET /health` (200 while the leader answers, else 503), `GET /cluster` (see [`front::View`]),
//! `POST /cluster/start?node=a` (starts that node, or any, if it is dead: as a standby unless it still leads; 200 when the
//! standby has caught up), `POST /cluster/switchover`.
//!
//! # Ports and files
//!
//! Five ports in a row on 127.0.0.1: router P, nodes P+1 and P+2, their replication P+3 and P+4. In the directory:
//! `cluster.pid`, `a.pid`, `b.pid`, `primary.pid`, `standby.pid` (the pid in that role now; that of a dead node stays),
//! `a.data` and `b.data` ([`log`] has the format), `a.log` and `b.log` (what a node had to complain about).
//!
//! Every process ends when its standard input ends, so whoever holds the pipe of the supervisor holds them all.

mod accept;
pub mod cluster;
pub mod front;
mod keys;
pub mod log;
mod member;
pub mod node;
mod node_http;
mod replication;
mod router;
mod summary;
pub mod truth;
mod violation;
mod wire;

pub use violation::Violations;

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The lag of an asynchronous standby if nothing else is asked.
const USUAL_LAG: Duration = Duration::from_millis(300);

/// When the primary acknowledges a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// At once; the standby gets it later.
    #[default]
    Async,
    /// When the standby has it.
    Sync,
}

impl Replication {
    /// The word in playbooks and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
        }
    }
}

/// Whether the router promotes the standby by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// After enough failed health checks in a row.
    #[default]
    Automatic,
    /// Never: requests wait for the primary.
    Off,
}

/// What a playbook asks of the embedded staging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// When writes are acknowledged.
    pub replication: Replication,
    /// How much later than on the primary a write is on the standby.
    pub lag: Duration,
    /// The router's port, the first of five.
    pub port: u16,
    /// Whether the router fails over.
    pub failover: Failover,
    /// `sync` only: a primary whose standby is gone longer than this acknowledges alone and says so; refused if not set.
    pub degrade_after: Option<Duration>,
    /// Time between two health checks; the router's own default if not given.
    pub check_every: Option<Duration>,
    /// Failed checks in a row that lead to a failover; the router's own default if not given.
    pub failures: Option<u32>,
}

impl From<&crate::plan::EmbeddedStaging> for Embedded {
    fn from(plan: &crate::plan::EmbeddedStaging) -> Self {
        let (replication, usual_lag) = match plan.replication {
            crate::plan::Replication::Async => (Replication::Async, USUAL_LAG),
            crate::plan::Replication::Sync => (Replication::Sync, Duration::ZERO),
        };
        Self {
            replication,
            lag: plan.lag.map_or(usual_lag, |d| d.0),
            port: plan.port,
            failover: if plan.failover { Failover::Automatic } else { Failover::Off },
            degrade_after: plan.degrade_after.map(|d| d.0),
            check_every: plan.check_every.map(|d| d.0),
            failures: plan.failures,
        }
    }
}

impl Embedded {
    /// The arguments of this binary that bring it up in `dir`; keep its standard input open for as long as it shall
    /// live, and wait for the line `{"ready":true,…}` on its standard output.
    #[must_use]
    pub fn arguments(&self, dir: &Path) -> Vec<String> {
        let mut words = vec!["kv".to_owned(), "cluster".to_owned()];
        let mut put = |name: &str, value: String| words.extend([name.to_owned(), value]);
        put("--dir", dir.display().to_string());
        put("--port", self.port.to_string());
        put("--replication", self.replication.word().to_owned());
        put("--lag", format!("{}us", self.lag.as_micros()));
        for (name, limit) in [("--degrade-after", self.degrade_after), ("--check-every", self.check_every)] {
            if let Some(limit) = limit {
                put(name, format!("{}us", limit.as_micros()));
            }
        }
        if let Some(count) = self.failures {
            put("--failures", count.to_string());
        }
        if self.failover == Failover::Off {
            words.push("--no-failover".to_owned());
        }
        words
    }

    /// The address clients use.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Why a process of the staging could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// A port is taken.
    #[error("{who}: cannot listen on 127.0.0.1:{port}: {cause}")]
    Listen {
        /// Which process.
        who: String,
        /// Which port.
        port: u16,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{doing} {path}: {cause}")]
    File {
        /// What was tried, as in "cannot write".
        doing: &'static str,
        /// Which file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A node did not start.
    #[error("node {node} did not start: {reason}")]
    NodeFailed {
        /// Which one.
        node: &'static str,
        /// Its own words, or what was missing.
        reason: String,
    },
    /// Ports P to P+4 do not exist.
    #[error("port {0} leaves no room for the four ports after it")]
    PortRange(u16),
    /// A part of the process ended that never should.
    #[error("{0} stopped: {1}")]
    Stopped(&'static str, std::io::Error),
}

impl StagingError {
    fn file(doing: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::File { doing, path: path.display().to_string(), cause }
    }
}

async fn listen(who: &str, port: u16) -> Result<tokio::net::TcpListener, StagingError> {
    tokio::net::TcpListener::bind(("127.0.0.1", port)).await.map_err(|cause| StagingError::Listen {
        who: who.to_owned(),
        port,
        cause,
    })
}

/// Resolves when standard input ends or SIGTERM or SIGINT comes: the three ways in which a process of the staging is
/// told to end. The reading thread is a plain one, because the runtime would wait for a blocked read of its own.
async fn told_to_end() {
    let (gone, closed) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut sink = std::io::sink();
        // Bytes are ignored; an error means the same as the end.
        let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut sink);
        drop(gone);
    });
    let signal = |kind| async move {
        match tokio::signal::unix::signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = closed => {}
        () = signal(tokio::signal::unix::SignalKind::terminate()) => {}
        () = signal(tokio::signal::unix::SignalKind::interrupt()) => {}
    }
}
