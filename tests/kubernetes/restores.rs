//! Restores to a cluster against the double of the API server: manifests from a folder and from Git, Velero (a double, too)
//! and volume snapshots (whose controller is a few lines here).

use super::conforms::Bench;
use super::double::{Double, Harm, Only};
use super::velero::{Course as Script, Velero};
use blackstart::adapters::AdapterError;
use blackstart::adapters::kubernetes::{Deletion, Kind, Write};
use blackstart::faults::{Done, FaultError, Scope};
use blackstart::model::{RestoreClaim, RestorePart};
use blackstart::restores::{Course, RestoreSpec};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SHOP: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: welcome}
"#;

/// What became of a restore, and what it says of itself.
struct End {
    done: Result<Done, FaultError>,
    parts: Vec<RestorePart>,
    claim: RestoreClaim,
}

impl End {
    fn detail(&self) -> &str {
        &self.done.as_ref().unwrap_or_else(|e| panic!("{e}")).detail
    }

    /// It was refused, in these words.
    fn refused(&self) -> &str {
        match &self.done {
            Err(FaultError::World(AdapterError::Refused(why))) => why,
            other => panic!("{other:?}"),
        }
    }
}

/// Restores within some seconds; the verification is `exec`'s.
pub async fn restore(bench: &Bench, kind: &str, spec: Value, seconds: u64) -> (Result<Done, FaultError>, Course) {
    let mut spec = spec;
    spec["verify"] = json!({"tcp": {"address": "127.0.0.1:1"}});
    let restore: RestoreSpec = serde_json::from_value(json!({ kind: spec })).unwrap();
    let course = Course::default();
    let until = bench.world.clock.mono().after(Duration::from_secs(seconds));
    (restore.restore(&bench.cx(), until, &course).await, course)
}

async fn ended(bench: &Bench, kind: &str, spec: Value) -> End {
    let (done, course) = restore(bench, kind, spec, 20).await;
    let (parts, claim) = course.so_far();
    End { done, parts: parts.iter().map(|part| part.part).collect(), claim }
}

