//! Faults on pods and workloads: each scenario takes a cluster and makes itself a namespace there, so that all of them run
//! on the double, on a real control plane, and on a cluster that is given (`BLACKSTART_TEST_CLUSTER=given` and
//! `KUBECONFIG`). What every fault must hold is in `conforms`.

use super::conforms::{
    Bench, Ignore, as_before, conforms, everything, fault, from_journal, heals, heals_after, heals_any_half, picture,
    prepared,
};
use super::contract::fresh;
use super::control_plane::{ControlPlane, given};
use super::double::Double;
use super::node::{Nodes, Place};
use blackstart::adapters::kubernetes::{Access, ClusterError, Deletion, Kind, Object, Patch, Write};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

/// What a container does all day; it ends when it is asked to, also as the first of its processes.
const PROGRAM: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

type Scenario = for<'a> fn(&'a Access) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |access| Box::pin($name(access)))),*] };
}

/// On every cluster.
const ALL: &[(&str, Scenario)] = scenarios![
    pods_are_deleted,
    a_pod_of_nobody_is_made_anew,
    pods_are_evicted_as_budgets_allow,
    deployments_are_scaled,
    what_others_do_to_a_scaled_workload_stays,
    deployments_are_restarted,
    a_bad_image_is_rolled_back,
    what_others_roll_out_stays,
    a_registry_is_down,
    a_namespace_is_taken_down,
    nodes_are_pressed,
    one_fault_at_a_time,
];

/// Only where containers are processes, and sets are rolled out.
const REAL: &[(&str, Scenario)] = scenarios![containers_are_ended_from_inside, sets_of_all_kinds];

fn kind(name: &str) -> Kind {
    Kind::known(name).unwrap()
}

fn template(app: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "web", "image": "registry.example/web:1", "command": ["/bin/sh", "-c", PROGRAM]}],
        },
    })
}

