//! The user's own data across a drill: the same, damaged, damaged and restored, and not to be read.

use crate::bench::{Bench, Ran};
use crate::cluster::Cluster;
use crate::moto::{Moto, SECRET};
use blackstart::adapters::{Request, World};
use blackstart::analysis::{self, Analysis, Record};
use blackstart::event::{Moment, What};
use blackstart::model::{RunState, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// A fault of our own that damages one file, and what happens after it.
fn drill(expect: &str, after: &str) -> String {
    format!(
        r#"
drill: books
environment: test
baseline: 50ms
fingerprints:
  files: {{directory: {{path: ./data, exclude: ["*.tmp"]}}{expect}}}
outage:
  - id: damage
    inject: {{command: {{inject: [sh, -c, "echo bad > data/a; echo x > data/new; rm -f data/b"], effective: [test, -e, data/new], heal: [rm, -f, data/new], healed: [sh, -c, "test ! -e data/new"]}}}}
    deadline: 1m
{after}
"#
    )
}

fn bench() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    for name in ["a", "b", "c", "d.tmp"] {
        std::fs::write(bench.path("data").join(name), "good\n").unwrap();
    }
    bench
}

fn analysis(ran: &Ran) -> Analysis {
    analysis::analyze(&Record { events: ran.events.clone(), ..Record::default() })
}

fn moments(ran: &Ran) -> Vec<Moment> {
    let taken = ran.events.iter().filter_map(|e| match &e.what {
        What::Fingerprint(taken) => Some(taken.moment),
        _ => None,
    });
    taken.collect()
}

#[tokio::test]
async fn damage_that_nobody_repairs_fails_the_drill_and_is_named() {
    let ran = bench().run(&drill("", "")).await;
    assert_eq!((ran.finished.state, moments(&ran)), (RunState::Ended, vec![Moment::Before, Moment::After]));
    let found = analysis(&ran);
    let print = &found.fingerprints[0];
    assert_eq!(print.verdict, Verdict::Fail, "{print:?}");
    assert_eq!(
        print.why,
        "`./data`: 3 entries before and 2 entries after: at least 1 missing; 1 missing, 1 changed (`a` changed, `b` missing)"
            .replace("2 entries after", "2 after")
    );
    assert!(
        found.verdict == Verdict::Fail && found.reasons[0].text.contains("`files` is not what it was"),
        "{found:?}"
    );
    assert_eq!(found.reasons[0].place.as_deref().map(|p| p.ends_with("drill.yaml:6")), Some(true), "{found:?}");
}

#[tokio::test]
async fn what_is_restored_passes_and_steps_can_wait_for_it() {
    let steps = r#"failover:
  - {id: damaged, expect: {fingerprint: files}, within: 300ms}
restore:
  - {id: back, run: {command: [sh, -c, "echo good > data/a; echo good > data/b; echo other > data/d.tmp"]}}
  - {id: gone, heal: damage}
verify:
  - {id: whole, check: {fingerprint: files}}
"#;
    let ran = bench().run(&drill("", steps)).await;
    assert!(!ran.passed("damaged") && ran.passed("whole"), "{}", ran.story());
    assert!(ran.story().contains("`b` missing"), "{}", ran.story());
    let found = analysis(&ran);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Pass, "{found:?}");
}

#[tokio::test]
async fn any_only_records() {
    let ran = bench().run(&drill(", expect: any", "")).await;
    let found = analysis(&ran);
    assert_eq!((found.fingerprints[0].verdict, found.verdict), (Verdict::Pass, Verdict::Pass), "{found:?}");
    assert!(found.fingerprints[0].why.contains("`b` missing"), "{found:?}");
}

#[tokio::test]
async fn what_cannot_be_read_before_is_named_before_anything_is_touched() {
    let bench = bench();
    std::fs::remove_dir_all(bench.path("data")).unwrap();
    let ran = bench.run(&drill("", "")).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("`files`") && ran.error().contains("there is no such thing"), "{}", ran.error());
    assert!(!ran.any(|w| matches!(w, What::FaultIntent(_))));
}

#[tokio::test]
async fn what_is_gone_afterwards_fails_and_what_cannot_be_read_is_inconclusive() {
    let gone = "verify:\n  - {id: away, run: {command: [rm, -rf, data]}}\n";
    let found = analysis(&bench().run(&drill("", gone)).await);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Fail, "{found:?}");
    assert!(found.fingerprints[0].why.contains("`./data` is gone; it had 3 entries"), "{found:?}");
    let other = "verify:\n  - {id: away, run: {command: [sh, -c, \"rm -rf data; echo > data\"]}}\n";
    let found = analysis(&bench().run(&drill("", other)).await);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Inconclusive, "{found:?}");
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
}

