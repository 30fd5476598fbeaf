//! Carries operations over TCP connections that one thread looks after: connects, sends, reads, gives up, keeps what can
//! be used again. What is said is a `Talk`'s business; which moment an operation is due at is the schedule's.

use super::names::Place;
use super::poll::{EventFlags, News, Poll, Waker};
use super::slots::{Slots, Token};
use super::{Ended, Flights};
use crate::adapters::connection::{CONNECT, Failure, not_connected};
use crate::adapters::{Act, ClientSettings, Done, Operation};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Mono, Outcome};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Read at once.
const PIECE: usize = 64 * 1024;

/// Can more come on this connection?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters) enum End {
    Open,
    Closed,
}

/// What a talk makes of what it has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters) enum Heard {
    /// The answer goes on; so many of the bytes need not be shown again.
    More { used: usize },
    /// The answer is over; a connection that is left open can be used again.
    Over { outcome: Outcome, left_open: bool },
}

/// What is said on a connection.
pub(in crate::adapters) trait Talk: Send {
    /// What it remembers of an answer that has not ended.
    type Reading: Default + Send;
    /// Appends what a visit sends.
    fn say(&self, visit: u64, out: &mut Vec<u8>);
    /// Is anything waited for after that?
    fn expects_answer(&self) -> bool;
    /// The next answer begins; memory may be kept.
    fn forget(&self, reading: &mut Self::Reading);
    /// Takes the bytes of the answer that were not used up yet.
    fn hear(&self, visit: u64, reading: &mut Self::Reading, bytes: &[u8], end: End) -> Heard;
}

/// What becomes of a connection after its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters) enum Behaviour {
    /// Each operation has its own.
    Fresh,
    /// It is kept, and used again.
    Pooled,
}

