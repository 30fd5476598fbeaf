//! Makes a volume from a snapshot: a new claim whose data is the snapshot's. A claim that is there is never touched.
//!
//! Source: <https://kubernetes.io/docs/concepts/storage/volume-snapshots/>

use super::cluster::{self, Look, Patience, Place};
use super::{Course, refused};
use crate::adapters::kubernetes::{At, ClusterError, Kind, Object, Scope, Write};
use crate::faults::{Cx, Done, FaultError};
use crate::model::{Mono, Resource, RestorePart, Right, Span, TargetRef, Template};
use crate::probes::ProbeSpec;
use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const GROUP: &str = "snapshot.storage.k8s.io";

/// Makes a new claim from a VolumeSnapshot and waits until it has its volume. There must be no claim of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSnapshotRestore {
    /// A target of kind `kubernetes`: its cluster and its namespace are restored to, whatever it names there.
    pub target: TargetRef,
    /// The VolumeSnapshot.
    pub snapshot: Template,
    /// The PersistentVolumeClaim that is made.
    pub claim: Template,
    /// Its storage class; that of the claim that the snapshot is of, or the cluster's default, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<Template>,
    /// Its size, as Kubernetes writes it (`10Gi`); that of the snapshot if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Template>,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

/// When a claim gets its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    /// At once.
    Now,
    /// When the first pod uses it.
    FirstPod,
}

fn claims() -> Kind {
    Kind::of("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", Scope::Namespaced)
}

impl VolumeSnapshotRestore {
    pub(super) fn rights(&self) -> Vec<Right> {
        let of = |resource: Resource, verbs: &[&str]| Right::each(&self.target, &resource, verbs);
        let own = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
        let classes = Resource::Everywhere("storage.k8s.io".to_owned(), "storageclasses".to_owned());
        [
            of(own(GROUP, "volumesnapshots"), &["get"]),
            of(own("", "persistentvolumeclaims"), &["get", "create"]),
            of(classes, &["get"]),
        ]
        .concat()
    }

    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        let clock = &cx.world.clock;
        let began = clock.mono();
        let place = cluster::place(&self.target, cx).await?;
        let at = claims().at(Some(&place.namespace), &cx.text(&self.claim)?);
        let snapshot = self.locate(&place, &at, cx).await?;
        let taken = DateTime::parse_from_rfc3339(snapshot.text("/status/creationTime")).ok().map(|t| t.to_utc());
        course.claim(|claim| {
            snapshot.name().clone_into(&mut claim.backup);
            (claim.taken, claim.recovered_to) = (taken, taken);
        });
        course.part(RestorePart::Locate, Span::new(began, clock.mono()), None);
        let began = clock.mono();
        let object = self.object(&snapshot, &place, &at, cx).await?;
        let made = make(&place, &at, &object).await?;
        course.part(RestorePart::Apply, Span::new(began, clock.mono()), None);
        let began = clock.mono();
        let named = made.text("/spec/storageClassName").to_owned();
        let how = match binding(&place, &named).await? {
            Binding::FirstPod => format!(
                "made; its storage class {named} gives it a volume when the first pod uses it (WaitForFirstConsumer)"
            ),
            Binding::Now => {
                let volume = bound(&place, &made, &at, cx, until).await?;
                course.part(RestorePart::Ready, Span::new(began, clock.mono()), None);
                format!("bound to {volume}")
            }
        };
        let detail = format!("{at} from snapshot {}: {how}", snapshot.name());
        let answer = json!({"backup": snapshot.name(), "claim": at.name, "namespace": place.namespace});
        Ok(Done { ok: true, detail, answer: answer.to_string() })
    }

    /// The snapshot, if it can be used, and nobody is in the way.
    async fn locate(&self, place: &Place, at: &At, cx: &Cx<'_>) -> Result<Object, FaultError> {
        let kind = match place.cluster.kind(&format!("volumesnapshots.{GROUP}")).await {
            Ok(kind) => kind,
            Err(ClusterError::Missing(_)) => {
                let help = "its snapshot controller with its definitions must be installed";
                return Err(refused(format!("this cluster has no VolumeSnapshots: {help}")));
            }
            Err(error) => return Err(error.into()),
        };
        if place.cluster.get(at).await?.is_some() {
            return Err(refused(format!("{at} is there already: a restore goes to a claim of its own")));
        }
        let snapshot = kind.at(Some(&place.namespace), &cx.text(&self.snapshot)?);
        let found = cluster::there(&*place.cluster, &snapshot).await?;
        match usable(&found) {
            Ok(()) => Ok(found),
            Err(why) => Err(refused(format!("{snapshot}: {why}"))),
        }
    }

    async fn object(&self, snapshot: &Object, place: &Place, at: &At, cx: &Cx<'_>) -> Result<Value, FaultError> {
        // The claim that it is of says what fits, if it is still there.
        let source = snapshot.text("/spec/source/persistentVolumeClaimName");
        let source = match source {
            "" => None,
            name => place.cluster.get(&claims().at(Some(&place.namespace), name)).await?,
        };
        let class = match &self.storage_class {
            Some(class) => Some(cx.text(class)?),
            None => source.as_ref().map(|claim| claim.text("/spec/storageClassName").to_owned()),
        };
        let size = match &self.size {
            Some(size) => cx.text(size)?,
            None => snapshot.text("/status/restoreSize").to_owned(),
        };
        if size.is_empty() {
            let why = format!("nobody says how large snapshot {} is; write `size: 10Gi`", snapshot.name());
            return Err(FaultError::Reference(why));
        }
        let modes = source.map_or_else(|| json!(["ReadWriteOnce"]), |claim| json!(claim.items("/spec/accessModes")));
        let mut object = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": at.name, "namespace": place.namespace},
            "spec": {
                "accessModes": modes,
                "dataSource": {"apiGroup": GROUP, "kind": "VolumeSnapshot", "name": snapshot.name()},
                "resources": {"requests": {"storage": size}},
            },
        });
        if let Some(class) = class.filter(|class| !class.is_empty()) {
            object["spec"]["storageClassName"] = json!(class);
        }
        Ok(object)
    }
}

