//! etcd's v3 API as JSON over HTTP, which every server has on its client port (etcd.io/docs/v3.4/dev-guide/api_grpc_gateway):
//! where the members are, one connection to one of them, and calls. What an answer means is not decided here.

use crate::adapters::connection::{Connection, Failure, Message, Site};
use crate::adapters::places::{Address, addresses, decoded};
use crate::adapters::{AdapterError, Identity, Line};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const PORT: u16 = 2379;

/// A cluster as a URL names it: `etcd://[USER:PASSWORD@]HOST[:PORT][,…]`; `etcds` with TLS, and `?ca=FILE&cert=FILE&key=FILE`.
pub(super) struct Gateway {
    pub members: Vec<Member>,
    login: Option<(String, SecretString)>,
    /// Connecting to one member may take so long.
    pub patience: Duration,
    /// `etcd 127.0.0.1:2379`, for messages.
    pub label: String,
}

/// One of its members, by the address for clients.
pub(super) struct Member {
    pub at: Address,
    site: Site,
}

const WRONG: &str = "the URL of an etcd target cannot be read; write etcd://HOST:PORT,HOST:PORT or \
     etcds://USER:PASSWORD@HOST:PORT?ca=FILE";

impl Gateway {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(url: &str, patience: Duration) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let http = match scheme {
            "etcd" => "http",
            "etcds" => "https",
            _ => return Err(wrong()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, hosts) = rest.trim_end_matches('/').rsplit_once('@').unwrap_or(("", rest.trim_end_matches('/')));
        if !query.is_empty() && http == "http" {
            return Err(wrong());
        }
        let line = tls_line(query).ok_or_else(wrong)?;
        let list = addresses(hosts, PORT).ok_or_else(wrong)?;
        let label = format!("etcd {}", list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let member = |at: Address| {
            let uri: Uri = format!("{http}://{at}").parse().map_err(|_| wrong())?;
            Ok(Member { site: Site::of(&uri, &line)?, at })
        };
        let members = list.into_iter().map(member).collect::<Result<_, AdapterError>>()?;
        let login = match login.split_once(':') {
            None if login.is_empty() => None,
            None => return Err(wrong()),
            Some((user, word)) => {
                Some((decoded(user).ok_or_else(wrong)?, SecretString::from(decoded(word).ok_or_else(wrong)?)))
            }
        };
        Ok(Self { members, login, patience, label })
    }

    /// A connection to the member of this number, or to the first after it that lets one in: as long as nothing was sent,
    /// clients of etcd try the next one.
    pub async fn connect(&self, first: usize) -> Result<Link, Trouble> {
        let mut last = Trouble::Failed(Failure::NotSent("no member is named".to_owned()));
        for number in (0..self.members.len()).map(|step| (first + step) % self.members.len()) {
            match self.link(number).await {
                Ok(link) => return Ok(link),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// A connection to this member.
    pub async fn link(&self, number: usize) -> Result<Link, Trouble> {
        let member = &self.members[number % self.members.len()];
        let connection = Connection::open(&member.site, self.patience).await;
        let named = |failure| match failure {
            Failure::NotSent(why) => Failure::NotSent(format!("{}: {why}", member.at)),
            other => other,
        };
        let connection = connection.map_err(|failure| Trouble::Failed(named(failure)))?;
        let mut link = Link { connection, token: None, number };
        if let Some((user, password)) = &self.login {
            link.enter(user, password, self.patience).await?;
        }
        Ok(link)
    }

    /// A problem as a message: where, and what.
    pub fn about(&self, what: &str, trouble: Trouble) -> AdapterError {
        let label = &self.label;
        match trouble {
            Trouble::Failed(Failure::NotSent(why) | Failure::Undecided(why)) => {
                AdapterError::Unreachable(format!("{label}: {what}: {why}"))
            }
            Trouble::Failed(Failure::Resources(why)) => AdapterError::Other(format!("{label}: {what}: {why}")),
            Trouble::Refused(refusal) => {
                AdapterError::Refused(format!("{label}: {what}: {} (code {})", refusal.words, refusal.code))
            }
        }
    }
}

/// `ca=FILE&cert=FILE&key=FILE`.
fn tls_line(query: &str) -> Option<Line> {
    let (mut line, mut cert, mut key) = (Line::default(), None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("ca", file) => line.ca = Some(decoded(file)?),
            ("cert", file) => cert = Some(decoded(file)?),
            ("key", file) => key = Some(decoded(file)?),
            _ => return None,
        }
    }
    line.identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity { cert, key }),
        (None, None) => None,
        _ => return None,
    };
    Some(line)
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection, or what came over it, was no good.
    Failed(Failure),
    /// The server said no.
    Refused(Refusal),
}

/// An error as a server says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// gRPC's status code: what programs go by.
    pub code: i64,
    /// For people.
    pub words: String,
}

