//! Faults on configuration, services, networks, volume claims and objects of any kind: each scenario takes a cluster and
//! makes itself a namespace there, so that all of them run on the double, on a real control plane (with those of `nodes`),
//! and on a cluster that is given (`BLACKSTART_TEST_CLUSTER=given` and `KUBECONFIG`).

use super::conforms::{
    Bench, as_before, bites, conforms, everything, fault, from_journal, heals, heals_after, heals_any_half, picture,
    prepared,
};
use super::control_plane::{ControlPlane, given};
use super::double::Double;
use super::node::{Nodes, Place};
use super::scene::{
    Scenario, empty, end, get, hold, kind, look, made_again, make, merge, refusal, remove, scenes, service, web, whole,
};
use blackstart::adapters::kubernetes::{Access, Kind, Patch, Scope, Write};
use serde_json::{Value, json};

/// On every cluster.
const ALL: &[(&str, Scenario)] = scenes![
    configuration_is_removed,
    configuration_gets_other_values,
    configuration_is_corrupted,
    what_others_do_to_configuration_stays,
    a_copy_is_never_overwritten,
    services_lead_nowhere,
    pods_are_cut_off,
    two_groups_are_cut_apart,
    policies_of_others_are_not_touched,
    claims_are_deleted_for_good,
    objects_are_removed,
    what_others_bring_back_stays,
    an_object_is_made_and_proved_gone,
];

/// Only where containers are processes.
const REAL: &[(&str, Scenario)] = scenes![a_network_that_enforces_nothing_is_seen];

/// What stands in the Secret, plain and as the API shows it.
const BYTES: [&str; 2] = ["open-sesame-4711", "b3Blbi1zZXNhbWUtNDcxMQ=="];

/// A ConfigMap `settings` and an immutable Secret `login`, with all that must come back, and one `door` that can be changed.
async fn configured(access: &Access, what: &str) -> Bench {
    let bench = empty(access, what).await;
    let owner = make(&bench, "configmap", &json!({"metadata": {"name": "owner"}})).await;
    let metadata = |name: &str| {
        json!({
            "name": name, "labels": {"app": "shop"}, "annotations": {"by": "hand"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid()}],
        })
    };
    let data = json!({"settings.json": "{\"greeting\": \"welcome\"}", "empty": ""});
    let settings = json!({"metadata": metadata("settings"), "data": data, "binaryData": {"logo": "AAECAw=="}});
    make(&bench, "configmap", &settings).await;
    let secret = json!({"password": BYTES[1]});
    make(&bench, "secret", &json!({"metadata": metadata("login"), "immutable": true, "data": secret})).await;
    make(&bench, "secret", &json!({"metadata": metadata("door"), "data": secret})).await;
    bench
        .target("settings", json!({"kind": "configmap", "name": "settings"}))
        .target("login", json!({"kind": "secret", "name": "login"}))
        .target("door", json!({"kind": "secret", "name": "door"}))
        .target("secrets", json!({"kind": "secret", "labels": "app=shop"}))
}

/// No byte of a Secret stands in what is journaled, or said to people.
async fn keeps_silent(bench: &Bench, parameters: Value) {
    let fault = prepared(&fault(parameters), bench).await;
    let journaled = from_journal(&fault, bench);
    let undo = serde_json::to_string(&journaled.undo).unwrap();
    let mut said = format!("{undo} {} {:?}", fault.by_hand(), fault.touched());
    fault.inject(&bench.cx()).await.unwrap();
    said += &format!("{:?}", fault.effective(&bench.cx()).await);
    heals(&journaled, bench).await;
    said += &format!("{:?}", fault.healed(&bench.cx()).await);
    assert!(BYTES.iter().all(|bytes| !said.contains(bytes)), "{said}");
}

async fn configuration_is_removed(access: &Access) {
    let bench = configured(access, "remove").await;
    let before = get(&bench, "secret", "login").await;
    whole(&bench, json!({"config_remove": {"target": "settings"}}), made_again).await;
    whole(&bench, json!({"config_remove": {"target": "secrets"}}), made_again).await;
    keeps_silent(&bench, json!({"config_remove": {"target": "secrets"}})).await;
    let after = get(&bench, "secret", "login").await;
    assert_ne!(before.uid(), after.uid(), "it is another object");
    assert_eq!(after.0["immutable"], true);
    assert_eq!(after.0["metadata"]["ownerReferences"], before.0["metadata"]["ownerReferences"]);
    end(&bench).await;
}

