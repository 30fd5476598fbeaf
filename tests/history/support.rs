//! Runs made from the committed sample, changed as a test needs them, and the built binary. The journal of each is chained
//! again after its start record was changed, so that it verifies.

use blackstart::history::entry::Entry;
use blackstart::journal;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The committed sample.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample")
}

/// A moment of November 2026.
pub fn day(day: i64) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-11-01T12:00:00Z".parse().unwrap();
    first + TimeDelta::days(day)
}

/// So long ago, to the millisecond.
pub fn ago(days: i64) -> DateTime<Utc> {
    let now = Utc::now() - TimeDelta::days(days);
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap()
}

/// A folder to work in.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("blackstart-history.").tempdir_in("/var/tmp").unwrap() }
    }

    /// A file with this content.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn reports(&self) -> PathBuf {
        self.path().join("reports")
    }

    /// The binary, ready to be given arguments.
    pub fn blackstart(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .current_dir(self.path())
            .env("BLACKSTART_STATE_DIR", self.path().join("state"))
            .env_remove("BLACKSTART_HISTORY_URL")
            .env_remove("BLACKSTART_REPORTS")
            .env_remove("GITHUB_ACTIONS")
            .env("COLUMNS", "160")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.blackstart().args(arguments).output().unwrap())
    }
}

/// How it ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A run to be made from the sample.
pub struct Made {
    pub report: Value,
    pub start: Value,
}

impl Made {
    /// The sample under another name, at another time.
    pub fn new(drill: &str, run: &str, started: DateTime<Utc>) -> Self {
        static SAMPLE: OnceLock<(Value, Value)> = OnceLock::new();
        let (report, start) = SAMPLE.get_or_init(|| {
            let report = std::fs::read_to_string(sample().join("report.json")).unwrap();
            let journal = std::fs::read_to_string(sample().join("journal.jsonl")).unwrap();
            let mut report: Value = serde_json::from_str(&report).unwrap();
            // The charts are most of it, and nothing here reads them.
            report["workloads"].as_object_mut().unwrap().values_mut().for_each(|w| w["series"] = Value::Null);
            (report, serde_json::from_str(journal.lines().next().unwrap()).unwrap())
        });
        let mut made = Self { report: report.clone(), start: start.clone() };
        made.set("id", "run", json!(run));
        made.set("drill", "drill", json!(drill));
        let wall = started.to_rfc3339_opts(SecondsFormat::Millis, true);
        made.report["run"]["started"] = json!(wall);
        made.start["at"]["wall"] = json!(wall);
        made
    }

    fn set(&mut self, in_report: &str, in_start: &str, value: Value) {
        self.report["run"][in_report] = value.clone();
        self.start["what"]["run_started"][in_start] = value;
    }

    pub fn named(mut self, run: &str) -> Self {
        self.set("id", "run", json!(run));
        self
    }

    pub fn environment(mut self, name: &str) -> Self {
        self.set("environment", "environment", json!(name));
        self
    }

    /// Every RTO is this, ± 10 ms.
    pub fn rto(mut self, seconds: f64) -> Self {
        for objective in self.report["objectives"].as_array_mut().unwrap() {
            if objective["name"] == "rto" {
                objective["actual"] = json!({"low": seconds - 0.01, "best": seconds, "high": seconds + 0.01});
            }
        }
        self
    }

    pub fn verdict(mut self, verdict: &str, exit: u8) -> Self {
        self.report["run"]["verdict"] = json!(verdict);
        self.report["run"]["exit_code"] = json!(exit);
        self
    }

    pub fn metadata(mut self, metadata: Value) -> Self {
        self.set("metadata", "metadata", metadata);
        self
    }

    pub fn lineage(mut self, lineage: Value) -> Self {
        self.start["what"]["run_started"]["lineage"] = lineage;
        self
    }

