//! Sets workloads to a number of replicas. Healing sets the number before, unless somebody else has set one.

use super::scaling::Scaling;
use super::workload::{SCALED, rights, workloads};
use super::{Home, home};
use crate::adapters::kubernetes::Write;
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sets Deployments, StatefulSets or ReplicaSets to a number of replicas, and back when it is healed. A number that
/// somebody else sets meanwhile is theirs: healing leaves it and says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadScale {
    /// A target of kind `kubernetes`: deployments, statefulsets or replicasets.
    pub target: TargetRef,
    /// So many replicas; none if not given.
    #[serde(default)]
    pub to: u32,
}

impl Fault for WorkloadScale {
    const KIND: &'static str = "workload_scale";
    const SUMMARY: &'static str = "set workloads of a cluster to a number of replicas, none say";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Scaling;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get, list and patch the workloads, patch their `scale`; list pods".to_owned()]
    }

    fn way_back(&self) -> String {
        "the workloads get the number of replicas that they had, unless somebody else has set one".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Scaling, FaultError> {
        let to = i64::from(self.to);
        let mut found: Vec<_> =
            workloads(&self.target, SCALED, cx).await?.into_iter().map(|(before, _)| before).collect();
        found.retain(|before| before.replicas != Some(to));
        if found.is_empty() {
            let name = self.target.name();
            return Err(FaultError::NothingToBreak(format!("`{name}` has {to} replicas already")));
        }
        Ok(Scaling { tag: cx.owner.tag(), home: home(&self.target, cx).await?, workloads: found, to })
    }

    async fn rehearse(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.down(Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.down(Write::Real, cx).await
    }

    async fn effective(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.is_down(cx).await
    }

    async fn heal(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.up(cx).await
    }

    async fn healed(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.is_up(cx).await
    }

    fn by_hand(&self, undo: &Scaling) -> String {
        undo.by_hand()
    }

    fn touched(&self, undo: &Scaling) -> Vec<String> {
        undo.touched()
    }

    fn rights(&self) -> Vec<Right> {
        let mut all = rights(&self.target, &[]);
        all.extend(Right::each(&self.target, &Resource::Itself(Some("scale".to_owned())), &["patch"]));
        all
    }

    fn home(undo: &Scaling) -> Option<&Home> {
        Some(&undo.home)
    }
}
