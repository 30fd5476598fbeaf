//! Looks whether the user's own data is what it was before the outage.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a fingerprint: is it what it was before the outage?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FingerprintProbe(pub String);

impl Probe for FingerprintProbe {
    const KIND: &'static str = "fingerprint";
    const SUMMARY: &'static str =
        "the user's own data is what it was before the outage, by the name of its fingerprint";

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let differences = cx.scope.differences(&self.0).await.map_err(ProbeError::Undecided)?;
        let mut sample = Sample { holds: true, detail: format!("{} is what it was", self.0), ..Sample::default() };
        if !differences.is_empty() {
            sample.fail(format!("{} is not what it was: {}", self.0, differences.join("; ")));
        }
        Ok(sample)
    }
}
