//! An object of a cluster as its API shows it, and the parts of its metadata that everybody asks for.

use super::{At, Kind};
use crate::model::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An object: JSON with `apiVersion`, `kind` and `metadata`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Value);

/// Who owns an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// `ReplicaSet`
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Object {
    /// The text at a JSON pointer; empty if there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The whole number at a JSON pointer.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(Value::as_i64)
    }

    /// The list at a JSON pointer; empty if there is none.
    #[must_use]
    pub fn items(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(self.text("/metadata/namespace")).filter(|name| !name.is_empty())
    }

    /// Its uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// The version of this object, opaque.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// Is it on its way out?
    #[must_use]
    pub fn ending(&self) -> bool {
        !self.text("/metadata/deletionTimestamp").is_empty()
    }

    /// A label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    /// An annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.0.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// All its labels.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.0.pointer("/metadata/labels").and_then(Value::as_object);
        let one = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        labels.into_iter().flatten().filter_map(one).collect()
    }

    /// Who owns it.
    #[must_use]
    pub fn owners(&self) -> Vec<Owned> {
        let one = |owner: &Value| serde_json::from_value(owner.clone()).ok();
        self.items("/metadata/ownerReferences").iter().filter_map(one).collect()
    }

    /// Does the condition of this type say `True`? None if it is not there.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<bool> {
        let all = self.items("/status/conditions");
        let found = all.iter().find(|one| one.get("type").and_then(Value::as_str) == Some(name))?;
        Some(found.get("status").and_then(Value::as_str) == Some("True"))
    }

    /// Pinned: this very one.
    #[must_use]
    pub fn reference(&self, kind: &Kind) -> ObjectRef {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ObjectRef {
            api: kind.api(),
            kind: kind.kind.clone(),
            namespace: self.namespace().map(str::to_owned),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            node: some(self.text("/spec/nodeName")),
            zone: self.label("topology.kubernetes.io/zone").map(str::to_owned),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self, kind: &Kind) -> At {
        kind.at(self.namespace(), self.name())
    }
}
