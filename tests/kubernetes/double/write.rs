//! Creating, updating and patching.

use super::call::Call;
use super::json::{annotation, at, default, ending, has, items, name, namespace, now, set, take, text, uid};
use super::kinds::Kind;
use super::patch::{json_patch, merge, strategic};
use super::status::Refusal;
use super::store::Key;
use super::{State, Violation, apply, defaults, delete, fields};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the server answers: HTTP status and object.
pub type Answer = Result<(u16, Value), Refusal>;

pub fn create(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let mut object = call.json()?;
    check_type(&state.store, call, &object)?;
    if has(&object, "/metadata/resourceVersion") && !text(&object, "/metadata/resourceVersion").is_empty() {
        return Err(Refusal::new(500, "InternalError", "resourceVersion should not be set on objects to be created"));
    }
    if kind.namespaced {
        check_namespace(call, &object)?;
        set(&mut object, &["metadata", "namespace"], call.namespace());
    }
    let prefix = text(&object, "/metadata/generateName").to_owned();
    if name(&object).is_empty() && !prefix.is_empty() {
        let suffix = state.store.suffix();
        set(&mut object, &["metadata", "name"], format!("{prefix}{suffix}"));
    }
    check_name(&kind, &object)?;
    let dry = dry(state, call)?;
    if kind.has("status") {
        take(&mut object, &["status"]);
    }
    take(&mut object, &["metadata", "managedFields"]);
    insert(state, call, &kind, object, dry).map(|object| (201, object))
}

/// Is it only tried, and does the server care?
pub fn dry(state: &State, call: &Call) -> Result<bool, Refusal> {
    Ok(call.dry()? && !state.violates(Violation::IgnoresDryRun))
}

/// Keeps a new object that is whole but for what the server adds.
pub fn insert(state: &mut State, call: &Call, kind: &Kind, mut object: Value, dry: bool) -> Result<Value, Refusal> {
    let key = state.store.key_of(call.kind, &object);
    if kind.namespaced {
        namespace_open(state, kind, &key)?;
    }
    if state.store.get(&key).is_some() {
        return Err(Refusal::exists(&kind.plural, &kind.group, &key.name));
    }
    defaults::born(state, call.kind, &mut object);
    defaults::check(kind, &object, None)?;
    if !has(&object, "/metadata/managedFields") {
        fields::wrote(&mut object, None, &call.manager(), &state.store.api(call));
    }
    let kept = if dry { Arc::new(object) } else { state.store.put(&key, object) };
    Ok(state.store.shown(call.kind, &call.version, &kept))
}

fn namespace_open(state: &State, kind: &Kind, key: &Key) -> Result<(), Refusal> {
    let place = state.store.key(state.store.kind("", "namespaces"), "", &key.namespace);
    match state.store.get(&place) {
        None => Err(Refusal::missing("namespaces", "", &key.namespace)),
        Some(found) if ending(&found) => {
            let why =
                format!("unable to create new content in namespace {} because it is being terminated", key.namespace);
            let cause = json!({"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"});
            Err(Refusal::forbidden(&kind.plural, &kind.group, &key.name, &why).causes(vec![cause]))
        }
        Some(_) => Ok(()),
    }
}

fn check_type(store: &super::store::Store, call: &Call, object: &Value) -> Result<(), Refusal> {
    let kind = &store.kinds[call.kind];
    if !object.is_object() {
        return Err(Refusal::bad("the body is no object"));
    }
    let (api, said) = (text(object, "/apiVersion"), text(object, "/kind"));
    if kind.builtin && api.is_empty() && said.is_empty() {
        return Ok(());
    }
    let wanted = store.api(call);
    if said != kind.kind || api != wanted {
        let why = format!("{api}, Kind={said} in the request is not {wanted}, Kind={} as the path says", kind.kind);
        return Err(Refusal::bad(why));
    }
    Ok(())
}

