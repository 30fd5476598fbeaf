//! How nodes are emptied: which of their pods go, and how they are made to, within disruption budgets or without regard to
//! them. Only pods whose workloads the drill has counted before are touched: what came meanwhile is left, and named.

use super::lost::{self, Tops, Workload, known};
use super::nodes::{Node, Taint, Undo};
use super::{Held, selector};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, Cluster, ClusterError, Deletion, Flow, Object, Query, Write};
use crate::faults::{Cx, FaultError, Look};
use crate::model::{Dur, Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds.
const AGAIN: Duration = Duration::from_millis(250);
/// If the playbook does not say how long emptying may take.
const TIMEOUT: Duration = Duration::from_secs(300);
/// More nodes than this are asked for in one list of all pods.
const EACH: usize = 8;
/// In a rehearsal so many evictions are tried.
const TRIED: usize = 20;
/// So many names stand in a sentence.
const NAMED: usize = 5;

/// What becomes of PodDisruptionBudgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Budgets {
    /// Pods are evicted as budgets allow; what they do not allow is tried again until the time-out.
    #[default]
    Honour,
    /// Pods are deleted, as when the machine is lost.
    Ignore,
}

/// What becomes of pods that nobody would make again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmanaged {
    /// The fault is refused if there is one.
    #[default]
    Refuse,
    /// They are left where they are.
    Leave,
}

/// What nodes lose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loss<'a> {
    /// What is evicted or deleted by us.
    Emptied(Unmanaged),
    /// What the cluster deletes because of a taint.
    Tainted(&'a Taint),
    /// Both.
    Lost(&'a Taint),
}

impl Loss<'_> {
    fn takes(self, pod: &Object) -> bool {
        match self {
            Self::Emptied(_) => !of_daemon_set(pod),
            Self::Tainted(taint) => !taint.tolerated(pod),
            Self::Lost(taint) => !taint.tolerated(pod) || (!of_daemon_set(pod) && lost::controller(pod).is_some()),
        }
    }
}

/// How nodes are emptied.
pub(super) struct Emptying {
    pub budgets: Budgets,
    pub grace: Option<Dur>,
    pub timeout: Option<Dur>,
}

/// What emptying nodes needs.
pub(super) fn rights(target: &TargetRef, budgets: Budgets) -> Vec<Right> {
    let everywhere = |group: &str, plural: &str| Resource::Everywhere(group.to_owned(), plural.to_owned());
    let mut rights = lost::rights(target, Resource::Everywhere);
    rights.extend(Right::each(target, &everywhere("", "namespaces"), &["get"]));
    if budgets == Budgets::Honour {
        rights.extend(Right::each(target, &everywhere("", "pods/eviction"), &["create"]));
        rights.extend(Right::each(target, &everywhere("policy", "poddisruptionbudgets"), &["list"]));
    } else {
        rights.extend(Right::each(target, &everywhere("", "pods"), &["delete"]));
    }
    rights
}

/// Does the node itself run it, with no word of the server?
fn mirror(pod: &Object) -> bool {
    pod.annotation("kubernetes.io/config.mirror").is_some()
}

fn finished(pod: &Object) -> bool {
    ["Succeeded", "Failed"].contains(&pod.text("/status/phase"))
}

fn of_daemon_set(pod: &Object) -> bool {
    lost::controller(pod).is_some_and(|controller| controller.kind == "DaemonSet")
}

/// The pods that are on nodes.
pub(super) async fn on(cluster: &dyn Cluster, nodes: &[&str]) -> Result<Vec<Object>, FaultError> {
    let mut pods = Vec::new();
    let fields: Vec<String> = match nodes.len() {
        0..=EACH => nodes.iter().map(|node| format!("spec.nodeName={node}")).collect(),
        _ => vec![String::new()],
    };
    for fields in fields {
        let query = Query { kind: known("pod")?, namespace: None, labels: String::new(), fields };
        let mut each = |pod: Object| {
            if nodes.contains(&pod.text("/spec/nodeName")) {
                pods.push(pod);
            }
            Flow::On
        };
        cluster.list(&query, &mut each).await?;
    }
    Ok(pods)
}

/// Is the namespace of a pod being removed?
async fn namespace_ends(cluster: &dyn Cluster, pod: &Object) -> bool {
    let (Ok(kind), Some(name)) = (known("namespace"), pod.namespace()) else { return false };
    matches!(cluster.get(&kind.at(None, name)).await, Ok(Some(namespace)) if namespace.ending())
}

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| &*node.held.object.name).collect()
}

fn listed(pods: &[String]) -> String {
    match pods.len() {
        0..=NAMED => pods.join(", "),
        all => format!("{} and {} more", pods[..NAMED].join(", "), all - NAMED),
    }
}

