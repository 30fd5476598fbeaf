//! The double of the API server by itself: with `kubectl`, with plain requests, and what its controllers do.

use crate::contract;
use crate::double::{self, Double, Harm, Only, Ran, Rule, Violation, json as j};
use blackstart::adapters::kubernetes::{Cluster, ClusterError, Inside, Kind, system};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn kubectl(kubeconfig: &std::path::Path, argv: &str) -> Output {
    let home = kubeconfig.parent().unwrap();
    let mut command = Command::new("kubectl");
    command.env("KUBECONFIG", kubeconfig).env("HOME", home).arg("--request-timeout=15s");
    command.args(argv.split_whitespace()).output().unwrap()
}

/// What kubectl writes; it must succeed.
fn said(double: &Double, argv: &str) -> String {
    let output = kubectl(&double.kubeconfig(), argv);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "kubectl {argv}: {out}{err}");
    format!("{out}{err}")
}

fn shop(nodes: usize, replicas: usize) -> Double {
    let double = Double::start();
    double.seed_nodes(nodes, &["a", "b", "c"]);
    double.deploy("shop", "web", replicas);
    double
}

#[test]
fn kubectl_lists_pods_as_a_table() {
    let double = shop(3, 3);
    let table = said(&double, "get pods -n shop -o wide");
    assert!(table.starts_with("NAME"), "{table}");
    assert_eq!(table.matches("Running").count(), 3, "{table}");
    for node in ["n1", "n2", "n3"] {
        assert!(table.contains(node), "spread: {table}");
    }
    assert!(said(&double, "get deploy,svc,ep,nodes -A").contains("web"));
}

