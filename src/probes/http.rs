//! Looks at an HTTP service: status, and a value in the answer.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct HttpExpect {
    /// The status; any 2xx if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Comparison>,
}

/// An HTTP request whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The URL.
    pub url: Template,
    /// The method; GET if not given.
    #[serde(default = "get")]
    pub method: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: HttpExpect,
    /// A JSON path to the value that `value` compares; the whole body if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// What the value must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Comparison>,
    /// Limit of one look; 2s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

fn get() -> String {
    "GET".to_owned()
}

impl Probe for HttpProbe {
    const KIND: &'static str = "http";
    const SUMMARY: &'static str = "an HTTP answer: status, body, or a value in its JSON";

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
