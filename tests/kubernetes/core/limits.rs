//! What is never touched, how much of it is at most, and clusters of many thousand objects.

use super::{Bench, replicas};
use crate::double::{Harm, Only};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn what_nobody_allows_is_refused_with_what_to_write() {
    let bench = Bench::new("100ms");
    bench.place.file("blackstart.yaml", "environments: {test: {}}\n");
    let refused = bench.run().code(69);
    assert!(refused.err.contains("kubernetes: [{context: \"double\", namespaces: [shop]}]"), "{}", refused.err);
    bench.double.change("namespaces", "", "shop", |shop| shop["metadata"]["labels"] = json!({"blackstart": "allowed"}));
    bench.run().code(0);
}

#[test]
fn a_protected_namespace_is_refused() {
    let bench = Bench::new("100ms");
    bench
        .double
        .change("namespaces", "", "shop", |shop| shop["metadata"]["labels"] = json!({"blackstart": "protected"}));
    let refused = bench.run().code(69);
    assert!(refused.err.contains("is labelled blackstart=protected"), "{}", refused.err);
    bench.double.deploy("kube-system", "web", 1);
    let text = std::fs::read_to_string(bench.place.path().join("d.yaml")).unwrap();
    bench.place.file("d.yaml", &text.replace("namespace: shop", "namespace: kube-system, home: shop"));
    let refused = bench.run().code(69);
    assert!(refused.err.contains("where no drill touches anything"), "{}", refused.err);
    assert_eq!(replicas(&bench.double), 2);
}

#[test]
fn a_share_is_of_the_objects_of_the_target() {
    let bench = Bench::new("100ms");
    bench.double.seed_pods("shop", "many", 10, 1);
    let kubeconfig = bench.double.kubeconfig();
    let drill = |more: &str| {
        format!(
            "drill: some\nenvironment: test\ntargets:\n  many: {{kubernetes: {{labels: app=many, namespace: shop, kubeconfig: {}}}}}\n\
             baseline: 100ms\noutage:\n  - {{id: gone, inject: {{pod_delete: {{target: many, grace: 0s}}}}, {more}}}\n",
            kubeconfig.display()
        )
    };
    for (more, left) in [("at_most: 30%", 10), ("pick: 50%, at_most: 30%", 10)] {
        bench.place.file("some.yaml", &drill(more));
        let ended = bench.place.run(&["run", "some.yaml", "--reports", "out", "--output", "plain"]);
        assert_ne!(ended.code, 0, "{more}: {}", ended.err);
        let names = bench.double.list("pods", "shop").into_iter().filter(|p| p["metadata"]["labels"]["app"] == "many");
        assert_eq!(names.count(), left, "{more}: {}", ended.err);
    }
}

/// Five thousand pods on five hundred nodes, planned page by page. The bound holds on a busy machine and without
/// optimization; the figure is in the documentation's page on performance.
#[test]
fn thousands_of_pods_are_planned_page_by_page() {
    let bench = Bench::new("100ms");
    bench.double.settings(|settings| settings.controllers = false);
    bench.double.seed_nodes(500, &["a", "b", "c"]);
    bench.double.seed_pods("shop", "many", 5000, 500);
    let kubeconfig = bench.double.kubeconfig();
    let drill = format!(
        "drill: many\nenvironment: test\ntargets:\n  many: {{kubernetes: {{labels: app=many, zone: a, namespace: shop, kubeconfig: {}}}}}\n\
         verify: [{{check: {{command: [\"true\"]}}}}]\n",
        kubeconfig.display()
    );
    bench.place.file("many.yaml", &drill);
    bench.double.forget_requests();
    let began = Instant::now();
    let planned = bench.place.run(&["plan", "many.yaml", "--output", "plain"]).code(0);
    let took = began.elapsed();
    assert!(planned.out.contains("1670 of kind pod"), "{}", planned.out);
    assert!(took < Duration::from_secs(20), "{took:?}");
    let lists: Vec<_> =
        bench.double.requests().into_iter().filter(|r| r.verb == "list" && r.resource == "pods").collect();
    assert!(lists.len() >= 10, "in pages: {}", lists.len());
    let limited = |query: &[(String, String)]| query.iter().any(|(key, value)| key == "limit" && value == "500");
    assert!(lists.iter().all(|list| limited(&list.query)));
}

/// As an engine's experiment is kept beside a playbook.
#[test]
fn an_object_of_another_engine_comes_from_a_file() {
    let bench = Bench::new("100ms");
    let text = std::fs::read_to_string(bench.place.path().join("d.yaml")).unwrap();
    let manifest = "manifest: {target: web, file: engine/loss.yaml, injected: {path: $.data.state, equals: ready}}";
    bench.place.file("d.yaml", &text.replace("workload_scale: {target: web}", manifest));
    bench
        .place
        .file("engine/loss.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: loss}\ndata: {state: ready}\n");
    let ended = bench.run().code(0);
    assert!(ended.out.contains("loss"), "{}", ended.out);
    let made = bench
        .double
        .requests()
        .into_iter()
        .any(|r| r.resource == "configmaps" && (r.name == "loss" || r.body["metadata"]["name"] == "loss"));
    assert!(made, "it was never made");
    assert_eq!(bench.double.get("configmaps", "shop", "loss"), None);
    bench.place.file("engine/loss.yaml", "- not\n- an object\n");
    let refused = bench.run().code(69);
    assert!(refused.err.contains("engine/loss.yaml"), "{}", refused.err);
    assert_eq!(bench.ours(), Vec::<String>::new());
}

#[test]
fn an_api_server_that_is_away_for_a_while_costs_no_drill() {
    let bench = Bench::new("5s");
    let mut child = bench.bitten();
    // For longer than a look takes, and shorter than the fault stays.
    bench.double.harm(Only::anything(), Harm::Drop);
    std::thread::park_timeout(Duration::from_secs(2));
    bench.double.unharm();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!((replicas(&bench.double), bench.ours()), (2, Vec::new()));
}
