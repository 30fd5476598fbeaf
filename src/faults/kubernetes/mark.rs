//! Changes of ours on objects of other people: what is changed and whose change it is go there in one patch, and leave
//! it in one patch. Each holds only for the very version that was looked at, so that nobody's change is overwritten; if
//! somebody was faster, it is looked at again and decided anew.

use super::{Held, Now, OWNER_LABEL, RECORD_LABEL, UNDO_ANNOTATION};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, Cluster, ClusterError, Object, Patch, Write};
use crate::faults::{Cx, FaultError};
use serde_json::{Value, json};

/// So often something is decided anew, because the object was changed between the look and the patch.
const TRIES: usize = 12;

/// Whose change is on an object?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Nobody's.
    None,
    /// That of the owner who asks.
    Ours,
    /// That of another fault, by its tag.
    Other(String),
}

/// What became of putting something back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// There was a change of ours, and it is taken off.
    Done,
    /// There was nothing of ours.
    Nothing,
    /// The object is gone.
    Gone,
}

/// Whose change is on an object, as this owner sees it.
#[must_use]
pub fn of(object: &Object, tag: &str) -> Mark {
    match object.label(OWNER_LABEL) {
        None if object.annotation(UNDO_ANNOTATION) == Some(&*record(tag)) => Mark::Ours,
        None => Mark::None,
        Some(owner) if owner == tag => Mark::Ours,
        Some(owner) => Mark::Other(owner.to_owned()),
    }
}

/// The name of the object that holds what heals a fault.
#[must_use]
pub fn record(tag: &str) -> String {
    format!("blackstart-{tag}")
}

/// Labels of an object that is ours as a whole: `what` is `backup` or `helper`.
#[must_use]
pub fn labels(tag: &str, what: &str) -> Value {
    json!({OWNER_LABEL: tag, RECORD_LABEL: what})
}

/// For `prepare`: an object can carry one fault at a time.
///
/// # Errors
/// When one is on it.
pub fn free(object: &Object, at: &At) -> Result<(), FaultError> {
    match object.label(OWNER_LABEL) {
        None => Ok(()),
        Some(owner) => Err(AdapterError::Refused(format!(
            "{at} is under the fault {owner}: one at a time; heal it first (`blackstart recover --from-cluster`)"
        ))
        .into()),
    }
}

/// Changes an object and marks it, in one patch. `how` says what is to be merged into the object as it is now; an empty
/// object for nothing but the mark. It is an error if the object is gone, replaced, or under another fault.
///
/// # Errors
/// As the cluster's; and as `how`'s.
pub async fn change(
    held: &Held,
    tag: &str,
    write: Write,
    cx: &Cx<'_>,
    how: impl Fn(&Object) -> Result<Value, FaultError> + Send,
) -> Result<Object, FaultError> {
    let (cluster, at) = (held.cluster(cx).await?, held.at());
    let mut last = None;
    for _ in 0..TRIES {
        let object = match held.now(cx).await? {
            Now::Same(object) => object,
            Now::Replaced(_) => return Err(refused(format!("{at} was replaced by another of its name"))),
            Now::Gone => return Err(AdapterError::Missing(format!("{at} is gone")).into()),
        };
        if let Mark::Other(owner) = of(&object, tag) {
            return Err(refused(format!("{at} is under the fault {owner}")));
        }
        let ours = json!({"metadata": {
            "labels": {OWNER_LABEL: tag}, "annotations": {UNDO_ANNOTATION: record(tag)},
        }});
        let change = merged(how(&object)?, ours);
        if holds(&object.0, &change) {
            return Ok(object);
        }
        match patch(&*cluster, &at, &object, change, write).await {
            Err(ClusterError::Conflict(why)) => last = Some(why),
            done => return Ok(done?),
        }
    }
    Err(busy(&at, last))
}

/// Takes a change and its mark off an object, in one patch: of the very one, and of one in its place that carries the
/// mark too (it was brought back from a copy). `how` says what puts it back, if what is there is still ours.
///
/// # Errors
/// As the cluster's.
pub async fn put_back(
    held: &Held,
    tag: &str,
    cx: &Cx<'_>,
    how: impl Fn(&Object) -> Option<Value> + Send,
) -> Result<Back, FaultError> {
    let (cluster, at) = (held.cluster(cx).await?, held.at());
    let mut last = None;
    for _ in 0..TRIES {
        let (object, same) = match held.now(cx).await? {
            Now::Same(object) => (object, true),
            Now::Replaced(object) => (object, false),
            Now::Gone => return Ok(Back::Gone),
        };
        let ours = match of(&object, tag) {
            Mark::Ours => true,
            Mark::None => false,
            Mark::Other(_) => return Ok(Back::Nothing),
        };
        let change = how(&object).filter(|_| ours || same);
        if !ours && change.as_ref().is_none_or(|change| holds(&object.0, change)) {
            return Ok(Back::Nothing);
        }
        let off = json!({"metadata": {"labels": {OWNER_LABEL: null}, "annotations": {UNDO_ANNOTATION: null}}});
        let change = merged(change.unwrap_or_else(|| json!({})), off);
        match patch(&*cluster, &at, &object, change, Write::Real).await {
            Ok(_) => return Ok(Back::Done),
            Err(ClusterError::Missing(_)) => return Ok(Back::Gone),
            Err(ClusterError::Conflict(why)) => last = Some(why),
            Err(error) => return Err(error.into()),
        }
    }
    Err(busy(&at, last))
}

