//! A name server for drills: it answers from a table or asks another one, and lets names fail, be slow, or have other
//! addresses while a fault says so. Loopback only unless told otherwise. Its control socket's words are in
//! [`crate::adapters::resolver`]; the wire format is the `hickory-proto` crate's.

use super::control::Control;
use super::life::{Keeper, told_to_end};
use crate::adapters::resolver::{
    Failure, NameEffect, NameFault, ResolverAsk, ResolverSaid, ResolverStart, ResolverState,
};
use crate::clock::Clock;
use crate::model::Orphaned;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Questions at the same time; more wait.
const QUESTIONS: usize = 1024;
/// The other server answers within this, or not at all.
const UPSTREAM: Duration = Duration::from_secs(5);
/// A TCP client that asks nothing for so long has gone.
const SILENT: Duration = Duration::from_secs(30);
/// The longest UDP message that may come.
const DATAGRAM: usize = 4096;
/// After the system could not give us a message or a connection.
const SHORT: Duration = Duration::from_millis(20);
/// A free port for TCP may be taken for UDP.
const TRIES: usize = 20;

/// Why a resolver does not work.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {0} by UDP and TCP: {1}")]
    Listen(SocketAddr, io::Error),
    /// The control socket cannot be made.
    #[error("cannot make the control socket {0}: {1}")]
    Control(PathBuf, io::Error),
    /// A part of it stopped that never should.
    #[error("the resolver stopped: {0}")]
    Stopped(io::Error),
}

/// What is set.
#[derive(Debug, Clone, Default)]
struct Table {
    faults: Vec<NameFault>,
    /// Nobody gets an answer.
    closed: bool,
}

struct Resolver {
    start: ResolverStart,
    listen: SocketAddr,
    instance: String,
    table: watch::Sender<Arc<Table>>,
    setting: Mutex<()>,
    keeper: Keeper,
    asked: AtomicU64,
    touched: AtomicU64,
    ended: CancellationToken,
}

/// How a question came, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Udp,
    Tcp,
}

/// The helper: its parameters are a [`ResolverStart`] as JSON, its line is a [`ResolverState`].
pub(super) fn helper(parameters: &str, ready: super::Ready<'_>) -> Result<(), String> {
    let start: ResolverStart = serde_json::from_str(parameters).map_err(|e| format!("its parameters: {e}"))?;
    main(start, |state| ready(&serde_json::to_string(state).unwrap_or_default())).map_err(|e| e.to_string())
}

/// Runs a resolver until it is told to end. `ready` is called once with its state when it answers.
///
/// # Errors
/// When it cannot begin.
pub fn main(start: ResolverStart, ready: impl FnOnce(&ResolverState)) -> Result<(), ResolverError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ResolverError::Stopped)?;
    let ended = runtime.block_on(run(start, ready));
    runtime.shutdown_background();
    ended
}

async fn run(start: ResolverStart, ready: impl FnOnce(&ResolverState)) -> Result<(), ResolverError> {
    let (udp, tcp) = bind(start.listen).await.map_err(|e| ResolverError::Listen(start.listen, e))?;
    let listen = tcp.local_addr().map_err(|e| ResolverError::Listen(start.listen, e))?;
    let path = start.control.clone();
    let control = Control::bind(&path).map_err(|e| ResolverError::Control(path, e))?;
    let resolver = Arc::new(Resolver::new(start, listen));
    ready(&resolver.state());
    let asked = Arc::clone(&resolver);
    let answer = move |ask| {
        let resolver = Arc::clone(&asked);
        async move { resolver.command(ask) }
    };
    tokio::select! {
        why = control.serve(answer) => Err(ResolverError::Stopped(why)),
        () = datagrams(Arc::new(udp), Arc::clone(&resolver)) => Ok(()),
        () = streams(tcp, Arc::clone(&resolver)) => Ok(()),
        () = resolver.life() => Ok(()),
        () = resolver.ended.cancelled() => Ok(()),
        () = told_to_end() => Ok(()),
    }
}

/// The same port for both.
async fn bind(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = TcpListener::bind(listen).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(e) if listen.port() != 0 || tries == TRIES => return Err(e),
            Err(_) => {}
        }
    }
}

