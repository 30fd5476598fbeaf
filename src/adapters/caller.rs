//! Talks over TCP that are tried again: each attempt has a connection of its own. What is said and how it is judged is
//! the talk's business, the same as for clients that the schedule's own thread drives.

use super::connection::{CONNECT, Failure, dial, not_connected};
use super::flights::{End, Heard, Talk, Talking};
use super::visit::behave;
use super::{Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::Outcome;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Read at once.
const PIECE: usize = 16 * 1024;

/// Talks to a port.
pub(super) struct Caller {
    pub clock: Clock,
    pub host: String,
    pub port: u16,
    /// Names are asked for here; as the machine does it if not given.
    pub resolver: Option<String>,
    pub talk: Talking,
    pub settings: ClientSettings,
}

impl Caller {
    async fn connect(&self, limit: Duration) -> Result<TcpStream, Failure> {
        let dial = dial(&self.host, self.port, self.resolver.as_deref());
        let connected = tokio::time::timeout(limit.min(CONNECT), dial).await;
        let stream = connected.map_err(|_| Failure::NotSent("connect: no answer in time".to_owned()))?;
        stream.map_err(not_connected)
    }

    async fn attempt(&self, number: u64, limit: Duration) -> Outcome {
        let mut request = Vec::new();
        self.talk.say(number, &mut request);
        let talk = async {
            let mut stream = match self.connect(limit).await {
                Ok(stream) => stream,
                Err(failure) => return failure.outcome(),
            };
            if stream.write_all(&request).await.is_err() {
                return Outcome::Unknown;
            }
            let (mut heard, mut piece, mut end) = (Vec::new(), vec![0; PIECE], End::Open);
            loop {
                if let Heard::Over { outcome, .. } = self.talk.hear(number, &mut (), &heard, end) {
                    return outcome;
                }
                match stream.read(&mut piece).await {
                    Ok(0) | Err(_) => end = End::Closed,
                    Ok(length) => heard.extend_from_slice(&piece[..length]),
                }
            }
        };
        let outcome = tokio::time::timeout(limit, talk).await.unwrap_or(Outcome::Unknown);
        // Where nothing is sent, nothing can have happened.
        if outcome == Outcome::Unknown && request.is_empty() { Outcome::Fail } else { outcome }
    }
}

impl Client for Caller {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        let number = operation.act.number();
        let attempt = move |limit| -> Fut<'_, Outcome> { Box::pin(self.attempt(number, limit)) };
        Box::pin(behave(&self.clock, &self.settings.behaviour, self.settings.timeout, attempt))
    }
}

/// `HOST:PORT`, with `[…]` around an IPv6 address.
pub(super) fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.trim().rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let fits = !host.is_empty() && (bare.is_some() || !host.contains(':'));
    Some((host.to_owned(), port.parse().ok()?)).filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(host_and_port("a.b:1"), Some(("a.b".to_owned(), 1)));
        assert_eq!(host_and_port("[::1]:80"), Some(("::1".to_owned(), 80)));
        assert!(["", "a", ":1", "a:b", "a:65536", "::1:80", "a:"].iter().all(|text| host_and_port(text).is_none()));
    }
}
