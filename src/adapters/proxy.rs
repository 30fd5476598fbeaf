//! What a TCP proxy of ours is told and what it says: the words of its control socket, one JSON object a line. The
//! proxy itself is in `helpers::proxy`; what a fault does with it is in `faults`.

use super::{AdapterError, Fut};
use crate::clock::Clock;
use crate::model::Owner;
use crate::model::{Bandwidth, Dur, Orphaned, Size};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From clients to the upstream: requests.
    ToUpstream,
    /// From the upstream to clients: answers.
    ToClient,
    /// Both.
    Both,
}

impl Direction {
    /// Does it cover this one?
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

/// One of the two connections that make up a connection through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The client's.
    Client,
    /// The upstream's.
    Upstream,
}

/// What the proxy does to connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Bytes arrive later, by `delay` give or take `jitter`, still in order.
    Latency {
        /// The middle of the delay.
        delay: Dur,
        /// Half the width of the delay.
        jitter: Dur,
    },
    /// All connections share so many bytes a second.
    Bandwidth {
        /// Bytes a second.
        rate: Bandwidth,
    },
    /// Connections are accepted, and nothing passes.
    BlackHole,
    /// Both sides get RST.
    Reset {
        /// When so many bytes have passed since the fault was set; 0 for at once.
        after: Size,
    },
    /// The end of a stream is passed on later.
    SlowClose {
        /// So much later.
        delay: Dur,
    },
    /// One side is closed and the other is never told.
    HalfOpen {
        /// The side that is closed.
        closed: Side,
    },
    /// The connection is closed when so many bytes have passed since the fault was set.
    Limit {
        /// So many.
        bytes: Size,
    },
    /// New connections are refused.
    Refuse,
}

/// A fault in the proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineFault {
    /// The owner's tag: at most one fault each.
    pub owner: String,
    /// The owner for people, `RUN/FAULT`.
    pub name: String,
    /// Which way bytes are touched.
    pub direction: Direction,
    /// The share of connections that it touches, 0 to 1.
    pub share: f64,
    /// What it does.
    pub effect: Effect,
}

/// What the proxy is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Put a fault there; the owner's earlier one is replaced.
    Set(LineFault),
    /// Take the owner's fault away; nothing happens if there is none.
    Clear(String),
    /// Take all faults away.
    ClearAll,
    /// Open a port for one connection to an echo, through the same code and faults: for looking from outside.
    Echo,
    /// Only say how it is.
    State,
    /// End; only one whose runner is gone does.
    End,
}

/// What the proxy answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Done, or asked for: how it is now.
    State(Box<ProxyState>),
    /// The address of the echo port.
    Echo(String),
    /// It does not understand, or cannot.
    Error(String),
}

/// How the proxy is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyState {
    /// Differs for every process that ever served this socket.
    pub instance: String,
    /// Where clients connect.
    pub listen: String,
    /// Where they are led to.
    pub upstream: String,
    /// What happens to it without its runner.
    pub life: Life,
    /// Does the port refuse connections now?
    pub refusing: bool,
    /// The faults in it.
    pub faults: Vec<LineFault>,
    /// Connections since its start.
    pub accepted: u64,
    /// Connections now.
    pub open: u64,
    /// Connections that a fault has reset, closed, halved or refused.
    pub broken: u64,
    /// Bytes passed to the upstream.
    pub to_upstream: u64,
    /// Bytes passed to clients.
    pub to_client: u64,
}

/// How a helper process is started: the parameters of `blackstart helper … proxy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyStart {
    /// Where clients connect; port 0 takes a free one.
    pub listen: std::net::SocketAddr,
    /// Where they are led to, `host:port`.
    pub upstream: String,
    /// The control socket's file.
    pub control: PathBuf,
    /// Whose it is, and what happens without him.
    pub keep: Keep,
}

/// Whose a helper process is, and what happens without him.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keep {
    /// The process it works for, by pid and start time; none if it is on its own.
    pub runner: Option<(i32, u64)>,
    /// What it does when that process is gone.
    pub orphaned: Orphaned,
    /// It lives so long without it.
    pub linger: Dur,
    /// It never lives longer than this.
    pub deadline: Option<Dur>,
}

