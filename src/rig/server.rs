//! The server's process: accepts, decides what becomes of each request by what is being played at that moment, and
//! writes both down. One thread, so that between a decision and its line in the log nothing else happens.

use super::connection::{Connection, Request};
use super::log::{Fact, Fate, Lie, Log, now};
use super::names::answer;
use super::script::Play;
use super::store::{Lies, Name, Store};
use super::{RigError, told_to_end};
use crate::clock::Clock;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};

/// The log reaches the disk at least so often.
const FLUSH: Duration = Duration::from_millis(50);
/// A late acknowledgement is so late that every client has given up.
const LATE: Duration = Duration::from_secs(5);

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where its log is.
    pub dir: PathBuf,
    /// Where it listens; until it moves.
    pub listen: SocketAddr,
    /// What its store does wrong.
    pub lies: Lies,
    /// The process without which it must not live.
    pub parent: Option<i32>,
}

struct Server {
    log: Log,
    play: Cell<Play>,
    /// Where it is, and where its name leads.
    place: Cell<SocketAddr>,
    /// Requests since this play began.
    requests: Cell<u64>,
    /// Connections so far, and how many there were when this play began.
    connections: Cell<u64>,
    before: Cell<u64>,
    /// Changes when every connection is reset.
    cut: watch::Sender<u64>,
    store: RefCell<Store>,
    crashed: Cell<bool>,
}

/// Serves until it is told to end. It hears one play a line on its standard input, as JSON; `said` is called once it
/// listens, and again whenever it plays what it was told.
///
/// # Errors
/// When the port is taken or the log cannot be written.
pub fn serve(settings: ServerSettings, said: impl FnMut(&str)) -> Result<(), RigError> {
    bind_to_parent(settings.parent);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| RigError::System("start a runtime", cause))?;
    tokio::task::LocalSet::new().block_on(&runtime, run(settings, said))
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

async fn run(settings: ServerSettings, mut said: impl FnMut(&str)) -> Result<(), RigError> {
    let path = super::log::server(&settings.dir);
    let log = Log::create(&path).map_err(|cause| RigError::file("cannot write", &path, cause))?;
    let address = settings.listen;
    let mut listener = Some(bind(address).await?);
    let names = UdpSocket::bind(address).await.map_err(|cause| RigError::Listen { address, cause })?;
    log.note(&Fact::Started { t: now(), pid: std::process::id() });
    let server = Rc::new(Server {
        store: RefCell::new(Store::new(settings.lies)),
        log,
        play: Cell::new(Play::Up),
        place: Cell::new(address),
        requests: Cell::default(),
        connections: Cell::default(),
        before: Cell::default(),
        cut: watch::Sender::new(0),
        crashed: Cell::default(),
    });
    let (lines, mut told) = mpsc::unbounded_channel();
    let mut end = std::pin::pin!(told_to_end(lines));
    let mut flush = tokio::time::interval(FLUSH);
    said("ready");
    loop {
        tokio::select! {
            biased;
            Some(line) = told.recv() => {
                if let Ok(play) = serde_json::from_str(&line) {
                    server.begin(play, &mut listener).await?;
                    said(&line);
                }
            }
            () = &mut end => break,
            stream = accept(listener.as_ref()) => server.connected(stream),
            () = server.tell_where(&names) => {}
            _ = flush.tick() => server.log.flush(),
        }
    }
    server.log.note(&Fact::Ended { t: now() });
    server.log.flush();
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, RigError> {
    TcpListener::bind(address).await.map_err(|cause| RigError::Listen { address, cause })
}

/// 127.0.0.1 and 127.0.0.2 take turns.
fn next(place: SocketAddr) -> SocketAddr {
    let other = if place.ip() == Ipv4Addr::LOCALHOST { Ipv4Addr::new(127, 0, 0, 2) } else { Ipv4Addr::LOCALHOST };
    SocketAddr::from((other, place.port()))
}

async fn accept(listener: Option<&TcpListener>) -> tokio::net::TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        // Descriptors run out for a moment only; whoever waits is served then.
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
        tokio::task::yield_now().await;
    }
}

