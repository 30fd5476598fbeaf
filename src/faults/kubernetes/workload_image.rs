//! Rolls an image out that is not there or not good. Healing rolls the one before out again.

use super::images::{self, Image, Which};
use super::workload::{self, Before, TEMPLATED, looked, rights, sum, workloads};
use super::{Home, Now, home, kubectl, mark};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Object, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives a container of workloads another image, one that is not there say, and lets it be rolled out. Healing puts the
/// image before back, unless somebody else has set a third one meanwhile, removes the bad revision, so that nobody rolls
/// back to it, and waits until the rollout is through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadImage {
    /// A target of kind `kubernetes`: deployments, statefulsets or daemonsets.
    pub target: TargetRef,
    /// The container; the first one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Template>,
    /// The image.
    pub image: Template,
}

/// Which workloads, and their images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// Each workload with what is exchanged.
    pub workloads: Vec<(Before, Image)>,
}

impl WorkloadImage {
    async fn roll(undo: &Undo, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        for (before, image) in &undo.workloads {
            let images = std::slice::from_ref(image);
            let change = |object: &Object| {
                if images::count(object, images, Which::Ours) > 0 {
                    return Ok(serde_json::json!({}));
                }
                let gone = || {
                    let (at, name) = (before.held.at(), &image.container);
                    let why =
                        format!("{at}: the image of `{name}` was changed since it was looked at: somebody rolls out");
                    FaultError::from(AdapterError::Refused(why))
                };
                images::patch(object, images, Which::Ours).ok_or_else(gone)
            };
            mark::change(&before.held, &undo.tag, write, cx, change).await?;
        }
        Ok(())
    }
}

async fn roll_back(before: &Before, image: &Image, tag: &str, cx: &Cx<'_>) -> Result<(), FaultError> {
    let images = std::slice::from_ref(image);
    mark::put_back(&before.held, tag, cx, |object| images::patch(object, images, Which::Before)).await?;
    if before.held.object.kind != "Deployment" {
        workload::sweep(before, cx, |pod| images::in_pod(pod, images)).await?;
    }
    workload::tidy(before, tag, cx, |revision| images::in_revision(revision, images)).await
}

async fn is_back(before: &Before, image: &Image, tag: &str, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let (at, images) = (before.held.at(), std::slice::from_ref(image));
    let (look, object) = before.back(tag, cx).await?;
    let Some(object) = object.filter(|_| look.holds) else { return Ok(look) };
    if before.is(&object) && images::count(&object, images, Which::Ours) > 0 {
        return Ok(looked(false, format!("{at} still has our image")));
    }
    // One that stood still before stands still again.
    if let Some(why) = workload::unfinished(&before.held.object.kind, &object).filter(|_| before.through) {
        return Ok(looked(false, format!("{at}: {why}")));
    }
    let ours = images::live_with(&workload::pods(&before.held, &object, cx).await?, images);
    if ours > 0 && before.is(&object) {
        return Ok(looked(false, format!("{at}: {ours} pods still have our image")));
    }
    let theirs = images::count(&object, images, Which::Before) == 0;
    let theirs = if theirs { "; somebody else has set another image, which is left so" } else { "" };
    Ok(looked(true, format!("{}{theirs}", look.detail)))
}

impl Fault for WorkloadImage {
    const KIND: &'static str = "workload_image";
    const SUMMARY: &'static str = "roll a bad image out, and the one before again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get, list and patch the workloads; list and delete pods; list, patch and delete ReplicaSets \
              and ControllerRevisions"
            .to_owned()]
    }

    fn way_back(&self) -> String {
        "the image before is rolled out again, and the bad revision is removed".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let ours = cx.text(&self.image)?;
        let name = self.container.as_ref().map(|name| cx.text(name)).transpose()?;
        let mut found = Vec::new();
        for (before, object) in workloads(&self.target, TEMPLATED, cx).await? {
            let at = before.held.at();
            let wrong = |why: String| FaultError::NothingToBreak(format!("{at}: {why}"));
            if object.0.pointer("/spec/paused") == Some(&serde_json::Value::Bool(true)) {
                return Err(wrong("it is paused, so nothing would be rolled out".to_owned()));
            }
            let first = object.text("/spec/template/spec/containers/0/name").to_owned();
            let name = name.as_deref().unwrap_or(&first);
            let wanted = |list: &str, container: &str, _: &str| {
                (list == "containers" && container == name).then(|| ours.clone())
            };
            let image = images::exchanged(&object, wanted).pop();
            let image = image.ok_or_else(|| wrong(format!("there is no container `{name}` in it")))?;
            if image.before == ours {
                return Err(wrong(format!("`{name}` has the image `{ours}` already")));
            }
            found.push((before, image));
        }
        Ok(Undo { tag: cx.owner.tag(), home: home(&self.target, cx).await?, workloads: found })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        Self::roll(undo, Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        Self::roll(undo, Write::Real, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for (before, image) in &undo.workloads {
            let at = before.held.at();
            let Now::Same(object) = before.held.now(cx).await? else {
                looks.push(looked(false, format!("{at} is gone or replaced")));
                continue;
            };
            let pods = workload::pods(&before.held, &object, cx).await?;
            let ours = images::live_with(&pods, std::slice::from_ref(image));
            looks.push(looked(ours > 0, format!("{at}: {ours} pods have the image {}", image.ours)));
        }
        Ok(sum(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for (before, image) in undo.workloads.iter().rev() {
            failed = roll_back(before, image, &undo.tag, cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for (before, image) in &undo.workloads {
            looks.push(is_back(before, image, &undo.tag, cx).await?);
        }
        Ok(sum(looks))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let each = |(before, image): &(Before, Image)| {
            let (name, word) = (kubectl::name(&before.held), crate::faults::word);
            let set = format!("set image {name} {}", word(&format!("{}={}", image.container, image.before)));
            format!("{}; {}", kubectl::at(&before.held, &set), kubectl::unmark(&before.held))
        };
        let mut lines: Vec<String> = undo.workloads.iter().map(each).collect();
        lines.push(kubectl::forget(&undo.home, &undo.tag));
        lines.join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.workloads.iter().map(|(before, _)| kubectl::shown(&before.held.object)).collect()
    }

    fn rights(&self) -> Vec<Right> {
        let mut all = rights(&self.target, &[]);
        for (group, plural) in [("", "pods"), ("apps", "replicasets"), ("apps", "controllerrevisions")] {
            let resource = Resource::Namespaced(group.to_owned(), plural.to_owned());
            all.extend(Right::each(&self.target, &resource, &["delete"]));
        }
        all
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }
}
