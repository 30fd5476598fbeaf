//! One connection to a Redis, or to a Sentinel: it knows whether a command can have reached the server. Dropping it closes
//! the socket at once, and nothing that was not sent is sent later.

use super::place::{Login, Place};
use super::resp::{Refusal, Value, answer, command};
use crate::adapters::AdapterError;
use crate::adapters::connection::{Failure, dial, not_connected};
use crate::adapters::places::Address;
use crate::model::Outcome;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::io;
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
    /// Bytes were sent and no answer decides.
    Undecided(String),
}

impl Trouble {
    /// What it means for a command that was to be sent.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotSent(_) | Self::Late(_) | Self::Refused(_) => Outcome::Fail,
            Self::Resources(_) => Outcome::Unsent,
            Self::Undecided(_) => Outcome::Unknown,
        }
    }

    /// As a message: where, and what.
    pub fn about(self, label: &str) -> AdapterError {
        match self {
            Self::NotSent(why) | Self::Undecided(why) => AdapterError::Unreachable(format!("{label}: {why}")),
            Self::Late(why) => AdapterError::TimedOut(format!("{label}: {why}")),
            Self::Resources(why) => AdapterError::Other(format!("{label}: {why}")),
            Self::Refused(refusal) => AdapterError::Refused(format!("{label}: {}", refusal.words)),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// See the module.
pub(super) struct Connection {
    io: BufReader<Box<dyn Io>>,
    /// The server at the other end.
    pub at: Address,
}

impl Connection {
    /// Connects, speaks TLS if the place says so, and logs in, all within `limit`.
    pub async fn open(place: &Place, at: &Address, login: &Login, limit: Duration) -> Result<Self, Trouble> {
        let opened = timeout(limit, Self::reach(place, at, login)).await;
        opened.unwrap_or_else(|_| Err(Trouble::Late(format!("no connection to {at} within {limit:?}"))))
    }

    async fn reach(place: &Place, at: &Address, login: &Login) -> Result<Self, Trouble> {
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
        let mut connection = Self { io: BufReader::new(io), at: at.clone() };
        if let Some(words) = login.words() {
            connection.must(&words).await?;
        }
        Ok(connection)
    }

    /// A command before the one that counts: its refusal, or no answer, means that the other was never sent.
    pub async fn must(&mut self, words: &[&[u8]]) -> Result<Value, Trouble> {
        match self.ask(words).await {
            Ok(Value::Refused(refusal)) => Err(Trouble::Refused(refusal)),
            Ok(value) => Ok(value),
            Err(Trouble::Undecided(why)) => Err(Trouble::NotSent(why)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends a command and reads its answer.
    pub async fn ask(&mut self, words: &[&[u8]]) -> Result<Value, Trouble> {
        let mut bytes = Vec::new();
        command(words, &mut bytes);
        self.send(&bytes).await?;
        self.answer().await
    }

    /// Sends commands.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = async {
            self.io.get_mut().write_all(bytes).await?;
            self.io.get_mut().flush().await
        };
        let at = self.at.clone();
        sent.await.map_err(|e: io::Error| Trouble::Undecided(format!("sending to {at}: {e}")))
    }

    /// Reads the next answer.
    pub async fn answer(&mut self) -> Result<Value, Trouble> {
        answer(&mut self.io).await.map_err(|e| Trouble::Undecided(format!("{}: {e}", self.at)))
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
