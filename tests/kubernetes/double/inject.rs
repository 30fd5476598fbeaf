//! What a test lets go wrong on purpose, and what it sees of the requests.

use super::call::Call;
use super::kinds::Kind;
use super::status::Refusal;
use serde_json::Value;
use std::time::Duration;

/// Rules of the API that the server breaks if a test wants it: the contract suite has to notice each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Versions and uids of requests are not looked at.
    IgnoresPreconditions,
    /// What should only be tried is done.
    IgnoresDryRun,
    /// Applies take fields from their owners.
    ForcesApplies,
    /// A page of a list is left out.
    SkipsPage,
    /// The next change of a watch is not told (once).
    LosesWatchEvent,
}

/// Which requests. Everything that is said must fit.
#[derive(Debug, Clone, Default)]
pub struct Only {
    verb: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    user: Option<String>,
}

impl Only {
    /// All requests.
    pub fn anything() -> Self {
        Self::default()
    }

    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn verb(verb: &str) -> Self {
        Self { verb: Some(verb.to_owned()), ..Self::default() }
    }

    /// `deployments`, `pods/eviction`.
    pub fn of(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    pub fn within(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    pub fn by(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }

    /// Does a request fit?
    pub fn fits(&self, seen: &Seen) -> bool {
        let one = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|w| w == own);
        one(&self.verb, &seen.verb)
            && one(&self.resource, &seen.resource)
            && one(&self.namespace, &seen.namespace)
            && one(&self.name, &seen.name)
            && one(&self.user, &seen.user)
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Harm {
    /// It is refused with this HTTP status.
    Refuse(u16),
    /// It takes this long before it is looked at.
    Delay(Duration),
    /// Nothing is ever answered, and nothing done.
    Hang,
    /// It is done, and the connection ends without an answer.
    Swallow,
    /// The connection ends without an answer, and nothing is done.
    Drop,
}

/// A harm, and how often.
#[derive(Debug, Clone)]
pub struct Injection {
    pub only: Only,
    pub harm: Harm,
    /// None: for good.
    pub left: Option<usize>,
}

/// A request that came.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub verb: String,
    pub group: String,
    /// `deployments`, `pods/eviction`; the path for what is no object.
    pub resource: String,
    pub namespace: String,
    /// Empty for lists and creations.
    pub name: String,
    pub user: String,
    pub query: Vec<(String, String)>,
    pub media: String,
    /// Null if there was none, or no JSON.
    pub body: Value,
    /// What was answered; 0 while nothing is.
    pub status: u16,
}

impl Seen {
    pub fn of(call: &Call, kind: &Kind) -> Self {
        let part = if call.part().is_empty() { String::new() } else { format!("/{}", call.part()) };
        let body = if call.body.is_empty() { Value::Null } else { call.json().unwrap_or_default() };
        Self {
            verb: call.verb.to_owned(),
            group: kind.group.clone(),
            resource: format!("{}{part}", kind.plural),
            namespace: call.namespace().to_owned(),
            name: call.name().to_owned(),
            user: call.user.clone(),
            query: call.query.clone(),
            media: call.media.clone(),
            body,
            status: 0,
        }
    }

    /// A parameter; empty if it was not given.
    pub fn ask(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// A refusal of this status.
pub fn refusal(code: u16) -> Refusal {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    Refusal::new(code, reason, "refused because the test wants it")
}
