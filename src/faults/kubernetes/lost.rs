//! Workloads that lose pods when nodes are lost: how many of their pods were ready before, and whether as many are again.
//! Pods are counted by who makes them again, wherever they run; nobody's word is taken for it.

use crate::adapters::kubernetes::{Cluster, Flow, Kind, Object, Query};
use crate::adapters::{AdapterError, kubernetes::ClusterError};
use crate::faults::{FaultError, Look};
use crate::model::{ObjectRef, Resource, Right, TargetRef};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A workload before the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Who makes its pods again: a Deployment, StatefulSet, DaemonSet, Job, or whatever owns them.
    pub object: ObjectRef,
    /// So many of its pods were ready, wherever.
    pub ready: usize,
}

/// What is needed to see how workloads make their pods again: in every namespace, or in the target's.
pub(super) fn rights(target: &TargetRef, place: fn(String, String) -> Resource) -> Vec<Right> {
    let everywhere = |group: &str, plural: &str| place(group.to_owned(), plural.to_owned());
    let mut rights = Right::each(target, &everywhere("", "pods"), &["list"]);
    rights.extend(Right::each(target, &everywhere("apps", "replicasets"), &["list", "get"]));
    for (group, plural) in
        [("apps", "deployments"), ("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs")]
    {
        rights.extend(Right::each(target, &everywhere(group, plural), &["get"]));
    }
    rights
}

/// A kind whose API is the same everywhere.
pub(super) fn known(name: &str) -> Result<Kind, FaultError> {
    Kind::known(name).ok_or_else(|| AdapterError::Other(format!("`{name}` is no kind")).into())
}

/// Does this pod serve?
pub(super) fn serves(pod: &Object) -> bool {
    pod.condition("Ready") == Some(true) && !pod.ending()
}

/// Who directly makes an object again: its controller.
pub(super) fn controller(object: &Object) -> Option<ObjectRef> {
    let is = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let owner = object.items("/metadata/ownerReferences").iter().find(is)?;
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(ObjectRef {
        api: text("apiVersion"),
        kind: text("kind"),
        namespace: object.namespace().map(str::to_owned),
        name: text("name"),
        uid: text("uid"),
        node: None,
        zone: None,
    })
}

/// Who stands behind the ReplicaSets of some namespaces, by the sets' uids.
pub(super) struct Tops(BTreeMap<String, ObjectRef>);

impl Tops {
    pub(super) async fn of(cluster: &dyn Cluster, namespaces: &BTreeSet<String>) -> Result<Self, FaultError> {
        let mut tops = BTreeMap::new();
        for namespace in namespaces {
            let query = Query {
                kind: known("replicaset")?,
                namespace: Some(namespace.clone()),
                labels: String::new(),
                fields: String::new(),
            };
            let mut each = |set: Object| {
                tops.extend(controller(&set).map(|top| (set.uid().to_owned(), top)));
                Flow::On
            };
            cluster.list(&query, &mut each).await?;
        }
        Ok(Self(tops))
    }

    /// Who makes a pod again in the end; none if nobody does.
    pub(super) fn top(&self, pod: &Object) -> Option<ObjectRef> {
        let direct = controller(pod)?;
        Some(self.0.get(&direct.uid).cloned().unwrap_or(direct))
    }
}

/// The workloads of these namespaces that have pods, with how many of them serve.
async fn counted(
    cluster: &dyn Cluster,
    namespaces: &BTreeSet<String>,
) -> Result<BTreeMap<String, Workload>, FaultError> {
    let tops = Tops::of(cluster, namespaces).await?;
    let mut counts: BTreeMap<String, Workload> = BTreeMap::new();
    for namespace in namespaces {
        let query = Query {
            kind: known("pod")?,
            namespace: Some(namespace.clone()),
            labels: String::new(),
            fields: String::new(),
        };
        let mut each = |pod: Object| {
            if let Some(top) = tops.top(&pod) {
                let entry = counts.entry(top.uid.clone()).or_insert(Workload { object: top, ready: 0 });
                entry.ready += usize::from(serves(&pod));
            }
            Flow::On
        };
        cluster.list(&query, &mut each).await?;
    }
    Ok(counts)
}

/// The namespaces that objects are in.
pub(super) fn namespaces<'a>(pods: impl Iterator<Item = &'a Object>) -> BTreeSet<String> {
    pods.filter_map(Object::namespace).map(str::to_owned).collect()
}

