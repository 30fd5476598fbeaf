//! What a run keeps in the clusters that it breaks something in: a Lease for each part of them that is its own, a record of
//! each open fault from which others can heal it, and the rights that all of that needs. What faults do there is theirs.

mod from;
mod lease;
mod preflight;
mod record;
mod rights;

pub use from::{InCluster, Left, Runner, look_at_cluster, recover_from_cluster};
pub use rights::{Rights, rights};

pub(super) use lease::{Held, Refused};

use super::context::HealContext;
use super::drill::Drill;
use super::scene::Scene;
use super::vantage;
use crate::adapters::World;
use crate::adapters::kubernetes::ClusterError;
use crate::event::{Event, FaultIntent, What};
use crate::faults::kubernetes::{self, Home, OWNER_LABEL, RECORD_LABEL, Way};
use crate::faults::{Cx, FaultError, PreparedFault, Scope};
use crate::model::{FaultId, KubernetesTarget, Owner, RunId, TargetRef, TargetSpec, Template, VantagePod};
use std::collections::BTreeSet;
use std::time::Duration;

/// What an object of ours is, in [`RECORD_LABEL`].
const FAULT: &str = "fault";
/// What else a record that is too large for one object is made of.
const PART: &str = "part";
const LEASE: &str = "lease";
const HELPER: &str = "helper";

/// What is tidied up in a cluster after the healing takes no longer than this: a Lease ends by itself.
const TIDY: Duration = Duration::from_secs(15);

/// A target of kind `kubernetes`, and the way to it.
pub(super) struct Target {
    pub name: String,
    pub spec: KubernetesTarget,
    pub way: Way,
}

/// Every target in a cluster, as far as it is known where they are; and why of the others it is not.
pub(super) async fn targets(scene: &Scene) -> (Vec<Target>, Vec<String>) {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for (name, spec) in scene.target_specs() {
        if !matches!(spec, TargetSpec::Kubernetes(_)) {
            continue;
        }
        let target = TargetRef::Now(name.clone());
        let Ok(TargetSpec::Kubernetes(spec)) = scene.spec(&target) else { continue };
        match kubernetes::way(&spec, &scene.cx()).await {
            Ok(way) => found.push(Target { name: name.clone(), spec, way }),
            Err(why) => unknown.push(format!("target `{name}`: {why}")),
        }
    }
    (found, unknown)
}

/// A run's own tag: what it keeps for itself, and not for one of its faults, carries it.
pub(super) fn of_run(run: &RunId) -> String {
    Owner { run: run.clone(), fault: FaultId(String::new()) }.tag()
}

/// A selector for what is ours.
fn ours(record: &str) -> String {
    format!("{OWNER_LABEL},{RECORD_LABEL} in ({record})")
}

/// Where the record of a fault stands: with what it is done to, or with the runner if that is inside a cluster itself.
fn home_of<'a>(prepared: &'a PreparedFault, scope: &'a dyn Scope) -> Option<&'a Home> {
    prepared.home().or_else(|| scope.home().filter(|_| prepared.spec.reaches_out()))
}

/// Where the records of the faults in a run's journal stand, open ones too.
fn homes(events: &[Event], run: &RunId, world: &World) -> Vec<(FaultIntent, Home)> {
    let intents = events.iter().filter_map(|event| match &event.what {
        What::FaultIntent(intent) => Some((**intent).clone()),
        _ => None,
    });
    let home = |intent: FaultIntent| {
        let (fault, _, scene) = super::recover::prepared(&intent, run, world).ok()?;
        let home = home_of(&fault, &scene)?.clone();
        Some((intent, home))
    };
    intents.filter_map(home).collect()
}

/// The way to where the pod of a vantage is to be.
pub(super) async fn way_of(pod: &VantagePod, cx: &Cx<'_>) -> Result<Way, FaultError> {
    let (kubeconfig, context, namespace) = (pod.kubeconfig.clone(), pod.context.clone(), pod.namespace.clone());
    let kind = Some(Template::literal("job"));
    kubernetes::way(&KubernetesTarget { kubeconfig, context, namespace, kind, ..KubernetesTarget::default() }, cx).await
}

/// Tidies up behind a run that somebody else has healed: records of faults that are healed, and the run's Leases. What
/// cannot be removed now is found as residue later.
pub(super) async fn tidy(events: &[Event], run: &RunId, open: &[FaultId], world: &World) -> Vec<String> {
    let homes = homes(events, run, world);
    let work = async {
        let mut left = Vec::new();
        let mut places: BTreeSet<Home> = BTreeSet::new();
        for (intent, home) in homes {
            let owner = Owner { run: run.clone(), fault: intent.fault.clone() };
            if !open.contains(&intent.fault) {
                left.extend(record::remove(&home, &owner, world).await.err());
            }
            places.insert(home);
            places.extend(homes_of(&intent, run, world).await);
        }
        for event in events {
            if let What::VantagePlaced(placed) = &event.what {
                left.extend(vantage::pod::removed(placed, world).await.err());
            }
        }
        for home in places {
            left.extend(lease::release_all(&home, run, world).await.err());
        }
        left
    };
    tokio::time::timeout(TIDY, work).await.unwrap_or_default()
}

/// Where the run's targets have their homes, as an intent knows them.
async fn homes_of(intent: &FaultIntent, run: &RunId, world: &World) -> Vec<Home> {
    let Ok(context) = serde_json::from_value::<HealContext>(intent.context.clone()) else { return Vec::new() };
    let scene = Scene::recovered(context, world, run);
    let (found, _) = targets(&scene).await;
    found.into_iter().map(|target| target.way.home).collect()
}

/// Removes the record of a fault that is healed.
pub(super) async fn forget(prepared: &PreparedFault, cx: &Cx<'_>) -> Result<(), String> {
    match home_of(prepared, cx.scope) {
        Some(home) => record::remove(home, &cx.owner, cx.world).await,
        None => Ok(()),
    }
}

impl Drill<'_> {
    /// The intent in the cluster, from which a fault can be healed when all that is here is gone. `Err` says why nothing
    /// may be injected.
    pub async fn recorded(&self, intent: &FaultIntent, prepared: &PreparedFault) -> Result<(), String> {
        let Some(home) = home_of(prepared, &self.scene).filter(|_| !intent.irreversible) else { return Ok(()) };
        let owner = self.scene.cx_for(&intent.fault).owner;
        let written = record::write(home, &owner, intent, self.world).await;
        written.map_err(|why| format!("its record cannot be kept in the cluster: {why}"))
    }
}

/// An error of a cluster that a record or a Lease is about.
fn why(error: &ClusterError) -> String {
    error.to_string()
}
