//! Probes of a cluster against the double of the API server: what each question means, and what is said when it cannot be
//! answered.

use super::conforms::Bench;
use super::double::{BAD_IMAGE, Double, Harm, Only, Rule};
use blackstart::adapters::AdapterError;
use blackstart::probes::{ProbeError, ProbeSpec, Sample};
use serde_json::{Value, json};

/// A shop of three pods on three nodes in as many zones.
fn shop(double: &Double) -> Bench {
    double.seed_nodes(3, &["a", "b", "c"]);
    double.deploy("shop", "web", 3);
    bench(double)
}

fn bench(double: &Double) -> Bench {
    Bench::new(&double.access(), "shop")
        .target("web", json!({"kind": "deployment", "name": "web"}))
        .target("service", json!({"kind": "service", "name": "web"}))
        .target("pods", json!({"labels": "app=web"}))
        .target("nobody", json!({"labels": "app=none"}))
        .target("settings", json!({"kind": "configmap", "name": "settings"}))
        .target("login", json!({"kind": "secret", "name": "login"}))
        .target("nodes", json!({"kind": "node", "labels": "kubernetes.io/os=linux"}))
        .target("zone", json!({"kind": "pod", "zone": "b"}))
}

/// One look, with time for a slow machine; numbers are compared as texts, as a playbook has them.
pub async fn ask(bench: &Bench, mut probe: Value) -> Result<Sample, ProbeError> {
    let spec = probe.as_object_mut().and_then(|map| map.values_mut().next()).and_then(Value::as_object_mut).unwrap();
    spec.entry("timeout").or_insert(json!("30s"));
    if let Some(wanted) = spec.get_mut("value").and_then(Value::as_object_mut) {
        wanted.values_mut().filter(|value| value.is_number()).for_each(|value| *value = json!(value.to_string()));
    }
    let probe: ProbeSpec = serde_json::from_value(probe).unwrap();
    probe.sample(&bench.cx()).await
}

/// It must be decided, and as said; the words.
async fn is(bench: &Bench, holds: bool, what: Value) -> String {
    let sample = ask(bench, json!({"kubernetes": what})).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(sample.holds, holds, "{what}: {}", sample.detail);
    sample.detail
}

