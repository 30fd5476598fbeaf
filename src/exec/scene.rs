//! What references stand for during a run, and how targets are found: the drill's own [`Scope`]. A recovery makes the
//! same from a journaled context.

use super::context::HealContext;
use super::targets;
use crate::adapters::data::Taken;
use crate::adapters::{Fut, Vault, World};
use crate::faults::kubernetes::Home;
use crate::faults::{Cx, Scope, journaled};
use crate::model::{FaultId, Owner, PinnedTarget, Reference, RunId, StepId, TargetRef};
use crate::plan::{FingerprintPlan, Plan, SecretSource, TargetSpec};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The values of a run.
pub(super) struct Scene {
    pub world: World,
    base: PathBuf,
    run: RunId,
    dir: PathBuf,
    state: PathBuf,
    params: BTreeMap<String, String>,
    sources: BTreeMap<String, SecretSource>,
    targets: BTreeMap<String, TargetSpec>,
    fingerprints: Vec<FingerprintPlan>,
    home: Option<Home>,
    began: chrono::DateTime<chrono::Utc>,
    values: Mutex<Values>,
}

#[derive(Default)]
struct Values {
    secrets: BTreeMap<String, SecretString>,
    staging: BTreeMap<String, String>,
    outputs: BTreeMap<(String, String), String>,
    found: BTreeMap<String, PinnedTarget>,
    before: BTreeMap<String, Arc<Taken>>,
}

impl Scene {
    pub fn new(plan: &Plan, world: &World, run: &RunId, dir: &Path, state: &Path) -> Self {
        let folder = plan.source.path.parent().unwrap_or(Path::new(""));
        let base = std::path::absolute(Path::new(".").join(folder)).unwrap_or_else(|_| folder.to_path_buf());
        Self {
            world: world.clone(),
            base,
            run: run.clone(),
            dir: dir.to_path_buf(),
            state: std::path::absolute(state).unwrap_or_else(|_| state.to_path_buf()),
            params: plan.params.clone(),
            sources: plan.secrets.clone(),
            targets: plan.targets.iter().map(|(name, target)| (name.clone(), target.spec.clone())).collect(),
            fingerprints: plan.fingerprints.clone(),
            home: None,
            began: world.clock.stamp().wall,
            values: Mutex::default(),
        }
    }

    /// Inside a cluster, where this is kept.
    pub fn kept_in(self, home: Option<Home>) -> Self {
        Self { home, ..self }
    }

    /// What a journaled context says.
    pub fn recovered(context: HealContext, world: &World, run: &RunId) -> Self {
        let HealContext { base, dir, state, secrets: sources, targets, home, inside: _ } = context;
        let (world, run, params) = (world.clone(), run.clone(), BTreeMap::new());
        let (fingerprints, began, values) = (Vec::new(), world.clock.stamp().wall, Mutex::default());
        Self { world, base, run, dir, state, params, sources, targets, fingerprints, home, began, values }
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cx(&self) -> Cx<'_> {
        self.cx_for(&FaultId(String::new()))
    }

