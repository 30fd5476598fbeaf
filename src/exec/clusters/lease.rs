//! One drill per part of a cluster at a time: a Lease in the target's home namespace, held in the run's name and renewed in
//! the background. A cluster that cannot be reached for a while (drills cut it off on purpose) does not end the run; another
//! holder does.

use super::from::Runner;
use super::{LEASE, Target, of_run, record, why};
use crate::adapters::World;
use crate::adapters::kubernetes::{Cluster, ClusterError, Deletion, Flow, Kind, Object, Patch, Query, Scope, Write};
use crate::event::AbortCause;
use crate::exec::drill::Drill;
use crate::exec::objects;
use crate::faults::kubernetes::{Home, OWNER_LABEL, RECORD_LABEL};
use crate::model::{Mono, PinnedTarget, RunId};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::Duration;

/// A holder that has not renewed it for so long has lost it, if the configuration says nothing else.
const DURATION: Duration = Duration::from_secs(30);
/// A shorter one would be lost to every pause.
const SHORTEST: Duration = Duration::from_secs(3);
/// It is renewed so often within its duration.
const RENEWALS: u32 = 6;
/// No clock is that wrong.
const LONG_AGO: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Others may take or free it at the same moment.
const ATTEMPTS: u32 = 5;
/// The run goes on; only its Leases are waited for at its end.
const RELEASE: Duration = Duration::from_secs(10);

/// A Lease that is ours.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Held {
    home: Home,
    name: String,
    /// What it stands for.
    part: String,
    /// As it was last seen.
    version: String,
    /// Since when it cannot be renewed.
    failing: Option<Mono>,
}

/// Why a Lease could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::exec) enum Refused {
    /// Another run has it.
    Held(String),
    /// Its run died and left something open.
    Left(String),
    /// The cluster did not do it.
    Cluster(String),
}

/// Whether a holder is still there, as far as the Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// It has renewed it lately; until then it counts as alive.
    Fresh(DateTime<Utc>),
    Expired,
    /// So long that no clock can be that wrong.
    LongExpired,
}

pub(super) fn kind() -> Kind {
    Kind::of("coordination.k8s.io", "v1", "Lease", "leases", Scope::Namespaced)
}

/// Short enough for a name, and the same for every drill.
fn name(part: &str) -> String {
    let digest = Sha256::digest(part.as_bytes());
    let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("blackstart-{digits}")
}