impl Behaviour {
    /// The behaviours that are carried here.
    pub fn of(behaviour: &ClientBehaviour) -> Option<Self> {
        match behaviour {
            ClientBehaviour::Fresh => Some(Self::Fresh),
            ClientBehaviour::Pooled => Some(Self::Pooled),
            ClientBehaviour::Retrying(_) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The name is looked up, or the connection is being made: nothing was sent.
    Connecting,
    /// Something is sent or waited for.
    Talking,
    /// Kept for the next operation.
    Idle,
}

struct Connection<R> {
    socket: Option<OwnedFd>,
    phase: Phase,
    /// Which of its operations it is at; earlier ones are over.
    turn: u64,
    operation: Operation,
    sent: Mono,
    /// So much of the request has left.
    said: usize,
    /// The request, when it did not leave at once.
    request: Vec<u8>,
    reading: R,
    /// What came and was not used up.
    bytes: Vec<u8>,
    /// Where else it can be tried.
    others: Vec<SocketAddr>,
}

impl<R> Connection<R> {
    /// A kept one carries the next operation; what it has read so far is forgotten by the talk.
    fn again(&mut self, operation: Operation, sent: Mono, turn: u64) {
        (self.phase, self.turn, self.operation, self.sent, self.said) = (Phase::Connecting, turn, operation, sent, 0);
        self.bytes.clear();
        self.others.clear();
    }
}

/// An operation's limit.
type Limit = (Mono, Token, u64);

/// Operations over TCP connections.
pub(in crate::adapters) struct Wire<T: Talk> {
    clock: Clock,
    poll: Poll,
    place: Place,
    talk: T,
    behaviour: Behaviour,
    timeout: Duration,
    connections: Slots<Connection<T::Reading>>,
    idle: Vec<Token>,
    /// So many of these are gone.
    gone: usize,
    /// Operations and connects, in the order of their limits: all have the same time.
    limits: VecDeque<Limit>,
    connects: VecDeque<Limit>,
    in_flight: usize,
    turns: u64,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl<T: Talk> Wire<T> {
    /// Connects nowhere yet.
    ///
    /// # Errors
    /// When the system gives no descriptors.
    pub fn new(
        clock: &Clock,
        place: Place,
        talk: T,
        behaviour: Behaviour,
        settings: &ClientSettings,
    ) -> io::Result<Self> {
        Ok(Self {
            clock: clock.clone(),
            poll: Poll::new()?,
            place,
            talk,
            behaviour,
            timeout: settings.timeout,
            connections: Slots::new(),
            idle: Vec::new(),
            gone: 0,
            limits: VecDeque::new(),
            connects: VecDeque::new(),
            in_flight: 0,
            turns: 0,
            out: Vec::new(),
            input: vec![0; PIECE],
        })
    }

    fn visit(operation: Operation) -> u64 {
        match operation.act {
            Act::Visit(number) => number,
            Act::Write(key) | Act::Read(key) => key.seq,
        }
    }

    /// Before a connection is made, answers that are there already are heard: theirs are free then. A runner that is
    /// behind its schedule would else open one for each operation.
    fn free_some(&mut self, ended: &mut Ended) {
        if self.behaviour == Behaviour::Pooled && self.idle.is_empty() && self.in_flight > 0 {
            self.poll.glance();
            self.hear_news(ended);
        }
    }

    fn hear_news(&mut self, ended: &mut Ended) {
        let mut number = 0;
        while let Some(news) = self.poll.news(number) {
            self.news(news, ended);
            number += 1;
        }
    }

    /// A kept connection that takes the request; one that does not is closed, and nothing was sent on it.
    fn begin_on_kept(&mut self, operation: Operation, ended: &mut Ended) -> bool {
        self.free_some(ended);
        while let Some(token) = self.idle.pop() {
            let sent = self.clock.mono();
            let turn = self.next_turn();
            let Some(kept) = self.connections.get(token) else { continue };
            kept.again(operation, sent, turn);
            self.talk.forget(&mut kept.reading);
            match self.speak(token) {
                Ok(()) => {
                    self.count(token, sent, turn);
                    self.watch_for_room(token);
                    self.spoken(token, ended);
                    return true;
                }
                Err(_) => drop(self.connections.take(token)),
            }
        }
        false
    }

    /// A request that did not leave at once goes on when there is room for it.
    fn watch_for_room(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token).filter(|c| !c.request.is_empty()) else { return };
        if let Some(socket) = &connection.socket {
            // If it fails, the operation ends with its time-out.
            let _unwatched = self.poll.change(socket, token.bits(), EventFlags::IN | EventFlags::OUT);
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    fn count(&mut self, token: Token, sent: Mono, turn: u64) {
        self.in_flight += 1;
        self.limits.push_back((sent.after(self.timeout), token, turn));
    }

    fn begin_on_new(&mut self, operation: Operation, ended: &mut Ended) {
        let (sent, turn) = (self.clock.mono(), self.next_turn());
        let token = self.connections.put(Connection { turn, ..fresh(operation, sent) });
        self.count(token, sent, turn);
        let limit = self.timeout.min(CONNECT);
        match self.place.address() {
            Some(address) => self.connect(token, address, ended),
            None => self.place.look_up(token, limit, self.poll.waker()),
        }
        let waits = self.connections.get(token).is_some_and(|c| c.phase == Phase::Connecting);
        if waits {
            self.connects.push_back((sent.after(limit), token, turn));
        }
    }

    fn connect(&mut self, token: Token, address: SocketAddr, ended: &mut Ended) {
        match self.open(token, address) {
            Ok(()) => self.spoken(token, ended),
            Err(error) => self.not_connected(token, error, ended),
        }
    }

    /// Connects without waiting. Where that is done at once, as on this machine, the request goes out at once too.
    fn open(&mut self, token: Token, address: SocketAddr) -> io::Result<()> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        // Reset when it is closed: nothing unsent is sent later, and no port stays occupied.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        if self.behaviour == Behaviour::Pooled {
            sockopt::set_tcp_nodelay(&socket, true)?;
        }
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(connection) = self.connections.get(token) else { return Ok(()) };
        let old = connection.socket.replace(socket);
        drop(old);
        self.speak(token)?;
        let Some(connection) = self.connections.get(token) else { return Ok(()) };
        let waits = connection.phase == Phase::Connecting || !connection.request.is_empty();
        let what = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        match &connection.socket {
            Some(socket) => self.poll.add(socket, token.bits(), what),
            None => Ok(()),
        }
    }

    /// Sends what can be sent now. An error means that nothing was sent at all.
    fn speak(&mut self, token: Token) -> io::Result<()> {
        let Some(connection) = self.connections.get(token) else { return Ok(()) };
        let Some(socket) = &connection.socket else { return Ok(()) };
        self.out.clear();
        if connection.request.is_empty() {
            self.talk.say(Self::visit(connection.operation), &mut self.out);
            if self.out.is_empty() {
                return Ok(());
            }
        } else {
            std::mem::swap(&mut self.out, &mut connection.request);
        }
        match rustix::net::send(socket, &self.out[connection.said..], SendFlags::NOSIGNAL) {
            Ok(sent) => {
                connection.said += sent;
                connection.phase = Phase::Talking;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) if connection.said == 0 => return Err(error.into()),
            // What was sent may have an answer: it is heard, or the end of the connection is.
            Err(_) => connection.said = self.out.len(),
        }
        if connection.said < self.out.len() {
            connection.request.clear();
            connection.request.extend_from_slice(&self.out);
        } else {
            connection.request.clear();
        }
        Ok(())
    }

    /// After sending: is there nothing to wait for?
    fn spoken(&mut self, token: Token, ended: &mut Ended) {
        let Some(connection) = self.connections.get(token) else { return };
        if connection.phase == Phase::Talking && connection.request.is_empty() && !self.talk.expects_answer() {
            let now = self.clock.mono();
            self.end(token, now, Outcome::Ok, End::Open, ended);
        }
    }

    /// The next address, or the operation has failed.
    fn not_connected(&mut self, token: Token, error: io::Error, ended: &mut Ended) {
        let Some(connection) = self.connections.get(token) else { return };
        connection.socket = None;
        let failure = not_connected(error);
        let other = if matches!(failure, Failure::Resources(_)) { None } else { connection.others.pop() };
        match other {
            Some(address) => self.connect(token, address, ended),
            None => self.give_up(token, failure.outcome(), ended),
        }
    }

    fn give_up(&mut self, token: Token, outcome: Outcome, ended: &mut Ended) {
        let now = self.clock.mono();
        self.end(token, now, outcome, End::Closed, ended);
    }

    /// The operation is over; its connection is kept if it can be used again.
    fn end(&mut self, token: Token, done: Mono, outcome: Outcome, end: End, ended: &mut Ended) {
        let Some(connection) = self.connections.get(token) else { return };
        // Where nothing was sent, nothing can have happened.
        let silent = connection.said == 0 && outcome == Outcome::Unknown;
        let outcome = if silent { Outcome::Fail } else { outcome };
        ended.push((connection.operation, Done { sent: connection.sent, done, outcome, found: None }));
        self.in_flight -= 1;
        if end == End::Open && connection.request.is_empty() && self.behaviour == Behaviour::Pooled {
            connection.phase = Phase::Idle;
            self.idle.push(token);
        } else {
            drop(self.connections.take(token));
        }
    }

    fn news(&mut self, news: News, ended: &mut Ended) {
        let token = Token::from_bits(news.token);
        let Some(connection) = self.connections.get(token) else { return };
        match connection.phase {
            // It was closed, or says something that nobody asked for.
            Phase::Idle
                if news.flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) =>
            {
                drop(self.connections.take(token));
                self.forget_idle();
            }
            Phase::Idle => {}
            Phase::Connecting => self.connected(token, news, ended),
            Phase::Talking => self.talking(token, news, ended),
        }
    }

    /// A kept connection is gone; its token goes with the next clearing, so that many that go at once cost little each.
    fn forget_idle(&mut self) {
        self.gone += 1;
        if self.gone * 2 > self.idle.len() {
            let connections = &mut self.connections;
            self.idle.retain(|token| connections.get(*token).is_some());
            self.gone = 0;
        }
    }

    fn connected(&mut self, token: Token, news: News, ended: &mut Ended) {
        let Some(connection) = self.connections.get(token) else { return };
        let Some(socket) = &connection.socket else { return };
        if let Err(error) = sockopt::socket_error(socket).unwrap_or_else(Err) {
            return self.not_connected(token, error.into(), ended);
        }
        if !news.flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        connection.phase = Phase::Talking;
        match self.speak(token) {
            Ok(()) => {
                self.spoken(token, ended);
                self.talking(token, news, ended);
            }
            Err(error) => self.not_connected(token, error, ended),
        }
    }

    fn talking(&mut self, token: Token, news: News, ended: &mut Ended) {
        let Some(connection) = self.connections.get(token) else { return };
        if !connection.request.is_empty() && news.flags.contains(EventFlags::OUT) {
            if self.speak(token).is_err() {
                return self.give_up(token, Outcome::Fail, ended);
            }
            self.spoken(token, ended);
        }
        let closing = news.flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if closing || news.flags.contains(EventFlags::IN) {
            while self.listen(token, closing, ended) {}
        }
    }

    /// Reads a piece; is there more to read now? A connection that is closing is read to its end and not kept: there is
    /// no other news of its closing.
    fn listen(&mut self, token: Token, closing: bool, ended: &mut Ended) -> bool {
        let Some(connection) = self.connections.get(token) else { return false };
        let Some(socket) = connection.socket.as_ref().filter(|_| connection.phase == Phase::Talking) else {
            return false;
        };
        let received = rustix::net::recv(socket, self.input.as_mut_slice(), RecvFlags::empty());
        let now = self.clock.mono();
        let (length, end) = match received {
            Ok((_, 0)) => (0, End::Closed),
            Ok((_, length)) => (length, End::Open),
            Err(Errno::AGAIN) => return false,
            Err(Errno::INTR) => return true,
            // Reset: what was heard before counts, and no more comes.
            Err(_) => (0, End::Closed),
        };
        let visit = Self::visit(connection.operation);
        let bytes = if connection.bytes.is_empty() {
            &self.input[..length]
        } else {
            connection.bytes.extend_from_slice(&self.input[..length]);
            connection.bytes.as_slice()
        };
        match self.talk.hear(visit, &mut connection.reading, bytes, end) {
            Heard::Over { outcome, left_open } => {
                let end = if left_open && !closing { end } else { End::Closed };
                self.end(token, now, outcome, end, ended);
                false
            }
            Heard::More { used } => {
                if connection.bytes.is_empty() {
                    connection.bytes.extend_from_slice(&self.input[used..length]);
                } else {
                    connection.bytes.drain(..used);
                }
                end == End::Open && (closing || length == PIECE)
            }
        }
    }

    fn found_names(&mut self, ended: &mut Ended) {
        for (token, found) in self.place.take_found() {
            let Some(connection) = self.connections.get(token) else { continue };
            match found {
                Ok(mut addresses) => {
                    addresses.reverse();
                    let first = addresses.pop();
                    connection.others = addresses;
                    match first {
                        Some(address) => self.connect(token, address, ended),
                        None => self.give_up(token, Outcome::Fail, ended),
                    }
                }
                Err(error) => self.not_connected(token, error, ended),
            }
        }
    }

    /// What has taken too long is given up.
    fn expire(&mut self, now: Mono, ended: &mut Ended) {
        while let Some((_, token, _)) = self.connects.pop_front_if(|(at, ..)| *at <= now) {
            let waits = self.connections.get(token).is_some_and(|c| c.phase == Phase::Connecting);
            if waits {
                self.give_up(token, Outcome::Fail, ended);
            }
        }
        while let Some((_, token, turn)) = self.limits.pop_front_if(|(at, ..)| *at <= now) {
            if self.is_under_way(token, turn) {
                self.give_up(token, Outcome::Unknown, ended);
            }
        }
    }

    fn is_under_way(&mut self, token: Token, turn: u64) -> bool {
        self.connections.get(token).is_some_and(|c| c.turn == turn && c.phase != Phase::Idle)
    }

    /// The limit that passes next. Those of operations that are over go.
    fn next_limit(&mut self) -> Option<Mono> {
        while let Some((_, token, _)) = self.connects.front().copied()
            && !self.connections.get(token).is_some_and(|c| c.phase == Phase::Connecting)
        {
            self.connects.pop_front();
        }
        while let Some((_, token, turn)) = self.limits.front().copied()
            && !self.is_under_way(token, turn)
        {
            self.limits.pop_front();
        }
        let first = |limits: &VecDeque<Limit>| limits.front().map(|(at, ..)| *at);
        [first(&self.connects), first(&self.limits)].into_iter().flatten().min()
    }
}

fn fresh<R: Default>(operation: Operation, sent: Mono) -> Connection<R> {
    Connection {
        socket: None,
        phase: Phase::Connecting,
        turn: 0,
        operation,
        sent,
        said: 0,
        request: Vec::new(),
        reading: R::default(),
        bytes: Vec::new(),
        others: Vec::new(),
    }
}

impl<T: Talk> Flights for Wire<T> {
    fn begin(&mut self, operation: Operation, ended: &mut Ended) {
        if !self.begin_on_kept(operation, ended) {
            self.begin_on_new(operation, ended);
        }
    }

