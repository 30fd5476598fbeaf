//! Drains nodes: cordons them, and makes their pods go elsewhere. Healing uncordons them, and is done when the workloads
//! that lost pods have as many ready ones as before.

use super::emptying::{self, Budgets, Emptying, Loss, Unmanaged};
use super::nodes::{self, Undo};
use super::{Held, Home};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Dur, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cordons nodes and evicts their pods, but those of DaemonSets and those that the node runs by itself. Pods that are
/// done stay. Pods of workloads that came to a node after the drill had looked are left, and named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeDrain {
    /// A target of kind `kubernetes`: nodes.
    pub target: TargetRef,
    /// How long pods have to end; their own grace period if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Dur>,
    /// Whether PodDisruptionBudgets are honoured; `honour` if not given.
    #[serde(default)]
    pub budgets: Budgets,
    /// So long it may take until all pods are gone; 5m if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// What becomes of pods that nobody would make again; `refuse` if not given.
    #[serde(default)]
    pub unmanaged: Unmanaged,
}

impl NodeDrain {
    fn emptying(&self) -> Emptying {
        Emptying { budgets: self.budgets, grace: self.grace, timeout: self.timeout }
    }
}

impl Fault for NodeDrain {
    const KIND: &'static str = "node_drain";
    const SUMMARY: &'static str = "drain nodes of a Kubernetes cluster, within disruption budgets or not";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    const BREAKS_OFF: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to patch nodes, and to evict or delete pods in every namespace".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        [nodes::rights(&self.target), emptying::rights(&self.target, self.budgets)].concat()
    }

    fn way_back(&self) -> String {
        "the nodes are uncordoned; the pods' controllers have made new ones".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let found: Vec<nodes::Node> = nodes::nodes(&self.target, cx).await?.into_iter().map(|(node, _)| node).collect();
        let mut undo = Undo::of(&self.target, found, cx).await?;
        emptying::survey(&mut undo, Loss::Emptied(self.unmanaged), cx).await?;
        if undo.nodes.iter().all(|node| !node.cordon && node.pods == 0) {
            let why = format!("every node of `{}` is cordoned and empty already", self.target.name());
            return Err(FaultError::NothingToBreak(why));
        }
        Ok(undo)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.rehearse(cx).await?;
        let nodes: Vec<Held> = undo.nodes.iter().map(|node| node.held.clone()).collect();
        self.emptying().rehearse(&nodes, undo, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.change(None, cx).await?;
        self.emptying().empty(undo, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let closed = undo.changed(cx).await?;
        let empty = self.emptying().emptied(undo, cx).await?;
        Ok(Look { holds: closed.holds && empty.holds, detail: format!("{}, {}", closed.detail, empty.detail) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.heal(cx).await
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.healed(cx).await
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.by_hand()
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.touched()
    }
}
