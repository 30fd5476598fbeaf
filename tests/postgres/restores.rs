//! The restore drills under `drills/postgres/` for real: their loss counted again by SQL, the user's rows looked at by SQL,
//! and restores that cannot be, or only say that they were.

use crate::drills::{Ran, changed_drill};
use blackstart::adapters::{AdapterError, Fut, Vault, World};
use blackstart::faults::{Cx, FaultError, Scope};
use blackstart::model::{Owner, PinnedTarget, Reference, TargetRef};
use blackstart::restores::{Course, RestoreSpec};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const STAGING: &str = "postgres-backup";
const BASE: u16 = 15_800;

/// Shorter than people would have it: so named here, and in `src/docs`.
fn short(text: String) -> String {
    text.replace("baseline: 5s", "baseline: 2s").replace("stable: 5s", "stable: 2s")
}

fn drill(name: &str) -> Ran {
    changed_drill(name, STAGING, BASE, &short)
}

/// The only restore of a run, and the words of its parts.
fn restore(ran: &Ran) -> (&Value, Vec<&str>) {
    let restores = ran.report["restores"].as_array().unwrap_or_else(|| panic!("no restore\n{}", ran.said));
    assert_eq!(restores.len(), 1, "{restores:#?}");
    let parts = restores[0]["parts"].as_array().unwrap();
    (&restores[0], parts.iter().map(|part| part["part"].as_str().unwrap()).collect())
}

/// Every customer is there and is what up.sh made of it: by SQL, on the clients' port (0) or another.
fn customers(ran: &Ran, port: u16) {
    let whole = "select count(*) from customers where name = 'customer ' || id and note = repeat(md5(id::text), 20);";
    assert_eq!(ran.psql_at(port, whole), "5000");
    assert_eq!(ran.psql_at(port, "select count(*) from customers;"), "5000");
}

/// What the archive says was lost is not less than what was: a second is left for two clocks.
fn claim_holds(ran: &Ran, fault: &str) {
    let (_, actual) = ran.actual("rpo_time", "orders", fault);
    let claimed = restore(ran).0["claimed_loss"]["high"].as_f64().unwrap();
    let lost = ran.ledger("lost");
    assert!(lost == 0 || claimed + 1.0 >= actual - 1.0, "it claims {claimed} s, and {actual} s were lost");
    let contradicted =
        ran.report["notes"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().contains("says that it has"));
    assert!(!contradicted, "{}", ran.report["notes"]);
}

#[test]
fn a_lost_data_folder_is_restored_to_the_last_archived_segment() {
    let ran = drill("restore-latest");
    ran.passed();
    let (restore, parts) = restore(&ran);
    assert_eq!(parts, ["locate", "fetch", "start", "replay", "ready", "verify"]);
    let bytes = |part: usize| restore["parts"][part]["bytes"].as_u64().unwrap();
    assert!(bytes(1) > 30_000_000, "a whole cluster: {}", bytes(1));
    assert!(bytes(3) > 100_000, "what clients wrote after the backup: {}", bytes(3));
    assert_eq!(restore["exposure"]["holes"], 0);
    let worst = restore["exposure"]["worst"]["high"].as_f64().unwrap();
    assert!((1.0..30.0).contains(&worst), "segments are archived every two seconds: {worst} s");
    claim_holds(&ran, "data_gone");
    customers(&ran, 0);
    // The lost one is not back: what answers is the restored one.
    assert!(!ran.dir.join("pg1/data").exists());
    assert_eq!(ran.psql_at(0, "show port;"), (BASE + 22).to_string());
}

#[test]
fn a_dropped_table_is_copied_back_from_just_before() {
    let ran = drill("restore-dropped-table");
    ran.passed();
    let (restore, parts) = restore(&ran);
    assert_eq!(parts, ["locate", "fetch", "start", "replay", "ready", "verify"]);
    let lsn = |text: &str| {
        let (high, low) = text.split_once('/').unwrap();
        u64::from_str_radix(high, 16).unwrap() << 32 | u64::from_str_radix(low, 16).unwrap()
    };
    let steps = ran.report["steps"].as_array().unwrap();
    let dropped = steps.iter().find(|step| step["id"] == "dropped").unwrap();
    let wanted = dropped["output"]["lsn"].as_str().unwrap();
    let reached = restore["position"].as_str().unwrap();
    assert!(lsn(reached) <= lsn(wanted), "{reached} is beyond {wanted}");
    assert!(ran.ledger("lost") < 400, "less than a second of writes: {}", ran.ledger("lost"));
    let (_, high) = ran.actual("rpo_time", "orders", "dropped");
    assert!(high < 10.0, "the moment is known to some milliseconds: {high} s");
    // The live server never stopped, and the isolated copy is still there.
    assert_eq!(ran.psql_at(0, "show port;"), (BASE + 21).to_string());
    customers(&ran, 0);
    customers(&ran, 22);
    let copied = ran.psql_at(22, "select count(*) from blackstart_ledger;").parse::<u64>().unwrap();
    assert!(copied > 0 && copied < ran.ledger("acked"), "{copied} rows until the drop");
    assert_eq!(ran.psql_at(22, "show archive_mode;"), "off", "an isolated copy does not write into the archive");
}

