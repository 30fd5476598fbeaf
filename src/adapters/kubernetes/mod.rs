//! Kubernetes clusters as a drill sees them: objects of any kind as JSON, read in pages, changed by server-side apply,
//! patches and deletions with preconditions; and what pods and rights need besides. The seam; the client is in `client`.

use super::{AdapterError, CommandOutput, Fut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

mod access;
mod call;
mod client;
mod discovery;
mod inside;
mod lines;
mod object;
mod opening;
mod pages;
mod status;
mod watch;
mod wire;

pub use object::{Object, Owned};

/// The field manager of everything that we apply.
pub const MANAGER: &str = "blackstart";
/// So many objects are asked for at once.
pub const PAGE: u32 = 500;

/// How a cluster is found: nothing for `KUBECONFIG`, `~/.kube/config`, or the account of the pod that this runs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Access {
    /// The kubeconfig, an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; its current one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Why a cluster did not do it. The text names object and operation and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClusterError {
    /// There is no such object, kind or namespace (404).
    #[error("{0}")]
    Missing(String),
    /// One of that name is there already (409, `AlreadyExists`).
    #[error("{0}")]
    Exists(String),
    /// It is not as it was when it was read, is another object by uid, or another manager owns the field (409, `Conflict`).
    #[error("{0}")]
    Conflict(String),
    /// A disruption budget does not allow the eviction now, or the server asks to come later (429).
    #[error("{0}")]
    Blocked(String),
    /// It is not allowed (401, 403).
    #[error("{0}")]
    Forbidden(String),
    /// The server does not take such an object or request (400, 405, 415, 422).
    #[error("{0}")]
    Invalid(String),
    /// The version that was asked from is too old (410).
    #[error("{0}")]
    Gone(String),
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// No answer within the limit: nobody knows whether it was done.
    #[error("{0}")]
    TimedOut(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<ClusterError> for AdapterError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Missing(why) => Self::Missing(why),
            ClusterError::Exists(why)
            | ClusterError::Conflict(why)
            | ClusterError::Blocked(why)
            | ClusterError::Forbidden(why)
            | ClusterError::Invalid(why) => Self::Refused(why),
            ClusterError::Unreachable(why) => Self::Unreachable(why),
            ClusterError::TimedOut(why) => Self::TimedOut(why),
            ClusterError::Gone(why) | ClusterError::Other(why) => Self::Other(why),
        }
    }
}

/// Are there many of them, one in each namespace, or one in all?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// Of the whole cluster.
    Cluster,
}

/// A kind of objects as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// The API group; empty for the core.
    pub group: String,
    /// Its version, `v1`.
    pub version: String,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    /// Where its objects are.
    pub scope: Scope,
}

impl Kind {
    /// A kind by its parts.
    #[must_use]
    pub fn of(group: &str, version: &str, kind: &str, plural: &str, scope: Scope) -> Self {
        let [group, version, kind, plural] = [group, version, kind, plural].map(str::to_owned);
        Self { group, version, kind, plural, scope }
    }

    /// Those whose API is the same in every version: `pod`, `node`, `namespace`, `configmap`, `secret`, `service`,
    /// `endpoints`, `event`, `persistentvolumeclaim`, `deployment`, `replicaset`, `statefulset`, `daemonset`, `job`, `lease`,
    /// `networkpolicy`. Others are found by [`Cluster::kind`].
    #[must_use]
    pub fn known(name: &str) -> Option<Self> {
        use Scope::{Cluster, Namespaced};
        let (group, kind, plural, scope) = match name {
            "pod" => ("", "Pod", "pods", Namespaced),
            "node" => ("", "Node", "nodes", Cluster),
            "namespace" => ("", "Namespace", "namespaces", Cluster),
            "configmap" => ("", "ConfigMap", "configmaps", Namespaced),
            "secret" => ("", "Secret", "secrets", Namespaced),
            "service" => ("", "Service", "services", Namespaced),
            "endpoints" => ("", "Endpoints", "endpoints", Namespaced),
            "event" => ("", "Event", "events", Namespaced),
            "persistentvolumeclaim" => ("", "PersistentVolumeClaim", "persistentvolumeclaims", Namespaced),
            "deployment" => ("apps", "Deployment", "deployments", Namespaced),
            "replicaset" => ("apps", "ReplicaSet", "replicasets", Namespaced),
            "statefulset" => ("apps", "StatefulSet", "statefulsets", Namespaced),
            "daemonset" => ("apps", "DaemonSet", "daemonsets", Namespaced),
            "job" => ("batch", "Job", "jobs", Namespaced),
            "lease" => ("coordination.k8s.io", "Lease", "leases", Namespaced),
            "networkpolicy" => ("networking.k8s.io", "NetworkPolicy", "networkpolicies", Namespaced),
            _ => return None,
        };
        Some(Self::of(group, "v1", kind, plural, scope))
    }

