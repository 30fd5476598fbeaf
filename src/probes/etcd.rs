//! Looks at what the members of an etcd cluster say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{EtcdAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to an etcd cluster whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EtcdProbe {
    /// A target of kind `etcd`.
    pub target: TargetRef,
    /// `leader`, `leaders`, `serving`, `lag` (entries), `same`, `revision`, `alarms`, or `{keys: PREFIX}`.
    pub ask: EtcdAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl EtcdProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            EtcdAsk::Leader => "the leader".to_owned(),
            EtcdAsk::Leaders => "the number of leaders".to_owned(),
            EtcdAsk::Serving => "the number of members that serve".to_owned(),
            EtcdAsk::Lag => "the lag in entries".to_owned(),
            EtcdAsk::Same => "the number of members that hold the same".to_owned(),
            EtcdAsk::Revision => "the revision".to_owned(),
            EtcdAsk::Alarms => "the number of alarms".to_owned(),
            EtcdAsk::Keys(prefix) => format!("the number of keys below `{prefix}`"),
        }
    }
}

impl Probe for EtcdProbe {
    const KIND: &'static str = "etcd";
    const SUMMARY: &'static str = "what an etcd cluster says: who leads, who serves, lag, whether all hold the same";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let question = Question::Etcd(system::place(&self.target, cx)?, self.ask.clone());
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}
