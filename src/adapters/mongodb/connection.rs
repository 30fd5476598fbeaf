//! One connection to a member: it knows whether a command can have reached the server. Dropping it closes the socket at once,
//! and nothing that was not sent is sent later. Nothing is ever sent twice.

use super::bson::{Doc, Fields, Value};
use super::classify::{AUTHENTICATION_FAILED, Refusal, UNAUTHORIZED};
use super::hello::Hello;
use super::place::{Login, Place};
use super::scram::{Begun, Salted};
use super::wire::{Reply, command, reply};
use crate::adapters::AdapterError;
use crate::adapters::connection::{Failure, dial, not_connected};
use crate::adapters::places::Address;
use crate::model::Outcome;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No byte of a command was sent.
    NotSent(String),
    /// No byte was sent, for want of descriptors or ports.
    Resources(String),
    /// There was no time left before anything was sent.
    Late(String),
    /// The server said no before the command.
    Refused(Refusal),
    /// The server is not of the kind that is looked for.
    Unfit(String),
    /// Bytes were sent and no answer decides.
    Undecided(String),
}

impl Trouble {
    /// What it means for a command that was to be sent.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotSent(_) | Self::Late(_) | Self::Refused(_) | Self::Unfit(_) => Outcome::Fail,
            Self::Resources(_) => Outcome::Unsent,
            Self::Undecided(_) => Outcome::Unknown,
        }
    }

    /// As a message: where, and what; and what to grant, if something is not allowed. `role` is what would do.
    pub fn about(self, label: &str, place: &Place, role: &str) -> AdapterError {
        match self {
            Self::NotSent(why) | Self::Undecided(why) => AdapterError::Unreachable(format!("{label}: {why}")),
            Self::Late(why) => AdapterError::TimedOut(format!("{label}: {why}")),
            Self::Resources(why) => AdapterError::Other(format!("{label}: {why}")),
            Self::Unfit(why) => AdapterError::Refused(format!("{label}: {why}")),
            Self::Refused(Refusal { code, words }) => {
                AdapterError::Refused(format!("{label}: {words}{}", advice(code, place, role)))
            }
        }
    }
}

/// What to do about a refusal.
fn advice(code: i64, place: &Place, role: &str) -> String {
    let Some(Login { user, source, .. }) = &place.login else {
        let help = "; name a user in the URL: mongodb://USER:PASSWORD@…";
        return if code == UNAUTHORIZED { help.to_owned() } else { String::new() };
    };
    match code {
        UNAUTHORIZED => {
            format!("; grant it: db.getSiblingDB(\"{source}\").grantRolesToUser(\"{user}\", [{role}])")
        }
        AUTHENTICATION_FAILED => format!(
            "; is the password right, and was the user `{user}` made in the database `{source}` (authSource) with \
             SCRAM-SHA-256?"
        ),
        _ => String::new(),
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// See the module.
pub(super) struct Connection {
    io: BufReader<Box<dyn Io>>,
    /// The member at the other end.
    pub at: Address,
    /// What it said about itself when the connection was made.
    pub hello: Hello,
    asked: i32,
}

impl Connection {
    /// Connects, speaks TLS if the place says so, and hears who is there, all within `limit`. Nobody is logged in.
    pub async fn open(place: &Place, at: &Address, limit: Duration) -> Result<Self, Trouble> {
        let opened = timeout(limit, Self::reach(place, at)).await;
        opened.unwrap_or_else(|_| Err(Trouble::Late(format!("no connection to {at} within {limit:?}"))))
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
        let hello = Hello::default();
        let mut connection = Self { io: BufReader::new(io), at: at.clone(), hello, asked: 0 };
        connection.greet().await?;
        if let Some(why) = connection.hello.unfit(at, &place.whom) {
            return Err(Trouble::Unfit(why));
        }
        Ok(connection)
    }

    /// Hears again what the member says about itself.
    pub async fn greet(&mut self) -> Result<(), Trouble> {
        let reply = self.must("admin", Hello::command()).await?;
        self.hello = Hello::read(reply.doc());
        Ok(())
    }

    /// Logs in. `known` is what the password came to before, and comes to now.
    pub async fn log_in(&mut self, login: &Login, known: &mut Option<Salted>) -> Result<(), Trouble> {
        let mut nonce = [0; 24];
        let random = ring::default_provider().secure_random;
        random.fill(&mut nonce).map_err(|_| Trouble::NotSent("no random bytes for logging in".to_owned()))?;
        let begun = Begun::new(&login.user, &nonce);
        let payload = |text: String| Value::Bytes(text.into_bytes());
        let start = Fields::new().add("saslStart", 1_i32).add("mechanism", "SCRAM-SHA-256");
        let start = start.add("payload", payload(begun.first()));
        let start = start.add("options", Fields::new().add("skipEmptyExchange", true));
        let answer = self.must(&login.source, start).await?;
        let foul = || Trouble::NotSent(format!("{} does not log anybody in as SCRAM-SHA-256 has it", self.at));
        let said = |doc: Doc<'_>| {
            let data = doc.get("payload").and_then(super::bson::Element::data).unwrap_or_default();
            String::from_utf8_lossy(data).into_owned()
        };
        let id = answer.doc().get("conversationId").map(super::bson::Element::raw).ok_or_else(foul)?;
        let second = begun.second(&said(answer.doc()), &login.password, known);
        let (second, expected) = second.ok_or_else(foul)?;
        let go_on = |text| {
            let fields = Fields::new().add("saslContinue", 1_i32).add("conversationId", id.clone());
            fields.add("payload", payload(text))
        };
        let answer = self.must(&login.source, go_on(second)).await?;
        let mut done = answer.doc().is("done");
        if !expected.is(&said(answer.doc())) {
            return Err(Trouble::NotSent(format!("{} does not know the password itself", self.at)));
        }
        if !done {
            done = self.must(&login.source, go_on(String::new())).await?.doc().is("done");
        }
        if done { Ok(()) } else { Err(Trouble::NotSent(format!("{} does not come to an end of logging in", self.at))) }
    }

    /// A command before the one that counts: its refusal, or no answer, means that the other was never sent.
    pub async fn must(&mut self, database: &str, fields: Fields) -> Result<Reply, Trouble> {
        match self.ask(database, fields).await {
            Ok(reply) if reply.doc().number("ok") == Some(1) => Ok(reply),
            Ok(reply) => Err(Trouble::Refused(Refusal::of(reply.doc()))),
            Err(Trouble::Undecided(why)) => Err(Trouble::NotSent(why)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends a command and reads its answer, whatever it says.
    pub async fn ask(&mut self, database: &str, fields: Fields) -> Result<Reply, Trouble> {
        self.asked = self.asked.wrapping_add(1);
        let mut bytes = Vec::new();
        command(self.asked, &fields.add("$db", database), &mut bytes);
        let sent = async {
            self.io.get_mut().write_all(&bytes).await?;
            self.io.get_mut().flush().await
        };
        sent.await.map_err(|e: std::io::Error| Trouble::Undecided(format!("sending to {}: {e}", self.at)))?;
        reply(self.asked, &mut self.io).await.map_err(|e| Trouble::Undecided(format!("{}: {e}", self.at)))
    }

    /// Can an idle connection be used again? The other side may have closed it meanwhile, and has nothing to say.
    pub async fn is_usable(&mut self) -> bool {
        if !self.io.buffer().is_empty() {
            return false;
        }
        let io = self.io.get_mut();
        poll_fn(|cx| {
            let mut byte = [0];
            let quiet = Pin::new(&mut *io).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending();
            Poll::Ready(quiet)
        })
        .await
    }
}
