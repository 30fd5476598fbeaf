//! One connection through the proxy, from the accepted socket to its end. How bytes flow is in `pump`; which faults
//! there are is in `table`.

use super::pump::Pump;
use super::table::{Fate, Limit, Rules, Table, place};
use crate::adapters::proxy::{Direction, Side};
use rustix::net::Shutdown;
use std::io::ErrorKind;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// An upstream that does not answer a connection attempt within this is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// What is still sent towards a closed connection is read for so long.
const DRAIN: Duration = Duration::from_secs(1);

/// What all connections are counted in.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub accepted: AtomicU64,
    pub open: AtomicU64,
    pub broken: AtomicU64,
    /// Bytes passed on, by direction.
    pub passed: [AtomicU64; 2],
}

/// How a connection ends before both streams have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A fault resets it.
    Reset,
    /// A fault closes it.
    Close,
    /// A fault closes one side and does not tell the other.
    Half(Side),
    /// A side broke off: the other gets RST.
    Broken,
}

/// What the two directions of a connection share.
pub(super) struct Conn {
    /// Connections are numbered in their order; one that only looks has no number.
    pub number: Option<u64>,
    pub counters: Arc<Counters>,
    seen: AtomicU64,
    rules: Mutex<[Rules; 2]>,
    limited: AtomicBool,
    limits: Mutex<Vec<Passing>>,
}

