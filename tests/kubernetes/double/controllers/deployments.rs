//! Deployments: one replica set per template, scaled up and down as `maxSurge` and `maxUnavailable` allow.

use super::{condition, reference, share};
use crate::double::State;
use crate::double::json::{
    annotation, at, controller, ending, has, int, name, namespace, now, set, since, take, text, uid,
};
use crate::double::store::Key;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

type Set = (Key, Arc<Value>);

pub fn tick(state: &mut State) {
    let (deployments, sets) = (state.store.kind("apps", "deployments"), state.store.kind("apps", "replicasets"));
    let mut owned: HashMap<String, Vec<Set>> = HashMap::new();
    for (key, set) in state.store.range(sets, None) {
        if let Some((_, _, uid)) = controller(set) {
            owned.entry(uid.to_owned()).or_default().push((key.clone(), set.clone()));
        }
    }
    for deployment in state.store.all(deployments, None) {
        if !ending(&deployment) {
            one(state, &deployment, owned.remove(uid(&deployment)).unwrap_or_default());
        }
    }
}

/// What a replica set's template is without what we added.
fn plain(template: &Value) -> Value {
    let mut template = template.clone();
    take(&mut template, &["metadata", "labels", HASH]);
    take(&mut template, &["metadata", "creationTimestamp"]);
    template
}

pub fn hash(template: &Value) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in plain(template).to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    (0..9).map(|i| char::from(letters[usize::try_from((hash >> (i * 6)) % 27).unwrap_or(0)])).collect()
}

fn one(state: &mut State, deployment: &Arc<Value>, mut sets: Vec<Set>) {
    let template = at(deployment, "/spec/template");
    let fits = |s: &Set| plain(at(&s.1, "/spec/template")) == plain(template);
    let paused = at(deployment, "/spec/paused") == &Value::Bool(true);
    let mut new = sets.iter().position(fits);
    let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
    if new.is_none() && !paused {
        let waits =
            recreate && sets.iter().any(|(_, s)| int(s, "/spec/replicas") > 0 || int(s, "/status/replicas") > 0);
        if waits {
            scale_all(state, &sets, 0);
        } else {
            sets.push(make(state, deployment));
            new = Some(sets.len() - 1);
        }
    }
    if let (Some(new), false) = (new, paused) {
        revise(state, deployment, &sets, new);
    }
    match new {
        Some(new) if recreate || paused => scale(state, &sets[new], int(deployment, "/spec/replicas")),
        Some(new) => roll(state, deployment, &sets, new),
        None => {}
    }
    status(state, deployment, &sets, new);
}

fn scale(state: &mut State, set_: &Set, replicas: i64) {
    state.store.change(&set_.0, |s| {
        if int(s, "/spec/replicas") != replicas {
            set(s, &["spec", "replicas"], replicas);
            set(s, &["metadata", "generation"], int(s, "/metadata/generation") + 1);
        }
    });
}

fn scale_all(state: &mut State, sets: &[Set], replicas: i64) {
    for set in sets {
        scale(state, set, replicas);
    }
}

fn make(state: &mut State, deployment: &Value) -> Set {
    let hash = hash(at(deployment, "/spec/template"));
    let kind = state.store.kind("apps", "replicasets");
    let own = format!("{}-{hash}", name(deployment));
    let mut spec = json!({"replicas": 0, "selector": deployment["spec"]["selector"],
        "template": deployment["spec"]["template"]});
    set(&mut spec, &["selector", "matchLabels", HASH], hash.clone());
    set(&mut spec, &["template", "metadata", "labels", HASH], hash);
    if has(deployment, "/spec/minReadySeconds") {
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"].clone();
    }
    let object = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": own,
        "namespace": namespace(deployment), "labels": spec["template"]["metadata"]["labels"],
        "ownerReferences": reference(deployment)}, "spec": spec, "status": {"replicas": 0}});
    let key = state.store.key(kind, namespace(deployment), &own);
    let made = state.bear(kind, object);
    (key, made)
}

/// The newest template has the highest revision.
fn revise(state: &mut State, deployment: &Value, sets: &[Set], new: usize) {
    let revision = |s: &Value| annotation(s, REVISION).and_then(|r| r.parse::<i64>().ok()).unwrap_or(0);
    let others = sets.iter().enumerate().filter(|(i, _)| *i != new).map(|(_, (_, s))| revision(s)).max().unwrap_or(0);
    let own = revision(&sets[new].1);
    let wanted = if own > others { own } else { others + 1 };
    state.store.change(&sets[new].0, |s| {
        for (field, value) in super::copied(deployment).as_object().into_iter().flatten() {
            set(s, &["metadata", "annotations", field], value.clone());
        }
        set(s, &["metadata", "annotations", REVISION], wanted.to_string());
    });
    let key = state.store.key_of(state.store.kind("apps", "deployments"), deployment);
    state.store.change(&key, |d| set(d, &["metadata", "annotations", REVISION], wanted.to_string()));
}

