//! What faults on nodes share: which nodes, what of them is changed (a cordon, a taint of ours), whether it is there, and
//! whether it is off again. How nodes are emptied of pods is `emptying`'s.

use super::lost::{self, Workload};
use super::{Held, Home, Now, OWNER_LABEL, home, kubectl, mark, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Object, Write};
use crate::faults::{Cx, FaultError, Look, word};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// In a rehearsal so many nodes are tried; what holds for them holds for all.
const TRIED: usize = 20;

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    /// They are deleted, and no new ones come.
    #[default]
    NoExecute,
    /// No new ones come.
    NoSchedule,
    /// New ones come only where there is no other place.
    PreferNoSchedule,
}

impl Effect {
    fn name(self) -> &'static str {
        match self {
            Self::NoExecute => "NoExecute",
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
        }
    }
}

/// A taint of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// What is changed of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The very node.
    pub held: Held,
    /// Is it cordoned by us? One that was already is left as it is.
    pub cordon: bool,
    /// Pods that it loses.
    pub pods: usize,
}

/// The state before, of everything that a fault on nodes touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The taint that they get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<Taint>,
    /// The workloads that lose pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<Workload>,
}

/// What changing nodes needs.
pub(super) fn rights(target: &TargetRef) -> Vec<Right> {
    Right::each(target, &Resource::Itself(None), &["get", "list", "patch"])
}

impl Taint {
    /// The taint as it stands on a node: by key and effect, as the server tells them apart.
    pub(super) fn on<'a>(&self, node: &'a Object) -> Option<&'a Value> {
        let text = |taint: &Value, name: &str| taint.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let same = |taint: &&Value| text(taint, "key") == self.key && text(taint, "effect") == self.effect.name();
        node.items("/spec/taints").iter().find(same)
    }

    /// Is it there with our value?
    pub(super) fn is_on(&self, node: &Object) -> bool {
        self.on(node).is_some_and(|taint| taint.get("value").and_then(Value::as_str) == Some(&self.value))
    }

    fn meant(&self, toleration: &Value) -> bool {
        let text = |name: &str| toleration.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = match text("operator") {
            "Exists" => ["", &*self.key].contains(&text("key")),
            "" | "Equal" => text("key") == self.key && text("value") == self.value,
            _ => text("key") == self.key,
        };
        value && ["", self.effect.name()].contains(&text("effect"))
    }

    /// Does a pod stay for good under it?
    pub(super) fn tolerated(&self, pod: &Object) -> bool {
        let for_good = |t: &Value| self.meant(t) && t.get("tolerationSeconds").is_none();
        pod.items("/spec/tolerations").iter().any(for_good)
    }

    /// Does it stay for some time?
    pub(super) fn tolerated_for_a_while(&self, pod: &Object) -> bool {
        let some = |t: &Value| t.get("tolerationSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds > 0);
        pod.items("/spec/tolerations").iter().any(|toleration| self.meant(toleration) && some(toleration))
    }
}

impl Node {
    fn change(&self, taint: Option<&Taint>, object: &Object) -> Result<Value, FaultError> {
        let mut spec = json!({});
        if self.cordon {
            spec["unschedulable"] = true.into();
        }
        if let Some(taint) = taint.filter(|taint| !taint.is_on(object)) {
            if let Some(foreign) = taint.on(object) {
                let why = format!("{} has the taint {foreign} meanwhile, and it is not ours", self.held.at());
                return Err(AdapterError::Refused(why).into());
            }
            let mut taints = object.items("/spec/taints").to_vec();
            taints.push(json!({"key": taint.key, "value": taint.value, "effect": taint.effect.name()}));
            spec["taints"] = taints.into();
        }
        Ok(json!({"spec": spec}))
    }

    fn put_back(&self, taint: Option<&Taint>, tag: &str, object: &Object) -> Option<Value> {
        let marked = mark::of(object, tag) == mark::Mark::Ours;
        let mut spec = json!({});
        if self.cordon && marked {
            spec["unschedulable"] = Value::Null;
        }
        // One with our tag as its value is ours, whatever became of the mark.
        if let Some(taint) = taint.filter(|taint| (marked || taint.value == tag) && taint.is_on(object)) {
            let ours = taint.on(object);
            let rest: Vec<&Value> = object.items("/spec/taints").iter().filter(|one| Some(*one) != ours).collect();
            spec["taints"] = if rest.is_empty() { Value::Null } else { json!(rest) };
        }
        Some(json!({"spec": spec}))
    }
}

