//! Removes objects of any kind in namespaces, as by a wrong `kubectl delete`. Healing makes again what nobody else has.

use super::config::{Kept, together};
use super::lost::{self, Tops, Workload, known};
use super::{Held, Home, Now, home, kubectl, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{ClusterError, Deletion, Flow, Object, Propagation, Query, Scope, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Removes objects until it is healed, and what they own with them: a Deployment's pods, a Service's endpoints. A
/// manifest of each is kept before. Healing makes again what is missing; what somebody has brought back meanwhile, from
/// Git or a backup, stays as it is. Claims of volumes are refused: their data would not come back (`volume_claim_delete`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRemove {
    /// A target of kind `kubernetes`, or a list of them.
    pub target: Targets,
    /// What becomes of what they own; `background` if not given.
    #[serde(default)]
    pub propagation: Owned,
}

/// One target or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Targets {
    /// One.
    One(TargetRef),
    /// Several, in this order.
    Several(Vec<TargetRef>),
}

/// What becomes of what a removed object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Owned {
    /// It goes after it.
    #[default]
    Background,
    /// It goes before it.
    Foreground,
    /// It stays.
    Orphan,
}

/// What heals it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// The objects.
    pub objects: Vec<Kept>,
    /// Those of them that make pods, with how many of these were ready.
    pub workloads: Vec<Workload>,
    /// Whose pods must be gone, by uid: the objects, and what stands between them and their pods.
    pub makers: BTreeSet<String>,
}

impl ObjectRemove {
    fn list(&self) -> Vec<&TargetRef> {
        match &self.target {
            Targets::One(target) => vec![target],
            Targets::Several(targets) => targets.iter().collect(),
        }
    }

    fn deletion(&self, held: &Held) -> Deletion {
        let propagation = match self.propagation {
            Owned::Background => Propagation::Background,
            Owned::Foreground => Propagation::Foreground,
            Owned::Orphan => Propagation::Orphan,
        };
        Deletion { uid: Some(held.object.uid.clone()), grace: None, propagation: Some(propagation) }
    }

