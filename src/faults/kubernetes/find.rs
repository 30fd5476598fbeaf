//! From a Kubernetes target as written to the objects that are there: by selectors, by owner, by zone and region. Lists are
//! read page by page, and only what is asked for is kept. Who may be touched is not decided here.

use super::{Home, access, filled};
use crate::adapters::kubernetes::{Access, At, Cluster, Flow, Kind, Object, Query, Scope};
use crate::faults::{Cx, FaultError};
use crate::model::{KubernetesTarget, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The label of a node's zone, and the one that older clusters have.
const ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
/// The label of a node's region, and the one that older clusters have.
const REGION: [&str; 2] = ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

/// The way to a target's objects.
#[derive(Clone)]
pub struct Way {
    /// The way to the cluster.
    pub access: Access,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// The kind of all of them.
    pub kind: Kind,
    /// The namespace that they are in; none for what belongs to the whole cluster.
    pub namespace: Option<String>,
    /// Where the drill keeps its records there.
    pub home: Home,
}

/// What a target is now.
pub struct Found {
    /// The way to the cluster.
    pub access: Access,
    /// The kind of all of them.
    pub kind: Kind,
    /// In the order of namespace and name.
    pub objects: Vec<(Object, At)>,
    /// Where the drill keeps its records there.
    pub home: Home,
}

/// A node's zone and region.
type Place = (Option<String>, Option<String>);

/// What selectors of the API cannot say.
struct Filter {
    /// Only what one of these owns, by uid.
    owners: Option<BTreeSet<String>>,
    /// Nodes by name, if pods are chosen by them.
    places: Option<BTreeMap<String, Place>>,
    zone: Option<String>,
    region: Option<String>,
    /// Do pods count that have run to their end?
    ended: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Count,
    DoNotCount,
}

/// The kind of this name, as `kubectl` takes it.
///
/// # Errors
/// When the cluster has no such kind, or does not answer.
pub async fn kind(name: &str, cluster: &dyn Cluster) -> Result<Kind, FaultError> {
    match Kind::known(name) {
        Some(kind) => Ok(kind),
        None => Ok(cluster.kind(name).await?),
    }
}

/// The way to a target's objects; none of them is looked at.
///
/// # Errors
/// When a reference cannot be filled in, the cluster does not answer, or has no such kind.
pub async fn way(target: &KubernetesTarget, cx: &Cx<'_>) -> Result<Way, FaultError> {
    let access = access(target, cx)?;
    let cluster = cx.world.clusters.open(&access).await?;
    let name = filled(&target.kind, cx)?.unwrap_or_else(|| "pod".to_owned());
    let kind = kind(&name, &*cluster).await?;
    let own = filled(&target.namespace, cx)?.unwrap_or_else(|| cluster.facts().namespace);
    let home = Home { access: access.clone(), namespace: filled(&target.home, cx)?.unwrap_or_else(|| own.clone()) };
    let namespace = (kind.scope == Scope::Namespaced).then_some(own);
    Ok(Way { access, cluster, kind, namespace, home })
}

/// The objects of a target as they are now, whole. Those on their way out are none of it, nor pods that have run to their
/// end, unless `name` or `fields` asks for them.
///
/// # Errors
/// When the cluster cannot be asked, or has no such kind.
pub async fn find(target: &KubernetesTarget, cx: &Cx<'_>) -> Result<Found, FaultError> {
    let mut objects = Vec::new();
    let mut take = |object: Object, kind: &Kind, _: ObjectRef| {
        let at = object.at(kind);
        objects.push((object, at));
    };
    let Way { access, kind, home, .. } = each(target, cx, &mut take).await?;
    objects.sort_by(|(a, _), (b, _)| (a.namespace(), a.name()).cmp(&(b.namespace(), b.name())));
    Ok(Found { access, kind, objects, home })
}

/// Hands each object of a target on, in the server's order, with what pins it; never more than a page is in memory.
///
/// # Errors
/// As [`find`]'s.
pub async fn each(
    target: &KubernetesTarget,
    cx: &Cx<'_>,
    take: &mut (dyn FnMut(Object, &Kind, ObjectRef) + Send),
) -> Result<Way, FaultError> {
    let way = way(target, cx).await?;
    let filter = Filter::of(target, &way, cx).await?;
    let mut fields = filled(&target.fields, cx)?.unwrap_or_default();
    if let Some(name) = filled(&target.name, cx)? {
        let comma = if fields.is_empty() { "" } else { "," };
        fields = format!("metadata.name={name}{comma}{fields}");
    }
    let labels = filled(&target.labels, cx)?.unwrap_or_default();
    let query = Query { kind: way.kind.clone(), namespace: way.namespace.clone(), labels, fields };
    let mut one = |object: Object| {
        if let Some(pinned) = filter.fits(&object, &way.kind) {
            take(object, &way.kind, pinned);
        }
        Flow::On
    };
    way.cluster.list(&query, &mut one).await?;
    Ok(way)
}

impl Filter {
    async fn of(target: &KubernetesTarget, way: &Way, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let owners = match filled(&target.owner, cx)? {
            Some(owner) => Some(owners(&owner, way).await?),
            None => None,
        };
        let (zone, region) = (filled(&target.zone, cx)?, filled(&target.region, cx)?);
        let by_node = way.kind.kind == "Pod" && (zone.is_some() || region.is_some());
        let places = if by_node { Some(places(&*way.cluster).await?) } else { None };
        let asked = target.name.is_some() || target.fields.as_ref().is_some_and(|f| f.to_string().contains("phase"));
        let ended = if asked || way.kind.kind != "Pod" { Ended::Count } else { Ended::DoNotCount };
        Ok(Self { owners, places, zone, region, ended })
    }

    /// The object pinned, if it is one of those that are meant.
    fn fits(&self, object: &Object, kind: &Kind) -> Option<ObjectRef> {
        let over = ["Succeeded", "Failed"].contains(&object.text("/status/phase"));
        if object.ending() || (over && self.ended == Ended::DoNotCount) {
            return None;
        }
        if let Some(owners) = &self.owners
            && !object.owners().iter().any(|owner| owners.contains(&owner.uid))
        {
            return None;
        }
        let (zone, region) = match &self.places {
            Some(places) => places.get(object.text("/spec/nodeName")).cloned().unwrap_or_default(),
            None => place(object),
        };
        let meant = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let fits = meant(&self.zone, &zone) && meant(&self.region, &region);
        fits.then(|| ObjectRef { zone, ..object.reference(kind) })
    }
}

fn place(node: &Object) -> Place {
    let label = |names: [&str; 2]| names.iter().find_map(|name| node.label(name)).map(str::to_owned);
    (label(ZONE), label(REGION))
}

async fn places(cluster: &dyn Cluster) -> Result<BTreeMap<String, Place>, FaultError> {
    let mut places = BTreeMap::new();
    let Some(kind) = Kind::known("node") else { return Ok(places) };
    let query = Query { kind, namespace: None, labels: String::new(), fields: String::new() };
    let mut one = |node: Object| {
        places.insert(node.name().to_owned(), place(&node));
        Flow::On
    };
    cluster.list(&query, &mut one).await?;
    Ok(places)
}

/// The zone of a node by its name, if it says one.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn zone_of(node: &str, cluster: &dyn Cluster) -> Result<Option<String>, FaultError> {
    let Some(kind) = Kind::known("node") else { return Ok(None) };
    Ok(cluster.get(&kind.at(None, node)).await?.and_then(|node| place(&node).0))
}