async fn configuration_gets_other_values(access: &Access) {
    let bench = configured(access, "replace").await;
    let settings = json!({"target": "settings", "data": {"settings.json": "{}", "new": "1"}});
    whole(&bench, json!({"config_replace": settings}), everything).await;
    let door = json!({"config_replace": {"target": "door", "data": {"password": "${secrets.other}"}}});
    conforms(&bench, &fault(door.clone()), everything).await;
    keeps_silent(&bench, door.clone()).await;
    let on = prepared(&fault(door), &bench).await;
    on.inject(&bench.cx()).await.unwrap();
    assert_eq!(get(&bench, "secret", "door").await.text("/data/password"), "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5");
    heals(&from_journal(&on, &bench), &bench).await;
    for target in ["login", "settings"] {
        let data = json!({"settings.json": "{\"greeting\": \"welcome\"}"});
        let said = refusal(&bench, json!({"config_replace": {"target": target, "data": data}})).await;
        assert!(said.contains("is immutable") || said.contains("has these values already"), "{said}");
    }
    end(&bench).await;
}

async fn configuration_is_corrupted(access: &Access) {
    let bench = configured(access, "corrupt").await;
    whole(&bench, json!({"config_corrupt": {"target": "settings"}}), everything).await;
    conforms(&bench, &fault(json!({"config_corrupt": {"target": "door", "seed": 7}})), everything).await;
    keeps_silent(&bench, json!({"config_corrupt": {"target": "door"}})).await;
    let one = prepared(&fault(json!({"config_corrupt": {"target": "settings", "keys": ["logo"]}})), &bench).await;
    one.inject(&bench.cx()).await.unwrap();
    let now = get(&bench, "configmap", "settings").await;
    assert_ne!(now.text("/binaryData/logo"), "AAECAw==");
    assert_eq!(now.text("/data/settings.json"), "{\"greeting\": \"welcome\"}");
    heals(&one, &bench).await;
    let said = refusal(&bench, json!({"config_corrupt": {"target": "settings", "keys": ["none"]}})).await;
    assert!(said.contains("has no key `none`"), "{said}");
    end(&bench).await;
}

async fn what_others_do_to_configuration_stays(access: &Access) {
    let bench = configured(access, "others").await;
    // A value that somebody repairs while it is damaged stays as it was repaired; the others come back.
    let corrupt = fault(json!({"config_corrupt": {"target": "settings"}}));
    let repaired = json!({"data": {"settings.json": "repaired"}});
    heals_after(&bench, &corrupt, || merge(&bench, "configmap", "settings", repaired)).await;
    let now = get(&bench, "configmap", "settings").await;
    assert_eq!((now.text("/data/settings.json"), now.text("/binaryData/logo")), ("repaired", "AAECAw=="));
    // One that somebody makes again while it is removed stays as it was made.
    let gone = fault(json!({"config_remove": {"target": "settings"}}));
    let theirs = json!({"metadata": {"name": "settings"}, "data": {"settings.json": "theirs"}});
    heals_after(&bench, &gone, || async {
        make(&bench, "configmap", &theirs).await;
    })
    .await;
    assert_eq!(get(&bench, "configmap", "settings").await.text("/data/settings.json"), "theirs");
    // What was changed between the look and the injection is not copied as if it were what was before.
    for parameters in
        [json!({"config_remove": {"target": "settings"}}), json!({"config_corrupt": {"target": "settings"}})]
    {
        let late = prepared(&fault(parameters), &bench).await;
        let number = json!({"data": {"settings.json": format!("changed for {}", late.spec.kind())}});
        merge(&bench, "configmap", "settings", number.clone()).await;
        let said = late.inject(&bench.cx()).await.expect_err("it was changed").to_string();
        assert!(said.contains("was changed by somebody since the drill looked"), "{said}");
        heals(&from_journal(&late, &bench), &bench).await;
        let now = get(&bench, "configmap", "settings").await;
        assert_eq!(now.0["data"], number["data"]);
    }
    end(&bench).await;
}