/// A connection to one member.
pub(super) struct Link {
    connection: Connection,
    token: Option<HeaderValue>,
    /// Which of the members it is.
    pub number: usize,
}

impl Link {
    /// Can an idle connection be used again? The other side may have closed it meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        self.connection.is_usable().await
    }

    async fn enter(&mut self, user: &str, password: &SecretString, limit: Duration) -> Result<(), Trouble> {
        let body = json!({"name": user, "password": password.expose_secret()});
        let answer = timeout(limit, self.call("/v3/auth/authenticate", &body)).await;
        let not_sent = |why: &str| Trouble::Failed(Failure::NotSent(format!("logging in: {why}")));
        let answer = answer.map_err(|_| not_sent("no answer in time"))?;
        let answer = answer.map_err(|trouble| match trouble {
            // Nothing but the login was sent.
            Trouble::Failed(Failure::Undecided(why)) => not_sent(&why),
            other => other,
        })?;
        let token = answer["token"].as_str().and_then(|token| HeaderValue::from_str(token).ok());
        self.token = Some(token.ok_or_else(|| not_sent("there is no token in the answer"))?);
        Ok(())
    }

    fn message(&self, body: &Value) -> Message {
        let mut headers = HeaderMap::new();
        headers.extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        Message { method: Method::POST, headers, body: Bytes::from(body.to_string()) }
    }

    /// One call with a short answer: that, or what the server says no with.
    pub async fn call(&mut self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let reply = self.connection.exchange(path, self.message(body)).await.map_err(Trouble::Failed)?;
        let answer: Option<Value> = serde_json::from_slice(&reply.body).ok();
        match (reply.status, answer) {
            (200, Some(answer @ Value::Object(_))) => Ok(answer),
            (_, Some(answer)) if answer["code"].is_i64() => {
                let words = answer["message"].as_str().or(answer["error"].as_str()).unwrap_or_default().to_owned();
                Err(Trouble::Refused(Refusal { code: number(&answer["code"]), words }))
            }
            (status, _) => Err(strange(status)),
        }
    }

    /// One call with an answer that may be long.
    pub async fn long_call(&mut self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let mut bytes = Vec::new();
        let mut piece = |part: &[u8]| {
            bytes.extend_from_slice(part);
            if bytes.len() > ANSWER { Err(Failure::Undecided("an oversized answer".to_owned())) } else { Ok(()) }
        };
        let message = self.message(body);
        let status = self.connection.stream(path, message, &mut piece).await.map_err(Trouble::Failed)?;
        match serde_json::from_slice(&bytes) {
            Ok(answer @ Value::Object(_)) if status == 200 => Ok(answer),
            _ => Err(strange(status)),
        }
    }
}

fn strange(status: u16) -> Trouble {
    Trouble::Failed(Failure::Undecided(format!("no answer of etcd's v3 API: status {status}")))
}

/// A page of a range is far below this.
const ANSWER: usize = 64 << 20;

/// A 64-bit number, which JSON of protocol buffers writes as text, and leaves out when it is 0.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or_default()
}

/// The same, for identifiers of members.
pub(super) fn id(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn one_member_and_several() {
        let gateway = Gateway::parse("etcd://app:p%40ss@a,b:1/", LIMIT).unwrap();
        assert_eq!((gateway.label.as_str(), gateway.members.len()), ("etcd a:2379,b:1", 2));
        let login = gateway.login.map(|(user, password)| (user, password.expose_secret().to_owned()));
        assert_eq!(login, Some(("app".to_owned(), "p@ss".to_owned())));
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        crate::adapters::install_tls();
        for url in [
            "hunter2",
            "http://u:hunter2@h",
            "etcd://u:hunter2@h:port",
            "etcd://u:hunter2@",
            "etcd://hunter2@h",
            "etcd://u:hunter2@h?x=1",
            "etcd://u:hunter2@h?ca=/f",
            "etcd://u:hunter2%4@h",
            "etcds://u:hunter2@h?ca=%2Fnowhere%2Fca.pem",
            "etcds://u:hunter2@h?cert=%2Fnowhere%2Fc.pem",
        ] {
            let error = Gateway::parse(url, LIMIT).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn numbers_are_text_or_absent() {
        let answer = json!({"a": "18446744073709551615", "b": "-3", "c": 7});
        assert_eq!(
            (id(&answer["a"]), number(&answer["b"]), number(&answer["c"]), number(&answer["d"])),
            (u64::MAX, -3, 7, 0)
        );
    }
}
