//! A PostgreSQL server as a URL names it, and one connection to it.

use super::classify;
use super::hosts::{self, One};
use super::tls::{self, Trust};
use crate::adapters::AdapterError;
use crate::clock::Clock;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

/// Where to connect and how. No `Debug`: it holds a password.
pub(in crate::adapters) struct Server {
    config: Config,
    hosts: Vec<One>,
    tls: MakeRustlsConnect,
    /// `postgres 127.0.0.1:15000/app`, for messages.
    pub(in crate::adapters) label: String,
}

/// Why there is no connection to one server.
pub(super) enum NoConnection {
    /// Nobody listens there: no server runs.
    Nobody(AdapterError),
    /// It answered that this login, or this database, is none of its own.
    Denied(AdapterError),
    /// Something else, or nothing within the limit.
    Unclear(AdapterError),
}

impl NoConnection {
    pub(super) fn into_error(self) -> AdapterError {
        match self {
            Self::Nobody(error) | Self::Denied(error) | Self::Unclear(error) => error,
        }
    }
}

impl Server {
    /// Reads a `postgresql://` URL (or a `key=value` string). Besides what tokio-postgres knows: `sslmode=verify-ca`,
    /// `sslmode=verify-full`, `sslrootcert`, and `target_session_attrs=primary` and `=standby`.
    pub(in crate::adapters) fn parse(url: &str) -> Result<Self, AdapterError> {
        let (plain, trust) = take_trust(url);
        // The parser's message may quote a part of the URL, and with it the password.
        let mut config: Config = plain.parse().map_err(|_| {
            AdapterError::Other(
                "the URL of a postgres target cannot be read; write postgresql://user:password@host:port/database"
                    .to_owned(),
            )
        })?;
        if config.get_application_name().is_none() {
            config.application_name("blackstart");
        }
        let hosts = hosts::each(&config);
        let label = label(&config, &hosts);
        Ok(Self { config, hosts, tls: tls::connector(&trust)?, label })
    }

    /// The servers that the URL names, each as one of its own.
    pub(super) fn each(&self) -> Vec<Self> {
        let alone = |one: &One| Self {
            label: label(&one.config, std::slice::from_ref(one)),
            config: one.config.clone(),
            hosts: vec![one.clone()],
            tls: self.tls.clone(),
        };
        self.hosts.iter().map(alone).collect()
    }

    /// `HOST:PORT` of its servers.
    pub(super) fn at(&self) -> String {
        places(&self.hosts)
    }

    /// A new connection, ready for statements, within `limit`. Of several servers it is the first that answers and is as
    /// `target_session_attrs` says.
    pub(in crate::adapters) async fn connect(&self, limit: Duration) -> Result<Session, AdapterError> {
        if let [_, _, ..] = &self.hosts[..] {
            return self.first_that_fits(limit).await;
        }
        self.dial(&self.config, limit).await.map_err(NoConnection::into_error)
    }

    /// The same to its first server, with the reason if there is none.
    pub(super) async fn knock(&self, limit: Duration) -> Result<Session, NoConnection> {
        self.dial(self.hosts.first().map_or(&self.config, |one| &one.config), limit).await
    }

    async fn dial(&self, config: &Config, limit: Duration) -> Result<Session, NoConnection> {
        let limit = hosts::patience(config, limit, 1);
        match timeout(limit, config.connect(self.tls.clone())).await {
            Err(_) => {
                let error = AdapterError::TimedOut(format!("{}: no connection within {limit:?}", self.label));
                Err(NoConnection::Unclear(error))
            }
            Ok(Err(e)) => {
                let error = self.refused("connecting", &e);
                Err(match e.code().map(SqlState::code) {
                    None if nobody_listens(&e) => NoConnection::Nobody(error),
                    // 28 authorization, 3D a database that is not there, 42501 no right to connect.
                    Some(code) if code.starts_with("28") || code.starts_with("3D") || code == "42501" => {
                        NoConnection::Denied(error)
                    }
                    _ => NoConnection::Unclear(error),
                })
            }
            Ok(Ok((client, connection))) => Ok(Session::new(client, connection)),
        }
    }

