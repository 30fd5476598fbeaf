//! The pods of a target: themselves, or those of workloads and services.

use super::{Place, all, labelled, selector};
use crate::adapters::kubernetes::{Kind, Object};
use crate::probes::ProbeError;

/// The kind of pods.
pub(crate) fn pod() -> Kind {
    Kind::of("", "v1", "Pod", "pods", crate::adapters::kubernetes::Scope::Namespaced)
}

/// The pods of a target, those on their way out among them.
///
/// # Errors
/// When it is of a kind that has none, or the cluster does not answer.
pub(crate) async fn pods(place: &Place) -> Result<Vec<Object>, ProbeError> {
    let kind = &place.found.kind;
    if *kind == pod() {
        return Ok(place.objects().cloned().collect());
    }
    let mut found = Vec::new();
    for object in place.objects() {
        found.extend(pods_of(place, kind, object).await?);
    }
    Ok(found)
}

/// The pods of one workload or service.
pub(super) async fn pods_of(place: &Place, kind: &Kind, object: &Object) -> Result<Vec<Object>, ProbeError> {
    let none = serde_json::Value::Null;
    let spec = object.0.pointer("/spec/selector").unwrap_or(&none);
    let query = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => selector::plain(spec),
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet") | ("batch", "Job") => selector::query(spec),
        _ => return Err(place.odd("it has no pods; name pods, a workload or a service")),
    };
    // Without a selector it has none, and a query would find all.
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let mut pods = all(&*place.cluster, &labelled(pod(), object.namespace(), query)).await?;
    pods.retain(|pod| kind.kind == "Service" || owns(kind, object, pod));
    Ok(pods)
}

/// Does the workload own the pod? A deployment does by a ReplicaSet that is named after it.
fn owns(kind: &Kind, workload: &Object, pod: &Object) -> bool {
    let prefix = format!("{}-", workload.name());
    pod.owners().iter().any(|owner| {
        owner.uid == workload.uid()
            || (kind.kind == "Deployment" && owner.kind == "ReplicaSet" && owner.name.starts_with(&prefix))
    })
}
