//! What a cluster's refusals and broken connections mean. By HTTP code, the `reason` of the Status object and types of
//! errors, never by a text. What is said of them holds no secret: neither what was sent, nor a login.

use super::ClusterError;
use serde::Deserialize;
use std::error::Error;

/// Of what a server says, so many characters are passed on.
const SAID: usize = 400;
/// Errors lie in errors; no deeper than this is looked.
const DEPTH: usize = 16;

/// A Status object (`meta/v1`), as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) details: Details,
    pub(super) metadata: Metadata,
}

/// What a Status is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) name: String,
    pub(super) causes: Vec<Cause>,
}

/// One of its causes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    pub(super) reason: String,
    pub(super) field: String,
}

/// Of a list or a Status.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) resource_version: String,
    #[serde(rename = "continue")]
    pub(super) token: String,
}

/// May what the server says of an object be repeated?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hush {
    /// It may.
    No,
    /// It holds secrets: fields are named, values and excerpts are not.
    Yes,
}

impl Status {
    /// Of an answer; a plain text is its message.
    pub(super) fn of(code: u16, body: &[u8]) -> Self {
        let plain = || Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() };
        let mut status: Self = serde_json::from_slice(body).unwrap_or_else(|_| plain());
        status.code = code;
        status
    }

    /// Is it about another object of that name? Some versions say so as of any field that cannot be changed (422).
    fn another(&self) -> bool {
        self.details.causes.iter().any(|cause| cause.field == "metadata.uid" && cause.reason == "FieldValueInvalid")
    }

    /// As an error of what was being done.
    pub(super) fn error(&self, doing: &str, hush: Hush) -> ClusterError {
        let said = if hush == Hush::Yes { self.fields() } else { tame(&self.message) };
        let word = self.word();
        let colon = if said.is_empty() { "" } else { ": " };
        let text = format!("{doing}: {word} ({}){colon}{said}", self.code);
        match (self.code, self.reason.as_str()) {
            (404, _) => ClusterError::Missing(text),
            (409, "AlreadyExists") => ClusterError::Exists(text),
            (409, _) => ClusterError::Conflict(text),
            (422, _) if self.another() => ClusterError::Conflict(text),
            (429, _) => ClusterError::Blocked(text),
            (401 | 403, _) => ClusterError::Forbidden(text),
            (400 | 405 | 406 | 413 | 415 | 422, _) => ClusterError::Invalid(text),
            (410, _) => ClusterError::Gone(text),
            (408 | 502 | 503 | 504, _) | (500, "ServerTimeout") => ClusterError::TimedOut(text),
            _ => ClusterError::Other(text),
        }
    }

    fn word(&self) -> &'static str {
        match (self.code, self.reason.as_str()) {
            (404, _) => "not there",
            (409, "AlreadyExists") => "is there already",
            (409, _) => "conflict",
            (429, _) => "not now",
            (401, _) => "the cluster does not know this login",
            (403, _) => "not allowed",
            (410, _) => "too old",
            (408 | 502 | 503 | 504, _) => "the server has no answer now",
            (400..=499, _) => "not taken",
            _ => "the server failed",
        }
    }

    fn fields(&self) -> String {
        let fields: Vec<String> =
            self.details.causes.iter().map(|cause| tame(&cause.field)).filter(|field| !field.is_empty()).collect();
        fields.join(", ")
    }
}

/// A server's words on one line, bounded, without the excerpt of a body that it could not read.
pub(super) fn tame(text: &str) -> String {
    let text = text.split("...|").next().unwrap_or_default();
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID).collect();
    line.trim().to_owned()
}

/// No answer came: why, and may it have been done?
pub(super) fn broken(doing: &str, server: &str, error: &(dyn Error + 'static)) -> ClusterError {
    let why = Why::of(error);
    if let Some(tls) = &why.tls {
        let mend = "`certificate-authority` and `tls-server-name` of the kubeconfig say whom to trust";
        return match tls {
            rustls::Error::InvalidCertificate(what) => ClusterError::Unreachable(format!(
                "{doing}: the certificate of {server} is not trusted: {what}; {mend}"
            )),
            other => ClusterError::Unreachable(format!("{doing}: no TLS with {server}: {}", tame(&other.to_string()))),
        };
    }
    let kind = why.io.map_or_else(|| "the connection failed".to_owned(), |kind| kind.to_string());
    if why.before {
        return ClusterError::Unreachable(format!("{doing}: nobody answers at {server}: {kind}"));
    }
    if let Some(ours) = why.ours {
        return ClusterError::Other(format!("{doing}: {ours}"));
    }
    ClusterError::TimedOut(format!("{doing}: the connection to {server} ended before the answer: {kind}"))
}

/// What lies in an error of the client.
#[derive(Default)]
struct Why {
    tls: Option<rustls::Error>,
    io: Option<std::io::ErrorKind>,
    /// There was no connection yet.
    before: bool,
    /// Nothing was asked; what of ours is wrong.
    ours: Option<&'static str>,
}

impl Why {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut why = Self::default();
        let mut next = Some(error);
        for _ in 0..DEPTH {
            let Some(now) = next else { break };
            why.look(now);
            next = match now.downcast_ref::<std::io::Error>() {
                // `source` of an `io::Error` skips the error that it was made from.
                Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
                None => now.source(),
            };
        }
        why
    }

    fn look(&mut self, error: &(dyn Error + 'static)) {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            self.tls = Some(tls.clone());
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            self.io = Some(io.kind());
        }
        if let Some(client) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            self.before |= client.is_connect();
        }
        match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Auth(_)) => self.ours = Some("its credentials cannot be had again"),
            Some(kube::Error::HttpError(_) | kube::Error::BuildRequest(_)) => self.ours = Some("it cannot be asked"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, body: &str, hush: Hush) -> ClusterError {
        Status::of(code, body.as_bytes()).error("create secret shop/x", hush)
    }

    #[test]
    fn code_and_reason_say_what_it_is() {
        let of = |code, reason: &str| error(code, &format!("{{\"reason\":\"{reason}\"}}"), Hush::No);
        assert!(matches!(of(409, "AlreadyExists"), ClusterError::Exists(_)));
        assert!(matches!(of(409, "Conflict"), ClusterError::Conflict(_)));
        assert!(matches!(of(500, "ServerTimeout"), ClusterError::TimedOut(_)));
        assert!(matches!(of(500, "InternalError"), ClusterError::Other(_)));
        assert!(matches!(of(422, "Invalid"), ClusterError::Invalid(_)));
        assert!(matches!(of(429, "TooManyRequests"), ClusterError::Blocked(_)));
        assert!(matches!(error(404, "404 page not found\n", Hush::No), ClusterError::Missing(_)));
    }

    #[test]
    fn nothing_of_a_secret_is_repeated() {
        let body = r#"{"reason":"Invalid","message":"data: hunter2","details":{"causes":
            [{"field":"data[password]","message":"Invalid value: hunter2"}]}}"#;
        assert_eq!(error(422, body, Hush::Yes).to_string(), "create secret shop/x: not taken (422): data[password]");
        let excerpt = "cannot be handled as a Pod, error found in #10 byte of ...|\"hunter2\"|...";
        assert!(!tame(excerpt).contains("hunter2"));
        assert_eq!(tame("a\u{1b}[31m\nb"), "a [31m b");
    }

    #[test]
    fn a_refused_connection_is_nobody_there() {
        let inner = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let outer = std::io::Error::other(inner);
        assert!(
            matches!(broken("get pod a/b", "https://x", &outer), ClusterError::TimedOut(text) if text.contains("reset"))
        );
    }
}
