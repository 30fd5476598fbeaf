//! Applies objects again that are kept in a folder or in Git: what a team would do after somebody deleted or damaged them. What
//! is applied is meant to stay, so nothing of it is marked as a fault's.

use super::cluster::{self, Look, Patience, Place};
use super::{Course, refused};
use crate::adapters::kubernetes::{Applier, At, Conflicts, Kind, Object, Write};
use crate::adapters::manifests::{self, Manifests, Repository};
use crate::faults::{Cx, Done, FaultError};
use crate::model::{FaultId, Mono, Owner, Resource, RestorePart, Right, Span, TargetRef, Template};
use crate::probes::{ProbeSpec, readiness::readiness};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

mod apply;
mod list;

use apply::Applying;
use list::{Item, Scopes, listed};

/// The field manager of what is restored: another than a fault's, so that a fault that is healed afterwards takes nothing with it.
const MANAGER: &str = "blackstart-restore";
/// So many mistakes are shown at once.
pub(super) const SHOWN: usize = 5;

/// Applies objects to a cluster again, by server-side apply, in an order that works: namespaces, definitions, settings, then the
/// rest. Nothing is deleted. kustomize and Helm are not run: that is for a restore by `command`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestsRestore {
    /// Files and folders of YAML and JSON, as kubectl takes them. A relative path starts from the playbook's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Template>,
    /// A Git repository in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// A target of kind `kubernetes`: its cluster and its namespace are restored to, whatever it names there. Objects of other
    /// namespaces are refused.
    pub target: TargetRef,
    /// Which kinds may be among them: `[deployments.apps, services]`; all that have namespaces if not given. It bounds the rights
    /// that are needed, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Which kinds that belong to the whole cluster may be among them: `[namespaces, customresourcedefinitions.apiextensions.k8s.io]`;
    /// none if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_kinds: Vec<String>,
    /// What becomes of fields that another manager owns and that are different here; `report` if not given: nothing is applied then.
    #[serde(default)]
    pub conflicts: ConflictsSpec,
    /// The field manager; `blackstart-restore` if not given. That of the tool that deploys them lets it go on without conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Template>,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

/// A place in a Git repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// Where it is, as `git` takes it. A login belongs into `env`, as everybody can read it here.
    pub url: Template,
    /// A branch, tag or commit; the repository's own if not given.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Template>,
    /// The folder in it; all of it if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Template>,
    /// Environment variables for `git`: `GIT_SSH_COMMAND`, `GIT_CONFIG_…`. Secrets belong here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
}

/// What becomes of fields that another manager owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictsSpec {
    /// They are told, and nothing is applied.
    #[default]
    Report,
    /// They are taken from it.
    TakeOver,
}

/// What is to be applied, and where it is from.
struct Fetched {
    found: Manifests,
    /// For people and for the record: `https://git.example.org/shop.git 1a2b3c…`.
    name: String,
    commit: Option<String>,
    when: Option<DateTime<Utc>>,
}

