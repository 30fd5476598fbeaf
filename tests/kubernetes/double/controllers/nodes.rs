//! Nodes: containers start and stop after the times that the settings say, taints drive pods away, and a node that is
//! down leaves its pods unready and unstoppable.

use super::condition;
use super::scheduler::tolerates;
use crate::double::State;
use crate::double::delete::{Options, complete, one as remove};
use crate::double::json::{
    active, at, controller, ending, int, items, name, namespace, now, ready, set, since, text, uid,
};
use crate::double::programs::{Ran, Then, main_of, scripted};
use crate::double::store::Key;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const SHUT: &str = "node.kubernetes.io/unschedulable";

pub fn tick(state: &mut State) {
    let kind = state.store.kind("", "nodes");
    for node in state.store.all(kind, None) {
        taint(state, kind, &node);
    }
    let nodes: HashMap<String, Arc<Value>> =
        state.store.all(kind, None).into_iter().map(|n| (name(&n).to_owned(), n)).collect();
    let pods = state.store.kind("", "pods");
    let placed = state.store.range(pods, None).filter(|(_, p)| !text(p, "/spec/nodeName").is_empty());
    let placed: Vec<(Key, Arc<Value>)> = placed.map(|(k, p)| (k.clone(), p.clone())).collect();
    for (key, pod) in &placed {
        match nodes.get(text(pod, "/spec/nodeName")) {
            Some(node) if ready(node) => {
                drive_out(state, key, pod, node);
                run(state, key, pod);
            }
            Some(node) => {
                drive_out(state, key, pod, node);
                if ready(pod) {
                    state.store.change(key, |p| condition(p, "Ready", "False", "NodeNotReady", ""));
                }
            }
            // Of a node that is none, only after a while.
            None if after(state, format!("lost {}", uid(pod)), Duration::from_secs(40)) => {
                let _ = remove(state, key, &Options { grace: Some(0), ..Options::default() });
            }
            None => {}
        }
    }
}

/// The taints that the control plane itself gives: shut, and not there.
fn taint(state: &mut State, kind: usize, node: &Value) {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    if at(node, "/spec/unschedulable") == &Value::Bool(true) {
        wanted.push((SHUT, "NoSchedule"));
    }
    if !ready(node) {
        wanted.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]);
    }
    let ours = |t: &Value| [SHUT, UNREACHABLE].contains(&text(t, "/key"));
    let is = |t: &Value, (key, effect): &(&str, &str)| text(t, "/key") == *key && text(t, "/effect") == *effect;
    let mut all = items(node, "/spec/taints").to_vec();
    let before = all.clone();
    all.retain(|t| !ours(t) || wanted.iter().any(|w| is(t, w)));
    for (key, effect) in &wanted {
        if !all.iter().any(|t| is(t, &(*key, *effect))) {
            all.push(json!({"key": key, "effect": effect, "timeAdded": now()}));
        }
    }
    if all != before {
        let key = state.store.key_of(kind, node);
        state.store.change(&key, |n| {
            if all.is_empty() {
                crate::double::json::take(n, &["spec", "taints"]);
            } else {
                set(n, &["spec", "taints"], all);
            }
        });
    }
}

/// NoExecute: at once, or after the seconds that the pod tolerates.
fn drive_out(state: &mut State, key: &Key, pod: &Value, node: &Value) {
    if ending(pod) || !active(pod) {
        return;
    }
    for taint in items(node, "/spec/taints").iter().filter(|t| text(t, "/effect") == "NoExecute") {
        let left = match tolerates(pod, taint) {
            None => Some(0),
            Some(t) => at(&t, "/tolerationSeconds").as_i64(),
        };
        let Some(seconds) = left else { continue };
        let passed = since(text(taint, "/timeAdded")).unwrap_or(i64::MAX);
        if passed >= seconds {
            let _ = remove(state, key, &Options::default());
            return;
        }
        state.waiting = true;
    }
}

/// Has so much time passed since this was asked first?
fn after(state: &mut State, what: String, time: Duration) -> bool {
    let start = *state.timers.entry(what.clone()).or_insert_with(Instant::now);
    let over = start.elapsed() >= time;
    if over {
        state.timers.remove(&what);
    } else {
        state.waiting = true;
    }
    over
}

