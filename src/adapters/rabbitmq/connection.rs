//! One connection to a broker with one channel on it: it knows whether a message can have reached the broker. Dropping it
//! closes the socket at once, and nothing that was not sent is sent later.

use super::frame::{Args, Frame, GREETING, LONGEST, Method, Name, Properties, Value, content, name, properties, take};
use super::place::Place;
use crate::adapters::AdapterError;
use crate::adapters::connection::{Failure, dial, not_connected};
use crate::adapters::places::Address;
use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Messages that came while something else was waited for: more than that is no answer to anything of ours.
const WAITING: usize = 1 << 20;
/// One read takes at most so much.
const CHUNK: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No byte of a message was sent.
    NotSent(String),
    /// No byte was sent, for want of descriptors or ports.
    Resources(String),
    /// There was no time left before anything was sent.
    Late(String),
    /// The broker closed the connection or the channel, and said why.
    Refused(Refusal),
    /// Bytes were sent and no answer decides.
    Undecided(String),
}

/// An error as a broker says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// AMQP's reply code: what programs go by.
    pub code: u16,
    /// For people.
    pub words: String,
    /// The method that it is about; (0, 0) if it is about none.
    pub about: Name,
}

impl Trouble {
    /// The same, said of what only prepared for a message: that was never sent.
    fn beforehand(self) -> Self {
        match self {
            Self::Undecided(why) => Self::NotSent(why),
            other => other,
        }
    }

    /// As a message: where, and what.
    pub fn about(self, label: &str) -> AdapterError {
        match self {
            Self::NotSent(why) | Self::Undecided(why) => AdapterError::Unreachable(format!("{label}: {why}")),
            Self::Late(why) => AdapterError::TimedOut(format!("{label}: {why}")),
            Self::Resources(why) => AdapterError::Other(format!("{label}: {why}")),
            Self::Refused(refusal) => {
                AdapterError::Refused(format!("{label}: {} (code {})", refusal.words, refusal.code))
            }
        }
    }
}

/// What a publisher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The broker has taken responsibility.
    Acked,
    /// It could be put into no queue.
    Returned,
    /// The broker could not take responsibility.
    Nacked,
}

/// A message as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Acknowledged by this.
    pub tag: u64,
    pub properties: Properties,
    pub body: Vec<u8>,
}

/// What comes from the broker.
enum Event {
    Method(Name, Vec<u8>),
    /// With the method that brought it.
    Message(Name, Message),
}

trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// See the module.
pub(super) struct Connection {
    io: Box<dyn Io>,
    /// The node at the other end.
    pub at: Address,
    /// What has come and was not taken yet.
    inbox: Vec<u8>,
    longest: usize,
    /// The broker takes no messages now: memory or disk are short.
    pub blocked: bool,
    published: u64,
    waiting: VecDeque<Message>,
    /// What the broker says of itself: `product`, `version`, …
    pub about: BTreeMap<String, String>,
}

impl Connection {
    /// Connects, speaks TLS if the place says so, logs in, and opens a channel that confirms, all within `limit`.
    pub async fn open(place: &Place, at: &Address, limit: Duration) -> Result<Self, Trouble> {
        let opened = timeout(limit, Self::reach(place, at)).await;
        let opened = opened.unwrap_or_else(|_| Err(Trouble::Late(format!("no connection to {at} within {limit:?}"))));
        opened.map_err(Trouble::beforehand)
    }

