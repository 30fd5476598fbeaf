//! A registry that is down: what runs goes on, and what must start cannot. Healing points the templates back, and takes
//! pods away that could not start, so that their controllers bring good ones.

use super::images::{self, Image, Which};
use super::workload::{self, Before, TEMPLATED, looked, rights, sum, workloads};
use super::{Held, Home, Now, home, kubectl, mark};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Kind, Object, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Makes the images of workloads unavailable for pods that start from now on, as if their registry were down: images of the
/// templates are looked for at `REGISTRY.blackstart.invalid`. Pods that run go on. A Deployment is paused and its current
/// ReplicaSet's template is changed; StatefulSets and DaemonSets get `updateStrategy: OnDelete` with theirs. Nothing is
/// rolled out, in either direction. A drill that wants pods to start meanwhile deletes some (`pod_delete`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageUnavailable {
    /// A target of kind `kubernetes`: deployments, statefulsets or daemonsets.
    pub target: TargetRef,
    /// Only images of this registry (`docker.io`, `registry.example.com:5000`); all of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Template>,
}

/// Which workloads, and what they had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// Each workload.
    pub workloads: Vec<Part>,
}

/// A workload with its template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The workload.
    pub before: Before,
    /// Its current ReplicaSet, for a Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Held>,
    /// `spec.paused` of a Deployment, `spec.updateStrategy` of others; null for none.
    pub strategy: Value,
    /// What is exchanged.
    pub images: Vec<Image>,
}

/// The ReplicaSet that new pods come from: of the newest revision.
async fn current(before: &Before, object: &Object, cx: &Cx<'_>) -> Result<(Held, Object), FaultError> {
    let kind = Kind::known("replicaset").ok_or_else(|| AdapterError::Other("no ReplicaSets".to_owned()))?;
    let revision = |set: &Object| {
        let text = set.annotation("deployment.kubernetes.io/revision").unwrap_or_default();
        text.parse::<u64>().unwrap_or_default()
    };
    let newest = workload::sets(&before.held, object, cx).await?.into_iter().max_by_key(revision);
    let none = || FaultError::NothingToBreak(format!("{} has no ReplicaSet yet", before.held.at()));
    let set = newest.ok_or_else(none)?;
    let held = Held { access: before.held.access.clone(), object: set.reference(&kind), kind };
    mark::free(&set, &held.at())?;
    Ok((held, set))
}

impl Part {
    async fn of(before: Before, object: &Object, registry: Option<&str>, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let deployment = before.held.object.kind == "Deployment";
        let set = if deployment { Some(current(&before, object, cx).await?) } else { None };
        let at = if deployment { "/spec/paused" } else { "/spec/updateStrategy" };
        let strategy = object.0.pointer(at).cloned().unwrap_or(Value::Null);
        let wanted = |_: &str, _: &str, image: &str| {
            let fits = registry.is_none_or(|registry| images::registry(image).0 == registry);
            fits.then(|| images::unavailable(image))
        };
        let images = images::exchanged(set.as_ref().map_or(object, |(_, set)| set), wanted);
        if images.is_empty() {
            let which = registry.map(|registry| format!(" of `{registry}`")).unwrap_or_default();
            return Err(FaultError::NothingToBreak(format!("{} has no image{which}", before.held.at())));
        }
        Ok(Self { before, set: set.map(|(held, _)| held), strategy, images })
    }

    /// What keeps a changed template from being rolled out.
    fn halted(&self) -> Value {
        match &self.set {
            Some(_) => json!({"spec": {"paused": true}}),
            None => json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
        }
    }

    /// What was there instead; none if it is not ours any more.
    fn resumed(&self, object: &Object) -> Option<Value> {
        if !mark::holds(&object.0, &self.halted()) {
            return None;
        }
        Some(match &self.set {
            Some(_) => json!({"spec": {"paused": self.strategy}}),
            None => json!({"spec": {"updateStrategy": self.strategy}}),
        })
    }

    /// Who has the template.
    fn template(&self) -> &Held {
        self.set.as_ref().unwrap_or(&self.before.held)
    }

    async fn cut_off(&self, tag: &str, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let exchange = |object: &Object| {
            if images::count(object, &self.images, Which::Ours) == self.images.len() {
                return Ok(json!({}));
            }
            let changed = || {
                let why = format!("{}: its images were changed since they were looked at", self.template().at());
                FaultError::from(AdapterError::Refused(why))
            };
            images::patch(object, &self.images, Which::Ours).ok_or_else(changed)
        };
        match &self.set {
            Some(set) => {
                mark::change(&self.before.held, tag, write, cx, |_| Ok(self.halted())).await?;
                mark::change(set, tag, write, cx, exchange).await?;
            }
            // In one patch: nothing is rolled out in between.
            None => {
                let both = |object: &Object| Ok(mark::merged(exchange(object)?, self.halted()));
                mark::change(&self.before.held, tag, write, cx, both).await?;
            }
        }
        Ok(())
    }

