//! Server-side apply: fields have owners, conflicts are reported, what its owner no longer applies goes.

use super::call::Call;
use super::fields::{Entry, Set, entries, find, known, of, overlay, record, remove, said};
use super::json::{has, name, now, set, text};
use super::kinds::Kind;
use super::status::Refusal;
use super::write::{Answer, dry, finish, insert, keep_own, preconditions};
use super::{State, Violation, defaults};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn apply(state: &mut State, call: &Call, kind: &Kind, applied: &Value) -> Answer {
    let manager = call.ask("fieldManager").to_owned();
    if manager.is_empty() {
        let why = "Required value: is required for apply patch";
        return Err(Refusal::invalid("PatchOptions", "meta.k8s.io", "", "fieldManager", why));
    }
    if has(applied, "/metadata/managedFields") {
        return Err(Refusal::bad("metadata.managedFields must be nil"));
    }
    let api = state.store.api(call);
    if text(applied, "/apiVersion") != api || text(applied, "/kind") != kind.kind {
        return Err(Refusal::bad(format!("what is applied is not {api}, Kind={}", kind.kind)));
    }
    if !name(applied).is_empty() && name(applied) != call.name() {
        return Err(Refusal::bad("the name of the object does not match the name on the URL"));
    }
    let dry = dry(state, call)?;
    let (operation, fields) = ("Apply".to_owned(), of(applied));
    let own = Entry { manager, operation, api, time: now(), fields };
    match state.store.get(&call.key(kind)) {
        Some(live) => again(state, call, kind, &live, applied, own, dry).map(|o| (200, o)),
        None if call.part.is_some() => Err(Refusal::missing(&kind.plural, &kind.group, call.name())),
        None => {
            if !super::json::uid(applied).is_empty() {
                let why = "Precondition failed: UID in precondition, and there is no such object";
                return Err(Refusal::conflict(&kind.plural, &kind.group, call.name(), why));
            }
            let mut new = applied.clone();
            set(&mut new, &["metadata", "name"], call.name());
            if kind.namespaced {
                set(&mut new, &["metadata", "namespace"], call.namespace());
            }
            record(&mut new, &[own]);
            insert(state, call, kind, new, dry).map(|o| (201, o))
        }
    }
}

fn again(
    state: &mut State,
    call: &Call,
    kind: &Kind,
    live: &Arc<Value>,
    applied: &Value,
    mut own: Entry,
    dry: bool,
) -> Result<Value, Refusal> {
    preconditions(state, kind, live, applied)?;
    let mut all = entries(live);
    let mine = |e: &Entry| e.manager == own.manager && e.operation == "Apply";
    let before = all.iter().position(mine).map(|at| all.remove(at));
    let force = ["true", "1"].contains(&call.ask("force")) || state.violates(Violation::ForcesApplies);
    settle(&mut all, live, applied, &own.fields, force)?;
    let mut new = state.store.shown(call.kind, &call.version, live);
    let mut laid = applied.clone();
    if let Some(metadata) = laid.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|k, _| ["labels", "annotations", "finalizers", "ownerReferences"].contains(&k.as_str()));
    }
    overlay(&mut new, &laid, ("", ""), known(applied));
    if let Some(before) = before {
        for way in before.fields.difference(&own.fields) {
            let theirs = |e: &Entry| e.fields.iter().any(|o| o.starts_with(way));
            let inner = own.fields.iter().any(|o| o.starts_with(way));
            if !inner && !all.iter().any(theirs) {
                remove(&mut new, way);
            }
        }
        if before.fields == own.fields {
            own.time = before.time;
        }
    }
    all.push(own);
    keep_own(kind, call.part(), live, &mut new)?;
    record(&mut new, &all);
    if call.part().is_empty() {
        defaults::whole(state, call.kind, &mut new);
        defaults::check(kind, &new, Some(live))?;
    }
    finish(state, call, kind, live, new, dry)
}

/// What others own of it with another value: a conflict, or theirs no more if it is forced.
fn settle(all: &mut [Entry], live: &Value, applied: &Value, fields: &Set, force: bool) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    for entry in all.iter_mut() {
        let item = |way: &Vec<String>| way.last().is_some_and(|s| !s.starts_with("f:"));
        let differs = |way: &&Vec<String>| !item(way) && find(live, way) != find(applied, way);
        let against: Set = entry.fields.intersection(fields).filter(differs).cloned().collect();
        if force {
            entry.fields.retain(|way| !against.contains(way));
            continue;
        }
        for way in against {
            let message = format!("conflict with \"{}\" using {}", entry.manager, entry.api);
            causes.push(json!({"reason": "FieldManagerConflict", "message": message, "field": said(&way)}));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = causes.iter().map(|c| format!("{}: {}", text(c, "/message"), text(c, "/field"))).collect();
    let message = format!("Apply failed with {} conflicts: {}", causes.len(), list.join(", "));
    Err(Refusal::new(409, "Conflict", message).causes(causes))
}
