//! Faults on nodes and zones: each scenario takes a cluster with nodes in two zones that nobody else uses meanwhile, so
//! that all of them run on the double, on a real control plane, and on a cluster that is given
//! (`BLACKSTART_TEST_CLUSTER=given` and `KUBECONFIG`).

use super::conforms::{
    Bench, as_before, bites, conforms, everything, fault, from_journal, heals, heals_after, picture, prepared,
};
use super::double::Double;
use super::scene::{self, Scenario, empty, end, kind, make, refusal, scenes, web, whole};
use blackstart::adapters::kubernetes::{Access, Object, Patch, Write};
use blackstart::faults::Scope;
use blackstart::model::TargetRef;
use serde_json::{Value, json};
use std::time::Duration;

/// On every cluster.
pub const ALL: &[(&str, Scenario)] = scenes![
    nodes_are_cordoned,
    nodes_are_tainted,
    nodes_are_drained,
    a_budget_holds_a_drain_up,
    zones_are_lost,
    pods_of_nobody_are_not_lost,
];

const ZONE: &str = "topology.kubernetes.io/zone";

/// Targets `node` and `other` in one zone, and `zone`: all nodes of that zone.
async fn nodes(bench: Bench) -> Bench {
    let all = bench.list(&kind("node")).await;
    let zone = all[0].label(ZONE).expect("a zone").to_owned();
    let here: Vec<&Object> = all.iter().filter(|node| node.label(ZONE) == Some(&zone)).collect();
    assert!(here.len() >= 2 && here.len() < all.len(), "two zones, and two nodes in the first");
    let node = |node: &Object| json!({"kind": "node", "name": node.name()});
    bench
        .target("node", node(here[0]))
        .target("other", node(here[1]))
        .target("both", json!({"kind": "node", "labels": format!("kubernetes.io/hostname in ({},{})", here[0].name(), here[1].name())}))
        .target("zone", json!({"kind": "node", "zone": zone}))
        .target("far", json!({"kind": "node", "labels": format!("{ZONE} notin ({zone})")}))
}

/// The target of a zone in which pods are.
async fn with_pods(bench: &Bench) -> &'static str {
    let found = Scope::target(bench, &TargetRef::Now("zone".to_owned())).await.unwrap();
    let pods = bench.list(&kind("pod")).await;
    let here = |pod: &Object| found.objects.iter().any(|node| node.name == pod.text("/spec/nodeName"));
    if pods.iter().any(here) { "zone" } else { "far" }
}

async fn name_of(bench: &Bench, target: &str) -> String {
    let found = Scope::target(bench, &TargetRef::Now(target.to_owned())).await.unwrap();
    found.objects[0].name.clone()
}

async fn change(bench: &Bench, node: &str, patch: Value) {
    let at = kind("node").at(None, node);
    bench.cluster().await.patch(&at, None, &Patch::Merge(patch), Write::Real).await.unwrap();
}

/// Waits until the cluster's own taints are as the node is.
async fn settled(bench: &Bench) {
    bench
        .until("settled", || async {
            for node in bench.list(&kind("node")).await {
                let shut = node.0.pointer("/spec/unschedulable").is_some();
                let tainted = node.items("/spec/taints").iter().any(|t| t["key"] == "node.kubernetes.io/unschedulable");
                if shut != tainted {
                    return Err(node.0.to_string());
                }
            }
            Ok(())
        })
        .await;
}

async fn nodes_are_cordoned(access: &Access) {
    let bench = nodes(web(access, "cordon").await).await;
    whole(&bench, json!({"node_cordon": {"target": "both"}}), everything).await;
    // One that was cordoned before stays so.
    let other = name_of(&bench, "other").await;
    change(&bench, &other, json!({"spec": {"unschedulable": true}})).await;
    settled(&bench).await;
    conforms(&bench, &fault(json!({"node_cordon": {"target": "both"}})), everything).await;
    let said = refusal(&bench, json!({"node_cordon": {"target": "other"}})).await;
    assert!(said.contains("cordoned already"), "{said}");
    change(&bench, &other, json!({"spec": {"unschedulable": null}})).await;
    settled(&bench).await;
    // One fault at a time, on each node.
    let first = prepared(&fault(json!({"node_cordon": {"target": "node"}})), &bench).await;
    first.inject(&bench.cx()).await.unwrap();
    let name = name_of(&bench, "node").await;
    let second = Bench::new(access, &bench.namespace).target("node", json!({"kind": "node", "name": name}));
    let said = refusal(&second, json!({"node_taint": {"target": "node"}})).await;
    assert!(said.contains(&format!("under the fault {}", bench.tag())), "{said}");
    heals(&first, &bench).await;
    settled(&bench).await;
    end(&bench).await;
}

