//! What faults on ConfigMaps and Secrets share: a copy of the original in an object of the same kind, made before anything
//! else and never overwritten, and the way back from it. No byte of the contents is in `Undo`, in an error or in a line for
//! people: only a digest is.

use super::{Held, Home, Now, home, kubectl, mark, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, ClusterError, Deletion, Kind, Object, Scope, Write};
use crate::faults::{Cx, FaultError, Look, word};
use crate::model::{Resource, Right, TargetRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The key in the copy under which everything but the data stands.
const REST: &str = "blackstart.original.json";
/// On a copy: the name of what it is a copy of.
const OF: &str = "blackstart.dev/of";
/// Where data stands in an object.
pub(super) const PARTS: [&str; 2] = ["data", "binaryData"];

/// An object, and where its copy stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The very object.
    pub held: Held,
    /// The name of its copy, in the same namespace.
    pub copy: String,
    /// SHA-256 of all that is put back, hex.
    pub digest: String,
}

/// What heals a fault on configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// The objects.
    pub objects: Vec<Kept>,
}

/// What changing configuration needs; `verbs` are those for the object itself.
pub(super) fn rights(target: &TargetRef, verbs: &[&str]) -> Vec<Right> {
    let mut all = vec!["get", "list", "create", "patch", "delete"];
    all.retain(|verb| verbs.contains(verb) || ["get", "list", "create", "delete"].contains(verb));
    Right::each(target, &Resource::Itself(None), &all)
}

/// Everything of an object that is put back: what the server has made of it is not.
pub(super) fn original(object: &Object) -> Value {
    let mut kept = object.0.as_object().cloned().unwrap_or_default();
    kept.shift_remove("status");
    if let Some(metadata) = kept.get_mut("metadata").and_then(Value::as_object_mut) {
        let wanted = ["name", "namespace", "labels", "annotations", "ownerReferences", "finalizers"];
        metadata.retain(|key, value| wanted.contains(&key.as_str()) && !empty(value));
    }
    kept.retain(|key, value| !(PARTS.contains(&key.as_str()) && empty(value)));
    kept.retain(|key, value| !(key == "immutable" && *value == Value::Bool(false)));
    let mut kept = Value::Object(kept);
    without_given(&mut kept);
    kept
}

