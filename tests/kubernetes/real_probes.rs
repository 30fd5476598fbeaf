//! Probes and a restore on a real control plane with pods that run: what its controllers write is read rightly, and pods are
//! reached through its API server. Takes the cluster of `KUBECONFIG` with `BLACKSTART_TEST_CLUSTER=given`.

use super::conforms::Bench;
use super::contract::namespace;
use super::control_plane::{ControlPlane, given};
use super::node::{Nodes, Place};
use super::probes::ask;
use super::restores::restore;
use blackstart::adapters::AdapterError;
use blackstart::adapters::kubernetes::{Access, Cluster, Deletion, Kind, Patch, Write};
use blackstart::faults::FaultError;
use blackstart::probes::Sample;
use serde_json::{Value, json};
use std::path::Path;

/// The shop of the drills as files; a server before 1.21 has budgets in another version.
fn shop(old: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let staging = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/staging/kubernetes");
    let mut objects = std::fs::read_to_string(staging.join("shop.yaml")).unwrap();
    if old {
        objects = objects.replace("policy/v1\n", "policy/v1beta1\n");
    }
    std::fs::write(folder.path().join("shop.yaml"), objects).unwrap();
    let program = std::fs::read_to_string(staging.join("shop.py")).unwrap();
    let program = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-program"}, "data": {"shop.py": program}});
    std::fs::write(folder.path().join("program.json"), program.to_string()).unwrap();
    folder
}

async fn sample(bench: &Bench, kind: &str, what: Value) -> Sample {
    ask(bench, json!({ kind: what })).await.unwrap_or_else(|e| panic!("{what}: {e}"))
}

async fn soon(bench: &Bench, what: Value) {
    bench
        .until("so", || async {
            match ask(bench, json!({"kubernetes": what})).await {
                Ok(sample) if sample.holds => Ok(()),
                other => Err(format!("{what}: {other:?}")),
            }
        })
        .await;
}

#[test]
fn a_shop_is_restored_looked_at_and_reached() {
    let own = given().is_none().then(ControlPlane::start);
    let nodes = own.as_ref().map(|plane| Nodes::start(plane, &Place::over("here", &["a", "b", "c"], 3)));
    let kubeconfig = own.as_ref().map(ControlPlane::kubeconfig).or_else(given);
    let access = Access { kubeconfig, context: None };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(whole(access));
    drop((nodes, own));
}

async fn whole(access: Access) {
    let cluster = Bench::new(&access, "default").cluster().await;
    let space = namespace(&*cluster, "probes").await;
    let bench = Bench::new(&access, &space)
        .target("shop", json!({"kind": "deployment", "name": "shop"}))
        .target("service", json!({"kind": "service", "name": "shop"}))
        .target("pods", json!({"labels": "app=shop"}));
    let old = cluster.facts().version < (1, 21);
    restored(&bench, &*cluster, old).await;
    looked_at(&bench).await;
    reached(&bench).await;
    stuck(&bench, &*cluster, &space).await;
    let at = Kind::known("namespace").unwrap().at(None, &space);
    cluster.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
}

/// From nothing, and again over what somebody else has taken.
async fn restored(bench: &Bench, cluster: &dyn Cluster, old: bool) {
    let files = shop(old);
    let spec = json!({"target": "shop", "directory": files.path()});
    let (done, course) = restore(bench, "manifests", spec.clone(), 120).await;
    let done = done.unwrap_or_else(|e| panic!("{e}"));
    assert!(done.detail.contains("5 objects applied"), "{}", done.detail);
    assert_eq!(course.so_far().0.len(), 3);
    let at = Kind::known("configmap").unwrap().at(Some(&bench.namespace), "shop-settings");
    let theirs = Patch::Merge(json!({"data": {"settings.json": "{\"greeting\": \"damaged\"}"}}));
    cluster.patch(&at, None, &theirs, Write::Real).await.unwrap();
    let (refused, _) = restore(bench, "manifests", spec.clone(), 120).await;
    let Err(FaultError::World(AdapterError::Refused(why))) = refused else { panic!("{refused:?}") };
    assert!(why.contains("nothing was applied") && why.contains("settings.json"), "{why}");
    let mut take = spec;
    take["conflicts"] = json!("take_over");
    let (done, _) = restore(bench, "manifests", take, 120).await;
    done.unwrap_or_else(|e| panic!("{e}"));
    let map = cluster.get(&at).await.unwrap().unwrap();
    assert!(map.0["data"]["settings.json"].as_str().unwrap().contains("welcome"), "{map:?}");
}

