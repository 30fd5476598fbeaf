//! Looks at a directory and the file system it is on, by a process of our own: one that does not answer hangs that, and
//! nothing else.

use super::{Probe, ProbeError, Sample, system};
use crate::adapters::systems::{DirectoryAsk, Question};
use crate::faults::Cx;
use crate::model::{Comparison, Dur, TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question about a directory whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryProbe {
    /// A target of kind `directory`.
    pub target: TargetRef,
    /// `free` (bytes), `read_only`, `mounted` (`yes` or `no`), `kind`, `source`, `snapshot_age` (seconds) or `generation`.
    pub ask: DirectoryAsk,
    /// What the answer must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl DirectoryProbe {
    /// What is asked, as people say it.
    fn what(&self) -> &'static str {
        match self.ask {
            DirectoryAsk::Free => "the number of free bytes",
            DirectoryAsk::ReadOnly => "read-only",
            DirectoryAsk::Mounted => "mounted",
            DirectoryAsk::Kind => "the kind of file system",
            DirectoryAsk::Source => "what is mounted",
            DirectoryAsk::SnapshotAge => "the age of the newest snapshot in seconds",
            DirectoryAsk::Generation => "the generation",
        }
    }
}

impl Probe for DirectoryProbe {
    const KIND: &'static str = "directory";
    const SUMMARY: &'static str = "a directory and its file system: free bytes, read-only, mounted, age of snapshots";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let path = match cx.scope.spec(&self.target).map_err(ProbeError::Undecided)? {
            // As written, not as it was found: what its links lead to may have changed.
            TargetSpec::Directory(target) => cx.scope.base().join(cx.text(&target.path)?),
            other => {
                let text = format!("target `{}` is of kind {}, and no directory", self.target.name(), other.kind());
                return Err(ProbeError::Undecided(text));
            }
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        let question = Question::Directory(path, self.ask.clone());
        system::sample(&question, self.timeout, &self.value, self.what(), cx).await
    }
}
