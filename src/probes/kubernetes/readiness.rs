//! Is an object ready, by what its status says? Pure.

use crate::adapters::kubernetes::{Kind, Object};
use serde_json::Value;

/// The status of a condition of this type (`True`, `False`, `Unknown`, or `missing`), and what it says besides.
pub(crate) fn condition<'a>(object: &'a Object, name: &str) -> (&'a str, &'a str) {
    let of = |one: &'a Value, key: &str| one.get(key).and_then(Value::as_str);
    let found = object.items("/status/conditions").iter().find(|one| of(one, "type") == Some(name));
    let Some(found) = found else { return ("missing", "") };
    let said = of(found, "message").filter(|text| !text.is_empty()).or_else(|| of(found, "reason"));
    (of(found, "status").unwrap_or("Unknown"), said.unwrap_or_default())
}

/// Has the controller seen the newest generation?
pub(crate) fn observed(object: &Object) -> bool {
    let generation = object.number("/metadata/generation").unwrap_or_default();
    object.number("/status/observedGeneration").unwrap_or_default() >= generation
}

/// Why it is not ready, in a few words; none if it is.
pub(crate) type Unready = Option<String>;

/// Is it ready? None for kinds that know no readiness.
pub(crate) fn readiness(kind: &Kind, object: &Object) -> Option<Unready> {
    Some(match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => phase(object, "Bound"),
        ("", "PersistentVolume") => phase(object, "Bound"),
        ("", "Namespace") => phase(object, "Active"),
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            let wanted = object.number("/spec/replicas").unwrap_or(1);
            enough(object, object.number("/status/readyReplicas").unwrap_or_default(), wanted)
        }
        ("apps", "DaemonSet") => {
            let wanted = object.number("/status/desiredNumberScheduled").unwrap_or_default();
            enough(object, object.number("/status/numberReady").unwrap_or_default(), wanted)
        }
        ("batch", "Job") => is_true(object, "Complete"),
        ("apiextensions.k8s.io", _) => is_true(object, "Established"),
        ("apiregistration.k8s.io", _) => is_true(object, "Available"),
        // Others say so themselves, or know nothing of it.
        _ if condition(object, "Ready").0 != "missing" => is_true(object, "Ready"),
        _ => return None,
    })
}

fn pod(object: &Object) -> Unready {
    if object.ending() {
        return Some("it is on its way out".to_owned());
    }
    match object.text("/status/phase") {
        "Running" => is_true(object, "Ready"),
        "" => Some("it has no phase yet".to_owned()),
        phase => Some(waiting(object).unwrap_or_else(|| phase.to_owned())),
    }
}

/// What a container of a pod waits for, if it says so.
pub(crate) fn waiting(pod: &Object) -> Option<String> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"].map(|at| pod.items(at));
    let reason = |status: &Value| Some(status.pointer("/state/waiting/reason")?.as_str()?.to_owned());
    statuses.into_iter().flatten().find_map(reason)
}

fn is_true(object: &Object, name: &str) -> Unready {
    match condition(object, name) {
        ("True", _) => None,
        (status, "") => Some(format!("{name} is {status}")),
        (status, said) => Some(format!("{name} is {status}: {said}")),
    }
}

fn phase(object: &Object, wanted: &str) -> Unready {
    let phase = object.text("/status/phase");
    (phase != wanted || object.ending())
        .then(|| if phase.is_empty() { "no phase".to_owned() } else { phase.to_owned() })
}

fn enough(object: &Object, ready: i64, wanted: i64) -> Unready {
    match () {
        () if !observed(object) => Some("its controller has not seen the newest change".to_owned()),
        () if ready < wanted => Some(format!("{ready} of {wanted} pods are ready")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::kubernetes::Scope;
    use serde_json::json;

    fn is(kind: &str, object: Value) -> Option<Unready> {
        let kind = Kind::known(kind).unwrap();
        readiness(&kind, &Object(object))
    }

    #[test]
    fn pods_are_ready_by_phase_and_condition_and_not_on_their_way_out() {
        let pod = |phase: &str, ready: &str| json!({"metadata": {"name": "p"}, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}});
        assert_eq!(is("pod", pod("Running", "True")), Some(None));
        assert!(is("pod", pod("Running", "False")).unwrap().unwrap().contains("Ready is False"));
        assert_eq!(is("pod", pod("Succeeded", "True")), Some(Some("Succeeded".to_owned())));
        let mut ending = pod("Running", "True");
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(is("pod", ending).unwrap().is_some());
        let mut stuck = pod("Pending", "False");
        stuck["status"]["containerStatuses"] = json!([{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]);
        assert_eq!(is("pod", stuck), Some(Some("ImagePullBackOff".to_owned())));
    }

    #[test]
    fn workloads_are_ready_when_their_controller_has_seen_the_newest_and_all_pods_are() {
        let of = |generation: i64, ready: i64| {
            let status = json!({"observedGeneration": 2, "readyReplicas": ready});
            is("deployment", json!({"metadata": {"generation": generation}, "spec": {"replicas": 3}, "status": status}))
        };
        assert_eq!(of(2, 3), Some(None));
        assert!(of(3, 3).unwrap().unwrap().contains("not seen"));
        assert!(of(2, 2).unwrap().unwrap().contains("2 of 3"));
        let daemons = json!({"metadata": {}, "status": {"desiredNumberScheduled": 2, "numberReady": 1}});
        assert!(is("daemonset", daemons).unwrap().is_some());
    }

    #[test]
    fn others_say_it_themselves_or_know_nothing_of_it() {
        assert_eq!(is("configmap", json!({"metadata": {}})), None);
        assert_eq!(is("service", json!({"metadata": {}})), None);
        assert_eq!(is("persistentvolumeclaim", json!({"status": {"phase": "Bound"}})), Some(None));
        assert_eq!(is("persistentvolumeclaim", json!({"status": {"phase": "Pending"}})), Some(Some("Pending".into())));
        let own = Kind::of("example.org", "v1", "Thing", "things", Scope::Namespaced);
        let said = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "message": "no disk"}]}});
        assert!(readiness(&own, &Object(said)).unwrap().unwrap().contains("no disk"));
    }
}
