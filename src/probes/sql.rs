//! Looks at the first column of the first row of a query.

use super::{Probe, ProbeError, Sample, judged};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of one look, if the playbook says nothing.
const LIMIT: Duration = Duration::from_secs(5);

/// A query whose first value is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlProbe {
    /// A target of kind `postgres` or `mysql`.
    pub target: TargetRef,
    /// The query; values go by `args`, as $1, $2, … (`?` in MySQL)
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

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let url = cx.scope.url(&self.target).map_err(ProbeError::Undecided)?;
        let args = self.args.iter().map(|a| cx.text(a)).collect::<Result<Vec<_>, _>>()?;
        let limit = self.timeout.map_or(LIMIT, |d| d.0);
        let mut sample = Sample { holds: true, ..Sample::default() };
        match cx.world.sql.scalar(&url, &self.query, &args, limit).await? {
            // Nothing is not compared with anything: not even "below 5" holds for it.
            None => sample.fail(format!("no row, or NULL\nquery: {}", self.query)),
            Some(value) => {
                sample.judge(judged(&self.value, &value, "the first value", cx)?);
                sample.fields.insert("value".to_owned(), value.clone());
                sample.answer = value;
            }
        }
        Ok(sample)
    }
}
