//! Where clients are when they are not in the runner, as a playbook says it.

use super::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place that clients can be at: a process of its own on this machine, in a network namespace or not; or a pod of a
/// cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VantageSpec {
    /// The network namespace it is in, a name as `ip netns` has it or a path; the runner's own if not given. The
    /// environment must list it under `namespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Template>,
    /// A pod of a cluster, made for the run. The environment must list its namespace under `kubernetes`, or it must be
    /// labelled `blackstart=allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VantagePod>,
}

/// A pod that clients are in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VantagePod {
    /// The kubeconfig; `KUBECONFIG`, `~/.kube/config` or the pod's own account if not given. A relative path starts from
    /// the playbook's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<Template>,
    /// The context in it; the current one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Template>,
    /// The namespace; the context's own if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Template>,
    /// The image that has this program; the variable `BLACKSTART_IMAGE` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The program in it; `blackstart` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Template>,
    /// Labels of the nodes that it may be on: `{topology.kubernetes.io/zone: eu-1a}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Template>,
    /// The account of the pod, which is there already. It needs no right; the namespace's own if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Template>,
}