    fn wait(&mut self, until: Option<Mono>, ended: &mut Ended) {
        let until = [until, self.next_limit()].into_iter().flatten().min();
        self.poll.wait(&self.clock, until);
        self.hear_news(ended);
        self.found_names(ended);
        let now = self.clock.mono();
        self.expire(now, ended);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn waker(&self) -> Waker {
        self.poll.waker()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Talking};
    use super::*;
    use std::io::{Read, Write};
    use std::sync::mpsc;

    /// Answers each request with a line and says on which connection it came, counted from 0.
    fn server(answered: mpsc::Sender<usize>) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let answered = answered.clone();
                std::thread::spawn(move || {
                    let (mut stream, mut byte) = (stream, [0]);
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(b"yes").is_ok() {
                        if answered.send(number).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn answers_that_are_there_free_their_connections_before_one_is_made() {
        let (answered, answers) = mpsc::channel();
        let place = Place::new("127.0.0.1", server(answered), None);
        let (behaviour, timeout) = (ClientBehaviour::Pooled, Duration::from_secs(60));
        let settings = ClientSettings { run: "r".into(), behaviour, timeout, writers: 0, payload: 0, rate: 1.0 };
        let talk = Talking::new(Some("?"), Some("yes"));
        let mut wire = Wire::new(&Clock::System, place, talk, Behaviour::Pooled, &settings).unwrap();
        let (mut ended, mut highest) = (Vec::new(), 0);
        for visit in 0..50 {
            // Nobody waits for news in between, as when the schedule is behind.
            wire.begin(Operation { due: Clock::System.mono(), act: Act::Visit(visit) }, &mut ended);
            highest = highest.max(answers.recv_timeout(Duration::from_secs(30)).unwrap());
        }
        // An answer may be on its way for a moment after it was written.
        assert!(highest < 10, "{highest}");
        let until = Clock::System.mono().after(Duration::from_secs(30));
        while wire.in_flight() > 0 && Clock::System.mono() < until {
            wire.wait(Some(until), &mut ended);
        }
        assert_eq!(ended.iter().filter(|(_, done)| done.outcome == Outcome::Ok).count(), 50);
    }
}
