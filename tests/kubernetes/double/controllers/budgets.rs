//! Disruption budgets: how many pods are healthy, how many must be, how many may go now. And claims of volumes: bound
//! at once, kept while a pod uses them.

use super::share;
use crate::double::State;
use crate::double::delete::{complete, guards};
use crate::double::json::{active, at, controller, ending, has, int, items, name, namespace, ready, set, take, text};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

pub fn tick(state: &mut State) {
    let kind = state.store.kind("policy", "poddisruptionbudgets");
    for budget in state.store.all(kind, None) {
        let mut pods = state.store.all(state.store.kind("", "pods"), Some(namespace(&budget)));
        pods.retain(|p| guards(&budget, p) && !["Succeeded", "Failed"].contains(&text(p, "/status/phase")));
        one(state, kind, &budget, &pods);
    }
    claims(state);
}

/// How many pods the workloads behind these pods should have.
fn expected(state: &State, pods: &[Arc<Value>]) -> i64 {
    let mut owners: HashSet<(String, String)> = HashSet::new();
    let mut loose = 0;
    for pod in pods {
        match controller(pod) {
            Some((kind, name, _)) => drop(owners.insert((kind.to_owned(), name.to_owned()))),
            None => loose += 1,
        }
    }
    let Some(first) = pods.first() else { return 0 };
    let replicas = |(kind, own): &(String, String)| {
        let plural = format!("{}s", kind.to_lowercase());
        let found = state.store.find("apps", &plural)?;
        let owner = state.store.get(&state.store.key(found, namespace(first), own))?;
        // Of a replica set, the deployment says it: during a rollout there are several.
        match controller(&owner) {
            Some(("Deployment", deployment, _)) => {
                let key = state.store.key(state.store.kind("apps", "deployments"), namespace(first), deployment);
                state.store.get(&key).map(|d| (deployment.to_owned(), int(&d, "/spec/replicas")))
            }
            _ => Some((own.clone(), int(&owner, "/spec/replicas"))),
        }
    };
    let mut seen: HashSet<String> = HashSet::new();
    let counts = owners.iter().filter_map(replicas).filter(|(own, _)| seen.insert(own.clone()));
    counts.map(|(_, n)| n).sum::<i64>() + loose
}

fn one(state: &mut State, kind: usize, budget: &Value, pods: &[Arc<Value>]) {
    let count = |n: usize| i64::try_from(n).unwrap_or(0);
    let expected = match at(budget, "/spec/minAvailable") {
        Value::Number(_) => count(pods.len()),
        _ => expected(state, pods),
    };
    let wanted = if has(budget, "/spec/maxUnavailable") {
        (expected - share(at(budget, "/spec/maxUnavailable"), expected, true)).max(0)
    } else {
        share(at(budget, "/spec/minAvailable"), expected, true)
    };
    let key = state.store.key_of(kind, budget);
    let disrupted = at(budget, "/status/disruptedPods").as_object().cloned().unwrap_or_default();
    let still: Vec<&String> = disrupted.keys().filter(|d| pods.iter().any(|p| name(p) == **d && !ending(p))).collect();
    let fine = |p: &&Arc<Value>| ready(p) && active(p) && !still.iter().any(|s| *s == name(p));
    let healthy = count(pods.iter().filter(fine).count());
    let allowed = if expected > 0 { (healthy - wanted).max(0) } else { 0 };
    state.store.change(&key, |b| {
        let generation = int(b, "/metadata/generation");
        set(b, &["status", "observedGeneration"], generation);
        for (field, n) in [
            ("currentHealthy", healthy),
            ("desiredHealthy", wanted),
            ("expectedPods", expected),
            ("disruptionsAllowed", allowed),
        ] {
            set(b, &["status", field], n);
        }
        for gone in disrupted.keys().filter(|d| !still.contains(d)) {
            take(b, &["status", "disruptedPods", gone]);
        }
    });
}

fn claims(state: &mut State) {
    let claims = state.store.kind("", "persistentvolumeclaims");
    for claim in state.store.all(claims, None) {
        let key = state.store.key_of(claims, &claim);
        if text(&claim, "/status/phase") == "Pending" && !ending(&claim) {
            let volume = match text(&claim, "/spec/volumeName") {
                "" => format!("pvc-{}", crate::double::json::uid(&claim)),
                own => own.to_owned(),
            };
            state.store.change(&key, |c| {
                set(c, &["spec", "volumeName"], volume.clone());
                set(c, &["status", "phase"], "Bound");
                set(c, &["status", "capacity"], at(c, "/spec/resources/requests").clone());
            });
            bind(state, &claim, &volume);
        }
        let guard = "kubernetes.io/pvc-protection";
        if ending(&claim) && !used(state, &claim) && items(&claim, "/metadata/finalizers").iter().any(|f| f == guard) {
            state.store.change(&key, |c| {
                let mut left = items(c, "/metadata/finalizers").to_vec();
                left.retain(|f| f != guard);
                set(c, &["metadata", "finalizers"], left);
            });
            complete(state, &key);
        }
    }
    let volumes = state.store.kind("", "persistentvolumes");
    for volume in state.store.all(volumes, None) {
        let (namespace, own) = (text(&volume, "/spec/claimRef/namespace"), text(&volume, "/spec/claimRef/name"));
        let key = state.store.key_of(volumes, &volume);
        let claim = state.store.get(&state.store.key(claims, namespace, own));
        let same = claim.is_some_and(|c| crate::double::json::uid(&c) == text(&volume, "/spec/claimRef/uid"));
        if own.is_empty() || same {
            continue;
        }
        if text(&volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
            state.store.remove(&key);
        } else {
            state.store.change(&key, |v| set(v, &["status", "phase"], "Released"));
        }
    }
}

/// The volume of a claim.
fn bind(state: &mut State, claim: &Value, volume: &str) {
    let kind = state.store.kind("", "persistentvolumes");
    let key = state.store.key(kind, "", volume);
    let whose = json!({"kind": "PersistentVolumeClaim", "namespace": namespace(claim), "name": name(claim),
        "uid": crate::double::json::uid(claim)});
    let taken = state.store.change(&key, |v| {
        set(v, &["spec", "claimRef"], whose.clone());
        set(v, &["status", "phase"], "Bound");
    });
    if taken.is_none() {
        state.bear(
            kind,
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {"capacity": at(claim, "/spec/resources/requests"), "accessModes": at(claim, "/spec/accessModes"),
                "persistentVolumeReclaimPolicy": "Delete", "claimRef": whose}, "status": {"phase": "Bound"}}),
        );
    }
}

fn used(state: &State, claim: &Value) -> bool {
    let pods = state.store.all(state.store.kind("", "pods"), Some(namespace(claim)));
    let uses = |p: &Arc<Value>| {
        items(p, "/spec/volumes").iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == name(claim))
    };
    pods.iter().any(|p| uses(p) && !["Succeeded", "Failed"].contains(&text(p, "/status/phase")))
}
