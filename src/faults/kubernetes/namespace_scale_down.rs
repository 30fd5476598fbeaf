//! Takes everything that runs in a namespace down, as if the region or cluster were lost. Healing brings it all back.

use super::scaling::Scaling;
use super::workload::{self, Before};
use super::{Held, Home, home, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Kind, Query, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const KINDS: [&str; 4] = ["deployment", "statefulset", "daemonset", "replicaset"];

/// Takes all Deployments, StatefulSets, DaemonSets and ReplicaSets of a namespace down, as if its region or cluster were
/// lost: replicas to zero, DaemonSets to a node that never is. Jobs, CronJobs and pods of nobody stay. Healing brings
/// each back as it was; what somebody has deleted meanwhile stays deleted, and what somebody has scaled stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceScaleDown {
    /// A target of kind `kubernetes`: namespaces (all that runs there), or workloads (only these).
    pub target: TargetRef,
}

/// What of a namespace runs and belongs to no other workload.
async fn running(namespace: &Held, cx: &Cx<'_>) -> Result<Vec<Before>, FaultError> {
    let cluster = namespace.cluster(cx).await?;
    let mut found = Vec::new();
    for name in KINDS {
        let kind = Kind::known(name).ok_or_else(|| AdapterError::Other(format!("`{name}` is no kind")))?;
        let within = Some(namespace.object.name.clone());
        let query = Query { kind: kind.clone(), namespace: within, labels: String::new(), fields: String::new() };
        for object in workload::list(&*cluster, &query).await? {
            let theirs = name == "replicaset" && !object.owners().is_empty();
            if theirs || object.ending() {
                continue;
            }
            let reference = object.reference(&kind);
            let held = Held { access: namespace.access.clone(), kind: kind.clone(), object: reference };
            found.push(workload::before(held, &object, cx).await?);
        }
    }
    Ok(found)
}

impl Fault for NamespaceScaleDown {
    const KIND: &'static str = "namespace_scale_down";
    const SUMMARY: &'static str = "take all workloads of a namespace down, as if its region were lost";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Scaling;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get, list and patch Deployments, StatefulSets, DaemonSets and ReplicaSets of the namespace, \
              patch their `scale`; list pods"
            .to_owned()]
    }

    fn way_back(&self) -> String {
        "every workload gets back what it had, unless somebody else has scaled or deleted it".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Scaling, FaultError> {
        let mut found = Vec::new();
        let all = objects(&self.target, cx).await?;
        if all.iter().all(|held| held.object.kind == "Namespace") {
            for namespace in &all {
                found.extend(running(namespace, cx).await?);
            }
        } else {
            let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
            let each = workload::workloads(&self.target, &kinds, cx).await?;
            found.extend(each.into_iter().map(|(before, _)| before));
        }
        found.retain(|before| before.replicas != Some(0));
        if found.is_empty() {
            return Err(FaultError::NothingToBreak(format!("nothing runs in `{}`", self.target.name())));
        }
        Ok(Scaling { tag: cx.owner.tag(), home: home(&self.target, cx).await?, workloads: found, to: 0 })
    }

    async fn rehearse(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.down(Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.down(Write::Real, cx).await
    }

    async fn effective(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.is_down(cx).await
    }

    async fn heal(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.up(cx).await
    }

    async fn healed(&self, undo: &Scaling, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.is_up(cx).await
    }

    fn by_hand(&self, undo: &Scaling) -> String {
        undo.by_hand()
    }

    fn touched(&self, undo: &Scaling) -> Vec<String> {
        undo.touched()
    }

    fn rights(&self) -> Vec<Right> {
        let mut all = Right::each(&self.target, &Resource::Itself(None), &["get", "list"]);
        let in_it = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
        for plural in ["deployments", "statefulsets", "daemonsets", "replicasets"] {
            all.extend(Right::each(&self.target, &in_it("apps", plural), &["get", "list", "patch"]));
        }
        for plural in ["deployments", "statefulsets", "replicasets"] {
            all.extend(Right::each(&self.target, &in_it("apps", &format!("{plural}/scale")), &["patch"]));
        }
        let revisions = in_it("apps", "controllerrevisions");
        all.extend(Right::each(&self.target, &revisions, &["list", "patch", "delete"]));
        all.extend(Right::each(&self.target, &in_it("", "pods"), &["list"]));
        all
    }

    fn home(undo: &Scaling) -> Option<&Home> {
        Some(&undo.home)
    }
}