    async fn reach(place: &Place, at: &Address) -> Result<Self, Trouble> {
        let stream = dial(&at.host, at.port, None).await.map_err(|e| match not_connected(e) {
            Failure::Resources(why) => Trouble::Resources(why),
            Failure::NotSent(why) | Failure::Undecided(why) => Trouble::NotSent(format!("connecting to {at}: {why}")),
        })?;
        let io: Box<dyn Io> = match &place.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(at.host.clone())
                    .map_err(|_| Trouble::NotSent(format!("`{}` is no name of a server", at.host)))?;
                let stream = tls.connect(name, stream).await;
                Box::new(stream.map_err(|e| Trouble::NotSent(format!("TLS with {at}: {e}")))?)
            }
        };
        let mut connection = Self {
            io,
            at: at.clone(),
            inbox: Vec::new(),
            longest: 4096,
            blocked: false,
            published: 0,
            waiting: VecDeque::new(),
            about: BTreeMap::new(),
        };
        connection.enter(place).await?;
        Ok(connection)
    }

    /// The talk that a connection begins with. Heartbeats are off: each operation has a limit of its own.
    async fn enter(&mut self, place: &Place) -> Result<(), Trouble> {
        self.send(GREETING).await?;
        let start = self.wait(name::START).await?;
        let mut args = Args(start.get(2..).unwrap_or_default());
        self.about = args.texts().ok_or_else(|| self.strange("what it says of itself cannot be read"))?;
        let mechanisms = String::from_utf8_lossy(args.long().unwrap_or_default()).into_owned();
        if !mechanisms.split(' ').any(|mechanism| mechanism == "PLAIN") {
            return Err(Trouble::NotSent(format!("{} offers no login with a password ({mechanisms})", self.at)));
        }
        let login = format!("\0{}\0{}", place.user, place.password.expose_secret());
        let ok = Method::new(name::START_OK).table(&ourselves()).short("PLAIN").long(login.as_bytes()).short("en_US");
        self.tell(ok, 0).await?;
        let tune = match self.method().await? {
            (name::TUNE, args) => args,
            (name::SECURE, _) => return Err(self.strange("it asks for more than a password")),
            _ => return Err(self.strange("it does not go on after the login")),
        };
        let mut args = Args(&tune);
        let (channels, longest) = (args.u16().unwrap_or_default(), args.u32().unwrap_or_default());
        self.longest = usize::try_from(longest).unwrap_or(0);
        if !(4096..=LONGEST).contains(&self.longest) {
            self.longest = 128 * 1024;
        }
        let longest = u32::try_from(self.longest).unwrap_or(u32::MAX);
        self.tell(Method::new(name::TUNE_OK).u16(channels).u32(longest).u16(0), 0).await?;
        self.tell(Method::new(name::OPEN).short(&place.vhost).short("").u8(0), 0).await?;
        self.wait(name::OPEN_OK).await?;
        self.call(Method::new(name::CHANNEL_OPEN).short(""), name::CHANNEL_OPEN_OK).await?;
        self.call(Method::new(name::CONFIRM).u8(0), name::CONFIRM_OK).await?;
        Ok(())
    }

    fn strange(&self, what: &str) -> Trouble {
        Trouble::Undecided(format!("{}: {what}", self.at))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        sent.await.map_err(|e: io::Error| Trouble::Undecided(format!("sending to {}: {e}", self.at)))
    }

    async fn tell(&mut self, method: Method, channel: u16) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        method.on(channel, &mut bytes);
        self.send(&bytes).await
    }

    /// Reads what has come; when it is given up nothing is lost.
    async fn fill(&mut self) -> Result<(), Trouble> {
        self.inbox.reserve(CHUNK);
        match self.io.read_buf(&mut self.inbox).await {
            Ok(0) => Err(self.strange("it closed the connection")),
            Ok(_) => Ok(()),
            Err(e) => Err(self.strange(&e.to_string())),
        }
    }

    /// The next frame; those that say how the broker is are noted, and one that ends everything is an error.
    async fn frame(&mut self) -> Result<Frame, Trouble> {
        loop {
            match self.taken()? {
                Some(frame) => return Ok(frame),
                None => self.fill().await?,
            }
        }
    }

    /// The same from what has come already; none if it is not whole.
    fn taken(&mut self) -> Result<Option<Frame>, Trouble> {
        loop {
            match take(&mut self.inbox).map_err(|why| self.strange(why))? {
                Some(Frame::Heartbeat) => {}
                Some(Frame::Method(name::BLOCKED, _)) => self.blocked = true,
                Some(Frame::Method(name::UNBLOCKED, _)) => self.blocked = false,
                Some(Frame::Method(name::CLOSE | name::CHANNEL_CLOSE, args)) => return Err(refused(&args)),
                other => return Ok(other),
            }
        }
    }

    /// The next method, or a message with all its pieces.
    async fn event(&mut self) -> Result<Event, Trouble> {
        let (method, args) = match self.frame().await? {
            Frame::Method(method, args) => (method, args),
            _ => return Err(self.strange("a piece of a message comes without its beginning")),
        };
        if !matches!(method, name::DELIVER | name::GET_OK | name::RETURN) {
            return Ok(Event::Method(method, args));
        }
        let Frame::Header(size, header) = self.frame().await? else {
            return Err(self.strange("a message comes without its header"));
        };
        let properties = properties(&header).ok_or_else(|| self.strange("a message's header cannot be read"))?;
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            match self.frame().await? {
                Frame::Body(piece) => body.extend(piece),
                _ => return Err(self.strange("a message ends before it should")),
            }
        }
        let mut args = Args(&args);
        let tag = match method {
            name::DELIVER => args.short().and_then(|_consumer| args.u64()),
            name::GET_OK => args.u64(),
            _ => Some(0),
        };
        Ok(Event::Message(method, Message { tag: tag.unwrap_or_default(), properties, body }))
    }

    /// The next method; messages that come before it wait.
    async fn method(&mut self) -> Result<(Name, Vec<u8>), Trouble> {
        loop {
            match self.event().await? {
                Event::Method(name, args) => return Ok((name, args)),
                Event::Message(name::DELIVER, message) if self.waiting.len() < WAITING => {
                    self.waiting.push_back(message);
                }
                Event::Message(..) => return Err(self.strange("a message comes that nobody asked for")),
            }
        }
    }

    async fn wait(&mut self, wanted: Name) -> Result<Vec<u8>, Trouble> {
        loop {
            match self.method().await? {
                (found, args) if found == wanted => return Ok(args),
                // Late confirms of what was not waited for.
                (name::ACK | name::NACK, _) => {}
                _ => return Err(self.strange("its answer is to another question")),
            }
        }
    }

    /// Asks on the channel, and waits for this answer.
    pub async fn call(&mut self, method: Method, wanted: Name) -> Result<Vec<u8>, Trouble> {
        self.tell(method, 1).await?;
        self.wait(wanted).await
    }

    /// Tells the broker something that it does not answer.
    pub async fn say(&mut self, method: Method) -> Result<(), Trouble> {
        self.tell(method, 1).await
    }

    /// Publishes to a queue, and waits for what becomes of it. Nothing else is in flight on the channel.
    pub async fn publish(&mut self, queue: &str, properties: &Properties, body: &[u8]) -> Result<Told, Trouble> {
        let mut bytes = Vec::with_capacity(body.len() + 256);
        // Mandatory: what no queue takes comes back.
        Method::new(name::PUBLISH).u16(0).short("").short(queue).u8(1).on(1, &mut bytes);
        content(properties, body, 1, self.longest, &mut bytes);
        self.published += 1;
        self.send(&bytes).await?;
        let mut told = Told::Acked;
        loop {
            match self.event().await? {
                Event::Message(name::RETURN, _) => told = Told::Returned,
                Event::Method(answer @ (name::ACK | name::NACK), args) if self.is_ours(&args) => {
                    return Ok(if answer == name::NACK { Told::Nacked } else { told });
                }
                Event::Method(name::ACK | name::NACK | name::CANCEL, _) | Event::Message(..) => {}
                Event::Method(..) => return Err(self.strange("it answers a message with something else")),
            }
        }
    }

    /// Is a confirm about the last message?
    fn is_ours(&self, args: &[u8]) -> bool {
        let mut args = Args(args);
        let (tag, bits) = (args.u64().unwrap_or_default(), args.u8().unwrap_or_default());
        tag == self.published || (bits & 1 == 1 && (tag == 0 || tag > self.published))
    }

    /// Takes one message out of a queue, to be acknowledged; none if there is none.
    pub async fn get(&mut self, queue: &str) -> Result<Option<Message>, Trouble> {
        self.tell(Method::new(name::GET).u16(0).short(queue).u8(0), 1).await?;
        loop {
            match self.event().await? {
                Event::Message(name::GET_OK, message) => return Ok(Some(message)),
                Event::Method(name::GET_EMPTY, _) => return Ok(None),
                Event::Method(name::ACK | name::NACK, _) | Event::Message(..) => {}
                Event::Method(..) => return Err(self.strange("its answer is to another question")),
            }
        }
    }

    /// The next message for a consumer.
    pub async fn delivery(&mut self) -> Result<Message, Trouble> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        loop {
            match self.event().await? {
                Event::Message(name::DELIVER, message) => return Ok(message),
                Event::Method(name::CANCEL, _) => return Err(self.strange("the queue is gone")),
                _ => {}
            }
        }
    }

    /// Messages that have come and were not looked at.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Can an idle connection be used again? The other side may have closed it meanwhile, or taken no messages any more.
    pub fn is_usable(&mut self) -> bool {
        loop {
            match self.taken() {
                // Nothing is in flight, so nothing else is to come.
                Err(_) | Ok(Some(_)) => return false,
                Ok(None) => {}
            }
            match self.fill().now_or_never() {
                None => return true,
                Some(Ok(())) => {}
                Some(Err(_)) => return false,
            }
        }
    }

    /// Says good-bye, without waiting for an answer: else the broker notes a client that vanished.
    pub async fn part(mut self, limit: Duration) {
        let close = Method::new(name::CLOSE).u16(200).short("done").u16(0).u16(0);
        let parted = async {
            if self.tell(close, 0).await.is_ok() {
                // The connection ends when the broker has read it.
                while self.fill().await.is_ok() && self.inbox.len() < CHUNK {}
            }
        };
        // Who does not hear it will notice.
        drop(timeout(limit, parted).await);
    }
}

/// What a client says of itself.
fn ourselves() -> Vec<(String, Value)> {
    let flag = |name: &str| (name.to_owned(), Value::Flag(1));
    let able = ["publisher_confirms", "basic.nack", "connection.blocked", "consumer_cancel_notify"];
    let able = able.into_iter().chain(["authentication_failure_close"]).map(flag).collect();
    let text = |name: &str, text: &str| (name.to_owned(), Value::Text(text.to_owned()));
    vec![
        text("product", "blackstart"),
        text("connection_name", "blackstart"),
        ("capabilities".to_owned(), Value::Table(able)),
    ]
}

/// Why a connection or a channel was closed.
fn refused(args: &[u8]) -> Trouble {
    let mut args = Args(args);
    let code = args.u16().unwrap_or_default();
    let words = args.short().unwrap_or_default();
    let about = (args.u16().unwrap_or_default(), args.u16().unwrap_or_default());
    Trouble::Refused(Refusal { code, words, about })
}