    /// Group and version, as `apiVersion` has it.
    #[must_use]
    pub fn api(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// An object of it by name.
    #[must_use]
    pub fn at(&self, namespace: Option<&str>, name: &str) -> At {
        let namespace = namespace.filter(|_| self.scope == Scope::Namespaced).map(str::to_owned);
        At { kind: self.clone(), namespace, name: name.to_owned() }
    }
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct At {
    /// What it is.
    pub kind: Kind,
    /// Its namespace; none for what belongs to the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for At {
    /// For people: `deployment shop/web`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.kind.to_lowercase();
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{}", self.name),
            None => write!(f, "{kind} {}", self.name),
        }
    }
}

/// Which objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What they are.
    pub kind: Kind,
    /// In this namespace; in all if none.
    pub namespace: Option<String>,
    /// A label selector; empty for all.
    pub labels: String,
    /// A field selector; empty for all.
    pub fields: String,
}

/// Is it done, or only tried by the server (`dryRun=All`)?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// It is done.
    Real,
    /// The server says what it would do, and does not.
    Dry,
}

/// A change of a part of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 7386. `metadata.uid` and `metadata.resourceVersion` in it are preconditions.
    Merge(Value),
    /// RFC 6902; `test` operations are preconditions.
    Json(Value),
    /// Kubernetes' own, for built-in kinds: lists are merged by their keys.
    Strategic(Value),
}

/// Who applies something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applier {
    /// The field manager.
    pub manager: String,
    /// What becomes of fields that another manager owns.
    pub conflicts: Conflicts,
}

/// What becomes of fields that another manager owns and that are to be something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Nothing: it is `Conflict`.
    Report,
    /// They are taken from it. Only a person can want that.
    TakeOver,
}

/// How something is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deletion {
    /// Only exactly this one.
    pub uid: Option<String>,
    /// Seconds that it has to end; its own if none.
    pub grace: Option<u32>,
    /// What becomes of what it owns; the kind's default if none.
    pub propagation: Option<Propagation>,
}

/// What becomes of what a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// It stays.
    Orphan,
    /// It goes after it.
    Background,
    /// It goes before it.
    Foreground,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; the only one if none.
    pub container: Option<String>,
}

/// A question whether this account may do something (SelfSubjectAccessReview).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct May {
    /// `get`, `list`, …
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// A part of it: `scale`, `eviction`, `exec`, `log`.
    pub part: Option<String>,
    /// In this namespace; in all, or of the whole cluster, if none.
    pub namespace: Option<String>,
    /// Only this one.
    pub name: Option<String>,
}

/// What a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The API server's URL, without a login.
    pub server: String,
    /// Its version, `1.33`; major and minor. Zeros if it does not say.
    pub version: (u32, u32),
    /// The namespace where nothing else is said.
    pub namespace: String,
}

/// A change that was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is there, or is as this now.
    Is(Object),
    /// It is gone; as it was last.
    Gone(Object),
}

/// Shall more be looked at?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    On,
    /// That was enough.
    Enough,
}

/// A byte stream to a port of a pod.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Where clusters are found.
pub trait Clusters: Send + Sync {
    /// A cluster that answers; the same one is opened once.
    fn open<'a>(&'a self, access: &'a Access) -> Fut<'a, Result<Arc<dyn Cluster>, ClusterError>>;
}

