//! Looks at what a Redis, or the Sentinels around it, say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{Question, RedisAsk};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to a Redis whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisProbe {
    /// A target of kind `redis`.
    pub target: TargetRef,
    /// `role`, `primary`, `primaries`, `replicas`, `lag` (bytes), `sentinels`, `quorum`, or `{info: FIELD}`.
    pub ask: RedisAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl RedisProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            RedisAsk::Role => "the role".to_owned(),
            RedisAsk::Primary => "the primary".to_owned(),
            RedisAsk::Primaries => "the number of primaries".to_owned(),
            RedisAsk::Replicas => "the number of replicas online".to_owned(),
            RedisAsk::Lag => "the lag in bytes".to_owned(),
            RedisAsk::Sentinels => "the number of Sentinels that agree".to_owned(),
            RedisAsk::Quorum => "whether Sentinel could fail over".to_owned(),
            RedisAsk::Info(field) => format!("{field} of INFO"),
        }
    }
}

impl Probe for RedisProbe {
    const KIND: &'static str = "redis";
    const SUMMARY: &'static str = "what a Redis says: its role, lag, how many primaries, what Sentinel knows";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let question = Question::Redis(system::place(&self.target, cx)?, self.ask.clone());
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}