fn bench(double: &Double) -> Bench {
    Bench::new(&double.access(), "shop").target("shop", json!({"kind": "configmap", "name": "settings"}))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn from(folder: &Path) -> Value {
    json!({"target": "shop", "directory": folder})
}

fn managers(object: &Value) -> Vec<&str> {
    let all = object["metadata"]["managedFields"].as_array().unwrap();
    all.iter().filter(|entry| entry["operation"] == "Apply").map(|entry| entry["manager"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn manifests_of_a_folder_are_applied_and_ready_and_stay() {
    let double = Double::start();
    double.seed_nodes(2, &["a", "b"]);
    double.namespace("shop");
    let (bench, files) = (bench(&double), folder(&[("b/shop.yaml", SHOP), ("README.md", "no object")]));
    let end = ended(&bench, "manifests", from(files.path())).await;
    assert!(end.detail().contains("2 objects applied to shop, and ready"), "{}", end.detail());
    assert_eq!(end.parts, [RestorePart::Fetch, RestorePart::Apply, RestorePart::Ready]);
    assert!(end.claim.backup.contains("sha256:") && end.claim.recovered_to.is_none(), "{:?}", end.claim);
    assert_eq!(double.ready_of("shop", "web"), 2);
    let settings = double.get("configmaps", "shop", "settings").unwrap();
    assert_eq!((managers(&settings), &settings["data"]["greeting"]), (vec!["blackstart-restore"], &json!("welcome")));
    assert!(settings["metadata"]["labels"].is_null(), "nothing of it is a fault's");
    // Somebody deletes the one and damages the other.
    double.remove("deployments", "shop", "web");
    double.wait(|d| d.ready("shop") == 0);
    double.change("configmaps", "shop", "settings", |c| c["data"]["greeting"] = json!("damaged"));
    let end = ended(&bench, "manifests", from(files.path())).await;
    assert!(end.done.is_ok(), "{:?}", end.done);
    assert_eq!(double.get("configmaps", "shop", "settings").unwrap()["data"]["greeting"], "welcome");
    assert_eq!(double.ready_of("shop", "web"), 2);
}

fn git(folder: &Path, argv: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(argv);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn manifests_of_a_commit_are_applied_and_the_commit_is_named() {
    let double = Double::start();
    double.seed_nodes(1, &["a"]);
    double.namespace("shop");
    let repository = folder(&[("deploy/shop.yaml", SHOP), ("other/broken.yaml", "{")]);
    let at = repository.path();
    git(at, &["init", "--quiet", "-b", "main"]);
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-m", "one"]);
    let first = git(at, &["rev-parse", "HEAD"]);
    git(at, &["tag", "v1"]);
    std::fs::write(at.join("deploy/shop.yaml"), SHOP.replace("welcome", "hello")).unwrap();
    git(at, &["commit", "--quiet", "-am", "two"]);
    let second = git(at, &["rev-parse", "HEAD"]);
    let bench = bench(&double);
    let url = format!("file://{}", at.display());
    for (reference, commit, greeting) in
        [("main", &second, "hello"), ("v1", &first, "welcome"), (&second, &second, "hello")]
    {
        let source = json!({"url": url, "ref": reference, "path": "deploy"});
        let end = ended(&bench, "manifests", json!({"target": "shop", "git": source})).await;
        assert!(end.detail().contains(commit.as_str()), "{reference}: {}", end.detail());
        assert_eq!((end.claim.position.as_ref(), end.claim.taken.is_some()), (Some(commit), true));
        assert_eq!(double.get("configmaps", "shop", "settings").unwrap()["data"]["greeting"], greeting);
    }
    let none = ended(&bench, "manifests", json!({"target": "shop", "git": {"url": url, "ref": "none"}})).await;
    assert!(none.refused().contains("git fetch") && none.refused().contains("none"), "{}", none.refused());
    let option = json!({"target": "shop", "git": {"url": "--upload-pack=touch x", "ref": "main"}});
    assert!(ended(&bench, "manifests", option).await.refused().contains("no address"));
    let outside = json!({"target": "shop", "git": {"url": url, "path": "../.."}});
    assert!(ended(&bench, "manifests", outside).await.refused().contains("leads out"));
    assert!(bench.vault().owners().is_empty(), "nothing of the repository is left: {:?}", bench.vault().owners());
}

#[tokio::test]
async fn what_another_manager_owns_is_told_and_nothing_is_applied_unless_a_person_says_so() {
    let double = Double::start();
    double.seed_nodes(1, &["a"]);
    double.namespace("shop");
    let (bench, files) = (bench(&double), folder(&[("shop.yaml", SHOP)]));
    let set = folder(&[(
        "s.yaml",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: theirs}}",
    )]);
    let mut theirs = from(set.path());
    theirs["manager"] = json!("deployer");
    assert!(ended(&bench, "manifests", theirs).await.done.is_ok());
    let end = ended(&bench, "manifests", from(files.path())).await;
    for words in ["nothing was applied", "configmap settings (shop.yaml)", "deployer", "conflicts: take_over"] {
        assert!(end.refused().contains(words), "{}", end.refused());
    }
    assert!(double.get("deployments", "shop", "web").is_none(), "the other one is not applied either");
    let mut take = from(files.path());
    take["conflicts"] = json!("take_over");
    assert!(ended(&bench, "manifests", take).await.done.is_ok());
    assert_eq!(double.get("configmaps", "shop", "settings").unwrap()["data"]["greeting"], "welcome");
}

#[tokio::test]
async fn what_is_outside_or_is_for_another_program_is_refused_before_anything_is_applied() {
    let double = Double::start();
    double.namespace("shop");
    let bench = bench(&double);
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    for (name, text, words) in [
        ("b.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: other}}", "namespace other"),
        ("b.yaml", "{apiVersion: v1, kind: Node, metadata: {name: b}}", "cluster_kinds: [nodes]"),
        ("b.yaml", "{apiVersion: example.org/v1, kind: Gizmo, metadata: {name: b}}", "Gizmo"),
        ("kustomization.yaml", "resources: [a.yaml]", "kustomize"),
        ("Chart.yaml", "name: x", "Helm"),
        ("b.yaml", "a: [", "b.yaml"),
    ] {
        let files = folder(&[("a.yaml", map), (name, text)]);
        let end = ended(&bench, "manifests", from(files.path())).await;
        assert!(end.refused().contains(words), "{text}: {}", end.refused());
        assert!(double.get("configmaps", "shop", "a").is_none(), "{text}");
    }
    double.harm_once(Only::verb("patch").of("configmaps").named("b"), Harm::Refuse(422));
    let files = folder(&[("a.yaml", map), ("b.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}")]);
    let end = ended(&bench, "manifests", from(files.path())).await;
    assert!(end.refused().contains("configmap b (b.yaml)"), "{}", end.refused());
    assert!(double.get("configmaps", "shop", "a").is_none(), "what a server refuses is found out first");
    let files = folder(&[("a.yaml", map)]);
    let mut bounded = from(files.path());
    bounded["kinds"] = json!(["deployments.apps"]);
    assert!(ended(&bench, "manifests", bounded).await.refused().contains("add configmaps"));
}

#[tokio::test]
async fn what_is_being_deleted_is_gone_before_it_is_applied() {
    let double = Arc::new(Double::start());
    let metadata = json!({"name": "a", "namespace": "shop", "finalizers": ["example.org/wait"]});
    double.object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "old"}}));
    let bench = bench(&double);
    let at = Kind::known("configmap").unwrap().at(Some("shop"), "a");
    bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
    let files = folder(&[("a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: new}}")]);
    let later = {
        let double = double.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            double.remove("configmaps", "shop", "a");
        })
    };
    let end = ended(&bench, "manifests", from(files.path())).await;
    later.await.unwrap();
    assert!(end.done.is_ok(), "{:?}", end.done);
    let map = double.get("configmaps", "shop", "a").unwrap();
    assert!(map["metadata"]["deletionTimestamp"].is_null() && map["data"]["k"] == "new", "{map}");
}