async fn datagrams(socket: Arc<UdpSocket>, resolver: Arc<Resolver>) {
    let room = Arc::new(Semaphore::new(QUESTIONS));
    let mut bytes = vec![0; DATAGRAM];
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { continue };
        let Ok((got, from)) = socket.recv_from(&mut bytes).await else {
            Clock::System.sleep_until(Clock::System.mono().after(SHORT)).await;
            continue;
        };
        let (question, socket, resolver) = (bytes[..got].to_vec(), Arc::clone(&socket), Arc::clone(&resolver));
        tokio::spawn(async move {
            if let Some(answer) = resolver.answer(&question, Over::Udp).await {
                let _gone = socket.send_to(&answer, from).await;
            }
            drop(permit);
        });
    }
}

async fn streams(listener: TcpListener, resolver: Arc<Resolver>) {
    let room = Arc::new(Semaphore::new(QUESTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { continue };
        let Ok((stream, _)) = listener.accept().await else {
            Clock::System.sleep_until(Clock::System.mono().after(SHORT)).await;
            continue;
        };
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move {
            let _gone = converse(stream, &resolver).await;
            drop(permit);
        });
    }
}

/// One question after the other, each with its length before it (RFC 1035, 4.2.2).
async fn converse(mut stream: TcpStream, resolver: &Resolver) -> io::Result<()> {
    loop {
        let question = tokio::time::timeout(SILENT, message(&mut stream)).await.map_err(io::Error::other)??;
        match resolver.answer(&question, Over::Tcp).await {
            Some(answer) => put(&mut stream, &answer).await?,
            // No answer is an open connection on which nothing comes.
            None => return drain(stream).await,
        }
    }
}

async fn drain(mut stream: TcpStream) -> io::Result<()> {
    let mut sink = [0; 512];
    while tokio::time::timeout(SILENT, stream.read(&mut sink)).await.map_err(io::Error::other)?? > 0 {}
    Ok(())
}

async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn put(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], bytes].concat();
    stream.write_all(&framed).await
}

/// Is it this name, or below this zone? Names are compared without case and without a final dot.
fn fits(pattern: &str, name: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    let (pattern, name) = (plain(pattern), plain(name));
    match pattern.strip_prefix("*.") {
        Some(zone) => name.strip_suffix(zone).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == name,
    }
}

fn refusal(question: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer.add_queries(question.queries.iter().cloned());
    if question.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    answer
}

/// The addresses of the asked kind.
fn addressed(question: &Message, addresses: &[IpAddr], ttl: u32) -> Message {
    let mut answer = refusal(question, ResponseCode::NoError);
    let Some(asked) = question.queries.first() else { return answer };
    for address in addresses {
        let data = match (asked.query_type(), address) {
            (RecordType::A, IpAddr::V4(a)) => RData::A((*a).into()),
            (RecordType::AAAA, IpAddr::V6(a)) => RData::AAAA((*a).into()),
            _ => continue,
        };
        answer.add_answer(Record::from_rdata(asked.name().clone(), ttl, data));
    }
    answer
}

impl Resolver {
    fn new(start: ResolverStart, listen: SocketAddr) -> Self {
        let instance = format!("{}-{}", std::process::id(), Clock::System.boot_nanos());
        let (keeper, ended) = (Keeper::new(start.keep.clone()), CancellationToken::new());
        let (asked, touched, setting) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self { start, listen, instance, table: watch::Sender::default(), setting, keeper, asked, touched, ended }
    }

    async fn life(&self) {
        let leave = |orphaned| {
            self.change(|table| *table = Table { faults: Vec::new(), closed: orphaned == Orphaned::Closed });
        };
        self.keeper.over(leave).await;
    }