/// What happens to it without its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Nobody is watched: it lives until it is ended.
    OnItsOwn,
    /// Its runner lives.
    Held,
    /// Its runner is gone: all faults are gone, and it forwards.
    OrphanedOpen,
    /// Its runner is gone: it lets nobody through.
    OrphanedClosed,
}

/// The TCP proxies of this machine.
pub trait Proxies: Send + Sync {
    /// Asks the one behind this control socket; what it says no to is `Refused`.
    fn ask<'a>(&'a self, control: &'a Path, ask: &'a Ask) -> Fut<'a, Result<Said, AdapterError>>;
    /// The control sockets of all proxies of ours that run, whoever started them.
    fn all(&self) -> Vec<PathBuf>;
    /// The control socket's file of an owner's proxy of this name; its folder is ours alone.
    ///
    /// # Errors
    /// When there can be no such folder.
    fn socket(&self, owner: &Owner, name: &str) -> Result<PathBuf, AdapterError>;
    /// Connects to an address, sends so many bytes and says what came back until then.
    fn attempt<'a>(&'a self, address: &'a str, attempt: Attempt) -> Fut<'a, Attempted>;
}

/// What a look through a proxy tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// So many bytes are sent.
    pub bytes: usize,
    /// Then the stream is ended.
    pub end: bool,
    /// It is given up after this.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes that came back.
    pub back: usize,
    /// From the first byte sent to then.
    pub took: Duration,
}

/// How a look through a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All bytes came back (and the end of the stream, if it was sent).
    Echoed,
    /// The stream ended before.
    Ended,
    /// The connection was reset.
    Reset,
    /// There was none.
    Refused,
    /// Nothing more came.
    Silent,
}

/// Those of this machine.
pub(super) struct SystemProxies;

impl Proxies for SystemProxies {
    fn ask<'a>(&'a self, control: &'a Path, ask: &'a Ask) -> Fut<'a, Result<Said, AdapterError>> {
        Box::pin(async move {
            match super::control::ask(control, ask).await? {
                Said::Error(why) => Err(AdapterError::Refused(format!("the proxy says: {why}"))),
                said => Ok(said),
            }
        })
    }

    fn all(&self) -> Vec<PathBuf> {
        super::control::sockets("proxy")
    }

    fn socket(&self, owner: &Owner, name: &str) -> Result<PathBuf, AdapterError> {
        super::control::path(owner, name)
    }

    fn attempt<'a>(&'a self, address: &'a str, attempt: Attempt) -> Fut<'a, Attempted> {
        Box::pin(try_out(address, attempt))
    }
}

async fn try_out(address: &str, attempt: Attempt) -> Attempted {
    let clock = Clock::System;
    let began = clock.mono();
    let mut back = 0;
    let work = tokio::time::timeout(attempt.limit, exchange(address, attempt, &mut back)).await;
    let outcome = match work {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Outcome::Refused,
        Ok(Err(_)) => Outcome::Reset,
        Err(_) => Outcome::Silent,
    };
    Attempted { outcome, back, took: clock.mono().since(began) }
}

async fn exchange(address: &str, attempt: Attempt, back: &mut usize) -> std::io::Result<Outcome> {
    let (mut read, mut write) = TcpStream::connect(address).await?.into_split();
    let send = async {
        write.write_all(&vec![b'.'; attempt.bytes]).await?;
        if attempt.end { write.shutdown().await } else { Ok(()) }
    };
    let receive = async {
        let mut bytes = [0; 16 * 1024];
        loop {
            let whole = *back >= attempt.bytes;
            if whole && !attempt.end {
                return Ok(Outcome::Echoed);
            }
            match read.read(&mut bytes).await? {
                0 if whole => return Ok(Outcome::Echoed),
                0 => return Ok(Outcome::Ended),
                got => *back += got,
            }
        }
    };
    // What cannot be sent any more shows in what comes back.
    let (_sent, received) = tokio::join!(send, receive);
    received
}