async fn undecided(bench: &Bench, what: Value) -> String {
    match ask(bench, json!({"kubernetes": what})).await {
        Err(ProbeError::Undecided(why)) => why,
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_well_is_well_and_what_is_not_is_named() {
    let double = Double::start();
    let bench = shop(&double);
    let three = json!({"equals": 3});
    is(&bench, true, json!({"target": "web", "ask": "ready_replicas", "value": three})).await;
    is(&bench, true, json!({"target": "pods", "ask": "ready_replicas", "value": three})).await;
    is(&bench, true, json!({"target": "service", "ask": "ready_replicas", "value": three})).await;
    is(&bench, true, json!({"target": "pods", "ask": "ready", "value": {"equals": "100%"}})).await;
    is(&bench, true, json!({"target": "pods", "ask": "count", "value": three})).await;
    is(&bench, true, json!({"target": "service", "ask": "endpoints", "value": three})).await;
    is(&bench, true, json!({"target": "web", "ask": "rollout", "value": {"equals": "finished"}})).await;
    is(&bench, true, json!({"target": "nodes", "ask": "nodes_ready", "value": three})).await;
    is(&bench, true, json!({"target": "zone", "ask": "nodes_ready", "value": {"equals": 1}})).await;
    is(&bench, true, json!({"target": "pods", "ask": "restarts", "value": {"equals": 0}})).await;
    let (sick, _) = double.pods("shop").into_iter().next().unwrap();
    double.sick("shop", &sick, true);
    double.wait(|d| d.ready("shop") == 2 && d.served("shop", "web") == 2);
    let said = is(&bench, false, json!({"target": "web", "ask": "ready_replicas", "value": three})).await;
    assert!(said.contains(&sick) && said.contains("wanted: `3`"), "{said}");
    let said = is(&bench, false, json!({"target": "pods", "ask": "ready", "value": {"at_least": "100%"}})).await;
    assert!(said.contains("66"), "{said}");
    is(&bench, true, json!({"target": "pods", "ask": "ready", "value": {"at_least": "60%"}})).await;
    is(&bench, true, json!({"target": "pods", "ask": "ready", "value": {"equals": 2}})).await;
    is(&bench, true, json!({"target": "service", "ask": "endpoints", "value": {"equals": 2}})).await;
    double.node_ready("n2", false);
    is(&bench, true, json!({"target": "nodes", "ask": "nodes_ready", "value": {"equals": 2}})).await;
    is(&bench, true, json!({"target": "zone", "ask": "nodes_ready", "value": {"equals": 0}})).await;
    let all = json!({"target": "nodes", "ask": "condition", "condition": "Ready", "value": {"equals": "True"}});
    assert!(is(&bench, false, all).await.contains("n2"));
}

#[tokio::test]
async fn a_rollout_that_cannot_end_is_stuck_and_says_why() {
    let double = Double::start();
    let bench = shop(&double);
    let image = |image: &str| {
        let image = json!(image);
        double
            .change("deployments", "shop", "web", |d| d["spec"]["template"]["spec"]["containers"][0]["image"] = image);
    };
    image(BAD_IMAGE);
    let rollout = |word: &str| json!({"kubernetes": {"target": "web", "ask": "rollout", "value": {"equals": word}}});
    bench
        .until("stuck", || async {
            let sample = ask(&bench, rollout("stuck")).await.unwrap();
            let why = sample.fields.get("reason").cloned().unwrap_or_default();
            if sample.holds && why.contains("Image") { Ok(()) } else { Err(sample.detail) }
        })
        .await;
    image("registry.example/web:3");
    bench
        .until("finished", || async {
            let sample = ask(&bench, rollout("finished")).await.unwrap();
            if sample.holds { Ok(()) } else { Err(sample.detail) }
        })
        .await;
    let said = is(&bench, false, json!({"target": "web", "ask": "rollout", "value": {"equals": "stuck"}})).await;
    assert!(said.contains("`finished`"), "{said}");
}

#[tokio::test]
async fn fields_and_conditions_are_those_of_every_object() {
    let double = Double::start();
    let bench = shop(&double);
    let field = |path: &str, value: Value| json!({"target": "web", "ask": "field", "json": path, "value": value});
    is(&bench, true, field("$.spec.replicas", json!({"equals": 3}))).await;
    assert!(is(&bench, false, field("$.spec.none", json!({"equals": 3}))).await.contains("nothing at"));
    let whole = json!({"cel": "value.status.readyReplicas == value.spec.replicas"});
    is(&bench, true, json!({"target": "web", "ask": "field", "value": whole})).await;
    assert!(undecided(&bench, field("spec", json!({"equals": 3}))).await.contains("no JSON path"));
    let of = |target: &str, word: &str| json!({"target": target, "ask": "condition", "condition": "Available", "value": {"equals": word}});
    is(&bench, true, of("web", "True")).await;
    is(&bench, true, of("pods", "missing")).await;
    let said = is(&bench, false, of("nobody", "True")).await;
    assert!(said.contains("nothing is `nobody`"), "{said}");
    is(&bench, true, json!({"target": "nobody", "ask": "count", "value": {"equals": 0}})).await;
}

#[tokio::test]
async fn what_a_secret_holds_is_compared_and_never_shown() {
    let double = Double::start();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "shop"}, "data": {"k": "aHVudGVyMg=="}});
    double.object(secret);
    let bench = bench(&double);
    for (value, holds) in [(json!({"equals": "aHVudGVyMg=="}), true), (json!({"equals": "other"}), false)] {
        let probe = json!({"kubernetes": {"target": "login", "ask": "field", "json": "$.data.k", "value": value}});
        let sample = ask(&bench, probe).await.unwrap();
        assert_eq!(sample.holds, holds, "{sample:?}");
        assert!(!format!("{sample:?}").contains("aHVudGVy"), "{sample:?}");
    }
    let number = json!({"target": "login", "ask": "field", "json": "$.data.k", "value": {"at_least": 1}});
    assert!(!undecided(&bench, number).await.contains("aHVudGVy"));
}