    /// One server after the other, each within its share of the time. tokio-postgres would wait for one that accepts a
    /// connection and says nothing (a server that is frozen) until the time is up.
    async fn first_that_fits(&self, limit: Duration) -> Result<Session, AdapterError> {
        let clock = Clock::System;
        let until = clock.mono().after(limit);
        let (mut tried, mut silent, mut refused) = (Vec::new(), 0, 0);
        for (index, one) in self.hosts.iter().enumerate() {
            let left = until.since(clock.mono());
            let patience = hosts::patience(&one.config, left, self.hosts.len() - index);
            match timeout(patience, one.config.connect(self.tls.clone())).await {
                Ok(Ok((client, connection))) => return Ok(Session::new(client, connection)),
                Ok(Err(e)) => {
                    refused += usize::from(e.as_db_error().is_some());
                    tried.push(format!("{}: {}", one.at, words(&e)));
                }
                Err(_) => {
                    silent += 1;
                    tried.push(format!("{}: no connection within {patience:?}", one.at));
                }
            }
        }
        let text = format!("{}: connecting: {}", self.label, tried.join("; "));
        Err(match (silent == tried.len(), refused) {
            (true, _) => AdapterError::TimedOut(text),
            (false, 0) => AdapterError::Unreachable(text),
            (false, _) => AdapterError::Refused(text),
        })
    }

    /// What libpq needs to know, by its own names.
    pub(super) fn environment(&self, url: &str) -> Vec<(String, String)> {
        let config = &self.config;
        let user = config.get_user().unwrap_or_default();
        let listed = |of: fn(&Config) -> String| {
            let all: Vec<String> = self.hosts.iter().map(|one| of(&one.config)).collect();
            all.join(",")
        };
        let wanted = match config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => Some("read-write".to_owned()),
            TargetSessionAttrs::ReadOnly => Some("read-only".to_owned()),
            _ => None,
        };
        let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (mode, roots) = match (take_trust(url).1, config.get_ssl_mode()) {
            (Trust::Roots(file), _) => ("verify-full", file),
            (Trust::Anyone, SslMode::Disable) => ("disable", None),
            (Trust::Anyone, SslMode::Prefer) => ("prefer", None),
            (Trust::Anyone, _) => ("require", None),
        };
        let all = [
            ("PGHOST", Some(listed(host))),
            ("PGPORT", Some(listed(|one| one.get_ports().first().copied().unwrap_or(5432).to_string()))),
            ("PGTARGETSESSIONATTRS", wanted),
            ("PGUSER", Some(user.to_owned())),
            ("PGPASSWORD", password),
            ("PGDATABASE", Some(config.get_dbname().unwrap_or(user).to_owned())),
            ("PGSSLMODE", Some(mode.to_owned())),
            ("PGSSLROOTCERT", roots),
            ("PGCONNECT_TIMEOUT", Some("10".to_owned())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// An error of the server or of the connection as a message: what, where, SQLSTATE, and the server's words.
    pub(in crate::adapters) fn refused(&self, what: &str, error: &tokio_postgres::Error) -> AdapterError {
        match error.as_db_error() {
            Some(db) => AdapterError::Refused(format!(
                "{}: {what}: {} (SQLSTATE {})",
                self.label,
                db.message(),
                db.code().code()
            )),
            None => AdapterError::Unreachable(format!("{}: {what}: {}", self.label, words(error))),
        }
    }

    /// The same without the server's words, which may quote a value that was sent to it.
    pub(super) fn refused_quietly(&self, what: &str, error: &tokio_postgres::Error) -> AdapterError {
        match error.code() {
            Some(code) => AdapterError::Refused(format!("{}: {what}: SQLSTATE {}", self.label, code.code())),
            None => self.refused(what, error),
        }
    }
}

/// What an error says; neither an IO nor a protocol error holds a credential.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

/// The operating system itself said that no server listens there.
fn nobody_listens(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// One connection. Dropping it closes the socket at once, also in the middle of a statement.
pub(in crate::adapters) struct Session {
    /// Sends statements.
    pub(in crate::adapters) client: Client,
    /// A WARNING came that says a commit is only local; see [`classify::says_local_only`].
    local_only: Arc<AtomicBool>,
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    fn new<T>(client: Client, mut connection: Connection<Socket, T>) -> Self
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let local_only = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&local_only);
        // Notices are seen here before the answer that follows them is handed to the client.
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(&message, AsyncMessage::Notice(notice) if classify::says_local_only(notice)) {
                    noticed.store(true, Ordering::Release);
                }
            }
        });
        Self { client, local_only, _driver: AbortOnDropHandle::new(driver) }
    }

    /// Forgets earlier warnings; call it right before a statement.
    pub(super) fn forget_warnings(&self) {
        self.local_only.store(false, Ordering::Release);
    }

    /// Was the last acknowledgement one of a local commit only?
    pub(super) fn was_local_only(&self) -> bool {
        self.local_only.load(Ordering::Acquire)
    }
}

