//! Real runs, each to the exit code that it deserves, and what they leave behind.

use crate::drill;
use crate::support::{Ended, Place};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn run(place: &Place, file: &str) -> Ended {
    place.run(&["run", file, "--reports", "out", "--output", "plain"])
}

fn report(dir: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("report.json")).unwrap()).unwrap()
}

#[test]
fn a_drill_that_meets_its_objectives_passes_and_can_be_analysed_again() {
    let place = Place::new();
    place.file("small.yaml", &drill::text(18_000));
    let ended = run(&place, "small.yaml").code(0);
    assert!(ended.out.contains("PASSED"), "{}", ended.out);
    let seal = ended.err.find("sealed before the fault").unwrap();
    assert!(seal < ended.err.find("outage").unwrap(), "{}", ended.err);
    assert!(ended.err.contains("orders: RTO at most 10 s from the fault"), "{}", ended.err);
    let dir = place.only_run("out/small");
    for file in [
        "journal.jsonl",
        "playbook.yaml",
        "playbook.resolved.yaml",
        "report.json",
        "report.html",
        "report.md",
        "junit.xml",
        "metrics.txt",
    ] {
        assert!(dir.join(file).is_file(), "no {file}");
    }
    assert_eq!(report(&dir)["run"]["exit_code"], 0);
    assert_eq!(report(&dir)["run"]["verdict"], "pass");

    let again = place.run(&["analyze", dir.to_str().unwrap()]).code(0);
    assert!(again.out.contains("byte for byte"), "{}", again.out);
    let page = dir.join("report.html");
    std::fs::write(&page, std::fs::read_to_string(&page).unwrap().replace("PASSED", "PERFECT")).unwrap();
    let differs = place.run(&["analyze", dir.to_str().unwrap()]).code(1);
    assert!(differs.out.contains("NOT what the record says: report.html"), "{}", differs.out);
    let refused = place.run(&["analyze", dir.to_str().unwrap(), "--rewrite"]).code(64);
    assert!(refused.err.contains("is sealed"), "{}", refused.err);
    // One that is not sealed.
    std::fs::remove_file(dir.join("SHA256SUMS")).unwrap();
    place.run(&["analyze", dir.to_str().unwrap(), "--rewrite"]).code(1);
    place.run(&["analyze", dir.to_str().unwrap()]).code(0);
    place.nothing_left(18_000);
}

#[test]
fn a_missed_objective_fails() {
    let place = Place::new();
    place.file("small.yaml", &drill::with(18_010, "rto: 10s", "rto: 20ms"));
    let ended = run(&place, "small.yaml").code(1);
    assert!(ended.out.contains("FAILED") && ended.out.contains("missed"), "{}", ended.out);
    assert_eq!(report(&place.only_run("out/small"))["run"]["exit_code"], 1);
    place.nothing_left(18_010);
}

#[test]
fn a_false_check_fails() {
    let place = Place::new();
    place.file("small.yaml", &drill::with(18_020, "value: {equals: 1}", "value: {equals: 2}"));
    run(&place, "small.yaml").code(1);
    place.nothing_left(18_020);
}

#[test]
fn a_fault_that_did_not_bite_is_inconclusive_and_never_a_pass() {
    let place = Place::new();
    // The primary does not care about SIGWINCH; without a failover there is nothing else to fail.
    let text = drill::with(18_030, "target: primary", "target: primary\n        signal: WINCH")
        .replace("value: {equals: b}", "value: {equals: a}");
    place.file("small.yaml", &text);
    let ended = run(&place, "small.yaml").code(2);
    assert!(ended.out.contains("INCONCLUSIVE"), "{}", ended.out);
    place.nothing_left(18_030);
}

#[test]
fn a_fault_that_cannot_be_healed_is_3_until_it_is_healed() {
    let place = Place::new();
    let back = place.file("back.sh", "#!/bin/sh\ntest -e mended && kill -0 $(cat victim.pid)\n");
    std::fs::set_permissions(&back, PermissionsExt::from_mode(0o755)).unwrap();
    let victim = place.file("victim.sh", "#!/bin/sh\nsleep 300 </dev/null >/dev/null 2>&1 &\necho $! > victim.pid\n");
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o755)).unwrap();
    let text = r#"
drill: stuck
environment: embedded
staging: {embedded: {replication: async, port: 18040}}
targets:
  store: {kv: {url: "http://127.0.0.1:18040"}}
  victim: {process: {pidfile: victim.pid}}
workload: {orders: {ledger: {target: store, rate: 50/s}, service: {stable: 1s}}}
baseline: 1s
steady: [{run: {command: [./victim.sh]}}]
outage: [{id: dies, inject: {process_kill: {target: victim, back: {command: [./back.sh]}}}}]
"#;
    let text = text.replace("steady: [{run: {command: [./victim.sh]}}]\n", "");
    assert!(std::process::Command::new(&victim).current_dir(place.path()).status().unwrap().success());
    place.file("stuck.yaml", &text);
    let ended = run(&place, "stuck.yaml").code(3);
    assert!(ended.out.contains("NOT HEALED") && ended.err.contains("blackstart recover"), "{ended:?}");
    assert_eq!(report(&place.only_run("out/stuck"))["run"]["exit_code"], 3);

    let status = place.run(&["status"]).code(3);
    assert!(status.out.contains("open: ") && status.out.contains("by hand: "), "{}", status.out);
    let refused = run(&place, "stuck.yaml").code(3);
    assert!(refused.err.contains("left the fault `dies` open"), "{}", refused.err);
    place.run(&["recover"]).code(3);

    place.file("mended", "");
    assert!(std::process::Command::new(&victim).current_dir(place.path()).status().unwrap().success());
    let recovered = place.run(&["recover"]).code(0);
    assert!(recovered.out.contains("healed"), "{}", recovered.out);
    assert!(place.run(&["status"]).code(0).out.contains("none left anything open"));
    place.end_pid("victim.pid");
    place.nothing_left(18_040);
}