#[tokio::test]
async fn what_never_gets_ready_is_named() {
    let double = Double::start();
    double.namespace("shop");
    // No node: its pods wait.
    let (bench, files) = (bench(&double), folder(&[("shop.yaml", SHOP)]));
    let (done, course) = restore(&bench, "manifests", from(files.path()), 1).await;
    match done {
        Err(FaultError::World(AdapterError::TimedOut(why))) => {
            assert!(why.contains("deployment shop/web") && why.contains("0 of 2"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let parts: Vec<_> = course.so_far().0.iter().map(|part| part.part).collect();
    assert_eq!(parts, [RestorePart::Fetch, RestorePart::Apply]);
}

/// A backup of the double of Velero.
fn backup(double: &Double, name: &str, phase: &str, hour: u32) {
    let at = |minute: u32| format!("2026-11-21T{hour:02}:{minute:02}:00Z");
    double.object(json!({"apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": name, "namespace": "velero", "labels": {"velero.io/schedule-name": "nightly"}},
        "status": {"phase": phase, "startTimestamp": at(0), "completionTimestamp": at(10)}}));
}

fn velero() -> (Arc<Double>, Bench) {
    let double = Arc::new(Double::start());
    double.namespace("shop");
    for (name, phase, hour) in [("n1", "Completed", 1), ("n3", "Completed", 3), ("n5", "PartiallyFailed", 5)] {
        backup(&double, name, phase, hour);
    }
    let bench = bench(&double);
    (double, bench)
}

#[tokio::test]
async fn velero_restores_the_newest_complete_backup_of_a_schedule() {
    let (double, bench) = velero();
    let warnings = json!({"warnings": {"namespaces": {"shop": ["could not restore, service web exists"]}}});
    let _velero = Velero::beside(&double, Script { warnings: 1, messages: warnings, ..Script::default() });
    let spec = json!({"target": "shop", "schedule": "nightly", "namespaces": ["shop"], "mapping": {"shop": "copy"}});
    let end = ended(&bench, "velero", spec).await;
    for words in ["backup n3: 7 items restored, 1 warnings", "service web exists"] {
        assert!(end.detail().contains(words), "{}", end.detail());
    }
    assert_eq!(double.get("configmaps", "copy", "restored").unwrap()["data"]["from"], "n3");
    assert_eq!(end.parts, [RestorePart::Locate, RestorePart::Load]);
    let time = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|t| t.to_rfc3339()).unwrap_or_default();
    assert_eq!((end.claim.backup.as_str(), time(end.claim.taken)), ("n3", "2026-11-21T03:10:00+00:00".to_owned()));
    assert_eq!(time(end.claim.recovered_to), "2026-11-21T03:00:00+00:00", "what came while it was made may be missing");
    let exposure = end.claim.exposure.unwrap().unwrap();
    assert_eq!((exposure.points, exposure.worst.best), (2, 7_800_000_000_000), "from 01:00 to 03:10");
    assert!(double.list("downloadrequests.velero.io", "velero").is_empty(), "what it asked for is tidied away");
    // Another one of the same run.
    assert!(ended(&bench, "velero", json!({"target": "shop", "backup": "n1"})).await.done.is_ok());
    assert_eq!(double.list("restores.velero.io", "velero").len(), 2);
}

#[tokio::test]
async fn what_velero_calls_complete_is_not_believed_and_failures_tell_why() {
    let errors = json!({"errors": {"cluster": ["no such class"], "velero": ["disk is full"]}});
    for (script, words) in [
        (
            Script { phase: "PartiallyFailed", errors: 2, messages: errors, ..Script::default() },
            &["PartiallyFailed: 7 of 7 items, 2 errors", "disk is full; no such class"][..],
        ),
        (Script { items: (0, 0), ..Script::default() }, &["says Completed, and restored nothing"]),
        (Script { items: (3, 7), ..Script::default() }, &["restored 3 of 7 items"]),
        (
            Script {
                phase: "FailedValidation",
                more: json!({"validationErrors": ["backup not found"]}),
                ..Script::default()
            },
            &["FailedValidation", "backup not found"],
        ),
        (
            Script { phase: "Failed", more: json!({"failureReason": "no storage"}), ..Script::default() },
            &["no storage"],
        ),
    ] {
        let (double, bench) = velero();
        let _velero = Velero::beside(&double, script);
        let end = ended(&bench, "velero", json!({"target": "shop", "backup": "n1"})).await;
        for word in words {
            assert!(end.refused().contains(word), "{}", end.refused());
        }
        assert!(!end.refused().contains("not-to-be-shown"), "{}", end.refused());
    }
    let (double, bench) = velero();
    let of = |more: Value| {
        let mut spec = json!({"target": "shop"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ended(&bench, "velero", spec)
    };
    assert!(of(json!({"backup": "n5"})).await.refused().contains("n5 is PartiallyFailed"));
    assert!(of(json!({"backup": "none"})).await.refused().contains("there is no backup velero/none"));
    assert!(of(json!({"schedule": "none"})).await.refused().contains("it has no backup"));
    // Nobody is there.
    let (done, _) = restore(&bench, "velero", json!({"target": "shop", "backup": "n1"}), 1).await;
    let Err(FaultError::World(AdapterError::TimedOut(why))) = done else { panic!("{done:?}") };
    assert!(why.contains("does Velero run in velero?"), "{why}");
    drop(double);
}

fn snapshots(ready: bool, mode: &str) -> (Arc<Double>, Bench) {
    let double = Arc::new(Double::start());
    double.object(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "example.org/disk", "volumeBindingMode": mode}));
    double.object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"},
        "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}}}));
    double.object(json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
        "metadata": {"name": "daily", "namespace": "shop"}, "spec": {"source": {"persistentVolumeClaimName": "data"}},
        "status": {"readyToUse": ready, "restoreSize": "5Gi", "creationTime": "2026-11-21T03:00:00Z"}}));
    let bench = bench(&double);
    (double, bench)
}

