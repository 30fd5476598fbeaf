//! Real drills, small ones: a run names those before it in its start record, and adds itself to the index.

use crate::support::{Ended, Place};
use blackstart::adapters::index::{Index, Place as At};
use serde_json::Value;
use std::time::Duration;

const DRILL: &str = r#"
drill: small
environment: embedded
objectives: {rto: 10s}
metadata: {every: 30d}
staging: {embedded: {replication: async, lag: 50ms, port: 16310}}
targets:
  store:   {kv: {url: "http://127.0.0.1:16310"}}
  primary: {process: {pidfile: "${staging.dir}/primary.pid"}}
workload:
  orders:
    ledger: {target: store, rate: 50/s, writers: 2, timeout: 2s}
    service: {deadline: 1s, stable: 1s}
baseline: 1s
steady:
  - expect: {http: {url: "http://127.0.0.1:16310/cluster", value: {cel: "value.primaries == 1 && value.streaming"}}}
    within: 10s
outage:
  - id: dies
    inject:
      process_kill:
        target: primary
        back: {request: {method: POST, url: "http://127.0.0.1:16310/cluster/start", timeout: 20s}}
    deadline: 1m
restore:
  - run: {request: {method: POST, url: "http://127.0.0.1:16310/cluster/start", timeout: 20s}}
    within: 20s
    closes: dies
"#;

fn drill(at: &Place, run: &str, url: &str, more: &[&str]) -> Ended {
    let mut command = at.blackstart();
    command.args(["run", "small.yaml", "--output", "plain", "--run-id", run]).args(more);
    // On a busy machine it may not be decided; that it ran to its end is what counts here.
    let ended = Ended::new(command.env("BLACKSTART_HISTORY_URL", url).output().unwrap());
    assert!([0, 2].contains(&ended.code), "{ended:?}");
    ended
}

#[test]
fn a_run_names_those_before_it_and_adds_itself_to_an_index_that_is_there() {
    let at = Place::new();
    at.file("small.yaml", DRILL);
    std::fs::create_dir(at.reports()).unwrap();
    assert_eq!(at.run(&["history"]).code, 0, "it makes an index");
    drill(&at, "one", "", &[]);
    let place = At::File(at.reports().join(".blackstart/history.sqlite"));
    let rows = Index::open(&place, Duration::from_secs(5)).unwrap().rows(None, None).unwrap();
    assert_eq!(rows.len(), 1, "nobody asked for it: the run did it");
    let one = rows[0].content.as_ref().unwrap();
    assert!(one.manifest.is_some() && one.chain.as_ref().is_some_and(|chain| chain.counter == 1), "{one:?}");

    // A team's index that cannot be reached is a remark, before and after; folders tell of the run before.
    let url = "postgresql://me:s3cr3t@127.0.0.1:16319/runs?sslmode=disable";
    let ended = drill(&at, "two", url, &["--baseline", "reports/small/one"]);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(
        said.contains("127.0.0.1:16319") && said.contains("not in the index") && !said.contains("s3cr3t"),
        "{said}"
    );
    let held = said.split("Against reports/small/one\n").nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(held.contains("RTO of orders: ") || held.contains("not comparable: 0 comparable"), "{held}");
    let journal = std::fs::read_to_string(at.reports().join("small/two/journal.jsonl")).unwrap();
    let start: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let earlier = &start["what"]["run_started"]["lineage"]["earlier"];
    assert_eq!((&earlier[0]["run"], &earlier[0]["comparable"]), (&"one".into(), &true.into()), "{start}");
    assert_eq!(earlier[0]["figures"][0]["objective"], "rto");

    // The class that is told before a run is the one that its report has.
    let listed = at.run(&["history", "--output", "json"]).json();
    assert_eq!(listed["runs"][0]["class"], listed["runs"][1]["class"]);
    let chained = at.run(&["gate", "small.yaml", "--require", "chained", "--recompute", "--output", "json"]).json();
    let codes: Vec<&Value> = chained["drills"][0]["reasons"].as_array().unwrap().iter().map(|r| &r["code"]).collect();
    assert!(!codes.iter().any(|code| **code != "objective"), "{chained}");
}