fn run(state: &mut State, key: &Key, pod: &Arc<Value>) {
    if ending(pod) {
        let grace = Duration::from_secs(u64::try_from(int(pod, "/metadata/deletionGracePeriodSeconds")).unwrap_or(0));
        let time = state.settings.stop_after.min(grace);
        if after(state, format!("stop {}", uid(pod)), time) {
            state.store.change(key, |p| set(p, &["metadata", "deletionGracePeriodSeconds"], 0));
            complete(state, key);
        }
        return;
    }
    let phase = text(pod, "/status/phase");
    if phase == "Running" {
        let sick = state.sick.contains(&(namespace(pod).to_owned(), name(pod).to_owned()));
        if ready(pod) && sick {
            state.store.change(key, |p| readiness(p, false));
        } else if !ready(pod) && !sick && after(state, format!("again {}", uid(pod)), state.settings.ready_after) {
            state.store.change(key, |p| readiness(p, true));
        }
        return end(state, key, pod);
    }
    if phase != "Pending" {
        return;
    }
    let bad = items(pod, "/spec/containers").iter().any(|c| text(c, "/image").contains(".invalid"));
    if bad {
        state.store.change(key, |p| {
            started(p, &json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}), false);
            readiness(p, false);
        });
        return;
    }
    if after(state, format!("start {}", uid(pod)), state.settings.ready_after) {
        let n = state.store.count();
        state.store.change(key, |p| {
            set(p, &["status", "phase"], "Running");
            set(p, &["status", "startTime"], now());
            set(p, &["status", "podIP"], format!("10.244.{}.{}", (n / 250) % 250, n % 250 + 1));
            started(p, &json!({"running": {"startedAt": now()}}), true);
            readiness(p, true);
        });
    }
}

/// A pod that is not for ever: what its program does, as a test scripts it. One of a Job without a script ends well.
fn end(state: &mut State, key: &Key, pod: &Value) {
    let once = format!("ran {}", uid(pod));
    if text(pod, "/spec/restartPolicy") == "Always" || state.timers.contains_key(&once) {
        return;
    }
    state.timers.insert(once, Instant::now());
    let run = main_of(pod);
    let job = controller(pod).is_some_and(|(kind, _, _)| kind == "Job");
    let Some(ran) = scripted(&state.programs.clone(), &run).or_else(|| job.then(|| Ran::ok(""))) else { return };
    if ran.then == Then::Hang {
        return;
    }
    let place = (run.namespace.clone(), run.pod.clone(), run.container.clone());
    state.logs.entry(place).or_default().push_str(&format!("{}{}", ran.stdout, ran.stderr));
    state.ran.push(run);
    state.store.change(key, |p| {
        let (phase, reason) = if ran.code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
        set(p, &["status", "phase"], phase);
        started(p, &json!({"terminated": {"exitCode": ran.code, "reason": reason, "finishedAt": now()}}), false);
        readiness(p, false);
    });
}

/// A container ends and is started anew.
pub fn restart(state: &mut State, key: &Key, container: &str) {
    state.store.change(key, |pod| {
        let all = pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut);
        for one in all.into_iter().flatten().filter(|c| text(c, "/name") == container) {
            set(one, &["restartCount"], int(one, "/restartCount") + 1);
            set(one, &["lastState"], json!({"terminated": {"exitCode": 137, "reason": "Error", "finishedAt": now()}}));
            set(one, &["state"], json!({"running": {"startedAt": now()}}));
        }
        readiness(pod, false);
    });
}

/// The status of each container.
fn started(pod: &mut Value, how: &Value, up: bool) {
    let one = |c: &Value| {
        json!({"name": text(c, "/name"), "image": text(c, "/image"), "imageID": "", "ready": up, "started": up,
            "restartCount": 0, "state": how, "lastState": {}})
    };
    let all: Vec<Value> = items(pod, "/spec/containers").iter().map(one).collect();
    set(pod, &["status", "containerStatuses"], all);
}

fn readiness(pod: &mut Value, up: bool) {
    let (status, reason) = if up { ("True", "") } else { ("False", "ContainersNotReady") };
    for one in pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut).into_iter().flatten() {
        set(one, &["ready"], up);
    }
    condition(pod, "Initialized", "True", "", "");
    condition(pod, "ContainersReady", status, reason, "");
    condition(pod, "Ready", status, reason, "");
}