/// A cluster. Every call ends within its own limit (10 s if it takes none).
pub trait Cluster: Send + Sync {
    /// What it is.
    fn facts(&self) -> Facts;
    /// The context of the kubeconfig that leads to it; none for the account of the pod that this runs in.
    fn context(&self) -> Option<String> {
        None
    }
    /// A kind by what `kubectl` takes: `po`, `pods`, `Deployment`, `deployments.apps`, `networkchaos.v1alpha1.chaos-mesh.org`.
    fn kind<'a>(&'a self, name: &'a str) -> Fut<'a, Result<Kind, ClusterError>>;
    /// An object as it is now; none if there is none.
    fn get<'a>(&'a self, at: &'a At) -> Fut<'a, Result<Option<Object>, ClusterError>>;
    /// Hands each object on, page by page, never more than a page in memory; the version that the list is of.
    fn list<'a>(
        &'a self,
        query: &'a Query,
        each: &'a mut (dyn FnMut(Object) -> Flow + Send),
    ) -> Fut<'a, Result<String, ClusterError>>;
    /// Every change since a version, until `each` has enough or the limit has come. `Gone` if the version is too old.
    fn watch<'a>(
        &'a self,
        query: &'a Query,
        since: &'a str,
        limit: Duration,
        each: &'a mut (dyn FnMut(Change) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>>;
    /// Makes a new object; `Exists` if one of that name is there.
    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        namespace: Option<&'a str>,
        object: &'a Value,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>>;
    /// Server-side apply by our manager, never forced.
    fn apply<'a>(&'a self, at: &'a At, object: &'a Value, write: Write) -> Fut<'a, Result<Object, ClusterError>>;
    /// Server-side apply by another manager than ours: what is to stay is not a fault's.
    fn apply_by<'a>(
        &'a self,
        by: &'a Applier,
        at: &'a At,
        object: &'a Value,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        if by.manager == MANAGER && by.conflicts == Conflicts::Report {
            return self.apply(at, object, write);
        }
        let why = format!("cannot apply {at} as {}: this client applies as {MANAGER} only", by.manager);
        Box::pin(std::future::ready(Err(ClusterError::Other(why))))
    }
    /// Changes a part of an object, or of a part like `scale` or `status`.
    fn patch<'a>(
        &'a self,
        at: &'a At,
        part: Option<&'a str>,
        patch: &'a Patch,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>>;
    /// Deletes it; that there is none is `Missing`.
    fn delete<'a>(&'a self, at: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>>;
    /// Evicts a pod, as disruption budgets allow (`Blocked` if they do not).
    fn evict<'a>(&'a self, pod: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>>;
    /// Runs a program in a container to its end.
    fn exec<'a>(
        &'a self,
        inside: &'a Inside,
        argv: &'a [String],
        limit: Duration,
    ) -> Fut<'a, Result<CommandOutput, ClusterError>>;
    /// What a container writes, line by line, from its beginning to its end, or until `each` has enough or the limit has come.
    fn logs<'a>(
        &'a self,
        inside: &'a Inside,
        limit: Duration,
        each: &'a mut (dyn FnMut(&str) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>>;
    /// Connects to a port of a pod (port-forward).
    fn connect<'a>(
        &'a self,
        inside: &'a Inside,
        port: u16,
        limit: Duration,
    ) -> Fut<'a, Result<Box<dyn Stream>, ClusterError>>;
    /// May this account do that?
    fn may<'a>(&'a self, what: &'a May) -> Fut<'a, Result<Allowed, ClusterError>>;
}

/// Whether something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// It is.
    Yes,
    /// It is not; the server's reason, often empty.
    No(String),
}

/// The clusters that kubeconfigs of this machine name.
#[must_use]
pub fn system() -> Arc<dyn Clusters> {
    Arc::new(opening::SystemClusters::default())
}

/// Every access leads to this one: where a journal or a cluster's record names the kubeconfig of another machine.
#[must_use]
pub fn redirected(access: Access) -> Arc<dyn Clusters> {
    Arc::new(opening::Redirected { to: access, through: system() })
}
