//! A node for each pod that has none: ready, open, tolerated, chosen by its labels, and with the fewest pods.

use super::condition;
use crate::double::State;
use crate::double::json::{active, at, ending, has, items, name, namespace, ready, set, text};
use crate::double::select::{chooses, expression};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

pub fn tick(state: &mut State) {
    let (pods, nodes) = (state.store.kind("", "pods"), state.store.kind("", "nodes"));
    let free = |p: &Value| text(p, "/spec/nodeName").is_empty() && active(p);
    let waiting: Vec<_> = state.store.all(pods, None).into_iter().filter(|p| free(p)).collect();
    if waiting.is_empty() {
        return;
    }
    let nodes = state.store.all(nodes, None);
    let mut placed: Vec<Arc<Value>> = state.store.all(pods, None);
    placed.retain(|p| !text(p, "/spec/nodeName").is_empty() && active(p));
    let mut load: HashMap<String, (usize, HashMap<String, usize>)> = HashMap::new();
    for pod in &placed {
        count(&mut load, pod, text(pod, "/spec/nodeName"));
    }
    for pod in waiting {
        let key = state.store.key_of(pods, &pod);
        let fit = nodes.iter().filter(|n| takes(n, &pod) && !apart(n, &pod, &placed));
        let of = |n: &Arc<Value>| {
            let (all, own) =
                load.get(name(n)).map_or((0, 0), |(all, own)| (*all, own.get(&kin(&pod)).copied().unwrap_or(0)));
            (own, all, name(n).to_owned())
        };
        match fit.min_by_key(|n| of(n)) {
            Some(node) => {
                let node = name(node).to_owned();
                let bound = state.store.change(&key, |p| {
                    set(p, &["spec", "nodeName"], node.clone());
                    condition(p, "PodScheduled", "True", "", "");
                });
                count(&mut load, &pod, &node);
                placed.extend(bound);
            }
            None => {
                let why = format!("0/{} nodes are available", nodes.len());
                state.store.change(&key, |p| condition(p, "PodScheduled", "False", "Unschedulable", &why));
            }
        }
    }
}

fn kin(pod: &Value) -> String {
    text(pod, "/metadata/ownerReferences/0/uid").to_owned()
}

fn count(load: &mut HashMap<String, (usize, HashMap<String, usize>)>, pod: &Value, node: &str) {
    let entry = load.entry(node.to_owned()).or_default();
    entry.0 += 1;
    *entry.1.entry(kin(pod)).or_default() += 1;
}

/// Does a pod tolerate a taint?
pub fn tolerates(pod: &Value, taint: &Value) -> Option<Value> {
    let fits = |t: &&Value| {
        let effect = text(t, "/effect").is_empty() || text(t, "/effect") == text(taint, "/effect");
        let key = text(t, "/key") == text(taint, "/key");
        let exists = text(t, "/operator") == "Exists";
        let value = exists || text(t, "/value") == text(taint, "/value");
        effect && ((exists && text(t, "/key").is_empty()) || (key && value))
    };
    items(pod, "/spec/tolerations").iter().find(fits).cloned()
}

/// May a pod be on a node?
pub fn takes(node: &Value, pod: &Value) -> bool {
    let shut = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    let open = at(node, "/spec/unschedulable") != &Value::Bool(true) || tolerates(pod, &shut).is_some();
    let taints = items(node, "/spec/taints").iter();
    let mut bad = taints.filter(|t| text(t, "/effect") != "PreferNoSchedule" && tolerates(pod, t).is_none());
    ready(node) && !ending(node) && open && bad.next().is_none() && suits(node, pod)
}

/// Do a node's labels fit what a pod selects?
pub fn suits(node: &Value, pod: &Value) -> bool {
    let labels = at(node, "/metadata/labels");
    let wanted = at(pod, "/spec/nodeSelector").as_object();
    let terms = at(pod, "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    let term = |t: &Value| {
        let field = |e: &Value| items(e, "/values").iter().any(|v| v == name(node));
        items(t, "/matchExpressions").iter().all(|e| expression(e, labels))
            && items(t, "/matchFields").iter().all(field)
    };
    wanted.is_none_or(|w| w.iter().all(|(k, v)| labels.get(k) == Some(v)))
        && terms.as_array().is_none_or(|all| all.iter().any(term))
}

/// Must a pod be apart from one that is there (required anti-affinity)?
fn apart(node: &Value, pod: &Value, placed: &[Arc<Value>]) -> bool {
    let rules = items(pod, "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution");
    let near = |rule: &Value, other: &Value| {
        let topology = text(rule, "/topologyKey");
        let same = text(other, "/spec/nodeName") == name(node);
        (topology == "kubernetes.io/hostname" || !topology.is_empty())
            && same
            && namespace(other) == namespace(pod)
            && has(rule, "/labelSelector")
            && chooses(at(rule, "/labelSelector"), at(other, "/metadata/labels"))
    };
    rules.iter().any(|rule| placed.iter().any(|other| near(rule, other)))
}