fn check_namespace(call: &Call, object: &Value) -> Result<(), Refusal> {
    let own = namespace(object);
    if call.namespace.is_none() {
        return Err(Refusal::method());
    }
    if own.is_empty() || own == call.namespace() {
        return Ok(());
    }
    Err(Refusal::bad("the namespace of the provided object does not match the namespace sent on the request"))
}

fn check_name(kind: &Kind, object: &Value) -> Result<(), Refusal> {
    let name = name(object);
    let loose = kind.group == "rbac.authorization.k8s.io";
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = name.chars().all(fits) && ends(name.chars().next()) && ends(name.chars().last()) && name.len() <= 253;
    if name.is_empty() {
        let why = "Required value: name or generateName is required";
        return Err(Refusal::invalid(&kind.kind, &kind.group, name, "metadata.name", why));
    }
    if good || loose {
        return Ok(());
    }
    let why = format!(
        "Invalid value: \"{name}\": lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
    );
    Err(Refusal::invalid(&kind.kind, &kind.group, name, "metadata.name", &why))
}

/// What is there, or 404.
pub fn existing(state: &State, call: &Call, kind: &Kind) -> Result<Arc<Value>, Refusal> {
    let found = state.store.get(&call.key(kind));
    found.ok_or_else(|| Refusal::missing(&kind.plural, &kind.group, call.name()))
}

pub fn update(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let object = call.json()?;
    check_type(&state.store, call, &object)?;
    if name(&object) != call.name() {
        let why =
            format!("the name of the object ({}) does not match the name on the URL ({})", name(&object), call.name());
        return Err(Refusal::bad(why));
    }
    let old = existing(state, call, &kind)?;
    if kind.careful() && text(&object, "/metadata/resourceVersion").is_empty() {
        let why = "Invalid value: 0x0: must be specified for an update";
        return Err(Refusal::invalid(&kind.kind, &kind.group, call.name(), "metadata.resourceVersion", why));
    }
    let dry = dry(state, call)?;
    replace(state, call, &kind, &old, object, dry).map(|object| (200, object))
}

pub fn patch(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let patch = call.json()?;
    let media = call.media.split(';').next().unwrap_or_default().trim();
    if media == "application/apply-patch+yaml" {
        return apply::apply(state, call, &kind, &patch);
    }
    let old = existing(state, call, &kind)?;
    let mut new = state.store.shown(call.kind, &call.version, &old);
    match media {
        "application/merge-patch+json" => merge(&mut new, &patch),
        "application/json-patch+json" => json_patch(&mut new, &patch)?,
        "application/strategic-merge-patch+json" if kind.builtin => strategic(&mut new, &patch, "")?,
        other => return Err(Refusal::media(other)),
    }
    if name(&new) != call.name() {
        return Err(Refusal::bad("the name of the object does not match the name on the URL"));
    }
    let dry = dry(state, call)?;
    replace(state, call, &kind, &old, new, dry).map(|object| (200, object))
}

/// Keeps a changed object, as far as this request may change it, unless what it was read as is no more.
pub fn replace(
    state: &mut State,
    call: &Call,
    kind: &Kind,
    old: &Arc<Value>,
    mut new: Value,
    dry: bool,
) -> Result<Value, Refusal> {
    preconditions(state, kind, old, &new)?;
    keep_own(kind, call.part(), old, &mut new)?;
    if call.part().is_empty() {
        defaults::whole(state, call.kind, &mut new);
        defaults::check(kind, &new, Some(old))?;
    }
    finish(state, call, kind, old, new, dry)
}

/// What `metadata.resourceVersion` and `metadata.uid` demand.
pub fn preconditions(state: &State, kind: &Kind, old: &Value, new: &Value) -> Result<(), Refusal> {
    if state.violates(Violation::IgnoresPreconditions) {
        return Ok(());
    }
    let (wanted, own) = (text(new, "/metadata/resourceVersion"), text(old, "/metadata/resourceVersion"));
    if !wanted.is_empty() && wanted != own {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(&kind.plural, &kind.group, name(old), why));
    }
    if !uid(new).is_empty() && uid(new) != uid(old) {
        let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid(new), uid(old));
        return Err(Refusal::conflict(&kind.plural, &kind.group, name(old), &why));
    }
    Ok(())
}

