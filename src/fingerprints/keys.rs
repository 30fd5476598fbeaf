//! Keys of a key-value store by prefix: counted, and the sum of the digests of keys with their values.

use super::Print;
use crate::adapters::data::{KeyService, Keys, Selection, Store};
use crate::faults::{Cx, FaultError};
use crate::model::{TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of a key-value store with their values, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysPrint {
    /// A target of kind `kv`.
    pub target: TargetRef,
    /// What keys begin with, each a part of its own; all keys if not given. The records of this run are never in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Keys that are left out: `*` stands for anything but `/`, `**` for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

impl Print for KeysPrint {
    const KIND: &'static str = "keys";
    const SUMMARY: &'static str = "keys of a key-value store with their values, by prefix";
    const TARGETS: &'static [&'static str] = &["kv"];

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, _: &[String]) -> Result<Store, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let service = match cx.scope.spec(&self.target).map_err(FaultError::Reference)? {
            TargetSpec::Kv(_) => KeyService::Kv,
            other => {
                let why = format!("`{}` is of kind {}, which has no keys", self.target.name(), other.kind());
                return Err(FaultError::Reference(why));
            }
        };
        let own = vec![format!("{}/", cx.owner.run)];
        let selection = Selection { prefixes: self.prefixes.clone(), exclude: self.exclude.clone(), own };
        Ok(Store::Keys(Keys { service, url, selection }))
    }

    fn words(&self) -> String {
        match self.prefixes.as_slice() {
            [] => format!("all keys of {}", self.target.name()),
            some => format!("{} of {}", some.join(", "), self.target.name()),
        }
    }
}
