//! Who wrote which field: `managedFields`. A set of fields is a set of ways from the root to a leaf, each step as
//! `fieldsV1` writes it: `f:spec`, `k:{"name":"web"}`, `v:"a"`. Simplified: all parts of an object share one set per
//! manager.

use super::json::{at, items, now, set, take, text};
use super::patch::merge_key;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A way to a field.
pub type Way = Vec<String>;
/// A set of fields.
pub type Set = BTreeSet<Way>;

/// By which keys the items of a list are told apart; none for lists that are one value. `[""]`: plain values.
fn keys(above: &str, field: &str) -> Option<Vec<&'static str>> {
    Some(match merge_key(above, field)? {
        "containerPort" => vec!["containerPort", "protocol"],
        "port" => vec!["port", "protocol"],
        "topologyKey" => vec!["topologyKey", "whenUnsatisfiable"],
        one => vec![one],
    })
}

/// Is a map one value? Selectors are.
fn whole(field: &str) -> bool {
    ["selector", "podSelector", "namespaceSelector", "labelSelector", "nodeSelector"].contains(&field)
}

/// What a step says of an item of a list.
fn step(item: &Value, keys: &[&str]) -> String {
    if keys == [""] {
        return format!("v:{item}");
    }
    let mut said = Map::new();
    for key in keys {
        let value =
            item.get(*key).cloned().unwrap_or_else(|| if *key == "protocol" { json!("TCP") } else { Value::Null });
        said.insert((*key).to_owned(), value);
    }
    format!("k:{}", Value::Object(said))
}

/// All fields of an object that somebody can own.
pub fn of(object: &Value) -> Set {
    let builtin = object["apiVersion"].as_str().is_none_or(|a| !custom(a));
    let mut found = Set::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if ["labels", "annotations", "finalizers", "ownerReferences"].contains(&key.as_str()) {
                        let mut way = vec!["f:metadata".to_owned(), format!("f:{key}")];
                        walk(value, ("metadata", key), true, &mut way, &mut found);
                    }
                }
            }
            _ => walk(value, ("", key), builtin, &mut vec![format!("f:{key}")], &mut found),
        }
    }
    found
}

/// Is it a custom resource's group?
fn custom(api: &str) -> bool {
    let group = api.split_once('/').map_or("", |(group, _)| group);
    group.contains('.') && (!group.ends_with(".k8s.io") || group.starts_with("snapshot."))
}

fn walk(value: &Value, (above, field): (&str, &str), builtin: bool, way: &mut Way, found: &mut Set) {
    match value {
        Value::Object(map) if !(map.is_empty() || builtin && whole(field)) => {
            for (key, value) in map {
                way.push(format!("f:{key}"));
                walk(value, (field, key), builtin, way, found);
                way.pop();
            }
        }
        Value::Array(list) if builtin && keys(above, field).is_some() => {
            let by = keys(above, field).unwrap_or_default();
            for item in list {
                way.push(step(item, &by));
                found.insert(way.clone());
                for (key, value) in item.as_object().into_iter().flatten() {
                    way.push(format!("f:{key}"));
                    walk(value, (field, key), builtin, way, found);
                    way.pop();
                }
                way.pop();
            }
        }
        Value::Null => {}
        _ => drop(found.insert(way.clone())),
    }
}

fn place(list: &[Value], step: &str) -> Option<usize> {
    if let Some(value) = step.strip_prefix("v:") {
        let wanted: Option<Value> = serde_json::from_str(value).ok();
        return wanted.and_then(|wanted| list.iter().position(|i| *i == wanted));
    }
    let wanted: Value = serde_json::from_str(step.strip_prefix("k:")?).ok()?;
    let wanted = wanted.as_object()?;
    let fits = |item: &Value| {
        wanted.iter().all(|(k, v)| item.get(k).unwrap_or(if k == "protocol" { v } else { &Value::Null }) == v)
    };
    list.iter().position(fits)
}

/// What is at the end of a way.
pub fn find<'a>(object: &'a Value, way: &[String]) -> Option<&'a Value> {
    let mut here = object;
    for step in way {
        here = match step.strip_prefix("f:") {
            Some(field) => here.get(field)?,
            None => here.as_array().and_then(|list| place(list, step).map(|at| &list[at]))?,
        };
    }
    Some(here)
}

/// Takes away what is at the end of a way, and the maps that are empty then.
pub fn remove(object: &mut Value, way: &[String]) {
    let Some((first, rest)) = way.split_first() else { return };
    match (first.strip_prefix("f:"), object) {
        (Some(field), Value::Object(map)) => {
            if rest.is_empty() {
                map.shift_remove(field);
            } else if let Some(inner) = map.get_mut(field) {
                remove(inner, rest);
                let empty = inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty);
                if empty {
                    map.shift_remove(field);
                }
            }
        }
        (None, Value::Array(list)) => {
            if let Some(at) = place(list, first) {
                if rest.is_empty() {
                    list.remove(at);
                } else {
                    remove(&mut list[at], rest);
                }
            }
        }
        _ => {}
    }
}