impl Server {
    async fn begin(&self, play: Play, listener: &mut Option<TcpListener>) -> Result<(), RigError> {
        let from = now();
        let moved = self.play.get() == Play::Moves && play != Play::Moves;
        let place = if moved { next(self.place.get()) } else { self.place.get() };
        if matches!(play, Play::Closed | Play::Moves) {
            *listener = None;
            self.cut.send_modify(|n| *n += 1);
        } else if listener.is_none() {
            *listener = Some(bind(place).await?);
        }
        self.place.set(place);
        self.play.set(play);
        self.requests.set(0);
        self.before.set(self.connections.get());
        let to = now();
        self.log.note(&Fact::Plays { from, to, play });
        if play != Play::Up && !self.crashed.replace(true) {
            for name in self.store.borrow_mut().crash(to) {
                self.lied(Lie::Lost, name);
            }
        }
        Ok(())
    }

    /// Answers one question about its name.
    async fn tell_where(&self, names: &UdpSocket) {
        let mut question = [0; 512];
        let Ok((length, from)) = names.recv_from(&mut question).await else { return };
        let SocketAddr::V4(place) = self.place.get() else { return };
        if let Some(answer) = answer(&question[..length], *place.ip()) {
            // Who does not get it asks again, or gives up.
            let _lost = names.try_send_to(&answer, from);
        }
    }

    fn lied(&self, lie: Lie, (run, writer, seq): Name) {
        self.log.note(&Fact::Lied { t: now(), lie, run, writer, seq });
    }

    fn connected(self: &Rc<Self>, stream: tokio::net::TcpStream) {
        let number = self.connections.get();
        self.connections.set(number + 1);
        let (server, cut) = (Rc::clone(self), self.cut.subscribe());
        tokio::task::spawn_local(async move {
            // A client that goes away in the middle of a request has seen to itself.
            let _gone = server.converse(Connection::new(stream), number, cut).await;
        });
    }

    async fn converse(
        &self,
        mut connection: Connection,
        number: u64,
        mut cut: watch::Receiver<u64>,
    ) -> std::io::Result<()> {
        loop {
            let request = tokio::select! {
                biased;
                _ = cut.changed() => None,
                request = connection.request() => request?,
            };
            let Some(request) = request else {
                connection.reset();
                return Ok(());
            };
            let t = now();
            match self.decide(number) {
                Decision::Answer(wait) => {
                    let held = wait_or_cut(wait, &mut cut).await;
                    let (status, more, body, late) =
                        self.answer(&request, t, if held { Fate::Served } else { Fate::Cut });
                    if !held || (late && !wait_or_cut(LATE, &mut cut).await) {
                        connection.reset();
                        return Ok(());
                    }
                    connection.answer(status, more, &body).await?;
                }
                Decision::Refuse => {
                    self.unanswered(&request, t, Fate::Refused);
                    connection.answer(503, "x-blackstart-outcome: fail\r\n", b"refused").await?;
                    if connection.ends_refused() {
                        return Ok(());
                    }
                }
                Decision::Swallow => {
                    self.unanswered(&request, t, Fate::Swallowed);
                    connection.silence().await;
                    return Ok(());
                }
                Decision::Cut => {
                    self.unanswered(&request, t, Fate::Cut);
                    connection.reset();
                    return Ok(());
                }
            }
        }
    }

    fn decide(&self, connection: u64) -> Decision {
        let n = self.requests.get() + 1;
        self.requests.set(n);
        match self.play.get() {
            Play::Up | Play::Freeze => Decision::Answer(Duration::ZERO),
            Play::Refuse => Decision::Refuse,
            Play::Closed | Play::Moves => Decision::Cut,
            Play::BlackHole => Decision::Swallow,
            Play::HalfOpen if connection < self.before.get() => Decision::Swallow,
            Play::HalfOpen => Decision::Answer(Duration::ZERO),
            Play::Slow(millis) => Decision::Answer(Duration::from_millis(millis.into())),
            Play::Errors(every) if n.is_multiple_of(every.into()) => Decision::Refuse,
            Play::Router if connection.is_multiple_of(2) => Decision::Cut,
            Play::Errors(_) | Play::Router => Decision::Answer(Duration::ZERO),
        }
    }