    /// For a fault: what it leaves on a host carries its name.
    pub fn cx_for(&self, fault: &FaultId) -> Cx<'_> {
        let owner = Owner { run: self.run.clone(), fault: fault.clone() };
        Cx { world: &self.world, scope: self, owner }
    }

    pub fn sources(&self) -> &BTreeMap<String, SecretSource> {
        &self.sources
    }

    pub fn target_specs(&self) -> &BTreeMap<String, TargetSpec> {
        &self.targets
    }

    pub fn has_secret(&self, name: &str) -> bool {
        self.values().secrets.contains_key(name)
    }

    pub fn set_secret(&self, name: &str, value: SecretString) {
        self.values().secrets.insert(name.to_owned(), value);
    }

    /// Takes over the secrets that another scene of the same run has read.
    pub fn adopt(&self, other: Self) {
        let theirs = std::mem::take(&mut other.values().secrets);
        self.values().secrets.extend(theirs);
    }

    pub fn set_staging(&self, fields: BTreeMap<String, String>) {
        self.values().staging = fields;
    }

    pub fn set_output(&self, step: &StepId, output: &BTreeMap<String, String>) {
        let mut values = self.values();
        for (name, value) in output {
            values.outputs.insert((step.to_string(), name.clone()), value.clone());
        }
    }

    /// What a fingerprint was before the outage.
    pub fn set_before(&self, name: &str, taken: Taken) {
        self.values().before.insert(name.to_owned(), Arc::new(taken));
    }

    /// The same, if it was taken.
    pub fn before(&self, name: &str) -> Option<Arc<Taken>> {
        self.values().before.get(name).cloned()
    }

    /// A fingerprint as planned.
    pub fn fingerprint_plan(&self, name: &str) -> Option<&FingerprintPlan> {
        self.fingerprints.iter().find(|plan| plan.name == name)
    }

    /// From now on these are what the targets' names mean.
    pub fn set_found(&self, found: &[PinnedTarget]) {
        self.values().found = found.iter().map(|t| (t.name.clone(), t.clone())).collect();
    }

    /// One of them, while they are being found: targets may name fields of each other.
    pub fn add_found(&self, target: PinnedTarget) {
        self.values().found.insert(target.name.clone(), target);
    }

    /// The targets that were found.
    pub fn found(&self) -> BTreeMap<String, PinnedTarget> {
        self.values().found.clone()
    }

    /// The fields of all targets, for `when:`.
    pub fn target_fields(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.values().found.iter().map(|(name, target)| (name.clone(), target.fields.clone())).collect()
    }

    /// How many different processes the targets are.
    pub fn processes(&self) -> usize {
        let values = self.values();
        let all: std::collections::BTreeSet<i32> =
            values.found.values().flat_map(|t| t.processes.iter().map(|p| p.pid)).collect();
        all.len()
    }

    /// Everything filled in but secrets.
    fn filled(&self, spec: &TargetSpec) -> TargetSpec {
        let value = serde_json::to_value(spec).map(|value| journaled(value, &self.cx()));
        value.and_then(serde_json::from_value).unwrap_or_else(|_| spec.clone())
    }

    /// What goes into an intent.
    pub fn context(&self) -> HealContext {
        HealContext {
            base: self.base.clone(),
            dir: self.dir.clone(),
            state: self.state.clone(),
            secrets: self.sources.clone(),
            targets: self.targets.iter().map(|(name, spec)| (name.clone(), self.filled(spec))).collect(),
            home: self.home.clone(),
            inside: None,
        }
    }
}

impl Scope for Scene {
    fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        let values = self.values();
        let found = match reference {
            Reference::Param(name) => self.params.get(name).cloned(),
            Reference::Env(name) => std::env::var(name).ok(),
            Reference::Secret(name) => values.secrets.get(name).map(|s| s.expose_secret().to_owned()),
            Reference::Target(name, field) => values.found.get(name).and_then(|t| t.fields.get(field).cloned()),
            Reference::StepOutput(step, name) => values.outputs.get(&(step.clone(), name.clone())).cloned(),
            Reference::Staging(name) => values.staging.get(name).cloned(),
            Reference::Run(name) if name == "id" => Some(self.run.to_string()),
            Reference::Run(_) => Some(self.dir.to_string_lossy().into_owned()),
        };
        found.ok_or_else(|| format!("${{{reference}}} has no value yet"))
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            let (TargetRef::Pinned(name) | TargetRef::Now(name)) = target;
            let pinned = self.values().found.get(name).cloned();
            if let (TargetRef::Pinned(_), Some(pinned)) = (target, pinned) {
                return Ok(pinned);
            }
            let spec = self.targets.get(name).ok_or_else(|| format!("there is no target `{name}`"))?;
            targets::resolve(name, spec, &self.cx()).await
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        let name = target.name();
        match self.targets.get(name) {
            Some(TargetSpec::Http(t) | TargetSpec::Kv(t) | TargetSpec::Postgres(t)) => {
                self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}"))
            }
            Some(TargetSpec::Redis(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Mysql(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Couchdb(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Mongodb(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Rabbitmq(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Etcd(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(TargetSpec::Elasticsearch(t)) => self.cx().text(&t.url).map_err(|e| format!("target `{name}`: {e}")),
            Some(_) => Err(format!("target `{name}` has no URL")),
            None => Err(format!("there is no target `{name}`")),
        }
    }

    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        let spec = self.targets.get(target.name()).ok_or_else(|| format!("there is no target `{}`", target.name()))?;
        Ok(self.filled(spec))
    }

    fn differences<'a>(&'a self, fingerprint: &'a str) -> Fut<'a, Result<Vec<String>, String>> {
        Box::pin(self.differences_now(fingerprint, None))
    }

    fn differences_at<'a>(
        &'a self,
        fingerprint: &'a str,
        target: &'a TargetRef,
    ) -> Fut<'a, Result<Vec<String>, String>> {
        Box::pin(self.differences_now(fingerprint, Some(target)))
    }

    fn began(&self) -> chrono::DateTime<chrono::Utc> {
        self.began
    }

    fn base(&self) -> PathBuf {
        self.base.clone()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.state)
    }
}