#[test]
fn kubectl_applies_scales_and_waits() {
    let double = shop(2, 2);
    let file = double.folder().join("map.yaml");
    std::fs::write(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {k: v}\n")
        .unwrap();
    let file = file.display().to_string();
    assert!(said(&double, &format!("apply -f {file}")).contains("created"));
    assert!(said(&double, &format!("apply -f {file}")).contains("unchanged"));
    assert!(
        said(&double, &format!("apply --server-side --field-manager=other --force-conflicts -f {file}"))
            .contains("applied")
    );
    assert!(said(&double, "scale deployment web -n shop --replicas=4").contains("scaled"));
    assert!(said(&double, "rollout status deployment web -n shop --timeout=15s").contains("successfully rolled out"));
    assert_eq!(double.ready("shop"), 4);
    assert!(said(&double, "delete configmap a -n shop").contains("deleted"));
    assert!(double.get("configmaps", "shop", "a").is_none());
}

#[test]
fn kubectl_drains_a_node() {
    let double = shop(3, 3);
    said(&double, "drain n1 --timeout=15s");
    assert!(double.pods("shop").iter().all(|(_, node)| node != "n1"));
    let node = double.get("nodes", "", "n1").unwrap();
    assert_eq!(j::at(&node, "/spec/unschedulable"), &json!(true));
    assert!(j::items(&node, "/spec/taints").iter().any(|t| t["effect"] == "NoSchedule"));
    double.wait(|d| d.ready("shop") == 3);
    said(&double, "uncordon n1");
    double.wait(|d| d.get("nodes", "", "n1").is_some_and(|n| j::items(&n, "/spec/taints").is_empty()));
}

#[test]
fn a_bad_image_leaves_old_pods_serving() {
    let double = shop(2, 4);
    said(&double, &format!("set image deployment/web -n shop web={}", crate::double::BAD_IMAGE));
    let stuck = |p: &&Value| j::text(p, "/status/containerStatuses/0/state/waiting/reason") == "ImagePullBackOff";
    double.wait(|d| d.list("pods", "shop").iter().filter(stuck).count() == 2);
    double.wait(|d| d.ready("shop") == 3);
    assert_eq!(double.served("shop", "web"), 3);
    said(&double, "rollout undo deployment/web -n shop");
    double.wait(|d| d.ready("shop") == 4 && d.list("pods", "shop").len() == 4);
}

#[test]
fn a_lost_pod_comes_back_and_what_is_owned_goes() {
    let double = shop(2, 2);
    let (pod, _) = double.pods("shop").remove(0);
    said(&double, &format!("delete pod {pod} -n shop"));
    double.wait(|d| d.ready("shop") == 2 && d.pods("shop").iter().all(|(name, _)| *name != pod));
    said(&double, "delete deployment web -n shop --cascade=foreground");
    assert!(double.list("pods", "shop").is_empty() && double.list("replicasets", "shop").is_empty());
    said(&double, "delete namespace shop");
    assert!(double.get("namespaces", "", "shop").is_none() && double.list("services", "shop").is_empty());
}

#[test]
fn harm_is_done_as_asked_and_requests_are_seen() {
    let double = shop(1, 1);
    double.harm_once(Only::verb("get").of("pods"), Harm::Refuse(403));
    let (pod, _) = double.pods("shop").remove(0);
    let refused = kubectl(&double.kubeconfig(), &format!("get pod {pod} -n shop"));
    assert!(!refused.status.success());
    said(&double, &format!("get pod {pod} -n shop"));
    let seen = double.requests();
    let statuses: Vec<u16> = seen.iter().filter(|s| s.resource == "pods" && s.name == pod).map(|s| s.status).collect();
    assert_eq!(statuses, [403, 200]);
}
#[test]
fn users_may_do_what_their_rules_say() {
    let double = shop(1, 1);
    double.user("ann", vec![Rule::of("shop", "", "pods", "get,list")]);
    let ann = double.kubeconfig_of("ann");
    let can = |what: &str| {
        let output = kubectl(&ann, &format!("auth can-i {what}"));
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    assert_eq!(can("list pods -n shop").trim(), "yes");
    assert_eq!(can("delete pods -n shop").trim(), "no");
    assert_eq!(can("list pods -n default").trim(), "no");
    let output = kubectl(&ann, "delete pod --all -n shop");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Forbidden"), "{output:?}");
    assert_eq!(double.ready("shop"), 1);
}

async fn client(double: &Double) -> Arc<dyn Cluster> {
    system().open(&double.access()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_for_the_double() {
    for double in [Double::start(), Double::old()] {
        contract::hold(client(&double).await.as_ref(), contract::API).await;
        let nobody = contract::nobody(&double.kubeconfig(), double.folder()).await;
        contract::reading::forbidden(nobody.as_ref(), "default").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_violation_is_noticed_by_the_contract() {
    for (violation, noticed) in [
        (Violation::IgnoresPreconditions, "stale_versions"),
        (Violation::IgnoresPreconditions, "other_uids"),
        (Violation::IgnoresDryRun, "dry_runs"),
        (Violation::ForcesApplies, "conflicts_are_reported"),
        (Violation::SkipsPage, "pages"),
        (Violation::LosesWatchEvent, "watched"),
    ] {
        let double = Double::start();
        double.violate(violation);
        let cluster = client(&double).await;
        let (name, case) = contract::API.iter().find(|(name, _)| *name == noticed).unwrap();
        let namespace = contract::namespace(cluster.as_ref(), name).await;
        let held = AssertUnwindSafe(case(cluster.as_ref(), &namespace)).catch_unwind();
        let held = tokio::time::timeout(Duration::from_secs(2), held).await;
        assert!(!matches!(held, Ok(Ok(()))), "{violation:?} is not noticed by {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_run_in_containers_and_ports_lead_out() {
    let double = shop(1, 1);
    let (pod, _) = double.pods("shop").remove(0);
    double.program(|run| (run.argv[0] == "date").then(|| Ran { stderr: "late".to_owned(), ..Ran::ok("today") }));
    let cluster = client(&double).await;
    let inside = Inside { namespace: "shop".to_owned(), pod: pod.clone(), container: None };
    let limit = Duration::from_secs(10);
    let ran = cluster.exec(&inside, &["date".to_owned()], limit).await.unwrap();
    assert!(format!("{ran:?}").contains("today") && format!("{ran:?}").contains("late"), "{ran:?}");
    assert_eq!(double.ran()[0].argv, ["date"]);
    let _killed = cluster.exec(&inside, &["kill".to_owned(), "1".to_owned()], limit).await;
    double.wait(|d| j::int(&d.list("pods", "shop")[0], "/status/containerStatuses/0/restartCount") == 1);
    double.wait(|d| d.ready("shop") == 1);
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    double.port("shop", "", 8080, echo.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
    });
    let mut stream = cluster.connect(&inside, 8080, limit).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");
    double.log("shop", &pod, "web", "one\ntwo\n");
    assert!(said(&double, &format!("logs {pod} -n shop --tail=1")).contains("two"));
}

#[test]
fn stateful_sets_daemons_and_jobs_run() {
    let double = Double::start();
    double.seed_nodes(2, &["a"]);
    let template =
        json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "db"}}, "template": template,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}]});
    let meta = json!({"namespace": "shop", "name": "db"});
    double.object(json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}));
    double.wait(|d| d.ready_of("shop", "db") == 2);
    assert_eq!(double.pods("shop").iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["db-0", "db-1"]);
    let claim = double.get("persistentvolumeclaims", "shop", "data-db-0").unwrap();
    assert_eq!(j::text(&claim, "/status/phase"), "Bound");
    said(&double, "delete pvc data-db-0 -n shop --wait=false");
    assert!(double.get("persistentvolumeclaims", "shop", "data-db-0").is_some(), "a pod uses it");
    said(&double, "rollout restart statefulset db -n shop");
    said(&double, "rollout status statefulset db -n shop --timeout=15s");

    let labels = json!({"app": "agent"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
    double.object(
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"namespace": "shop", "name": "agent"},
        "spec": {"selector": {"matchLabels": labels}, "template": template}}),
    );
    double.wait(|d| d.ready_of("shop", "agent") == 2);
    said(&double, "drain n1 --ignore-daemonsets --timeout=15s");
    assert_eq!(double.ready_of("shop", "agent"), 2);

    double.program(|run| (run.argv == ["fail"]).then(|| Ran::failed(3, "no\n")));
    for (name, argv, condition) in [("good", "work", "Complete"), ("bad", "fail", "Failed")] {
        double.object(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": "shop", "name": name},
            "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "c:1", "command": [argv]}]}}}}));
        double.wait(|d| d.get("jobs", "shop", name).is_some_and(|job| j::condition(&job, condition) == "True"));
    }
}