    /// Nothing is done; that is written down.
    fn unanswered(&self, request: &Request, t: i64, fate: Fate) {
        match asked(request) {
            Asked::Visit { of, n } => self.log.note(&Fact::Visit { t, out: now(), of, n, fate }),
            Asked::Write((run, writer, seq)) => {
                self.log.note(&Fact::Write { t, out: now(), run, writer, seq, fate, stored: false });
            }
            Asked::Read((_, writer, seq)) => {
                self.log.note(&Fact::Read { t, out: now(), writer, seq, found: false, fate });
            }
            Asked::Dump(_) | Asked::Nonsense => {}
        }
    }

    /// What is answered, and whether only after the client has given up.
    fn answer(&self, request: &Request, t: i64, fate: Fate) -> (u16, &'static str, Vec<u8>, bool) {
        let fine = |body: Vec<u8>| (200, "", body, false);
        match asked(request) {
            Asked::Visit { of, n } => {
                self.log.note(&Fact::Visit { t, out: now(), of, n, fate });
                fine(format!("<p>nonce {n}</p>").into_bytes())
            }
            Asked::Write(name) => self.write(name, request, t, fate),
            Asked::Read(name) => {
                let mut store = self.store.borrow_mut();
                let (found, lie) = store.read(&name);
                let answer = found.map_or((404, "", Vec::new(), false), |payload| fine(payload.to_vec()));
                self.log.note(&Fact::Read { t, out: now(), writer: name.1, seq: name.2, found: answer.0 == 200, fate });
                if lie {
                    self.lied(Lie::Stale, name);
                }
                answer
            }
            Asked::Dump(run) => fine(self.store.borrow().dump(&run).into_bytes()),
            Asked::Nonsense => (404, "x-blackstart-outcome: fail\r\n", Vec::new(), false),
        }
    }

    fn write(&self, name: Name, request: &Request, t: i64, fate: Fate) -> (u16, &'static str, Vec<u8>, bool) {
        let written = self.store.borrow_mut().write(now(), name.clone(), request.attempt, &request.body);
        let fate = match fate {
            Fate::Served if written.refused => Fate::Refused,
            Fate::Served if written.late => Fate::Swallowed,
            fate => fate,
        };
        let (run, writer, seq) = name;
        self.log.note(&Fact::Write { t, out: now(), run, writer, seq, fate, stored: true });
        for (lie, of) in written.lies {
            self.lied(lie, of);
        }
        if written.refused {
            return (503, "x-blackstart-outcome: fail\r\n", b"refused".to_vec(), false);
        }
        (200, "", Vec::new(), written.late)
    }
}

/// Waits; false if the connection is reset first.
async fn wait_or_cut(wait: Duration, cut: &mut watch::Receiver<u64>) -> bool {
    if wait.is_zero() {
        return true;
    }
    let due = Clock::System.mono().after(wait);
    tokio::select! {
        biased;
        _ = cut.changed() => false,
        () = Clock::System.sleep_until(due) => true,
    }
}

enum Decision {
    /// As it should be, after a wait.
    Answer(Duration),
    Refuse,
    Swallow,
    Cut,
}

enum Asked {
    Visit { of: String, n: u64 },
    Write(Name),
    Read(Name),
    Dump(String),
    Nonsense,
}

fn asked(request: &Request) -> Asked {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let nonce = || query.strip_prefix("nonce=").and_then(|n| n.parse().ok()).unwrap_or(0);
    let words: Vec<&str> = path.split('/').skip(1).collect();
    let name = |run: &str, writer: &str, seq: &str| Some((run.to_owned(), writer.parse().ok()?, seq.parse().ok()?));
    match (request.method.as_str(), words.as_slice()) {
        ("GET", [""]) => Asked::Visit { of: "probe".to_owned(), n: nonce() },
        ("GET", ["visit", of]) => Asked::Visit { of: (*of).to_owned(), n: nonce() },
        ("GET", ["ledger", run]) => Asked::Dump((*run).to_owned()),
        ("PUT", ["ledger", run, writer, seq]) => name(run, writer, seq).map_or(Asked::Nonsense, Asked::Write),
        ("GET", ["ledger", run, writer, seq]) => name(run, writer, seq).map_or(Asked::Nonsense, Asked::Read),
        _ => Asked::Nonsense,
    }
}
