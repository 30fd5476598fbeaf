//! Workloads and their pods, looked at by a list of the pods and not by what the workload says of itself: how many were
//! ready before, and whether they are again; whether a rollout is through; who owns a pod.

use super::{Held, Now, UNDO_ANNOTATION, kubectl, mark, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{
    At, Cluster, ClusterError, Deletion, Flow, Kind, Object, Patch, Propagation, Query, Scope, Write,
};
use crate::faults::{Cx, FaultError, Look};
use crate::model::{Resource, Right, TargetRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Those with pods of a template.
pub const TEMPLATED: &[&str] = &["Deployment", "StatefulSet", "DaemonSet"];
/// Those with a number of replicas.
pub const SCALED: &[&str] = &["Deployment", "StatefulSet", "ReplicaSet"];
/// The kinds that own pods themselves; every other kind owns them through ReplicaSets.
const DIRECT: &[&str] = &["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"];
/// So long healing waits until what controllers have copied of ours can be removed; a later call goes on with it.
const COPIES: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// A workload as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Which one.
    pub held: Held,
    /// What it had been told to have; none for a kind that has no such number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// So many of its pods were ready.
    pub ready: usize,
    /// Was its last rollout through?
    #[serde(default)]
    pub through: bool,
}

/// The workloads of a target, as they are now; it is an error if one is of another kind or under a fault.
///
/// # Errors
/// When the target cannot be resolved.
pub async fn workloads(target: &TargetRef, kinds: &[&str], cx: &Cx<'_>) -> Result<Vec<(Before, Object)>, FaultError> {
    let mut found = Vec::new();
    for held in objects(target, cx).await? {
        if !kinds.contains(&&*held.object.kind) {
            let takes = kinds.iter().map(|kind| kind.to_lowercase()).collect::<Vec<_>>().join(", ");
            let what = held.at();
            return Err(FaultError::NothingToBreak(format!("{what}: this takes targets with `kind:` {takes}")));
        }
        let Now::Same(object) = held.now(cx).await? else {
            return Err(FaultError::NothingToBreak(format!("{} is gone or replaced", held.at())));
        };
        found.push((before(held, &object, cx).await?, object));
    }
    Ok(found)
}

/// What is before; it is an error if a fault is on it.
///
/// # Errors
/// As the cluster's.
pub async fn before(held: Held, object: &Object, cx: &Cx<'_>) -> Result<Before, FaultError> {
    mark::free(object, &held.at())?;
    as_it_is(held, object, cx).await
}

/// What is before, whoever has a fault on it.
///
/// # Errors
/// As the cluster's.
pub async fn as_it_is(held: Held, object: &Object, cx: &Cx<'_>) -> Result<Before, FaultError> {
    let ready = ready(&pods(&held, object, cx).await?);
    let kind = &held.object.kind;
    let (replicas, through) = (replicas(kind, object), unfinished(kind, object).is_none());
    Ok(Before { replicas, ready, through, held })
}

/// The number of replicas that it was told; 1 is the API's default.
#[must_use]
pub fn replicas(kind: &str, object: &Object) -> Option<i64> {
    let counted = SCALED.contains(&kind) || object.number("/spec/replicas").is_some();
    counted.then(|| object.number("/spec/replicas").unwrap_or(1))
}

/// So many pods it wants now.
fn wanted(kind: &str, object: &Object) -> usize {
    let wanted = match kind {
        "DaemonSet" => object.number("/status/desiredNumberScheduled"),
        "Job" if object.condition("Complete") == Some(true) => Some(0),
        _ => replicas(kind, object),
    };
    wanted.map_or(usize::MAX, |wanted| usize::try_from(wanted).unwrap_or_default())
}

/// All objects of a query.
///
/// # Errors
/// As the cluster's.
pub async fn list(cluster: &dyn Cluster, query: &Query) -> Result<Vec<Object>, ClusterError> {
    let mut all = Vec::new();
    let mut each = |object: Object| {
        all.push(object);
        Flow::On
    };
    cluster.list(query, &mut each).await?;
    Ok(all)
}

/// Those of its namespace that its selector fits, whoever owns them.
async fn selected(kind: &str, held: &Held, object: &Object, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
    let kind = Kind::known(kind).ok_or_else(|| AdapterError::Other(format!("`{kind}` is no kind")))?;
    let labels = selector(object.0.pointer("/spec/selector").unwrap_or(&Value::Null));
    let query = Query { kind, namespace: held.object.namespace.clone(), labels, fields: String::new() };
    Ok(list(&*held.cluster(cx).await?, &query).await?)
}

/// A selector as a query takes it; empty for none.
#[must_use]
pub fn selector(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    // A ReplicationController's is the map itself.
    let labels = selector.get("matchLabels").or_else(|| selector.get("matchExpressions").is_none().then_some(selector));
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        all.push(format!("{key}={}", text(value)));
    }
    for one in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = text(&one["key"]);
        let values = one["values"].as_array().map(|values| values.iter().map(text).collect::<Vec<_>>().join(","));
        match (&*text(&one["operator"]), values) {
            ("In", Some(values)) => all.push(format!("{key} in ({values})")),
            ("NotIn", Some(values)) => all.push(format!("{key} notin ({values})")),
            ("DoesNotExist", _) => all.push(format!("!{key}")),
            _ => all.push(key),
        }
    }
    all.join(",")
}

