//! The MySQL and MariaDB servers that a URL names, and one connection to one of them. No message holds a password.

use super::classify::help;
use crate::adapters::AdapterError;
use crate::adapters::connection::{CONNECT, Failure, not_connected};
use crate::adapters::places::{Address, addresses};
use crate::model::Outcome;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Opts, OptsBuilder, Row, ServerError, SslOpts, Value};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// Answers larger than this are refused by the client; the server has a limit of its own.
const PACKET: usize = 64 << 20;

/// Where to connect and how. No `Debug`: it holds a password.
pub(super) struct Server {
    members: Vec<Member>,
    /// `mysql 127.0.0.1:3306/app`, for messages.
    pub(super) label: String,
    /// What one server has for connecting.
    pub(super) patience: Duration,
}

/// One server of those that the URL names.
pub(super) struct Member {
    opts: Opts,
    pub(super) at: Address,
}

/// Why there is no connection: nothing that counts was sent.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody answers there, or the connection broke.
    NotSent(String),
    /// For want of descriptors or ports.
    Resources(String),
    /// There was no time left.
    Late(String),
    /// The server said no.
    Refused(String),
}

impl Trouble {
    /// What it means for a write that was to be sent.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Resources(_) => Outcome::Unsent,
            _ => Outcome::Fail,
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::NotSent(why) | Self::Resources(why) | Self::Late(why) | Self::Refused(why) => why,
        }
    }
}

impl Server {
    /// Reads a `mysql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE` URL. Besides what the client knows: several hosts, and
    /// `ssl-mode=REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`, and `ssl-ca`, as MySQL's own clients have them.
    pub(super) fn parse(url: &str) -> Result<Self, AdapterError> {
        // The parser's message may quote a part of the URL, and with it the password.
        let wrong = || {
            let text = "the URL of a mysql target cannot be read; write mysql://user:password@host:port/database";
            AdapterError::Other(text.to_owned())
        };
        let (plain, tls) = take_tls(url);
        let rest = plain.strip_prefix("mysql://").ok_or_else(wrong)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let mut members = Vec::new();
        for at in addresses(hosts, 3306).ok_or_else(wrong)? {
            let opts = Opts::from_url(&format!("mysql://{login}{at}{path}")).map_err(|_| wrong())?;
            // A client on the same machine would go by the socket, past whatever stands in front of the port; and what the
            // client would ask each server about itself first is said here.
            let opts = OptsBuilder::from_opts(opts).prefer_socket(false).stmt_cache_size(Some(0)).ssl_opts(tls.clone());
            let opts = opts.max_allowed_packet(Some(PACKET)).wait_timeout(Some(28_800));
            let opts = opts.ip_or_hostname(at.host.clone()).tcp_port(at.port);
            members.push(Member { opts: opts.into(), at });
        }
        let database = members.first().and_then(|member| member.opts.db_name()).unwrap_or_default();
        let all: Vec<String> = members.iter().map(|member| member.at.to_string()).collect();
        let label = format!("mysql {}/{database}", all.join(","));
        Ok(Self { members, label, patience: CONNECT })
    }

    /// The same with another patience for connecting.
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same with so much time for all servers together.
    pub(super) fn within(self, limit: Duration) -> Self {
        let patience = limit / u32::try_from(self.members.len()).unwrap_or(u32::MAX).max(1);
        self.patient(patience)
    }

    /// The servers that the URL names.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The database that the URL names.
    pub(super) fn database(&self) -> Option<&str> {
        self.members.first().and_then(|member| member.opts.db_name())
    }

    /// User, password and first host and port, for MySQL's own programs.
    pub(super) fn login(&self) -> Option<(&str, &str, &Address)> {
        let member = self.members.first()?;
        Some((member.opts.user().unwrap_or_default(), member.opts.pass().unwrap_or_default(), &member.at))
    }