async fn looked_at(bench: &Bench) {
    for (target, question, wanted) in [
        ("shop", "ready_replicas", "3"),
        ("shop", "rollout", "finished"),
        ("shop", "ready", "100%"),
        ("pods", "ready", "3"),
        ("pods", "restarts", "0"),
    ] {
        let what = json!({"target": target, "ask": question, "value": {"equals": wanted}});
        let seen = sample(bench, "kubernetes", what).await;
        assert!(seen.holds, "{question} of {target}: {}", seen.detail);
    }
    // Other controllers write these, some moments later.
    soon(bench, json!({"target": "service", "ask": "endpoints", "value": {"equals": "3"}})).await;
    soon(bench, json!({"target": "shop", "ask": "budget", "value": {"equals": "kept"}})).await;
    let available =
        json!({"target": "shop", "ask": "condition", "condition": "Available", "value": {"equals": "True"}});
    soon(bench, available).await;
    let scaled = json!({"target": "shop", "ask": "events", "reason": "ScalingReplicaSet", "value": {"at_least": "1"}});
    soon(bench, scaled).await;
}

async fn reached(bench: &Bench) {
    let page = json!({"contains": "welcome from shop-"});
    for (target, port) in [("service", "80"), ("service", "http"), ("pods", "http"), ("shop", "8080")] {
        let seen = sample(bench, "pod_http", json!({"target": target, "port": port, "value": page})).await;
        assert!(seen.holds && seen.fields["status"] == "200", "{target} {port}: {}", seen.detail);
        assert!(seen.answer.contains(&seen.fields["pod"]), "{seen:?}");
    }
    let other = json!({"target": "pods", "port": "8080", "path": "/health", "expect": {"status": 404}});
    let other = sample(bench, "pod_http", other).await;
    assert!(!other.holds && other.detail.contains("wanted: 404"), "{}", other.detail);
    let closed = ask(bench, json!({"pod_http": {"target": "pods", "port": "9", "timeout": "20s"}})).await;
    assert!(closed.is_err(), "nobody listens there: {closed:?}");
    let inside = |program: &str| {
        let command = json!({"container": "shop", "command": ["python3", "-c", program]});
        json!({"target": "pods", "inside": command, "value": {"equals": "42"}, "timeout": "30s"})
    };
    let seen = sample(bench, "pod_http", inside("print(6 * 7)")).await;
    assert!(seen.holds, "{}", seen.detail);
    let failed = sample(bench, "pod_http", inside("import sys; sys.exit('no answer')")).await;
    assert!(!failed.holds && failed.detail.contains("exit status 1: no answer"), "{}", failed.detail);
}

/// An image that nobody has.
async fn stuck(bench: &Bench, cluster: &dyn Cluster, space: &str) {
    let at = Kind::known("deployment").unwrap().at(Some(space), "shop");
    let image = json!([{"name": "shop", "image": "registry.invalid/shop:2"}]);
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": image}}}}));
    cluster.patch(&at, None, &patch, Write::Real).await.unwrap();
    soon(bench, json!({"target": "shop", "ask": "rollout", "value": {"equals": "stuck"}})).await;
    let seen =
        sample(bench, "kubernetes", json!({"target": "shop", "ask": "ready_replicas", "value": {"equals": "3"}})).await;
    assert!(seen.holds, "the old pods stay: {}", seen.detail);
}
