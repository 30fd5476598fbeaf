//! Healing from a cluster alone: records of open faults are found there by their label, healed, proven and removed, and so is
//! what of ours nobody accounts for. No state directory, no playbook and no configuration is needed.

use super::{FAULT, HELPER, PART, TIDY, lease, record, why};
use crate::adapters::World;
use crate::adapters::kubernetes::{
    Access, Cluster, ClusterError, Deletion, Flow, Kind, Object, Propagation, Query, Write,
};
use crate::event::{Event, FaultIntent, HealCause, What};
use crate::exec::context::HealContext;
use crate::exec::heal::{self, Noted};
use crate::exec::options::{Limits, Observer};
use crate::exec::recover::{Recovered, StillOpen, prepared};
use crate::exec::redact::Redactor;
use crate::exec::secrets;
use crate::exec::vantage::pod::RECORD as VANTAGE;
use crate::faults::kubernetes::{Home, OWNER_LABEL, RECORD_LABEL};
use crate::model::{FaultId, RunId};
use crate::redact::Forms;
use lease::Life;
use record::Record;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Kinds in which something of ours may stand by itself.
const KINDS: [&str; 5] = ["configmap", "secret", "pod", "job", "networkpolicy"];

/// A recovery that dies keeps others from healing for so long.
const HEALING: Duration = Duration::from_secs(60);
/// The name that it has then.
const HEALER: &str = "recovery";

/// What is to be healed of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InCluster {
    /// Only in this namespace; in all that may be read if none.
    pub namespace: Option<String>,
    /// Only what this run left.
    pub run: Option<RunId>,
    /// Is it known that its runner is gone? Else a fresh Lease says that it lives.
    pub runner: Runner,
}

/// What is known of the runner of what is to be healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runner {
    /// Only what its Lease says.
    #[default]
    Unknown,
    /// The same, and a Lease that is not renewed is waited for until it has expired.
    Awaited,
    /// It is gone for sure.
    Gone,
}

/// What a look at a cluster, or a recovery from it, came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Left {
    /// The cluster's URL.
    pub server: String,
    /// Runs that left records there, and what became of them.
    pub runs: Vec<Recovered>,
    /// What was removed besides: made by us, and of nobody.
    pub removed: Vec<String>,
    /// What is there besides, and the command that shows or removes it.
    pub residue: Vec<(String, String)>,
    /// Where nobody could look.
    pub unseen: Vec<String>,
}

/// What a cluster knows of us.
struct There {
    cluster: Arc<dyn Cluster>,
    namespace: Option<String>,
    records: Vec<Record>,
    leases: Vec<Object>,
    left: Left,
}

/// Where a person is told to heal from.
pub(super) fn left_open(record: &Record, home: &Home) -> String {
    let Record { run, namespace, host, .. } = record;
    let fault = record.intent.as_ref().map_or("a fault", |intent| intent.fault.as_str());
    let way = command(home);
    format!("run {run} (on {host}) left `{fault}` open in the cluster, recorded in {namespace}; heal it with `{way}`")
}

fn command(home: &Home) -> String {
    let mut command = "blackstart recover --from-cluster".to_owned();
    if let Some(file) = &home.access.kubeconfig {
        command.push_str(&format!(" --kubeconfig {}", file.display()));
    }
    if let Some(context) = &home.access.context {
        command.push_str(&format!(" --context {context}"));
    }
    format!("{command} --namespace {}", home.namespace)
}

/// Heals what records in a cluster say is open, newest first, and removes what of ours is nobody's. `world` has no cluster
/// but the one that is meant.
///
/// # Errors
/// When the cluster cannot be asked at all.
pub async fn recover_from_cluster(
    what: &InCluster,
    world: &World,
    limits: &Limits,
    observer: Arc<dyn Observer>,
) -> Result<Left, String> {
    let mut there = There::look(what, world).await?;
    for run in there.runs() {
        let mut recovered = there.blank(&run);
        if what.runner == Runner::Awaited {
            there.wait_for(&run, world).await;
        }
        match there.alive(&run, what.runner, world) {
            Some(alive) => recovered.error = Some(alive),
            None => there.heal_run(&run, &mut recovered, (world, limits, &observer)).await,
        }
        there.left.runs.push(recovered);
    }
    // What healing has removed is not there any more.
    let mut after = There::look(what, world).await?;
    after.free_leases(what, world).await;
    after.residue(Remove::Ours, world).await;
    let Left { residue, unseen, removed, .. } = after.left;
    Ok(Left { residue, unseen, removed, ..there.left })
}

