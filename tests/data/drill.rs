//! A drill of a data system that ran for real, with the built binary and its staging still up: its verdict, its report, and
//! what its clients were told. What is there, each system's own client says.

use crate::again::once_more;
use crate::common::{ground, scripts};
use blackstart::journal::ops;
use blackstart::model::{Action, Outcome};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The playbook's own `down` is replaced, so that the servers can be asked; dropping it takes them down.
pub struct Ran {
    pub exit: Option<i32>,
    pub said: String,
    pub report: Value,
    pub dir: PathBuf,
    pub base: u16,
    pub folder: PathBuf,
    /// So many writes must have been acknowledged for its figures to mean anything.
    pub least: u64,
    staging: String,
    _temporary: TempDir,
}

/// Runs a drill of `drills/SYSTEM`. Baselines and stable times are shortened: drills wait more than they do.
pub fn drill(system: &str, name: &str, staging: &str, base: u16) -> Ran {
    let ran = drill_once(system, name, staging, base);
    if !once_more(name, ran.exit, &ran.said) {
        return ran;
    }
    drop(ran);
    drill_once(system, name, staging, base)
}

fn drill_once(system: &str, name: &str, staging: &str, base: u16) -> Ran {
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let dir = ground().join(format!("blackstart-test-{staging}-{base}"));
    let playbook = without_down(system, name, temporary.path());
    let reports = temporary.path().join("reports");
    let Output { status, stdout, stderr } = run(&playbook, &reports, &dir, base);
    let said = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let folder = only_run(&reports, &said);
    let report = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    let staging = staging.to_owned();
    Ran { exit: status.code(), said, report, dir, base, folder, least: 600, staging, _temporary: temporary }
}

/// The playbook with absolute paths to the scripts, in a folder with the drills' own configuration.
fn without_down(system: &str, name: &str, folder: &Path) -> PathBuf {
    let drills = scripts().parent().unwrap().to_path_buf();
    let text = std::fs::read_to_string(drills.join(system).join(format!("{name}.yaml"))).unwrap();
    let lines = text.lines().map(|line| {
        if line.starts_with("  down:") { "  down: {command: [\"true\"]}".to_owned() } else { line.to_owned() }
    });
    let changed = lines.collect::<Vec<_>>().join("\n").replace("../staging", &scripts().display().to_string());
    assert_ne!(changed, text);
    let changed = changed.replace("baseline: 5s", "baseline: 2s").replace("stable: 5s", "stable: 3s");
    std::fs::copy(drills.join("blackstart.yaml"), folder.join("blackstart.yaml")).unwrap();
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, changed).unwrap();
    path
}

/// Runs a playbook with the staging's folder and ports as given.
pub fn run(playbook: &Path, reports: &Path, dir: &Path, base: u16) -> Output {
    let text = std::fs::read_to_string(playbook).unwrap();
    // A staging that only has files needs no ports.
    let ports = text.contains("base_port:").then(|| ["--param".to_owned(), format!("base_port={base}")]);
    let rate = calmer(&text).map(|rate| ["--param".to_owned(), format!("rate={rate}/s")]);
    Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("run")
        .arg(playbook)
        .arg("--reports")
        .arg(reports)
        .args(["--param", &format!("dir={}", dir.display())])
        .args(ports.into_iter().flatten())
        .args(rate.into_iter().flatten())
        .env("BLACKSTART_STATE_DIR", reports.join("state"))
        // Several systems share two cores: a Redis that is silent for a second is not dead.
        .env("BLACKSTART_REDIS_DOWN_AFTER", "2500")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The rate here, if it is not the playbook's own: a third of it, as several systems share two cores, but a hundred a second
/// where it is more.
fn calmer(text: &str) -> Option<u64> {
    let named = text.lines().find_map(|line| line.trim().strip_prefix("rate:")?.trim().strip_prefix("{default: "))?;
    let rate: u64 = named.split_once("/s}")?.0.parse().ok()?;
    (rate > 100).then(|| (rate / 3).max(100))
}

/// The only run under a reports folder.
fn only_run(reports: &Path, said: &str) -> PathBuf {
    let drills = std::fs::read_dir(reports).unwrap_or_else(|e| panic!("no reports ({e}):\n{said}"));
    let runs = drills
        .flatten()
        .filter(|d| d.path().is_dir() && d.file_name() != "state")
        .flat_map(|d| std::fs::read_dir(d.path()).unwrap().flatten());
    let runs: Vec<PathBuf> = runs.map(|r| r.path()).filter(|p| p.join("report.json").exists()).collect();
    assert_eq!(runs.len(), 1, "{said}");
    runs.into_iter().next().unwrap()
}

impl Ran {
    /// A script of its staging.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(scripts().join(&self.staging).join(name));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// The run's name, part of its records' names.
    pub fn id(&self) -> &str {
        self.report["run"]["id"].as_str().unwrap()
    }

    /// A figure of the ledger's table.
    pub fn ledger(&self, name: &str) -> u64 {
        let value = &self.report["workloads"]["orders"]["ledger"][name];
        value.as_u64().unwrap_or_else(|| panic!("ledger.{name} is {value}\n{}", self.said))
    }

    /// How many operations of the ledger ended like this.
    pub fn operations(&self, outcome: &str) -> u64 {
        self.report["workloads"]["orders"]["operations"][outcome].as_u64().unwrap()
    }

    /// The objective's measured interval in its unit.
    pub fn actual(&self, name: &str) -> (f64, f64) {
        let all = self.report["objectives"].as_array().unwrap();
        let found = all.iter().find(|o| o["name"] == name && o["workload"] == "orders");
        let actual = &found.unwrap_or_else(|| panic!("no {name} in {all:#?}"))["actual"];
        (actual["low"].as_f64().unwrap(), actual["high"].as_f64().unwrap())
    }

    /// Writes that ended like this, in the operations log.
    pub fn told(&self, outcome: Outcome) -> BTreeSet<(u16, u64)> {
        let log = ops::read(&self.folder.join(ops::file_name(&"orders".into()))).unwrap();
        let writes = log.records.iter().filter(|r| r.action == Action::Write && r.outcome == outcome);
        writes.filter_map(|r| r.key.map(|k| (k.writer, k.seq))).collect()
    }

    /// It passed.
    pub fn passed(&self) {
        assert_eq!(self.exit, Some(0), "{:#}\n{}", self.report["run"], self.said);
        assert_eq!(self.report["run"]["verdict"], "pass");
    }

    /// Whatever the verdict: the faults are healed, and the loss is what is missing of what `there` says, by a client that
    /// shares no code with the crate.
    pub fn loses_what_is_not(&self, there: &BTreeSet<(u16, u64)>) {
        for fault in self.report["faults"].as_array().unwrap() {
            assert!(fault["effective"] == true && fault["healed"] == true, "{fault}");
        }
        let acked = self.told(Outcome::Ok);
        assert_eq!(acked.len() as u64, self.ledger("acked"), "the log and the report count the same");
        assert_eq!(acked.difference(there).count() as u64, self.ledger("lost"), "lost acknowledged writes");
        for none in ["corrupted", "duplicated", "resurrected"] {
            assert_eq!(self.ledger(none), 0, "{none}");
        }
        assert!(self.ledger("acked") > self.least, "clients worked: {}", self.ledger("acked"));
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        if let Err(e) = self.script("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}