/// What stands between an owner and what it owns in the end, from above.
#[must_use]
pub fn between(owner: &Kind) -> &'static [&'static str] {
    match owner.kind.as_str() {
        "Deployment" => &["replicaset"],
        "CronJob" => &["job"],
        "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "Node" => &[],
        // What other operators make is made of these.
        _ => &["deployment", "statefulset", "replicaset", "job"],
    }
}

/// The uids of an owner and of all that it owns and that may own in turn.
async fn owners(owner: &str, way: &Way) -> Result<BTreeSet<String>, FaultError> {
    let wrong = || FaultError::Reference(format!("`{owner}` is no owner; write it like deployment/web"));
    let (kind_name, name) = owner.split_once('/').ok_or_else(wrong)?;
    let kind = kind(kind_name, &*way.cluster).await?;
    let at = kind.at(way.namespace.as_deref(), name);
    let found = way.cluster.get(&at).await?.filter(|found| !found.ending());
    let found = found.ok_or_else(|| FaultError::NothingToBreak(format!("there is no {at}")))?;
    let mut uids = BTreeSet::from([found.uid().to_owned()]);
    for kind in between(&kind).iter().filter_map(|name| Kind::known(name)).filter(|kind| *kind != way.kind) {
        let namespace = way.namespace.clone();
        let query = Query { kind, namespace, labels: String::new(), fields: String::new() };
        let mut owned = Vec::new();
        let mut one = |object: Object| {
            if object.owners().iter().any(|owner| uids.contains(&owner.uid)) {
                owned.push(object.uid().to_owned());
            }
            Flow::On
        };
        way.cluster.list(&query, &mut one).await?;
        uids.extend(owned);
    }
    Ok(uids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &serde_json::Value, node: &str, owner: &str) -> Object {
        Object(json!({
            "metadata": {"name": "p", "namespace": "shop", "uid": "u", "ownerReferences":
                [{"kind": "ReplicaSet", "name": "web-1", "uid": owner}]},
            "spec": {"nodeName": node}, "status": status,
        }))
    }

    fn filter() -> Filter {
        Filter { owners: None, places: None, zone: None, region: None, ended: Ended::DoNotCount }
    }

    #[test]
    fn what_is_on_its_way_out_or_has_ended_does_not_count() {
        let kind = Kind::known("pod").unwrap();
        let running = json!({"phase": "Running"});
        assert!(filter().fits(&pod(&running, "n1", "rs"), &kind).is_some());
        assert!(filter().fits(&pod(&json!({"phase": "Failed"}), "n1", "rs"), &kind).is_none());
        assert!(
            Filter { ended: Ended::Count, ..filter() }
                .fits(&pod(&json!({"phase": "Failed"}), "n", "rs"), &kind)
                .is_some()
        );
        let mut ending = pod(&running, "n1", "rs");
        ending.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(filter().fits(&ending, &kind).is_none());
    }

    #[test]
    fn pods_are_chosen_by_owner_and_by_the_zone_of_their_node() {
        let kind = Kind::known("pod").unwrap();
        let is = |zone: &str| (Some(zone.to_owned()), None);
        let places = Some(BTreeMap::from([("n1".to_owned(), is("a")), ("n2".to_owned(), is("b"))]));
        let owners = Some(BTreeSet::from(["rs".to_owned()]));
        let filter = Filter { owners, places, zone: Some("a".to_owned()), ..filter() };
        let running = json!({"phase": "Running"});
        let pinned = filter.fits(&pod(&running, "n1", "rs"), &kind).unwrap();
        assert_eq!((pinned.zone.as_deref(), pinned.node.as_deref()), (Some("a"), Some("n1")));
        assert!(filter.fits(&pod(&running, "n2", "rs"), &kind).is_none(), "another zone");
        assert!(filter.fits(&pod(&running, "n1", "other"), &kind).is_none(), "another owner");
        assert!(filter.fits(&pod(&running, "", "rs"), &kind).is_none(), "on no node yet");
    }

    #[test]
    fn a_node_of_an_older_cluster_says_its_zone_too() {
        let node = |label: &str| Object(json!({"metadata": {"name": "n", "labels": {label: "z1"}}}));
        assert_eq!(place(&node(ZONE[0])).0.as_deref(), Some("z1"));
        assert_eq!(place(&node(ZONE[1])).0.as_deref(), Some("z1"));
        assert_eq!(place(&node(REGION[1])), (None, Some("z1".to_owned())));
    }
}
