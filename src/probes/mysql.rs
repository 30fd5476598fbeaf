//! Looks at what MySQL and MariaDB servers say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{MysqlAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to MySQL or MariaDB servers whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlProbe {
    /// A target of kind `mysql`.
    pub target: TargetRef,
    /// `role`, `read_only`, `primary`, `primaries`, `replicas`, `replicating`, `lag` (seconds), `lag_transactions`, `semi_sync`,
    /// `{variable: NAME}` or `{status: NAME}`.
    pub ask: MysqlAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl MysqlProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            MysqlAsk::Role => "the role".to_owned(),
            MysqlAsk::ReadOnly => "whether it is read-only".to_owned(),
            MysqlAsk::Primary => "the primary".to_owned(),
            MysqlAsk::Primaries => "the number of servers that take writes".to_owned(),
            MysqlAsk::Replicas => "the number of replicas connected".to_owned(),
            MysqlAsk::Replicating => "the number of servers that follow another one".to_owned(),
            MysqlAsk::Lag => "the lag in seconds".to_owned(),
            MysqlAsk::LagTransactions => "the lag in transactions".to_owned(),
            MysqlAsk::SemiSync => "whether commits wait for a replica".to_owned(),
            MysqlAsk::Variable(name) => format!("the variable {name}"),
            MysqlAsk::Status(name) => format!("the status {name}"),
        }
    }
}

impl Probe for MysqlProbe {
    const KIND: &'static str = "mysql";
    const SUMMARY: &'static str =
        "what MySQL or MariaDB servers say: who takes writes, who follows, lag, semi-synchronous or not";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let question = Question::Mysql(system::place(&self.target, cx)?, self.ask.clone());
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}