/// Takes away what a server gives to one object and refuses in the next.
fn without_given(object: &mut Value) {
    let (kind, mut spec) = (object["kind"].as_str().unwrap_or_default().to_owned(), Value::Null);
    if let Some(found) = object.get_mut("spec") {
        spec = found.take();
    }
    match (&*kind, spec.as_object_mut()) {
        ("Pod", Some(pod)) => {
            pod.shift_remove("nodeName");
            pod.shift_remove("ephemeralContainers");
        }
        ("Job", Some(job)) if job.get("manualSelector") != Some(&Value::Bool(true)) => {
            job.shift_remove("selector");
            let labels = spec.pointer_mut("/template/metadata/labels").and_then(Value::as_object_mut);
            if let Some(labels) = labels {
                labels.retain(|key, _| !key.ends_with("controller-uid") && !key.ends_with("job-name"));
            }
        }
        _ => {}
    }
    if !spec.is_null() {
        object["spec"] = spec;
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// With the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter().map(|key| (key.clone(), sorted(&map[key]))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// SHA-256 of a value, whatever the order of its keys, hex.
pub(super) fn digest(value: &Value) -> String {
    Sha256::digest(sorted(value).to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_secret(kind: &str) -> bool {
    kind == "Secret"
}

/// A ConfigMap or a Secret: its data can stand in a copy as it is.
fn is_config(kind: &str) -> bool {
    kind == "ConfigMap" || is_secret(kind)
}

/// The copy of an original: a Secret of a Secret, else a ConfigMap; the data of those two as it is, the rest under a key
/// of its own.
fn copy(original: &Value, name: &str, tag: &str) -> Value {
    let (mut rest, kind) = (original.clone(), original["kind"].as_str().unwrap_or_default());
    let mut copy = json!({
        "apiVersion": "v1",
        "kind": if is_secret(kind) { "Secret" } else { "ConfigMap" },
        "metadata": {
            "name": name,
            "namespace": original["metadata"]["namespace"],
            "labels": mark::labels(tag, "backup"),
            "annotations": {OF: original["metadata"]["name"]},
        },
    });
    for part in PARTS.into_iter().filter(|_| is_config(kind)) {
        if let Some(data) = rest.as_object_mut().and_then(|rest| rest.shift_remove(part)) {
            copy[part] = data;
        }
    }
    let text = rest.to_string();
    copy["data"][REST] = if is_secret(kind) { STANDARD.encode(text).into() } else { text.into() };
    copy
}

/// The original of a copy; none if it is not a whole one.
fn of_copy(copy: &Object) -> Option<Value> {
    let text = copy.0.get("data")?.get(REST)?.as_str()?;
    let text = match is_secret(copy.text("/kind")) {
        true => String::from_utf8(STANDARD.decode(text).ok()?).ok()?,
        false => text.to_owned(),
    };
    let mut original: Value = serde_json::from_str(&text).ok()?;
    if !original["kind"].as_str().is_some_and(is_config) {
        return Some(original);
    }
    for part in PARTS {
        let mut data = copy.0.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        data.shift_remove(REST);
        if !data.is_empty() {
            original.as_object_mut()?.insert(part.to_owned(), data.into());
        }
    }
    Some(original)
}

/// The objects of a target and what they are now; it is an error if one is neither ConfigMap nor Secret.
pub(super) async fn prepare(target: &TargetRef, cx: &Cx<'_>) -> Result<(Undo, Vec<Value>), FaultError> {
    let (mut kept, mut originals) = (Vec::new(), Vec::new());
    for held in objects(target, cx).await? {
        if !held.kind.group.is_empty() || !is_config(&held.kind.kind) {
            let why = format!("{} of `{}` is neither a ConfigMap nor a Secret", held.at(), target.name());
            return Err(FaultError::Reference(why));
        }
        let (one, original) = Kept::of(held, kept.len() + 1, cx).await?;
        kept.push(one);
        originals.push(original);
    }
    Ok((Undo { home: home(target, cx).await?, objects: kept }, originals))
}

impl Kept {
    /// An object as it is now, and where its copy will stand; it is an error if it is gone or under another fault.
    pub(super) async fn of(held: Held, number: usize, cx: &Cx<'_>) -> Result<(Self, Value), FaultError> {
        let (at, tag) = (held.at(), cx.owner.tag());
        let Now::Same(object) = held.now(cx).await? else {
            return Err(FaultError::NothingToBreak(format!("{at} is gone")));
        };
        mark::free(&object, &at)?;
        if object.ending() {
            return Err(FaultError::NothingToBreak(format!("{at} is being removed by somebody")));
        }
        let original = original(&object);
        Ok((Self { copy: format!("{}-{number}", mark::record(&tag)), digest: digest(&original), held }, original))
    }

    fn copy_kind(&self) -> Kind {
        let (kind, plural) = match is_secret(&self.held.kind.kind) {
            true => ("Secret", "secrets"),
            false => ("ConfigMap", "configmaps"),
        };
        Kind::of("", "v1", kind, plural, Scope::Namespaced)
    }

    fn copy_at(&self) -> At {
        self.copy_kind().at(self.held.object.namespace.as_deref(), &self.copy)
    }

    /// The copy as it is now; that one of its name belongs to another is an error.
    async fn copy_now(&self, cx: &Cx<'_>) -> Result<Option<Object>, FaultError> {
        let found = self.held.cluster(cx).await?.get(&self.copy_at()).await?;
        match found {
            Some(copy) if mark::of(&copy, &cx.owner.tag()) != mark::Mark::Ours => {
                Err(refused(format!("{} is not ours: it lacks our label", self.copy_at())))
            }
            found => Ok(found),
        }
    }

    /// The original from its copy; none if there is no copy.
    pub(super) async fn original(&self, cx: &Cx<'_>) -> Result<Option<Value>, FaultError> {
        let Some(copy) = self.copy_now(cx).await? else { return Ok(None) };
        match of_copy(&copy).filter(|original| digest(original) == self.digest) {
            Some(original) => Ok(Some(original)),
            None => Err(refused(format!("{} does not hold what was before any more", self.copy_at()))),
        }
    }

    /// Makes the copy before the first change, and gives the original from it. It is an error if the object is not what
    /// the drill has looked at.
    pub(super) async fn keep(&self, cx: &Cx<'_>) -> Result<Value, FaultError> {
        if let Some(original) = self.original(cx).await? {
            return Ok(original);
        }
        let at = self.held.at();
        let Now::Same(object) = self.held.now(cx).await? else {
            return Err(AdapterError::Missing(format!("{at} is gone or was replaced")).into());
        };
        let original = original(&object);
        self.unchanged(&original)?;
        let (cluster, tag) = (self.held.cluster(cx).await?, cx.owner.tag());
        let copy = copy(&original, &self.copy, &tag);
        match cluster.create(&self.copy_kind(), self.held.object.namespace.as_deref(), &copy, Write::Real).await {
            Ok(_) => Ok(original),
            // By a call whose answer was lost; whether it is whole is looked at.
            Err(ClusterError::Exists(why)) => self.original(cx).await?.ok_or_else(|| refused(why)),
            Err(error) => Err(error.into()),
        }
    }

    fn unchanged(&self, now: &Value) -> Result<(), FaultError> {
        if digest(now) == self.digest {
            return Ok(());
        }
        Err(refused(format!("{} was changed by somebody since the drill looked", self.held.at())))
    }

    /// Marks the object and changes it with the same patch, if it is still what the copy holds.
    pub(super) async fn change(&self, how: &Value, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        let patch = |now: &Object| {
            if mark::of(now, &tag) == mark::Mark::None {
                self.unchanged(&original(now))?;
            }
            Ok(how.clone())
        };
        mark::change(&self.held, &tag, write, cx, patch).await.map(drop)
    }

    /// Tries, without doing it, whether the copy can be made.
    pub(super) async fn rehearse_copy(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Now::Same(object) = self.held.now(cx).await? else { return Ok(()) };
        let copy = copy(&original(&object), &self.copy, &cx.owner.tag());
        let namespace = self.held.object.namespace.as_deref();
        self.held.cluster(cx).await?.create(&self.copy_kind(), namespace, &copy, Write::Dry).await?;
        Ok(())
    }

    /// Makes the object again from its copy, if nothing of its name is there; what somebody has made meanwhile stays.
    pub(super) async fn make_again(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(original) = self.original(cx).await? else {
            let why = format!("{} is gone, and there is no copy of it", self.held.at());
            return Err(AdapterError::Missing(why).into());
        };
        let (cluster, namespace) = (self.held.cluster(cx).await?, self.held.object.namespace.as_deref());
        match cluster.create(&self.held.kind, namespace, &original, Write::Real).await {
            Ok(_) | Err(ClusterError::Exists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the copy; that there is none is fine.
    pub(super) async fn forget(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(copy) = self.copy_now(cx).await? else { return Ok(()) };
        let how = Deletion { uid: Some(copy.uid().to_owned()), ..Deletion::default() };
        match self.held.cluster(cx).await?.delete(&self.copy_at(), &how, Write::Real).await {
            Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes our values off an object and puts those of before back; values that somebody has changed meanwhile stay.
    pub(super) async fn put_back(&self, ours: &Value, original: &Value, cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        let back = |now: &Object| {
            let mut patch = json!({});
            for part in PARTS {
                for (key, value) in ours.get(part).and_then(Value::as_object).into_iter().flatten() {
                    let at = |object: &Value| object.get(part).and_then(|data| data.get(key)).cloned();
                    if at(&now.0).as_ref() == Some(value) {
                        patch[part][key] = at(original).unwrap_or(Value::Null);
                    }
                }
            }
            (mark::of(now, &tag) == mark::Mark::Ours).then_some(patch)
        };
        mark::put_back(&self.held, &tag, cx, back).await.map(drop)
    }

    /// Is the object as it was, with no mark of ours on it, and its copy removed? One that somebody has changed
    /// meanwhile is left as it is, and named.
    pub(super) async fn is_back(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let at = self.held.at();
        let (Now::Same(object) | Now::Replaced(object)) = self.held.now(cx).await? else {
            return Ok(Look { holds: false, detail: format!("{at} is not there") });
        };
        if mark::of(&object, &cx.owner.tag()) == mark::Mark::Ours {
            return Ok(Look { holds: false, detail: format!("{at} carries our change") });
        }
        if object.ending() {
            return Ok(Look { holds: false, detail: format!("{at} is being removed") });
        }
        if self.copy_now(cx).await?.is_some() {
            return Ok(Look { holds: false, detail: format!("the copy {} is still there", self.copy_at()) });
        }
        let new = object.uid() != self.held.object.uid;
        let detail = match (digest(&original(&object)) == self.digest, new) {
            (true, false) => format!("{at} is as it was"),
            (true, true) => format!("{at} is as it was, with a new uid"),
            (false, _) => format!("{at} is there, and somebody has changed or made it meanwhile: left as it is"),
        };
        Ok(Look { holds: true, detail })
    }

    /// Puts the copy's original back in place of what is there, and removes the copy; `verb` is `create` or `replace`.
    pub(super) fn by_hand(&self, verb: &str) -> String {
        let (kind, copy) = (self.copy_kind().kind.to_lowercase(), word(&self.copy));
        let decode = if is_secret(&self.held.kind.kind) { " | @base64d" } else { "" };
        let data = match is_config(&self.held.kind.kind) {
            true => {
                format!(" + {{data: (.data | del(.[\"{REST}\"])), binaryData}} | with_entries(select(.value != null))")
            }
            false => String::new(),
        };
        let filter = format!("(.data[\"{REST}\"]{decode} | fromjson){data}");
        let read = kubectl::at(&self.held, &format!("get {kind} {copy} -o json"));
        let write = kubectl::at(&self.held, &format!("{verb} -f -"));
        let remove = kubectl::at(&self.held, &format!("delete {kind} {copy}"));
        format!("{read} | jq {} | {write} && {remove}", word(&filter))
    }
}

impl Undo {
    /// Are all as they were?
    pub(super) async fn healed(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for kept in &self.objects {
            looks.push(kept.is_back(cx).await?);
        }
        Ok(together(looks))
    }

    /// The lines for people.
    pub(super) fn by_hand(&self, verb: &str) -> String {
        self.objects.iter().map(|kept| kept.by_hand(verb)).collect::<Vec<_>>().join("; ")
    }

    /// For people.
    pub(super) fn touched(&self) -> Vec<String> {
        self.objects.iter().map(|kept| kubectl::shown(&kept.held.object)).collect()
    }
}

/// One look from several: all must hold.
pub(super) fn together(looks: Vec<Look>) -> Look {
    let holds = looks.iter().all(|look| look.holds);
    let details: Vec<String> = looks.into_iter().map(|look| look.detail).collect();
    Look { holds, detail: details.join(", ") }
}

pub(super) fn refused(why: String) -> FaultError {
    AdapterError::Refused(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Object {
        Object(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "immutable": true,
            "metadata": {
                "name": "tls", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "managedFields": [{}],
                "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "b"}, "annotations": {},
                "ownerReferences": [{"uid": "o1"}],
            },
            "data": {"tls.key": "c2VjcmV0"},
        }))
    }

    #[test]
    fn a_copy_holds_all_of_the_original_and_is_no_secret_of_its_type() {
        let original = original(&secret());
        assert_eq!(
            original["metadata"],
            json!({
                "name": "tls", "namespace": "shop", "labels": {"a": "b"}, "ownerReferences": [{"uid": "o1"}],
            })
        );
        let copy = copy(&original, "blackstart-bs-1-1", "bs-1");
        assert_eq!((&copy["kind"], copy.get("type")), (&json!("Secret"), None));
        assert_eq!(of_copy(&Object(copy.clone())).as_ref(), Some(&original));
        assert_eq!(copy["data"]["tls.key"], "c2VjcmV0");
        let mut config = original.clone();
        config["kind"] = "ConfigMap".into();
        config["binaryData"] = json!({"x": "AAE="});
        let copied = super::copy(&config, "c", "bs-1");
        assert_eq!(of_copy(&Object(copied)), Some(config));
    }

    #[test]
    fn one_without_data_and_a_copy_that_is_none() {
        let bare = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}});
        assert_eq!(of_copy(&Object(copy(&bare, "c", "t"))), Some(bare));
        assert_eq!(of_copy(&Object(json!({"kind": "ConfigMap", "data": {REST: "no JSON"}}))), None);
        assert_eq!(of_copy(&Object(json!({"kind": "Secret", "data": {REST: "%"}}))), None);
    }

    #[test]
    fn the_digest_knows_no_order() {
        assert_eq!(
            digest(&json!({"a": 1, "b": {"c": [1], "d": 2}})),
            digest(&json!({"b": {"d": 2, "c": [1]}, "a": 1}))
        );
        assert_ne!(digest(&json!({"a": 1})), digest(&json!({"a": 2})));
    }
}
