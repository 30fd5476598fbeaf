//! Cordons nodes: no new pods come to them. Healing uncordons those that the fault has cordoned.

use super::Home;
use super::nodes::{self, Undo};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cordons nodes until it is healed. One that somebody has cordoned already is left as it is, and stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeCordon {
    /// A target of kind `kubernetes`: nodes.
    pub target: TargetRef,
}

impl Fault for NodeCordon {
    const KIND: &'static str = "node_cordon";
    const SUMMARY: &'static str = "cordon nodes of a Kubernetes cluster";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to patch nodes".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        nodes::rights(&self.target)
    }

    fn way_back(&self) -> String {
        "the nodes are uncordoned".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let found = nodes::nodes(&self.target, cx).await?;
        let open: Vec<nodes::Node> = found.into_iter().map(|(node, _)| node).filter(|node| node.cordon).collect();
        if open.is_empty() {
            let why = format!("every node of `{}` is cordoned already", self.target.name());
            return Err(FaultError::NothingToBreak(why));
        }
        Undo::of(&self.target, open, cx).await
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.rehearse(cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.change(None, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.changed(cx).await
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