#[test]
fn what_is_missing_before_anything_is_touched_is_69() {
    let place = Place::new();
    let missing =
        drill::with(18_050, "  - id: one_primary\n", "  - run: {command: [no-such-tool-here]}\n  - id: one_primary\n");
    place.file("missing.yaml", &missing);
    let ended = run(&place, "missing.yaml").code(69);
    assert!(ended.err.contains("no-such-tool-here"), "{}", ended.err);

    place.file("small.yaml", &drill::text(18_050));
    let held = std::net::TcpListener::bind("127.0.0.1:18052").unwrap();
    let ended = run(&place, "small.yaml").code(69);
    assert!(ended.err.contains("18052"), "{}", ended.err);
    drop(held);

    let ended = place.run(&["run", "small.yaml", "--reports", "/proc/1/reports"]).code(69);
    assert!(ended.err.contains("/proc/1/reports"), "{}", ended.err);
    let ended =
        place.blackstart().args(["run", "small.yaml"]).env("BLACKSTART_STATE_DIR", "/dev/shm/bs").output().unwrap();
    assert!(Ended::new(ended).code(69).err.contains("in memory"));
    place.nothing_left(18_050);
}

#[test]
fn a_staging_that_does_not_come_up_is_69_and_goes_down() {
    let place = Place::new();
    let text = drill::with(
        18_060,
        "staging: {embedded: {replication: async, lag: 50ms, port: 18060}}",
        "staging: {up: {command: [\"false\"]}, down: {command: [touch, down]}}",
    );
    let text = text.replace("${staging.dir}", "/var/tmp");
    place.file("small.yaml", &text);
    let ended = run(&place, "small.yaml").code(69);
    assert!(ended.err.contains("staging"), "{}", ended.err);
    assert!(place.path().join("down").exists(), "the staging was not brought down");
}

#[test]
fn a_wrong_playbook_is_65_and_nothing_is_written() {
    let place = Place::new();
    place.file("small.yaml", &drill::with(18_070, "within: 10s", "within: 10"));
    let ended = run(&place, "small.yaml").code(65);
    assert!(ended.err.contains("write it like") && ended.err.contains("nothing was touched"), "{}", ended.err);
    assert!(!place.path().join("out").exists());
}

#[test]
fn outside_its_window_a_game_day_does_not_run() {
    let place = Place::new();
    place.file("small.yaml", &drill::text(18_080));
    let day = "game_day: old\nwindow: {from: 2020-01-01T00:00:00Z, until: 2020-01-02T00:00:00Z}\ndrills: [{playbook: small.yaml}]\n";
    place.file("day.yaml", day);
    let ended = run(&place, "day.yaml").code(5);
    assert!(ended.err.contains("window"), "{}", ended.err);
    assert!(!place.path().join("out").exists());
}

#[test]
fn of_several_drills_the_worst_decides() {
    let place = Place::new();
    place.file("a.yaml", &drill::text(18_090).replace("drill: small", "drill: good"));
    place.file(
        "b.yaml",
        &drill::with(18_090, "value: {equals: 1}", "value: {equals: 2}").replace("drill: small", "drill: wrong"),
    );
    place.file(
        "day.yaml",
        "game_day: today\ndrills:\n  - {playbook: b.yaml, on_fail: continue}\n  - {playbook: a.yaml, pause: 100ms}\n",
    );
    let ended = run(&place, "day.yaml").code(1);
    assert!(ended.out.contains("together: fail (1)"), "{}", ended.out);
    assert_eq!(report(&place.only_run("out/good"))["run"]["exit_code"], 0);
    assert_eq!(report(&place.only_run("out/wrong"))["run"]["exit_code"], 1);
    place.nothing_left(18_090);
}

#[test]
fn programs_get_a_line_for_each_event_and_one_for_the_result() {
    let place = Place::new();
    place.file("small.yaml", &drill::text(18_100));
    let ended = place.run(&["run", "small.yaml", "--reports", "out", "--output", "json", "--run-id", "mine"]).code(0);
    let lines: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["event"]["what"]["run_started"].is_object(), "{}", lines[0]);
    let result = &lines.last().unwrap()["result"];
    assert_eq!((&result["exit_code"], &result["run"], &result["verdict"]), (&0.into(), &"mine".into(), &"pass".into()));
    let again = place.run(&["run", "small.yaml", "--reports", "out", "--run-id", "mine"]).code(69);
    assert!(again.err.contains("mine"), "{}", again.err);
}
