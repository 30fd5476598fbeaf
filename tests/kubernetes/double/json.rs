//! Short ways to read and write objects as JSON.

use serde_json::{Map, Value};

/// What is at a JSON pointer; null if nothing.
pub fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// Text at a pointer; empty if there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// A number at a pointer; 0 if there is none.
pub fn int(value: &Value, pointer: &str) -> i64 {
    at(value, pointer).as_i64().unwrap_or_default()
}

/// A list at a pointer; empty if there is none.
pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Is it there, and more than null?
pub fn has(value: &Value, pointer: &str) -> bool {
    !at(value, pointer).is_null()
}

pub fn name(value: &Value) -> &str {
    text(value, "/metadata/name")
}

pub fn namespace(value: &Value) -> &str {
    text(value, "/metadata/namespace")
}

pub fn uid(value: &Value) -> &str {
    text(value, "/metadata/uid")
}

/// Is somebody deleting it?
pub fn ending(value: &Value) -> bool {
    has(value, "/metadata/deletionTimestamp")
}

pub fn label<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    at(value, "/metadata/labels").get(key)?.as_str()
}

pub fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    at(value, "/metadata/annotations").get(key)?.as_str()
}

/// Writes a value, making maps on the way.
pub fn set(value: &mut Value, path: &[&str], what: impl Into<Value>) {
    let Some((last, way)) = path.split_last() else { return };
    let mut here = value;
    for key in way {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Some(map) = here.as_object_mut() else { return };
        here = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    if !here.is_object() {
        *here = Value::Object(Map::new());
    }
    if let Some(map) = here.as_object_mut() {
        map.insert((*last).to_owned(), what.into());
    }
}

/// Takes a value away; what it was.
pub fn take(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    let mut here = value;
    for key in way {
        here = here.get_mut(*key)?;
    }
    here.as_object_mut()?.remove(*last)
}

/// Writes a value only where none is.
pub fn default(value: &mut Value, path: &[&str], what: impl Into<Value>) {
    let pointer: String = path.iter().map(|p| format!("/{p}")).collect();
    if !has(value, &pointer) {
        set(value, path, what);
    }
}

/// The condition of a type: its status, empty if there is none.
pub fn condition<'a>(value: &'a Value, kind: &str) -> &'a str {
    items(value, "/status/conditions").iter().find(|c| text(c, "/type") == kind).map_or("", |c| text(c, "/status"))
}

/// The owner that controls it: kind, name, uid.
pub fn controller(value: &Value) -> Option<(&str, &str, &str)> {
    let owner =
        items(value, "/metadata/ownerReferences").iter().find(|o| at(o, "/controller") == &Value::Bool(true))?;
    Some((text(owner, "/kind"), text(owner, "/name"), text(owner, "/uid")))
}

/// Is a pod ready, and does it stay?
pub fn ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

/// Does a pod still count: neither ended nor being deleted?
pub fn active(pod: &Value) -> bool {
    !ending(pod) && !["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
}

/// Now, as objects say it.
pub fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// So many seconds from now.
pub fn soon(seconds: i64) -> String {
    (chrono::Utc::now() + chrono::Duration::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Seconds since a time that an object says.
pub fn since(time: &str) -> Option<i64> {
    let then = chrono::DateTime::parse_from_rfc3339(time).ok()?;
    Some((chrono::Utc::now() - then.with_timezone(&chrono::Utc)).num_seconds())
}