#[test]
fn damaged_pages_are_found_by_a_backup_and_repaired_under_load() {
    let ran = drill("restore-corrupted-pages");
    ran.passed();
    assert_eq!(ran.ledger("lost"), 0);
    let restored = restore(&ran).0["backup"].as_str().unwrap();
    let timeline = ran.report["timeline"].as_array().unwrap();
    assert!(timeline.iter().any(|mark| mark["mark"] == "detected"), "{timeline:?}");
    // The newest backup had the damage in it, and was passed over.
    let info = std::process::Command::new("pgbackrest")
        .arg(format!("--config={}", ran.dir.join("pgbackrest.conf").display()))
        .args(["--stanza=main", "--log-level-console=off", "--output=json", "info"])
        .output()
        .unwrap();
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    let backups = info[0]["backup"].as_array().unwrap();
    let broken: Vec<&str> =
        backups.iter().filter(|b| b["error"] == true).map(|b| b["label"].as_str().unwrap()).collect();
    assert_eq!(broken.len(), 1, "{backups:#?}");
    assert!(broken[0] > restored, "{restored} is older than {}", broken[0]);
    customers(&ran, 0);
    assert_eq!(ran.psql_at(0, "show port;"), (BASE + 21).to_string());
}

#[tokio::test]
async fn a_dump_is_all_there_is() {
    let ran = drill("restore-dump");
    ran.passed();
    let (restore, parts) = restore(&ran);
    assert_eq!(parts, ["locate", "start", "load", "verify"]);
    assert!(ran.ledger("lost") > 50, "a second of writes after the dump at least: {}", ran.ledger("lost"));
    let exposure = &restore["exposure"];
    assert_eq!(exposure["points"], 2, "{restore:#}");
    // A dump holds what was there when it began: what was written a second before is the claim's error.
    claim_holds(&ran, "data_gone");
    customers(&ran, 0);
    nothing_is_restored_over_a_server_that_is_there(&ran).await;
}

/// The staging of a drill that is over, for restores on their own: `restored` is its restored server, `locked` the same
/// with a wrong password.
struct Staging<'a>(&'a Ran);

impl Scope for Staging<'_> {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        Err(format!("no {reference}"))
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move { Err(format!("`{}` has only a URL", target.name())) })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        let password = std::fs::read_to_string(self.0.dir.join("app.password")).unwrap();
        let password = if target.name() == "locked" { "wrong" } else { password.trim() };
        Ok(format!("postgresql://app:{password}@127.0.0.1:{}/app?sslmode=disable", BASE + 22))
    }

    fn base(&self) -> PathBuf {
        "/".into()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.0.dir)
    }
}