async fn nodes_are_tainted(access: &Access) {
    let bench = nodes(web(access, "taint").await).await;
    let soft = json!({"node_taint": {"target": "both", "key": "drill", "value": "x", "effect": "NoSchedule"}});
    whole(&bench, soft.clone(), everything).await;
    conforms(&bench, &fault(json!({"node_taint": {"target": "node"}})), everything).await;
    // Taints of others stay; a node that has this one already is left alone.
    let other = name_of(&bench, "other").await;
    let theirs = json!([{"key": "drill", "value": "theirs", "effect": "NoSchedule"}]);
    change(&bench, &other, json!({"spec": {"taints": theirs}})).await;
    conforms(&bench, &fault(soft.clone()), everything).await;
    let hard = json!({"node_taint": {"target": "both", "key": "drill", "effect": "NoExecute"}});
    conforms(&bench, &fault(hard), everything).await;
    let said =
        refusal(&bench, json!({"node_taint": {"target": "other", "key": "drill", "effect": "NoSchedule"}})).await;
    assert!(said.contains("has the taint drill already"), "{said}");
    change(&bench, &other, json!({"spec": {"taints": null}})).await;
    // Somebody else adds one while ours is on, and takes it off later.
    let node = name_of(&bench, "node").await;
    let own = fault(json!({"node_taint": {"target": "node", "effect": "NoSchedule"}}));
    heals_after(&bench, &own, || async {
        let now = scene::get(&bench, "node", &node).await;
        let mut taints = now.items("/spec/taints").to_vec();
        taints.push(json!({"key": "meanwhile", "effect": "PreferNoSchedule"}));
        change(&bench, &node, json!({"spec": {"taints": taints}})).await;
    })
    .await;
    let left = scene::get(&bench, "node", &node).await;
    assert_eq!(left.items("/spec/taints"), [json!({"key": "meanwhile", "effect": "PreferNoSchedule"})]);
    change(&bench, &node, json!({"spec": {"taints": null}})).await;
    end(&bench).await;
}

async fn nodes_are_drained(access: &Access) {
    let bench = nodes(web(access, "drain").await).await;
    for budgets in ["honour", "ignore"] {
        let parameters = json!({"node_drain": {"target": "both", "budgets": budgets, "timeout": "60s", "grace": "1s"}});
        let before = picture(&bench, everything).await;
        conforms(&bench, &fault(parameters.clone()), everything).await;
        let fault = prepared(&fault(parameters), &bench).await;
        fault.inject(&bench.cx()).await.unwrap();
        let both = [name_of(&bench, "node").await, name_of(&bench, "other").await];
        for pod in bench.list(&kind("pod")).await {
            assert!(!both.iter().any(|node| node == pod.text("/spec/nodeName")), "{} is there", pod.name());
        }
        heals(&from_journal(&fault, &bench), &bench).await;
        as_before(&bench, &before, everything).await;
    }
    end(&bench).await;
}