    /// A connection to the one server that is named, whatever its role; of several, to the first that takes writes.
    pub(super) async fn open(&self) -> Result<Conn, Trouble> {
        if let [only] = self.members.as_slice() {
            return self.reach(only).await;
        }
        let mut whys = Vec::new();
        for member in &self.members {
            match self.writable(member).await {
                Ok(conn) => return Ok(conn),
                Err(trouble @ Trouble::Resources(_)) => return Err(trouble),
                Err(trouble) => whys.push(format!("{}: {}", member.at, trouble.words())),
            }
        }
        Err(Trouble::NotSent(format!("none of these servers takes writes: {}", whys.join("; "))))
    }

    async fn writable(&self, member: &Member) -> Result<Conn, Trouble> {
        let mut conn = self.reach(member).await?;
        match timeout(self.patience, conn.query_first::<u8, _>("select @@global.read_only")).await {
            Ok(Ok(Some(0))) => Ok(conn),
            Ok(Ok(_)) => Err(Trouble::Refused("it is read-only".to_owned())),
            Ok(Err(e)) => Err(trouble(&e)),
            Err(_) => Err(Trouble::Late(format!("no answer within {:?}", self.patience))),
        }
    }

    /// A connection to one server.
    pub(super) async fn reach(&self, member: &Member) -> Result<Conn, Trouble> {
        match timeout(self.patience, Conn::new(member.opts.clone())).await {
            Err(_) => Err(Trouble::Late(format!("no connection within {:?}", self.patience))),
            Ok(connected) => connected.map_err(|e| trouble(&e)),
        }
    }

    /// The same within a limit, and its trouble as a message.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Conn, AdapterError> {
        match timeout(limit, self.open()).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: no connection within {limit:?}", self.label))),
            Ok(connected) => connected.map_err(|trouble| self.about("connecting", &trouble)),
        }
    }

    /// Trouble as a message: where, at what, and what.
    pub(super) fn about(&self, what: &str, trouble: &Trouble) -> AdapterError {
        let text = format!("{}: {what}: {}", self.label, trouble.words());
        match trouble {
            Trouble::NotSent(_) => AdapterError::Unreachable(text),
            Trouble::Late(_) => AdapterError::TimedOut(text),
            Trouble::Resources(_) => AdapterError::Other(text),
            Trouble::Refused(_) => AdapterError::Refused(text),
        }
    }

    /// An error as a message: what, where, the server's code and its words.
    pub(super) fn refused(&self, what: &str, error: &Error) -> AdapterError {
        self.about(what, &trouble(error))
    }

    /// The same without the server's words, which may quote a value that was sent to it.
    pub(super) fn refused_quietly(&self, what: &str, error: &Error) -> AdapterError {
        match error {
            Error::Server(e) => AdapterError::Refused(format!("{}: {what}: error {}", self.label, e.code)),
            other => self.refused(what, other),
        }
    }
}

/// What an error says before anything that counts was sent.
pub(super) fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Server(ServerError { code, message, .. }) => {
            let help = help(*code).map_or_else(String::new, |help| format!("; {help}"));
            Trouble::Refused(format!("{message} (error {code}){help}"))
        }
        // A handshake that goes wrong comes as an error of its stream.
        Error::Io(IoError::Io(e)) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => untrusted(e),
        Error::Io(IoError::Io(e)) => {
            let own = e.raw_os_error().map(std::io::Error::from_raw_os_error);
            match not_connected(own.unwrap_or_else(|| std::io::Error::new(e.kind(), e.to_string()))) {
                Failure::Resources(why) => Trouble::Resources(why),
                Failure::NotSent(why) | Failure::Undecided(why) => Trouble::NotSent(why),
            }
        }
        Error::Io(IoError::Tls(e)) => untrusted(e),
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => {
            Trouble::NotSent("the server does not speak TLS, and `ssl-mode` in the URL asks for it".to_owned())
        }
        _ => Trouble::NotSent("the connection broke, or this is no MySQL".to_owned()),
    }
}

fn untrusted(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::NotSent(format!(
        "TLS: {error}; `ssl-ca=FILE` in the URL names the certificates that are trusted, and the host must be one of those \
         in the server's"
    ))
}

