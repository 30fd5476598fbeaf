//! A PostgreSQL server as a URL names it, and one connection to it.

use super::classify;
use super::tls::{self, Trust};
use crate::adapters::AdapterError;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

/// Where to connect and how. No `Debug`: it holds a password.
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
    /// `postgres 127.0.0.1:15000/app`, for messages.
    pub(super) label: String,
}

impl Server {
    /// Reads a `postgresql://` URL (or a `key=value` string). Besides what tokio-postgres knows: `sslmode=verify-ca`,
    /// `sslmode=verify-full` and `sslrootcert`.
    pub(super) fn parse(url: &str) -> Result<Self, AdapterError> {
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
        let label = label(&config);
        Ok(Self { config, tls: tls::connector(&trust)?, label })
    }

    /// A new connection, ready for statements, within `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Session, AdapterError> {
        match timeout(limit, self.config.connect(self.tls.clone())).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: no connection within {limit:?}", self.label))),
            Ok(Err(e)) => Err(self.refused("connecting", &e)),
            Ok(Ok((client, connection))) => Ok(Session::new(client, connection)),
        }
    }

    /// An error of the server or of the connection as a message: what, where, SQLSTATE, and the server's words.
    pub(super) fn refused(&self, what: &str, error: &tokio_postgres::Error) -> AdapterError {
        match error.as_db_error() {
            Some(db) => AdapterError::Refused(format!(
                "{}: {what}: {} (SQLSTATE {})",
                self.label,
                db.message(),
                db.code().code()
            )),
            None => {
                // The cause is an IO or protocol error; neither holds a credential.
                let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
                AdapterError::Unreachable(format!("{}: {what}: {cause}", self.label))
            }
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

/// One connection. Dropping it closes the socket at once, also in the middle of a statement.
pub(super) struct Session {
    /// Sends statements.
    pub(super) client: Client,
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
            _ => kept.push(pair.to_owned()),
        }
    }
    let trust = if verify { Trust::Roots(file) } else { Trust::Anyone };
    (if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }, trust)
}

fn label(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres {host}:{port}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default())
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
