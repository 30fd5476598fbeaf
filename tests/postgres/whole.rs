//! Whole runs of the binary around a pair: a fault that is healed by a login though its runner died, and questions that can
//! never be answered, said before anything is touched.

use crate::pair::Pair;
use blackstart::adapters::World;
use blackstart::journal;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PORT: u16 = 15400;
const HEAD: &str = r#"
drill: whole
environment: staging
secrets: {password: {file: PASSWORD}}
targets:
  one: {postgres: {url: "postgresql://app:${secrets.password}@127.0.0.1:15421/app?sslmode=disable"}}
  two: {postgres: {url: "postgresql://app:${secrets.password}@127.0.0.1:15422/app?sslmode=disable"}}
  plain: {postgres: {url: "postgresql://plain:${secrets.password}@127.0.0.1:15421/app?sslmode=disable"}}
baseline: 100ms
"#;

/// A drill in a folder of its own.
struct Place(TempDir);

impl Place {
    fn new(pair: &Pair, rest: &str) -> Self {
        let place = Self(tempfile::Builder::new().prefix("blackstart-whole.").tempdir_in("/var/tmp").unwrap());
        let text = HEAD.replace("PASSWORD", pair.file("app.password").to_str().unwrap()) + rest;
        std::fs::write(place.0.path().join("drill.yaml"), text).unwrap();
        std::fs::write(place.0.path().join("blackstart.yaml"), "environments: {staging: {}}\n").unwrap();
        place
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("BLACKSTART_STATE_DIR", self.0.path().join("state"));
        command
    }

    fn said(&self, words: &[&str]) -> (Option<i32>, String) {
        let out = self.command(words).output().unwrap();
        (out.status.code(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    }

    fn start(&self) -> Child {
        let words = ["run", "drill.yaml", "--reports", "out", "--output", "plain", "--run-id", "r1"];
        self.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn run(&self) -> PathBuf {
        self.0.path().join("out/whole/r1")
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.run().join("journal.jsonl")).unwrap_or_default()
    }

    fn signal_guardian(&self, signal: &str) {
        let line = self.journal().lines().find(|line| line.contains("\"guarded\"")).unwrap().to_owned();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let who = serde_json::from_value(line["what"]["guarded"]["guardian"].clone()).unwrap();
        World::system().processes.signal(&who, signal).unwrap();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

const PAUSED: &str = "outage: [{id: paused, inject: {postgres_pause_replay: {target: two}}, deadline: 5m}]\n\
                      failover: [{id: long, wait: 5m}]\n";

fn replay(pair: &Pair) -> String {
    pair.psql(2, "postgres", "select pg_get_wal_replay_pause_state()")
}

/// Healing needs a login: whoever heals reads the password again, for it stands in no record.
#[test]
fn replay_is_resumed_though_the_runner_died() {
    let pair = Pair::up(PORT, &[]);
    let place = Place::new(&pair, PAUSED);
    let mut runner = place.start();
    until("it is paused", || place.journal().contains("\"long\",\"round\""));
    assert_eq!(replay(&pair), "paused");
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("its guardian ends the record", || place.journal().contains("\"run_ended\""));
    assert_eq!(replay(&pair), "not paused", "{}", place.journal());

    // Both die, and nobody notices until somebody asks.
    let place = Place::new(&pair, PAUSED);
    let mut runner = place.start();
    until("it is paused again", || place.journal().contains("\"long\",\"round\""));
    place.signal_guardian("STOP");
    runner.kill().unwrap();
    runner.wait().unwrap();
    place.signal_guardian("KILL");
    assert_eq!(replay(&pair), "paused");
    let (code, said) = place.said(&["recover"]);
    assert_eq!((code, replay(&pair).as_str()), (Some(0), "not paused"), "{said}");
    let stored = journal::read(&place.run()).unwrap();
    assert!(stored.cut.is_none() && journal::open_faults(&stored.events).is_empty());
    let password = std::fs::read_to_string(pair.file("app.password")).unwrap();
    assert!(!place.journal().contains(password.trim()));
}

#[test]
fn what_can_never_be_answered_is_said_before_anything_is_touched() {
    let pair = Pair::up(PORT, &[]);
    let password = std::fs::read_to_string(pair.file("app.password")).unwrap();
    pair.psql(1, "postgres", &format!("create role plain login password '{}'", password.trim()));
    let outage = "outage: [{inject: {postgres_terminate: {target: one}}}]\n";
    let refusal = |steady: &str, touched: &str| {
        let place = Place::new(&pair, &format!("{steady}{outage}"));
        let (code, said) = place.said(&["run", "drill.yaml", "--reports", "out", "--output", "plain"]);
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains("nothing was touched") && !said.contains(password.trim()), "{said}");
        // Lines are broken where the terminal ends.
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(words.join(" ").contains(touched), "{said}");
    };
    refusal(
        "steady: [{name: little lag, expect: {postgres: {target: plain, ask: lag, value: {at_most: 1}}}, within: 20s}]\n",
        "steady state `little lag`: postgres 127.0.0.1:15421/app: the role plain may not see replication: GRANT pg_monitor TO plain",
    );
    pair.psql(2, "postgres", "select pg_promote(true, 30)");
    refusal(
        "guards: [{name: a standby, every: 1s, postgres: {target: two, ask: standbys, value: {at_least: 1}}}]\n",
        "guard `a standby`: postgres 127.0.0.1:15422/app: it is not replicated: no standby streams from it",
    );
}
