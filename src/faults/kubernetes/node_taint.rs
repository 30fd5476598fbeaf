//! Taints nodes. Healing takes the taint off again, and no other.

use super::emptying::{self, Loss};
use super::nodes::{self, Effect, Taint, Undo};
use super::{Home, lost};
use crate::adapters::kubernetes::Object;
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives nodes a taint until it is healed. With `NoExecute` pods that do not tolerate it are deleted by the cluster,
/// those of DaemonSets too. A node that has a taint of that key and effect already is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeTaint {
    /// A target of kind `kubernetes`: nodes.
    pub target: TargetRef,
    /// The taint's key; `blackstart.dev/drill` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Template>,
    /// Its value; the fault's tag if not given, so that it cannot be mistaken for another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Template>,
    /// What it does; `NoExecute` if not given.
    #[serde(default)]
    pub effect: Effect,
}

impl NodeTaint {
    fn taint(&self, cx: &Cx<'_>) -> Result<Taint, FaultError> {
        let text = |template: &Option<Template>| template.as_ref().map(|t| cx.text(t)).transpose();
        let key = text(&self.key)?.unwrap_or_else(|| "blackstart.dev/drill".to_owned());
        let value = text(&self.value)?.unwrap_or_else(|| cx.owner.tag());
        Ok(Taint { key, value, effect: self.effect })
    }
}

impl Fault for NodeTaint {
    const KIND: &'static str = "node_taint";
    const SUMMARY: &'static str = "taint nodes of a Kubernetes cluster";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to patch nodes, and to list pods in every namespace".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        [nodes::rights(&self.target), lost::rights(&self.target, Resource::Everywhere)].concat()
    }

    fn way_back(&self) -> String {
        "the taint is taken off; the pods' controllers make new ones".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let taint = self.taint(cx)?;
        let free = |(node, object): (nodes::Node, Object)| {
            taint.on(&object).is_none().then_some(nodes::Node { cordon: false, ..node })
        };
        let found: Vec<nodes::Node> = nodes::nodes(&self.target, cx).await?.into_iter().filter_map(free).collect();
        if found.is_empty() {
            let why = format!("every node of `{}` has the taint {} already", self.target.name(), taint.key);
            return Err(FaultError::NothingToBreak(why));
        }
        let mut undo = Undo::of(&self.target, found, cx).await?;
        if taint.effect == Effect::NoExecute {
            emptying::survey(&mut undo, Loss::Tainted(&taint), cx).await?;
        }
        undo.taint = Some(taint);
        Ok(undo)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.rehearse(cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.change(undo.taint.as_ref(), cx).await
    }

    /// The taint is there, and what does not tolerate one that deletes pods is gone or ending.
    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let closed = undo.changed(cx).await?;
        match &undo.taint {
            Some(taint) if closed.holds && taint.effect == Effect::NoExecute => {
                let gone = emptying::driven_out(undo, taint, cx).await?;
                Ok(Look { holds: gone.holds, detail: format!("{}, {}", closed.detail, gone.detail) })
            }
            _ => Ok(closed),
        }
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
