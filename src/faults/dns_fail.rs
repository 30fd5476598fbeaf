//! Lets names fail.

use super::names::{OnNames, on_names};
use crate::adapters::resolver::{Failure, NameEffect};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lets names fail for everybody who asks a resolver of ours: they do not exist, the server fails, or no answer comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsFail {
    /// A target of kind `resolver`.
    pub target: TargetRef,
    /// `db.example.com` is that name, `*.example.com` all below it.
    pub names: Vec<String>,
    /// How: `nxdomain`, `servfail` or `no_answer`.
    pub how: Failure,
}

impl OnNames for DnsFail {
    fn target(&self) -> &TargetRef {
        &self.target
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn effect(&self) -> NameEffect {
        NameEffect::Fail(self.how)
    }
}

on_names!(DnsFail, "dns_fail", "let names fail: no such name, a failing server, or no answer");
