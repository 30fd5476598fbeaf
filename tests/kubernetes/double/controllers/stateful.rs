//! Stateful sets: pods with numbers, made and ended one after the other (or all at once if `Parallel`), each with its
//! claims; daemon sets: a pod on every node that takes it.

use super::{by_owner, pod_of, reference};
use crate::double::State;
use crate::double::delete::{Options, one as remove};
use crate::double::json::{active, at, ending, int, items, label, name, namespace, ready, set, text, uid};
use crate::double::store::Key;
use serde_json::{Value, json};
use std::sync::Arc;

type Pod = (Key, Arc<Value>);
const REVISION: &str = "controller-revision-hash";

pub fn tick(state: &mut State) {
    let mut owned = by_owner(&state.store);
    for plural in ["statefulsets", "daemonsets"] {
        let kind = state.store.kind("apps", plural);
        for owner in state.store.all(kind, None) {
            let pods = owned.remove(uid(&owner)).unwrap_or_default();
            if ending(&owner) {
                continue;
            }
            match plural {
                "statefulsets" => stateful(state, &owner, pods),
                _ => daemon(state, &owner, pods),
            }
        }
    }
}

/// The name of this template: what pods of it carry.
fn revision(state: &mut State, owner: &Value) -> String {
    let own = format!("{}-{}", name(owner), super::deployments::hash(at(owner, "/spec/template")));
    let kind = state.store.kind("apps", "controllerrevisions");
    let key = state.store.key(kind, namespace(owner), &own);
    if state.store.get(&key).is_none() {
        let count = state.store.all(kind, Some(namespace(owner))).len() + 1;
        let object = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": own,
            "namespace": namespace(owner), "ownerReferences": reference(owner),
            "labels": at(owner, "/spec/template/metadata/labels"),
            "annotations": super::copied(owner)},
            "revision": count, "data": {"spec": {"template": at(owner, "/spec/template")}}});
        state.bear(kind, object);
    }
    own
}

fn number(pod: &Value) -> i64 {
    name(pod).rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(-1)
}

fn stateful(state: &mut State, owner: &Arc<Value>, mut pods: Vec<Pod>) {
    let (wanted, revision) = (int(owner, "/spec/replicas"), revision(state, owner));
    let together = text(owner, "/spec/podManagementPolicy") == "Parallel";
    pods.sort_by_key(|(_, p)| number(p));
    let gone: Vec<&Pod> = pods.iter().filter(|(_, p)| !active(p) && !ending(p)).collect();
    for (key, _) in gone {
        let _ = remove(state, key, &Options::default());
    }
    let mut steady = true;
    for i in 0..wanted {
        match pods.iter().find(|(_, p)| number(p) == i) {
            Some((_, pod)) => steady &= ready(pod) && !ending(pod),
            None => {
                steady = false;
                make(state, owner, i, &revision);
            }
        }
        if !steady && !together {
            break;
        }
    }
    let extra = pods.iter().rev().filter(|(_, p)| number(p) >= wanted);
    let extra: Vec<&Pod> = if together { extra.collect() } else { extra.take(1).collect() };
    for (key, pod) in &extra {
        if (steady || together) && !ending(pod) {
            let _ = remove(state, key, &Options::default());
        }
    }
    let rolls = text(owner, "/spec/updateStrategy/type") == "RollingUpdate";
    let from = int(owner, "/spec/updateStrategy/rollingUpdate/partition");
    let old = |p: &&Pod| label(&p.1, REVISION) != Some(revision.as_str()) && number(&p.1) >= from;
    if rolls && extra.is_empty() {
        let stale = pods.iter().rev().find(old);
        let healthy =
            pods.iter().all(|(_, p)| !ending(p) && (ready(p) || label(p, REVISION) != Some(revision.as_str())));
        if let (Some((key, _)), true) = (stale, healthy) {
            let _ = remove(state, key, &Options::default());
        }
    }
    stateful_status(state, owner, &revision);
}

fn make(state: &mut State, owner: &Value, i: i64, revision: &str) {
    let own = format!("{}-{i}", name(owner));
    let mut pod = pod_of(owner, at(owner, "/spec/template"), &own);
    set(&mut pod, &["metadata", "labels", REVISION], revision);
    set(&mut pod, &["metadata", "labels", "statefulset.kubernetes.io/pod-name"], own.clone());
    set(&mut pod, &["spec", "hostname"], own.clone());
    let claims = state.store.kind("", "persistentvolumeclaims");
    let mut volumes = items(&pod, "/spec/volumes").to_vec();
    for template in items(owner, "/spec/volumeClaimTemplates") {
        let claim = format!("{}-{own}", name(template));
        volumes.retain(|v| text(v, "/name") != name(template));
        volumes.push(json!({"name": name(template), "persistentVolumeClaim": {"claimName": claim}}));
        let key = state.store.key(claims, namespace(owner), &claim);
        if state.store.get(&key).is_none() {
            let object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim,
                "namespace": namespace(owner), "labels": at(owner, "/spec/selector/matchLabels")},
                "spec": at(template, "/spec")});
            state.bear(claims, object);
        }
    }
    if !volumes.is_empty() {
        set(&mut pod, &["spec", "volumes"], volumes);
    }
    let kind = state.store.kind("", "pods");
    state.bear(kind, pod);
}