/// Splits off what tokio-postgres does not know: the two verifying modes and the file with the roots.
fn take_trust(url: &str) -> (String, Trust) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), Trust::Anyone);
    };
    let (mut kept, mut verify, mut file) = (Vec::new(), false, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", "verify-ca" | "verify-full")) => {
                verify = true;
                kept.push("sslmode=require".to_owned());
            }
            Some(("sslrootcert", path)) => file = Some(path.replace("%2F", "/").replace("%2f", "/")),
            _ => kept.push(hosts::session_wanted(pair)),
        }
    }
    let trust = if verify { Trust::Roots(file) } else { Trust::Anyone };
    (if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }, trust)
}

/// As libpq's PGHOST.
fn host(config: &Config) -> String {
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map_or_else(|| "localhost".to_owned(), ToString::to_string),
    }
}

fn places(hosts: &[One]) -> String {
    hosts.iter().map(|one| one.at.as_str()).collect::<Vec<_>>().join(",")
}

fn label(config: &Config, hosts: &[One]) -> String {
    format!("postgres {}/{}", places(hosts), config.get_dbname().or(config.get_user()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_the_place_and_no_secret() {
        let server = Server::parse("postgresql://app:hunter2@127.0.0.1:15000/books?sslmode=disable").unwrap();
        assert_eq!(server.label, "postgres 127.0.0.1:15000/books");
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        for url in
            ["postgresql://app:hunter2@127.0.0.1:port/books", "postgresql://app:hunter2@h/d?sslmode=hunter2", "hunter2"]
        {
            let error = Server::parse(url).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn programs_of_postgresql_are_told_all_of_it() {
        let url = "postgresql://app:hunter2@db.test:15000/books?sslmode=verify-full&sslrootcert=/dev/null";
        let Ok(server) = Server::parse(
            &url.replace("&sslrootcert=/dev/null", "&application_name=x").replace("verify-full", "disable"),
        ) else {
            panic!("it can be read")
        };
        let told = server.environment(url);
        let of = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((of("PGHOST"), of("PGPORT"), of("PGUSER")), (Some("db.test"), Some("15000"), Some("app")));
        assert_eq!((of("PGPASSWORD"), of("PGDATABASE")), (Some("hunter2"), Some("books")));
        assert_eq!((of("PGSSLMODE"), of("PGSSLROOTCERT")), (Some("verify-full"), Some("/dev/null")));
    }

    #[test]
    fn several_servers_are_each_one_and_programs_are_told_all() {
        let url = "postgresql://app@h1:5433,h2:5434/books?target_session_attrs=primary&sslmode=disable";
        let Ok(server) = Server::parse(url) else { panic!("it can be read") };
        assert_eq!(server.label, "postgres h1:5433,h2:5434/books");
        let each: Vec<String> = server.each().into_iter().map(|one| one.label).collect();
        assert_eq!(each, ["postgres h1:5433/books", "postgres h2:5434/books"]);
        let told = server.environment(url);
        for (name, value) in [("PGHOST", "h1,h2"), ("PGPORT", "5433,5434"), ("PGTARGETSESSIONATTRS", "read-write")] {
            assert!(told.contains(&(name.to_owned(), value.to_owned())), "{name}: {told:?}");
        }
    }

    #[test]
    fn verifying_modes_are_taken_out_of_the_url() {
        let (url, trust) = take_trust("postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fca.pem&connect_timeout=3");
        assert_eq!(url, "postgresql://h/d?sslmode=require&connect_timeout=3");
        assert_eq!(trust, Trust::Roots(Some("/ca.pem".to_owned())));
        assert_eq!(take_trust("postgresql://h/d?sslmode=require").1, Trust::Anyone);
        assert_eq!(take_trust("postgresql://h/d"), ("postgresql://h/d".to_owned(), Trust::Anyone));
    }

    #[test]
    fn roots_that_are_not_there_are_named() {
        let error = Server::parse("postgresql://h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem").err().unwrap();
        assert!(matches!(&error, AdapterError::Missing(text) if text.contains("/nowhere/ca.pem")), "{error:?}");
    }
}
