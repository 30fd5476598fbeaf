//! Looks at what the nodes of a RabbitMQ cluster, or the members of a queue, say about themselves.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::rabbitmq::queue_of;
use crate::adapters::systems::{Question, RabbitmqAsk};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, Reference, TargetRef, TargetSpec, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to a RabbitMQ cluster whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqProbe {
    /// A target of kind `rabbitmq`.
    pub target: TargetRef,
    /// Of the cluster: `running` (nodes), `partitions`, `alarms`. Of a queue: `leader`, `members`, `online`, `quorum`,
    /// `messages`.
    pub ask: RabbitmqAsk,
    /// Which queue; that of this run's ledger if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Template>,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl RabbitmqProbe {
    /// What is asked, as people say it.
    fn what(&self) -> &'static str {
        match self.ask {
            RabbitmqAsk::Running => "the number of nodes that run",
            RabbitmqAsk::Partitions => "the number of nodes that were cut off",
            RabbitmqAsk::Alarms => "the number of alarms",
            RabbitmqAsk::Leader => "the queue's leader",
            RabbitmqAsk::Members => "the number of the queue's members",
            RabbitmqAsk::Online => "the number of the queue's members online",
            RabbitmqAsk::Quorum => "whether the queue has a majority",
            RabbitmqAsk::Messages => "the number of messages",
        }
    }
}

impl Probe for RabbitmqProbe {
    const KIND: &'static str = "rabbitmq";
    const SUMMARY: &'static str =
        "what a RabbitMQ says: which nodes run, who leads a queue, how many members are online";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let place = system::place(&self.target, cx)?;
        let queue = match &self.queue {
            Some(queue) => cx.text(queue)?,
            None => {
                let run = cx.scope.lookup(&Reference::Run("id".to_owned())).map_err(ProbeError::Undecided)?;
                queue_of(&run)
            }
        };
        let management = match cx.scope.spec(&self.target).map_err(ProbeError::Undecided)? {
            TargetSpec::Rabbitmq(target) => target.management.as_ref().map(|url| cx.text(url)).transpose()?,
            _ => None,
        };
        let question = Question::Rabbitmq { place, management, queue, ask: self.ask };
        system::sample(&question, self.timeout, &self.value, self.what(), cx).await
    }
}
