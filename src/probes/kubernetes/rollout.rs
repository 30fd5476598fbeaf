//! Is the newest template of a workload rolled out, as its status says? Pure.

use super::readiness::{condition, observed, waiting};
use crate::adapters::kubernetes::{Kind, Object};

/// How far a rollout is, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rollout {
    Finished,
    Progressing,
    Stuck,
}

impl Rollout {
    pub fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Progressing => "progressing",
            Self::Stuck => "stuck",
        }
    }
}

/// What a container waits for that does not come by itself.
const STUCK: [&str; 8] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// How far it is and why; none for kinds that roll nothing out.
pub(super) fn rollout(kind: &Kind, object: &Object) -> Option<(Rollout, String)> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") => Some(deployment(object)),
        ("apps", "StatefulSet") => Some(stateful_set(object)),
        ("apps", "DaemonSet") => Some(daemon_set(object)),
        _ => None,
    }
}

/// What its pods say of one that is not finished.
pub(super) fn by_pods<'a>(pods: impl Iterator<Item = &'a Object>) -> Option<String> {
    pods.filter(|pod| !pod.ending()).find_map(|pod| {
        let reason = waiting(pod).filter(|reason| STUCK.contains(&reason.as_str()))?;
        Some(format!("pod {}: {reason}", pod.name()))
    })
}

fn count(object: &Object, name: &str) -> i64 {
    object.number(&format!("/status/{name}")).unwrap_or_default()
}

fn progressing(why: impl Into<String>) -> (Rollout, String) {
    (Rollout::Progressing, why.into())
}

fn unseen() -> (Rollout, String) {
    progressing("its controller has not seen the newest change")
}

fn deployment(object: &Object) -> (Rollout, String) {
    if !observed(object) {
        return unseen();
    }
    for (name, bad) in [("Progressing", "False"), ("ReplicaFailure", "True")] {
        let (status, said) = condition(object, name);
        if status == bad {
            return (Rollout::Stuck, if said.is_empty() { format!("{name} is {status}") } else { said.to_owned() });
        }
    }
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let (all, new, up) =
        (count(object, "replicas"), count(object, "updatedReplicas"), count(object, "availableReplicas"));
    let unfinished = match () {
        () if new < wanted => format!("{new} of {wanted} pods are new"),
        () if all > new => format!("{} old pods are left", all - new),
        () if up < new => format!("{up} of {new} new pods are available"),
        () => return (Rollout::Finished, String::new()),
    };
    let paused = object.0.pointer("/spec/paused").and_then(serde_json::Value::as_bool) == Some(true);
    if paused { (Rollout::Stuck, format!("it is paused; {unfinished}")) } else { progressing(unfinished) }
}

fn stateful_set(object: &Object) -> (Rollout, String) {
    if !observed(object) {
        return unseen();
    }
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let (ready, new) = (count(object, "readyReplicas"), count(object, "updatedReplicas"));
    let kept = object.number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    // By `OnDelete` somebody else decides when a pod becomes new.
    let by_hand = object.text("/spec/updateStrategy/type") == "OnDelete";
    let same = object.text("/status/updateRevision") == object.text("/status/currentRevision");
    match () {
        () if ready < wanted => progressing(format!("{ready} of {wanted} pods are ready")),
        () if !same && !by_hand && new < wanted - kept => {
            progressing(format!("{new} of {} pods are new", wanted - kept))
        }
        () => (Rollout::Finished, String::new()),
    }
}

fn daemon_set(object: &Object) -> (Rollout, String) {
    if !observed(object) {
        return unseen();
    }
    let wanted = count(object, "desiredNumberScheduled");
    let (new, up) = (count(object, "updatedNumberScheduled"), count(object, "numberAvailable"));
    let by_hand = object.text("/spec/updateStrategy/type") == "OnDelete";
    match () {
        () if new < wanted && !by_hand => progressing(format!("{new} of {wanted} pods are new")),
        () if up < wanted => progressing(format!("{up} of {wanted} pods are available")),
        () => (Rollout::Finished, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(kind: &str, object: Value) -> (Rollout, String) {
        rollout(&Kind::known(kind).unwrap(), &Object(object)).unwrap()
    }

    fn deployed(more: Value) -> (Rollout, String) {
        let mut status = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of("deployment", json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status}))
    }

    #[test]
    fn a_deployment_is_finished_when_all_pods_are_new_and_available() {
        assert_eq!(deployed(json!({})).0, Rollout::Finished);
        for (more, words) in [
            (json!({"observedGeneration": 1}), "not seen"),
            (json!({"updatedReplicas": 1}), "1 of 3 pods are new"),
            (json!({"replicas": 4}), "1 old pods"),
            (json!({"availableReplicas": 2}), "2 of 3 new"),
        ] {
            let (is, why) = deployed(more);
            assert!(is == Rollout::Progressing && why.contains(words), "{is:?} {why}");
        }
    }

    #[test]
    fn it_is_stuck_when_its_controller_or_its_pods_say_so() {
        let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let (is, why) = deployed(json!({"conditions": late, "updatedReplicas": 1}));
        assert_eq!((is, why.as_str()), (Rollout::Stuck, "ProgressDeadlineExceeded"));
        let quota = json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]);
        assert_eq!(deployed(json!({"conditions": quota})).1, "exceeded quota");
        let pod = |reason: &str| {
            let waiting = json!([{"state": {"waiting": {"reason": reason}}}]);
            Object(json!({"metadata": {"name": "web-1"}, "status": {"containerStatuses": waiting}}))
        };
        assert_eq!(by_pods([pod("ContainerCreating")].iter()), None);
        let stuck = by_pods([pod("ContainerCreating"), pod("ImagePullBackOff")].iter());
        assert_eq!(stuck.as_deref(), Some("pod web-1: ImagePullBackOff"));
    }

    #[test]
    fn stateful_sets_and_daemon_sets_have_their_own_figures() {
        let set = |ready: i64, new: i64, kept: i64| {
            let status =
                json!({"readyReplicas": ready, "updatedReplicas": new, "currentRevision": "a", "updateRevision": "b"});
            let strategy = json!({"rollingUpdate": {"partition": kept}});
            of("statefulset", json!({"spec": {"replicas": 3, "updateStrategy": strategy}, "status": status})).0
        };
        assert_eq!(
            (set(3, 3, 0), set(2, 3, 0), set(3, 1, 0)),
            (Rollout::Finished, Rollout::Progressing, Rollout::Progressing)
        );
        assert_eq!(set(3, 1, 2), Rollout::Finished, "the partition keeps two as they were");
        let daemons = |new: i64, up: i64| {
            let status = json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": new, "numberAvailable": up});
            of("daemonset", json!({"status": status})).0
        };
        assert_eq!(
            (daemons(2, 2), daemons(1, 2), daemons(2, 1)),
            (Rollout::Finished, Rollout::Progressing, Rollout::Progressing)
        );
        assert_eq!(rollout(&Kind::known("pod").unwrap(), &Object(json!({}))), None);
    }
}
