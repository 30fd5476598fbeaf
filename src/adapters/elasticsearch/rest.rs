//! Elasticsearch's REST API: where the nodes are, one connection to one of them, and calls. What an answer means is not
//! decided here.

use super::SearchPlace;
use crate::adapters::connection::{CONNECT, Connection, Failure, Message, Site};
use crate::adapters::places::{Address, addresses, decoded};
use crate::adapters::{AdapterError, Line, base64};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;

const PORT: u16 = 9200;
/// A page of documents is far below this.
const ANSWER: usize = 64 << 20;
const WRONG: &str = "the URL of an Elasticsearch target cannot be read; write elasticsearch://HOST:PORT,HOST:PORT or \
     elasticsearchs://USER:PASSWORD@HOST:PORT?ca=FILE";

/// A cluster as a URL names it: `elasticsearch://[USER:PASSWORD@]HOST[:PORT][,…]`; `elasticsearchs` with TLS, and `?ca=FILE`.
pub(super) struct Cluster {
    pub nodes: Vec<Node>,
    login: Option<SecretString>,
    /// Connecting to one node may take so long.
    pub patience: Duration,
    /// `elasticsearch 127.0.0.1:9200`, for messages.
    pub label: String,
}

/// One of its nodes, by the address for clients.
pub(super) struct Node {
    pub at: Address,
    site: Site,
}