/// The workloads of pods that will be lost, as they are now.
pub(super) async fn workloads(cluster: &dyn Cluster, pods: &[Object]) -> Result<Vec<Workload>, FaultError> {
    let namespaces = namespaces(pods.iter());
    let tops = Tops::of(cluster, &namespaces).await?;
    let lost: BTreeSet<String> = pods.iter().filter_map(|pod| tops.top(pod)).map(|top| top.uid).collect();
    let counts = counted(cluster, &namespaces).await?;
    Ok(counts.into_values().filter(|workload| lost.contains(&workload.object.uid)).collect())
}

/// The same workloads under the uids that they have now, if they are there.
pub(super) async fn by_name(cluster: &dyn Cluster, workloads: &[Workload]) -> Result<Vec<Workload>, FaultError> {
    let mut now = Vec::new();
    for Workload { object, ready } in workloads {
        let kind = known(&object.kind.to_lowercase())?;
        if let Some(found) = cluster.get(&kind.at(object.namespace.as_deref(), &object.name)).await? {
            now.push(Workload { object: found.reference(&kind), ready: *ready });
        }
    }
    Ok(now)
}

/// Do all have as many pods that serve as before? One that is gone, finished, or wants fewer now, need not; a DaemonSet
/// has none on nodes that are gone.
pub(super) async fn back(cluster: &dyn Cluster, workloads: &[Workload], gone_nodes: usize) -> Result<Look, FaultError> {
    let namespaces: BTreeSet<String> = workloads.iter().filter_map(|w| w.object.namespace.clone()).collect();
    let counts = counted(cluster, &namespaces).await?;
    let mut missing = Vec::new();
    for Workload { object, ready } in workloads {
        let now = counts.get(&object.uid).map_or(0, |workload| workload.ready);
        if now >= *ready {
            continue;
        }
        let wanted = match &*object.kind {
            "DaemonSet" => wanted(cluster, object, ready.saturating_sub(gone_nodes)).await?,
            _ => wanted(cluster, object, *ready).await?,
        };
        if now < wanted {
            missing.push(format!("{object} has {now} of {wanted} ready pods"));
        }
    }
    let all = workloads.len();
    let detail = match missing.len() {
        0 => format!("the {all} workloads that lost pods have as many ready pods as before"),
        more if more > 3 => format!("{} and {} more", missing[..3].join(", "), more - 3),
        _ => missing.join(", "),
    };
    Ok(Look { holds: missing.is_empty(), detail })
}

/// How many pods a workload shall have now: those of before, unless somebody wants fewer.
async fn wanted(cluster: &dyn Cluster, object: &ObjectRef, ready: usize) -> Result<usize, FaultError> {
    let Some(kind) = Kind::known(&object.kind.to_lowercase()).filter(|kind| kind.api() == object.api) else {
        return Ok(ready);
    };
    let now = match cluster.get(&kind.at(object.namespace.as_deref(), &object.name)).await {
        Ok(now) => now,
        Err(ClusterError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(now) = now.filter(|now| now.uid() == object.uid && !now.ending()) else { return Ok(0) };
    if now.condition("Complete") == Some(true) || now.condition("Failed") == Some(true) {
        return Ok(0);
    }
    let replicas = now.number("/spec/replicas");
    Ok(replicas.and_then(|count| usize::try_from(count).ok()).map_or(ready, |count| count.min(ready)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_made_again_by_its_controller_or_what_stands_behind_it() {
        let owner = |kind: &str, uid: &str, controls: bool| json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": uid, "controller": controls});
        let pod = |owners: Value| Object(json!({"metadata": {"namespace": "shop", "ownerReferences": owners}}));
        let web = controller(&pod(json!([owner("Deployment", "d1", true)]))).expect("controlled");
        let tops = Tops(BTreeMap::from([("r1".to_owned(), web)]));
        let top = |owners: Value| tops.top(&pod(owners)).map(|top| top.uid);
        assert_eq!(top(json!([owner("Node", "n1", false), owner("ReplicaSet", "r1", true)])).as_deref(), Some("d1"));
        assert_eq!(top(json!([owner("StatefulSet", "s1", true)])).as_deref(), Some("s1"));
        assert_eq!(top(json!([owner("Node", "n1", false)])), None);
        assert_eq!(top(json!([])), None);
    }
}
