//! The rights that a plan needs in its clusters: what its faults, probes and restores say, and what the drill itself does
//! there. From these the minimal Role is printed, and each is asked for in preflight.

use super::{Target, targets};
use crate::adapters::World;
use crate::adapters::kubernetes::{Access, Allowed, Kind, May, Scope as Of};
use crate::exec::scene::Scene;
use crate::faults::kubernetes::{self, Way};
use crate::model::{Resource, Right, RunId, Template};
use crate::plan::{Grant, GuardCheck, Plan, Verb, Where};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a plan needs in one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Rights {
    /// The way to it.
    pub access: Access,
    /// The cluster in words.
    pub cluster: String,
    /// Where the drill keeps its records there.
    pub home: String,
    /// Each once, in order.
    pub grants: BTreeSet<Grant>,
}

/// What a plan needs in each of its clusters, without a run: read-only.
///
/// # Errors
/// Why it is not known of a target where it is, or of what kind.
pub async fn rights(plan: &Plan, world: &World) -> Result<Vec<Rights>, Vec<String>> {
    let scene = Scene::new(plan, world, &RunId("plan".to_owned()), Path::new("."), Path::new("."));
    let (targets, unknown) = targets(&scene).await;
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut unknown = Vec::new();
    let all = all(plan, &scene, &targets, &mut unknown).await;
    if unknown.is_empty() { Ok(all) } else { Err(unknown) }
}

impl Rights {
    fn of(way: &Way) -> Self {
        let context = way.access.context.clone().or_else(|| way.cluster.context());
        let server = way.cluster.facts().server;
        let cluster = context.map_or_else(|| server.clone(), |context| format!("{context} ({server})"));
        let (access, home) = (way.access.clone(), way.home.namespace.clone());
        Self { access, cluster, home, grants: BTreeSet::new() }
    }
}

/// Where the pods of vantages are to be.
async fn vantages(plan: &Plan, scene: &Scene, unknown: &mut Vec<String>) -> Vec<Way> {
    let mut ways: BTreeMap<&str, Way> = BTreeMap::new();
    for vantage in plan.workloads.iter().filter_map(|workload| workload.vantage.as_ref()) {
        let Some(pod) = &vantage.pod else { continue };
        if ways.contains_key(vantage.name.as_str()) {
            continue;
        }
        match super::way_of(pod, &scene.cx()).await {
            Ok(way) => {
                ways.insert(&vantage.name, way);
            }
            Err(why) => unknown.push(format!("vantage `{}`: {why}", vantage.name)),
        }
    }
    ways.into_values().collect()
}

/// What the pod of a vantage takes: it is made, found, connected to and removed.
fn of_vantage(namespace: &str) -> Vec<Grant> {
    let one = |group: &str, resource: &str, name: Option<&str>, verb: &str| Grant {
        scope: Where::Namespace(namespace.to_owned()),
        group: group.to_owned(),
        resource: resource.to_owned(),
        name: name.map(str::to_owned),
        verb: verb.to_owned(),
    };
    let mut all = vec![one("", "namespaces", Some(namespace), "get"), one("", "pods", None, "list")];
    all.extend(["create", "get", "delete"].map(|verb| one("batch", "jobs", None, verb)));
    // Over WebSockets servers up to 1.34 ask for `get`, later ones for `create`.
    all.extend(["get", "create"].map(|verb| one("", "pods/portforward", None, verb)));
    all
}

async fn all(plan: &Plan, scene: &Scene, targets: &[Target], unknown: &mut Vec<String>) -> Vec<Rights> {
    let mut clusters: BTreeMap<Access, Rights> = BTreeMap::new();
    let said = said(plan);
    for target in targets {
        let way = &target.way;
        let rights = clusters.entry(way.access.clone()).or_insert_with(|| Rights::of(way));
        match own(target).await {
            Ok(own) => rights.grants.extend(own),
            Err(why) => unknown.push(format!("target `{}`: {why}", target.name)),
        }
        let of = said.iter().filter(|right| right.target == target.name);
        rights.grants.extend(of.map(|right| grant(&right.resource, &right.verb, target)));
    }
    for way in vantages(plan, scene, unknown).await {
        let rights = clusters.entry(way.access.clone()).or_insert_with(|| Rights::of(&way));
        rights.grants.extend(of_vantage(&way.home.namespace));
    }
    clusters.into_values().collect()
}

/// What the parts of a plan say that they need.
fn said(plan: &Plan) -> Vec<Right> {
    let mut rights = Vec::new();
    for step in plan.every_step() {
        match &step.verb {
            Verb::Inject(inject) => rights.extend(inject.faults().flat_map(crate::faults::FaultSpec::rights)),
            Verb::Expect { probe, .. } | Verb::Check(probe) => rights.extend(probe.rights()),
            Verb::Restore(restore) => rights.extend(restore.rights()),
            Verb::Parallel(_) | Verb::Run(_) | Verb::Heal(_) | Verb::Wait(_) | Verb::Ask(_) => {}
        }
    }
    for guard in &plan.guards {
        if let GuardCheck::Probe(probe) = &guard.check {
            rights.extend(probe.rights());
        }
    }
    rights
}