impl Cluster {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(place: &SearchPlace, limit: Duration) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let (scheme, rest) = place.server.url.split_once("://").ok_or_else(wrong)?;
        let http = match scheme {
            "elasticsearch" => "http",
            "elasticsearchs" => "https",
            _ => return Err(wrong()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = rest.trim_end_matches('/');
        let (login, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
        let line = match query.split_once('=') {
            None if query.is_empty() => Line::default(),
            Some(("ca", file)) if http == "https" => {
                Line { ca: Some(decoded(file).ok_or_else(wrong)?), ..Line::default() }
            }
            _ => return Err(wrong()),
        };
        let list = addresses(hosts, PORT).ok_or_else(wrong)?;
        let label = format!("elasticsearch {}", list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let node = |at: Address| {
            let uri: Uri = format!("{http}://{at}").parse().map_err(|_| wrong())?;
            Ok(Node { site: Site::of(&uri, &line)?, at })
        };
        let nodes = list.into_iter().map(node).collect::<Result<_, AdapterError>>()?;
        let login = match (&place.api_key, login.split_once(':')) {
            (Some(key), None) if login.is_empty() => Some(SecretString::from(format!("ApiKey {key}"))),
            (None, None) if login.is_empty() => None,
            (None, Some((user, word))) => {
                let pair = format!("{}:{}", decoded(user).ok_or_else(wrong)?, decoded(word).ok_or_else(wrong)?);
                Some(SecretString::from(format!("Basic {}", base64::encoded(pair.as_bytes()))))
            }
            _ => return Err(wrong()),
        };
        let patience = place.server.connect_timeout.unwrap_or(CONNECT).min(limit);
        Ok(Self { nodes, login, patience, label })
    }

    /// A connection to the node of this number, or to the first after it that lets one in: as long as nothing was sent,
    /// clients try the next one.
    pub async fn connect(&self, first: usize) -> Result<Link, Trouble> {
        let mut last = Trouble::Failed(Failure::NotSent("no node is named".to_owned()));
        for number in (0..self.nodes.len()).map(|step| (first + step) % self.nodes.len()) {
            match self.link(number).await {
                Ok(link) => return Ok(link),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// A connection to this node.
    pub async fn link(&self, number: usize) -> Result<Link, Trouble> {
        let number = number % self.nodes.len();
        let node = &self.nodes[number];
        let connection = Connection::open(&node.site, self.patience).await;
        let named = |failure| match failure {
            Failure::NotSent(why) => Failure::NotSent(format!("{}: {why}", node.at)),
            other => other,
        };
        let connection = connection.map_err(|failure| Trouble::Failed(named(failure)))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(login) = &self.login {
            let wrong = |_| Trouble::Failed(Failure::NotSent("the login is no header's value".to_owned()));
            let mut value = HeaderValue::from_str(login.expose_secret()).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Link { connection, headers, number })
    }

    /// A problem as a message: where, what, and for a refusal which right is needed.
    pub fn about(&self, what: &str, right: &str, trouble: Trouble) -> AdapterError {
        let label = &self.label;
        match trouble {
            Trouble::Failed(Failure::NotSent(why) | Failure::Undecided(why)) => {
                AdapterError::Unreachable(format!("{label}: {what}: {why}"))
            }
            Trouble::Failed(Failure::Resources(why)) => AdapterError::Other(format!("{label}: {what}: {why}")),
            Trouble::Refused(Refusal { status, kind }) => {
                let advice = match status {
                    401 => "the user or the password, or the API key, is wrong: ".to_owned(),
                    403 if kind == "security_exception" => format!("the user needs the privilege {right}: "),
                    _ => String::new(),
                };
                AdapterError::Refused(format!("{label}: {what}: {advice}status {status} ({kind})"))
            }
        }
    }
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
    pub status: u16,
    /// The API's own word for it: `version_conflict_engine_exception`.
    pub kind: String,
}

/// A connection to one node.
pub(super) struct Link {
    connection: Connection,
    headers: HeaderMap,
    /// Which of the nodes it is.
    pub number: usize,
}

impl Link {
    /// Can an idle connection be used again? The other side may have closed it meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        self.connection.is_usable().await
    }

    fn message(&self, method: Method, body: Option<&Value>) -> Message {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        Message { method, headers: self.headers.clone(), body }
    }

    /// One call with a short answer: that, or what the server says no with. A page that is no answer of Elasticsearch's is
    /// trouble, whatever its status.
    pub async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let message = self.message(method, body);
        let reply = self.connection.exchange(path, message).await.map_err(Trouble::Failed)?;
        if reply.header("x-elastic-product") != Some("Elasticsearch") {
            return Err(strange(reply.status));
        }
        match (reply.status, serde_json::from_slice::<Value>(&reply.body)) {
            (200 | 201, Ok(answer @ (Value::Object(_) | Value::Array(_)))) => Ok(answer),
            (status, Ok(answer)) if status >= 300 => Err(refused(status, &answer)),
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
        let message = self.message(Method::POST, Some(body));
        let status = self.connection.stream(path, message, &mut piece).await.map_err(Trouble::Failed)?;
        match serde_json::from_slice(&bytes) {
            Ok(answer @ Value::Object(_)) if status == 200 => Ok(answer),
            _ if status >= 300 => Err(Trouble::Refused(Refusal { status, kind: "no page".to_owned() })),
            _ => Err(strange(status)),
        }
    }
}

fn refused(status: u16, answer: &Value) -> Trouble {
    // A document that is not there is no error to the server, and has no kind.
    let said = answer["error"]["type"].as_str().or(answer["result"].as_str());
    let kind = if answer["found"] == false { "not_found" } else { said.unwrap_or_default() };
    let known = !kind.is_empty() && kind.len() <= 100 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    Trouble::Refused(Refusal { status, kind: if known { kind.to_owned() } else { "no kind".to_owned() } })
}

fn strange(status: u16) -> Trouble {
    Trouble::Failed(Failure::Undecided(format!("no answer of Elasticsearch 7.14 or later: status {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::ServerPlace;

    fn parse(url: &str, api_key: Option<&str>) -> Result<Cluster, AdapterError> {
        let server = ServerPlace { url: url.to_owned(), connect_timeout: None, response_timeout: None };
        let place = SearchPlace { server, api_key: api_key.map(str::to_owned), active_shards: None };
        Cluster::parse(&place, Duration::from_secs(1))
    }

    #[test]
    fn one_node_and_several() {
        let cluster = parse("elasticsearch://app:p%40ss@a,b:1/", None).unwrap();
        assert_eq!((cluster.label.as_str(), cluster.nodes.len()), ("elasticsearch a:9200,b:1", 2));
        let login = |cluster: Cluster| cluster.login.map(|login| login.expose_secret().to_owned());
        assert_eq!(login(cluster), Some("Basic YXBwOnBAc3M=".to_owned()));
        assert_eq!(login(parse("elasticsearch://a", Some("aGk=")).unwrap()), Some("ApiKey aGk=".to_owned()));
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        crate::adapters::install_tls();
        for (url, key) in [
            ("hunter2", None),
            ("http://u:hunter2@h", None),
            ("elasticsearch://u:hunter2@h:port", None),
            ("elasticsearch://hunter2@h", None),
            ("elasticsearch://u:hunter2@h?ca=/f", None),
            ("elasticsearch://u:hunter2%4@h", None),
            ("elasticsearch://u:hunter2@h", Some("key")),
            ("elasticsearchs://u:hunter2@h?ca=%2Fnowhere%2Fca.pem", None),
            ("elasticsearchs://u:hunter2@h?x=1", None),
        ] {
            let error = parse(url, key).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