/// A merge patch that holds only for this version of this object.
async fn patch(
    cluster: &dyn Cluster,
    at: &At,
    seen: &Object,
    change: Value,
    write: Write,
) -> Result<Object, ClusterError> {
    let pinned = json!({"metadata": {"uid": seen.uid(), "resourceVersion": seen.version()}});
    cluster.patch(at, None, &Patch::Merge(merged(change, pinned)), write).await
}

/// Would this merge patch (RFC 7386) change nothing?
#[must_use]
pub fn holds(object: &Value, change: &Value) -> bool {
    match change {
        Value::Object(fields) if object.is_object() => {
            fields.iter().all(|(key, wanted)| match (object.get(key), wanted) {
                (None, wanted) => nothing(wanted),
                (Some(_), Value::Null) => false,
                (Some(now), wanted) => holds(now, wanted),
            })
        }
        other => object == other,
    }
}

/// Does it only take away, or make empty objects?
fn nothing(change: &Value) -> bool {
    match change {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(nothing),
        _ => false,
    }
}

/// Two merge patches as one; the second wins.
#[must_use]
pub fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            for (key, value) in second {
                let old = first.remove(&key).unwrap_or(Value::Null);
                first.insert(key, merged(old, value));
            }
            Value::Object(first)
        }
        (_, second) => second,
    }
}

fn refused(why: String) -> FaultError {
    AdapterError::Refused(why).into()
}

fn busy(at: &At, last: Option<String>) -> FaultError {
    let why = last.unwrap_or_default();
    refused(format!("{at} was changed by others {TRIES} times between the look and the change: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(labels: Value, annotations: Value) -> Object {
        Object(json!({"metadata": {"name": "web", "labels": labels, "annotations": annotations}}))
    }

    #[test]
    fn a_mark_is_ours_by_its_label_or_what_is_left_of_it() {
        let tag = "bs-0123456789ab";
        assert_eq!(of(&object(json!({}), json!({})), tag), Mark::None);
        assert_eq!(of(&object(json!({OWNER_LABEL: tag}), json!({})), tag), Mark::Ours);
        assert_eq!(of(&object(json!({}), json!({UNDO_ANNOTATION: record(tag)})), tag), Mark::Ours);
        let other = "bs-ba9876543210";
        assert_eq!(of(&object(json!({OWNER_LABEL: other}), json!({})), tag), Mark::Other(other.to_owned()));
        let at = crate::adapters::kubernetes::Kind::known("pod").expect("known").at(Some("shop"), "web");
        assert!(free(&object(json!({}), json!({})), &at).is_ok());
        let said = free(&object(json!({OWNER_LABEL: other}), json!({})), &at).expect_err("taken").to_string();
        assert!(said.starts_with("pod shop/web is under the fault bs-ba9876543210"), "{said}");
    }

    #[test]
    fn a_patch_that_changes_nothing_is_known() {
        let now = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 3, "list": [1]}});
        for (change, expected) in [
            (json!({}), true),
            (json!({"spec": {"replicas": 3}}), true),
            (json!({"spec": {"replicas": 0}}), false),
            (json!({"spec": {"paused": null}}), true),
            (json!({"spec": {"replicas": null}}), false),
            (json!({"metadata": {"labels": {"b": null}, "annotations": {"c": null}}}), true),
            (json!({"metadata": {"annotations": {"c": "1"}}}), false),
            (json!({"spec": {"list": [1, 2]}}), false),
            (json!({"spec": {"replicas": {"x": null}}}), false),
        ] {
            assert_eq!(holds(&now, &change), expected, "{change}");
        }
    }

    #[test]
    fn two_patches_are_one() {
        let first = json!({"spec": {"replicas": 0}, "metadata": {"labels": {"a": null}}});
        let second = json!({"metadata": {"labels": {"b": "2"}, "uid": "u"}});
        let both = json!({"spec": {"replicas": 0}, "metadata": {"labels": {"a": null, "b": "2"}, "uid": "u"}});
        assert_eq!(merged(first, second), both);
    }
}
