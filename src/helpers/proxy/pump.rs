//! One direction of a connection: reads, lets bytes wait as the faults say, writes. Order is kept, nothing is dropped,
//! and it reads no more than may be on its way: whoever sends too fast is held back, as by a slow peer.

use super::buffers::{self, BUFFER, Chunk, Queue};
use super::connection::{Conn, End};
use super::table::{Rules, place};
use crate::adapters::proxy::Direction;
use crate::clock::Clock;
use crate::model::Mono;
use rustix::net::Shutdown;
use std::io::ErrorKind;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Memory for bytes that wait for their time, per direction.
const WAITING: usize = 4 << 20;
/// Chunks that wait for their time, per direction.
const CHUNKS: usize = 4096;
/// Reads and writes before the others get a turn.
const TURNS: usize = 8;

/// One direction of a connection.
pub(super) struct Pump<'a> {
    conn: &'a Conn,
    way: Direction,
    from: &'a TcpStream,
    to: &'a TcpStream,
    rules: Rules,
    seen: u64,
    queue: Queue,
    /// The latest moment that was promised: nothing overtakes.
    last: Mono,
    /// The end of the stream was read, and is passed on then.
    end: Option<Mono>,
    dice: u64,
}

/// What a pump is to do next.
enum Turn {
    Changed,
    Read,
    Write,
}

impl<'a> Pump<'a> {
    pub fn new(conn: &'a Conn, way: Direction, from: &'a TcpStream, to: &'a TcpStream) -> Self {
        let dice = super::table::mix(conn.number.unwrap_or_default() * 2 + place(way) as u64);
        let (rules, seen) = conn.rules(way);
        Self { conn, way, from, to, rules, seen, queue: Queue::default(), last: Mono(0), end: None, dice }
    }

    /// Until the end of the stream has been passed on.
    pub async fn run(mut self) -> Result<(), End> {
        loop {
            if self.passed_on()? {
                return Ok(());
            }
            match self.wait().await? {
                Turn::Changed => self.refresh(),
                Turn::Write => self.write()?,
                Turn::Read => self.read()?,
            }
        }
    }

    fn refresh(&mut self) {
        (self.rules, self.seen) = self.conn.rules(self.way);
        if self.rules.delay.is_zero() && self.rules.jitter.is_zero() {
            let now = Clock::System.mono();
            self.queue.hurry(now);
            self.last = self.last.min(now);
        }
        if self.rules.slow_close.is_zero() {
            self.end = self.end.map(|due| due.min(self.last));
        }
    }

    /// Is everything done? Passes the end of the stream on when it is due.
    fn passed_on(&mut self) -> Result<bool, End> {
        let due = self.end.filter(|_| self.queue.is_empty() && !self.rules.hold);
        if due.is_none_or(|due| due > Clock::System.mono()) {
            return Ok(false);
        }
        rustix::net::shutdown(self.to, Shutdown::Write).map_err(|_| End::Broken)?;
        Ok(true)
    }

    fn may_read(&self) -> bool {
        let room = if self.rules.plain() {
            self.queue.is_empty()
        } else {
            self.queue.held() < WAITING && self.queue.count() < CHUNKS
        };
        room && !self.rules.hold && self.end.is_none() && self.conn.may_pass(self.way)
    }

    /// When something is to be done by the clock alone; none while it is held, or has nothing.
    fn due(&mut self) -> Option<Mono> {
        if self.rules.hold {
            return None;
        }
        match self.queue.front() {
            Some(chunk) => Some(chunk.due),
            None => self.end,
        }
    }

    async fn wait(&mut self) -> Result<Turn, End> {
        let may_read = self.may_read();
        let (clock, now) = (Clock::System, Clock::System.mono());
        let due = self.due();
        let (later, ready) = (due.filter(|d| *d > now), due.is_some_and(|d| d <= now));
        let (conn, seen) = (self.conn, self.seen);
        let changed = std::future::poll_fn(|_| if conn.seen() == seen { Poll::Pending } else { Poll::Ready(()) });
        tokio::select! {
            biased;
            () = changed => Ok(Turn::Changed),
            () = clock.sleep_until(later.unwrap_or_default()), if later.is_some() => Ok(Turn::Write),
            done = self.to.writable(), if ready => done.map(|()| Turn::Write).map_err(|_| End::Broken),
            done = self.from.readable(), if may_read => done.map(|()| Turn::Read).map_err(|_| End::Broken),
        }
    }

