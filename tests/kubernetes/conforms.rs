//! What every fault on a cluster must hold, on whatever cluster: a place with targets, a picture of a namespace to
//! compare, a cluster that fails at the N-th change, and the life of a fault through all of it. No fault is named here.

use super::failing::{Failing, Loses};
use blackstart::adapters::kubernetes::{Access, Cluster, Flow, Kind, Object, Query, Scope as Where};
use blackstart::adapters::{Fut, Vault, World};
use blackstart::faults::{Cx, FaultSpec, PreparedFault, Reversibility, Scope, journaled, kubernetes};
use blackstart::model::{FaultId, KubernetesTarget, Owner, PinnedTarget, Reference, RunId, TargetRef, TargetSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "correct-horse-battery";
/// A slow shared machine needs some of it; nothing waits longer than it must.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace of a cluster with targets of a drill in it.
pub struct Bench {
    pub world: World,
    pub access: Access,
    pub namespace: String,
    folder: tempfile::TempDir,
    owner: Owner,
    targets: BTreeMap<String, KubernetesTarget>,
    pinned: Mutex<BTreeMap<String, PinnedTarget>>,
}

impl Bench {
    pub fn new(access: &Access, namespace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId(format!("{namespace}-{}", folder.path().file_name().unwrap().to_string_lossy()));
        Self {
            world: World::system(),
            access: access.clone(),
            namespace: namespace.to_owned(),
            folder,
            owner: Owner { run, fault: FaultId::from("f1") },
            targets: BTreeMap::new(),
            pinned: Mutex::default(),
        }
    }

    /// With a target as a playbook writes it; its cluster and namespace are this place's.
    pub fn target(mut self, name: &str, mut spec: Value) -> Self {
        let fields = spec.as_object_mut().unwrap();
        if let Some(path) = &self.access.kubeconfig {
            fields.insert("kubeconfig".to_owned(), json!(path));
        }
        if let Some(context) = &self.access.context {
            fields.insert("context".to_owned(), json!(context));
        }
        fields.entry("namespace").or_insert(json!(self.namespace));
        self.targets.insert(name.to_owned(), serde_json::from_value(spec).expect("a target"));
        self
    }

    pub fn cx(&self) -> Cx<'_> {
        self.cx_in(&self.world)
    }

    fn cx_in<'a>(&'a self, world: &'a World) -> Cx<'a> {
        Cx { world, scope: self, owner: self.owner.clone() }
    }

    pub fn tag(&self) -> String {
        self.owner.tag()
    }

    pub async fn cluster(&self) -> Arc<dyn Cluster> {
        self.world.clusters.open(&self.access).await.expect("the cluster answers")
    }

    /// From now on the targets' names mean what they are now, as just before an outage.
    pub async fn pin(&self) {
        self.unpin();
        let mut all = BTreeMap::new();
        for name in self.targets.keys() {
            all.insert(name.clone(), self.find(name).await.unwrap());
        }
        *self.pinned.lock().unwrap() = all;
    }

    /// As another process: nothing is known but what the journal says.
    pub fn unpin(&self) {
        self.pinned.lock().unwrap().clear();
    }

    async fn find(&self, name: &str) -> Result<PinnedTarget, String> {
        let spec = self.targets.get(name).ok_or_else(|| format!("no target `{name}`"))?;
        let found = kubernetes::find(spec, &self.cx()).await.map_err(|e| e.to_string())?;
        let objects: Vec<_> = found.objects.iter().map(|(object, _)| object.reference(&found.kind)).collect();
        if objects.is_empty() {
            return Err(format!("`{name}`: there is no such object"));
        }
        Ok(PinnedTarget { name: name.to_owned(), kind: "kubernetes".to_owned(), objects, ..Default::default() })
    }

    /// All objects of a kind, in this namespace if they are in one; but what the control plane puts into every namespace,
    /// sooner or later.
    pub async fn list(&self, kind: &Kind) -> Vec<Object> {
        let namespace = (kind.scope == Where::Namespaced).then(|| self.namespace.clone());
        let query = Query { kind: kind.clone(), namespace, labels: String::new(), fields: String::new() };
        let mut all = Vec::new();
        let mut each = |object: Object| {
            let given = object.text("/type") == "kubernetes.io/service-account-token";
            if !given && object.name() != "kube-root-ca.crt" {
                all.push(object);
            }
            Flow::On
        };
        self.cluster().await.list(&query, &mut each).await.unwrap_or_else(|e| panic!("{}: {e}", kind.plural));
        all
    }

    /// Waits for something, at most as long as it may take on a slow machine.
    pub async fn until<F: Future<Output = Result<(), String>>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let clock = &self.world.clock;
        let end = clock.mono().after(PATIENCE);
        loop {
            let Err(why) = holds().await else { return };
            assert!(clock.mono() < end, "never {what}: {why}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many pods with this label are ready, and no others of it are left.
    pub async fn ready(&self, label: (&str, &str), count: usize) {
        let pods = Kind::known("pod").unwrap();
        self.until("ready", || async {
            let all = self.list(&pods).await;
            let ours: Vec<_> = all.iter().filter(|pod| pod.label(label.0) == Some(label.1)).collect();
            let ready = ours.iter().filter(|pod| pod.condition("Ready") == Some(true) && !pod.ending()).count();
            if ready == count && ours.len() == count { Ok(()) } else { Err(format!("{ready} of {}", ours.len())) }
        })
        .await;
    }
}

impl Scope for Bench {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        match reference {
            Reference::Secret(_) => Ok(SECRET.to_owned()),
            other => Err(format!("no {other}")),
        }
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            let pinned = self.pinned.lock().unwrap().get(target.name()).cloned();
            match (target, pinned) {
                (TargetRef::Pinned(_), Some(pinned)) => Ok(pinned),
                _ => self.find(target.name()).await,
            }
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        Err(format!("`{}` has no URL", target.name()))
    }

    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        let found = self.targets.get(target.name()).cloned();
        found.map(TargetSpec::Kubernetes).ok_or_else(|| format!("no target `{}`", target.name()))
    }

    fn base(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.folder.path().join("state"))
    }
}