/// What only the server writes stays as it is; so does what belongs to another part of the object.
pub fn keep_own(kind: &Kind, part: &str, old: &Value, new: &mut Value) -> Result<(), Refusal> {
    let owned = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "managedFields",
        "resourceVersion",
        "selfLink",
    ];
    for field in owned {
        match old["metadata"].get(field) {
            Some(value) => set(new, &["metadata", field], value.clone()),
            None => drop(take(new, &["metadata", field])),
        }
    }
    let restore = |new: &mut Value, field: &str| match old.get(field) {
        Some(value) => set(new, &[field], value.clone()),
        None => drop(take(new, &[field])),
    };
    match part {
        "status" => {
            let others: Vec<String> = old.as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default();
            let extra: Vec<String> = new.as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default();
            for field in others.iter().chain(&extra).filter(|f| !["metadata", "status"].contains(&f.as_str())) {
                restore(new, field);
            }
        }
        _ if kind.has("status") => restore(new, "status"),
        _ => {}
    }
    let finalizers = items(new, "/metadata/finalizers");
    if ending(old) && finalizers.iter().any(|f| !items(old, "/metadata/finalizers").contains(f)) {
        let why = "Forbidden: no new finalizers can be added if the object is being deleted";
        return Err(Refusal::invalid(&kind.kind, &kind.group, name(old), "metadata.finalizers", why));
    }
    for empty in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let nothing = match at(new, &format!("/metadata/{empty}")) {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Null => true,
            _ => false,
        };
        if nothing {
            take(new, &["metadata", empty]);
        }
    }
    Ok(())
}

/// Counts the generation, says who wrote what, and keeps it; an object that only waited for its finalizers goes.
pub fn finish(
    state: &mut State,
    call: &Call,
    kind: &Kind,
    old: &Arc<Value>,
    mut new: Value,
    dry: bool,
) -> Result<Value, Refusal> {
    let plain = |v: &Value| {
        let mut v = v.clone();
        for field in ["status", "metadata", "kind", "apiVersion"] {
            take(&mut v, &[field]);
        }
        v
    };
    if kind.counts() && call.part() != "status" && plain(old) != plain(&new) {
        let generation = at(old, "/metadata/generation").as_i64().unwrap_or(1) + 1;
        set(&mut new, &["metadata", "generation"], generation);
    }
    let applied = call.media.starts_with("application/apply-patch");
    if !applied {
        fields::wrote(&mut new, Some(old), &call.manager(), &state.store.api(call));
    }
    let key = call.key(kind);
    let (api, same) = (old["apiVersion"].clone(), old["kind"].clone());
    let unchanged = {
        let mut a = new.clone();
        a["apiVersion"] = api;
        a["kind"] = same;
        a == **old
    };
    if unchanged || dry {
        return Ok(state.store.shown(call.kind, &call.version, &new));
    }
    let kept = state.store.put(&key, new);
    delete::complete(state, &key);
    Ok(state.store.shown(call.kind, &call.version, &kept))
}

/// What only a first look at an object adds: uid, time, generation.
pub fn stamp(state: &mut State, kind: &Kind, object: &mut Value) {
    let uid = state.store.uid();
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"] {
        take(object, &["metadata", field]);
    }
    set(object, &["metadata", "uid"], uid);
    set(object, &["metadata", "creationTimestamp"], now());
    if kind.counts() {
        set(object, &["metadata", "generation"], 1);
    }
    if annotation(object, "kubectl.kubernetes.io/last-applied-configuration").is_none() {
        default(object, &["metadata", "creationTimestamp"], now());
    }
}
