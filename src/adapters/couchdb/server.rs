//! A database of a CouchDB as a URL names it, one connection to its server, and calls: JSON over HTTP/1.1
//! (docs.couchdb.org/en/stable/api). What an answer means is not decided here.

use super::keys::escaped;
use crate::adapters::connection::{Connection, Failure, Message, Site};
use crate::adapters::places::decoded;
use crate::adapters::{AdapterError, Line, base64};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A database: `http[s]://[USER:PASSWORD@]HOST[:PORT][/PATH]/DATABASE[?ca=FILE]`.
pub(super) struct Server {
    site: Site,
    /// What stands before the paths of the server's own interface.
    root: String,
    /// As it is written in paths.
    database: String,
    login: Option<HeaderValue>,
    /// Connecting may take so long.
    pub patience: Duration,
    /// `127.0.0.1:5984`.
    pub at: String,
    /// `couchdb 127.0.0.1:5984/shop`, for messages.
    pub label: String,
}

const WRONG: &str = "the URL of a couchdb target cannot be read; write http://USER:PASSWORD@HOST:5984/DATABASE or \
     https://USER:PASSWORD@HOST/DATABASE?ca=FILE";

impl Server {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(url: &str, patience: Duration) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        if !["http", "https"].contains(&scheme) {
            return Err(wrong());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let path = path.trim_end_matches('/');
        let (root, database) = path.rsplit_once('/').map_or(("", path), |(root, name)| (root, name));
        if host.is_empty() || database.is_empty() || (!query.is_empty() && scheme == "http") {
            return Err(wrong());
        }
        let ca = match query.split_once('=') {
            None if query.is_empty() => None,
            Some(("ca", file)) => Some(decoded(file).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        let uri: Uri = format!("{scheme}://{host}/").parse().map_err(|_| wrong())?;
        // What stands for a port and is none would be ignored.
        let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
        if after.contains(':') && uri.port_u16().is_none() {
            return Err(wrong());
        }
        let site = Site::of(&uri, &Line { ca, ..Line::default() })?;
        let root = if root.is_empty() { String::new() } else { format!("/{root}") };
        let label = format!("couchdb {host}/{database}");
        let database = escaped(&decoded(database).ok_or_else(wrong)?);
        let login = basic(login).ok_or_else(wrong)?;
        Ok(Self { site, root, database, login, patience, at: host.to_owned(), label })
    }

    /// A connection to it; nothing is sent yet.
    pub async fn connect(self: &Arc<Self>) -> Result<Link, Trouble> {
        let connection = Connection::open(&self.site, self.patience).await.map_err(Trouble::Failed)?;
        Ok(Link { connection, server: Arc::clone(self) })
    }

    /// The path of something in the database, or of the database itself.
    pub fn path(&self, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!("{}/{}{slash}{rest}", self.root, self.database)
    }

    /// The path of something of the server.
    pub fn server_path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.root)
    }

    /// The name of the database, without what stands for special characters in paths.
    pub fn database(&self) -> String {
        decoded(&self.database).unwrap_or_default()
    }

    /// A problem as a message: where, and what.
    pub fn about(&self, what: &str, trouble: Trouble) -> AdapterError {
        let label = &self.label;
        match trouble {
            Trouble::Failed(Failure::NotSent(why) | Failure::Undecided(why)) => {
                AdapterError::Unreachable(format!("{label}: {what}: {why}"))
            }
            Trouble::Failed(Failure::Resources(why)) => AdapterError::Other(format!("{label}: {what}: {why}")),
            Trouble::Refused(Refusal { status, words, .. }) => {
                let help = match status {
                    401 => "; is the password right, and is the user a member of the database (its `_security`)?",
                    403 => "; the user must be a member of the database and may write (its `_security`)",
                    404 => "; is there such a database? It must be there, and replicated as the others are",
                    _ => "",
                };
                AdapterError::Refused(format!("{label}: {what}: {words} (status {status}){help}"))
            }
        }
    }
}

/// `USER:PASSWORD` as a header; none of it is one without. The outer none: it cannot be read.
fn basic(login: &str) -> Option<Option<HeaderValue>> {
    if login.is_empty() {
        return Some(None);
    }
    let (user, word) = login.split_once(':')?;
    let pair = format!("{}:{}", decoded(user)?, decoded(word)?);
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64::encoded(pair.as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(Some(value))
}

/// Why there is no answer that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection, or what came over it, was no good.
    Failed(Failure),
    /// Somebody said no: the server, or what stands before it.
    Refused(Refusal),
}