    /// Reads while there is something to read, and at once passes on what need not wait.
    fn read(&mut self) -> Result<(), End> {
        for _ in 0..TURNS {
            if !self.may_read() {
                return Ok(());
            }
            let most = self.conn.most(self.way, BUFFER);
            let mut bytes = buffers::take();
            let Some(got) = receive(self.from, &mut bytes[..most])? else {
                buffers::give(bytes);
                return Ok(());
            };
            let now = Clock::System.mono();
            if got == 0 {
                buffers::give(bytes);
                let due = self.rules.due(now, &mut self.dice).max(self.last);
                self.end = Some(due.after(self.rules.slow_close));
                return Ok(());
            }
            self.conn.took(self.way, got);
            self.enqueue(bytes, got, now);
            self.write()?;
        }
        Ok(())
    }

    fn enqueue(&mut self, bytes: Vec<u8>, got: usize, now: Mono) {
        if self.rules.plain() {
            return self.queue.push(Chunk { bytes, from: 0, to: got, due: now, paid: got });
        }
        self.last = self.rules.due(now, &mut self.dice).max(self.last);
        let paid = if self.rules.lines.is_empty() { got } else { 0 };
        // What waits holds no more memory than it needs.
        let exact = bytes[..got].to_vec();
        buffers::give(bytes);
        self.queue.push(Chunk { bytes: exact, from: 0, to: got, due: self.last, paid });
    }

    /// Writes what is due as far as the other side takes it.
    fn write(&mut self) -> Result<(), End> {
        let now = Clock::System.mono();
        let portion = self.rules.portion();
        while let Some(chunk) = self.queue.front().filter(|_| !self.rules.hold) {
            if chunk.due > now {
                return Ok(());
            }
            if self.rules.lines.is_empty() {
                chunk.paid = chunk.to;
            } else if chunk.paid <= chunk.from {
                let bytes = (chunk.to - chunk.from).min(portion);
                (chunk.due, chunk.paid) = (self.rules.reserve(bytes, &Clock::System), chunk.from + bytes);
                continue;
            }
            let paid = chunk.paid;
            let put = send(self.to, &chunk.bytes[chunk.from..paid])?;
            chunk.from += put;
            let (blocked, over) = (chunk.from < paid, chunk.from >= chunk.to);
            if over {
                self.queue.pop();
            }
            self.conn.counters.passed[place(self.way)].fetch_add(put as u64, Relaxed);
            self.conn.gave(self.way, put)?;
            if blocked {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What is there to be read; `Some(0)` is the end of the stream. A read that does not fill the buffer has emptied the
/// socket, so it is known to have nothing without asking once more (the end of a stream stays known all the same).
fn receive(from: &TcpStream, bytes: &mut [u8]) -> Result<Option<usize>, End> {
    let mut got = None;
    let (room, empty) = (bytes.len(), || std::io::Error::from(ErrorKind::WouldBlock));
    let read = from.try_io(Interest::READABLE, || {
        let count = rustix::io::read(from, bytes)?;
        got = Some(count);
        if count > 0 && count < room { Err(empty()) } else { Ok(()) }
    });
    match read {
        Err(e) if e.kind() != ErrorKind::WouldBlock => Err(End::Broken),
        _ => Ok(got),
    }
}

/// How many bytes the other side takes now. Fewer than all means that it is full, and it is not asked once more.
fn send(to: &TcpStream, bytes: &[u8]) -> Result<usize, End> {
    let mut put = 0;
    let written = to.try_io(Interest::WRITABLE, || {
        put = rustix::net::send(to, bytes, rustix::net::SendFlags::NOSIGNAL)?;
        if put < bytes.len() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match written {
        Err(e) if e.kind() != ErrorKind::WouldBlock => Err(End::Broken),
        _ => Ok(put),
    }
}