impl ManifestsRestore {
    /// What does not go together in it, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        match (&self.directory, &self.git) {
            (None, None) => Some((
                "`manifests` has nothing to apply",
                "write `directory: ./shop`, or `git: {url: https://…, ref: main, path: shop}`",
            )),
            (Some(_), Some(_)) => Some(("`manifests` has both `directory` and `git`", "take one of them out")),
            _ => None,
        }
    }

    /// Kinds are known only if they are named: else it is everything in the namespace.
    pub(super) fn rights(&self) -> Vec<Right> {
        let parts = |name: &String| {
            let (plural, group) = name.split_once('.').unwrap_or((name.as_str(), ""));
            (group.to_owned(), plural.to_owned())
        };
        let every = vec![Resource::Namespaced("*".to_owned(), "*".to_owned())];
        let named: Vec<Resource> =
            self.kinds.iter().map(parts).map(|(group, plural)| Resource::Namespaced(group, plural)).collect();
        let whole = self.cluster_kinds.iter().map(parts).map(|(group, plural)| Resource::Everywhere(group, plural));
        let resources = if named.is_empty() { every } else { named }.into_iter().chain(whole);
        resources.flat_map(|resource| Right::each(&self.target, &resource, &["get", "create", "patch"])).collect()
    }

    /// Programs that it runs.
    pub(super) fn programs(&self) -> Vec<String> {
        self.git.iter().map(|_| "git".to_owned()).collect()
    }

    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        if let Some((what, help)) = self.mistake() {
            return Err(FaultError::Reference(format!("{what}: {help}")));
        }
        let clock = &cx.world.clock;
        let began = clock.mono();
        let place = cluster::place(&self.target, cx).await?;
        let fetched = self.fetch(cx, until).await?;
        let scopes = Scopes { namespace: &place.namespace, kinds: &self.kinds, cluster_kinds: &self.cluster_kinds };
        let items = listed(&fetched.found.objects, &place.namespace).map_err(refused)?;
        course.claim(|claim| {
            claim.backup.clone_from(&fetched.name);
            (claim.taken, claim.position) = (fetched.when, fetched.commit.clone());
        });
        course.part(RestorePart::Fetch, Span::new(began, clock.mono()), Some(fetched.found.bytes));
        let applied = self.apply(&place, &items, &scopes, cx, until, course).await?;
        let began = clock.mono();
        ready(&place, &applied, cx, until).await?;
        course.part(RestorePart::Ready, Span::new(began, clock.mono()), None);
        let detail = format!("{}: {} objects applied to {}, and ready", fetched.name, applied.len(), place.namespace);
        let answer = serde_json::json!({
            "backup": fetched.name, "commit": fetched.commit, "objects": applied.len(), "namespace": place.namespace,
        });
        Ok(Done { ok: true, detail, answer: answer.to_string() })
    }

    async fn apply(
        &self,
        place: &Place,
        items: &[Item],
        scopes: &Scopes<'_>,
        cx: &Cx<'_>,
        until: Mono,
        course: &Course,
    ) -> Result<Vec<(Kind, At)>, FaultError> {
        let clock = &cx.world.clock;
        let began = clock.mono();
        let conflicts = match self.conflicts {
            ConflictsSpec::Report => Conflicts::Report,
            ConflictsSpec::TakeOver => Conflicts::TakeOver,
        };
        let manager = self.manager.as_ref().map(|manager| cx.text(manager)).transpose()?;
        let by = Applier { manager: manager.unwrap_or_else(|| MANAGER.to_owned()), conflicts };
        let mut applying = Applying::new(&*place.cluster, by, scopes);
        applying.rehearse(items).await?;
        let applied = applying.apply(items, cx, until).await?;
        course.part(RestorePart::Apply, Span::new(began, clock.mono()), None);
        Ok(applied)
    }

    async fn fetch(&self, cx: &Cx<'_>, until: Mono) -> Result<Fetched, FaultError> {
        let Some(git) = &self.git else {
            let path = self.directory.as_ref().map(|path| cx.text(path)).transpose()?.unwrap_or_default();
            let folder = cx.scope.base().join(&path);
            let found = if folder.is_dir() {
                manifests::read(&folder, "")?
            } else {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                manifests::read(folder.parent().unwrap_or(Path::new("/")), &name)?
            };
            let name = format!("{path} sha256:{}", found.digest);
            return Ok(Fetched { found, name, commit: None, when: None });
        };
        // Not a fault's: whatever is left of it here is erased with the run's.
        let owner = Owner { run: cx.owner.run.clone(), fault: FaultId(String::new()) };
        let folder = cx.scope.vault().folder_for(&owner)?;
        let fetched = self.git(git, &folder, cx, until).await;
        cx.scope.vault().erase_folder(&folder)?;
        fetched
    }

    async fn git(&self, git: &GitSource, folder: &Path, cx: &Cx<'_>, until: Mono) -> Result<Fetched, FaultError> {
        let url = cx.word(&git.url)?;
        // A path to a repository here starts from the playbook's folder.
        let near = cx.scope.base().join(&url);
        let url = if !url.contains(':') && near.exists() { near.to_string_lossy().into_owned() } else { url };
        let word = |template: &Option<Template>| template.as_ref().map(|t| cx.word(t)).transpose();
        let (reference, path) = (word(&git.reference)?.unwrap_or_else(|| "HEAD".to_owned()), word(&git.path)?);
        let env = git.env.iter().map(|(key, value)| Ok((key.clone(), cx.text(value)?)));
        let env = env.collect::<Result<BTreeMap<_, _>, FaultError>>()?;
        let repository = Repository { url: &url, reference: &reference, env: &env };
        let left = until.since(cx.world.clock.mono());
        let commit = repository.checkout(&*cx.world.commands, folder, left).await?;
        let found = manifests::read(folder, path.as_deref().unwrap_or_default().trim_start_matches('/'))?;
        let name = format!("{} {}", manifests::bare(&url), commit.id);
        Ok(Fetched { found, name, commit: Some(commit.id), when: commit.when })
    }
}

/// Waits until everything that can be ready is.
async fn ready(place: &Place, applied: &[(Kind, At)], cx: &Cx<'_>, until: Mono) -> Result<(), FaultError> {
    let patience = Patience::until(until, "not everything that was applied was ready", cx);
    let mut open: Vec<&(Kind, At)> = applied.iter().filter(|(kind, _)| awaited(kind)).collect();
    loop {
        let look = still(place, &mut open).await;
        if patience.over(look).await?.is_some() {
            return Ok(());
        }
    }
}

/// Looks at those that were not ready; those that are now are not looked at again.
async fn still(place: &Place, open: &mut Vec<&(Kind, At)>) -> Result<Look<()>, FaultError> {
    let (mut left, mut why) = (Vec::new(), Vec::new());
    for one in open.iter() {
        if let Some(text) = state(place, one).await? {
            why.push(format!("{} ({text})", one.1));
            left.push(*one);
        }
    }
    *open = left;
    why.truncate(SHOWN);
    Ok(if open.is_empty() { Look::Done(()) } else { Look::NotYet(why.join(", ")) })
}

/// Claims may wait for a pod that needs them; the pod is awaited then.
fn awaited(kind: &Kind) -> bool {
    kind.kind != "PersistentVolumeClaim" && kind.kind != "PersistentVolume"
}

/// Why it is not ready, if so.
async fn state(place: &Place, (kind, at): &(Kind, At)) -> Result<Option<String>, FaultError> {
    let Some(object) = place.cluster.get(at).await? else {
        return Err(refused(format!("{at} was applied and is gone")));
    };
    let failed = |object: &Object| kind.kind == "Job" && object.condition("Failed") == Some(true);
    if failed(&object) {
        return Err(refused(format!("{at} was applied and has failed")));
    }
    if kind.kind == "Pod" && object.text("/status/phase") == "Succeeded" {
        return Ok(None);
    }
    Ok(readiness(kind, &object).flatten())
}

/// What is written to say that nothing is done.
const DRY: Write = Write::Dry;