fn workload(what: &str, name: &str, replicas: u64) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": template(name)});
    if what != "DaemonSet" {
        spec["replicas"] = json!(replicas);
    }
    if what == "StatefulSet" {
        spec["serviceName"] = json!(name);
    }
    json!({"apiVersion": "apps/v1", "kind": what, "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

async fn make(bench: &Bench, name: &str, object: &Value) {
    // A namespace that is new has no account with a token for its pods yet: a 1.20 asks to come again.
    bench
        .until("made", || async {
            match bench.cluster().await.create(&kind(name), Some(&bench.namespace), object, Write::Real).await {
                Ok(_) | Err(ClusterError::Exists(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
}

async fn merge(bench: &Bench, name: &str, of: &str, patch: Value) {
    let at = kind(name).at(Some(&bench.namespace), of);
    bench.cluster().await.patch(&at, None, &Patch::Merge(patch), Write::Real).await.unwrap();
}

async fn get(bench: &Bench, name: &str, of: &str) -> Object {
    bench.cluster().await.get(&kind(name).at(Some(&bench.namespace), of)).await.unwrap().expect("it is there")
}

async fn remove(bench: &Bench, name: &str, of: &str) {
    let at = kind(name).at(Some(&bench.namespace), of);
    bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
    bench
        .until("gone", || async {
            let there = bench.cluster().await.get(&at).await.unwrap();
            if there.is_none() { Ok(()) } else { Err(format!("{at} is there")) }
        })
        .await;
}

/// A new namespace with a Deployment `web` of three pods; targets `web` and `pods`.
async fn place(access: &Access, what: &str) -> Bench {
    let bench = empty(access, what).await;
    make(&bench, "deployment", &workload("Deployment", "web", 3)).await;
    bench.ready(("app", "web"), 3).await;
    bench.target("web", json!({"kind": "deployment", "name": "web"})).target("pods", json!({"labels": "app=web"}))
}

async fn empty(access: &Access, what: &str) -> Bench {
    let namespace = fresh(what);
    let bench = Bench::new(access, &namespace);
    let object = json!({"metadata": {"name": namespace}});
    bench.cluster().await.create(&kind("namespace"), None, &object, Write::Real).await.unwrap();
    bench
}

async fn end(bench: &Bench) {
    let at = kind("namespace").at(None, &bench.namespace);
    bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
}

/// A restart leaves its annotation, and each rollout a revision.
fn rollouts(object: &mut Object) {
    if matches!(object.text("/kind"), "ReplicaSet" | "ControllerRevision") || object.0.get("revision").is_some() {
        object.0 = Value::Null;
        return;
    }
    let of_a_deployment = object.owners().iter().any(|owner| owner.kind == "Deployment");
    if of_a_deployment {
        object.0 = Value::Null;
    } else if let Some(template) = object.0.pointer_mut("/spec/template/metadata") {
        template.as_object_mut().unwrap().remove("annotations");
    }
}

async fn whole(bench: &Bench, parameters: Value, ignore: Ignore) {
    let spec = fault(parameters);
    conforms(bench, &spec, ignore).await;
    heals_any_half(bench, &spec, ignore).await;
}

async fn pods_are_deleted(access: &Access) {
    let bench = place(access, "delete").await;
    whole(&bench, json!({"pod_delete": {"target": "pods", "grace": "0s"}}), everything).await;
    // With grace, and the workload is gone with the pods.
    let spec = fault(json!({"pod_delete": {"target": "pods"}}));
    heals_after(&bench, &spec, || remove(&bench, "deployment", "web")).await;
    end(&bench).await;
}

async fn a_pod_of_nobody_is_made_anew(access: &Access) {
    let bench = empty(access, "lone").await.target("pods", json!({"name": "lone"}));
    let mut pod = template("lone");
    pod["metadata"]["name"] = json!("lone");
    make(&bench, "pod", &pod).await;
    bench.ready(("app", "lone"), 1).await;
    let spec = fault(json!({"pod_delete": {"target": "pods"}}));
    let before = get(&bench, "pod", "lone").await;
    whole(&bench, json!({"pod_delete": {"target": "pods"}}), everything).await;
    let after = get(&bench, "pod", "lone").await;
    assert_ne!(before.uid(), after.uid());
    for part in ["/metadata/labels", "/spec/containers/0/command", "/spec/terminationGracePeriodSeconds"] {
        assert_eq!(before.0.pointer(part), after.0.pointer(part), "{part}");
    }
    // Somebody else has made one of its name meanwhile: it stays.
    let (pods, made) = (&pod, &bench);
    heals_after(&bench, &spec, || async move {
        let at = kind("pod").at(Some(&made.namespace), "lone");
        made.until("gone", || async {
            let there = made.cluster().await.get(&at).await.unwrap();
            if there.is_none() { Ok(()) } else { Err("there".to_owned()) }
        })
        .await;
        let mut theirs = pods.clone();
        theirs["metadata"]["annotations"] = json!({"theirs": "yes"});
        make(made, "pod", &theirs).await;
    })
    .await;
    assert_eq!(get(&bench, "pod", "lone").await.annotation("theirs"), Some("yes"));
    end(&bench).await;
}

async fn pods_are_evicted_as_budgets_allow(access: &Access) {
    let bench = place(access, "evict").await;
    whole(&bench, json!({"pod_evict": {"target": "pods", "grace": "1s"}}), everything).await;
    let budgets = bench.cluster().await.kind("poddisruptionbudgets.policy").await.unwrap();
    let spec = json!({"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}});
    let budget = json!({"metadata": {"name": "all-of-web"}, "spec": spec});
    bench.cluster().await.create(&budgets, Some(&bench.namespace), &budget, Write::Real).await.unwrap();
    bench
        .until("counted", || async {
            let now =
                bench.cluster().await.get(&budgets.at(Some(&bench.namespace), "all-of-web")).await.unwrap().unwrap();
            if now.number("/status/currentHealthy") == Some(3) { Ok(()) } else { Err(now.0.to_string()) }
        })
        .await;
    let before = picture(&bench, everything).await;
    let refused = prepared(&fault(json!({"pod_evict": {"target": "pods"}})), &bench).await;
    let said = refused.inject(&bench.cx()).await.expect_err("the budget refuses").to_string();
    assert!(said.contains("disruption budget `all-of-web`, 3 healthy and 3 needed"), "{said}");
    heals(&from_journal(&refused, &bench), &bench).await;
    as_before(&bench, &before, everything).await;
    end(&bench).await;
}

async fn deployments_are_scaled(access: &Access) {
    let bench = place(access, "scale").await;
    whole(&bench, json!({"workload_scale": {"target": "web"}}), everything).await;
    conforms(&bench, &fault(json!({"workload_scale": {"target": "web", "to": 1}})), everything).await;
    conforms(&bench, &fault(json!({"workload_scale": {"target": "web", "to": 4}})), everything).await;
    let as_is = fault(json!({"workload_scale": {"target": "web", "to": 3}}));
    let said = as_is.prepare(&bench.cx()).await.err().expect("nothing to break").to_string();
    assert!(said.contains("3 replicas already"), "{said}");
    end(&bench).await;
}

async fn what_others_do_to_a_scaled_workload_stays(access: &Access) {
    let bench = place(access, "meddle").await;
    let spec = fault(json!({"workload_scale": {"target": "web"}}));
    heals_after(&bench, &spec, || merge(&bench, "deployment", "web", json!({"spec": {"replicas": 2}}))).await;
    assert_eq!(get(&bench, "deployment", "web").await.number("/spec/replicas"), Some(2));
    bench.ready(("app", "web"), 2).await;
    // Another of its name is not ours, whatever number it has.
    heals_after(&bench, &spec, || async {
        remove(&bench, "deployment", "web").await;
        make(&bench, "deployment", &workload("Deployment", "web", 0)).await;
    })
    .await;
    assert_eq!(get(&bench, "deployment", "web").await.number("/spec/replicas"), Some(0));
    // One that was brought back from a copy made meanwhile carries our mark: it is healed like the one before.
    merge(&bench, "deployment", "web", json!({"spec": {"replicas": 1}})).await;
    bench.ready(("app", "web"), 1).await;
    heals_after(&bench, &spec, || async {
        let mut copy = get(&bench, "deployment", "web").await.0;
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"] {
            copy["metadata"].as_object_mut().unwrap().remove(field);
        }
        remove(&bench, "deployment", "web").await;
        make(&bench, "deployment", &copy).await;
    })
    .await;
    assert_eq!(get(&bench, "deployment", "web").await.number("/spec/replicas"), Some(1));
    heals_after(&bench, &spec, || remove(&bench, "deployment", "web")).await;
    end(&bench).await;
}

async fn deployments_are_restarted(access: &Access) {
    let bench = place(access, "restart").await;
    whole(&bench, json!({"workload_restart": {"target": "web"}}), rollouts).await;
    merge(&bench, "deployment", "web", json!({"spec": {"paused": true}})).await;
    let spec = fault(json!({"workload_restart": {"target": "web"}}));
    let said = spec.prepare(&bench.cx()).await.err().expect("nothing to break").to_string();
    assert!(said.contains("paused"), "{said}");
    end(&bench).await;
}

fn bad(target: &str) -> Value {
    json!({"workload_image": {"target": target, "image": "registry.blackstart.invalid/web:2"}})
}

async fn a_bad_image_is_rolled_back(access: &Access) {
    let bench = place(access, "image").await;
    whole(&bench, bad("web"), everything).await;
    heals_after(&bench, &fault(bad("web")), || remove(&bench, "deployment", "web")).await;
    end(&bench).await;
}

async fn what_others_roll_out_stays(access: &Access) {
    let bench = place(access, "theirs").await;
    heals_after(&bench, &fault(bad("web")), || async {
        let mut containers = template("web")["spec"]["containers"].clone();
        containers[0]["image"] = json!("registry.example/web:fixed");
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        merge(&bench, "deployment", "web", patch).await;
    })
    .await;
    let now = get(&bench, "deployment", "web").await;
    assert_eq!(now.text("/spec/template/spec/containers/0/image"), "registry.example/web:fixed");
    end(&bench).await;
}

async fn a_registry_is_down(access: &Access) {
    let bench = place(access, "registry").await;
    let parameters = json!({"image_unavailable": {"target": "web", "registry": "registry.example"}});
    whole(&bench, parameters.clone(), everything).await;
    let none = fault(json!({"image_unavailable": {"target": "web", "registry": "quay.io"}}));
    let said = none.prepare(&bench.cx()).await.err().expect("nothing to break").to_string();
    assert!(said.contains("no image of `quay.io`"), "{said}");
    // What runs goes on; a pod that must start meanwhile cannot, and does after it is healed.
    let before = picture(&bench, everything).await;
    let pods = bench.list(&kind("pod")).await;
    let spec = fault(parameters);
    heals_after(&bench, &spec, || async {
        let still: Vec<String> = bench.list(&kind("pod")).await.iter().map(|pod| pod.uid().to_owned()).collect();
        assert_eq!(still, pods.iter().map(|pod| pod.uid().to_owned()).collect::<Vec<_>>());
        let at = pods[0].at(&kind("pod"));
        bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
        bench
            .until("waiting for its image", || async {
                let all = bench.list(&kind("pod")).await;
                let waits =
                    |pod: &&Object| pod.text("/status/containerStatuses/0/state/waiting/reason").contains("Image");
                if all.iter().any(|pod| waits(&pod)) { Ok(()) } else { Err("none waits".to_owned()) }
            })
            .await;
    })
    .await;
    as_before(&bench, &before, everything).await;
    end(&bench).await;
}

async fn a_namespace_is_taken_down(access: &Access) {
    let bench = place(access, "region").await;
    let name = bench.namespace.clone();
    let bench = bench.target("all", json!({"kind": "namespace", "name": name, "home": name}));
    make(&bench, "deployment", &workload("Deployment", "api", 1)).await;
    make(&bench, "deployment", &workload("Deployment", "off", 0)).await;
    bench.ready(("app", "api"), 1).await;
    whole(&bench, json!({"namespace_scale_down": {"target": "all"}}), everything).await;
    // One that was deleted meanwhile does not keep the others down.
    let spec = fault(json!({"namespace_scale_down": {"target": "all"}}));
    heals_after(&bench, &spec, || remove(&bench, "deployment", "api")).await;
    bench.ready(("app", "web"), 3).await;
    end(&bench).await;
}

async fn nodes_are_pressed(access: &Access) {
    let bench = place(access, "press").await;
    // A program that does next to nothing: that it is there is what is tried here.
    let command = json!(["/bin/sh", "-c", PROGRAM]);
    let press = json!({"pod_pressure": {"target": "pods", "image": "registry.example/busybox", "command": command}});
    whole(&bench, press.clone(), everything).await;
    let mut spec = fault(press);
    spec.bound(std::time::Duration::from_secs(60));
    heals_after(&bench, &spec, || async {
        let all = bench.list(&kind("pod")).await;
        let helper = all.iter().find(|pod| pod.label("blackstart.dev/record") == Some("helper")).expect("a helper");
        assert_eq!(helper.number("/spec/activeDeadlineSeconds"), Some(90));
        let at = helper.at(&kind("pod"));
        bench
            .cluster()
            .await
            .delete(&at, &Deletion { grace: Some(0), ..Deletion::default() }, Write::Real)
            .await
            .unwrap();
    })
    .await;
    let nothing = fault(json!({"pod_pressure": {"target": "pods", "image": "busybox"}}));
    let said = nothing.prepare(&bench.cx()).await.err().expect("nothing is said").to_string();
    assert!(said.contains("`cpu`"), "{said}");
    end(&bench).await;
}

async fn one_fault_at_a_time(access: &Access) {
    let bench = place(access, "twice").await;
    let other = Bench::new(access, &bench.namespace).target("web", json!({"kind": "deployment", "name": "web"}));
    let late = prepared(&fault(bad("web")), &other).await;
    let first = prepared(&fault(json!({"workload_scale": {"target": "web", "to": 1}})), &bench).await;
    first.inject(&bench.cx()).await.unwrap();
    let said = fault(bad("web")).prepare(&other.cx()).await.err().expect("it is taken").to_string();
    assert!(said.contains(&format!("under the fault {}", bench.tag())), "{said}");
    // One that was prepared before is refused, and healing it does not touch what the other has done.
    let said = late.inject(&other.cx()).await.expect_err("it is taken").to_string();
    assert!(said.contains(&format!("under the fault {}", bench.tag())), "{said}");
    late.heal(&other.cx()).await.unwrap();
    let now = get(&bench, "deployment", "web").await;
    assert_eq!((now.number("/spec/replicas"), now.label("blackstart.dev/owner")), (Some(1), Some(&*bench.tag())));
    heals(&first, &bench).await;
    heals(&late, &other).await;
    end(&bench).await;
}

async fn containers_are_ended_from_inside(access: &Access) {
    let bench = place(access, "kill").await;
    let spec = fault(json!({"pod_container_kill": {"target": "pods"}}));
    conforms(&bench, &spec, everything).await;
    let in_vain = fault(json!({"pod_container_kill": {"target": "pods", "signal": "KILL"}}));
    let said = in_vain.prepare(&bench.cx()).await.err().expect("the kernel keeps it").to_string();
    assert!(said.contains("TERM"), "{said}");
    let wrong = json!({"pod_container_kill": {"target": "pods", "command": ["/bin/sh", "-c", "exit 3"]}});
    let wrong = prepared(&fault(wrong), &bench).await;
    let said = wrong.inject(&bench.cx()).await.expect_err("it fails").to_string();
    assert!(said.contains("exit status 3"), "{said}");
    end(&bench).await;
}

/// StatefulSets and DaemonSets, which have revisions of their own, and their controllers' ways.
async fn sets_of_all_kinds(access: &Access) {
    let bench = empty(access, "sets").await;
    make(&bench, "statefulset", &workload("StatefulSet", "db", 2)).await;
    make(&bench, "daemonset", &workload("DaemonSet", "agent", 0)).await;
    bench.ready(("app", "db"), 2).await;
    let nodes = bench.list(&kind("node")).await.len();
    bench.ready(("app", "agent"), nodes).await;
    let name = bench.namespace.clone();
    let bench = bench
        .target("db", json!({"kind": "statefulset", "name": "db"}))
        .target("agent", json!({"kind": "daemonset", "name": "agent"}))
        .target("all", json!({"kind": "namespace", "name": name, "home": name}));
    whole(&bench, json!({"namespace_scale_down": {"target": "all"}}), everything).await;
    for target in ["db", "agent"] {
        whole(&bench, bad(target), everything).await;
        whole(&bench, json!({"image_unavailable": {"target": target}}), everything).await;
        conforms(&bench, &fault(json!({"workload_restart": {"target": target}})), rollouts).await;
    }
    end(&bench).await;
}

/// So many at once.
const AT_ONCE: usize = 4;

/// Runs scenarios side by side, and says all that do not hold.
async fn hold(access: &Access, scenarios: &[(&str, Scenario)]) {
    let one = |(name, scenario): &(&str, Scenario)| {
        let (name, scenario) = ((*name).to_owned(), *scenario);
        async move {
            let begun = std::time::Instant::now();
            let held = AssertUnwindSafe(scenario(access)).catch_unwind().await;
            println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
            held.err().map(|_| name)
        }
    };
    let broken: Vec<Option<String>> = stream::iter(scenarios).map(one).buffer_unordered(AT_ONCE).collect().await;
    let broken: Vec<String> = broken.into_iter().flatten().collect();
    assert!(broken.is_empty(), "these do not hold (their panics are above): {}", broken.join(", "));
}

#[tokio::test]
async fn faults_on_workloads_hold_on_a_real_control_plane() {
    let all: Vec<(&str, Scenario)> = ALL.iter().chain(REAL).copied().collect();
    if let Some(kubeconfig) = given() {
        return hold(&Access { kubeconfig: Some(kubeconfig), context: None }, &all).await;
    }
    let plane = ControlPlane::start();
    let _nodes = Nodes::start(&plane, &Place::over("region-a", &["a", "b"], 3));
    hold(&Access { kubeconfig: Some(plane.kubeconfig()), context: None }, &all).await;
}

macro_rules! on_the_double {
    ($($name:ident => $scenario:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let double = Double::start();
            double.seed_nodes(3, &["a", "b"]);
            $scenario(&double.access()).await;
        }
    )*};
}

on_the_double! {
    double_pods_are_deleted => pods_are_deleted,
    double_a_pod_of_nobody_is_made_anew => a_pod_of_nobody_is_made_anew,
    double_pods_are_evicted_as_budgets_allow => pods_are_evicted_as_budgets_allow,
    double_deployments_are_scaled => deployments_are_scaled,
    double_what_others_do_to_a_scaled_workload_stays => what_others_do_to_a_scaled_workload_stays,
    double_deployments_are_restarted => deployments_are_restarted,
    double_a_bad_image_is_rolled_back => a_bad_image_is_rolled_back,
    double_what_others_roll_out_stays => what_others_roll_out_stays,
    double_a_registry_is_down => a_registry_is_down,
    double_a_namespace_is_taken_down => a_namespace_is_taken_down,
    double_nodes_are_pressed => nodes_are_pressed,
    double_one_fault_at_a_time => one_fault_at_a_time,
}