fn micro(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Is its holder alive?
pub(super) fn life(lease: &Object, now: DateTime<Utc>) -> Life {
    let renewed = DateTime::parse_from_rfc3339(lease.text("/spec/renewTime")).map(|at| at.with_timezone(&Utc));
    match renewed {
        _ if lease.text("/spec/holderIdentity").is_empty() => Life::LongExpired,
        Err(_) => Life::Expired,
        Ok(renewed) => {
            let until = renewed + TimeDelta::seconds(seconds(lease));
            if until > now {
                Life::Fresh(until)
            } else if now - until > TimeDelta::from_std(LONG_AGO).unwrap_or(TimeDelta::MAX) {
                Life::LongExpired
            } else {
                Life::Expired
            }
        }
    }
}

fn seconds(lease: &Object) -> i64 {
    lease.number("/spec/leaseDurationSeconds").unwrap_or(30).clamp(1, 3600)
}

/// A Lease that has expired by our clock is looked at for so long: a holder that lives renews it twice meanwhile, however
/// wrong one of the two clocks is.
fn watch(lease: &Object) -> Duration {
    Duration::from_secs(seconds(lease).unsigned_abs()) * 2 / RENEWALS
}

/// Waits until it has expired, or is renewed, or is gone.
pub(super) async fn expiry(cluster: &dyn Cluster, lease: &Object, world: &World) {
    let patience = Duration::from_secs(seconds(lease).unsigned_abs()) + watch(lease);
    let until = world.clock.mono().after(patience);
    while matches!(life(lease, world.clock.stamp().wall), Life::Fresh(_)) && world.clock.mono() < until {
        world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
        match cluster.get(&lease.at(&kind())).await {
            Ok(Some(now)) if now.version() == lease.version() => {}
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// All Leases of ours there.
pub(super) async fn all(cluster: &dyn Cluster, namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
    let (labels, fields) = (format!("{OWNER_LABEL},{RECORD_LABEL}={LEASE}"), String::new());
    let query = Query { kind: kind(), namespace: namespace.map(str::to_owned), labels, fields };
    let mut found = Vec::new();
    let mut one = |object: Object| {
        found.push(object);
        Flow::On
    };
    cluster.list(&query, &mut one).await?;
    Ok(found)
}

/// Who holds it.
pub(super) fn holder(lease: &Object) -> &str {
    lease.text("/spec/holderIdentity")
}

/// Frees what a run holds there.
pub(super) async fn release_all(home: &Home, run: &RunId, world: &World) -> Result<(), String> {
    let cluster = world.clusters.open(&home.access).await.map_err(|e| why(&e))?;
    for lease in all(&*cluster, Some(&home.namespace)).await.map_err(|e| why(&e))? {
        if holder(&lease) == run.as_str() {
            delete(&*cluster, &lease).await.map_err(|e| why(&e))?;
        }
    }
    Ok(())
}

/// Takes a Lease out of the cluster.
pub(super) async fn delete(cluster: &dyn Cluster, lease: &Object) -> Result<(), ClusterError> {
    let how = Deletion { uid: Some(lease.uid().to_owned()), ..Deletion::default() };
    match cluster.delete(&lease.at(&kind()), &how, Write::Real).await {
        Err(ClusterError::Missing(_)) => Ok(()),
        other => other,
    }
}

/// Makes somebody else its holder, if it still is as it was seen.
pub(super) async fn take_over(
    cluster: &dyn Cluster,
    lease: &Object,
    (run, lasts): (&str, Duration),
    now: DateTime<Utc>,
) -> Result<Object, ClusterError> {
    let transitions = lease.number("/spec/leaseTransitions").unwrap_or_default() + 1;
    let mut changed = spec(run, now, lasts);
    changed["acquireTime"] = json!(micro(now));
    changed["leaseTransitions"] = json!(transitions);
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": lease.version(), "labels": {OWNER_LABEL: of_run(&RunId(run.to_owned()))}},
        "spec": changed,
    }));
    cluster.patch(&lease.at(&kind()), None, &patch, Write::Real).await
}

fn spec(run: &str, now: DateTime<Utc>, lasts: Duration) -> Value {
    json!({"holderIdentity": run, "leaseDurationSeconds": lasts.as_secs(), "renewTime": micro(now)})
}

/// Takes the Lease on a part of a cluster.
async fn take((home, part): (&Home, &str), run: &RunId, lasts: Duration, world: &World) -> Result<Held, Refused> {
    let failed = |e: ClusterError| Refused::Cluster(format!("the Lease on {part}: {e}"));
    let cluster = world.clusters.open(&home.access).await.map_err(failed)?;
    let (kind, name) = (kind(), name(part));
    let at = kind.at(Some(&home.namespace), &name);
    let held = |lease: &Object| Held {
        home: home.clone(),
        name: name.clone(),
        part: part.to_owned(),
        version: lease.version().to_owned(),
        failing: None,
    };
    for _ in 0..ATTEMPTS {
        let now = world.clock.stamp().wall;
        let Some(lease) = cluster.get(&at).await.map_err(failed)? else {
            let mut object = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {
                    "name": name,
                    "labels": {OWNER_LABEL: of_run(run), RECORD_LABEL: LEASE},
                    "annotations": {"blackstart.dev/of": part},
                },
                "spec": spec(run.as_str(), now, lasts),
            });
            object["spec"]["acquireTime"] = json!(micro(now));
            object["spec"]["leaseTransitions"] = json!(0);
            match cluster.create(&kind, Some(&home.namespace), &object, Write::Real).await {
                Ok(made) => return Ok(held(&made)),
                Err(ClusterError::Exists(_)) => continue,
                Err(error) => return Err(failed(error)),
            }
        };
        if holder(&lease) == run.as_str() {
            return Ok(held(&lease));
        }
        may_be_taken(&*cluster, &lease, (home, part), world).await?;
        let now = world.clock.stamp().wall;
        match take_over(&*cluster, &lease, (run.as_str(), lasts), now).await {
            Ok(ours) => return Ok(held(&ours)),
            Err(ClusterError::Conflict(_) | ClusterError::Missing(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Refused::Held(format!("{part}: others take and free its Lease all the time")))
}

/// Is its holder alive? One that has expired by our clock is looked at for a while. None if it is gone meanwhile.
async fn watched(cluster: &dyn Cluster, lease: &Object, world: &World) -> Result<Option<Life>, ClusterError> {
    let life = self::life(lease, world.clock.stamp().wall);
    let until = world.clock.mono().after(watch(lease));
    while life == Life::Expired && world.clock.mono() < until {
        world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
        match cluster.get(&lease.at(&kind())).await? {
            Some(now) if now.version() != lease.version() => {
                let wall = world.clock.stamp().wall;
                return Ok(Some(Life::Fresh(wall + TimeDelta::seconds(seconds(lease)))));
            }
            Some(_) => {}
            None => return Ok(None),
        }
    }
    Ok(Some(life))
}

/// Is its holder gone, as far as is known of it?
pub(super) async fn is_abandoned(cluster: &dyn Cluster, lease: &Object, runner: Runner, world: &World) -> bool {
    match runner {
        Runner::Gone => return true,
        Runner::Awaited => expiry(cluster, lease, world).await,
        Runner::Unknown => {}
    }
    matches!(watched(cluster, lease, world).await, Ok(Some(Life::Expired | Life::LongExpired)))
}

/// Has its holder died, and left nothing open?
async fn may_be_taken(
    cluster: &dyn Cluster,
    lease: &Object,
    (home, part): (&Home, &str),
    world: &World,
) -> Result<(), Refused> {
    let run = holder(lease);
    let fresh = |until: DateTime<Utc>| {
        let until = until.format("%Y-%m-%d %H:%M:%S UTC");
        Refused::Held(format!("{part} is held by the run {run}, until {until} unless it renews its Lease"))
    };
    let failed = |e: ClusterError| Refused::Cluster(format!("the Lease on {part}: {e}"));
    let Some(life) = watched(cluster, lease, world).await.map_err(failed)? else { return Ok(()) };
    if let Life::Fresh(until) = life {
        return Err(fresh(until));
    }
    let records = record::all(cluster, Some(&home.namespace)).await.map_err(failed)?;
    match records.iter().find(|record| record.run.as_str() == run) {
        None => Ok(()),
        Some(record) => Err(Refused::Left(super::from::left_open(record, home))),
    }
}

impl Drill<'_> {
    /// How long its Leases last without being renewed.
    fn lasting(&self) -> Duration {
        self.plan.allowed.lease.map_or(DURATION, |lasts| lasts.0).max(SHORTEST)
    }

    /// Takes the Leases of everything that was found, all that are not held yet.
    pub async fn take_leases(&self, found: &[PinnedTarget], targets: &[Target]) -> Result<(), Vec<Refused>> {
        let mut wanted: BTreeSet<(Home, String)> = BTreeSet::new();
        for target in targets {
            let pinned = found.iter().find(|pinned| pinned.name == target.name);
            let parts = pinned.map(|pinned| objects::parts(&pinned.objects)).unwrap_or_default();
            wanted.extend(parts.into_iter().map(|part| (target.way.home.clone(), part)));
        }
        let ours = |home: &Home, part: &str| self.progress().leases.iter().any(|l| l.home == *home && l.part == part);
        let mut refused = Vec::new();
        for (home, part) in wanted {
            if ours(&home, &part) {
                continue;
            }
            match take((&home, &part), &self.options.run, self.lasting(), self.world).await {
                Ok(held) => self.progress().leases.push(held),
                Err(why) => refused.push(why),
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// Renews them as long as the run goes on.
    pub async fn renew_leases(&self) {
        loop {
            self.world.clock.sleep_until(self.now().after(self.lasting() / RENEWALS)).await;
            let held = self.progress().leases.clone();
            for lease in held {
                let renewed = self.renew(&lease).await;
                self.renewed(&lease, renewed);
            }
        }
    }

    /// The version that it has now; none if another holds it.
    async fn renew(&self, lease: &Held) -> Result<Option<String>, ClusterError> {
        let cluster = self.world.clusters.open(&lease.home.access).await?;
        let at = kind().at(Some(&lease.home.namespace), &lease.name);
        let run = self.options.run.as_str();
        let patch = |version: &str| {
            let spec = spec(run, self.world.clock.stamp().wall, self.lasting());
            Patch::Merge(json!({"metadata": {"resourceVersion": version}, "spec": spec}))
        };
        match cluster.patch(&at, None, &patch(&lease.version), Write::Real).await {
            Ok(now) => return Ok(Some(now.version().to_owned())),
            Err(ClusterError::Conflict(_) | ClusterError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
        // A renewal whose answer was lost, or somebody else.
        match take((&lease.home, &lease.part), &self.options.run, self.lasting(), self.world).await {
            Ok(now) => Ok(Some(now.version)),
            Err(Refused::Cluster(why)) => Err(ClusterError::Other(why)),
            Err(Refused::Held(_) | Refused::Left(_)) => Ok(None),
        }
    }

    fn renewed(&self, lease: &Held, renewed: Result<Option<String>, ClusterError>) {
        let now = self.now();
        let mut said = None;
        let lost = match renewed {
            Ok(Some(version)) => {
                said = lease.failing.map(|since| (since, "is renewed again".to_owned()));
                self.note_lease(lease, |held| (held.version, held.failing) = (version, None));
                None
            }
            Ok(None) => Some(format!("the Lease on {} was taken by another", lease.part)),
            Err(error) => {
                let first = lease.failing.is_none();
                let since = lease.failing.unwrap_or(now);
                self.note_lease(lease, |held| held.failing = Some(since));
                if first {
                    said = Some((now, format!("cannot be renewed: {error}")));
                }
                // Whom the cluster cannot be reached by cannot lose it to anybody that can: that is found out later.
                let away = matches!(error, ClusterError::Unreachable(_) | ClusterError::TimedOut(_));
                let over = now >= since.after(self.lasting()) && !away;
                over.then(|| format!("the Lease on {} could not be renewed: {error}", lease.part))
            }
        };
        if let Some((since, what)) = said {
            let away = if since < now { format!(" after {:.0?}", now.since(since)) } else { String::new() };
            self.say(format!("the Lease on {} {what}{away}", lease.part));
        }
        if let Some(why) = lost.filter(|_| self.stop.requested().is_none()) {
            self.say(format!("{why}: two drills must not be at the same objects"));
            self.stop.trigger(AbortCause::Lease(why));
        }
    }

    fn note_lease(&self, lease: &Held, change: impl FnOnce(&mut Held)) {
        let mut progress = self.progress();
        if let Some(held) = progress.leases.iter_mut().find(|l| l.home == lease.home && l.name == lease.name) {
            change(held);
        }
    }

    /// Frees them at the end. One that cannot be freed expires.
    pub async fn release_leases(&self) {
        let held = std::mem::take(&mut self.progress().leases);
        let homes: BTreeSet<Home> = held.into_iter().map(|lease| lease.home).collect();
        for home in homes {
            let freed = tokio::time::timeout(RELEASE, release_all(&home, &self.options.run, self.world)).await;
            let why = match freed {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                Err(_) => "it did not answer".to_owned(),
            };
            self.say(format!("the Leases in {} were not freed ({why}); they expire by themselves", home.namespace));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, renewed: &str) -> Object {
        Object(json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 30}}))
    }

    #[test]
    fn a_lease_is_fresh_until_it_expires_and_a_free_one_is_nobodys() {
        let now: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
        let life = |holder, renewed| life(&lease(holder, renewed), now);
        assert_eq!(life("r1", "2026-01-01T11:59:40.000000Z"), Life::Fresh("2026-01-01T12:00:10Z".parse().unwrap()));
        assert_eq!(life("r1", "2026-01-01T11:59:20.000000Z"), Life::Expired);
        assert_eq!(life("r1", "2025-01-01T11:59:20.000000Z"), Life::LongExpired);
        assert_eq!(life("", "2026-01-01T11:59:50.000000Z"), Life::LongExpired);
        assert_eq!(life("r1", "nonsense"), Life::Expired);
    }

    #[test]
    fn a_part_has_one_name_whoever_asks() {
        assert_eq!(name("namespace shop"), name("namespace shop"));
        assert_ne!(name("namespace shop"), name("every node"));
        assert!(name("every node").len() < 64 && micro(DateTime::UNIX_EPOCH) == "1970-01-01T00:00:00.000000Z");
    }
}
