//! What a drill may name of a Kubernetes cluster: objects as a playbook says them, objects pinned by uid, and the rights
//! that something needs there. How a cluster is asked is `adapters`' business.

use super::{TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Objects of a Kubernetes cluster. Everything that is given must fit; at least one of `name`, `labels`, `fields`, `owner`,
/// `zone` and `region` says which.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesTarget {
    /// What they are, as `kubectl` takes it: `pod`, `deployment`, `node`, `networkchaos.chaos-mesh.org`; `pod` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Template>,
    /// The namespace; the context's own if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Template>,
    /// One, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Template>,
    /// A label selector: `app=web,tier in (front,back)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Template>,
    /// A field selector: `status.phase=Running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Template>,
    /// Only what this one owns, directly or by what it owns: `deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Template>,
    /// Only nodes of this zone (`topology.kubernetes.io/zone`), and pods on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Template>,
    /// Only nodes of this region (`topology.kubernetes.io/region`), and pods on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Template>,
    /// The kubeconfig; `KUBECONFIG`, `~/.kube/config` or the pod's own account if not given. A relative path starts from
    /// the playbook's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<Template>,
    /// The context in it; the current one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Template>,
    /// The namespace in which the drill keeps its Lease and what heals its faults; `namespace` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Template>,
}

/// An object that cannot be mistaken for another of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Group and version, `apps/v1`; `v1` for the core.
    pub api: String,
    /// `Deployment`
    pub kind: String,
    /// Its namespace; none for what belongs to the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node that it is on, for a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its zone, or its node's, where labels say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl std::fmt::Display for ObjectRef {
    /// For people: `pod shop/web-1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.to_lowercase();
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{}", self.name),
            None => write!(f, "{kind} {}", self.name),
        }
    }
}

/// What something needs to be allowed to do on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Right {
    /// In the cluster and namespace of this target.
    pub target: TargetName,
    /// What it is done to.
    pub resource: Resource,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
}

/// A target by name: a drill's targets may be in several clusters.
pub type TargetName = String;

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The target's own kind, or a part of it (`scale`, `eviction`, …).
    Itself(Option<String>),
    /// A resource by group (empty for the core) and plural, with `/part` if need be, in the target's namespace.
    Namespaced(String, String),
    /// The same where objects belong to the whole cluster, or in every namespace.
    Everywhere(String, String),
    /// In the namespace in which the drill keeps its Lease and what heals its faults.
    Home(String, String),
}

impl Right {
    /// Several verbs on one thing.
    #[must_use]
    pub fn each(target: &TargetRef, resource: &Resource, verbs: &[&str]) -> Vec<Self> {
        let one = |verb: &&str| Self {
            target: target.name().to_owned(),
            resource: resource.clone(),
            verb: (*verb).to_owned(),
        };
        verbs.iter().map(one).collect()
    }
}