async fn a_copy_is_never_overwritten(access: &Access) {
    let bench = configured(access, "copies").await;
    let before = picture(&bench, made_again).await;
    for parameters in
        [json!({"config_remove": {"target": "settings"}}), json!({"config_corrupt": {"target": "settings"}})]
    {
        let fault = prepared(&fault(parameters), &bench).await;
        let name = format!("blackstart-{}-1", bench.tag());
        make(&bench, "configmap", &json!({"metadata": {"name": name}, "data": {"of": "others"}})).await;
        let said = fault.inject(&bench.cx()).await.expect_err("its place is taken").to_string();
        assert!(said.contains("is not ours"), "{said}");
        assert_eq!(get(&bench, "configmap", &name).await.text("/data/of"), "others");
        remove(&bench, "configmap", &name).await;
        heals(&fault, &bench).await;
        as_before(&bench, &before, made_again).await;
    }
    end(&bench).await;
}

async fn services_lead_nowhere(access: &Access) {
    let bench = web(access, "service").await;
    make(&bench, "service", &service("web")).await;
    let bench = bench.target("service", json!({"kind": "service", "name": "web"}));
    bench
        .until("served", || async {
            let said = look(&bench, "endpoints", "web").await.map_or(0, |e| e.items("/subsets/0/addresses").len());
            if said == 3 { Ok(()) } else { Err(format!("{said} addresses")) }
        })
        .await;
    whole(&bench, json!({"service_selector": {"target": "service"}}), everything).await;
    let spec = fault(json!({"service_selector": {"target": "service"}}));
    let version = json!({"spec": {"selector": {"version": "2"}}});
    heals_after(&bench, &spec, || async {
        merge(&bench, "deployment", "web", json!({"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}}))
            .await;
        merge(&bench, "service", "web", version).await;
    })
    .await;
    let selector = get(&bench, "service", "web").await.0["spec"]["selector"].clone();
    assert_eq!(selector, json!({"app": "web", "version": "2"}), "what somebody added meanwhile stays");
    merge(&bench, "service", "web", json!({"spec": {"selector": {"app": "nobody"}}})).await;
    bench
        .until("nowhere", || async {
            let said = look(&bench, "endpoints", "web").await.map_or(0, |e| e.items("/subsets/0/addresses").len());
            if said == 0 { Ok(()) } else { Err(format!("{said} addresses")) }
        })
        .await;
    let said = refusal(&bench, json!({"service_selector": {"target": "service"}})).await;
    assert!(said.contains("leads nowhere already"), "{said}");
    end(&bench).await;
}

/// What a policy that is on says.
async fn policies(bench: &Bench) -> Vec<Value> {
    bench.list(&kind("networkpolicy")).await.into_iter().map(|policy| policy.0["spec"].clone()).collect()
}

async fn pods_are_cut_off(access: &Access) {
    let bench = web(access, "cut").await;
    let first = bench.list(&kind("pod")).await[0].name().to_owned();
    let bench = bench.target("pods", json!({"labels": "app=web"})).target("one", json!({"kind": "pod", "name": first}));
    let all = json!({"network_policy": {"target": "pods"}});
    whole(&bench, all.clone(), everything).await;
    let on = prepared(&fault(all), &bench).await;
    on.inject(&bench.cx()).await.unwrap();
    let said = on.effective(&bench.cx()).await.unwrap().detail;
    assert!(
        said.contains("selects 3 pods") && said.contains("whether the network enforces it was not tried"),
        "{said}"
    );
    let spec = &policies(&bench).await[0];
    assert_eq!(spec["podSelector"], json!({"matchLabels": {"app": "web"}}));
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    heals(&on, &bench).await;
    // One by its name is known by a label of ours.
    whole(&bench, json!({"network_policy": {"target": "one", "direction": "in"}}), everything).await;
    end(&bench).await;
}

async fn two_groups_are_cut_apart(access: &Access) {
    let bench = web(access, "apart").await;
    make(&bench, "deployment", &super::scene::deployment("db", 1)).await;
    bench.ready(("app", "db"), 1).await;
    let bench = bench.target("web", json!({"labels": "app=web"})).target("db", json!({"labels": "app=db"}));
    let parameters = json!({"network_policy": {"target": "web", "peer": "db", "direction": "out"}});
    conforms(&bench, &fault(parameters.clone()), everything).await;
    let on = prepared(&fault(parameters.clone()), &bench).await;
    on.inject(&bench.cx()).await.unwrap();
    let mut both = policies(&bench).await;
    both.sort_by_key(|spec| spec["podSelector"].to_string());
    assert_eq!(
        (&both[0]["policyTypes"], &both[1]["policyTypes"]),
        (&json!(["Ingress"]), &json!(["Egress"])),
        "db, web"
    );
    let but = &both[1]["egress"][0]["to"];
    assert_eq!(but[0]["podSelector"]["matchExpressions"][0]["values"], json!([format!("{}-b", bench.tag())]));
    assert_eq!(but[1]["ipBlock"]["except"].as_array().map(Vec::len), Some(1), "{but}");
    heals(&from_journal(&on, &bench), &bench).await;
    let said = refusal(&bench, json!({"network_policy": {"target": "web", "peer": "web"}})).await;
    assert!(said.contains("is in both groups"), "{said}");
    heals_after(&bench, &fault(parameters), || remove(&bench, "deployment", "db")).await;
    end(&bench).await;
}

async fn policies_of_others_are_not_touched(access: &Access) {
    let bench = web(access, "theirs").await.target("pods", json!({"labels": "app=web"}));
    let parameters = json!({"network_policy": {"target": "pods", "direction": "in"}});
    // Another manager has the name already, and says something else: that is a conflict, and it stays.
    let fault_on = prepared(&fault(parameters.clone()), &bench).await;
    let name = format!("blackstart-{}-a1", bench.tag());
    let theirs = json!({"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": "theirs"}}, "policyTypes": ["Egress"]}});
    let made = make(&bench, "networkpolicy", &theirs).await;
    let said = fault_on.inject(&bench.cx()).await.expect_err("a conflict").to_string();
    assert!(said.to_lowercase().contains("conflict"), "{said}");
    heals(&from_journal(&fault_on, &bench), &bench).await;
    let now = get(&bench, "networkpolicy", &name).await;
    assert_eq!((now.uid(), &now.0["spec"]), (made.uid(), &made.0["spec"]));
    // What lets traffic through cannot be overruled.
    let open =
        json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}});
    make(&bench, "networkpolicy", &open).await;
    let said = refusal(&bench, parameters).await;
    assert!(said.contains("the network policies open let traffic through"), "{said}");
    end(&bench).await;
}

