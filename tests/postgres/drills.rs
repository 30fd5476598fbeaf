//! The drills under `drills/postgres/` for real, with the built binary: their verdict, and their loss counted again by SQL.
//! The ledger's figures come from the report; what was acknowledged comes from the operations log; what is there is
//! asked of the database by `psql`, which knows nothing of either.

use crate::again::once_more;
use crate::pair::{ground, one_at_a_time, output, scripts};
use blackstart::journal::ops;
use blackstart::model::{Action, Outcome};
use nix::fcntl::Flock;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A drill that ran, with its staging still up: the playbook's own `down` is replaced, so that the database can be asked.
pub struct Ran {
    pub exit: Option<i32>,
    pub said: String,
    pub report: Value,
    pub folder: PathBuf,
    staging: &'static str,
    pub dir: PathBuf,
    base: u16,
    _temporary: TempDir,
    /// None if the staging is not this drill's alone: then nobody takes it down here.
    lock: Option<Flock<File>>,
}

fn drill(name: &str, staging: &'static str, base: u16) -> Ran {
    changed_drill(name, staging, base, &|text| text)
}

/// The drill with its text changed.
pub fn changed_drill(name: &str, staging: &'static str, base: u16, change: &dyn Fn(String) -> String) -> Ran {
    let lock = one_at_a_time();
    let mut ran = shared_drill(name, staging, base, change);
    if once_more(name, ran.exit, &ran.said) {
        output(&mut ran.script("down.sh"));
        ran = shared_drill(name, staging, base, change);
    }
    ran.lock = Some(lock);
    ran
}

/// The same in a staging that others use before and after: it is not taken down, and whoever calls this holds the lock.
pub fn shared_drill(name: &str, staging: &'static str, base: u16, change: &dyn Fn(String) -> String) -> Ran {
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let dir = ground().join(format!("blackstart-test-{staging}-{base}"));
    let playbook = without_down(name, temporary.path(), change);
    let reports = temporary.path().join("reports");
    let Output { status, stdout, stderr } = run(&playbook, &reports, &dir, base);
    let said = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let folder = only_run(&reports, &said);
    let report = std::fs::read(folder.join("report.json")).unwrap();
    let report = serde_json::from_slice(&report).unwrap();
    Ran { exit: status.code(), said, report, folder, staging, dir, base, _temporary: temporary, lock: None }
}

/// The playbook with absolute paths to the scripts, in a folder with the drills' own configuration.
fn without_down(name: &str, folder: &Path, change: &dyn Fn(String) -> String) -> PathBuf {
    let drills = scripts().parent().unwrap().to_path_buf();
    let text = std::fs::read_to_string(drills.join("postgres").join(format!("{name}.yaml"))).unwrap();
    let lines = text.lines().map(|line| {
        if line.starts_with("  down:") { "  down: {command: [\"true\"]}".to_owned() } else { line.to_owned() }
    });
    let changed = lines.collect::<Vec<_>>().join("\n").replace("../staging", &scripts().display().to_string());
    assert_ne!(changed, text);
    std::fs::copy(drills.join("blackstart.yaml"), folder.join("blackstart.yaml")).unwrap();
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, change(changed)).unwrap();
    path
}