#[test]
fn budgets_hold_evictions_up() {
    for (double, version) in [(Double::start(), "v1"), (Double::old(), "v1beta1")] {
        double.seed_nodes(2, &["a"]);
        double.deploy("shop", "web", 2);
        double.settings(|s| s.ready_after = Duration::from_secs(3600));
        double.object(json!({"apiVersion": format!("policy/{version}"), "kind": "PodDisruptionBudget",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}));
        let allowed =
            |d: &Double| j::int(&d.get("poddisruptionbudgets", "shop", "web").unwrap(), "/status/disruptionsAllowed");
        double.wait(|d| allowed(d) == 1);
        let output = kubectl(&double.kubeconfig(), "drain n1 n2 --timeout=1s");
        assert!(!output.status.success(), "the second pod must stay");
        assert_eq!((double.ready("shop"), allowed(&double)), (1, 0));
        let evictions = double.requests().into_iter().filter(|s| s.resource == "pods/eviction");
        let statuses: Vec<u16> = evictions.map(|s| s.status).collect();
        assert!(statuses.contains(&201) && statuses.contains(&429), "{statuses:?}");
    }
}

#[test]
fn nodes_that_are_lost_or_tainted_lose_their_pods() {
    let double = shop(2, 2);
    said(&double, "taint nodes n1 away=yes:NoExecute");
    double.wait(|d| d.ready("shop") == 2 && d.pods("shop").iter().all(|(_, node)| node == "n2"));
    said(&double, "taint nodes n1 away-");
    double.node_ready("n2", false);
    double.wait(|d| d.ready("shop") == 0 && d.served("shop", "web") == 0);
    double.node_ready("n2", true);
    double.wait(|d| d.ready("shop") == 2);
    let (pod, _) = double.pods("shop").remove(0);
    double.sick("shop", &pod, true);
    double.wait(|d| d.served("shop", "web") == 1);
    double.sick("shop", &pod, false);
    double.wait(|d| d.served("shop", "web") == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn big_lists_are_paged_and_expire() {
    let double = Double::start();
    double.settings(|s| s.controllers = false);
    double.seed_nodes(500, &["a", "b", "c"]);
    double.seed_pods("shop", "web", 5_000, 500);
    let first = said(&double, "get --raw /api/v1/namespaces/shop/pods?limit=500");
    let page: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((j::items(&page, "/items").len(), j::int(&page, "/metadata/remainingItemCount")), (500, 4500));
    double.change("pods", "shop", "web-04999", |pod| j::set(pod, &["metadata", "labels", "x"], "y"));
    double.forget_history();
    let token = j::text(&page, "/metadata/continue");
    let gone =
        kubectl(&double.kubeconfig(), &format!("get --raw /api/v1/namespaces/shop/pods?limit=500&continue={token}"));
    assert!(!gone.status.success(), "{gone:?}");
    let seen = double.requests();
    assert_eq!(seen.iter().map(|s| s.status).collect::<Vec<_>>(), [200, 410]);
    assert_eq!((seen[1].ask("limit"), seen[1].verb.as_str()), ("500", "list"));
    assert!(client(&double).await.kind("pods").await.is_ok() && Kind::known("pod").is_some());
}

#[test]
fn answers_may_get_lost() {
    let double = Double::start();
    double.object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "a"}}));
    let argv = "delete configmap a -n shop --wait=false";
    double.harm(Only::verb("delete").of("configmaps").within("shop").named("a").by("admin"), Harm::Drop);
    assert!(!kubectl(&double.kubeconfig(), argv).status.success());
    assert!(double.get("configmaps", "shop", "a").is_some());
    double.unharm();
    double.harm_once(Only::anything(), Harm::Delay(Duration::from_millis(1)));
    double.harm_once(Only::verb("delete"), Harm::Swallow);
    said(&double, "get configmap a -n shop");
    assert!(!kubectl(&double.kubeconfig(), argv).status.success());
    assert!(double.get("configmaps", "shop", "a").is_none(), "it was done");
    double.harm_once(Only::anything(), Harm::Hang);
    assert!(!kubectl(&double.kubeconfig(), "get pods --request-timeout=300ms").status.success());
    double.cut();
    assert!(!kubectl(&double.kubeconfig(), "get pods --request-timeout=300ms").status.success());
    double.mend();
    said(&double, "get pods");
}