fn own_pods(state: &State, owner: &Value) -> Vec<Arc<Value>> {
    let mut pods = state.store.all(state.store.kind("", "pods"), Some(namespace(owner)));
    pods.retain(|p| super::super::json::controller(p).is_some_and(|(_, _, u)| u == uid(owner)) && active(p));
    pods
}

fn stateful_status(state: &mut State, owner: &Value, revision: &str) {
    let pods = own_pods(state, owner);
    let (all, up) = (pods.len(), pods.iter().filter(|p| ready(p)).count());
    let new = pods.iter().filter(|p| label(p, REVISION) == Some(revision)).count();
    let complete = new == all && up == all && i64::try_from(all) == Ok(int(owner, "/spec/replicas"));
    let key = state.store.key_of(state.store.kind("apps", "statefulsets"), owner);
    state.store.change(&key, |s| {
        let generation = int(s, "/metadata/generation");
        set(s, &["status", "observedGeneration"], generation);
        set(s, &["status", "replicas"], all);
        set(s, &["status", "readyReplicas"], up);
        set(s, &["status", "availableReplicas"], up);
        set(s, &["status", "updatedReplicas"], new);
        set(s, &["status", "updateRevision"], revision);
        if complete || text(s, "/status/currentRevision").is_empty() {
            set(s, &["status", "currentRevision"], revision);
        }
        let current = if text(s, "/status/currentRevision") == revision { new } else { all - new };
        set(s, &["status", "currentReplicas"], current);
    });
    state.waiting |= !complete;
}

/// Does a node take a daemon's pod? Being shut or not ready does not matter to it.
fn takes(node: &Value, pod: &Value) -> bool {
    let own = |t: &Value| text(t, "/key").starts_with("node.kubernetes.io/");
    let taints = items(node, "/spec/taints").iter().filter(|t| text(t, "/effect") != "PreferNoSchedule");
    let tolerated = taints.filter(|t| !own(t)).all(|t| super::scheduler::tolerates(pod, t).is_some());
    !ending(node) && tolerated && super::scheduler::suits(node, pod)
}

fn daemon(state: &mut State, owner: &Arc<Value>, pods: Vec<Pod>) {
    let revision = revision(state, owner);
    let nodes = state.store.all(state.store.kind("", "nodes"), None);
    let template = pod_of(owner, at(owner, "/spec/template"), "");
    let mut wanted = 0;
    for node in &nodes {
        let here: Vec<&Pod> = pods.iter().filter(|(_, p)| text(p, "/spec/nodeName") == name(node)).collect();
        if !takes(node, &template) {
            for (key, _) in here.iter().filter(|(_, p)| !ending(p)) {
                let _ = remove(state, key, &Options::default());
            }
            continue;
        }
        wanted += 1;
        if here.is_empty() {
            on(state, owner, name(node), &revision);
        }
    }
    let stale = |p: &&Pod| label(&p.1, REVISION) != Some(revision.as_str()) && !ending(&p.1);
    let calm = pods.iter().all(|(_, p)| ready(p) && !ending(p));
    if let (Some((key, _)), true) = (pods.iter().find(stale), calm) {
        let _ = remove(state, key, &Options::default());
    }
    let pods = own_pods(state, owner);
    let up = pods.iter().filter(|p| ready(p)).count();
    let new = pods.iter().filter(|p| label(p, REVISION) == Some(revision.as_str())).count();
    let key = state.store.key_of(state.store.kind("apps", "daemonsets"), owner);
    state.store.change(&key, |d| {
        let generation = int(d, "/metadata/generation");
        set(d, &["status", "observedGeneration"], generation);
        set(d, &["status", "desiredNumberScheduled"], wanted);
        set(d, &["status", "currentNumberScheduled"], pods.len());
        set(d, &["status", "updatedNumberScheduled"], new);
        set(d, &["status", "numberReady"], up);
        set(d, &["status", "numberAvailable"], up);
        set(d, &["status", "numberUnavailable"], wanted - i64::try_from(up).unwrap_or(0));
        set(d, &["status", "numberMisscheduled"], 0);
    });
}

fn on(state: &mut State, owner: &Value, node: &str, revision: &str) {
    let own = format!("{}-{}", name(owner), state.store.suffix());
    let mut pod = pod_of(owner, at(owner, "/spec/template"), &own);
    set(&mut pod, &["metadata", "labels", REVISION], revision);
    set(&mut pod, &["spec", "nodeName"], node);
    let mut tolerations = items(&pod, "/spec/tolerations").to_vec();
    for (key, effect) in [
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ] {
        tolerations.push(json!({"key": key, "operator": "Exists", "effect": effect}));
    }
    set(&mut pod, &["spec", "tolerations"], tolerations);
    let kind = state.store.kind("", "pods");
    state.bear(kind, pod);
}