    fn change(&self, how: impl FnOnce(&mut Table)) {
        let _one_at_a_time = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.borrow());
        how(&mut table);
        self.table.send_replace(Arc::new(table));
    }

    fn state(&self) -> ResolverState {
        ResolverState {
            instance: self.instance.clone(),
            listen: self.listen.to_string(),
            upstream: self.start.upstream,
            life: self.keeper.life(),
            faults: self.table.borrow().faults.clone(),
            asked: self.asked.load(Relaxed),
            touched: self.touched.load(Relaxed),
        }
    }

    fn command(&self, ask: Result<ResolverAsk, String>) -> ResolverSaid {
        let refused = |why: &str| ResolverSaid::Error(why.to_owned());
        match ask {
            Err(why) => return ResolverSaid::Error(why),
            Ok(ResolverAsk::Set(_)) if self.keeper.is_orphaned() => {
                return refused("its runner is gone: it takes no faults any more");
            }
            Ok(ResolverAsk::Set(fault)) => self.change(|table| {
                table.faults.retain(|f| f.owner != fault.owner);
                table.faults.push(fault);
            }),
            Ok(ResolverAsk::Clear(owner)) => self.change(|table| table.faults.retain(|f| f.owner != owner)),
            Ok(ResolverAsk::ClearAll) => self.change(|table| table.faults.clear()),
            Ok(ResolverAsk::End) if !self.keeper.is_orphaned() => return refused("its runner lives"),
            Ok(ResolverAsk::End) => self.ended.cancel(),
            Ok(ResolverAsk::State) => {}
        }
        ResolverSaid::State(Box::new(self.state()))
    }

    /// The answer to a question; none if it gets none.
    async fn answer(&self, bytes: &[u8], over: Over) -> Option<Vec<u8>> {
        let question = Message::from_vec(bytes).ok().filter(|m| m.metadata.message_type == MessageType::Query)?;
        self.asked.fetch_add(1, Relaxed);
        let Some(asked) = question.queries.first() else {
            return refusal(&question, ResponseCode::FormErr).to_vec().ok();
        };
        let name = asked.name().to_ascii();
        let mut table = self.table.subscribe();
        let (closed, effect) = {
            let table = table.borrow_and_update();
            let fault = table.faults.iter().rev().find(|f| f.names.iter().any(|p| fits(p, &name)));
            (table.closed, fault.map(|f| f.effect.clone()))
        };
        self.touched.fetch_add(u64::from(effect.is_some()), Relaxed);
        let answer = match effect {
            _ if closed => return None,
            Some(NameEffect::Fail(Failure::NoAnswer)) => return None,
            Some(NameEffect::Fail(Failure::Nxdomain)) => refusal(&question, ResponseCode::NXDomain),
            Some(NameEffect::Fail(Failure::Servfail)) => refusal(&question, ResponseCode::ServFail),
            Some(NameEffect::Answer { addresses, ttl }) => addressed(&question, &addresses, ttl),
            Some(NameEffect::Slow(millis)) => {
                let due = Clock::System.mono().after(Duration::from_millis(millis));
                tokio::select! {
                    () = Clock::System.sleep_until(due) => {}
                    // Healed, or set otherwise: nobody waits for what is over.
                    _ = table.changed() => {}
                }
                return self.resolve(&question, &name, bytes, over).await;
            }
            None => return self.resolve(&question, &name, bytes, over).await,
        };
        answer.to_vec().ok()
    }

    /// From the table, or from the other server.
    async fn resolve(&self, question: &Message, name: &str, bytes: &[u8], over: Over) -> Option<Vec<u8>> {
        if let Some((_, addresses)) = self.start.names.iter().find(|(pattern, _)| fits(pattern, name)) {
            let ttl = u32::try_from(self.start.ttl.0.as_secs()).unwrap_or(u32::MAX);
            return addressed(question, addresses, ttl).to_vec().ok();
        }
        let Some(upstream) = self.start.upstream else {
            return refusal(question, ResponseCode::NXDomain).to_vec().ok();
        };
        let asked = async {
            match over {
                Over::Udp => by_udp(upstream, bytes).await,
                Over::Tcp => by_tcp(upstream, bytes).await,
            }
        };
        match tokio::time::timeout(UPSTREAM, asked).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) | Err(_) => refusal(question, ResponseCode::ServFail).to_vec().ok(),
        }
    }
}

/// On a port of its own for each question, so that nobody else can know where an answer is waited for.
async fn by_udp(upstream: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let own = if upstream.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(upstream).await?;
    socket.send(question).await?;
    let mut bytes = vec![0; 65535];
    loop {
        let got = socket.recv(&mut bytes).await?;
        if got >= 2 && bytes[..2] == question[..2] {
            bytes.truncate(got);
            return Ok(bytes);
        }
    }
}

async fn by_tcp(upstream: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    put(&mut stream, question).await?;
    message(&mut stream).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_itself_and_a_zone_what_is_below_it() {
        for (pattern, name, yes) in [
            ("db.example.com", "DB.example.com.", true),
            ("db.example.com", "a.db.example.com", false),
            ("*.example.com", "a.b.Example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", ".example.com", false),
        ] {
            assert_eq!(fits(pattern, name), yes, "{pattern} {name}");
        }
    }
}
