//! The runner is killed in the middle of its ledger's writes: what its log then says about a loss. The store lives on by
//! itself, so that what was really accepted is known.

use crate::bench::{Bench, CONFIG};
use crate::cluster::Cluster;
use blackstart::adapters::{ClientSettings, Endpoint, World};
use blackstart::clock::Clock;
use blackstart::event::ReadBack;
use blackstart::journal::ops;
use blackstart::ledger::{Keep, Ledger, Log, Sight};
use blackstart::model::{Action, ClientBehaviour, Found, Key, Outcome};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const WRITERS: u16 = 4;
const RATE: u64 = 400;

impl Cluster {
    /// Everything of the run, by name.
    async fn keys(&self, run: &str) -> BTreeSet<Key> {
        let settings = ClientSettings {
            run: run.into(),
            behaviour: ClientBehaviour::Pooled,
            timeout: Duration::from_secs(30),
            writers: WRITERS,
            payload: 64,
            rate: 1.0,
        };
        let endpoint = Endpoint::KvLedger { url: format!("http://127.0.0.1:{}", self.port) };
        let opened = World::system().clients.open(&Clock::System, &endpoint, &settings).await.unwrap();
        let mut keys = BTreeSet::new();
        let mut take = |row: blackstart::adapters::Row| assert!(keys.insert(row.key.unwrap()));
        opened.store.unwrap().read_back(&mut take).await.unwrap();
        keys
    }
}

fn drill(port: u16) -> String {
    format!(
        "drill: acknowledged\nenvironment: test\nbaseline: 50ms\n\
         targets:\n  store: {{kv: {{url: \"http://127.0.0.1:{port}\"}}}}\n  victim: {{process: {{pidfile: pid}}}}\n\
         workload:\n  orders: {{ledger: {{target: store, rate: {RATE}/s, writers: {WRITERS}, payload: 64B}}}}\n\
         outage:\n  - {{id: frozen, inject: {{process_pause: {{target: victim}}}}, deadline: 1m}}\n\
         failover:\n  - {{id: long, wait: 60s}}\n"
    )
}

fn command(bench: &Bench, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(words).current_dir(bench.path("drill.yaml").parent().unwrap());
    command.env("BLACKSTART_STATE_DIR", bench.path("state")).env("BLACKSTART_REPORTS", bench.path("reports"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Runs the drill until it has written for a while, kills the runner, and waits for its guardian.
fn killed(bench: &Bench) {
    let mut victim = Victim(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap());
    std::fs::write(bench.path("pid"), victim.0.id().to_string()).unwrap();
    let words = ["run", "drill.yaml", "--volatile-state", "--run-id", "r1", "--output", "plain"];
    let mut runner = command(bench, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journal = || std::fs::read_to_string(bench.path("reports/acknowledged/r1/journal.jsonl")).unwrap_or_default();
    let log = bench.path("reports/acknowledged/r1/ops/orders.ops");
    until("the fault is open", || journal().contains("\"fault_effect\""));
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let before = size(&log);
    until("a second of writes", || size(&log) > before + RATE * 8);
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("the guardian has ended the record", || journal().contains("\"run_ended\""));
    victim.0.kill().unwrap();
}

/// Ends with the test.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn found(keys: impl Iterator<Item = Key>) -> ReadBack {
    let mut sight = Sight::new(WRITERS);
    keys.for_each(|key| sight.row(key, 1, Found::Intact));
    sight.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_never_over_reports_a_loss() {
    let (store, bench) = (Cluster::up(), Bench::new());
    std::fs::write(bench.path("drill.yaml"), drill(store.port)).unwrap();
    std::fs::write(bench.path("blackstart.yaml"), CONFIG).unwrap();
    killed(&bench);
    let accepted = store.keys("r1").await;

    // What is judged from the record alone: without a final read-back nothing is called lost.
    let folder = bench.path("reports/acknowledged/r1");
    let Output { status, stdout, stderr } = command(&bench, &["analyze", folder.to_str().unwrap()]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_ne!(status.code(), Some(0), "{said}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    let ledger = &report["workloads"]["orders"]["ledger"];
    assert!(ledger["lost"].is_null() && ledger["acked"].as_u64().unwrap() > RATE / 2, "{ledger}");

    // The log claims nothing that was not accepted, and lacks little of what was.
    let log = ops::read(&folder.join("ops/orders.ops")).unwrap();
    let writes = log.records.iter().filter(|record| record.action == Action::Write);
    let mut told = Ledger::new(Keep::Times);
    let mut logged: BTreeSet<Key> = BTreeSet::new();
    for record in writes {
        let Some(key) = record.key else { continue };
        assert!(record.outcome != Outcome::Ok || accepted.contains(&key), "{record:?}");
        told.record(key, record.outcome, record.sent, record.done);
        logged.insert(key);
    }
    let unlogged: Vec<Key> = accepted.difference(&logged).copied().collect();
    assert!(unlogged.len() as u64 <= RATE, "a second's worth: {}", unlogged.len());
    let tail = RATE + u64::from(WRITERS);

    // The store kept everything: nothing is lost, and nothing that no log holds is a phantom.
    let all = told.verify(&found(accepted.iter().copied()), Log::Cut { tail });
    assert_eq!((all.lost, all.phantom, all.resurrected), (0, 0, 0));

    // The store loses its newest rows, logged or not: the truth lies in [lost, lost + u], and lost names logged ones only.
    let mut by_age: Vec<&Key> = accepted.iter().collect();
    by_age.sort_by_key(|key| key.seq);
    for gone in [1, unlogged.len(), unlogged.len() + 50] {
        let (kept, lost) = by_age.split_at(by_age.len() - gone.min(by_age.len()));
        let mut kept: Vec<Key> = kept.iter().map(|key| **key).collect();
        kept.sort_unstable();
        let after = told.verify(&found(kept.into_iter()), Log::Cut { tail });
        let truth = lost.len() as u64;
        assert!((after.lost..=after.lost + after.unlogged).contains(&truth), "{truth} lost: {after:?}");
        assert_eq!(after.lost, lost.iter().filter(|key| logged.contains(**key)).count() as u64);
    }
}