impl Staging<'_> {
    /// Why a restore is refused: definitely, and with which words.
    async fn refusal(&self, kind: &str, spec: Value) -> String {
        let spec: RestoreSpec = serde_json::from_value(json!({kind: spec})).unwrap();
        let world = World::system();
        let owner = Owner { run: "r".into(), fault: "".into() };
        let until = world.clock.mono().after(Duration::from_secs(3));
        let done = spec.restore(&Cx { world: &world, scope: self, owner }, until, &Course::default()).await;
        match done.unwrap_err() {
            FaultError::World(AdapterError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

/// A server that answers, or has tables, is somebody's: nothing is restored over it.
async fn nothing_is_restored_over_a_server_that_is_there(ran: &Ran) {
    let staging = Staging(ran);
    let folder = ran.dir.display();
    let dump = |file: &str, target: &str| {
        let verify = json!({"tcp": {"address": "127.0.0.1:1"}});
        json!({"file": format!("{folder}/{file}"), "target": target, "verify": verify})
    };
    let why = staging.refusal("pg_restore", dump("dumps/1.dump", "restored")).await;
    assert!(why.contains("tables: a dump goes into an empty database"), "{why}");
    let why = staging.refusal("pg_restore", dump("dumps/1.dump", "locked")).await;
    assert!(why.contains("28P01") && !why.contains("wrong"), "{why}");
    let why = staging.refusal("pg_restore", dump("pgbackrest.conf", "restored")).await;
    assert!(why.contains("pg_restore: exit status 1"), "{why}");
    let scripts = crate::pair::scripts().join(STAGING);
    let backup = json!({
        "stanza": "main", "config": format!("{folder}/pgbackrest.conf"), "via": [scripts.join("as-owner.sh")],
        "into": format!("{folder}/elsewhere"), "start": {"command": {"argv": ["false"]}}, "target": "restored",
        "verify": {"tcp": {"address": "127.0.0.1:1"}}
    });
    let why = staging.refusal("pgbackrest", backup).await;
    assert!(why.contains("somebody answers at `restored` already"), "{why}");
}

/// Restores that cannot be, all at once: each is told apart, nothing is made of what a tool only says, and the drill's own way
/// back still heals.
#[test]
fn restores_that_cannot_be_say_why_and_a_tool_that_lies_is_caught() {
    let ran = changed_drill("restore-latest", STAGING, BASE, &|text| {
        let (before, _) = text.split_once("\nrestore:\n").unwrap();
        let declared = |line: &&str| !line.contains("basis: declared");
        let before: String = before.lines().filter(declared).map(|line| format!("{line}\n")).collect();
        let step = |id: &str, changes: &[(&str, &str)]| {
            let mut text = format!(
                "      - id: {id}\n        restore:\n          pgbackrest:\n            stanza: main\n            \
                 config: \"${{staging.config}}\"\n            via: [SCRIPTS/as-owner.sh]\n            bin: \"${{staging.bin}}\"\n            \
                 into: \"${{staging.dir}}/restored/{id}\"\n            start: {{command: [\"false\"]}}\n            \
                 target: restored\n            verify: {{sql: {{target: restored, query: select 1, value: {{equals: 1}}}}}}\n        \
                 within: 30s\n"
            );
            for (from, to) in changes {
                assert!(text.contains(from), "{from}");
                text = text.replace(from, to);
            }
            text.replace("SCRIPTS", &crate::pair::scripts().join(STAGING).display().to_string())
        };
        // It says that it went well, and does nothing; or makes a folder with a cluster in it that is another one.
        let nothing = "via: [sh, -c, 'case \"$*\" in *restore) exit 0 ;; esac; exec SCRIPTS/as-owner.sh \"$@\"', sh]";
        let another = "via: [sh, -c, 'case \"$*\" in *restore) set -- BIN/initdb -D \"$0\" ;; esac; exec SCRIPTS/as-owner.sh \"$@\"', \
                       \"${staging.dir}/restored/another\"]";
        let another = another.replace("BIN", "\"$(ls -d /usr/lib/postgresql/*/bin | tail -1)\"");
        let via = "via: [SCRIPTS/as-owner.sh]";
        let start = "start: {command";
        let steps = [
            step("nothing", &[(via, nothing)]),
            step("another", &[(via, &another)]),
            step("occupied", &[("restored/occupied", "repo")]),
            step("stanza", &[("stanza: main", "stanza: other")]),
            step("too_old", &[(start, "until: {time: \"2020-01-01 00:00:00+00\"}\n            start: {command")]),
            step("not_archived", &[(start, "until: {lsn: 7F/0}\n            start: {command")]),
            step("not_started", &[]),
        ];
        short(format!("{before}\nrestore:\n  - parallel:\n{}", steps.concat()))
    });
    assert_eq!(ran.exit, Some(1), "{}", ran.said);
    let steps = ran.report["steps"].as_array().unwrap();
    for (id, words) in [
        ("nothing", "is no data folder"),
        ("another", "is a copy of the cluster"),
        ("occupied", "is not empty"),
        ("stanza", "status"),
        ("too_old", "no backup is old enough"),
        ("not_archived", "the archive ends before 7F/0"),
        ("not_started", "the restored server was not started"),
    ] {
        let step = steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}"));
        let said = step.to_string();
        assert!(step["outcome"] == "failed" && said.contains(words), "{id}: {said}");
    }
    // The drill's own way back brought clients back.
    assert_eq!(ran.report["faults"][0]["healed"], true);
    assert_eq!(ran.missing_by_sql(), ran.ledger("lost"));
    customers(&ran, 0);
}