fn owned_by(object: &Object, uids: &BTreeSet<String>) -> bool {
    object.owners().iter().any(|owner| uids.contains(&owner.uid))
}

/// The ReplicaSets of a workload; none for a kind that has its pods itself.
///
/// # Errors
/// As the cluster's.
pub async fn sets(held: &Held, object: &Object, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
    if DIRECT.contains(&&*held.object.kind) {
        return Ok(Vec::new());
    }
    let uids = BTreeSet::from([object.uid().to_owned()]);
    let mut sets = selected("replicaset", held, object, cx).await?;
    sets.retain(|set| owned_by(set, &uids));
    Ok(sets)
}

/// The pods of a workload as it is now, also those that are ending.
///
/// # Errors
/// As the cluster's.
pub async fn pods(held: &Held, object: &Object, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
    let mut uids: BTreeSet<String> = sets(held, object, cx).await?.iter().map(|set| set.uid().to_owned()).collect();
    uids.insert(object.uid().to_owned());
    let mut pods = selected("pod", held, object, cx).await?;
    pods.retain(|pod| owned_by(pod, &uids));
    Ok(pods)
}

/// Is it there to stay, and serving?
#[must_use]
pub fn is_ready(pod: &Object) -> bool {
    lives(pod) && pod.condition("Ready") == Some(true)
}

/// Is it there to stay?
#[must_use]
pub fn lives(pod: &Object) -> bool {
    !pod.ending() && !matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}

/// So many are ready.
#[must_use]
pub fn ready(pods: &[Object]) -> usize {
    pods.iter().filter(|pod| is_ready(pod)).count()
}

/// Why a rollout is not through yet, as the workload says; none if it is.
#[must_use]
pub fn unfinished(kind: &str, object: &Object) -> Option<String> {
    let status = |name: &str| object.number(&format!("/status/{name}")).unwrap_or_default();
    let generation = object.number("/metadata/generation").unwrap_or_default();
    if status("observedGeneration") < generation {
        return Some("its controller has not seen the change yet".to_owned());
    }
    let (all, updated, up) = match kind {
        "DaemonSet" => (status("desiredNumberScheduled"), status("updatedNumberScheduled"), status("numberAvailable")),
        "StatefulSet" => (replicas(kind, object).unwrap_or(1), status("updatedReplicas"), status("readyReplicas")),
        _ => (replicas(kind, object).unwrap_or(1), status("updatedReplicas"), status("availableReplicas")),
    };
    // A StatefulSet whose update has finished counts its pods as current ones.
    let current = object.text("/status/currentRevision") == object.text("/status/updateRevision");
    let updated = if kind == "StatefulSet" && current { all } else { updated };
    // Those below the partition keep the old one, as they shall.
    let kept = object.number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    if updated < all - kept {
        return Some(format!("{updated} of {all} pods are of the new revision"));
    }
    if kind == "Deployment" && status("replicas") > updated {
        return Some(format!("{} pods of an old revision are left", status("replicas") - updated));
    }
    (up < all).then(|| format!("{up} of {all} pods are available"))
}