fn cordoned(node: &Object) -> bool {
    node.0.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true)
}

/// The nodes of a target as they are now; it is an error if one is no node, or under another fault.
pub(super) async fn nodes(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<(Node, Object)>, FaultError> {
    let mut nodes = Vec::new();
    for held in objects(target, cx).await? {
        if held.object.kind != "Node" {
            let why = format!("{} of `{}` is no node: write `kind: node`", held.at(), target.name());
            return Err(FaultError::Reference(why));
        }
        let Now::Same(object) = held.now(cx).await? else {
            return Err(FaultError::NothingToBreak(format!("{} of `{}` is gone", held.at(), target.name())));
        };
        mark::free(&object, &held.at())?;
        nodes.push((Node { held, cordon: !cordoned(&object), pods: 0 }, object));
    }
    Ok(nodes)
}

impl Undo {
    /// Nodes that will be changed, before it is known what they lose.
    pub(super) async fn of(target: &TargetRef, nodes: Vec<Node>, cx: &Cx<'_>) -> Result<Self, FaultError> {
        Ok(Self { home: home(target, cx).await?, nodes, taint: None, workloads: Vec::new() })
    }

    /// Cordons and taints, as asked. Nodes that are gone or replaced are not touched: the look will say so.
    pub(super) async fn change(&self, taint: Option<&Taint>, cx: &Cx<'_>) -> Result<(), FaultError> {
        for node in &self.nodes {
            if matches!(node.held.now(cx).await?, Now::Same(_)) {
                mark::change(&node.held, &cx.owner.tag(), Write::Real, cx, |now| node.change(taint, now)).await?;
            }
        }
        Ok(())
    }

    /// The same, tried by the server.
    pub(super) async fn rehearse(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        for node in self.nodes.iter().take(TRIED) {
            let taint = self.taint.as_ref();
            mark::change(&node.held, &cx.owner.tag(), Write::Dry, cx, |now| node.change(taint, now)).await?;
        }
        Ok(())
    }

    /// Is every node as the fault makes it?
    pub(super) async fn changed(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut not = Vec::new();
        for node in &self.nodes {
            let at = node.held.at();
            match node.held.now(cx).await? {
                Now::Gone => not.push(format!("{at} is gone")),
                Now::Replaced(_) => not.push(format!("{at} was replaced")),
                Now::Same(now) if node.cordon && !cordoned(&now) => not.push(format!("{at} is schedulable")),
                Now::Same(now) if self.taint.as_ref().is_some_and(|taint| !taint.is_on(&now)) => {
                    not.push(format!("{at} has no taint of ours"));
                }
                Now::Same(_) => {}
            }
        }
        let (all, detail) = (self.nodes.len(), not.join(", "));
        let what = if self.taint.is_some() { "closed by our taint" } else { "cordoned" };
        let done = format!("{all} {} {what}", if all == 1 { "node is" } else { "nodes are" });
        Ok(Look { holds: not.is_empty(), detail: if not.is_empty() { done } else { detail } })
    }

    /// Takes everything of ours off every node; one that fails does not keep the others broken.
    pub(super) async fn heal(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (tag, mut failed) = (cx.owner.tag(), None);
        for node in self.nodes.iter().rev() {
            let back = |now: &Object| node.put_back(self.taint.as_ref(), &tag, now);
            failed = mark::put_back(&node.held, &tag, cx, back).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Are the nodes as before, and have the workloads as many ready pods?
    pub(super) async fn healed(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (tag, mut not, mut gone) = (cx.owner.tag(), Vec::new(), 0);
        for node in &self.nodes {
            let (at, now) = (node.held.at(), node.held.now(cx).await?);
            gone += usize::from(!matches!(now, Now::Same(_)));
            let (Now::Same(object) | Now::Replaced(object)) = &now else { continue };
            let same = matches!(now, Now::Same(_));
            if same && node.cordon && cordoned(object) {
                not.push(format!("{at} is unschedulable, and was not"));
            }
            if self.taint.as_ref().is_some_and(|taint| taint.is_on(object) && (same || taint.value == tag)) {
                not.push(format!("{at} has our taint"));
            }
            if mark::of(object, &tag) == mark::Mark::Ours {
                not.push(format!("{at} carries our mark"));
            }
        }
        if !not.is_empty() {
            return Ok(Look { holds: false, detail: not.join(", ") });
        }
        let replaced = if gone > 0 { format!(" ({gone} are gone or were replaced)") } else { String::new() };
        let nodes = format!("every node is as before{replaced}");
        let Some(first) = self.nodes.first().filter(|_| !self.workloads.is_empty()) else {
            return Ok(Look { holds: true, detail: nodes });
        };
        let back = lost::back(&*first.held.cluster(cx).await?, &self.workloads, gone).await?;
        Ok(Look { holds: back.holds, detail: format!("{nodes}; {}", back.detail) })
    }

    /// The lines for people.
    pub(super) fn by_hand(&self) -> String {
        let Some(first) = self.nodes.first() else { return String::new() };
        let each = |filter: fn(&&Node) -> bool| {
            let names = self.nodes.iter().filter(filter).map(|node| word(&node.held.object.name));
            names.collect::<Vec<_>>().join(" ")
        };
        let (all, ours) = (each(|_| true), each(|node| node.cordon));
        let mut lines = Vec::new();
        if let Some(taint) = &self.taint {
            let taint = word(&format!("{}:{}-", taint.key, taint.effect.name()));
            lines.push(kubectl::at(&first.held, &format!("taint nodes {all} {taint}")));
        }
        if !ours.is_empty() {
            lines.push(kubectl::at(&first.held, &format!("uncordon {ours}")));
        }
        lines.push(kubectl::at(&first.held, &format!("label nodes {all} {OWNER_LABEL}-")));
        lines.push(kubectl::at(&first.held, &format!("annotate nodes {all} {}-", super::UNDO_ANNOTATION)));
        lines.join("; ")
    }

    /// For people: a node, and how many pods it loses.
    pub(super) fn touched(&self) -> Vec<String> {
        let one = |node: &Node| match node.pods {
            0 => kubectl::shown(&node.held.object),
            pods => format!("{}, which loses {pods} pods", kubectl::shown(&node.held.object)),
        };
        self.nodes.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(value: &str) -> Taint {
        Taint { key: "lost".to_owned(), value: value.to_owned(), effect: Effect::NoExecute }
    }

    #[test]
    fn a_pod_stays_under_a_taint_only_if_it_tolerates_it_for_good() {
        let pod = |tolerations: Value| Object(json!({"spec": {"tolerations": tolerations}}));
        for (tolerations, stays) in [
            (json!([]), false),
            (json!([{"operator": "Exists"}]), true),
            (json!([{"operator": "Exists", "effect": "NoSchedule"}]), false),
            (json!([{"operator": "Exists", "effect": "NoExecute"}]), true),
            (json!([{"key": "lost", "value": "x"}]), true),
            (json!([{"key": "lost", "operator": "Equal", "value": "y"}]), false),
            (json!([{"key": "lost", "operator": "Exists", "tolerationSeconds": 300}]), false),
            (json!([{"key": "other", "operator": "Exists"}]), false),
        ] {
            assert_eq!(taint("x").tolerated(&pod(tolerations.clone())), stays, "{tolerations}");
        }
    }

    #[test]
    fn only_a_taint_with_our_value_is_ours() {
        let node = |value: &str| {
            Object(json!({"spec": {"taints": [
                {"key": "lost", "value": value, "effect": "NoExecute"}, {"key": "lost", "value": "x", "effect": "NoSchedule"},
            ]}}))
        };
        assert!(taint("x").is_on(&node("x")) && !taint("x").is_on(&node("y")) && taint("x").on(&node("y")).is_some());
        assert!(taint("x").on(&Object(json!({}))).is_none());
    }
}
