//! Looks at a database of a CouchDB: what it holds, what its replications say, and what another region lacks.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{CouchdbAsk, CouchdbQuestion, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to a database of a CouchDB whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouchdbProbe {
    /// A target of kind `couchdb`.
    pub target: TargetRef,
    /// The other region, of kind `couchdb` too; for `lag`, `missing` and `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TargetRef>,
    /// `documents`, `conflicts`, `replications`, `broken`, `lag` (documents), `missing` (documents), or `canary`.
    pub ask: CouchdbAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl CouchdbProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        let to = self.to.as_ref().map_or("another region", TargetRef::name);
        match self.ask {
            CouchdbAsk::Documents => "the number of documents".to_owned(),
            CouchdbAsk::Conflicts => "the number of documents in conflict".to_owned(),
            CouchdbAsk::Replications => "the number of replications that work".to_owned(),
            CouchdbAsk::Broken => "the number of replications that do not work".to_owned(),
            CouchdbAsk::Lag => format!("how many of the newest documents `{to}` lacks"),
            CouchdbAsk::Missing => format!("how many documents `{to}` lacks"),
            CouchdbAsk::Canary => format!("a document that `{to}` should get"),
        }
    }
}

impl Probe for CouchdbProbe {
    const KIND: &'static str = "couchdb";
    const SUMMARY: &'static str =
        "what a CouchDB database holds, whether its replications work, and what another region lacks";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let place = system::place(&self.target, cx)?;
        let to = self.to.as_ref().map(|to| system::place(to, cx)).transpose()?;
        let run = cx.owner.run.to_string();
        let question = Question::Couchdb(CouchdbQuestion { place, to, ask: self.ask, run });
        system::sample(&question, self.timeout, &self.value, &self.what(), cx).await
    }
}
