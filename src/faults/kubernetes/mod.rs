//! What faults on Kubernetes share: the objects of a target, pinned with the way to their cluster, the labels and
//! annotations of ours, and where heal data stands. Each fault is a file of its own.

use super::{Cx, FaultError};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Access, At, Cluster, ClusterError, Kind, Object};
use crate::model::{KubernetesTarget, ObjectRef, TargetRef, TargetSpec, Template};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod config;
mod config_corrupt;
mod config_remove;
mod config_replace;
mod emptying;
mod find;
mod image_unavailable;
mod images;
mod injected;
pub mod kubectl;
mod lost;
mod manifest;
pub mod mark;
mod namespace_scale_down;
mod network_policy;
mod node_cordon;
mod node_drain;
mod node_taint;
mod nodes;
mod object_remove;
mod pod_container_kill;
mod pod_delete;
mod pod_evict;
mod pod_pressure;
mod pods;
mod policy;
mod scaling;
mod selector;
mod service_selector;
mod values;
mod volume_claim_delete;
pub mod workload;
mod workload_image;
mod workload_restart;
mod workload_scale;
mod zone_loss;

pub use config_corrupt::ConfigCorrupt;
pub use config_remove::ConfigRemove;
pub use config_replace::ConfigReplace;
pub use emptying::{Budgets, Unmanaged};
pub use find::{Found, Way, between, each, find, kind, way, zone_of};
pub use image_unavailable::ImageUnavailable;
pub use injected::Injected;
pub use manifest::Manifest;
pub use namespace_scale_down::NamespaceScaleDown;
pub use network_policy::{Attempted, NetworkPolicy, Who};
pub use node_cordon::NodeCordon;
pub use node_drain::NodeDrain;
pub use node_taint::NodeTaint;
pub use nodes::Effect;
pub use object_remove::{ObjectRemove, Owned, Targets};
pub use pod_container_kill::PodContainerKill;
pub use pod_delete::PodDelete;
pub use pod_evict::PodEvict;
pub use pod_pressure::PodPressure;
pub use policy::Ends;
pub use service_selector::ServiceSelector;
pub use volume_claim_delete::{InUse, VolumeClaimDelete};
pub use workload_image::WorkloadImage;
pub use workload_restart::WorkloadRestart;
pub use workload_scale::WorkloadScale;
pub use zone_loss::ZoneLoss;

/// On every object and every change of ours: the fault's tag.
pub const OWNER_LABEL: &str = "blackstart.dev/owner";
/// What an object of ours is: `fault` (a record), `backup`, `helper`, `lease`.
pub const RECORD_LABEL: &str = "blackstart.dev/record";
/// The name of the object that holds what is put back.
pub const UNDO_ANNOTATION: &str = "blackstart.dev/undo";

/// Where on a cluster a fault's record stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Home {
    /// The way to the cluster.
    pub access: Access,
    /// The namespace.
    pub namespace: String,
}

/// An object that a fault is done to, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The way to the cluster.
    pub access: Access,
    /// Its kind as the server knows it.
    pub kind: Kind,
    /// The very object.
    pub object: ObjectRef,
}

impl From<ClusterError> for FaultError {
    fn from(error: ClusterError) -> Self {
        Self::World(AdapterError::from(error))
    }
}

/// The way to a target's cluster; a relative path starts from the playbook's folder.
///
/// # Errors
/// When a reference cannot be filled in.
pub fn access(target: &KubernetesTarget, cx: &Cx<'_>) -> Result<Access, FaultError> {
    let kubeconfig = filled(&target.kubeconfig, cx)?.map(|path| cx.scope.base().join(path));
    let kubeconfig = kubeconfig.map(|path| std::path::absolute(&path).unwrap_or(path));
    Ok(Access { kubeconfig, context: filled(&target.context, cx)? })
}

/// The text with everything filled in, if there is one.
fn filled(template: &Option<Template>, cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
    let text = template.as_ref().map(|t| cx.text(t)).transpose()?;
    // An empty text is as good as none, so that a parameter can be left out.
    Ok(text.filter(|text| !text.is_empty()))
}

/// The spec of a target of kind `kubernetes`.
///
/// # Errors
/// When it is of another kind.
pub fn spec(target: &TargetRef, cx: &Cx<'_>) -> Result<KubernetesTarget, FaultError> {
    match cx.scope.spec(target).map_err(FaultError::Reference)? {
        TargetSpec::Kubernetes(target) => Ok(target),
        other => Err(FaultError::Reference(format!("`{}` is of kind {}, not kubernetes", target.name(), other.kind()))),
    }
}

impl Held {
    /// Its cluster.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn cluster(&self, cx: &Cx<'_>) -> Result<Arc<dyn Cluster>, FaultError> {
        Ok(cx.world.clusters.open(&self.access).await?)
    }

    /// Where it is, by name.
    #[must_use]
    pub fn at(&self) -> At {
        self.kind.at(self.object.namespace.as_deref(), &self.object.name)
    }

    /// What has its name now, and whether it is the very one.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn now(&self, cx: &Cx<'_>) -> Result<Now, FaultError> {
        let found = self.cluster(cx).await?.get(&self.at()).await?;
        Ok(match found {
            None => Now::Gone,
            Some(object) if object.uid() == self.object.uid => Now::Same(object),
            Some(object) => Now::Replaced(object),
        })
    }
}

/// What has become of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Now {
    /// It is still there.
    Same(Object),
    /// Another has its name.
    Replaced(Object),
    /// Nothing has its name.
    Gone,
}

/// The pinned objects of a target, in their order; it is an error if there is none.
///
/// # Errors
/// When the target cannot be resolved.
pub async fn objects(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<Held>, FaultError> {
    let spec = spec(target, cx)?;
    let access = access(&spec, cx)?;
    let pinned = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
    let cluster = cx.world.clusters.open(&access).await?;
    let mut held: Vec<Held> = Vec::new();
    for object in pinned.objects {
        let known = held.iter().find(|h| h.object.kind == object.kind && h.object.api == object.api);
        let kind = match known.map(|h| h.kind.clone()).or_else(|| Kind::known(&object.kind.to_lowercase())) {
            Some(kind) => kind,
            None => cluster.kind(&kind_name(&object)).await?,
        };
        held.push(Held { access: access.clone(), kind, object });
    }
    if held.is_empty() {
        return Err(FaultError::NothingToBreak(format!("`{}` is no object", target.name())));
    }
    Ok(held)
}

/// As [`Cluster::kind`] takes it: `Kind.version.group`, or `Kind` for the core.
fn kind_name(object: &ObjectRef) -> String {
    match object.api.split_once('/') {
        Some((group, version)) => format!("{}.{version}.{group}", object.kind),
        None => object.kind.clone(),
    }
}

/// Where a target's records stand.
///
/// # Errors
/// When a reference cannot be filled in, or the cluster does not answer.
pub async fn home(target: &TargetRef, cx: &Cx<'_>) -> Result<Home, FaultError> {
    let spec = spec(target, cx)?;
    let access = access(&spec, cx)?;
    let namespace = match filled(&spec.home, cx)?.or(filled(&spec.namespace, cx)?) {
        Some(namespace) => namespace,
        None => cx.world.clusters.open(&access).await?.facts().namespace,
    };
    Ok(Home { access, namespace })
}