async fn a_network_that_enforces_nothing_is_seen(access: &Access) {
    let bench = web(access, "look").await.target("pods", json!({"labels": "app=web"}));
    let look = json!({"command": ["/bin/true"]});
    let on = prepared(&fault(json!({"network_policy": {"target": "pods", "look": look}})), &bench).await;
    on.inject(&bench.cx()).await.unwrap();
    let seen = on.effective(&bench.cx()).await.unwrap();
    assert!(!seen.holds && seen.detail.contains("succeeds"), "{seen:?}");
    heals(&on, &bench).await;
    let said =
        refusal(&bench, json!({"network_policy": {"target": "pods", "look": {"command": ["/bin/false"]}}})).await;
    assert!(said.contains("fails (exit status 1): it must succeed before the fault"), "{said}");
    end(&bench).await;
}

async fn claims_are_deleted_for_good(access: &Access) {
    let bench = empty(access, "claims").await;
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}});
    for name in ["data", "used"] {
        make(&bench, "persistentvolumeclaim", &json!({"metadata": {"name": name}, "spec": spec})).await;
    }
    let mut pod = super::scene::template("db");
    pod["metadata"]["name"] = json!("db");
    pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}]);
    make(&bench, "pod", &pod).await;
    let bench = bench
        .target("data", json!({"kind": "persistentvolumeclaim", "name": "data"}))
        .target("used", json!({"kind": "persistentvolumeclaim", "name": "used"}));
    let said = refusal(&bench, json!({"volume_claim_delete": {"target": "used"}})).await;
    assert!(said.contains("is used by db: it would only be marked"), "{said}");
    let spec = fault(json!({"volume_claim_delete": {"target": "data"}}));
    assert!(spec.irreversible());
    let gone = prepared(&spec, &bench).await;
    gone.rehearse(&bench.cx()).await.unwrap();
    assert!(!gone.effective(&bench.cx()).await.unwrap().holds);
    for _ in 0..2 {
        gone.inject(&bench.cx()).await.unwrap();
        bites(&gone, &bench).await;
    }
    assert!(!gone.healed(&bench.cx()).await.unwrap().holds && gone.by_hand().contains("kubectl"));
    end(&bench).await;
}

