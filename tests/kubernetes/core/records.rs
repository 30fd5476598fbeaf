//! Records of open faults and Leases in the cluster, and healing from these alone.

use super::{Bench, replicas};
use crate::double::{Harm, Only};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Kills a runner and its guardian, so that nobody heals.
fn kill_both(bench: &Bench, mut child: std::process::Child) {
    let dir = bench.place.only_run("out/scaled");
    let events = bench.place.events(&dir);
    let pid = events.iter().find_map(find_guardian).expect("a guardian");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The pid of the guardian, wherever the event keeps it.
fn find_guardian(event: &Value) -> Option<i64> {
    let text = event.to_string();
    let at = text.find("\"guardian\":{")?;
    let pid = text[at..].split("\"pid\":").nth(1)?;
    pid.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[test]
fn a_run_keeps_record_and_lease_while_something_is_broken_and_nothing_after() {
    let bench = Bench::new("500ms");
    let mut child = bench.bitten();
    let (records, leases) = (bench.records(), bench.leases());
    assert_eq!((records.len(), leases.len()), (1, 1), "{records:?} {leases:?}");
    assert_eq!(leases[0]["spec"]["holderIdentity"], "first");
    let intent: Value = serde_json::from_str(records[0]["data"]["intent"].as_str().unwrap()).unwrap();
    assert_eq!((&intent["fault"], &records[0]["data"]["run"]), (&json!("down"), &json!("first")));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(replicas(&bench.double), 2);
    assert_eq!(bench.ours(), Vec::<String>::new());
}

#[test]
fn nothing_is_injected_without_a_record() {
    let bench = Bench::new("100ms");
    bench.double.harm(Only::verb("create").of("configmaps"), Harm::Refuse(403));
    let ended = bench.run();
    assert_ne!(ended.code, 0);
    assert!(ended.err.contains("its record cannot be kept in the cluster"), "{}", ended.err);
    let scaled =
        bench.double.requests().into_iter().filter(|r| r.verb == "patch" && r.resource.starts_with("deployments"));
    let real = scaled.filter(|r| !r.query.iter().any(|(key, _)| key == "dryRun")).count();
    assert_eq!((real, replicas(&bench.double)), (0, 2), "{}", ended.err);
    assert_eq!(bench.ours(), Vec::<String>::new());
}

#[test]
fn a_record_that_cannot_be_removed_is_noted_and_found() {
    let bench = Bench::new("100ms");
    bench.double.harm(Only::verb("delete").of("configmaps"), Harm::Refuse(500));
    let ended = bench.run().code(0);
    assert!(ended.err.contains("could not be removed, and will be found there"), "{}", ended.err);
    bench.double.unharm();
    let refused = bench.run().code(3);
    assert!(refused.err.contains("blackstart recover --from-cluster"), "{}", refused.err);
    let seen = bench.in_cluster("status", &[]).code(3);
    assert!(seen.out.contains("open: down"), "{}", seen.out);
    // It is healed again, which changes nothing, and proven.
    bench.in_cluster("recover", &[]).code(0);
    assert_eq!((replicas(&bench.double), bench.ours()), (2, Vec::new()));
    bench.run().code(0);
}

#[test]
fn what_a_dead_run_left_is_healed_from_the_cluster_without_any_local_state() {
    let bench = Bench::new("60s");
    let child = bench.bitten();
    let alive = bench.in_cluster("recover", &[]).code(3);
    assert!(alive.out.contains("it is alive") && alive.out.contains("until"), "{}", alive.out);
    bench.in_cluster("status", &[]).code(0);
    kill_both(&bench, child);
    std::fs::remove_dir_all(bench.place.path().join("state")).unwrap();
    std::fs::remove_dir_all(bench.place.path().join("out")).unwrap();
    let healed = bench.in_cluster("recover", &["--wait", "--output", "json"]).code(0);
    // What goes on is said before it, a line each.
    let said: Value = serde_json::from_str(healed.out.lines().last().unwrap()).unwrap();
    assert_eq!((&said["recovered"][0]["run"], &said["recovered"][0]["healed"][0]), (&json!("first"), &json!("down")));
    assert_eq!((replicas(&bench.double), bench.ours()), (2, Vec::new()));
    let nothing = bench.in_cluster("recover", &[]).code(0);
    assert!(nothing.out.contains("no run left anything open"), "{}", nothing.out);
}

#[test]
fn the_ordinary_recovery_leaves_nothing_in_the_cluster() {
    let bench = Bench::new("60s");
    let child = bench.bitten();
    kill_both(&bench, child);
    bench.place.run(&["recover"]).code(0);
    assert_eq!((replicas(&bench.double), bench.ours()), (2, Vec::new()));
}

#[test]
fn a_guardian_frees_what_its_dead_runner_held() {
    let bench = Bench::new("60s");
    let mut child = bench.bitten();
    child.kill().unwrap();
    child.wait().unwrap();
    bench.double.wait(|double| replicas(double) == 2 && bench.ours().is_empty());
}

fn lease(holder: &str, renewed: &str) -> Value {
    // The name is that of what is held: `namespace shop`.
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "shop", "name": NAMESPACE_SHOP,
            "labels": {"blackstart.dev/owner": "bs-0123456789ab", "blackstart.dev/record": "lease"}},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 3600, "renewTime": renewed}})
}