/// Splits off what the client's own URLs do not know.
fn take_tls(url: &str) -> (String, Option<SslOpts>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (mut kept, mut mode, mut file) = (Vec::new(), String::new(), None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("ssl-mode", word)) => mode = word.to_ascii_uppercase(),
            Some(("ssl-ca", path)) => file = Some(PathBuf::from(path.replace("%2F", "/").replace("%2f", "/"))),
            _ => kept.push(pair.to_owned()),
        }
    }
    // Whoever names those that he trusts trusts nobody else.
    let opts = SslOpts::default().with_disable_built_in_roots(file.is_some());
    let opts = opts.with_root_certs(file.into_iter().map(Into::into).collect());
    let tls = match mode.as_str() {
        "REQUIRED" => Some(opts.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)),
        "VERIFY_CA" => Some(opts.with_danger_skip_domain_validation(true)),
        "VERIFY_IDENTITY" => Some(opts),
        _ => None,
    };
    (if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }, tls)
}

/// A value of a row as text; none for NULL.
pub(super) fn text(row: &Row, column: usize) -> Option<String> {
    match row.as_ref(column)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(n) => Some(n.to_string()),
        Value::UInt(n) => Some(n.to_string()),
        Value::Float(n) => Some(n.to_string()),
        Value::Double(n) => Some(n.to_string()),
        // As SQL writes it, without the quotes.
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// A value of a row as a number.
pub(super) fn number<T: std::str::FromStr>(row: &Row, column: usize) -> Option<T> {
    text(row, column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_the_places_and_a_wrong_url_is_not_quoted() {
        let label = |url| Server::parse(url).map(|server| server.label).unwrap_or_default();
        let url = "mysql://app:hunter2@127.0.0.1:3307/books?ssl-mode=VERIFY_CA&ssl-ca=%2Fca.pem";
        assert_eq!(label(url), "mysql 127.0.0.1:3307/books");
        assert_eq!(label("mysql://app:hunter2@a,b:3307,[::1]/books"), "mysql a:3306,b:3307,[::1]:3306/books");
        for url in [
            "mysql://app:hunter2@127.0.0.1:port/books",
            "hunter2",
            "mysql://app:hunter2@h/d?nonsense=hunter2",
            "mysql://app:hunter2@a,,b/d",
        ] {
            let error = Server::parse(url).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn want_of_descriptors_is_our_own_gap() {
        let of = |code| trouble(&Error::Io(IoError::Io(std::io::Error::from_raw_os_error(code)))).outcome();
        assert_eq!((of(24), of(111)), (Outcome::Unsent, Outcome::Fail));
    }

    #[test]
    fn programs_are_told_who_logs_in_where() {
        let server = Server::parse("mysql://app:p%40ss@db.test:3307,other/books").ok();
        let login = server.as_ref().and_then(Server::login).map(|(user, word, at)| (user, word, at.to_string()));
        assert_eq!(login, Some(("app", "p@ss", "db.test:3307".to_owned())));
        assert_eq!(server.as_ref().and_then(Server::database), Some("books"));
    }

    #[test]
    fn a_mode_is_taken_out_of_the_url() {
        let (url, tls) = take_tls("mysql://h/d?ssl-mode=REQUIRED&pool_min=1");
        assert_eq!(url, "mysql://h/d?pool_min=1");
        assert!(tls.is_some_and(|tls| tls.accept_invalid_certs()));
        assert!(take_tls("mysql://h/d?ssl-mode=VERIFY_IDENTITY").1.is_some_and(|tls| !tls.accept_invalid_certs()));
        let own = take_tls("mysql://h/d?ssl-mode=VERIFY_CA&ssl-ca=/ca.pem").1;
        assert!(own.is_some_and(|tls| tls.disable_built_in_roots() && tls.skip_domain_validation()));
        assert!(take_tls("mysql://h/d").1.is_none());
    }
}