fn run(playbook: &Path, reports: &Path, dir: &Path, base: u16) -> Output {
    let lags = playbook.file_stem().is_some_and(|name| name == "primary-loss-lagging");
    Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("run")
        .arg(playbook)
        .arg("--reports")
        .arg(reports)
        .args(["--param", &format!("dir={}", dir.display()), "--param", &format!("base_port={base}")])
        // Several systems share two cores. Where a standby lags for a second, its loss is to be well above a few writes.
        .args(["--param", if lags { "rate=400/s" } else { "rate=150/s" }])
        .env("BLACKSTART_STATE_DIR", reports.join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The only run under a reports folder.
pub fn only_run(reports: &Path, said: &str) -> PathBuf {
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
    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(scripts().join(self.staging).join(name));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// A figure of the ledger's table.
    pub fn ledger(&self, name: &str) -> u64 {
        self.ledger_of("orders", name)
    }

    /// The same of another workload.
    pub fn ledger_of(&self, workload: &str, name: &str) -> u64 {
        let value = &self.report["workloads"][workload]["ledger"][name];
        value.as_u64().unwrap_or_else(|| panic!("ledger.{name} is {value}\n{}", self.said))
    }

    /// The objective's measured interval in its unit.
    pub fn actual(&self, name: &str, workload: &str, fault: &str) -> (f64, f64) {
        let all = self.report["objectives"].as_array().unwrap();
        let found: Vec<&Value> = all
            .iter()
            .filter(|o| o["name"] == name && o["workload"] == workload && (o["fault"] == fault || fault.is_empty()))
            .collect();
        assert!(!found.is_empty(), "no {name} of {workload} for {fault} in {all:#?}");
        let actual = &found[0]["actual"];
        (actual["low"].as_f64().unwrap(), actual["high"].as_f64().unwrap())
    }

    /// Acknowledged writes that are not in the table, by `psql` on the clients' port.
    pub fn missing_by_sql(&self) -> u64 {
        self.missing_in("orders", "blackstart_ledger")
    }

    /// The same of another workload, which has a table of its own.
    pub fn missing_in(&self, workload: &str, table: &str) -> u64 {
        let log = ops::read(&self.folder.join(ops::file_name(&workload.into()))).unwrap();
        let acked: Vec<String> = log
            .records
            .iter()
            .filter(|r| r.action == Action::Write && matches!(r.outcome, Outcome::Ok | Outcome::OkLocal))
            .filter_map(|r| r.key.map(|k| format!("{}\t{}\n", k.writer, k.seq)))
            .collect();
        assert_eq!(acked.len() as u64, self.ledger_of(workload, "acked"), "the log and the report count the same");
        let id = self.report["run"]["id"].as_str().unwrap();
        self.psql(&format!(
            "create temporary table acked (writer int, seq bigint);
             copy acked from stdin;
             {}\\.
             select count(*) from acked a where not exists (select from {table} l
                where l.run = '{id}' and l.writer = a.writer and l.seq = a.seq);",
            acked.concat()
        ))
        .parse()
        .unwrap()
    }

    fn psql(&self, script: &str) -> String {
        self.psql_at(0, script)
    }

    /// The same on another port of the staging, counted from its first.
    pub fn psql_at(&self, port: u16, script: &str) -> String {
        let mut psql = Command::new("psql")
            .env("PGPASSFILE", self.dir.join("pgpass"))
            .args(["-h", "127.0.0.1", "-p", &(self.base + port).to_string(), "-U", "app", "-d", "app"])
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let script: String = script.lines().map(|l| format!("{}\n", l.trim_start_matches(' '))).collect();
        psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let out = psql.wait_with_output().unwrap();
        assert!(out.status.success(), "psql: {}", out.status);
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// What must be true of every one of these drills.
    pub fn passed(&self) {
        assert_eq!(self.exit, Some(0), "{}\n{:#}", self.said, self.report["run"]);
        assert_eq!(self.report["run"]["verdict"], "pass");
        for fault in self.report["faults"].as_array().unwrap() {
            assert!(fault["effective"] == true && fault["healed"] == true, "{fault}");
        }
        assert_eq!(self.missing_by_sql(), self.ledger("lost"), "lost acknowledged writes");
        for none in ["corrupted", "duplicated", "resurrected"] {
            assert_eq!(self.ledger(none), 0, "{none}");
        }
        assert!(self.ledger("acked") > 1_000, "clients worked: {}", self.ledger("acked"));
        let text = std::fs::read_to_string(self.folder.join("journal.jsonl")).unwrap() + &self.said;
        let password = std::fs::read_to_string(self.dir.join("app.password")).unwrap();
        assert!(!text.contains(password.trim()), "the password is in the journal or in the output");
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        if let Err(e) = self.script("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}

#[test]
fn a_promotion_by_people_is_timed_and_its_loss_is_what_sql_says() {
    let ran = drill("primary-loss", "postgres-pair", 15500);
    ran.passed();
    let (low, high) = ran.actual("rto", "orders", "");
    assert!(low > 1.9 && high < 15.0, "two seconds of deciding and a promotion: {low} to {high} s");
}

#[test]
fn synchronous_replication_loses_nothing() {
    let ran = drill("primary-loss-sync", "postgres-pair", 15500);
    ran.passed();
    assert_eq!(ran.ledger("lost"), 0);
    assert_eq!(ran.actual("rpo_writes", "orders", ""), (0.0, 0.0));
}

#[test]
fn a_lagging_standby_loses_what_sql_says() {
    let ran = drill("primary-loss-lagging", "postgres-pair", 15500);
    ran.passed();
    let lost = ran.ledger("lost");
    assert!(lost > 50, "a second of lag at 400 writes a second: {lost}");
    let (low, high) = ran.actual("rpo_time", "orders", "primary_dies");
    assert!(
        low > 0.5 && high < 5.0,
        "the oldest lost write was acknowledged a second before the kill: {low} to {high} s"
    );
}

#[test]
fn a_patroni_cluster_fails_over_and_back() {
    // Shorter than the drill itself: the leader key expires after 10 s instead of 20, and service that lasts 3 s is back.
    let short = |text: String| {
        text.replace(r#""${params.base_port}"]"#, r#""${params.base_port}", --short]"#)
            .replace("stable: 5s", "stable: 3s")
    };
    let ran = changed_drill("patroni-leader-loss", "patroni", 15600, &short);
    ran.passed();
    let (low, high) = ran.actual("rto", "orders", "leader_dies");
    assert!(low > 5.0 && high < 45.0, "the leader key expires after 10 s: {low} to {high} s");
    let (_, high) = ran.actual("rto", "orders", "failback");
    assert!(high < 20.0, "an orderly switchover: up to {high} s");
    assert_eq!(output(&mut ran.script("count-leaders.sh")), "1");
    let not_served = |workload: &str| {
        let operations = &ran.report["workloads"][workload]["operations"];
        ["fail", "unknown"].iter().map(|o| operations[o].as_u64().unwrap()).sum::<u64>()
    };
    assert!(not_served("page_fresh") > 50, "visitors who do not try again see the outage");
    assert_eq!(not_served("page_retrying"), 0, "those who do, wait and are served");
}

#[test]
fn a_staging_that_cannot_come_up_is_said_and_nothing_is_left() {
    let lock = one_at_a_time();
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let _taken = TcpListener::bind("127.0.0.1:15700").unwrap();
    let dir = temporary.path().join("staging");
    let playbook = scripts().parent().unwrap().join("postgres/primary-loss.yaml");
    let ran = run(&playbook, &temporary.path().join("reports"), &dir, 15700);
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(69), "{said}");
    assert!(said.contains("port 15700 is in use"), "{said}");
    assert!(!dir.exists());
    drop(lock);
}
