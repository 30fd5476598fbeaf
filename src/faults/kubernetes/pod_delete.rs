//! Deletes pods. Their controller brings others; pods of nobody are made anew by healing.

use super::Home;
use super::pods::{Pods, Way, rights, seconds};
use crate::adapters::kubernetes::Write;
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Dur, Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deletes pods, the very ones that were found, by uid. It is healed when their workload has as many ready pods as
/// before. A pod that no controller brings back is made anew from its manifest, which a ConfigMap keeps meanwhile; where
/// it runs is then decided anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodDelete {
    /// A target of kind `kubernetes`: pods.
    pub target: TargetRef,
    /// How long they have to end, in whole seconds; the pod's own time if not given. `0s` is without grace: the object is
    /// gone at once, and what runs is killed when its node hears of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Dur>,
}

impl Fault for PodDelete {
    const KIND: &'static str = "pod_delete";
    const SUMMARY: &'static str = "delete pods of a cluster, with or without grace";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    const SPLITS: bool = true;
    type Undo = Pods;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "on the cluster: get, list and delete pods; create pods and ConfigMaps for pods without a controller; get \
              workloads, list ReplicaSets"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "their controllers bring others; a pod without one is made anew from its manifest".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Pods, FaultError> {
        Pods::of(&self.target, cx).await
    }

    async fn rehearse(&self, undo: &Pods, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.take(Way::Delete, seconds(self.grace), Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Pods, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.take(Way::Delete, seconds(self.grace), Write::Real, cx).await
    }

    async fn effective(&self, undo: &Pods, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.are_gone(cx).await
    }

    async fn heal(&self, undo: &Pods, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.bring_back(cx).await
    }

    async fn healed(&self, undo: &Pods, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.are_back(cx).await
    }

    fn by_hand(&self, undo: &Pods) -> String {
        undo.by_hand()
    }

    fn touched(&self, undo: &Pods) -> Vec<String> {
        undo.touched()
    }

    fn rights(&self) -> Vec<Right> {
        rights(&self.target, &Resource::Itself(None), "delete")
    }

    fn home(undo: &Pods) -> Option<&Home> {
        Some(&undo.home)
    }
}
