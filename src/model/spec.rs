//! Parameter shapes that several kinds share: a command, an HTTP request, a reference to a target, a comparison.

use super::{Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command to run: no shell, arguments are never split into words. The short form in a playbook is the list itself,
/// `command: [./promote.sh, "${targets.standby.name}"]`; other keys may then stand beside `command`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments; a relative program path is relative to the playbook.
    pub argv: Vec<Template>,
    /// Environment variables besides those of the runner. Secrets belong here, never into `argv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Text for its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Template>,
    /// Working directory; the playbook's folder if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Template>,
    /// It is ended (with its children) after this; 60s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// An HTTP request that does something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// The method; POST if not given.
    #[serde(default = "post")]
    pub method: String,
    /// The URL.
    pub url: Template,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// Statuses that count as success; any 2xx if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// 10s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

fn post() -> String {
    "POST".to_owned()
}

/// Something a `run` step, a way back or a hook does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunSpec {
    /// Run a command; exit status 0 is success.
    Command(CommandSpec),
    /// Send an HTTP request.
    Request(RequestSpec),
}

impl std::fmt::Display for RunSpec {
    /// In one line, for people; references stay references.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command) => {
                let words: Vec<String> = command.argv.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(" "))
            }
            Self::Request(request) => write!(f, "{} {}", request.method, request.url),
        }
    }
}

/// How a killed process comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WayBack {
    /// By this command.
    Command(CommandSpec),
    /// By this request.
    Request(RequestSpec),
    /// Something else restarts it (systemd, Kubernetes, a supervisor); only waited for.
    Supervised,
    /// It does not; needs `acknowledge: irreversible`.
    None,
}

/// A target by name: pinned (`leader`) or resolved again at that moment (`{now: leader}`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetRef {
    /// As it was just before the outage.
    Pinned(String),
    /// As it is now.
    Now(String),
}

impl Serialize for TargetRef {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pinned(name) => s.serialize_str(name),
            Self::Now(name) => BTreeMap::from([("now", name)]).serialize(s),
        }
    }
}

impl JsonSchema for TargetRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TargetRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "the name of a target; {now: NAME} resolves it again at that moment", "oneOf": [
            {"type": "string"},
            {"type": "object", "properties": {"now": {"type": "string"}}, "required": ["now"], "additionalProperties": false}
        ]})
    }
}

impl TargetRef {
    /// The target's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pinned(n) | Self::Now(n) => n,
        }
    }
}

impl<'de> Deserialize<'de> for TargetRef {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = TargetRef;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a target, or `{now: NAME}`")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<TargetRef, E> {
                Ok(TargetRef::Pinned(v.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<TargetRef, A::Error> {
                let target = match map.next_key::<String>()?.as_deref() {
                    Some("now") => TargetRef::Now(map.next_value()?),
                    Some(other) => return Err(serde::de::Error::unknown_field(other, &["now"])),
                    None => return Err(serde::de::Error::missing_field("now")),
                };
                match map.next_key::<String>()? {
                    Some(other) => Err(serde::de::Error::unknown_field(&other, &["now"])),
                    None => Ok(target),
                }
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// A value to compare with: a number where both sides are numbers, text otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scalar(pub Template);

/// A comparison that names its operator; nothing is guessed from the shape of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// The same number, or the same text.
    Equals(Scalar),
    /// A different number or text.
    NotEquals(Scalar),
    /// A number not below this.
    AtLeast(Scalar),
    /// A number not above this.
    AtMost(Scalar),
    /// A number in this closed range.
    Between(Scalar, Scalar),
    /// A regular expression that matches somewhere.
    Matches(String),
    /// A text that occurs.
    Contains(Scalar),
    /// One of these.
    OneOf(Vec<Scalar>),
    /// A CEL expression over `value` (JSON is parsed) that is true.
    Cel(String),
}

/// A declared output of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputSpec {
    /// A JSON path into the answer, like `$.members[0].name`.
    Json(String),
    /// A regular expression; its first group, or all of it.
    Regex(String),
}
