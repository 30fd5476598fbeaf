//! Looks whether a copy of the user's own data, somewhere else, is what the data was before the outage.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fingerprint, taken at another target than its own: of a restored copy, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FingerprintAtProbe {
    /// The name of the fingerprint.
    pub name: String,
    /// The target that has the copy, of the same kind as its own.
    pub target: TargetRef,
}

impl Probe for FingerprintAtProbe {
    const KIND: &'static str = "fingerprint_at";
    const SUMMARY: &'static str =
        "a copy of the user's own data at another target is what the data was before the outage";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let (name, at) = (&self.name, self.target.name());
        let differences = cx.scope.differences_at(name, &self.target).await.map_err(ProbeError::Undecided)?;
        let mut sample = Sample { holds: true, detail: format!("{name} at {at} is what it was"), ..Sample::default() };
        if !differences.is_empty() {
            sample.fail(format!("{name} at {at} is not what it was: {}", differences.join("; ")));
        }
        Ok(sample)
    }
}