/// Gives claims that are made a volume, until it is dropped.
struct Provisioner(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Provisioner {
    fn beside(double: &Arc<Double>) -> Self {
        let (double, stop) = (double.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let work = move || {
            while !stopped.load(Ordering::Relaxed) {
                for claim in double.list("persistentvolumeclaims", "shop") {
                    if claim["spec"]["dataSource"].is_object() && claim["status"]["phase"] != "Bound" {
                        let name = claim["metadata"]["name"].as_str().unwrap();
                        double.change("persistentvolumeclaims", "shop", name, |claim| {
                            claim["spec"]["volumeName"] = json!("pv-7");
                            claim["status"] = json!({"phase": "Bound"});
                        });
                    }
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        };
        Self(stop, Some(std::thread::spawn(work)))
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        drop(self.1.take().map(std::thread::JoinHandle::join));
    }
}

fn claim(name: &str) -> Value {
    json!({"target": "shop", "snapshot": "daily", "claim": name})
}

#[tokio::test]
async fn a_snapshot_becomes_a_claim_like_the_one_that_it_is_of() {
    let (double, bench) = snapshots(true, "Immediate");
    let _provisioner = Provisioner::beside(&double);
    let end = ended(&bench, "volume_snapshot", claim("restored")).await;
    assert!(end.detail().contains("bound to p"), "{}", end.detail());
    assert_eq!(end.parts, [RestorePart::Locate, RestorePart::Apply, RestorePart::Ready]);
    let made = double.get("persistentvolumeclaims", "shop", "restored").unwrap();
    assert_eq!(made["spec"]["dataSource"]["name"], "daily");
    assert_eq!(
        (&made["spec"]["storageClassName"], &made["spec"]["accessModes"][0]),
        (&json!("fast"), &json!("ReadWriteMany"))
    );
    assert_eq!(made["spec"]["resources"]["requests"]["storage"], "5Gi");
    assert_eq!((end.claim.backup.as_str(), end.claim.recovered_to.is_some()), ("daily", true));
    let again = ended(&bench, "volume_snapshot", claim("restored")).await;
    assert!(again.refused().contains("is there already"), "{}", again.refused());
}

#[tokio::test]
async fn a_claim_may_wait_for_its_first_pod_and_a_snapshot_that_is_not_ready_is_not_used() {
    let (double, bench) = snapshots(true, "WaitForFirstConsumer");
    let end = ended(&bench, "volume_snapshot", claim("later")).await;
    assert!(end.detail().contains("WaitForFirstConsumer"), "{}", end.detail());
    assert_eq!(end.parts, [RestorePart::Locate, RestorePart::Apply]);
    let mut none = claim("other");
    none["snapshot"] = json!("none");
    assert!(ended(&bench, "volume_snapshot", none).await.refused().contains("there is no volumesnapshot shop/none"));
    let (unready, bench) = snapshots(false, "Immediate");
    assert!(ended(&bench, "volume_snapshot", claim("x")).await.refused().contains("not ready"));
    assert!(unready.get("persistentvolumeclaims", "shop", "x").is_none());
    // One that nobody gives a volume.
    let (double_2, bench) = snapshots(true, "Immediate");
    double_2.settings(|s| s.controllers = false);
    let (done, _) = restore(&bench, "volume_snapshot", claim("x"), 1).await;
    let Err(FaultError::World(AdapterError::TimedOut(why))) = done else { panic!("{done:?}") };
    assert!(why.contains("had no volume"), "{why}");
    drop((double, double_2));
}