impl Before {
    /// Are as many of its pods ready as before, or as it was told meanwhile to have? With it the workload as it is now;
    /// none if it is gone: then there is nothing to look at.
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn serves(&self, cx: &Cx<'_>) -> Result<(Look, Option<Object>), FaultError> {
        let (at, kind) = (self.held.at(), &self.held.object.kind);
        let (Now::Same(object) | Now::Replaced(object)) = self.held.now(cx).await? else {
            return Ok((looked(true, format!("{at} is gone: somebody else deleted it")), None));
        };
        let (ready, wanted) = (ready(&pods(&self.held, &object, cx).await?), wanted(kind, &object).min(self.ready));
        let look = looked(ready >= wanted, format!("{at}: {ready} pods are ready, {} were before", self.ready));
        Ok((look, Some(object)))
    }

    /// The same, and nothing of ours is on it or on what it owns.
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn back(&self, tag: &str, cx: &Cx<'_>) -> Result<(Look, Option<Object>), FaultError> {
        let (look, object) = self.serves(cx).await?;
        let Some(now) = &object else { return Ok((look, object)) };
        let at = self.held.at();
        if mark::of(now, tag) == mark::Mark::Ours {
            return Ok((looked(false, format!("{at} still carries our mark")), object));
        }
        if let Some((kind, copy)) = copies(&self.held, now, tag, cx).await?.first() {
            let detail = format!("{}, which {at} owns, still carries our mark", copy.at(kind));
            return Ok((looked(false, detail), object));
        }
        Ok((look, object))
    }

    /// Is it the very one, and not another of its name?
    #[must_use]
    pub fn is(&self, object: &Object) -> bool {
        object.uid() == self.held.object.uid
    }

    /// What a person looks at.
    #[must_use]
    pub fn watch_by_hand(&self) -> String {
        let name = kubectl::name(&self.held);
        let verb = if TEMPLATED.contains(&&*self.held.object.kind) { "rollout status" } else { "get" };
        kubectl::at(&self.held, &format!("{verb} {name}"))
    }
}

/// One look from many: all must hold; at most three are told.
#[must_use]
pub(in crate::faults) fn sum(looks: Vec<Look>) -> Look {
    let holds = looks.iter().all(|look| look.holds);
    let told: Vec<String> = looks.into_iter().filter(|look| holds || !look.holds).map(|look| look.detail).collect();
    let more = told.len().saturating_sub(3);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    looked(holds, format!("{}{more}", told.iter().take(3).cloned().collect::<Vec<_>>().join("; ")))
}

/// A look.
#[must_use]
pub(in crate::faults) fn looked(holds: bool, detail: String) -> Look {
    Look { holds, detail }
}

/// What controllers have made of a workload's annotations: a Deployment's are copied to its current ReplicaSet, those of
/// a StatefulSet or DaemonSet to each ControllerRevision that is made meanwhile.
async fn copies(held: &Held, object: &Object, tag: &str, cx: &Cx<'_>) -> Result<Vec<(Kind, Object)>, FaultError> {
    let ours = mark::record(tag);
    let copied = |copy: &Object| copy.annotation(UNDO_ANNOTATION) == Some(&*ours);
    let (kind, all) = match &*held.object.kind {
        "Deployment" => (Kind::known("replicaset"), sets(held, object, cx).await?),
        "StatefulSet" | "DaemonSet" => (Some(revisions()), revisions_of(held, object, cx).await?),
        _ => (None, Vec::new()),
    };
    let Some(kind) = kind else { return Ok(Vec::new()) };
    Ok(all.into_iter().filter(copied).map(|copy| (kind.clone(), copy)).collect())
}

fn revisions() -> Kind {
    Kind::of("apps", "v1", "ControllerRevision", "controllerrevisions", Scope::Namespaced)
}

