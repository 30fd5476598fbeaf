//! The part of OTLP/JSON that a trace of a drill needs. Protobuf's JSON mapping: 64-bit numbers are texts, enums numbers,
//! ids hexadecimal (an exception that OTLP makes), and what is empty is left out.
//!
//! Source: opentelemetry-proto 1.x, `trace/v1/trace.proto`, `common/v1/common.proto`; OTLP specification, "JSON Protobuf
//! Encoding".

use serde::Serialize;

/// `ExportTraceServiceRequest`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub resource_spans: [ResourceSpans; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceSpans {
    pub resource: Resource,
    pub scope_spans: [ScopeSpans; 1],
}

/// What the spans are of: the tool and its machine.
#[derive(Serialize)]
pub(super) struct Resource {
    pub attributes: Vec<Attribute>,
}

#[derive(Serialize)]
pub(super) struct ScopeSpans {
    pub scope: Scope,
    pub spans: Vec<Span>,
}

/// Who wrote them.
#[derive(Serialize)]
pub(super) struct Scope {
    pub name: &'static str,
    pub version: &'static str,
}

/// `SPAN_KIND_INTERNAL`
pub(super) const INTERNAL: u8 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    pub trace_id: String,
    pub span_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent_span_id: String,
    pub name: String,
    pub kind: u8,
    pub start_time_unix_nano: String,
    pub end_time_unix_nano: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SpanEvent>,
    #[serde(skip_serializing_if = "Status::is_unset")]
    pub status: Status,
}

/// A moment in a span.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpanEvent {
    pub time_unix_nano: String,
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// 0 not said, 1 fine, 2 an error.
#[derive(Serialize)]
pub(super) struct Status {
    pub code: u8,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Status {
    fn is_unset(&self) -> bool {
        self.code == 0 && self.message.is_empty()
    }
}

#[derive(Serialize)]
pub(super) struct Attribute {
    pub key: &'static str,
    pub value: Value,
}

#[derive(Serialize)]
pub(super) enum Value {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "doubleValue")]
    Double(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Double(n)
    }
}

/// A 64-bit integer of the protocol is signed.
impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Int(i64::try_from(n).unwrap_or(i64::MAX).to_string())
    }
}

pub(super) fn attribute(key: &'static str, value: impl Into<Value>) -> Attribute {
    Attribute { key, value: value.into() }
}
