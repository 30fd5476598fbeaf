//! One real drill against a staging that the test holds itself: its playbook is written here, run by the real binary,
//! and its report is read as any other program would.

use super::judge::Case;
use super::program::{Away, Truth};
use super::support::{Staging, binary};
use blackstart::analysis::Record;
use blackstart::model::{OpRecord, Ops, Outcome};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is drilled, how, and what the judge must know of it.
pub struct Drill {
    pub name: &'static str,
    /// Arguments of the staging.
    pub staging: &'static [&'static str],
    /// Writes a second.
    pub rate: u32,
    /// The share of operations that must be served.
    pub availability: &'static str,
    /// The service's deadline.
    pub deadline: &'static str,
    /// The phases from `outage:` on; `URL` stands for the staging's address.
    pub phases: String,
    /// How long the staging holds answers back by design.
    pub hold_ms: i64,
    pub judged: Judged,
}

/// What of a drill is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Everything.
    Whole,
    /// The ledger alone: the lies that are told make the times meaningless.
    Ledger,
}

/// A drill that has run.
pub struct Ran {
    pub case: Case,
    pub report: Value,
    /// The run's folder.
    pub folder: PathBuf,
    /// The program's exit status.
    pub status: Option<i32>,
    /// What it said.
    pub said: String,
    /// Kept until nobody needs the files any more.
    _kept: (Staging, tempfile::TempDir),
}

impl Drill {
    /// The playbook.
    pub fn playbook(&self, port: u16, dir: &Path) -> String {
        let Self { name, rate, availability, deadline, phases, .. } = self;
        let (url, dir) = (format!("http://127.0.0.1:{port}"), dir.display());
        let service = format!("{{availability: {availability}, deadline: {deadline}, stable: 2s}}");
        let mut text = String::new();
        let _infallible = write!(
            text,
            r#"drill: {name}
environment: embedded
objectives: {{rto: 60s, rpo: {{time: 60s, writes: 100000}}}}
targets:
  store:   {{kv: {{url: "{url}"}}}}
  primary: {{process: {{pidfile: "{dir}/primary.pid"}}}}
  standby: {{process: {{pidfile: "{dir}/standby.pid"}}}}
workload:
  orders:
    ledger: {{target: store, rate: {rate}/s, writers: 6, payload: 64B, read_rate: 20/s, timeout: 4s}}
    service: {service}
  page:
    http: {{url: "{url}/?nonce={{nonce}}", expect: {{status: 200}}, rate: 50/s, client: fresh, timeout: 4s}}
    service: {service}
guards:
  - {{max_duration: 2m}}
baseline: 1500ms
steady:
  - {{name: a standby follows, expect: {{http: {{url: "{url}/cluster", value: {{cel: "value.streaming && value.primaries == 1"}}}}}}, within: 10s}}
"#
        );
        text.push_str(&phases.replace("URL", &url));
        text
    }

    /// Runs it.
    pub fn run(&self) -> Ran {
        let staging = Staging::start(self.staging);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(format!("{}.yaml", self.name));
        std::fs::write(&path, self.playbook(staging.port, staging.dir.path())).unwrap();
        let (status, said) = blackstart(home.path(), &[&path], home.path());
        let folder = only_run(&home.path().join("reports"), &said);
        let report = std::fs::read_to_string(folder.join("report.json")).unwrap_or_else(|e| panic!("{e}: {said}"));
        let report: Value = serde_json::from_str(&report).unwrap();
        let truth = Truth::read(staging.dir.path());
        let away = truth.away();
        let case = Case {
            service: service(&record(&folder), &away),
            away,
            writes: truth.writes(report["run"]["id"].as_str().unwrap()),
            zero: zero(&folder),
            ledger: "orders",
            visitors: &["page"],
            hold: self.hold_ms * 1_000_000,
            deadline: nanos(self.deadline),
        };
        Ran { case, report, folder, status, said, _kept: (staging, home) }
    }
}

impl Ran {
    /// The run's record, as an analysis gets it.
    pub fn record(&self) -> Record {
        record(&self.folder)
    }
}

/// The record of the run in a folder, as an analysis gets it.
pub fn record(folder: &Path) -> Record {
    let stored = blackstart::journal::read(folder).unwrap();
    Record {
        events: stored.events,
        ops: stored.ops,
        read_backs: stored.read_backs,
        head: stored.head,
        lines: stored.lines,
        cut: stored.cut.map(|cut| format!("{cut:?}")),
        problems: stored.problems,
    }
}

/// `blackstart run` with a state and a reports folder of its own; its exit status and what it said.
pub fn blackstart(home: &Path, playbooks: &[&Path], dir: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .arg("run")
        .args(playbooks)
        .arg("--reports")
        .arg(home.join("reports"))
        .args(["--output", "plain", "--volatile-state"])
        .env("BLACKSTART_STATE_DIR", home.join("state"))
        .current_dir(dir)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

/// The folder of the only run below `reports`.
pub fn only_run(reports: &Path, said: &str) -> PathBuf {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|e| e.path()).filter(|p| p.is_dir()).collect()
    };
    let runs: Vec<PathBuf> = below(reports).iter().flat_map(|drill| below(drill)).collect();
    assert_eq!(runs.len(), 1, "one run is expected below {}: {said}", reports.display());
    runs[0].clone()
}

/// The longest service time of what was due before anybody went away, or after all were back for a while.
fn service(record: &Record, away: &[Away]) -> i64 {
    let margin = 4_000_000_000;
    let quiet = |op: &OpRecord| {
        let far = |gone: &Away| op.done.0 < gone.stop.lo || gone.back.is_some_and(|back| op.due.0 > back.hi + margin);
        op.outcome == Outcome::Ok && away.iter().all(far)
    };
    record.ops.values().flat_map(Ops::iter).filter(quiet).map(|op| op.done - op.due).max().unwrap_or(0)
}

/// CLOCK_MONOTONIC at the run's start: the first time of the journal's first line.
fn zero(folder: &Path) -> i64 {
    fn find(value: &Value) -> Option<i64> {
        let object = value.as_object()?;
        object.get("mono").and_then(Value::as_i64).or_else(|| object.values().find_map(find))
    }
    let journal = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    find(&serde_json::from_str(journal.lines().next().unwrap()).unwrap()).unwrap()
}

/// `200ms` or `1s` in nanoseconds.
fn nanos(text: &str) -> i64 {
    let (number, unit) =
        text.strip_suffix("ms").map_or_else(|| (text.trim_end_matches('s'), 1_000_000_000), |n| (n, 1_000_000));
    number.parse::<i64>().unwrap() * unit
}