/// Lays what somebody applies over what is there.
pub fn overlay(live: &mut Value, applied: &Value, (above, field): (&str, &str), builtin: bool) {
    match applied {
        Value::Object(map) if !(builtin && whole(field)) => {
            if !live.is_object() {
                *live = json!({});
            }
            let Some(target) = live.as_object_mut() else { return };
            for (key, value) in map.iter().filter(|(_, v)| !v.is_null()) {
                overlay(target.entry(key.clone()).or_insert(Value::Null), value, (field, key), builtin);
            }
        }
        Value::Array(list) if builtin && keys(above, field).is_some() => {
            let by = keys(above, field).unwrap_or_default();
            if !live.is_array() {
                *live = json!([]);
            }
            let Some(target) = live.as_array_mut() else { return };
            for item in list {
                match place(target, &step(item, &by)) {
                    Some(at) => overlay(&mut target[at], item, ("", field), builtin),
                    None => target.push(item.clone()),
                }
            }
        }
        _ => *live = applied.clone(),
    }
}

/// An entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub manager: String,
    pub operation: String,
    pub api: String,
    pub time: String,
    pub fields: Set,
}

fn read(fields: &Value, way: &mut Way, found: &mut Set) {
    let Some(map) = fields.as_object() else { return };
    if map.is_empty() && !way.is_empty() {
        found.insert(way.clone());
    }
    for (key, value) in map {
        if key == "." {
            found.insert(way.clone());
            continue;
        }
        way.push(key.clone());
        read(value, way, found);
        way.pop();
    }
}

/// Who owns what of an object.
pub fn entries(object: &Value) -> Vec<Entry> {
    let entry = |e: &Value| {
        let mut fields = Set::new();
        read(at(e, "/fieldsV1"), &mut Way::new(), &mut fields);
        let part = |p: &str| text(e, p).to_owned();
        let [manager, operation, api, time] = ["/manager", "/operation", "/apiVersion", "/time"].map(part);
        Entry { manager, operation, api, time, fields }
    };
    items(object, "/metadata/managedFields").iter().map(entry).collect()
}

/// Writes who owns what.
pub fn record(object: &mut Value, entries: &[Entry]) {
    let mut said = Vec::new();
    for entry in entries.iter().filter(|e| !e.fields.is_empty()) {
        let mut fields = json!({});
        for way in &entry.fields {
            let steps: Vec<&str> = way.iter().map(String::as_str).collect();
            let pointer: String = way.iter().map(|s| format!("/{}", s.replace('~', "~0").replace('/', "~1"))).collect();
            let inside = entry.fields.iter().any(|o| o.len() > way.len() && o.starts_with(way));
            let item = !way.last().is_some_and(|s| s.starts_with("f:"));
            if fields.pointer(&pointer).is_none() {
                set(&mut fields, &steps, json!({}));
            }
            if inside || (item && way.last().is_some_and(|s| s.starts_with("k:"))) {
                set(&mut fields, &[steps.as_slice(), &["."]].concat(), json!({}));
            }
        }
        said.push(json!({"manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api,
            "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": fields}));
    }
    if said.is_empty() {
        take(object, &["metadata", "managedFields"]);
    } else {
        set(object, &["metadata", "managedFields"], said);
    }
}

/// Somebody wrote an object (not by applying): what changed is theirs now.
pub fn wrote(new: &mut Value, old: Option<&Value>, manager: &str, api: &str) {
    let nothing = json!({});
    let old = old.unwrap_or(&nothing);
    let (before, after) = (of(old), of(new));
    let differs = |way: &&Way| !before.contains(*way) || find(old, way) != find(new, way);
    let item = |way: &Way| way.last().is_some_and(|s| s.starts_with("k:"));
    let changed: Set = after.iter().filter(differs).filter(|w| !item(w) || !before.contains(*w)).cloned().collect();
    let gone: Set = before.difference(&after).cloned().collect();
    if changed.is_empty() && gone.is_empty() {
        return;
    }
    let mut all = entries(old);
    for entry in &mut all {
        let own = entry.manager == manager && entry.operation == "Update";
        entry.fields.retain(|way| !gone.contains(way) && (own || !changed.contains(way)));
    }
    if !changed.is_empty() {
        match all.iter_mut().find(|e| e.manager == manager && e.operation == "Update" && e.api == api) {
            Some(entry) => {
                entry.fields.extend(changed);
                entry.time = now();
            }
            None => {
                let (manager, operation, api) = (manager.to_owned(), "Update".to_owned(), api.to_owned());
                all.push(Entry { manager, operation, api, time: now(), fields: changed });
            }
        }
    }
    record(new, &all);
}

/// `.spec.containers[name="web"].image`
pub fn said(way: &Way) -> String {
    let one = |step: &String| match (step.strip_prefix("f:"), step.strip_prefix("k:")) {
        (Some(field), _) => format!(".{field}"),
        (_, Some(key)) => {
            let key: Value = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> = key.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", pairs.join(","))
        }
        _ => format!("[={}]", step.trim_start_matches("v:")),
    };
    way.iter().map(one).collect()
}

/// Is it a kind whose lists the server knows?
pub fn known(object: &Value) -> bool {
    !custom(text(object, "/apiVersion"))
}
