//! Looks at what PostgreSQL servers say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{PostgresAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to PostgreSQL servers whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresProbe {
    /// A target of kind `postgres`; its URL may name several servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRef>,
    /// Several of them, instead of `target`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetRef>,
    /// `role`, `in_recovery`, `primary`, `primaries`, `split_brain`, `standbys`, `sync_standbys`, `lag` (seconds), `lag_bytes`,
    /// `replay_lag`, `replay_lag_bytes`, `replay_paused`, `timeline` or `wal_receiver`.
    pub ask: PostgresAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl PostgresProbe {
    /// What is asked, as people say it.
    fn what(&self) -> &'static str {
        match self.ask {
            PostgresAsk::Role => "the role",
            PostgresAsk::InRecovery => "whether it is in recovery",
            PostgresAsk::Primary => "the primary",
            PostgresAsk::Primaries => "the number of primaries that take writes",
            PostgresAsk::SplitBrain => "whether two primaries take writes",
            PostgresAsk::Standbys => "the number of standbys that stream",
            PostgresAsk::SyncStandbys => "the number of synchronous standbys",
            PostgresAsk::LagBytes => "the lag in bytes",
            PostgresAsk::Lag => "the lag in seconds",
            PostgresAsk::ReplayLagBytes => "the lag of replay in bytes",
            PostgresAsk::ReplayLag => "the lag of replay in seconds",
            PostgresAsk::ReplayPaused => "whether replay is paused",
            PostgresAsk::Timeline => "the timeline",
            PostgresAsk::WalReceiver => "the WAL receiver",
        }
    }

    fn question(&self, cx: &Cx<'_>) -> Result<Question, ProbeError> {
        let urls = self.targets().into_iter().map(|target| cx.scope.url(target).map_err(ProbeError::Undecided));
        Ok(Question::Postgres(urls.collect::<Result<_, _>>()?, self.ask))
    }
}

impl Probe for PostgresProbe {
    const KIND: &'static str = "postgres";
    const SUMMARY: &'static str = "what PostgreSQL says: role, lag, standbys, whether two primaries take writes";

    fn targets(&self) -> Vec<&TargetRef> {
        self.target.iter().chain(&self.targets).collect()
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        system::sample(&self.question(cx)?, self.timeout, &self.value, self.what(), cx).await
    }

    async fn hindrance(&self, cx: &Cx<'_>) -> Option<String> {
        let question = self.question(cx).ok()?;
        cx.world.systems.hindrance(&question, system::limit(self.timeout)).await
    }
}