#[test]
fn controllers_act_only_when_they_are_told_to() {
    let double = Double::start();
    double.settings(|s| s.controllers = false);
    double.seed_nodes(1, &["a"]);
    double.object(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}),
    );
    assert!(double.pods("shop").is_empty());
    for _ in 0..5 {
        double.tick();
    }
    assert_eq!(double.ready("shop"), 2);
    let (pod, _) = double.pods("shop").remove(0);
    double.remove("pods", "shop", &pod);
    assert_eq!(double.ready("shop"), 1);
}

#[test]
fn kinds_are_added_watches_break_and_requests_are_whole() {
    let double = Double::start();
    double.kind(double::Kind::custom("toys.example", "v1", "Toy", "toys"));
    double.object(
        json!({"apiVersion": "toys.example/v1", "kind": "Toy", "metadata": {"namespace": "shop", "name": "a"}}),
    );
    assert!(said(&double, "get toys -n shop").contains('a'));
    double.forget_requests();
    said(&double, r#"patch toys a -n shop --type=merge -p {"spec":{"x":1}}"#);
    let patch = double.requests().into_iter().find(|s| s.verb == "patch").unwrap();
    assert_eq!((patch.group.as_str(), patch.media.as_str()), ("toys.example", "application/merge-patch+json"));
    assert_eq!(patch.body, json!({"spec": {"x": 1}}));
    let mut watch = Command::new("kubectl")
        .args(["get", "--raw", "/apis/toys.example/v1/toys?watch=true"])
        .env("KUBECONFIG", double.kubeconfig())
        .env("HOME", double.folder())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let over = std::cell::RefCell::new(&mut watch);
    double.wait(|d| {
        d.break_watches();
        over.borrow_mut().try_wait().unwrap().is_some()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_may_hang_and_history_is_short() {
    let double = shop(1, 1);
    double.user("ann", vec![Rule::of("shop", "", "pods,pods/exec", "*")]);
    double.program(|run| (run.argv[0] == "wait").then(Ran::hangs));
    let (pod, _) = double.pods("shop").remove(0);
    let ann = system().open(&double.access_of("ann")).await.unwrap();
    let inside = Inside { namespace: "shop".to_owned(), pod, container: None };
    let hung = ann.exec(&inside, &["wait".to_owned()], Duration::from_millis(300)).await;
    assert!(matches!(hung, Err(ClusterError::TimedOut(_))), "{hung:?}");
    double.remember(1);
    double.namespace("other");
    double.namespace("another");
    let old = kubectl(
        &double.kubeconfig(),
        "get --raw /api/v1/namespaces?resourceVersion=3&resourceVersionMatch=Exact&limit=9",
    );
    assert!(!old.status.success(), "{old:?}");
}
