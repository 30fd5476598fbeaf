//! What is left over: objects whose owners are gone, owners that wait for what they own, namespaces that end.

use crate::double::State;
use crate::double::delete::{Options, complete, one as remove, owned};
use crate::double::json::{ending, items, set, take, text, uid};
use crate::double::store::Key;
use std::collections::HashSet;

pub fn tick(state: &mut State) {
    orphaned(state);
    foreground(state);
    namespaces(state);
}

/// Goes when all its owners are gone. A full look only when something was removed or made since.
fn orphaned(state: &mut State) {
    let mut live: HashSet<String> = HashSet::new();
    let mut dependent: Vec<(Key, Vec<String>)> = Vec::new();
    for kind in 0..state.store.kinds.len() {
        for (key, object) in state.store.range(kind, None) {
            live.insert(uid(object).to_owned());
            let owners: Vec<String> =
                items(object, "/metadata/ownerReferences").iter().map(|o| text(o, "/uid").to_owned()).collect();
            if !owners.is_empty() && !ending(object) {
                dependent.push((key.clone(), owners));
            }
        }
    }
    for (key, owners) in dependent {
        if !owners.iter().any(|o| live.contains(o)) {
            let options = Options { propagation: "Background".to_owned(), ..Options::default() };
            let _ = remove(state, &key, &options);
        }
    }
}

/// Owners with the finalizer `foregroundDeletion`: first what they own, then they.
fn foreground(state: &mut State) {
    let mut waiting: Vec<(Key, String)> = Vec::new();
    for kind in 0..state.store.kinds.len() {
        for (key, object) in state.store.range(kind, None).filter(|(_, o)| ending(o)) {
            if items(object, "/metadata/finalizers").iter().any(|f| f == "foregroundDeletion") {
                waiting.push((key.clone(), uid(object).to_owned()));
            }
        }
    }
    for (key, uid) in waiting {
        let all = owned(state, &uid);
        for (dependent, _) in &all {
            if state.store.get(dependent).is_some_and(|o| !ending(&o)) {
                let options = Options { propagation: "Foreground".to_owned(), ..Options::default() };
                let _ = remove(state, dependent, &options);
            }
        }
        if owned(state, &uid).iter().any(|(_, blocks)| *blocks) {
            continue;
        }
        state.store.change(&key, |object| {
            let mut left = items(object, "/metadata/finalizers").to_vec();
            left.retain(|f| f != "foregroundDeletion");
            if left.is_empty() {
                take(object, &["metadata", "finalizers"]);
            } else {
                set(object, &["metadata", "finalizers"], left);
            }
        });
        complete(state, &key);
    }
}

/// A namespace that ends takes all with it.
fn namespaces(state: &mut State) {
    let namespaces = state.store.kind("", "namespaces");
    for namespace in state.store.all(namespaces, None).iter().filter(|n| ending(n)) {
        let own = crate::double::json::name(namespace).to_owned();
        let mut left = false;
        for kind in 0..state.store.kinds.len() {
            if !state.store.kinds[kind].namespaced {
                continue;
            }
            for object in state.store.all(kind, Some(&own)) {
                left = true;
                if !ending(&object) {
                    let key = state.store.key_of(kind, &object);
                    let _ =
                        remove(state, &key, &Options { propagation: "Background".to_owned(), ..Options::default() });
                }
            }
        }
        if !left {
            let key = state.store.key(namespaces, "", &own);
            state.store.change(&key, |n| set(n, &["spec", "finalizers"], serde_json::json!([])));
            complete(state, &key);
        }
    }
}