/// What a cluster knows of open faults and of things of ours; heals and removes nothing.
///
/// # Errors
/// When the cluster cannot be asked at all.
pub async fn look_at_cluster(what: &InCluster, world: &World) -> Result<Left, String> {
    let mut there = There::look(what, world).await?;
    for run in there.runs() {
        let mut seen = there.blank(&run);
        seen.error = there.alive(&run, what.runner, world);
        seen.open = there.records.iter().filter(|record| record.run == run).map(open).collect();
        there.left.runs.push(seen);
    }
    there.residue(Remove::Nothing, world).await;
    Ok(there.left)
}

fn open(record: &Record) -> StillOpen {
    match &record.intent {
        Ok(intent) => {
            let why = format!("{} ({}): {}", intent.name, intent.kind, intent.targets.join(", "));
            StillOpen { fault: intent.fault.clone(), why, by_hand: intent.by_hand.clone() }
        }
        Err(why) => unreadable(record, why),
    }
}

fn unreadable(record: &Record, why: &str) -> StillOpen {
    let Record { tag, namespace, .. } = record;
    let by_hand = format!("kubectl get all,configmap,secret -l {OWNER_LABEL}={tag} -A shows what it changed");
    StillOpen { fault: FaultId(format!("recorded as {namespace}/{tag}")), why: why.to_owned(), by_hand }
}

/// May anything be removed?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remove {
    Nothing,
    Ours,
}

impl There {
    async fn look(what: &InCluster, world: &World) -> Result<Self, String> {
        let cluster = world.clusters.open(&Access::default()).await.map_err(|e| why(&e))?;
        let mut namespace = what.namespace.clone();
        let mut left = Left { server: cluster.facts().server, ..Left::default() };
        let mut records = record::all(&*cluster, namespace.as_deref()).await;
        if let (Err(ClusterError::Forbidden(_)), None) = (&records, &namespace) {
            let own = cluster.facts().namespace;
            left.unseen.push(format!("other namespaces than `{own}` may not be read; name one by --namespace"));
            namespace = Some(own);
            records = record::all(&*cluster, namespace.as_deref()).await;
        }
        let mut records = records.map_err(|e| why(&e))?;
        records.retain(|record| what.run.as_ref().is_none_or(|run| *run == record.run));
        let leases = lease::all(&*cluster, namespace.as_deref()).await.map_err(|e| why(&e))?;
        Ok(Self { cluster, namespace, records, leases, left })
    }

    /// Newest first.
    fn runs(&self) -> Vec<RunId> {
        let mut runs: Vec<RunId> = Vec::new();
        for record in self.records.iter().rev() {
            if !runs.contains(&record.run) {
                runs.push(record.run.clone());
            }
        }
        runs
    }

    fn blank(&self, run: &RunId) -> Recovered {
        let context = self.records.iter().filter(|record| record.run == *run).find_map(|record| {
            serde_json::from_value::<HealContext>(record.intent.as_ref().ok()?.context.clone()).ok()
        });
        let HealContext { dir, state: state_dir, .. } = context.unwrap_or_default();
        let (healed, open, error, secrets) = (Vec::new(), Vec::new(), None, Forms::default());
        Recovered { run: run.clone(), dir, state_dir, healed, open, error, secrets }
    }

    /// Says until when its Lease is good, if it is.
    fn alive(&self, run: &RunId, runner: Runner, world: &World) -> Option<String> {
        if runner == Runner::Gone {
            return None;
        }
        let now = world.clock.stamp().wall;
        let host = self.records.iter().find(|r| r.run == *run).map(|r| r.host.as_str()).unwrap_or_default();
        self.leases.iter().filter(|lease| lease::holder(lease) == run.as_str()).find_map(|lease| {
            let Life::Fresh(until) = lease::life(lease, now) else { return None };
            let until = until.format("%Y-%m-%d %H:%M:%S UTC");
            Some(format!(
                "it is alive (on {host}): its Lease is good until {until}; stop it there, or try again after that"
            ))
        })
    }