async fn revisions_of(held: &Held, object: &Object, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
    let labels = selector(object.0.pointer("/spec/selector").unwrap_or(&Value::Null));
    let namespace = held.object.namespace.clone();
    let query = Query { kind: revisions(), namespace, labels, fields: String::new() };
    let mut all = list(&*held.cluster(cx).await?, &query).await?;
    let uids = BTreeSet::from([object.uid().to_owned()]);
    all.retain(|revision| owned_by(revision, &uids));
    Ok(all)
}

/// Takes our annotation off what controllers have copied it to. A revision that has the fault in it (`bad`) is removed
/// as soon as no pod is of it, so that nobody rolls back to it. Waits for that a while; the look whether it is healed
/// says when something is left, and the next call goes on.
///
/// # Errors
/// As the cluster's.
pub async fn tidy(
    before: &Before,
    tag: &str,
    cx: &Cx<'_>,
    bad: impl Fn(&Object) -> bool + Send + Sync,
) -> Result<(), FaultError> {
    let clock = &cx.world.clock;
    let until = clock.mono().after(COPIES);
    loop {
        let (Now::Same(object) | Now::Replaced(object)) = before.held.now(cx).await? else { return Ok(()) };
        let copies = copies(&before.held, &object, tag, cx).await?;
        if copies.is_empty() || clock.mono() >= until {
            return Ok(());
        }
        let pods = pods(&before.held, &object, cx).await?;
        for (kind, copy) in copies {
            match clear(before, &kind, &copy, &pods, bad(&copy), cx).await {
                // It is gone, or changed just now: the next look decides.
                Ok(()) | Err(ClusterError::Conflict(_) | ClusterError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        clock.sleep_until(clock.mono().after(PAUSE)).await;
    }
}

async fn clear(
    before: &Before,
    kind: &Kind,
    copy: &Object,
    pods: &[Object],
    bad: bool,
    cx: &Cx<'_>,
) -> Result<(), ClusterError> {
    let cluster = cx.world.clusters.open(&before.held.access).await?;
    let at = copy.at(kind);
    if !bad {
        let metadata =
            json!({"uid": copy.uid(), "resourceVersion": copy.version(), "annotations": {UNDO_ANNOTATION: null}});
        let patch = Patch::Merge(json!({"metadata": metadata}));
        return cluster.patch(&at, None, &patch, Write::Real).await.map(|_| ());
    }
    let in_use = match &*kind.kind {
        "ReplicaSet" => copy.number("/spec/replicas") != Some(0) || copy.number("/status/replicas").unwrap_or(0) > 0,
        _ => {
            let names = [copy.name(), copy.label("controller-revision-hash").unwrap_or_default()];
            pods.iter().filter_map(|pod| pod.label("controller-revision-hash")).any(|hash| names.contains(&hash))
        }
    };
    if in_use {
        return Ok(());
    }
    let how = Deletion { uid: Some(copy.uid().to_owned()), grace: None, propagation: Some(Propagation::Background) };
    cluster.delete(&at, &how, Write::Real).await
}

/// Deletes pods that never came up because of the fault: a set of ordered pods waits for ever for one that cannot start,
/// and a ReplicaSet does not replace pods of an old template.
///
/// # Errors
/// As the cluster's.
pub async fn sweep(
    before: &Before,
    cx: &Cx<'_>,
    bad: impl Fn(&Object) -> bool + Send + Sync,
) -> Result<(), FaultError> {
    let (Now::Same(object) | Now::Replaced(object)) = before.held.now(cx).await? else { return Ok(()) };
    let cluster = before.held.cluster(cx).await?;
    let kind = Kind::known("pod").ok_or_else(|| AdapterError::Other("no pods".to_owned()))?;
    for pod in pods(&before.held, &object, cx).await? {
        if pod.ending() || is_ready(&pod) || !bad(&pod) {
            continue;
        }
        let how = Deletion { uid: Some(pod.uid().to_owned()), grace: None, propagation: None };
        match cluster.delete(&pod.at(&kind), &how, Write::Real).await {
            Ok(()) | Err(ClusterError::Missing(_) | ClusterError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Who brings a pod back: its controller, or that of its ReplicaSet. None if nobody does.
///
/// # Errors
/// As the cluster's; and if it is a node's own (static) pod, which nothing deletes through the API.
pub async fn controller(held: &Held, pod: &Object, cx: &Cx<'_>) -> Result<Option<(Held, Object)>, FaultError> {
    if pod.annotation("kubernetes.io/config.mirror").is_some() {
        let why = format!("{} is a node's own (static) pod: deleting it here does not end it", held.at());
        return Err(FaultError::NothingToBreak(why));
    }
    let Some((first, object)) = parent(held, pod, cx).await? else { return Ok(None) };
    // What no more is known of than its name may need rights that nobody gave: its child will do.
    let known =
        |object: &Object| controlling(object).is_some_and(|(kind, _, _)| Kind::known(&kind.to_lowercase()).is_some());
    if first.object.kind == "ReplicaSet"
        && known(&object)
        && let Some(second) = parent(&first, &object, cx).await?
    {
        return Ok(Some(second));
    }
    Ok(Some((first, object)))
}

/// Kind, group and version, and name of what controls it.
fn controlling(object: &Object) -> Option<(String, String, String)> {
    let all = object.items("/metadata/ownerReferences");
    let one = all.iter().find(|one| one.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((text("kind"), text("apiVersion"), text("name")))
}

async fn parent(held: &Held, object: &Object, cx: &Cx<'_>) -> Result<Option<(Held, Object)>, FaultError> {
    let Some((name, api, of)) = controlling(object) else { return Ok(None) };
    let cluster = held.cluster(cx).await?;
    let kind = match Kind::known(&name.to_lowercase()).filter(|kind| kind.api() == api) {
        Some(kind) => kind,
        None => {
            let long = api.split_once('/').map(|(group, version)| format!("{name}.{version}.{group}"));
            cluster.kind(&long.unwrap_or(name)).await?
        }
    };
    let at: At = kind.at(held.object.namespace.as_deref(), &of);
    let Some(owner) = cluster.get(&at).await? else { return Ok(None) };
    let object = owner.reference(&kind);
    Ok(Some((Held { access: held.access.clone(), kind, object }, owner)))
}

/// What it takes to look at workloads and to mark them: `also` are verbs on them besides.
#[must_use]
pub fn rights(target: &TargetRef, also: &[&str]) -> Vec<Right> {
    let in_it = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
    let mut all = Right::each(target, &Resource::Itself(None), &["get", "list", "patch"]);
    all.extend(Right::each(target, &Resource::Itself(None), also));
    all.extend(Right::each(target, &in_it("", "pods"), &["list"]));
    all.extend(Right::each(target, &in_it("apps", "replicasets"), &["list", "patch"]));
    all.extend(Right::each(target, &in_it("apps", "controllerrevisions"), &["list", "patch"]));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_a_query() {
        let all = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"}, {"key": "x", "operator": "NotIn", "values": ["y"]},
        ]});
        assert_eq!(selector(&all), "app=web,tier in (a,b),!old,new,x notin (y)");
        assert_eq!(selector(&json!({"app": "web"})), "app=web");
        assert_eq!(selector(&Value::Null), "");
    }

    #[test]
    fn a_rollout_is_through_when_its_controller_has_seen_it_and_all_new_pods_are_there() {
        let deployment =
            |status: Value| Object(json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status}));
        let through = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        assert_eq!(unfinished("Deployment", &deployment(through)), None);
        for (status, why) in [
            (
                json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
                "controller",
            ),
            (
                json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}),
                "old revision",
            ),
            (json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 3}), "1 of 3"),
            (json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}), "2 of 3"),
        ] {
            let said = unfinished("Deployment", &deployment(status)).expect("not yet");
            assert!(said.contains(why), "{said}");
        }
        let set = json!({"observedGeneration": 2, "readyReplicas": 3, "currentRevision": "a", "updateRevision": "a"});
        assert_eq!(unfinished("StatefulSet", &deployment(set)), None);
    }
}
