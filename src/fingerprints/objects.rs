//! Objects of a bucket by prefix: counted, and the sum of the digests of keys with their contents.

use super::Print;
use crate::adapters::data::{Content, Objects, Selection, Store, Versions};
use crate::faults::{Cx, FaultError};
use crate::model::{TargetRef, TargetSpec};
use crate::probes::bucket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As many as a server gives at once.
const PAGE: u16 = 1_000;

/// Objects of a bucket with their contents, in any order. The protocol has no snapshot: what is written while they are
/// read may count or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsPrint {
    /// A target of kind `s3`.
    pub target: TargetRef,
    /// What keys begin with, each a part of its own; all objects if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Keys that are left out: `*` stands for anything but `/`, `**` for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What stands for the content; `read` if not given.
    #[serde(default)]
    pub content: ObjectContent,
    /// Older versions and deletions count too; no if not given.
    #[serde(default)]
    pub versions: bool,
}

/// What stands for an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectContent {
    /// Every byte of it, read and hashed here.
    #[default]
    Read,
    /// The server's ETag, without reading: it may differ for equal objects that were uploaded or copied in another way.
    Etag,
}

impl Print for ObjectsPrint {
    const KIND: &'static str = "objects";
    const SUMMARY: &'static str = "objects of a bucket with their contents, by prefix and the S3 protocol";
    const TARGETS: &'static [&'static str] = &["s3"];

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, _: &[String]) -> Result<Store, FaultError> {
        let TargetSpec::S3(target) = cx.scope.spec(&self.target).map_err(FaultError::Reference)? else {
            return Err(FaultError::Reference(format!("`{}` is no bucket", self.target.name())));
        };
        let (prefixes, exclude) = (self.prefixes.clone(), self.exclude.clone());
        Ok(Store::Objects(Objects {
            bucket: bucket(&target, cx)?,
            selection: Selection { prefixes, exclude, own: Vec::new() },
            content: match self.content {
                ObjectContent::Read => Content::Read,
                ObjectContent::Etag => Content::Etag,
            },
            versions: if self.versions { Versions::All } else { Versions::Current },
            page: PAGE,
        }))
    }

    fn words(&self) -> String {
        match self.prefixes.as_slice() {
            [] => format!("all objects of {}", self.target.name()),
            some => format!("{} of {}", some.join(", "), self.target.name()),
        }
    }
}
