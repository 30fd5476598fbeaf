//! Looks at what the members of a MongoDB replica set say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{MongodbAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to a MongoDB whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MongodbProbe {
    /// A target of kind `mongodb`.
    pub target: TargetRef,
    /// `role`, `primary`, `primaries`, `secondaries`, `members`, `lag` (seconds), `majority` (seconds), or
    /// `{documents: COLLECTION}`.
    pub ask: MongodbAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl MongodbProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            MongodbAsk::Role => "the role".to_owned(),
            MongodbAsk::Primary => "the primary".to_owned(),
            MongodbAsk::Primaries => "the number of primaries".to_owned(),
            MongodbAsk::Secondaries => "the number of secondaries".to_owned(),
            MongodbAsk::Members => "the number of members in order".to_owned(),
            MongodbAsk::Lag => "the lag in seconds".to_owned(),
            MongodbAsk::Majority => "how far a majority is behind, in seconds,".to_owned(),
            MongodbAsk::Documents(collection) => format!("the number of documents in `{collection}`"),
        }
    }
}

impl Probe for MongodbProbe {
    const KIND: &'static str = "mongodb";
    const SUMMARY: &'static str = "what a MongoDB says: roles, how many primaries, lag, what a majority has, documents";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let question = Question::Mongodb(system::place(&self.target, cx)?, self.ask.clone());
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}