/// `blackstart-` and the first 12 digits of SHA-256 of `namespace shop`.
const NAMESPACE_SHOP: &str = "blackstart-bc95b5f880b3";

#[test]
fn a_lease_that_another_run_holds_is_respected_and_an_expired_one_taken_over() {
    let bench = Bench::new("100ms");
    bench.double.object(lease("another", "2099-01-01T00:00:00.000000Z"));
    let held = bench.run().code(5);
    assert!(held.err.contains("namespace shop is held by the run another"), "{}", held.err);
    assert_eq!(replicas(&bench.double), 2);
    bench.double.object(lease("another", "2020-01-01T00:00:00.000000Z"));
    bench.run().code(0);
    assert_eq!(bench.ours(), Vec::<String>::new());
}

#[test]
fn a_run_that_lost_its_lease_to_another_heals_and_ends() {
    let bench = Bench::new("60s");
    let mut child = bench.bitten();
    bench.double.change("leases", "shop", NAMESPACE_SHOP, |lease| {
        lease["spec"]["holderIdentity"] = json!("another");
        lease["spec"]["renewTime"] = json!("2099-01-01T00:00:00.000000Z");
        lease["spec"]["leaseDurationSeconds"] = json!(3600);
    });
    let until = Instant::now() + Duration::from_secs(60);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < until, "it goes on");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert_eq!((code, replicas(&bench.double)), (Some(4), 2));
    assert_eq!(bench.leases()[0]["spec"]["holderIdentity"], "another", "it is not ours to free");
}

#[test]
fn helpers_without_a_record_are_removed_and_backups_are_named() {
    let bench = Bench::new("100ms");
    let object = |name: &str, record: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": name,
            "labels": {"blackstart.dev/owner": "bs-0123456789ab", "blackstart.dev/record": record}}})
    };
    bench.double.object(object("pressure", "helper"));
    bench.double.object(object("kept", "backup"));
    let seen = bench.in_cluster("status", &["--namespace", "shop"]).code(3);
    assert!(seen.out.contains("shop/pressure") && seen.out.contains("shop/kept"), "{}", seen.out);
    let done = bench.in_cluster("recover", &[]).code(3);
    assert!(done.out.contains("removed: configmap shop/pressure"), "{}", done.out);
    assert!(done.out.contains("kubectl get -o yaml configmaps kept -n shop"), "{}", done.out);
    assert_eq!(bench.ours(), ["configmaps kept"]);
}

/// A runner that is killed when all is healed and nothing is tidied up yet: no record leads to its Lease.
#[test]
fn a_lease_that_stands_for_nothing_any_more_is_freed_once_its_holder_is_silent() {
    let bench = Bench::new("100ms");
    bench.double.object(lease("another", "2099-01-01T00:00:00.000000Z"));
    bench.in_cluster("recover", &["--namespace", "shop"]).code(0);
    assert_eq!(bench.leases().len(), 1, "its holder is alive");
    let mut silent = lease("another", &chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    silent["spec"]["leaseDurationSeconds"] = json!(3);
    bench.double.object(silent);
    let done = bench.in_cluster("recover", &["--wait"]).code(0);
    assert!(done.out.contains(&format!("removed: lease shop/{NAMESPACE_SHOP}")), "{}", done.out);
    assert_eq!(bench.ours(), Vec::<String>::new());
}