/// Keys that were there before, in a store that a ledger writes to all the while; one more comes at the end.
fn keys(port: u16) -> String {
    format!(
        r#"
drill: keys
environment: test
baseline: 50ms
targets:
  store: {{kv: {{url: "http://127.0.0.1:{port}"}}}}
workload:
  orders: {{ledger: {{target: store, rate: 100/s, writers: 2, timeout: 2s}}, service: {{stable: 1s}}}}
fingerprints:
  kept: {{keys: {{target: store, prefixes: [seed/], exclude: ["seed/7/*"]}}}}
  all: {{keys: {{target: store}}}}
outage:
  - id: nothing
    inject: {{command: {{inject: [touch, broken], effective: [test, -e, broken], heal: [rm, -f, broken], healed: [sh, -c, "test ! -e broken"]}}}}
    deadline: 1m
restore:
  - {{id: same, expect: {{fingerprint: all}}, within: 10s}}
  - {{id: more, run: {{request: {{method: PUT, url: "http://127.0.0.1:{port}/ledger/seed/7/1", body: x}}}}}}
  - {{id: gone, heal: nothing}}
verify:
  - {{id: kept, check: {{fingerprint: kept}}}}
  - {{id: all, check: {{fingerprint: all}}}}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_compared_beside_a_ledger_in_the_same_store() {
    let store = Cluster::up();
    let http = World::system().http;
    for key in ["seed/0/1", "seed/0/2", "seed/1/1"] {
        let (url, timeout) = (format!("http://127.0.0.1:{}/ledger/{key}", store.port), Duration::from_secs(30));
        let (method, headers, body) = ("PUT".to_owned(), BTreeMap::new(), Some(key.as_bytes().to_vec()));
        assert_eq!(http.send(&Request { method, url, headers, body, timeout }).await.unwrap().status, 200);
    }
    let ran = bench().run(&keys(store.port)).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert!(ran.passed("same") && ran.passed("kept") && !ran.passed("all"), "{}", ran.story());
    assert!(ran.story().contains("`every key`: 3 keys before and 4 after: at least 1 added"), "{}", ran.story());
    let found = analysis(&ran);
    let verdicts: Vec<(&str, Verdict)> = found.fingerprints.iter().map(|p| (p.name.as_str(), p.verdict)).collect();
    assert_eq!(verdicts, [("kept", Verdict::Pass), ("all", Verdict::Fail)], "{found:?}");
    assert!(found.fingerprints[1].why.contains("`seed/7/1` added"), "{found:?}");
}

/// Objects of a bucket: one changed, one that is left out, and one that comes back.
fn objects(port: u16) -> String {
    let url = format!("http://127.0.0.1:{port}/data");
    format!(
        r#"
drill: objects
environment: test
baseline: 50ms
secrets:
  s3: {{file: ./secret}}
targets:
  bucket: {{s3: {{endpoint: "http://127.0.0.1:{port}", bucket: data, region: eu-central-1, access_key: key, secret_key: "${{secrets.s3}}"}}}}
fingerprints:
  kept:   {{objects: {{target: bucket, prefixes: [in/], exclude: ["in/*.tmp"]}}}}
  broken: {{objects: {{target: bucket, prefixes: [in/, out/]}}}}
outage:
  - id: damage
    inject: {{command: {{inject: [curl, -sf, -T, new, "{url}/in/a"], effective: [sh, -c, "test $(curl -s {url}/in/a) = new"], heal: [curl, -sf, -T, old, "{url}/in/a"], healed: [sh, -c, "test $(curl -s {url}/in/a) = old"]}}}}
    deadline: 1m
failover:
  - {{id: damaged, expect: {{fingerprint: kept}}, within: 1s}}
restore:
  - {{id: back, heal: damage}}
  - {{id: whole, expect: {{fingerprint: kept}}, within: 10s}}
  - {{id: more, run: {{command: [curl, -sf, -T, new, "{url}/in/x.tmp"]}}}}
verify:
  - {{id: kept, check: {{fingerprint: kept}}}}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_compared_and_their_secret_is_nowhere() {
    let (moto, bench) = (Moto::up(), bench());
    for (name, content) in [("secret", SECRET), ("old", "old"), ("new", "new")] {
        std::fs::write(bench.path(name), content).unwrap();
    }
    moto.send("PUT", "data", b"").await;
    for key in ["in/a", "in/b", "out/c"] {
        moto.send("PUT", &format!("data/{key}"), b"old").await;
    }
    let ran = bench.run(&objects(moto.port)).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert!(!ran.passed("damaged") && ran.passed("whole") && ran.passed("kept"), "{}", ran.story());
    assert!(ran.story().contains("1 changed (`in/a` changed)"), "{}", ran.story());
    let found = analysis(&ran);
    let verdicts: Vec<(&str, Verdict)> = found.fingerprints.iter().map(|p| (p.name.as_str(), p.verdict)).collect();
    assert_eq!(verdicts, [("kept", Verdict::Pass), ("broken", Verdict::Fail)], "{found:?}");
    assert!(found.fingerprints[1].why.contains("`in/`: 2 objects before and 3 after"), "{found:?}");
    let text = bench.journal_text();
    assert!(text.contains("${secrets.s3}") && !text.contains(SECRET) && !text.contains("X-Amz"), "{text}");
}