/// A Deployment with all around it, as targets.
async fn application(access: &Access) -> Bench {
    let bench = web(access, "objects").await;
    make(&bench, "service", &service("web")).await;
    make(&bench, "configmap", &json!({"metadata": {"name": "settings"}, "data": {"a": "b"}})).await;
    make(&bench, "secret", &json!({"metadata": {"name": "login"}, "data": {"password": BYTES[1]}})).await;
    bench
        .target("web", json!({"kind": "deployment", "name": "web"}))
        .target("service", json!({"kind": "service", "name": "web"}))
        .target("settings", json!({"kind": "configmap", "name": "settings"}))
        .target("login", json!({"kind": "secret", "name": "login"}))
        .target("node", json!({"kind": "node", "labels": "kubernetes.io/os=linux"}))
}

async fn objects_are_removed(access: &Access) {
    let bench = application(access).await;
    let all = json!({"object_remove": {"target": ["web", "service", "settings", "login"]}});
    conforms(&bench, &fault(all.clone()), made_again).await;
    // Pods of before may still be on their way out.
    bench.ready(("app", "web"), 3).await;
    keeps_silent(&bench, all).await;
    bench.ready(("app", "web"), 3).await;
    conforms(&bench, &fault(json!({"object_remove": {"target": "web", "propagation": "orphan"}})), made_again).await;
    let said = refusal(&bench, json!({"object_remove": {"target": "node"}})).await;
    assert!(said.contains("belongs to the whole cluster"), "{said}");
    end(&bench).await;
}

async fn what_others_bring_back_stays(access: &Access) {
    let bench = web(access, "git").await.target("web", json!({"kind": "deployment", "name": "web"}));
    let spec = fault(json!({"object_remove": {"target": "web"}}));
    let mut theirs = super::scene::deployment("web", 2);
    theirs["metadata"]["labels"]["from"] = json!("git");
    heals_after(&bench, &spec, || async {
        make(&bench, "deployment", &theirs).await;
    })
    .await;
    let now = get(&bench, "deployment", "web").await;
    assert_eq!((now.label("from"), now.number("/spec/replicas")), (Some("git"), Some(2)));
    bench.ready(("app", "web"), 2).await;
    end(&bench).await;
}

async fn an_object_is_made_and_proved_gone(access: &Access) {
    let bench = web(access, "object").await.target("web", json!({"kind": "deployment", "name": "web"}));
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "experiment"}, "data": {"phase": "Running"}});
    let injected = json!({"path": "$.data.phase", "equals": "Running"});
    let parameters = json!({"manifest": {"target": "web", "object": object, "injected": injected}});
    whole(&bench, parameters.clone(), everything).await;
    let said = refusal(&bench, json!({"manifest": {"target": "web", "object": object}})).await;
    assert!(said.contains("nothing says when configmap"), "{said}");
    // One of that name that is not ours is neither taken over nor removed.
    let late = prepared(&fault(parameters.clone()), &bench).await;
    make(&bench, "configmap", &json!({"metadata": {"name": "experiment"}, "data": {"of": "others"}})).await;
    let said = late.inject(&bench.cx()).await.expect_err("it is taken").to_string();
    assert!(said.contains("it is not ours, and stays as it is"), "{said}");
    heals(&from_journal(&late, &bench), &bench).await;
    assert_eq!(get(&bench, "configmap", "experiment").await.text("/data/of"), "others");
    let said = refusal(&bench, parameters).await;
    assert!(said.contains("is there already"), "{said}");
    end(&bench).await;
}