/// Can a volume be made from it now?
fn usable(snapshot: &Object) -> Result<(), String> {
    let said = snapshot.text("/status/error/message");
    match snapshot.0.pointer("/status/readyToUse").and_then(Value::as_bool) {
        _ if snapshot.ending() => Err("it is being deleted".to_owned()),
        Some(true) => Ok(()),
        _ if !said.is_empty() => Err(format!("it cannot be used: {said}")),
        Some(false) => Err("it is not ready to be used yet".to_owned()),
        None => Err("nobody says that it can be used; does the snapshot controller run?".to_owned()),
    }
}

/// Makes the claim. A server that does not know such a source drops it and would give an empty volume: that is found out first.
async fn make(place: &Place, at: &At, object: &Value) -> Result<Object, FaultError> {
    create(place, at, object, Write::Dry).await?;
    create(place, at, object, Write::Real).await
}

async fn create(place: &Place, at: &At, object: &Value, write: Write) -> Result<Object, FaultError> {
    match place.cluster.create(&at.kind, Some(&place.namespace), object, write).await {
        Ok(made) if made.text("/spec/dataSource/name").is_empty() => {
            Err(refused(format!("{at}: the server drops the source: the claim would be empty")))
        }
        Ok(made) => Ok(made),
        Err(ClusterError::Exists(_)) => {
            Err(refused(format!("{at} is there already: a restore goes to a claim of its own")))
        }
        Err(error) => Err(cluster::plain(error)),
    }
}

/// When claims of this class get their volume; the default class of a server that fills it in is named by then.
async fn binding(place: &Place, class: &str) -> Result<Binding, FaultError> {
    if class.is_empty() {
        return Ok(Binding::Now);
    }
    let kind = Kind::of("storage.k8s.io", "v1", "StorageClass", "storageclasses", Scope::Cluster);
    let found = place.cluster.get(&kind.at(None, class)).await?;
    let Some(found) = found else { return Err(refused(format!("there is no storage class {class}"))) };
    let first = found.text("/volumeBindingMode") == "WaitForFirstConsumer";
    Ok(if first { Binding::FirstPod } else { Binding::Now })
}

/// The volume, as soon as the claim has it.
async fn bound(place: &Place, made: &Object, at: &At, cx: &Cx<'_>, until: Mono) -> Result<String, FaultError> {
    let patience = Patience::until(until, format!("{at} had no volume"), cx);
    loop {
        let now = cluster::there(&*place.cluster, at).await?;
        let look = match now.text("/status/phase") {
            _ if now.uid() != made.uid() => Err(refused(format!("{at} was replaced by another"))),
            "Bound" => Ok(Look::Done(now.text("/spec/volumeName").to_owned())),
            "Lost" => Err(refused(format!("{at} has lost its volume"))),
            phase => Ok(Look::NotYet(format!("it is {}", if phase.is_empty() { "new" } else { phase }))),
        };
        if let Some(volume) = patience.over(look).await? {
            return Ok(volume);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_snapshot_that_is_ready_is_used() {
        let of = |status: Value| usable(&Object(json!({"metadata": {"name": "s"}, "status": status})));
        assert_eq!(of(json!({"readyToUse": true})), Ok(()));
        assert!(of(json!({"readyToUse": false})).unwrap_err().contains("not ready"));
        assert!(of(json!({"readyToUse": false, "error": {"message": "no space"}})).unwrap_err().contains("no space"));
        assert!(of(json!({})).unwrap_err().contains("snapshot controller"));
        let ending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"readyToUse": true}});
        assert!(usable(&Object(ending)).unwrap_err().contains("deleted"));
    }
}
