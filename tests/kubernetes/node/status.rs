//! What the API server is told of a pod: phase, conditions, its containers; and events.

use super::Shared;
use super::container::{Container, State, View};
use super::pod::{Pod, ended};
use super::register::now;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What could not be told is told again after this.
const AGAIN: Duration = Duration::from_millis(300);
/// What was told is heard back within this.
const SETTLE: Duration = Duration::from_millis(100);

/// Tells what has changed, again and again, while the pod lives and its node can.
pub async fn tell(shared: Arc<Shared>, pod: Arc<Pod>) {
    let (mut changed, mut heard) = (pod.changed.subscribe(), pod.heard());
    let (mut told, mut conditions) = (Value::Null, Vec::new());
    loop {
        pod.node.up().await;
        changed.borrow_and_update();
        heard.borrow_and_update();
        let status = of(&pod, &mut conditions);
        // When it was lost, others have said for it that it is not ready.
        if status != told || said(&pod.object()["status"], "Ready") != said(&status, "Ready") {
            if send(&shared, &pod, &status).await {
                told = status;
            } else {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        tokio::select! {
            _sender_is_in_pod = changed.changed() => {}
            _sender_is_in_pod = heard.changed() => tokio::time::sleep(SETTLE).await,
        }
    }
}

/// The last word on it.
pub async fn last(shared: &Shared, pod: &Pod) {
    let status = of(pod, &mut Vec::new());
    send(shared, pod, &status).await;
}

fn said(status: &Value, condition: &str) -> Value {
    let all = status["conditions"].as_array().into_iter().flatten();
    all.into_iter().find(|one| one["type"] == condition).map(|one| one["status"].clone()).unwrap_or_default()
}

/// Is it told, or is there nobody any more whom it is told of?
async fn send(shared: &Shared, pod: &Pod, status: &Value) -> bool {
    let path = format!("/api/v1/namespaces/{}/pods/{}/status", pod.namespace, pod.name);
    let told = shared.api.merge(&path, &json!({"metadata": {"uid": pod.uid}, "status": status})).await;
    told.is_good() || [404, 409, 422].contains(&told.status)
}

fn of(pod: &Pod, known: &mut Vec<(String, bool, String)>) -> Value {
    let first: Vec<(&Arc<Container>, View)> = pod.first.iter().map(|container| (container, container.look())).collect();
    let others: Vec<(&Arc<Container>, View)> =
        pod.containers.iter().map(|container| (container, container.look())).collect();
    let initialized = first.iter().all(|(_, view)| matches!(&view.state, State::Ended(ended) if ended.code == 0));
    let phase = phase(pod, &first, &others, initialized);
    let ready = others.iter().all(|(_, view)| view.ready) && phase == "Running";
    let conditions =
        [("Initialized", initialized), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", true)];
    let conditions = conditions.map(|(kind, holds)| {
        let before = known.iter_mut().find(|(of, ..)| of == kind);
        let since = match before {
            Some((_, was, since)) if *was == holds => since.clone(),
            Some(entry) => {
                *entry = (kind.to_owned(), holds, now());
                entry.2.clone()
            }
            None => {
                known.push((kind.to_owned(), holds, now()));
                now()
            }
        };
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": since})
    });
    let wanting = pod.wanting.lock().unwrap().clone();
    json!({
        "phase": phase, "conditions": conditions, "hostIP": "127.0.0.1", "podIP": pod.address.to_string(),
        "podIPs": [{"ip": pod.address.to_string()}], "startTime": pod.since,
        "message": Some(wanting).filter(|why| !why.is_empty()),
        "initContainerStatuses": first.iter().map(|(container, view)| one(container, view)).collect::<Vec<_>>(),
        "containerStatuses": others.iter().map(|(container, view)| one(container, view)).collect::<Vec<_>>(),
    })
}

/// As a kubelet judges it.
fn phase(
    pod: &Pod,
    first: &[(&Arc<Container>, View)],
    all: &[(&Arc<Container>, View)],
    initialized: bool,
) -> &'static str {
    let policy = pod.object()["spec"]["restartPolicy"].as_str().unwrap_or("Always").to_owned();
    let failed = |view: &View| matches!(&view.state, State::Ended(ended) if ended.code != 0);
    if policy == "Never" && first.iter().any(|(_, view)| failed(view)) {
        return "Failed";
    }
    let fresh = |view: &View| matches!(view.state, State::Waiting { .. }) && view.last.is_none();
    if !initialized || all.iter().any(|(_, view)| fresh(view)) {
        return "Pending";
    }
    let over = |view: &View| matches!(view.state, State::Ended(_));
    let may_again = policy == "Always" || policy == "OnFailure" && all.iter().any(|(_, view)| failed(view));
    if !all.iter().all(|(_, view)| over(view)) || may_again && !pod.is_stopped() {
        return "Running";
    }
    if all.iter().any(|(_, view)| failed(view)) { "Failed" } else { "Succeeded" }
}

fn one(container: &Container, view: &View) -> Value {
    let state = match &view.state {
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": since}}),
        State::Ended(how) => json!({"terminated": ended(how)}),
    };
    let last = view.last.as_ref().map_or_else(|| json!({}), |how| json!({"terminated": ended(how)}));
    let image = container.spec["image"].as_str().unwrap_or_default();
    json!({
        "name": container.name, "state": state, "lastState": last, "ready": view.ready, "restartCount": view.restarts,
        "image": image, "imageID": format!("double://{image}"), "started": matches!(view.state, State::Running { .. }),
        "containerID": format!("double://{}-{}", container.name, view.restarts),
    })
}

/// An event of a pod. Whether it is kept does not matter.
pub async fn event(shared: &Shared, pod: &Pod, kind: &str, reason: &str, message: &str) {
    let about =
        json!({"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid});
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": format!("{}.", pod.name), "namespace": pod.namespace},
        "involvedObject": about, "type": kind, "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now(), "lastTimestamp": now(),
        "source": {"component": "kubelet", "host": pod.node.place.name},
    });
    shared.api.post(&format!("/api/v1/namespaces/{}/events", pod.namespace), &event).await;
}
