//! Looks at what an Elasticsearch cluster says about itself.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::ServerPlace;
use crate::adapters::elasticsearch::SearchPlace;
use crate::adapters::systems::{ElasticAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to an Elasticsearch cluster whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchProbe {
    /// A target of kind `elasticsearch`.
    pub target: TargetRef,
    /// `status`, `nodes`, `answering`, `master`, `primaries`, `unassigned`, `{primary: INDEX}`, `{copies: INDEX}` or
    /// `{docs: INDEX}`.
    pub ask: ElasticAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl ElasticsearchProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            ElasticAsk::Status => "the status".to_owned(),
            ElasticAsk::Nodes => "the number of nodes".to_owned(),
            ElasticAsk::Answering => "the number of nodes that answer".to_owned(),
            ElasticAsk::Master => "the master".to_owned(),
            ElasticAsk::Primaries => "the number of active primaries".to_owned(),
            ElasticAsk::Unassigned => "the number of unassigned copies".to_owned(),
            ElasticAsk::Primary(index) => format!("the node with the primary of `{index}`"),
            ElasticAsk::Copies(index) => format!("the number of active copies of `{index}`"),
            ElasticAsk::Docs(index) => format!("the number of documents of `{index}`"),
        }
    }
}

impl Probe for ElasticsearchProbe {
    const KIND: &'static str = "elasticsearch";
    const SUMMARY: &'static str = "what an Elasticsearch cluster says: its status, nodes, primaries, copies, documents";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let place = place(&self.target, cx).map_err(ProbeError::Undecided)?;
        let question = Question::Elasticsearch(Box::new(place), self.ask.clone());
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}

/// Where a target is, and who asks.
fn place(target: &TargetRef, cx: &Cx<'_>) -> Result<SearchPlace, String> {
    let TargetSpec::Elasticsearch(spec) = cx.scope.spec(target)? else {
        return Err(format!("target `{}` is no Elasticsearch cluster", target.name()));
    };
    let api_key = spec.api_key.as_ref().map(|key| cx.text(key)).transpose().map_err(|e| e.to_string())?;
    let server = ServerPlace {
        url: cx.text(&spec.url).map_err(|e| e.to_string())?,
        connect_timeout: spec.connect_timeout.map(|d| d.0),
        response_timeout: spec.response_timeout.map(|d| d.0),
    };
    Ok(SearchPlace { server, api_key, active_shards: spec.active_shards })
}