/// An error as it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP's status: what programs go by.
    pub status: u16,
    /// CouchDB's own name for it (`not_found`); empty if it was not CouchDB who said it.
    pub code: String,
    /// For people.
    pub words: String,
}

/// An answer that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// 200, 201 or 202.
    pub status: u16,
    pub body: Value,
}

/// A connection to a server.
pub(super) struct Link {
    connection: Connection,
    server: Arc<Server>,
}

/// A page of documents is far below this.
const ANSWER: usize = 64 << 20;

impl Link {
    /// Can an idle connection be used again? The other side may have closed it meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        self.connection.is_usable().await
    }

    fn message(&self, method: Method, body: Option<&Value>) -> Message {
        let mut headers = HeaderMap::new();
        headers.extend(self.server.login.clone().map(|login| (AUTHORIZATION, login)));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Message { method, headers, body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default() }
    }

    /// One call with a short answer.
    pub async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let message = self.message(method, body);
        let reply = self.connection.exchange(path, message).await.map_err(Trouble::Failed)?;
        understood(reply.status, &reply.body)
    }

    /// One question with an answer that may be long.
    pub async fn long_get(&mut self, path: &str) -> Result<Value, Trouble> {
        let message = self.message(Method::GET, None);
        let reply = self.connection.exchange_up_to(ANSWER, path, message).await.map_err(Trouble::Failed)?;
        understood(reply.status, &reply.body).map(|answer| answer.body)
    }
}

/// JSON with a status of success, or the refusal.
fn understood(status: u16, body: &[u8]) -> Result<Answer, Trouble> {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match (status, body) {
        (200..=202, Some(body)) => Ok(Answer { status, body }),
        (200..=202, None) => {
            Err(Trouble::Failed(Failure::Undecided(format!("no answer of CouchDB: status {status} without JSON"))))
        }
        (_, body) => {
            let text = |name: &str| body.as_ref().and_then(|body| body[name].as_str()).unwrap_or_default().to_owned();
            let (code, reason) = (text("error"), text("reason"));
            let words = match (code.is_empty(), reason.is_empty()) {
                (true, _) => "no answer of CouchDB".to_owned(),
                (false, true) => code.clone(),
                (false, false) => format!("{code}: {reason}"),
            };
            Err(Trouble::Refused(Refusal { status, code, words }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn a_database_with_a_login_and_below_a_path() {
        let server = Server::parse("http://app:p%40ss@h:5984/shop/", LIMIT).unwrap();
        assert_eq!(
            (server.label.as_str(), server.path("_all_docs").as_str()),
            ("couchdb h:5984/shop", "/shop/_all_docs")
        );
        let login = server.login.as_ref().map(|login| login.to_str().unwrap().to_owned());
        assert_eq!(login, Some(format!("Basic {}", base64::encoded(b"app:p@ss"))));
        let below = Server::parse("http://h/couch/a%2Fb", LIMIT).unwrap();
        assert_eq!((below.path("").as_str(), below.server_path("_up").as_str()), ("/couch/a%2Fb", "/couch/_up"));
        assert_eq!((below.database().as_str(), below.login.is_none()), ("a/b", true));
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        crate::adapters::install_tls();
        for url in [
            "hunter2",
            "couchdb://u:hunter2@h/db",
            "http://u:hunter2@h",
            "http://u:hunter2@h/",
            "http://u:hunter2@/db",
            "http://hunter2@h/db",
            "http://u:hunter2@h:port/db",
            "http://u:hunter2@h/db?ca=/f",
            "http://u:hunter2%4@h/db",
            "https://u:hunter2@h/db?x=1",
            "https://u:hunter2@h/db?ca=%2Fnowhere%2Fca.pem",
        ] {
            let error = Server::parse(url, LIMIT).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn who_said_no_is_seen() {
        let no = |status, text: &str| match understood(status, text.as_bytes()) {
            Err(Trouble::Refused(refusal)) => (refusal.status, refusal.code, refusal.words),
            other => panic!("{other:?}"),
        };
        let own = no(404, r#"{"error":"not_found","reason":"missing"}"#);
        assert_eq!(own, (404, "not_found".to_owned(), "not_found: missing".to_owned()));
        assert_eq!(no(503, "<html>"), (503, String::new(), "no answer of CouchDB".to_owned()));
        assert!(matches!(understood(200, b"<html>"), Err(Trouble::Failed(Failure::Undecided(_)))));
        assert_eq!(understood(202, b"{}"), Ok(Answer { status: 202, body: serde_json::json!({}) }));
    }
}
