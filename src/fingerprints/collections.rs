//! Collections of a MongoDB database: documents counted, and the sum of their digests.

use super::Print;
use crate::adapters::ServerPlace;
use crate::adapters::data::{Collections, Store};
use crate::faults::{Cx, FaultError};
use crate::model::{TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Documents of collections with all that they hold, and the collections' indexes. Each collection is read at one moment of
/// its own: what is written meanwhile may count or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionsPrint {
    /// A target of kind `mongodb`; its URL names the database.
    pub target: TargetRef,
    /// Names, each a part of its own; `*` stands for anything. All of the database if not given. The drill's own records are
    /// never in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// Collections that are left out: `*` stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

impl Print for CollectionsPrint {
    const KIND: &'static str = "collections";
    const SUMMARY: &'static str = "documents of collections with all that they hold, and their indexes";
    const TARGETS: &'static [&'static str] = &["mongodb"];

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, own: &[String]) -> Result<Store, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let TargetSpec::Mongodb(target) = cx.scope.spec(&self.target).map_err(FaultError::Reference)? else {
            return Err(FaultError::Reference(format!("`{}` is no MongoDB", self.target.name())));
        };
        let connect_timeout = target.connect_timeout.map(|d| d.0);
        let response_timeout = target.response_timeout.map(|d| d.0);
        Ok(Store::Collections(Collections {
            place: ServerPlace { url, connect_timeout, response_timeout },
            collections: self.collections.clone(),
            exclude: self.exclude.clone(),
            own: own.to_vec(),
        }))
    }

    fn words(&self) -> String {
        match self.collections.as_slice() {
            [] => format!("all collections of {}", self.target.name()),
            some => format!("{} of {}", some.join(", "), self.target.name()),
        }
    }
}