/// A limit, and how far it is.
struct Passing {
    limit: Limit,
    /// May still be read.
    left: u64,
    /// Read and not written yet.
    on_the_way: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Conn {
    fn new(number: Option<u64>, counters: Arc<Counters>) -> Self {
        let (seen, rules, limits) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Self { number, counters, seen, rules, limited: AtomicBool::new(false), limits }
    }

    /// From now on this holds. `Some` if it is the end of it.
    fn take(&self, fate: Fate) -> Option<End> {
        *locked(&self.rules) = fate.rules;
        let mut limits = locked(&self.limits);
        limits.retain(|p| fate.limits.contains(&p.limit));
        for limit in fate.limits {
            if !limits.iter().any(|p| p.limit == limit) {
                let left = limit.bytes;
                limits.push(Passing { limit, left, on_the_way: 0 });
            }
        }
        self.limited.store(!limits.is_empty(), Relaxed);
        let full = limits.iter().find(|p| p.left == 0 && p.on_the_way == 0);
        let full = full.map(|p| if p.limit.reset { End::Reset } else { End::Close });
        drop(limits);
        self.seen.fetch_add(1, Release);
        if fate.reset { Some(End::Reset) } else { fate.half.map(End::Half).or(full) }
    }

    pub fn seen(&self) -> u64 {
        self.seen.load(Acquire)
    }

    pub fn rules(&self, way: Direction) -> (Rules, u64) {
        let rules = locked(&self.rules);
        (rules[place(way)].clone(), self.seen())
    }

    /// The most that may be read this way now.
    pub fn most(&self, way: Direction, room: usize) -> usize {
        if !self.limited.load(Relaxed) {
            return room;
        }
        let limits = locked(&self.limits);
        let left = limits.iter().filter(|p| p.limit.direction.covers(way)).map(|p| p.left).min();
        left.map_or(room, |left| room.min(usize::try_from(left).unwrap_or(room)))
    }

    pub fn may_pass(&self, way: Direction) -> bool {
        self.most(way, 1) > 0
    }

    /// So many bytes were read.
    pub fn took(&self, way: Direction, bytes: usize) {
        if self.limited.load(Relaxed) {
            for passing in locked(&self.limits).iter_mut().filter(|p| p.limit.direction.covers(way)) {
                passing.left = passing.left.saturating_sub(bytes as u64);
                passing.on_the_way += bytes as u64;
            }
        }
    }

    /// So many bytes were written; an error if they were the last ones allowed.
    pub fn gave(&self, way: Direction, bytes: usize) -> Result<(), End> {
        if !self.limited.load(Relaxed) {
            return Ok(());
        }
        let mut end = Ok(());
        for passing in locked(&self.limits).iter_mut().filter(|p| p.limit.direction.covers(way)) {
            passing.on_the_way = passing.on_the_way.saturating_sub(bytes as u64);
            if passing.left == 0 && passing.on_the_way == 0 {
                end = Err(if passing.limit.reset { End::Reset } else { End::Close });
            }
        }
        end
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    client: TcpStream,
    number: Option<u64>,
    upstream: &str,
    mut table: watch::Receiver<Arc<Table>>,
    counters: Arc<Counters>,
) {
    let conn = Conn::new(number, Arc::clone(&counters));
    let upstream = match admitted(&conn, upstream, &mut table).await {
        Ok(upstream) => upstream,
        Err(end) => {
            counters.broken.fetch_add(u64::from(end == End::Reset), Relaxed);
            let _gone_already = client.set_zero_linger();
            return;
        }
    };
    let _slower_then = (client.set_nodelay(true), upstream.set_nodelay(true));
    let end = tokio::select! {
        biased;
        end = changes(&conn, &mut table) => end,
        end = pumps(&conn, &client, &upstream) => end,
    };
    finish(end, &conn, client, upstream, &mut table).await;
}

/// The connection to the upstream, once the faults let it be made.
async fn admitted(conn: &Conn, upstream: &str, table: &mut watch::Receiver<Arc<Table>>) -> Result<TcpStream, End> {
    loop {
        let fate = table.borrow_and_update().fate(conn.number);
        if fate.reset || fate.refuse {
            return Err(End::Reset);
        }
        let held = fate.rules[place(Direction::ToUpstream)].hold;
        // Nothing can have passed yet: a limit counts from here, and half a connection is made of a whole one.
        let _dealt_with_when_it_stands = conn.take(fate);
        if !held {
            break;
        }
        table.changed().await.map_err(|_| End::Close)?;
    }
    match tokio::time::timeout(CONNECT, TcpStream::connect(upstream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(_)) | Err(_) => Err(End::Broken),
    }
}

/// Tells the pumps what changes, until a change is the end of the connection.
async fn changes(conn: &Conn, table: &mut watch::Receiver<Arc<Table>>) -> Result<(), End> {
    loop {
        let fate = table.borrow_and_update().fate(conn.number);
        if let Some(end) = conn.take(fate) {
            return Err(end);
        }
        if table.changed().await.is_err() {
            return Err(End::Close);
        }
    }
}

async fn pumps(conn: &Conn, client: &TcpStream, upstream: &TcpStream) -> Result<(), End> {
    let up = Pump::new(conn, Direction::ToUpstream, client, upstream).run();
    let down = Pump::new(conn, Direction::ToClient, upstream, client).run();
    tokio::try_join!(up, down).map(|_| ())
}

/// Reads and throws away until the other end closes.
async fn drained(stream: &TcpStream) {
    let mut buffer = [0; 16 << 10];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

async fn finish(
    end: Result<(), End>,
    conn: &Conn,
    client: TcpStream,
    upstream: TcpStream,
    table: &mut watch::Receiver<Arc<Table>>,
) {
    let Err(end) = end else { return };
    if end != End::Broken {
        conn.counters.broken.fetch_add(1, Relaxed);
    }
    match end {
        End::Close => {
            for stream in [&client, &upstream] {
                let _gone_already = rustix::net::shutdown(stream, Shutdown::Write);
            }
            // A socket that is closed with bytes unread sends a reset, which overtakes what was let through.
            let both = async { tokio::join!(drained(&client), drained(&upstream)) };
            let _still_sending = tokio::time::timeout(DRAIN, both).await;
        }
        End::Reset | End::Broken => {
            let _gone_already = (client.set_zero_linger(), upstream.set_zero_linger());
        }
        End::Half(side) => {
            let (closed, kept) = if side == Side::Client { (client, upstream) } else { (upstream, client) };
            drop(closed);
            while table.borrow_and_update().fate(conn.number).half.is_some() && table.changed().await.is_ok() {}
            let _gone_already = kept.set_zero_linger();
        }
    }
}
