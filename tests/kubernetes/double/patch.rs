//! The three patches: merge (RFC 7386), JSON (RFC 6902) and Kubernetes' strategic one.

use super::json::text;
use super::status::Refusal;
use serde_json::{Map, Value, json};

/// RFC 7386.
pub fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// RFC 6902. A failed `test` is 422, as are paths that are not there.
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let steps = patch.as_array().ok_or_else(|| Refusal::bad("a JSON patch is a list"))?;
    for step in steps {
        one(target, step).map_err(|why| {
            let why = format!("the server rejected our request due to an error in our request: {why}");
            Refusal { details: Box::new(json!({})), ..Refusal::new(422, "Invalid", why) }
        })?;
    }
    Ok(())
}

fn one(target: &mut Value, step: &Value) -> Result<(), String> {
    let (op, path) = (text(step, "/op"), text(step, "/path"));
    let value = || step.get("value").cloned().ok_or_else(|| format!("{op} {path} without a value"));
    let found = |target: &Value, path: &str| target.pointer(path).cloned().ok_or_else(|| format!("no {path}"));
    match op {
        "test" if target.pointer(path).unwrap_or(&Value::Null) == &value()? => Ok(()),
        "test" => Err(format!("testing value {path} failed")),
        "add" => add(target, path, value()?),
        "replace" => {
            let here = target.pointer_mut(path).ok_or_else(|| format!("no {path} to replace"))?;
            *here = value()?;
            Ok(())
        }
        "remove" => remove(target, path).map(drop),
        "move" => {
            let moved = remove(target, text(step, "/from"))?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = found(target, text(step, "/from"))?;
            add(target, path, copied)
        }
        other => Err(format!("unexpected kind: {other}")),
    }
}

/// The parent of a path, and its last part.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (way, last) = path.rsplit_once('/').ok_or_else(|| format!("`{path}` is no path"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = target.pointer_mut(way).ok_or_else(|| format!("no {way}"))?;
    Ok((parent, last))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(map), last) => {
            map.insert(last, value);
            Ok(())
        }
        (Value::Array(list), last) if last == "-" => {
            list.push(value);
            Ok(())
        }
        (Value::Array(list), last) => match last.parse::<usize>() {
            Ok(at) if at <= list.len() => {
                list.insert(at, value);
                Ok(())
            }
            _ => Err(format!("no place {path}")),
        },
        _ => Err(format!("nothing to add to at {path}")),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("no {path} to remove");
    match parent(target, path)? {
        (Value::Object(map), last) => map.shift_remove(&last).ok_or_else(missing),
        (Value::Array(list), last) => match last.parse::<usize>() {
            Ok(at) if at < list.len() => Ok(list.remove(at)),
            _ => Err(missing()),
        },
        _ => Err(missing()),
    }
}

/// By which key the items of a list of a built-in kind are told apart in a strategic patch; `Some("")` for lists of
/// plain values that are a set; none for lists that are one value. By the last field of the way, and the one before.
pub fn merge_key(above: &str, field: &str) -> Option<&'static str> {
    Some(match (above, field) {
        (_, "finalizers") => "",
        (_, "ownerReferences") => "uid",
        ("status", "conditions" | "addresses") => "type",
        ("status", "podIPs") | (_, "hostAliases") => "ip",
        (_, "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets") => "name",
        (_, "secrets") => "name",
        (_, "volumeMounts") => "mountPath",
        (_, "volumeDevices") => "devicePath",
        (_, "topologySpreadConstraints") => "topologyKey",
        ("spec", "ports") => "port",
        (_, "ports") if above != "subsets" => "containerPort",
        _ => return None,
    })
}

/// Kubernetes' strategic merge: maps are merged, lists by their keys; `$patch`, `$retainKeys` and
/// `$deleteFromPrimitiveList` as far as kubectl writes them.
pub fn strategic(target: &mut Value, patch: &Value, above: &str) -> Result<(), Refusal> {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let rest = patch.iter().filter(|(k, _)| *k != "$patch");
            *target = Value::Object(rest.map(|(k, v)| (k.clone(), v.clone())).collect());
            return Ok(());
        }
        Some("delete") => {
            *target = json!({});
            return Ok(());
        }
        _ => {}
    }
    if !target.is_object() {
        *target = json!({});
    }
    let Some(map) = target.as_object_mut() else { return Ok(()) };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| keep.iter().any(|k| k == key));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(list) = map.get_mut(field).and_then(Value::as_array_mut) {
                list.retain(|v| !gone.contains(v));
            }
        } else if key.starts_with('$') {
            continue;
        } else if value.is_null() {
            map.shift_remove(key);
        } else if let (Some(by), Value::Array(items)) = (merge_key(above, key), value) {
            let list = map.entry(key.clone()).or_insert_with(|| json!([]));
            by_key(list, items, by, key)?;
        } else {
            strategic(map.entry(key.clone()).or_insert(Value::Null), value, key)?;
        }
    }
    Ok(())
}

fn by_key(list: &mut Value, items: &[Value], by: &str, field: &str) -> Result<(), Refusal> {
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return Ok(()) };
    if items.iter().any(|i| text(i, "/$patch") == "replace") {
        list.clear();
    }
    for item in items {
        if by.is_empty() {
            if !list.contains(item) {
                list.push(item.clone());
            }
            continue;
        }
        if text(item, "/$patch") == "replace" {
            continue;
        }
        let id = item.get(by).ok_or_else(|| {
            let why = format!("map: {item} does not contain declared merge key: {by}");
            Refusal::new(500, "InternalError", why)
        })?;
        let place = list.iter().position(|old| old.get(by) == Some(id));
        match (text(item, "/$patch"), place) {
            ("delete", Some(place)) => drop(list.remove(place)),
            ("delete", None) => {}
            (_, Some(place)) => strategic(&mut list[place], item, field)?,
            (_, None) => {
                let mut new = json!({});
                strategic(&mut new, item, field)?;
                list.push(new);
            }
        }
    }
    Ok(())
}
