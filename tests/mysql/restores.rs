//! Restores of dumps and binary logs for real, and those that cannot be: a dump that is cut off, empty or without a place, a hole
//! in the logs, a database that is not empty, tools that only say that they did it.

use crate::common::{ground, one_at_a_time, output, scripts};
use crate::drill::{Ran, drill};
use blackstart::adapters::{AdapterError, Fut, Vault, World};
use blackstart::faults::{Cx, FaultError, Scope};
use blackstart::model::{Owner, PinnedTarget, Reference, TargetRef};
use blackstart::restores::{Course, RestoreSpec};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Not those of `drills.rs`, which may run at the same time.
const BASE: u16 = 14600;

/// Its parts, in order, and what it says of itself.
fn restored(ran: &Ran) -> &Value {
    &ran.report["restores"][0]
}

#[test]
fn a_dropped_table_comes_back_whole_and_the_loss_is_what_mariadb_says() {
    let lock = one_at_a_time("mariadb");
    let ran = drill("mariadb", "restore-dump-binlog", "mariadb-backup", BASE);
    ran.passed();
    crate::drills::true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
    let restored = restored(&ran);
    let parts: Vec<&str> = restored["parts"].as_array().unwrap().iter().map(|p| p["part"].as_str().unwrap()).collect();
    assert_eq!(parts, ["locate", "start", "load", "replay", "verify"], "{restored:#}");
    let moved = |part: usize| restored["parts"][part]["bytes"].as_u64().unwrap();
    assert!(moved(2) > 1_000_000 && moved(3) > 20_000, "{restored:#}");
    assert_eq!(crate::drills::sql(&ran, "select count(*), sum(length(note)) from customers"), "5000\t1600000");
    drop(lock);
}

/// A staging whose dump and logs are restored in ways that must be refused.
struct Staging {
    dir: PathBuf,
    base: u16,
    place: TempDir,
}

impl Scope for Staging {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        Err(format!("no {reference}"))
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move { Err(format!("`{}` has only a URL", target.name())) })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        let password = std::fs::read_to_string(self.dir.join("root.password")).unwrap();
        let password = if target.name() == "locked" { "hunter2" } else { password.trim() };
        let port = if target.name() == "m1" { self.base + 21 } else { self.base + 22 };
        Ok(format!("mysql://root:{password}@127.0.0.1:{port}/app"))
    }

    fn base(&self) -> PathBuf {
        "/".into()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.dir)
    }
}

impl Staging {
    fn up(base: u16) -> Self {
        let dir = ground().join(format!("blackstart-test-mariadb-refused-{base}"));
        let staging = Self { dir, base, place: tempfile::tempdir().unwrap() };
        output(staging.script("up.sh").args(["--base-port", &base.to_string()]));
        staging
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(scripts().join("mariadb-backup").join(name));
        command.arg("--dir").arg(&self.dir);
        command
    }

    fn sql(&self, text: &str) -> String {
        let file = format!("--defaults-file={}", self.dir.join("root.cnf").display());
        output(Command::new("mariadb").args([&file, "-P", &(self.base + 21).to_string(), "-N", "-B", "-e", text]))
    }

    /// Why a restore with these keys is refused: definitely, and with which words.
    async fn refusal(&self, file: &str, keys: Value) -> String {
        let start = scripts().join("mariadb-backup/start-empty.sh");
        let mut spec = json!({
            "file": file, "target": "restored", "verify": {"tcp": {"address": "127.0.0.1:1"}},
            "start": {"command": {"argv": [start, "--dir", self.dir], "timeout": "30s"}},
        });
        for (key, value) in keys.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let spec: RestoreSpec = serde_json::from_value(json!({"mysql_dump": spec})).unwrap();
        let world = World::system();
        let owner = Owner { run: "r".into(), fault: "".into() };
        let limit = if spec.target().unwrap().name() == "locked" { 1 } else { 30 };
        let until = world.clock.mono().after(Duration::from_secs(limit));
        let done = spec.restore(&Cx { world: &world, scope: self, owner }, until, &Course::default()).await;
        match done.unwrap_err() {
            FaultError::World(AdapterError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// A program in a folder of its own.
    fn program(&self, name: &str, body: &str) {
        let path = self.file(name, &format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(e) = self.script("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_said_and_no_exit_status_is_believed() {
    let staging = Staging::up(BASE + 40);
    let archive = staging.dir.join("archive");
    let good = std::fs::read_to_string(staging.dir.join("dumps/1.sql")).unwrap();
    let refused = async |file: &str, keys: Value, words: &str| {
        let why = staging.refusal(file, keys).await;
        assert!(why.contains(words) && !why.contains("hunter2"), "{why}");
    };

    // Nothing is started for what cannot be.
    let of = |name: &str, content: &str| staging.file(name, content);
    refused(&of("cut.sql", &good[..good.len() / 2]), json!({}), "is no complete dump").await;
    refused(&of("none.sql", "-- nothing\n-- Dump completed on 2026-11-21 12:00:00\n"), json!({}), "holds no table")
        .await;
    let rows = |line: &&str| !line.starts_with("INSERT INTO");
    let empty: String = good.lines().filter(rows).map(|line| format!("{line}\n")).collect();
    refused(&of("empty.sql", &empty), json!({}), "no row of any of them").await;
    let placeless = of("placeless.sql", &good.replace("CHANGE MASTER TO MASTER_LOG_FILE", "nothing"));
    refused(&placeless, json!({"binlogs": archive}), "--master-data=2").await;
    let dump = of("good.sql", &good);
    refused(&dump, json!({"binlogs": staging.place.path()}), "binlog.000001 is not in the folder").await;
    let late = json!({"binlogs": archive, "until": {"position": "binlog.000001:999999999"}});
    refused(&dump, late, "is not in the folder yet").await;
    let early = json!({"binlogs": archive, "until": {"position": "binlog.000001:4"}});
    refused(&dump, early, "comes before the dump").await;
    let long_ago = json!({"binlogs": archive, "until": {"time": "2020-01-01T00:00:00Z"}});
    refused(&dump, long_ago, "after 2020-01-01T00:00:00+00:00 that is asked for").await;
    assert!(!staging.dir.join("restored").exists(), "nothing was started");

    // Somebody's server, and one that lets nobody in.
    refused(&dump, json!({"target": "m1"}), "`m1` has 2 tables: a dump goes into an empty database").await;
    refused(&dump, json!({"target": "locked"}), "1045").await;
    // Tools that say that they did it: nothing is loaded, and then nothing replayed.
    staging.program("mariadb", "exec cat >/dev/null");
    staging.program("mariadb-binlog", "exec /usr/bin/mariadb-binlog \"$@\"");
    let bin = staging.place.path();
    refused(&dump, json!({"bin": bin}), "says it loaded the dump, and 0 of 2 tables are there").await;
    staging.sql("insert into app.entries (account, amount) values ('later', 0)");
    output(&mut staging.script("archive-now.sh"));
    staging.program(
        "mariadb",
        "[ ! -e \"$0.once\" ] || exec cat >/dev/null\n: >\"$0.once\"\nexec /usr/bin/mariadb \"$@\"",
    );
    refused(&dump, json!({"bin": bin, "binlogs": archive}), "says it replayed the logs up to 0-1-").await;
    // Its database is not empty any more.
    refused(&dump, json!({}), "`restored` has 2 tables: a dump goes into an empty database").await;
}