fn roll(state: &mut State, deployment: &Value, sets: &[Set], new: usize) {
    let replicas = int(deployment, "/spec/replicas");
    let surge = share(at(deployment, "/spec/strategy/rollingUpdate/maxSurge"), replicas, true);
    let mut unavailable = share(at(deployment, "/spec/strategy/rollingUpdate/maxUnavailable"), replicas, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    let wanted = |s: &Set| int(&s.1, "/spec/replicas");
    let total: i64 = sets.iter().map(wanted).sum();
    let own = wanted(&sets[new]);
    let grown = if own > replicas { replicas } else { own + (replicas + surge - total).clamp(0, replicas - own) };
    if grown != own {
        return scale(state, &sets[new], grown);
    }
    let available = |s: &Set| int(&s.1, "/status/availableReplicas");
    let missing = (own - available(&sets[new])).max(0);
    let mut spare = total - (replicas - unavailable) - missing;
    let old: Vec<&Set> = sets.iter().enumerate().filter(|(i, _)| *i != new).map(|(_, s)| s).collect();
    let mut left: HashMap<&Key, i64> = old.iter().map(|s| (&s.0, wanted(s))).collect();
    for set in &old {
        let sick = (wanted(set) - available(set)).clamp(0, spare.max(0));
        *left.entry(&set.0).or_default() -= sick;
        spare -= sick;
    }
    let serving: i64 = sets.iter().map(available).sum();
    let mut spare = (serving - (replicas - unavailable)).min(spare);
    for set in &old {
        let fewer = left[&set.0].clamp(0, spare.max(0));
        *left.entry(&set.0).or_default() -= fewer;
        spare -= fewer;
    }
    for set in &old {
        scale(state, set, left[&set.0]);
    }
}

fn status(state: &mut State, deployment: &Value, sets: &[Set], new: Option<usize>) {
    let sum = |field: &str| -> i64 { sets.iter().map(|(_, s)| int(s, field)).sum() };
    let own = |field: &str| new.map_or(0, |new| int(&sets[new].1, field));
    let wanted = int(deployment, "/spec/replicas");
    let (replicas, available) = (sum("/status/replicas"), sum("/status/availableReplicas"));
    let ready = sum("/status/readyReplicas");
    let updated = own("/status/replicas");
    let down = share(at(deployment, "/spec/strategy/rollingUpdate/maxUnavailable"), wanted, false);
    let key = state.store.key_of(state.store.kind("apps", "deployments"), deployment);
    let complete = updated == wanted && replicas == wanted && available == wanted && new.is_some();
    let generation = int(deployment, "/metadata/generation");
    state.store.change(&key, |d| {
        set(d, &["status", "observedGeneration"], generation);
        let counts = [
            ("replicas", replicas),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (wanted.max(replicas) - available).max(0)),
        ];
        for (field, count) in counts {
            if count == 0 {
                take(d, &["status", field]);
            } else {
                set(d, &["status", field], count);
            }
        }
        if available >= wanted - down {
            condition(d, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.");
        } else {
            let why = "Deployment does not have minimum availability.";
            condition(d, "Available", "False", "MinimumReplicasUnavailable", why);
        }
        progress(d, complete, [replicas, updated, available, generation]);
    });
    state.waiting |= !complete;
}

/// Whether the rollout goes on; after `progressDeadlineSeconds` without a change it does not.
fn progress(deployment: &mut Value, complete: bool, counts: [i64; 4]) {
    let said = format!("{counts:?}");
    let deadline = int(deployment, "/spec/progressDeadlineSeconds");
    let all = at(deployment, "/status/conditions").as_array().cloned().unwrap_or_default();
    let old = all.iter().find(|c| c["type"] == "Progressing").cloned().unwrap_or_default();
    if complete {
        condition(deployment, "Progressing", "True", "NewReplicaSetAvailable", "the replica set has progressed");
        return keep_update(deployment, &old, &said);
    }
    if at(deployment, "/spec/paused") == &Value::Bool(true) {
        condition(deployment, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
        return keep_update(deployment, &old, &said);
    }
    let stuck = text(&old, "/message").ends_with(&said) && text(&old, "/reason") != "NewReplicaSetAvailable";
    let late = stuck && since(text(&old, "/lastUpdateTime")).unwrap_or(0) >= deadline && deadline > 0;
    let over = text(&old, "/reason") == "ProgressDeadlineExceeded" && stuck;
    if late || over {
        let why = format!("no progress within the deadline {said}");
        condition(deployment, "Progressing", "False", "ProgressDeadlineExceeded", &why);
    } else {
        condition(
            deployment,
            "Progressing",
            "True",
            "ReplicaSetUpdated",
            &format!("the replica set is progressing {said}"),
        );
    }
    keep_update(deployment, &old, &said);
}

/// The time of the last progress stays while nothing changes.
fn keep_update(deployment: &mut Value, old: &Value, said: &str) {
    let all = deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for new in all.into_iter().flatten().filter(|c| c["type"] == "Progressing") {
        let same = new["reason"] == old["reason"] && new["message"] == old["message"];
        let stuck = text(old, "/message").ends_with(said);
        let kept = (same || stuck) && !text(old, "/lastUpdateTime").is_empty();
        new["lastUpdateTime"] = if kept { old["lastUpdateTime"].clone() } else { json!(now()) };
    }
}