    async fn restore(&self, tag: &str, cx: &Cx<'_>) -> Result<(), FaultError> {
        let back = |object: &Object| images::patch(object, &self.images, Which::Before);
        match &self.set {
            Some(set) => {
                // The template first: a Deployment that goes on finds its ReplicaSet as it left it.
                mark::put_back(set, tag, cx, back).await?;
                mark::put_back(&self.before.held, tag, cx, |object| self.resumed(object)).await?;
            }
            None => {
                let both = |object: &Object| match (back(object), self.resumed(object)) {
                    (Some(images), Some(strategy)) => Some(mark::merged(images, strategy)),
                    (one, other) => one.or(other),
                };
                mark::put_back(&self.before.held, tag, cx, both).await?;
            }
        }
        workload::sweep(&self.before, cx, |pod| images::in_pod(pod, &self.images)).await?;
        workload::tidy(&self.before, tag, cx, |revision| images::in_revision(revision, &self.images)).await
    }

    async fn is_cut_off(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (template, all) = (self.template(), self.images.len());
        let at = template.at();
        Ok(match template.now(cx).await? {
            Now::Same(object) => {
                let ours = images::count(&object, &self.images, Which::Ours);
                looked(ours == all, format!("{at}: {ours} of {all} images cannot be pulled"))
            }
            _ => looked(false, format!("{at} is gone or replaced")),
        })
    }

    async fn is_restored(&self, tag: &str, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (look, object) = self.before.back(tag, cx).await?;
        let Some(object) = object.filter(|_| look.holds) else { return Ok(look) };
        let template = match &self.set {
            None => self.before.is(&object).then(|| object.clone()),
            Some(set) => match set.now(cx).await? {
                Now::Same(set) => Some(set),
                _ => None,
            },
        };
        let at = self.template().at();
        if let Some(template) = template
            && (mark::of(&template, tag) == mark::Mark::Ours || images::count(&template, &self.images, Which::Ours) > 0)
        {
            return Ok(looked(false, format!("{at} still has our images")));
        }
        let pods = workload::pods(&self.before.held, &object, cx).await?;
        let ours = images::live_with(&pods, &self.images);
        Ok(if ours > 0 { looked(false, format!("{at}: {ours} pods still wait for our images")) } else { look })
    }

    fn by_hand(&self) -> String {
        let template = self.template();
        let each = |image: &Image| crate::faults::word(&format!("{}={}", image.container, image.before));
        let images = self.images.iter().map(each).collect::<Vec<_>>().join(" ");
        let strategy = match &self.set {
            Some(_) => json!({"spec": {"paused": self.strategy}}),
            None => json!({"spec": {"updateStrategy": self.strategy}}),
        };
        let name = kubectl::name(&self.before.held);
        let set = kubectl::at(template, &format!("set image {} {images}", kubectl::name(template)));
        let patch = kubectl::at(&self.before.held, &format!("patch {name} --type=merge -p '{strategy}'"));
        let mut lines = vec![set, patch, kubectl::unmark(&self.before.held)];
        lines.extend(self.set.as_ref().map(kubectl::unmark));
        lines.join("; ")
    }
}

impl ImageUnavailable {
    async fn cut_off(undo: &Undo, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        for part in &undo.workloads {
            part.cut_off(&undo.tag, write, cx).await?;
        }
        Ok(())
    }
}

impl Fault for ImageUnavailable {
    const KIND: &'static str = "image_unavailable";
    const SUMMARY: &'static str = "make images unavailable for pods that start, as if a registry were down";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get, list and patch the workloads and their ReplicaSets; list and delete pods; list, patch \
              and delete ControllerRevisions"
            .to_owned()]
    }

    fn way_back(&self) -> String {
        "the templates, pauses and strategies are as before, and pods that could not start are replaced".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let registry = self.registry.as_ref().map(|registry| cx.text(registry)).transpose()?;
        let mut parts = Vec::new();
        for (before, object) in workloads(&self.target, TEMPLATED, cx).await? {
            parts.push(Part::of(before, &object, registry.as_deref(), cx).await?);
        }
        Ok(Undo { tag: cx.owner.tag(), home: home(&self.target, cx).await?, workloads: parts })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        Self::cut_off(undo, Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        Self::cut_off(undo, Write::Real, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for part in &undo.workloads {
            looks.push(part.is_cut_off(cx).await?);
        }
        Ok(sum(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for part in undo.workloads.iter().rev() {
            failed = part.restore(&undo.tag, cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for part in &undo.workloads {
            looks.push(part.is_restored(&undo.tag, cx).await?);
        }
        Ok(sum(looks))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let mut lines: Vec<String> = undo.workloads.iter().map(Part::by_hand).collect();
        lines.push(kubectl::forget(&undo.home, &undo.tag));
        lines.join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.workloads.iter().map(|part| kubectl::shown(&part.before.held.object)).collect()
    }

    fn rights(&self) -> Vec<Right> {
        let in_it = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
        let mut all = rights(&self.target, &[]);
        all.extend(Right::each(&self.target, &in_it("apps", "replicasets"), &["get", "delete"]));
        all.extend(Right::each(&self.target, &in_it("", "pods"), &["delete"]));
        all.extend(Right::each(&self.target, &in_it("apps", "controllerrevisions"), &["delete"]));
        all
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }
}
