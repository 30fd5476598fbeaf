//! Documents of indices of Elasticsearch: counted, and the sum of the digests of their names with their sources.

use super::Print;
use crate::adapters::data::{Indices, Selection, Store};
use crate::faults::{Cx, FaultError};
use crate::model::{TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Documents of indices with their sources, in any order, each index at one point in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentsPrint {
    /// A target of kind `elasticsearch`.
    pub target: TargetRef,
    /// Indices by their names, each a part of its own.
    pub indices: Vec<String>,
    /// Documents that are left out, as `INDEX/NAME`: `*` stands for anything but `/`, `**` for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

impl Print for DocumentsPrint {
    const KIND: &'static str = "documents";
    const SUMMARY: &'static str = "documents of Elasticsearch with their sources, by index";
    const TARGETS: &'static [&'static str] = &["elasticsearch"];

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, _: &[String]) -> Result<Store, FaultError> {
        let TargetSpec::Elasticsearch(target) = cx.scope.spec(&self.target).map_err(FaultError::Reference)? else {
            return Err(FaultError::Reference(format!("`{}` is no Elasticsearch cluster", self.target.name())));
        };
        if self.indices.is_empty() {
            return Err(FaultError::Reference("a fingerprint of documents names its indices".to_owned()));
        }
        let (prefixes, exclude) = (self.indices.clone(), self.exclude.clone());
        Ok(Store::Indices(Indices {
            url: cx.text(&target.url)?,
            api_key: target.api_key.as_ref().map(|key| cx.text(key)).transpose()?,
            selection: Selection { prefixes, exclude, own: Vec::new() },
        }))
    }

    fn words(&self) -> String {
        format!("{} of {}", self.indices.join(", "), self.target.name())
    }
}