    /// Writes it below the folder of reports, unsealed.
    pub fn write(&self, reports: &Path) -> PathBuf {
        let name = |key: &str| self.report["run"][key].as_str().unwrap().to_owned();
        let dir = reports.join(name("drill")).join(name("id"));
        std::fs::create_dir_all(&dir).unwrap();
        let sample_journal = std::fs::read_to_string(sample().join("journal.jsonl")).unwrap();
        let (mut prev, mut text) = ("0".repeat(64), String::new());
        for (n, line) in sample_journal.lines().enumerate() {
            let mut value: Value = if n == 0 { self.start.clone() } else { serde_json::from_str(line).unwrap() };
            value["prev"] = json!(prev);
            let line = format!("{value}\n");
            prev = journal::digest(line.as_bytes());
            text.push_str(&line);
        }
        let mut report = self.report.clone();
        report["journal"]["head"] = json!(prev);
        std::fs::write(dir.join("journal.jsonl"), text).unwrap();
        std::fs::write(dir.join("report.json"), serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
        copy(&sample().join("ops"), &dir.join("ops"));
        for name in ["playbook.yaml", "playbook.resolved.yaml"] {
            std::fs::copy(sample().join(name), dir.join(name)).unwrap();
        }
        dir
    }
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tree head of RFC 9162, 2.1.1.
fn tree(lines: &[&str]) -> Vec<u8> {
    match lines {
        [] => hash(b""),
        [line] => hash(&[&[0], line.as_bytes()].concat()),
        lines => {
            let (left, right) = lines.split_at(lines.len().next_power_of_two() / 2);
            hash(&[vec![1], tree(left), tree(right)].concat())
        }
    }
}

fn files_below(dir: &Path, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir.join(folder)).unwrap().flatten() {
        let path = format!("{folder}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_below(dir, &format!("{path}/")));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Seals a run as the documents say, by code of the tests' own, and signs it with `ssh-keygen` if there is a key.
/// The digest of its manifest.
pub fn seal(dir: &Path, key: Option<&Path>) -> String {
    for name in ["MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig"] {
        std::fs::remove_file(dir.join(name)).ok();
    }
    let digest = |path: &str| hex(&hash(&std::fs::read(dir.join(path)).unwrap()));
    let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    let start: Value = serde_json::from_str(lines[0]).unwrap();
    let started = &start["what"]["run_started"];
    let report: Value = serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    let listed = files_below(dir, "");
    let files: Vec<Value> = listed
        .iter()
        .map(|path| {
            let bytes = std::fs::metadata(dir.join(path)).unwrap().len();
            json!({"path": path, "bytes": bytes, "sha256": digest(path)})
        })
        .collect();
    let mut manifest = json!({"schema": "blackstart/manifest/v1", "run": started["run"], "drill": started["drill"],
        "environment": started["environment"], "exit_code": report["run"]["exit_code"],
        "journal_head": hex(&hash(lines[lines.len() - 1].as_bytes())), "journal_lines": lines.len(),
        "journal_root": hex(&tree(&lines)), "files": files});
    if started["lineage"]["chain"].is_object() {
        manifest["chain"] = started["lineage"]["chain"].clone();
    }
    std::fs::write(dir.join("MANIFEST.json"), serde_json::to_string_pretty(&manifest).unwrap() + "\n").unwrap();
    let all = listed.iter().map(String::as_str).chain(["MANIFEST.json"]);
    let mut sums: Vec<String> = all.map(|path| format!("{path}\0{}", digest(path))).collect();
    sums.sort();
    let sums: String =
        sums.iter().map(|line| line.split_once('\0').unwrap()).map(|(p, d)| format!("{d}  {p}\n")).collect();
    std::fs::write(dir.join("SHA256SUMS"), sums).unwrap();
    if let Some(key) = key {
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "drill-evidence", "-f"])
            .arg(key)
            .arg(dir.join("SHA256SUMS"))
            .output()
            .unwrap();
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    }
    digest("MANIFEST.json")
}

/// Copies a folder without links.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entry of a run, without any folder.
pub fn entry(drill: &str, run: &str, started: DateTime<Utc>) -> Entry {
    let made = Made::new(drill, run, started);
    let parts = blackstart::history::folder::Parts {
        report: &made.report.to_string(),
        start: Some(&made.start.to_string()),
        manifest: None,
        addenda: &[],
        folder: &format!("{drill}/{run}"),
    };
    blackstart::history::folder::entry(&parts).unwrap()
}
