//! Takes zones away: every node cordoned, emptied, and closed by a taint. Healing opens them again, and is done when the
//! workloads that lost pods have as many ready ones as before.

use super::emptying::{self, Budgets, Emptying, Loss};
use super::lost::known;
use super::nodes::{self, Effect, Node, Taint, Undo};
use super::{Held, Home};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Flow, Object, Query};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Dur, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The taint's key; its value is the fault's tag.
const KEY: &str = "blackstart.dev/zone-lost";
/// The label of a node's zone, and the one that older clusters have.
const ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// Takes every node of one or several zones away: cordoned, emptied, and closed by a `NoExecute` taint of ours, so that
/// nothing but what tolerates everything is left. With `budgets: honour` pods are evicted first and the taint comes when
/// the nodes are empty; with `ignore` it comes at once and pods are deleted, as when the zone's power fails. The machines
/// themselves go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneLoss {
    /// A target of kind `kubernetes`: all nodes of the zones.
    pub target: TargetRef,
    /// Whether PodDisruptionBudgets are honoured; `honour` if not given.
    #[serde(default)]
    pub budgets: Budgets,
    /// How long pods have to end; their own grace period if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Dur>,
    /// So long it may take until all pods are gone; 5m if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl ZoneLoss {
    fn emptying(&self) -> Emptying {
        Emptying { budgets: self.budgets, grace: self.grace, timeout: self.timeout }
    }
}

fn zone(node: &Object) -> Option<&str> {
    ZONE.iter().find_map(|label| node.label(label))
}

/// A zone is lost as a whole: it is an error if nodes of it are not meant.
async fn whole(nodes: &[(Node, Object)], cx: &Cx<'_>) -> Result<(), FaultError> {
    let Some((first, _)) = nodes.first() else { return Ok(()) };
    let (meant, mut zones) = (nodes.iter().map(|(_, node)| node.uid()).collect::<BTreeSet<_>>(), BTreeSet::new());
    for (_, node) in nodes {
        let Some(zone) = zone(node) else {
            let why = format!("node {} is in no zone: it has no label {}", node.name(), ZONE[0]);
            return Err(AdapterError::Refused(why).into());
        };
        zones.insert(zone);
    }
    let query = Query { kind: known("node")?, namespace: None, labels: String::new(), fields: String::new() };
    let mut others = Vec::new();
    let mut each = |node: Object| {
        if zone(&node).is_some_and(|zone| zones.contains(zone)) && !meant.contains(node.uid()) && !node.ending() {
            others.push(node.name().to_owned());
        }
        Flow::On
    };
    first.held.cluster(cx).await?.list(&query, &mut each).await?;
    let zones: Vec<&str> = zones.into_iter().collect();
    if others.is_empty() {
        return Ok(());
    }
    let why = format!(
        "a zone is lost as a whole, and the target leaves out {} of {}; name the zone alone (`zone: {}`), or use \
         node_drain",
        others.join(", "),
        zones.join(", "),
        zones[0]
    );
    Err(AdapterError::Refused(why).into())
}

impl Fault for ZoneLoss {
    const KIND: &'static str = "zone_loss";
    const SUMMARY: &'static str = "take zones of a Kubernetes cluster away: every node closed and emptied";
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
        "the nodes are opened again; the pods' controllers have made new ones".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let found = nodes::nodes(&self.target, cx).await?;
        whole(&found, cx).await?;
        let taint = Taint { key: KEY.to_owned(), value: cx.owner.tag(), effect: Effect::NoExecute };
        let nodes: Vec<Node> = found.into_iter().map(|(node, _)| node).collect();
        let mut undo = Undo::of(&self.target, nodes, cx).await?;
        emptying::survey(&mut undo, Loss::Lost(&taint), cx).await?;
        undo.taint = Some(taint);
        Ok(undo)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.rehearse(cx).await?;
        let nodes: Vec<Held> = undo.nodes.iter().map(|node| node.held.clone()).collect();
        self.emptying().rehearse(&nodes, undo, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        // The cluster asks no budget about what a taint drives out.
        let at_once = undo.taint.as_ref().filter(|_| self.budgets == Budgets::Ignore);
        undo.change(at_once, cx).await?;
        self.emptying().empty(undo, cx).await?;
        undo.change(undo.taint.as_ref(), cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let closed = undo.changed(cx).await?;
        let mut looks = vec![closed, self.emptying().emptied(undo, cx).await?];
        if let Some(taint) = undo.taint.as_ref().filter(|_| looks.iter().all(|look| look.holds)) {
            looks.push(emptying::driven_out(undo, taint, cx).await?);
        }
        let holds = looks.iter().all(|look| look.holds);
        let details: Vec<String> = looks.into_iter().map(|look| look.detail).collect();
        Ok(Look { holds, detail: details.join(", ") })
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