    async fn delete(&self, kept: &Kept, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let held = &kept.held;
        match held.cluster(cx).await?.delete(&held.at(), &self.deletion(held), write).await {
            Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Can an object of this kind be made again from its manifest?
fn removable(held: &Held) -> Result<(), FaultError> {
    let at = held.at();
    let why = match &*held.kind.kind {
        _ if held.kind.scope == Scope::Cluster => format!("{at} belongs to the whole cluster, not to a namespace"),
        "PersistentVolumeClaim" => format!("the data of {at} would not come back: use volume_claim_delete"),
        _ => return Ok(()),
    };
    Err(AdapterError::Refused(why).into())
}

/// All objects of a namespace's kind.
async fn all(held: &Held, kind: &str, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
    let namespace = held.object.namespace.clone();
    let query = Query { kind: known(kind)?, namespace, labels: String::new(), fields: String::new() };
    let mut found = Vec::new();
    let mut each = |object: Object| {
        found.push(object);
        Flow::On
    };
    held.cluster(cx).await?.list(&query, &mut each).await?;
    Ok(found)
}

impl Undo {
    fn namespaces(&self) -> Vec<&Held> {
        let mut seen = BTreeSet::new();
        let new = |held: &&Held| seen.insert((held.access.clone(), held.object.namespace.clone()));
        self.objects.iter().map(|kept| &kept.held).filter(new).collect()
    }

    /// Counts the pods that will be lost, and who makes them.
    async fn survey(&mut self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let ours: BTreeSet<String> = self.objects.iter().map(|kept| kept.held.object.uid.clone()).collect();
        let (mut makers, mut workloads) = (ours.clone(), Vec::new());
        for held in self.namespaces() {
            let cluster = held.cluster(cx).await?;
            let pods = all(held, "pod", cx).await?;
            let tops = Tops::of(&*cluster, &held.object.namespace.iter().cloned().collect()).await?;
            let lost = |pod: &Object| tops.top(pod).is_some_and(|top| ours.contains(&top.uid));
            let lost: Vec<Object> = pods.into_iter().filter(lost).collect();
            makers.extend(lost.iter().filter_map(lost::controller).map(|maker| maker.uid));
            workloads.extend(lost::workloads(&*cluster, &lost).await?);
        }
        (self.makers, self.workloads) = (makers, workloads);
        Ok(())
    }

    /// Pods that are still there of those that must be gone.
    async fn pods_left(&self, cx: &Cx<'_>) -> Result<usize, FaultError> {
        let mut left = 0;
        for held in self.namespaces() {
            let ours = |pod: &&Object| lost::controller(pod).is_some_and(|maker| self.makers.contains(&maker.uid));
            left += all(held, "pod", cx).await?.iter().filter(ours).count();
        }
        Ok(left)
    }

    /// Have the workloads as many ready pods as before, whoever has made them again?
    async fn ready(&self, cx: &Cx<'_>) -> Result<Option<Look>, FaultError> {
        let Some(first) = self.objects.first().filter(|_| !self.workloads.is_empty()) else { return Ok(None) };
        let mut looks = Vec::new();
        for held in self.namespaces() {
            let cluster = first.held.cluster(cx).await?;
            let here = |workload: &&Workload| workload.object.namespace == held.object.namespace;
            let there: Vec<Workload> = self.workloads.iter().filter(here).cloned().collect();
            let now = lost::by_name(&*cluster, &there).await?;
            looks.push(lost::back(&*cluster, &now, 0).await?);
        }
        Ok(Some(together(looks)))
    }
}

async fn bring_back(kept: &Kept, cx: &Cx<'_>) -> Result<(), FaultError> {
    match kept.held.now(cx).await? {
        Now::Same(object) if object.ending() => {
            return Err(AdapterError::Refused(format!("{} is still being removed", kept.held.at())).into());
        }
        Now::Same(_) | Now::Replaced(_) => {}
        Now::Gone => kept.make_again(cx).await?,
    }
    kept.forget(cx).await
}

impl Fault for ObjectRemove {
    const KIND: &'static str = "object_remove";
    const SUMMARY: &'static str = "remove objects of a Kubernetes namespace, and what they own";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        self.list()
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to read, create and delete the objects, and configmaps with their manifests".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        let copies = Resource::Namespaced(String::new(), "configmaps".to_owned());
        let mut rights = Vec::new();
        for target in self.list() {
            rights.extend(Right::each(target, &Resource::Itself(None), &["get", "list", "create", "delete"]));
            rights.extend(Right::each(target, &copies, &["get", "create", "delete"]));
            rights.extend(lost::rights(target, Resource::Namespaced));
        }
        rights
    }

    fn way_back(&self) -> String {
        "what nobody has brought back is made again from its manifest, with a new uid".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let Some(first) = self.list().first().copied() else {
            return Err(FaultError::Reference("`target` names nothing".to_owned()));
        };
        let mut kept: Vec<Kept> = Vec::new();
        for target in self.list() {
            for held in objects(target, cx).await? {
                removable(&held)?;
                if kept.iter().any(|other| other.held.object.uid == held.object.uid) {
                    continue;
                }
                kept.push(Kept::of(held, kept.len() + 1, cx).await?.0);
            }
        }
        let (home, workloads, makers) = (home(first, cx).await?, Vec::new(), BTreeSet::new());
        let mut undo = Undo { home, objects: kept, workloads, makers };
        undo.survey(cx).await?;
        Ok(undo)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for kept in &undo.objects {
            kept.rehearse_copy(cx).await?;
            self.delete(kept, Write::Dry, cx).await?;
        }
        Ok(())
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        // Every manifest is kept before the first object goes: what one owns changes with it.
        for kept in &undo.objects {
            kept.keep(cx).await?;
        }
        for kept in &undo.objects {
            if matches!(kept.held.now(cx).await?, Now::Same(now) if !now.ending()) {
                self.delete(kept, Write::Real, cx).await?;
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut there = Vec::new();
        for kept in &undo.objects {
            if matches!(kept.held.now(cx).await?, Now::Same(_)) {
                there.push(kept.held.at().to_string());
            }
        }
        if !there.is_empty() {
            return Ok(Look { holds: false, detail: format!("still there: {}", there.join(", ")) });
        }
        let left = match self.propagation {
            Owned::Orphan => 0,
            Owned::Background | Owned::Foreground => undo.pods_left(cx).await?,
        };
        let pods = if left > 0 { format!(", {left} of their pods are not") } else { String::new() };
        Ok(Look { holds: left == 0, detail: format!("{} objects are gone{pods}", undo.objects.len()) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for kept in undo.objects.iter().rev() {
            failed = bring_back(kept, cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for kept in &undo.objects {
            looks.push(kept.is_back(cx).await?);
        }
        if looks.iter().all(|look| look.holds) {
            looks.extend(undo.ready(cx).await?);
        }
        Ok(together(looks))
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.objects.iter().rev().map(|kept| kept.by_hand("create")).collect::<Vec<_>>().join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.objects.iter().map(|kept| kubectl::shown(&kept.held.object)).collect()
    }
}