fn shown(pod: &Object) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name())
}

/// Counts what nodes will lose, before anything is touched.
pub(super) async fn survey(undo: &mut Undo, loss: Loss<'_>, cx: &Cx<'_>) -> Result<(), FaultError> {
    let Some(first) = undo.nodes.first() else { return Ok(()) };
    let cluster = first.held.cluster(cx).await?;
    let mut lost = on(&*cluster, &names(&undo.nodes)).await?;
    lost.retain(|pod| !mirror(pod) && !finished(pod) && !pod.ending());
    lost.retain(|pod| loss.takes(pod));
    let bare: Vec<String> = lost.iter().filter(|pod| lost::controller(pod).is_none()).map(shown).collect();
    if !bare.is_empty() && !matches!(loss, Loss::Emptied(Unmanaged::Leave)) {
        let mend = match loss {
            Loss::Emptied(_) => "write `unmanaged: leave` to leave them where they are",
            Loss::Tainted(_) | Loss::Lost(_) => "move them away before, or give them a toleration",
        };
        let why = format!("nobody would make these pods again: {}; {mend}", listed(&bare));
        return Err(AdapterError::Refused(why).into());
    }
    lost.retain(|pod| lost::controller(pod).is_some());
    for node in &mut undo.nodes {
        node.pods = lost.iter().filter(|pod| pod.text("/spec/nodeName") == node.held.object.name).count();
    }
    undo.workloads = lost::workloads(&*cluster, &lost).await?;
    Ok(())
}

/// What of the nodes' pods has to go, and what has come since the drill looked.
struct Left {
    going: Vec<Object>,
    strange: Vec<String>,
}

async fn left(cluster: &dyn Cluster, nodes: &[&str], workloads: &[Workload]) -> Result<Left, FaultError> {
    let mut pods = on(cluster, nodes).await?;
    pods.retain(|pod| !mirror(pod) && !finished(pod) && !of_daemon_set(pod) && lost::controller(pod).is_some());
    let tops = Tops::of(cluster, &lost::namespaces(pods.iter())).await?;
    let counted: BTreeSet<&str> = workloads.iter().map(|workload| &*workload.object.uid).collect();
    let is_counted = |pod: &Object| tops.top(pod).is_some_and(|top| counted.contains(&*top.uid));
    let (going, strange): (Vec<Object>, Vec<Object>) = pods.into_iter().partition(is_counted);
    Ok(Left { going, strange: strange.iter().map(shown).collect() })
}

impl Emptying {
    fn deletion(&self, pod: &Object) -> Deletion {
        let grace = self.grace.map(|grace| u32::try_from(grace.0.as_secs()).unwrap_or(u32::MAX));
        Deletion { uid: Some(pod.uid().to_owned()), grace, propagation: None }
    }

