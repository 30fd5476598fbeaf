//! MySQL and MariaDB: one connection as a URL names it, queries for probes, and fingerprints of tables. No message holds a
//! password, and nothing here decides by an error's text.

mod fingerprint;
mod sql;

use super::AdapterError;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row, SslOpts, Value};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

pub(super) use fingerprint::fingerprint;
pub(super) use sql::scalar;

/// Where to connect and how. No `Debug`: it holds a password.
struct Server {
    opts: Opts,
    /// `mysql 127.0.0.1:3306/app`, for messages.
    label: String,
}

impl Server {
    /// Reads a `mysql://` URL. Besides what the client knows: `ssl-mode=REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`, and
    /// `ssl-ca`, as MySQL's own clients have them.
    fn parse(url: &str) -> Result<Self, AdapterError> {
        let (plain, tls) = take_tls(url);
        // The parser's message may quote a part of the URL, and with it the password.
        let opts = Opts::from_url(&plain).map_err(|_| {
            let text = "the URL of a mysql target cannot be read; write mysql://user:password@host:port/database";
            AdapterError::Other(text.to_owned())
        })?;
        let label =
            format!("mysql {}:{}/{}", opts.ip_or_hostname(), opts.tcp_port(), opts.db_name().unwrap_or_default());
        // A client on the same machine would go by the socket, past whatever stands in front of the port.
        let opts = OptsBuilder::from_opts(opts).prefer_socket(false).stmt_cache_size(Some(0)).ssl_opts(tls);
        Ok(Self { opts: opts.into(), label })
    }

    /// A new connection, ready for statements.
    async fn connect(&self, limit: Duration) -> Result<Conn, AdapterError> {
        match timeout(limit, Conn::new(self.opts.clone())).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: no connection within {limit:?}", self.label))),
            Ok(connected) => connected.map_err(|e| self.refused("connecting", &e)),
        }
    }

    /// An error as a message: what, where, the server's code and its words.
    fn refused(&self, what: &str, error: &Error) -> AdapterError {
        match error {
            Error::Server(e) => {
                AdapterError::Refused(format!("{}: {what}: {} (error {})", self.label, e.message, e.code))
            }
            Error::Io(e) => AdapterError::Unreachable(format!("{}: {what}: {e}", self.label)),
            _ => AdapterError::Other(format!("{}: {what}: the connection broke", self.label)),
        }
    }

    /// The same without the server's words, which may quote a value that was sent to it.
    fn refused_quietly(&self, what: &str, error: &Error) -> AdapterError {
        match error {
            Error::Server(e) => AdapterError::Refused(format!("{}: {what}: error {}", self.label, e.code)),
            other => self.refused(what, other),
        }
    }
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
    let roots = file.into_iter().map(Into::into).collect();
    let opts = SslOpts::default().with_root_certs(roots);
    let tls = match mode.as_str() {
        "REQUIRED" => Some(opts.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)),
        "VERIFY_CA" => Some(opts.with_danger_skip_domain_validation(true)),
        "VERIFY_IDENTITY" => Some(opts),
        _ => None,
    };
    (if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }, tls)
}

/// A value of a row as text; none for NULL.
fn text(row: &Row, column: usize) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_the_place_and_a_wrong_url_is_not_quoted() {
        let server = Server::parse("mysql://app:hunter2@127.0.0.1:3307/books?ssl-mode=VERIFY_CA&ssl-ca=%2Fca.pem");
        assert_eq!(server.map(|s| s.label).ok().as_deref(), Some("mysql 127.0.0.1:3307/books"));
        for url in ["mysql://app:hunter2@127.0.0.1:port/books", "hunter2", "mysql://app:hunter2@h/d?nonsense=hunter2"] {
            let error = Server::parse(url).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn a_mode_is_taken_out_of_the_url() {
        let (url, tls) = take_tls("mysql://h/d?ssl-mode=REQUIRED&pool_min=1");
        assert_eq!(url, "mysql://h/d?pool_min=1");
        assert!(tls.is_some_and(|tls| tls.accept_invalid_certs()));
        assert!(take_tls("mysql://h/d?ssl-mode=VERIFY_IDENTITY").1.is_some_and(|tls| !tls.accept_invalid_certs()));
        assert!(take_tls("mysql://h/d").1.is_none());
    }
}
