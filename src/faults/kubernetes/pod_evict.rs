//! Evicts pods as `kubectl drain` does: disruption budgets are asked, and what they refuse is not forced.

use super::Home;
use super::pods::{Pods, Way, rights, seconds};
use crate::adapters::kubernetes::Write;
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Dur, Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Evicts pods, the very ones that were found, by uid. A PodDisruptionBudget that does not allow it is an error that names
/// it, and what was evicted before comes back. It is healed as `pod_delete` is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodEvict {
    /// A target of kind `kubernetes`: pods.
    pub target: TargetRef,
    /// How long they have to end, in whole seconds; the pod's own time if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Dur>,
}

impl Fault for PodEvict {
    const KIND: &'static str = "pod_evict";
    const SUMMARY: &'static str = "evict pods of a cluster, as far as disruption budgets allow";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    const SPLITS: bool = true;
    type Undo = Pods;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "on the cluster: get and list pods, create `pods/eviction`; list PodDisruptionBudgets; create pods and \
              ConfigMaps for pods without a controller; get workloads, list ReplicaSets"
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
        undo.take(Way::Evict, seconds(self.grace), Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Pods, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.take(Way::Evict, seconds(self.grace), Write::Real, cx).await
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
        let mut all = rights(&self.target, &Resource::Itself(Some("eviction".to_owned())), "create");
        let budgets = Resource::Namespaced("policy".to_owned(), "poddisruptionbudgets".to_owned());
        all.extend(Right::each(&self.target, &budgets, &["list"]));
        all
    }

    fn home(undo: &Pods) -> Option<&Home> {
        Some(&undo.home)
    }
}
