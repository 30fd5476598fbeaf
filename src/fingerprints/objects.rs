//! Objects of a bucket by prefix: counted, and the sum of the digests of keys with their contents.

use super::Print;
use crate::adapters::data::{Bucket, Content, Login, Objects, Selection, Store, Versions};
use crate::faults::{Cx, FaultError};
use crate::model::{S3Target, TargetRef, TargetSpec, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As many as a server gives at once.
const PAGE: u16 = 1_000;
const REGION: &str = "us-east-1";

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

fn bucket(target: &S3Target, cx: &Cx<'_>) -> Result<Bucket, FaultError> {
    let text = |template: &Option<Template>| template.as_ref().map(|t| cx.text(t)).transpose();
    let login = match (text(&target.access_key)?, text(&target.secret_key)?) {
        (Some(key), Some(secret)) => Some(Login { key, secret, token: text(&target.session_token)? }),
        _ => None,
    };
    let from_base = |path: String| cx.scope.base().join(path).to_string_lossy().into_owned();
    Ok(Bucket {
        endpoint: cx.text(&target.endpoint)?,
        name: cx.text(&target.bucket)?,
        region: text(&target.region)?.unwrap_or_else(|| REGION.to_owned()),
        addressing: target.addressing,
        login,
        ca: text(&target.ca)?.map(from_base),
    })
}