#[tokio::test]
async fn a_budget_is_kept_or_broken_by_what_its_controller_counts() {
    let double = Double::start();
    let bench = shop(&double);
    // What the controller counts is written by the test.
    double.settings(|s| s.controllers = false);
    let asked = |word: &str| json!({"target": "web", "ask": "budget", "value": {"equals": word}});
    assert!(is(&bench, true, asked("none")).await.contains("no budget"));
    let budget = |app: &str, healthy: i64| {
        double.object(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app, "namespace": "shop"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": app}}},
            "status": {"currentHealthy": healthy, "desiredHealthy": 2, "observedGeneration": 1}}));
    };
    budget("other", 0);
    is(&bench, true, asked("none")).await;
    budget("web", 3);
    assert!(is(&bench, true, asked("kept")).await.contains("web: 3 of 2"));
    budget("web", 1);
    assert!(is(&bench, false, asked("kept")).await.contains("web: 1 of 2"));
    is(&bench, true, json!({"target": "pods", "ask": "budget", "value": {"equals": "broken"}})).await;
    double.change("poddisruptionbudgets", "shop", "web", |b| drop(b.as_object_mut().unwrap().remove("status")));
    assert!(undecided(&bench, asked("kept")).await.contains("not looked"));
}

#[tokio::test]
async fn events_are_counted_that_are_about_the_objects() {
    let double = Double::start();
    let bench = shop(&double);
    let uid = double.get("deployments", "shop", "web").unwrap()["metadata"]["uid"].clone();
    let event = |name: &str, reason: &str, uid: &Value, count: i64| {
        double.object(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "shop"},
            "involvedObject": {"kind": "Deployment", "namespace": "shop", "name": "web", "uid": uid},
            "reason": reason, "message": "so it was", "count": count,
            "firstTimestamp": "2026-01-01T10:00:00Z", "lastTimestamp": "2026-01-01T10:00:05Z"}));
    };
    event("a", "ScalingReplicaSet", &uid, 2);
    event("b", "ScalingReplicaSet", &json!("of-another"), 5);
    event("c", "Other", &uid, 1);
    let count = |reason: Value, n: i64| {
        let mut what = json!({"target": "web", "ask": "events", "value": {"equals": n}});
        if !reason.is_null() {
            what["reason"] = reason;
        }
        what
    };
    assert!(is(&bench, true, count(json!("ScalingReplicaSet"), 2)).await.contains("so it was"));
    is(&bench, true, count(json!("None"), 0)).await;
    is(&bench, true, count(Value::Null, 3)).await;
}

#[tokio::test]
async fn what_cannot_be_asked_says_what_to_write() {
    let double = Double::start();
    let bench = shop(&double);
    double.object(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}}),
    );
    let any = json!({"equals": 1});
    for (target, question, words) in [
        ("web", "endpoints", "write `kind: service`"),
        ("settings", "ready", "`condition`, `field`, `count`"),
        ("settings", "ready_replicas", "name pods"),
        ("settings", "rollout", "name a deployment"),
        ("service", "budget", "name pods or a workload"),
        ("pods", "nodes_ready", "`kind: node`"),
    ] {
        let why = undecided(&bench, json!({"target": target, "ask": question, "value": any})).await;
        assert!(why.contains(words), "{question} of {target}: {why}");
    }
    let odd = Bench::new(&double.access(), "shop").target("odd", json!({"kind": "gizmo", "name": "x"}));
    let error = ask(&odd, json!({"kubernetes": {"target": "odd", "ask": "count", "value": any}})).await.unwrap_err();
    assert!(matches!(&error, ProbeError::World(AdapterError::Missing(why)) if why.contains("gizmo")), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_slow_refuses_or_is_old_is_told_apart() {
    let double = Double::start();
    let bench = shop(&double);
    double.user("ann", vec![Rule::of("shop", "apps", "deployments", "get,list")]);
    let ann = Bench::new(&double.access_of("ann"), "shop").target("web", json!({"kind": "deployment", "name": "web"}));
    let ready = |timeout: &str| json!({"kubernetes": {"target": "web", "ask": "ready_replicas", "value": {"equals": 3}, "timeout": timeout}});
    let error = ask(&ann, ready("30s")).await.unwrap_err();
    assert!(matches!(&error, ProbeError::World(AdapterError::Refused(why)) if why.contains("pods")), "{error:?}");
    double.harm_once(Only::verb("list").of("pods"), Harm::Hang);
    let error = ask(&bench, ready("500ms")).await.unwrap_err();
    assert!(matches!(error, ProbeError::World(AdapterError::TimedOut(_))), "{error:?}");
    let old = Double::old();
    let bench = shop(&old);
    is(&bench, true, json!({"target": "service", "ask": "endpoints", "value": {"equals": 3}})).await;
    is(&bench, true, json!({"target": "web", "ask": "budget", "value": {"equals": "none"}})).await;
}
