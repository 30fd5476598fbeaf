//! Replica sets: as many pods as wanted; those that nobody controls are adopted, those that no longer fit let go.

use super::{by_owner, pod_of, reference};
use crate::double::State;
use crate::double::delete::{Options, one as remove};
use crate::double::json::{active, at, controller, ending, int, name, namespace, ready, set, take, text, uid};
use crate::double::select::chooses;
use crate::double::store::Key;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

pub fn tick(state: &mut State) {
    let (sets, pods) = (state.store.kind("apps", "replicasets"), state.store.kind("", "pods"));
    let mut owned = by_owner(&state.store);
    let mut orphans: HashMap<String, Vec<(Key, Arc<Value>)>> = HashMap::new();
    for (key, pod) in state.store.range(pods, None).filter(|(_, p)| controller(p).is_none() && active(p)) {
        orphans.entry(key.namespace.clone()).or_default().push((key.clone(), pod.clone()));
    }
    for set in state.store.all(sets, None) {
        let mut own = owned.remove(uid(&set)).unwrap_or_default();
        if !ending(&set) {
            adopt(state, &set, &mut own, orphans.get(namespace(&set)));
            one(state, &set, &own);
        }
    }
}

fn adopt(state: &mut State, owner: &Value, own: &mut Vec<(Key, Arc<Value>)>, orphans: Option<&Vec<(Key, Arc<Value>)>>) {
    let fits = |pod: &Value| chooses(at(owner, "/spec/selector"), at(pod, "/metadata/labels"));
    own.retain(|(key, pod)| {
        let stays = fits(pod) || ending(pod);
        if !stays {
            state.store.change(key, |pod| drop(take(pod, &["metadata", "ownerReferences"])));
        }
        stays
    });
    for (key, pod) in orphans.into_iter().flatten().filter(|(_, pod)| fits(pod)) {
        let free = state.store.get(key).is_some_and(|p| controller(&p).is_none());
        if free {
            let adopted = state.store.change(key, |p| set(p, &["metadata", "ownerReferences"], reference(owner)));
            own.push((key.clone(), adopted.unwrap_or_else(|| pod.clone())));
        }
    }
}

fn one(state: &mut State, owner: &Arc<Value>, own: &[(Key, Arc<Value>)]) {
    let mut live: Vec<&(Key, Arc<Value>)> = own.iter().filter(|(_, p)| active(p)).collect();
    let wanted = usize::try_from(int(owner, "/spec/replicas")).unwrap_or(0);
    for _ in live.len()..wanted {
        let suffix = state.store.suffix();
        let pod = pod_of(owner, at(owner, "/spec/template"), &format!("{}-{suffix}", name(owner)));
        let kind = state.store.kind("", "pods");
        state.bear(kind, pod);
    }
    if live.len() > wanted {
        let rank = |pod: &Value| (!text(pod, "/spec/nodeName").is_empty(), ready(pod));
        live.sort_by_key(|(key, pod)| (rank(pod), std::cmp::Reverse(key.name.clone())));
        for (key, _) in live.iter().take(live.len() - wanted) {
            let _ = remove(state, key, &Options::default());
        }
    }
    status(state, owner);
}

fn status(state: &mut State, owner: &Value) {
    let pods = state.store.kind("", "pods");
    let mine = |p: &&Arc<Value>| controller(p).is_some_and(|(_, _, u)| u == uid(owner)) && active(p);
    let all = state.store.all(pods, Some(namespace(owner)));
    let own: Vec<&Arc<Value>> = all.iter().filter(mine).collect();
    let ready = own.iter().filter(|p| ready(p)).count();
    let key = state.store.key_of(state.store.kind("apps", "replicasets"), owner);
    state.store.change(&key, |s| {
        let generation = int(s, "/metadata/generation");
        set(s, &["status", "observedGeneration"], generation);
        set(s, &["status", "replicas"], own.len());
        set(s, &["status", "fullyLabeledReplicas"], own.len());
        set(s, &["status", "readyReplicas"], ready);
        set(s, &["status", "availableReplicas"], ready);
    });
}