    /// Waits until the run's Leases have expired, or one is renewed.
    async fn wait_for(&self, run: &RunId, world: &World) {
        for lease in self.leases.iter().filter(|lease| lease::holder(lease) == run.as_str()) {
            lease::expiry(&*self.cluster, lease, world).await;
        }
    }

    async fn heal_run(
        &self,
        run: &RunId,
        recovered: &mut Recovered,
        (world, limits, observer): (&World, &Limits, &Arc<dyn Observer>),
    ) {
        // A runner that comes back sees that it is not its own any more.
        let healer = format!("{HEALER} of {run}");
        let mut own = Vec::new();
        for lease in self.leases.iter().filter(|lease| lease::holder(lease) == run.as_str()) {
            match lease::take_over(&*self.cluster, lease, (&healer, HEALING), world.clock.stamp().wall).await {
                Ok(lease) => own.push(lease),
                Err(error) => {
                    recovered.error = Some(format!("its Lease could not be taken over: {error}"));
                    return;
                }
            }
        }
        let mut records: Vec<&Record> = self.records.iter().rev().filter(|record| record.run == *run).collect();
        // Newest first; what needs that another one is healed has a second turn.
        for turn in heal::turns(records.len()) {
            recovered.open.clear();
            for record in std::mem::take(&mut records) {
                let intent = match &record.intent {
                    Ok(intent) => intent,
                    Err(why) => {
                        recovered.open.push(unreadable(record, why));
                        records.push(record);
                        continue;
                    }
                };
                let redactor = Redactor { forms: recovered.secrets.clone() };
                match heal_one(intent, run, (world, limits, observer), (&redactor, *turn)).await {
                    Ok(()) => recovered.healed.push(intent.fault.clone()),
                    Err(why) => {
                        let (fault, by_hand) = (intent.fault.clone(), intent.by_hand.clone());
                        recovered.open.push(StillOpen { fault, why: cleaned(&redactor, why), by_hand });
                        records.push(record);
                    }
                }
            }
        }
        for lease in own {
            // One that cannot be freed expires.
            let _expires = tokio::time::timeout(TIDY, lease::delete(&*self.cluster, &lease)).await;
        }
    }

    /// Whoever is killed between the last heal and its end leaves Leases that no record leads to.
    async fn free_leases(&mut self, what: &InCluster, world: &World) {
        for lease in std::mem::take(&mut self.leases) {
            let holder = lease::holder(&lease);
            let open = self.records.iter().any(|record| record.run.as_str() == holder);
            let meant = what.run.as_ref().is_none_or(|run| run.as_str() == holder);
            if open || !meant || !lease::is_abandoned(&*self.cluster, &lease, what.runner, world).await {
                self.leases.push(lease);
                continue;
            }
            let freed = async {
                let now = world.clock.stamp().wall;
                let ours = lease::take_over(&*self.cluster, &lease, (HEALER, HEALING), now).await?;
                lease::delete(&*self.cluster, &ours).await
            };
            let at = lease.at(&lease::kind());
            match tokio::time::timeout(TIDY, freed).await {
                // Somebody else has taken it, or freed it.
                Ok(Err(ClusterError::Conflict(_) | ClusterError::Missing(_))) => {}
                Ok(Ok(())) => self.left.removed.push(at.to_string()),
                Ok(Err(error)) => self.left.unseen.push(format!("{at} could not be freed, it expires: {error}")),
                Err(_) => self.left.unseen.push(format!("{at} could not be freed, it expires: no answer")),
            }
        }
    }

