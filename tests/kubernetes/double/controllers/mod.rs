//! What makes a cluster of the API: controllers, a scheduler and nodes, one small step after the other under one lock,
//! so that a test sees each state that they write. Simplified: they see changes at once, scheduling knows taints, node
//! selectors and required pod anti-affinity only (no resources), containers start and stop as the settings say.

mod budgets;
mod deployments;
mod endpoints;
mod garbage;
mod jobs;
mod nodes;
mod replicasets;
mod scheduler;
mod stateful;

pub use nodes::restart;

use super::State;
use super::json::{controller, set};
use super::store::{Key, Store};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// One round of everything.
pub fn tick(state: &mut State) {
    state.waiting = false;
    deployments::tick(state);
    replicasets::tick(state);
    stateful::tick(state);
    jobs::tick(state);
    scheduler::tick(state);
    nodes::tick(state);
    endpoints::tick(state);
    budgets::tick(state);
    garbage::tick(state);
}

/// All pods by the uid of what controls them.
fn by_owner(store: &Store) -> HashMap<String, Vec<(Key, Arc<Value>)>> {
    let mut found: HashMap<String, Vec<(Key, Arc<Value>)>> = HashMap::new();
    for (key, pod) in store.range(store.kind("", "pods"), None) {
        if let Some((_, _, uid)) = controller(pod) {
            found.entry(uid.to_owned()).or_default().push((key.clone(), pod.clone()));
        }
    }
    found
}

/// A reference to what controls something.
fn reference(owner: &Value) -> Value {
    json!([{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}])
}

/// The annotations of a workload that its parts carry as well.
fn copied(owner: &Value) -> Value {
    let own = |key: &str| key.starts_with("deployment.kubernetes.io/") || key.starts_with("kubectl.kubernetes.io/last");
    let all = owner["metadata"]["annotations"].as_object();
    let kept = all.into_iter().flatten().filter(|(key, _)| !own(key));
    Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// A pod of a workload's template.
fn pod_of(owner: &Value, template: &Value, name: &str) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
    for part in ["labels", "annotations"] {
        if template["metadata"][part].is_object() {
            pod["metadata"][part] = template["metadata"][part].clone();
        }
    }
    set(&mut pod, &["metadata", "name"], name);
    set(&mut pod, &["metadata", "namespace"], owner["metadata"]["namespace"].clone());
    set(&mut pod, &["metadata", "ownerReferences"], reference(owner));
    pod
}

/// Writes a condition; its time changes with its status only.
pub fn condition(object: &mut Value, kind: &str, status: &str, reason: &str, message: &str) {
    let mut all = super::json::items(object, "/status/conditions").to_vec();
    let mut new = json!({"type": kind, "status": status, "lastTransitionTime": super::json::now()});
    for (field, word) in [("reason", reason), ("message", message)] {
        if !word.is_empty() {
            new[field] = json!(word);
        }
    }
    match all.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            if old["status"] == status {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = new;
        }
        None => all.push(new),
    }
    set(object, &["status", "conditions"], all);
}

/// `25%` of so many, or a number.
fn share(value: &Value, of: i64, up: bool) -> i64 {
    let percent = value.as_str().and_then(|t| t.strip_suffix('%')).and_then(|t| t.parse::<i64>().ok());
    match percent {
        Some(percent) if up => (percent * of + 99) / 100,
        Some(percent) => percent * of / 100,
        None => value.as_i64().unwrap_or(0),
    }
}