    /// Makes one pod go; the server's words if a budget does not allow it now.
    async fn remove(&self, cluster: &dyn Cluster, pod: &Object, write: Write) -> Result<Option<String>, FaultError> {
        let (at, how) = (pod.at(&known("pod")?), self.deletion(pod));
        let done = match self.budgets {
            Budgets::Honour => cluster.evict(&at, &how, write).await,
            Budgets::Ignore => cluster.delete(&at, &how, write).await,
        };
        match done {
            // Gone, or another one by now.
            Ok(()) | Err(ClusterError::Missing(_) | ClusterError::Conflict(_)) => Ok(None),
            Err(ClusterError::Blocked(why)) => Ok(Some(why)),
            // The pods of a namespace that is being removed go by themselves, and nobody may evict them.
            Err(ClusterError::Forbidden(_)) if namespace_ends(cluster, pod).await => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Empties nodes, and waits until the pods are gone.
    pub(super) async fn empty(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(first) = undo.nodes.first() else { return Ok(()) };
        let (cluster, clock) = (first.held.cluster(cx).await?, &cx.world.clock);
        let nodes = self.there(undo, cx).await?;
        let until = clock.mono().after(self.timeout.map_or(TIMEOUT, |timeout| timeout.0));
        loop {
            let left = left(&*cluster, &nodes, &undo.workloads).await?;
            if left.going.is_empty() {
                return Ok(());
            }
            let mut blocked = BTreeMap::new();
            for pod in left.going.iter().filter(|pod| !pod.ending()) {
                if let Some(why) = self.remove(&*cluster, pod, Write::Real).await? {
                    blocked.insert(shown(pod), (pod, why));
                }
            }
            if clock.mono() >= until {
                return Err(self.too_long(&cluster, &left.going, &blocked).await);
            }
            clock.sleep_until(clock.mono().after(AGAIN)).await;
        }
    }

    /// Nodes that are still the very ones: pods of another node of the same name are not ours to remove.
    async fn there<'u>(&self, undo: &'u Undo, cx: &Cx<'_>) -> Result<Vec<&'u str>, FaultError> {
        let mut there = Vec::new();
        for node in &undo.nodes {
            if matches!(node.held.now(cx).await?, super::Now::Same(_)) {
                there.push(&*node.held.object.name);
            }
        }
        Ok(there)
    }

    async fn too_long(
        &self,
        cluster: &Arc<dyn Cluster>,
        going: &[Object],
        blocked: &BTreeMap<String, (&Object, String)>,
    ) -> FaultError {
        let limit = self.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        let Some((name, (pod, why))) = blocked.iter().next() else {
            let pods: Vec<String> = going.iter().map(shown).collect();
            let text = format!("after {limit:?} these pods are still there, though they shall end: {}", listed(&pods));
            return AdapterError::TimedOut(text).into();
        };
        let budgets = budgets_of(&**cluster, pod).await.unwrap_or_default();
        let who = if budgets.is_empty() { why.clone() } else { budgets.join(", ") };
        let pods: Vec<String> = blocked.keys().cloned().collect();
        let text = format!(
            "after {limit:?} the eviction of {} is not allowed: {name} is held by {who}; raise `timeout`, let more \
             pods run, or write `budgets: ignore`",
            listed(&pods)
        );
        AdapterError::TimedOut(text).into()
    }

    /// Are all pods gone that had to go?
    pub(super) async fn emptied(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Some(first) = undo.nodes.first() else {
            return Ok(Look { holds: false, detail: "there is no node".to_owned() });
        };
        let cluster = first.held.cluster(cx).await?;
        let left = left(&*cluster, &names(&undo.nodes), &undo.workloads).await?;
        let going: Vec<String> = left.going.iter().map(shown).collect();
        let mut detail = match going.len() {
            0 => format!("{} pods are gone", undo.nodes.iter().map(|node| node.pods).sum::<usize>()),
            _ => format!("still there: {}", listed(&going)),
        };
        if !left.strange.is_empty() {
            detail = format!("{detail}; came after the drill had looked, and left: {}", listed(&left.strange));
        }
        Ok(Look { holds: going.is_empty(), detail })
    }

    /// Evictions or deletions, tried by the server; that a budget does not allow one now is no refusal.
    pub(super) async fn rehearse(&self, nodes: &[Held], undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(first) = nodes.first() else { return Ok(()) };
        let cluster = first.cluster(cx).await?;
        let left = left(&*cluster, &names(&undo.nodes), &undo.workloads).await?;
        for pod in left.going.iter().take(TRIED) {
            let _not_now = self.remove(&*cluster, pod, Write::Dry).await?;
        }
        Ok(())
    }
}

/// The budgets that cover a pod, with what they allow now.
async fn budgets_of(cluster: &dyn Cluster, pod: &Object) -> Result<Vec<String>, FaultError> {
    let kind = cluster.kind("poddisruptionbudgets").await?;
    let query = Query {
        kind: kind.clone(),
        namespace: pod.namespace().map(str::to_owned),
        labels: String::new(),
        fields: String::new(),
    };
    let (labels, mut found) = (pod.labels(), Vec::new());
    let mut each = |budget: Object| {
        if selector::selects(budget.0.pointer("/spec/selector"), &labels) {
            let at: At = budget.at(&kind);
            let allowed = budget.number("/status/disruptionsAllowed").unwrap_or_default();
            found.push(format!("{at} (it allows {allowed} disruptions now)"));
        }
        Flow::On
    };
    cluster.list(&query, &mut each).await?;
    Ok(found)
}

/// Is what does not tolerate the taint gone, or ending? One that tolerates it for a while may stay for that long.
pub(super) async fn driven_out(undo: &Undo, taint: &Taint, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let Some(first) = undo.nodes.first() else {
        return Ok(Look { holds: false, detail: "there is no node".to_owned() });
    };
    let cluster = first.held.cluster(cx).await?;
    let mut pods = on(&*cluster, &names(&undo.nodes)).await?;
    pods.retain(|pod| !mirror(pod) && !finished(pod) && !pod.ending());
    pods.retain(|pod| !taint.tolerated(pod) && !taint.tolerated_for_a_while(pod));
    let pods: Vec<String> = pods.iter().map(shown).collect();
    let detail = match pods.len() {
        0 => "no pod is left that does not tolerate it".to_owned(),
        _ => format!("still there: {}", listed(&pods)),
    };
    Ok(Look { holds: pods.is_empty(), detail })
}