    /// What of ours is there, and no record accounts for.
    async fn residue(&mut self, remove: Remove, world: &World) {
        let accounted: BTreeSet<String> = self.records.iter().map(|record| record.tag.clone()).collect();
        let now = world.clock.stamp().wall;
        let alive = |lease: &&Object| matches!(lease::life(lease, now), Life::Fresh(_));
        let living: BTreeSet<String> =
            self.leases.iter().filter(alive).filter_map(|l| l.label(OWNER_LABEL)).map(str::to_owned).collect();
        for name in KINDS {
            let Some(kind) = Kind::known(name) else { continue };
            let found = match self.labelled(&kind).await {
                Ok(found) => found,
                Err(error) => {
                    self.left.unseen.push(format!("{}: {error}", kind.plural));
                    continue;
                }
            };
            for object in found {
                let tag = object.label(OWNER_LABEL).unwrap_or_default();
                if !accounted.contains(tag) && !living.contains(tag) {
                    self.stray(&object, &kind, remove).await;
                }
            }
        }
    }

    async fn stray(&mut self, object: &Object, kind: &Kind, remove: Remove) {
        let at = object.at(kind);
        let namespace = object.namespace().map(|n| format!(" -n {n}")).unwrap_or_default();
        let command = |verb: &str| format!("kubectl {verb} {} {}{namespace}", kind.plural, object.name());
        let record = object.label(RECORD_LABEL).unwrap_or_default();
        let removable = match record {
            // Without its first part it is no record: nothing was injected, or all is healed.
            PART | HELPER => true,
            FAULT => return,
            // While it works it is somebody's: it ends with its runner.
            VANTAGE => object.condition("Complete").is_some() || object.condition("Failed").is_some(),
            _ => false,
        };
        // What it belongs to goes first, and takes it along.
        if object.ending() || !object.owners().is_empty() {
            return;
        }
        match (removable, remove) {
            (true, Remove::Ours) => {
                let propagation = Some(Propagation::Background);
                let how = Deletion { uid: Some(object.uid().to_owned()), propagation, ..Deletion::default() };
                match self.cluster.delete(&at, &how, Write::Real).await {
                    Ok(()) | Err(ClusterError::Missing(_)) => self.left.removed.push(at.to_string()),
                    Err(error) => self.left.residue.push((format!("{at}: {error}"), command("delete"))),
                }
            }
            (true, Remove::Nothing) => {
                self.left
                    .residue
                    .push((format!("{at}, made by a drill that nobody knows any more"), command("delete")));
            }
            (false, _) if record == "backup" => {
                let what = format!("{at} holds what a drill was to put back, and nobody knows where");
                self.left.residue.push((what, command("get -o yaml")));
            }
            (false, _) if record.is_empty() => {
                let what = format!("{at} was changed by a drill that nobody knows any more");
                self.left.residue.push((what, command("get -o yaml")));
            }
            (false, _) => {}
        }
    }

    async fn labelled(&self, kind: &Kind) -> Result<Vec<Object>, ClusterError> {
        let (labels, fields) = (OWNER_LABEL.to_owned(), String::new());
        let query = Query { kind: kind.clone(), namespace: self.namespace.clone(), labels, fields };
        let mut found = Vec::new();
        let mut one = |object: Object| {
            found.push(object);
            Flow::On
        };
        self.cluster.list(&query, &mut one).await?;
        Ok(found)
    }
}

fn cleaned(redactor: &Redactor, mut text: String) -> String {
    redactor.forms.clean(&mut text);
    text
}

async fn heal_one(
    intent: &FaultIntent,
    run: &RunId,
    (world, limits, observer): (&World, &Limits, &Arc<dyn Observer>),
    (redactor, turn): (&Redactor, heal::Turn),
) -> Result<(), String> {
    let (fault, _, scene) = prepared(intent, run, world)?;
    // Nothing of it is written here: what was healed is in the cluster.
    let note = |mut what: What| {
        redactor.event(&mut what);
        observer.event(&Event { at: world.clock.stamp(), what });
        Noted::Yes
    };
    let _said = note(What::HealStarted { fault: intent.fault.clone(), by: HealCause::Recover });
    // A secret that is gone matters only if the heal needs it; then the heal says so.
    let _unread = secrets::read(&scene, redactor).await;
    let (id, cx) = (&intent.fault, scene.cx_for(&intent.fault));
    match turn {
        heal::Turn::First => heal::brief(id, &fault, &cx, limits, &note).await,
        heal::Turn::Last => heal::heal(id, &fault, &cx, limits, &note).await,
    }
}
