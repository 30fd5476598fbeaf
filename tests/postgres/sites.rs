//! Sites of a ledger on real servers: a primary and its standby are counted and read back each by itself; two that both
//! take writes have each its own outage and loss, which `psql` counts again.

use crate::drills::only_run;
use crate::pair::{Pair, scripts};
use blackstart::adapters::postgres::open_ledger;
use blackstart::adapters::tally::{Frontier, Tally};
use blackstart::adapters::{Act, ClientSettings, Endpoint, LedgerStore, Operation, World};
use blackstart::clock::Clock;
use blackstart::journal::ops;
use blackstart::model::{Action, ClientBehaviour, Key, Outcome, RunId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn settings() -> ClientSettings {
    ClientSettings {
        run: RunId::from("run-1"),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(5),
        writers: 2,
        payload: 64,
        rate: 100.0,
    }
}

async fn site(url: String) -> Arc<dyn LedgerStore> {
    let endpoint = Endpoint::PostgresLedger { url, table: "blackstart_ledger".to_owned() };
    World::system().clients.site(&Clock::System, &endpoint, &settings()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_and_its_standby_are_counted_each_by_itself() {
    let pair = Pair::up(15440, &[]);
    let ledger = open_ledger(&Clock::System, &pair.url(0), "blackstart_ledger", &settings()).unwrap();
    ledger.store.unwrap().prepare().await.unwrap();
    for seq in 0..10 {
        for writer in 0..2 {
            let act = Act::Write(Key { writer, seq });
            let done = ledger.client.operate(Operation { due: Clock::System.mono(), act }).await;
            assert_eq!(done.outcome, Outcome::Ok);
        }
    }
    let (one, two) = (site(pair.url(1)).await, site(pair.url(2)).await);
    let whole = BTreeMap::from([0, 1].map(|writer| (writer, Tally { count: 10, highest: 9, sum: 45 })));
    assert_eq!(one.tally(None).await, Ok(whole.clone()));
    let upto = Frontier::from([(1, 3)]);
    assert_eq!(one.tally(Some(&upto)).await, Ok(BTreeMap::from([(1, Tally { count: 4, highest: 3, sum: 6 })])));
    let deadline = Instant::now() + Duration::from_secs(60);
    while two.tally(None).await != Ok(whole.clone()) {
        assert!(Instant::now() < deadline, "the standby does not catch up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut rows = 0;
    two.read_back(&mut |_| rows += 1).await.unwrap();
    assert_eq!(rows, 20);
}

/// Two servers that both take writes and do not know of each other; one of them is frozen for a while.
fn split(pair: &Pair, folder: &Path) -> PathBuf {
    let children = folder.join("two.sh");
    let pid = pair.postmaster("pg2");
    std::fs::write(&children, format!("#!/bin/sh\necho {pid}\npgrep -P {pid}\n")).unwrap();
    std::fs::set_permissions(&children, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let drills = scripts().parent().unwrap().join("blackstart.yaml");
    std::fs::copy(drills, folder.join("blackstart.yaml")).unwrap();
    std::fs::write(folder.join("password"), pair.password()).unwrap();
    let [one, two] = [1, 2].map(|node| pair.url(node).replace(&pair.password(), "${secrets.app}"));
    let text = format!(
        r#"
drill: split-brain
environment: staging
objectives: {{rto: 20s, rpo: {{writes: 0}}}}
secrets: {{app: {{file: password}}}}
targets:
  one: {{postgres: {{url: "{one}?sslmode=disable"}}}}
  two: {{postgres: {{url: "{two}?sslmode=disable"}}}}
  server: {{process: {{command: [./two.sh]}}}}
workload:
  orders:
    ledger: {{write: each, sites: {{one: {{target: one}}, two: {{target: two}}}}, rate: 200/s, writers: 5, timeout: 1s}}
    service: {{availability: 100%, deadline: 1s, stable: 2s}}
guards: [{{max_duration: 2m}}]
baseline: 1s
outage:
  - {{id: frozen, inject: {{process_pause: {{target: server}}}}, deadline: 1m}}
  - {{id: meanwhile, wait: 2500ms}}
restore:
  - {{id: thaw, heal: frozen}}
"#
    );
    let path = folder.join("split-brain.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Keys of acknowledged writes in the log of one site.
fn acked(run: &Path, site: &str) -> BTreeSet<(u16, u64)> {
    let log = ops::read(&run.join(ops::file_name(&format!("orders@{site}").as_str().into()))).unwrap();
    let acked = log.records.iter().filter(|r| r.action == Action::Write && r.outcome == Outcome::Ok);
    acked.filter_map(|r| r.key.map(|k| (k.writer, k.seq))).collect()
}

#[test]
fn each_of_two_servers_has_its_own_outage_and_owes_what_the_other_took() {
    let pair = Pair::up(15460, &[]);
    pair.psql(2, "postgres", "select pg_promote()");
    let folder = tempfile::Builder::new().prefix("blackstart-test-split-").tempdir().unwrap();
    let (playbook, reports) = (split(&pair, folder.path()), folder.path().join("reports"));
    let ran = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("run")
        .arg(playbook)
        .arg("--reports")
        .arg(&reports)
        .env("BLACKSTART_STATE_DIR", reports.join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let run = only_run(&reports, &said);
    let report: Value = serde_json::from_slice(&std::fs::read(run.join("report.json")).unwrap()).unwrap();

    let id = report["run"]["id"].as_str().unwrap();
    let there = |node: u16| -> BTreeSet<(u16, u64)> {
        let rows = pair.psql(node, "app", &format!("select writer, seq from blackstart_ledger where run = '{id}'"));
        let key = |row: &str| row.split_once('|').map(|(w, s)| (w.parse().unwrap(), s.parse().unwrap()));
        rows.lines().filter_map(key).collect()
    };
    let (there, told) = ([there(1), there(2)], [acked(&run, "one"), acked(&run, "two")]);
    let all: BTreeSet<(u16, u64)> = told.iter().flatten().copied().collect();
    for (place, name) in ["one", "two"].into_iter().enumerate() {
        assert!(told[place].len() > 200 && there[place].iter().all(|(w, _)| usize::from(*w) % 2 == place), "{said}");
        let site = &report["sites"][0]["sites"][place];
        let count = |set: usize| Value::from(set);
        assert_eq!(site["lost"], count(all.difference(&there[place]).count()), "{name}\n{said}");
        assert_eq!(site["lacks"], count(there[1 - place].difference(&there[place]).count()), "{name}\n{said}");
    }
    let service = |place: usize| &report["sites"][0]["sites"][place]["service"];
    assert_eq!(service(1)["state"], "back", "{said}");
    let took = (service(1)["took"]["low"].as_f64().unwrap(), service(1)["took"]["high"].as_f64().unwrap());
    assert!(took.1 >= 2.5 && took.0 <= took.1 && took.0 < 15.0, "{took:?}\n{said}");
    assert_eq!(report["run"]["verdict"], "fail", "what only one of them has is lost at the other\n{said}");
    assert!(said.contains("the worst of one, two"), "{said}");
}
