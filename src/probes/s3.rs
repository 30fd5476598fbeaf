//! Looks at a bucket: versions, deletions, locks, and how far another one is behind.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::data::{Bucket, Login};
use crate::adapters::systems::{BucketAsk, BucketQuestion, Question};
use crate::faults::{Cx, FaultError};
use crate::model::{Comparison, Dur, S3Target, TargetRef, TargetSpec, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests are signed for this one, if the target names none.
const REGION: &str = "us-east-1";

/// A question to a bucket whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Probe {
    /// A target of kind `s3`.
    pub target: TargetRef,
    /// `versioning`, `{objects: PREFIX}`, `{versions: PREFIX}`, `{deleted: PREFIX}`, `{locked: KEY}` or `{behind: PREFIX}`.
    pub ask: BucketAsk,
    /// For `behind`: the target of kind `s3` that should have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<TargetRef>,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl S3Probe {
    /// Does it need a second bucket?
    #[must_use]
    pub fn compares(&self) -> bool {
        matches!(self.ask, BucketAsk::Behind(_))
    }

    /// What is asked, as people say it.
    fn what(&self) -> String {
        match &self.ask {
            BucketAsk::Versioning => "the versioning".to_owned(),
            BucketAsk::Objects(prefix) => format!("the number of objects below `{prefix}`"),
            BucketAsk::Versions(prefix) => format!("the number of versions below `{prefix}`"),
            BucketAsk::Deleted(prefix) => format!("the number of deleted objects below `{prefix}`"),
            BucketAsk::Locked(key) => format!("the lock of `{key}`"),
            BucketAsk::Behind(prefix) => {
                let other = self.other.as_ref().map_or("another bucket", |other| other.name());
                format!("the number of objects below `{prefix}` that {other} has not")
            }
        }
    }
}

impl Probe for S3Probe {
    const KIND: &'static str = "s3";
    const SUMMARY: &'static str =
        "what a bucket holds: objects, versions, deletions, locks, how far another one is behind";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let other = self.other.as_ref().map(|other| place(other, cx)).transpose()?;
        let question = BucketQuestion { bucket: place(&self.target, cx)?, other, ask: self.ask.clone() };
        system::sample(&Question::S3(Box::new(question)), self.timeout, &self.value, &self.what(), cx).await
    }
}

fn place(target: &TargetRef, cx: &Cx<'_>) -> Result<Bucket, ProbeError> {
    match cx.scope.spec(target).map_err(ProbeError::Undecided)? {
        TargetSpec::S3(target) => bucket(&target, cx).map_err(|e| ProbeError::Undecided(e.to_string())),
        _ => Err(ProbeError::Undecided(format!("target `{}` is no bucket", target.name()))),
    }
}

/// A bucket with everything filled in.
///
/// # Errors
/// When a reference cannot be filled in.
pub fn bucket(target: &S3Target, cx: &Cx<'_>) -> Result<Bucket, FaultError> {
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
