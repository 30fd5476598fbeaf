//! Lets names resolve slowly.

use super::names::{OnNames, on_names};
use crate::adapters::resolver::NameEffect;
use crate::model::{Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answers about names come later. Clients that ask again meanwhile wait for each of their questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsSlow {
    /// A target of kind `resolver`.
    pub target: TargetRef,
    /// `db.example.com` is that name, `*.example.com` all below it.
    pub names: Vec<String>,
    /// So much later.
    pub delay: Dur,
}

impl OnNames for DnsSlow {
    fn target(&self) -> &TargetRef {
        &self.target
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn effect(&self) -> NameEffect {
        NameEffect::Slow(u64::try_from(self.delay.0.as_millis()).unwrap_or(u64::MAX))
    }
}

on_names!(DnsSlow, "dns_slow", "answer questions about names later");
