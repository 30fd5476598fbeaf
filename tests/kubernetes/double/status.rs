//! How the server says that it did not do something: a `Status` object with `reason` and `code`.

use serde_json::{Value, json};

/// A refusal, as it goes to the client.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// `NotFound`, `Conflict`, …
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details`; null if there are none.
    pub details: Box<Value>,
    /// The token with which an inconsistent list may go on.
    pub resume: Option<String>,
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default(), resume: None }
    }

    fn of(mut self, plural: &str, group: &str, name: &str) -> Self {
        let mut details = json!({"name": name, "kind": plural});
        if !group.is_empty() {
            details["group"] = json!(group);
        }
        *self.details = details;
        self
    }

    /// Why, one by one.
    pub fn causes(mut self, causes: Vec<Value>) -> Self {
        if self.details.is_null() {
            *self.details = json!({});
        }
        self.details["causes"] = Value::Array(causes);
        self
    }

    pub fn missing(plural: &str, group: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", long(plural, group));
        Self::new(404, "NotFound", message).of(plural, group, name)
    }

    /// No such path or kind.
    pub fn nowhere() -> Self {
        Self {
            details: Box::new(json!({})),
            ..Self::new(404, "NotFound", "the server could not find the requested resource")
        }
    }

    pub fn exists(plural: &str, group: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", long(plural, group));
        Self::new(409, "AlreadyExists", message).of(plural, group, name)
    }

    pub fn conflict(plural: &str, group: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", long(plural, group));
        Self::new(409, "Conflict", message).of(plural, group, name)
    }

    pub fn invalid(kind: &str, group: &str, name: &str, field: &str, why: &str) -> Self {
        let cause = json!({"reason": "FieldValueInvalid", "message": why, "field": field});
        let message = format!("{} \"{name}\" is invalid: {field}: {why}", long(kind, group));
        Self::new(422, "Invalid", message).of(kind, group, name).causes(vec![cause])
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn forbidden(plural: &str, group: &str, name: &str, why: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{}{named} is forbidden: {why}", long(plural, group));
        Self::new(403, "Forbidden", message).of(plural, group, name)
    }

    pub fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: Box::new(json!({})), ..Self::new(405, "MethodNotAllowed", message) }
    }

    pub fn media(kind: &str) -> Self {
        Self::new(415, "UnsupportedMediaType", format!("the body of the request was in an unknown format: {kind}"))
    }

    /// A version or a token that is too old.
    pub fn expired(message: &str) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The object that goes to the client.
    pub fn object(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.resume {
            metadata["continue"] = json!(token);
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = (*self.details).clone();
        }
        status
    }
}

/// `deployments.apps`, `pods`.
pub fn long(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// That something is done, where there is no object to show.
pub fn success(plural: &str, group: &str, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": plural, "uid": uid});
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
