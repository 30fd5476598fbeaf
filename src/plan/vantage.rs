//! Where clients are when they are not in the runner: as planned. Who may stand where is in `allow`.

use super::Drill;
use crate::model::{ObjectRef, PinnedTarget, Template, VantagePod, WorkloadName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the clients of a workload are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VantagePlan {
    /// The place.
    pub name: String,
    /// The workload as the playbook calls it.
    pub of: WorkloadName,
    /// Its network namespace; the runner's own if none.
    pub namespace: Option<Template>,
    /// The pod that it is; none for a process beside the runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<VantagePod>,
}

/// Where the pod of a vantage is to be, and what is said of that place.
#[derive(Debug, Clone, Copy)]
pub struct PodPlace<'a> {
    /// The context that leads there; empty for the account of the runner's own pod.
    pub context: &'a str,
    /// The API server's URL.
    pub server: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// What the namespace's label `blackstart` says.
    pub label: Option<&'a str>,
}

impl Drill {
    /// May clients stand in this network namespace, found under this name? What the drill's own staging says it made is
    /// the drill's own.
    ///
    /// # Errors
    /// When they may not, with what to write.
    pub fn allows_vantage(&self, vantage: &VantagePlan, namespace: &str) -> Result<(), String> {
        let written = vantage.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
        if self.staging.is_some() && written.contains("${staging.") {
            return Ok(());
        }
        let fields = BTreeMap::from([("namespace".to_owned(), namespace.to_owned())]);
        let name = format!("vantage {}", vantage.name);
        self.allows(&PinnedTarget { name, kind: "network".to_owned(), fields, ..PinnedTarget::default() }, &[])
    }

    /// May a pod for clients be made there? It is as good as a target of the drill: an object in that namespace.
    ///
    /// # Errors
    /// When it may not, with what to write.
    pub fn allows_pod(&self, vantage: &VantagePlan, place: PodPlace<'_>) -> Result<(), String> {
        let mut fields = BTreeMap::from(
            [("kind", "pod"), ("context", place.context), ("server", place.server), ("namespace", place.namespace)]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        fields.extend(place.label.map(|label| ("label.blackstart".to_owned(), label.to_owned())));
        let object = ObjectRef {
            api: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: Some(place.namespace.to_owned()),
            name: vantage.name.clone(),
            uid: String::new(),
            node: None,
            zone: None,
        };
        let (name, kind) = (format!("vantage {}", vantage.name), "kubernetes".to_owned());
        self.allows(&PinnedTarget { name, kind, fields, objects: vec![object], ..PinnedTarget::default() }, &[])
    }
}