async fn a_budget_holds_a_drain_up(access: &Access) {
    let bench = nodes(web(access, "budget").await).await;
    let budgets = bench.cluster().await.kind("poddisruptionbudgets.policy").await.unwrap();
    let spec = json!({"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}});
    let budget = json!({"metadata": {"name": "all-of-web"}, "spec": spec});
    bench.cluster().await.create(&budgets, Some(&bench.namespace), &budget, Write::Real).await.unwrap();
    let at = budgets.at(Some(&bench.namespace), "all-of-web");
    bench
        .until("counted", || async {
            let now = bench.cluster().await.get(&at).await.unwrap().unwrap();
            if now.number("/status/currentHealthy") == Some(3) { Ok(()) } else { Err(now.0.to_string()) }
        })
        .await;
    let before = picture(&bench, everything).await;
    for kind_of_fault in ["node_drain", "zone_loss"] {
        let mut parameters = json!({kind_of_fault: {"target": with_pods(&bench).await, "timeout": "1s"}});
        let held = prepared(&fault(parameters.clone()), &bench).await;
        held.rehearse(&bench.cx()).await.expect("that a budget is used up now is no refusal");
        let said = held.inject(&bench.cx()).await.expect_err("the budget holds it up").to_string();
        assert!(said.contains("/all-of-web (it allows 0 disruptions now)"), "{said}");
        heals(&from_journal(&held, &bench), &bench).await;
        as_before(&bench, &before, everything).await;
        let (_, fields) = parameters.as_object_mut().unwrap().iter_mut().next().unwrap();
        fields["budgets"] = json!("ignore");
        fields["timeout"] = json!("60s");
        fields["grace"] = json!("0s");
        conforms(&bench, &fault(parameters), everything).await;
    }
    end(&bench).await;
}

async fn zones_are_lost(access: &Access) {
    let bench = nodes(web(access, "zone").await).await;
    for budgets in ["honour", "ignore"] {
        let parameters = json!({"zone_loss": {"target": "zone", "budgets": budgets, "grace": "1s", "timeout": "60s"}});
        conforms(&bench, &fault(parameters), everything).await;
    }
    let said = refusal(&bench, json!({"zone_loss": {"target": "node"}})).await;
    assert!(said.contains("a zone is lost as a whole, and the target leaves out"), "{said}");
    end(&bench).await;
}

async fn pods_of_nobody_are_not_lost(access: &Access) {
    let bench = nodes(empty(access, "nobody").await).await;
    let name = name_of(&bench, "node").await;
    let mut pod = scene::template("lone");
    pod["metadata"]["name"] = json!("lone");
    pod["spec"]["nodeName"] = json!(name);
    make(&bench, "pod", &pod).await;
    bench.ready(("app", "lone"), 1).await;
    let said = refusal(&bench, json!({"node_drain": {"target": "node"}})).await;
    assert!(said.contains("/lone; write `unmanaged: leave`"), "{said}");
    for parameters in [json!({"node_taint": {"target": "node"}}), json!({"zone_loss": {"target": "zone"}})] {
        let said = refusal(&bench, parameters).await;
        assert!(said.contains("/lone; move them away before"), "{said}");
    }
    conforms(&bench, &fault(json!({"node_drain": {"target": "node", "unmanaged": "leave"}})), everything).await;
    end(&bench).await;
}

fn double() -> Double {
    let double = Double::start();
    double.seed_nodes(4, &["a", "b"]);
    double
}

macro_rules! on_the_double {
    ($($name:ident => $scenario:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            $scenario(&double().access()).await;
        }
    )*};
}

on_the_double! {
    double_nodes_are_cordoned => nodes_are_cordoned,
    double_nodes_are_tainted => nodes_are_tainted,
    double_nodes_are_drained => nodes_are_drained,
    double_a_budget_holds_a_drain_up => a_budget_holds_a_drain_up,
    double_zones_are_lost => zones_are_lost,
    double_pods_of_nobody_are_not_lost => pods_of_nobody_are_not_lost,
}

#[tokio::test]
async fn double_a_drain_or_a_zone_may_die_anywhere() {
    let double = double();
    let bench = nodes(web(&double.access(), "dies").await).await;
    for parameters in [
        json!({"node_drain": {"target": "both", "budgets": "honour"}}),
        json!({"zone_loss": {"target": "zone", "budgets": "ignore", "grace": "0s"}}),
    ] {
        super::conforms::heals_any_half(&bench, &fault(parameters), everything).await;
    }
}

#[tokio::test]
async fn double_a_drain_waits_for_pods_elsewhere() {
    let double = Double::start();
    double.node("n1", "a", "r");
    double.deploy("shop", "web", 3);
    double.object(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"namespace": "shop", "name": "two"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}));
    double.node("n2", "b", "r");
    double.settings(|settings| settings.ready_after = Duration::from_millis(100));
    let bench = Bench::new(&double.access(), "shop").target("node", json!({"kind": "node", "name": "n1"}));
    let fault = prepared(&fault(json!({"node_drain": {"target": "node"}})), &bench).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let watch = async {
        let mut least = 3;
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            least = least.min(double.ready("shop"));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        least
    };
    let drain = async {
        let drained = fault.inject(&bench.cx()).await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        drained
    };
    let (least, drained) = tokio::join!(watch, drain);
    drained.unwrap();
    assert_eq!(least, 2, "one at a time");
    bites(&fault, &bench).await;
    assert!(double.pods("shop").iter().all(|(_, node)| node == "n2"), "{:?}", double.pods("shop"));
    heals(&from_journal(&fault, &bench), &bench).await;
}

#[tokio::test]
async fn double_what_the_node_runs_itself_and_what_comes_late_stays() {
    let double = double();
    let bench = nodes(web(&double.access(), "stays").await).await;
    double.object(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": bench.namespace, "name": "static", "labels": {"app": "static"},
            "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "registry.example/c:1"}],
            "tolerations": [{"operator": "Exists"}]}}));
    bench.ready(("app", "static"), 1).await;
    let fault = prepared(&fault(json!({"node_drain": {"target": "both"}})), &bench).await;
    double.change("nodes", "", "n2", |node| node["spec"]["unschedulable"] = json!(true));
    double.change("nodes", "", "n4", |node| node["spec"]["unschedulable"] = json!(true));
    make(&bench, "deployment", &scene::deployment("late", 1)).await;
    bench.ready(("app", "late"), 1).await;
    for node in ["n2", "n4"] {
        double.change("nodes", "", node, |node| node["spec"]["unschedulable"] = json!(false));
    }
    fault.inject(&bench.cx()).await.unwrap();
    let look = fault.effective(&bench.cx()).await.unwrap();
    assert!(look.holds && look.detail.contains("came after the drill had looked, and left"), "{look:?}");
    bench.ready(("app", "late"), 1).await;
    bench.ready(("app", "static"), 1).await;
    // A node that is gone and one that was replaced do not keep the others closed.
    double.remove("nodes", "", "n1");
    heals(&from_journal(&fault, &bench), &bench).await;
    let other = scene::get(&bench, "node", "n3").await;
    assert!(other.0.pointer("/spec/unschedulable").is_none() && other.label("blackstart.dev/owner").is_none());
}
