//! Looks at the first column of the first row of a query.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A query whose first value is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlProbe {
    /// A target of kind `postgres`.
    pub target: TargetRef,
    /// The query; values go by `args`, as $1, $2, …
    pub query: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Template>,
    /// What the value must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl Probe for SqlProbe {
    const KIND: &'static str = "sql";
    const SUMMARY: &'static str = "the first value of a query's result";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
