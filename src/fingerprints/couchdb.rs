//! Documents of a CouchDB database by prefix of their names: counted, and the sum of their digests.

use super::Print;
use crate::adapters::data::{Counts, Documents, Selection, Store};
use crate::faults::{Cx, FaultError};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Documents of a database, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouchdbPrint {
    /// A target of kind `couchdb`.
    pub target: TargetRef,
    /// What their names begin with, each a part of its own; all if not given. The drill's own are never in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Names that are left out: `*` stands for anything but `/`, `**` for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Do revisions count, and those that conflict? Only the content counts if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revisions: bool,
}

impl Print for CouchdbPrint {
    const KIND: &'static str = "couchdb";
    const SUMMARY: &'static str = "documents of a CouchDB database with their content, by prefix";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, own: &[String]) -> Result<Store, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let names = own.iter().flat_map(|name| [format!("{name}:"), format!("{name}.runs:")]);
        let own = names.chain(["blackstart_canary:".to_owned()]).collect();
        let selection = Selection { prefixes: self.prefixes.clone(), exclude: self.exclude.clone(), own };
        let revisions = if self.revisions { Counts::Yes } else { Counts::No };
        Ok(Store::Documents(Documents { url, revisions, selection }))
    }

    fn words(&self) -> String {
        match self.prefixes.as_slice() {
            [] => format!("all documents of {}", self.target.name()),
            some => format!("{} of {}", some.join(", "), self.target.name()),
        }
    }
}