#[tokio::test]
async fn faults_on_nodes_and_configuration_hold_on_a_real_control_plane() {
    let all: Vec<(&str, Scenario)> = ALL.iter().chain(REAL).chain(super::nodes::ALL).copied().collect();
    if let Some(kubeconfig) = given() {
        return hold(&Access { kubeconfig: Some(kubeconfig), context: None }, &all).await;
    }
    let plane = ControlPlane::start();
    let _nodes = Nodes::start(&plane, &Place::over("region-a", &["a", "b"], 4));
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
    double_configuration_is_removed => configuration_is_removed,
    double_configuration_gets_other_values => configuration_gets_other_values,
    double_configuration_is_corrupted => configuration_is_corrupted,
    double_what_others_do_to_configuration_stays => what_others_do_to_configuration_stays,
    double_a_copy_is_never_overwritten => a_copy_is_never_overwritten,
    double_services_lead_nowhere => services_lead_nowhere,
    double_pods_are_cut_off => pods_are_cut_off,
    double_two_groups_are_cut_apart => two_groups_are_cut_apart,
    double_policies_of_others_are_not_touched => policies_of_others_are_not_touched,
    double_claims_are_deleted_for_good => claims_are_deleted_for_good,
    double_objects_are_removed => objects_are_removed,
    double_what_others_bring_back_stays => what_others_bring_back_stays,
    double_an_object_is_made_and_proved_gone => an_object_is_made_and_proved_gone,
}

#[tokio::test]
async fn double_a_removal_may_die_anywhere() {
    let double = Double::start();
    double.seed_nodes(3, &["a", "b"]);
    let bench = application(&double.access()).await;
    let spec = fault(json!({"object_remove": {"target": ["web", "service", "settings", "login"]}}));
    heals_any_half(&bench, &spec, made_again).await;
}

/// An experiment of another engine: it says when it is injected, and its finalizer holds it until it has undone all.
#[tokio::test]
async fn double_an_engine_that_does_not_come_to_an_end_is_an_error() {
    let double = Double::start();
    double.seed_nodes(2, &["a"]);
    double.kind(super::double::Kind::custom("chaos-mesh.org", "v1alpha1", "NetworkChaos", "networkchaos").plain());
    let bench = web(&double.access(), "mesh").await.target("web", json!({"kind": "deployment", "name": "web"}));
    let object = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
        "metadata": {"name": "split", "finalizers": ["chaos-mesh/records"]},
        "spec": {"action": "partition", "value": "${secrets.token}"},
    });
    let spec = fault(json!({"manifest": {"target": "web", "object": object, "gone_within": "300ms"}}));
    let on = prepared(&spec, &bench).await;
    on.inject(&bench.cx()).await.unwrap();
    assert!(!on.effective(&bench.cx()).await.unwrap().holds, "the engine has not said so yet");
    let chaos = Kind::of("chaos-mesh.org", "v1alpha1", "NetworkChaos", "networkchaos", Scope::Namespaced);
    let at = chaos.at(Some(&bench.namespace), "split");
    let made = bench.cluster().await.get(&at).await.unwrap().unwrap();
    assert_eq!(
        (made.text("/spec/value"), made.label("blackstart.dev/owner")),
        ("correct-horse-battery", Some(&*bench.tag()))
    );
    double.change("networkchaos", &bench.namespace, "split", |object| {
        object["status"] = json!({"conditions": [{"type": "AllInjected", "status": "True"}]});
    });
    bites(&on, &bench).await;
    let other = from_journal(&on, &bench);
    bench.unpin();
    let said = other.heal(&bench.cx()).await.expect_err("it hangs").to_string();
    assert!(said.contains("its finalizers hold it (chaos-mesh/records)"), "{said}");
    assert!(!other.healed(&bench.cx()).await.unwrap().holds);
    assert!(other.by_hand().contains("delete networkchaos.chaos-mesh.org/split"), "{}", other.by_hand());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    bench.cluster().await.patch(&at, None, &patch, Write::Real).await.unwrap();
    heals(&other, &bench).await;
}