/// What the drill itself does: finds the target, holds its Lease, keeps records.
async fn own(target: &Target) -> Result<Vec<Grant>, String> {
    let Target { spec, way, .. } = target;
    let mut own = Vec::new();
    let mut add = |resource: Resource, verbs: &[&str]| {
        own.extend(verbs.iter().map(|verb| grant(&resource, verb, target)));
    };
    add(Resource::Itself(None), &["get", "list"]);
    add(Resource::Home(String::new(), "configmaps".to_owned()), &["get", "list", "create", "delete"]);
    let leases = Resource::Home("coordination.k8s.io".to_owned(), "leases".to_owned());
    add(leases, &["get", "list", "create", "patch", "delete"]);
    if spec.zone.is_some() || spec.region.is_some() {
        add(Resource::Everywhere(String::new(), "nodes".to_owned()), &["list"]);
    }
    if let Some(owner) = spec.owner.as_ref().and_then(Template::as_literal) {
        let name = owner.split('/').next().unwrap_or_default();
        let kind = kubernetes::kind(name, &*way.cluster).await.map_err(|e| e.to_string())?;
        add(namespaced(&kind), &["get"]);
        let between = kubernetes::between(&kind).iter().filter_map(|name| Kind::known(name));
        for kind in between.filter(|kind| *kind != way.kind) {
            add(namespaced(&kind), &["list"]);
        }
    }
    // Whether a namespace is protected stands on itself.
    own.extend(way.namespace.iter().map(|namespace| Grant {
        scope: Where::Namespace(namespace.clone()),
        group: String::new(),
        resource: "namespaces".to_owned(),
        name: Some(namespace.clone()),
        verb: "get".to_owned(),
    }));
    Ok(own)
}

fn namespaced(kind: &Kind) -> Resource {
    Resource::Namespaced(kind.group.clone(), kind.plural.clone())
}

fn grant(resource: &Resource, verb: &str, target: &Target) -> Grant {
    let way = &target.way;
    let inside =
        match (&way.namespace, way.kind.kind.as_str(), target.spec.name.as_ref().and_then(Template::as_literal)) {
            (Some(namespace), ..) => Where::Namespace(namespace.clone()),
            // What a namespace holds.
            (None, "Namespace", Some(name)) => Where::Namespace(name),
            (None, ..) => Where::Cluster,
        };
    let (scope, group, resource) = match resource {
        Resource::Itself(part) => {
            let plural = way.kind.plural.clone();
            let resource = part.as_ref().map_or_else(|| plural.clone(), |part| format!("{plural}/{part}"));
            let scope = if way.kind.scope == Of::Cluster { Where::Cluster } else { inside };
            (scope, way.kind.group.clone(), resource)
        }
        Resource::Namespaced(group, resource) => (inside, group.clone(), resource.clone()),
        Resource::Everywhere(group, resource) => (Where::Cluster, group.clone(), resource.clone()),
        Resource::Home(group, resource) => {
            (Where::Namespace(way.home.namespace.clone()), group.clone(), resource.clone())
        }
    };
    Grant { scope, group, resource, name: None, verb: verb.to_owned() }
}

/// Each right that the account of this run does not have.
pub(super) async fn missing(plan: &Plan, scene: &Scene, targets: &[Target]) -> Vec<String> {
    let mut unknown = Vec::new();
    let all = all(plan, scene, targets, &mut unknown).await;
    let mut missing = unknown;
    for rights in all {
        let cluster = match scene.cx().world.clusters.open(&rights.access).await {
            Ok(cluster) => cluster,
            Err(error) => {
                missing
                    .push(format!("what this account may do in the cluster {} is not known: {error}", rights.cluster));
                continue;
            }
        };
        for grant in &rights.grants {
            match cluster.may(&may(grant)).await {
                Ok(Allowed::Yes) => {}
                Ok(Allowed::No(reason)) => {
                    let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
                    missing.push(format!(
                        "in the cluster {}, this account may not {grant}{reason}; `blackstart plan --permissions` prints the Role \
                         that it needs",
                        rights.cluster
                    ));
                }
                Err(error) => {
                    missing.push(format!(
                        "whether this account may {grant} in the cluster {} is not known: {error}",
                        rights.cluster
                    ));
                    return missing;
                }
            }
        }
    }
    missing
}

fn may(grant: &Grant) -> May {
    let (resource, part) = match grant.resource.split_once('/') {
        Some((resource, part)) => (resource.to_owned(), Some(part.to_owned())),
        None => (grant.resource.clone(), None),
    };
    let namespace = match &grant.scope {
        Where::Namespace(namespace) => Some(namespace.clone()),
        Where::Cluster => None,
    };
    let (verb, group, name) = (grant.verb.clone(), grant.group.clone(), grant.name.clone());
    May { verb, group, resource, part, namespace, name }
}
