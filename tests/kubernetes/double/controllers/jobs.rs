//! Jobs: pods until enough of them succeeded, or too many failed.

use super::{by_owner, condition, pod_of};
use crate::double::State;
use crate::double::delete::{Options, one as remove};
use crate::double::json::{active, at, condition as is, ending, has, int, name, now, set, since, text, uid};
use crate::double::store::Key;
use serde_json::Value;
use std::sync::Arc;

pub fn tick(state: &mut State) {
    let kind = state.store.kind("batch", "jobs");
    let mut owned = by_owner(&state.store);
    for job in state.store.all(kind, None) {
        let pods = owned.remove(uid(&job)).unwrap_or_default();
        if !ending(&job) {
            one(state, kind, &job, &pods);
        }
    }
}

fn one(state: &mut State, kind: usize, job: &Arc<Value>, pods: &[(Key, Arc<Value>)]) {
    let key = state.store.key_of(kind, job);
    if is(job, "Complete") == "True" || is(job, "Failed") == "True" {
        let over = since(text(job, "/status/completionTime")).unwrap_or(0);
        if has(job, "/spec/ttlSecondsAfterFinished") && over >= int(job, "/spec/ttlSecondsAfterFinished") {
            let how = Options { propagation: "Background".to_owned(), ..Options::default() };
            let _ = remove(state, &key, &how);
        }
        return;
    }
    let phase = |wanted: &str| pods.iter().filter(|(_, p)| text(p, "/status/phase") == wanted && !ending(p)).count();
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let live: Vec<&(Key, Arc<Value>)> = pods.iter().filter(|(_, p)| active(p)).collect();
    let number = |pointer: &str, or: usize| at(job, pointer).as_u64().map_or(or, |n| usize::try_from(n).unwrap_or(or));
    let (wanted, width) = (number("/spec/completions", 1), number("/spec/parallelism", 1));
    let late = since(text(job, "/status/startTime")).unwrap_or(0) >= int(job, "/spec/activeDeadlineSeconds");
    let late = late && has(job, "/spec/activeDeadlineSeconds");
    let suspended = at(job, "/spec/suspend") == &Value::Bool(true);
    let verdict = match () {
        () if succeeded >= wanted => Some(("Complete", "")),
        () if failed > number("/spec/backoffLimit", 6) => Some(("Failed", "BackoffLimitExceeded")),
        () if late => Some(("Failed", "DeadlineExceeded")),
        () => None,
    };
    if verdict.is_some() || suspended {
        for (key, _) in &live {
            let _ = remove(state, key, &Options::default());
        }
    } else {
        for _ in live.len()..width.min(wanted - succeeded) {
            let own = format!("{}-{}", name(job), state.store.suffix());
            let pod = pod_of(job, at(job, "/spec/template"), &own);
            let pods = state.store.kind("", "pods");
            state.bear(pods, pod);
        }
        state.waiting |= has(job, "/spec/activeDeadlineSeconds");
    }
    let active = if verdict.is_some() || suspended { 0 } else { live.len().max(width.min(wanted - succeeded)) };
    state.store.change(&key, |j| {
        for (field, count) in [("succeeded", succeeded), ("failed", failed), ("active", active)] {
            if count > 0 {
                set(j, &["status", field], count);
            } else {
                crate::double::json::take(j, &["status", field]);
            }
        }
        if !has(j, "/status/startTime") && !suspended {
            set(j, &["status", "startTime"], now());
        }
        if let Some((what, reason)) = verdict {
            condition(j, what, "True", reason, "");
            set(j, &["status", "completionTime"], now());
        }
    });
}