/// What of a picture is not compared.
pub type Ignore = fn(&mut Object);

/// Nothing is left out.
pub fn everything(_: &mut Object) {}

/// What a namespace has (and the nodes), without what a server counts and notes: by kind and name. Pods are counted by
/// their `app`, for their names change.
pub async fn picture(bench: &Bench, ignore: Ignore) -> BTreeMap<String, Value> {
    let mut kinds: Vec<Kind> = [
        "node",
        "configmap",
        "secret",
        "service",
        "persistentvolumeclaim",
        "deployment",
        "replicaset",
        "statefulset",
        "daemonset",
        "networkpolicy",
    ]
    .iter()
    .map(|name| Kind::known(name).unwrap())
    .collect();
    kinds.push(Kind::of("apps", "v1", "ControllerRevision", "controllerrevisions", Where::Namespaced));
    let mut seen = BTreeMap::new();
    for kind in kinds {
        for mut object in bench.list(&kind).await {
            let name = format!("{} {}", kind.kind, object.name());
            ignore(&mut object);
            if object.0.is_null() {
                continue;
            }
            seen.insert(name, still(object.0));
        }
    }
    let mut pods: BTreeMap<String, u64> = BTreeMap::new();
    for pod in bench.list(&Kind::known("pod").unwrap()).await {
        let how = if pod.condition("Ready") == Some(true) && !pod.ending() { "ready" } else { "not ready" };
        *pods.entry(format!("Pods {} {how}", pod.label("app").unwrap_or("of nobody"))).or_default() += 1;
        assert_no_secret(&pod.0);
    }
    seen.extend(pods.into_iter().map(|(name, count)| (name, json!(count))));
    seen
}

fn assert_no_secret(object: &Value) {
    assert!(!object.to_string().contains(SECRET), "a secret in the cluster: {object}");
}

/// Without what changes though nobody changes anything.
fn still(mut object: Value) -> Value {
    assert_no_secret(&object);
    let fields = object.as_object_mut().unwrap();
    for field in ["status", "revision", "apiVersion", "kind"] {
        fields.remove(field);
    }
    let metadata = fields["metadata"].as_object_mut().unwrap();
    for field in ["resourceVersion", "generation", "managedFields", "selfLink"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        // How often it was rolled out is counted, forth and back.
        annotations.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
        annotations.retain(|key, _| !key.starts_with("deprecated.daemonset.template.generation"));
    }
    without_empty(object)
}

/// An empty map and none are the same to a server.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(key, value)| (key, without_empty(value)));
            let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
            Value::Object(kept.filter(|(_, value)| !empty(value)).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_empty).collect()),
        other => other,
    }
}

/// Waits until a namespace is as it was, and has nothing of ours in it.
pub async fn as_before(bench: &Bench, before: &BTreeMap<String, Value>, ignore: Ignore) {
    bench
        .until("as before", || async {
            let now = picture(bench, ignore).await;
            nothing_of_ours(bench, &now).await?;
            for (name, was) in before {
                match now.get(name) {
                    Some(is) if is == was => {}
                    is => return Err(format!("{name} is\n{is:?}\nand was\n{was}")),
                }
            }
            now.keys()
                .find(|name| !before.contains_key(*name))
                .map_or(Ok(()), |more| Err(format!("{more} was not there")))
        })
        .await;
}

async fn nothing_of_ours(bench: &Bench, now: &BTreeMap<String, Value>) -> Result<(), String> {
    for (name, object) in now {
        let text = object.to_string();
        if text.contains("blackstart.dev/") || text.contains("blackstart.invalid") || text.contains(&bench.tag()) {
            return Err(format!("something of ours is left on {name}: {text}"));
        }
    }
    for pod in bench.list(&Kind::known("pod").unwrap()).await {
        if pod.label(kubernetes::OWNER_LABEL).is_some() {
            return Err(format!("the pod {} of ours is left", pod.name()));
        }
    }
    Ok(())
}

/// A fault of these parameters, as a playbook writes them: `{"pod_delete": {"target": "pods"}}`.
pub fn fault(parameters: Value) -> FaultSpec {
    serde_json::from_value(parameters).expect("parameters of a fault")
}

/// Parameters and undo as another process would read them from the journal.
pub fn from_journal(fault: &PreparedFault, bench: &Bench) -> PreparedFault {
    let cx = bench.cx();
    let spec = journaled(serde_json::to_value(&fault.spec).unwrap(), &cx);
    let undo = journaled(serde_json::to_value(&fault.undo).unwrap(), &cx);
    let text = format!("{spec}{undo}");
    assert!(!text.contains(SECRET), "a secret in the journal: {text}");
    PreparedFault { spec: serde_json::from_value(spec).unwrap(), undo: serde_json::from_value(undo).unwrap() }
}

pub async fn prepared(spec: &FaultSpec, bench: &Bench) -> PreparedFault {
    bench.pin().await;
    let undo = spec.prepare(&bench.cx()).await.expect("prepared");
    PreparedFault { spec: spec.clone(), undo }
}

pub async fn bites(fault: &PreparedFault, bench: &Bench) {
    bench
        .until("effective", || async {
            let look = fault.effective(&bench.cx()).await.expect("a look");
            if look.holds { Ok(()) } else { Err(look.detail) }
        })
        .await;
}

/// Heals as a run does: attempts, each followed by looks.
pub async fn heals(fault: &PreparedFault, bench: &Bench) {
    fault.heal(&bench.cx()).await.expect("healed");
    is_healed(fault, bench).await;
}

async fn is_healed(fault: &PreparedFault, bench: &Bench) {
    bench
        .until("healed", || async {
            let look = fault.healed(&bench.cx()).await.expect("a look");
            if look.holds { Ok(()) } else { Err(look.detail) }
        })
        .await;
}

/// Life of a fault on a namespace that is at rest: not effective before, tried by the server without a trace, repeatable,
/// healed by what the journal holds in another process, and everything is as before.
pub async fn conforms(bench: &Bench, spec: &FaultSpec, ignore: Ignore) {
    let before = picture(bench, ignore).await;
    let fault = prepared(spec, bench).await;
    assert!(!fault.effective(&bench.cx()).await.expect("a look").holds, "effective before it was injected");
    assert!(fault.by_hand().contains("kubectl"), "{}", fault.by_hand());
    assert!(!fault.touched().is_empty());
    let home = fault.home().expect("a home");
    assert_eq!((&home.access, &home.namespace), (&bench.access, &bench.namespace));
    fault.rehearse(&bench.cx()).await.expect("rehearsed");
    as_before(bench, &before, ignore).await;
    let other = from_journal(&fault, bench);
    for _ in 0..2 {
        fault.inject(&bench.cx()).await.expect("injected");
        bites(&fault, bench).await;
    }
    if spec.reversibility() == Reversibility::Reversible {
        assert!(!other.healed(&bench.cx()).await.expect("a look").holds, "healed before it was healed");
    }
    bench.unpin();
    for _ in 0..2 {
        heals(&other, bench).await;
    }
    as_before(bench, &before, ignore).await;
    // The intent was journaled, and nothing was injected.
    let fault = from_journal(&prepared(spec, bench).await, bench);
    bench.unpin();
    heals(&fault, bench).await;
    as_before(bench, &before, ignore).await;
}

/// Everything dies after any of the injection's changes, done or not, and another process heals what there is.
pub async fn heals_any_half(bench: &Bench, spec: &FaultSpec, ignore: Ignore) {
    let before = picture(bench, ignore).await;
    for loses in [Loses::Call, Loses::Answer] {
        for at in 0.. {
            assert!(at < 100, "it never ends");
            let fault = prepared(spec, bench).await;
            let other = from_journal(&fault, bench);
            let failing = Failing::at(at, loses, Arc::clone(&bench.world.clusters));
            let world = World { clusters: Arc::clone(&failing) as Arc<_>, ..bench.world.clone() };
            let done = fault.inject(&bench.cx_in(&world)).await;
            bench.unpin();
            heals(&other, bench).await;
            as_before(bench, &before, ignore).await;
            if !failing.tripped() {
                done.expect("injected");
                assert!(at > 0, "an injection that changes nothing");
                break;
            }
        }
    }
}

/// Somebody meddles while the fault is on; then it is healed, twice, and nothing of ours is left.
pub async fn heals_after<F: Future<Output = ()>>(bench: &Bench, spec: &FaultSpec, meddle: impl FnOnce() -> F) {
    let fault = prepared(spec, bench).await;
    fault.inject(&bench.cx()).await.expect("injected");
    bites(&fault, bench).await;
    meddle().await;
    let other = from_journal(&fault, bench);
    bench.unpin();
    for _ in 0..2 {
        heals(&other, bench).await;
    }
    bench.until("nothing of ours", || async { nothing_of_ours(bench, &picture(bench, everything).await).await }).await;
}
