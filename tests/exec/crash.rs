//! The runner dies, or its disk is full: what is left is named, refused over, and healed by `recover`. Through the
//! binary, in processes of its own.

use crate::bench::{Bench, CONFIG};
use blackstart::adapters::{ProcessState, World};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const DRILL: &str = r#"
drill: crash
environment: test
baseline: 50ms
targets:
  victim: {process: {pidfile: pid}}
outage:
  - {id: frozen, inject: {process_pause: {target: victim}}, deadline: 1m}
  - {id: dies, inject: {process_kill: {target: victim, back: {command: {argv: [./start.sh], env: {TOKEN: "${secrets.token}"}}}}}, deadline: 1m}
failover:
  - {id: long, wait: 60s}
secrets: {token: {file: token}}
"#;

struct Place {
    bench: Bench,
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let bench = Bench::new();
        let folder = bench.path("drill.yaml").parent().unwrap().to_path_buf();
        bench.script(
            "start.sh",
            "test -z \"$NEEDED\" || test -n \"$TOKEN\" || exit 7\nsleep 600 >/dev/null 2>&1 & echo $! > pid",
        );
        std::fs::write(bench.path("token"), "a-token-of-ours\n").unwrap();
        std::fs::write(bench.path("drill.yaml"), DRILL).unwrap();
        std::fs::write(bench.path("blackstart.yaml"), CONFIG).unwrap();
        assert!(Command::new(bench.path("start.sh")).status().unwrap().success());
        Self { bench, folder }
    }

    /// The binary, from another folder than the playbook's.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(words).current_dir("/").env("BLACKSTART_STATE_DIR", self.bench.path("state"));
        command.env("BLACKSTART_REPORTS", self.bench.path("reports")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn drill(&self) -> String {
        self.bench.path("drill.yaml").to_string_lossy().into_owned()
    }

    fn start(&self) -> Child {
        self.command(&["run", &self.drill(), "--volatile-state", "--run-id", "r1", "--output", "plain"])
            .spawn()
            .unwrap()
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.folder.join("reports/crash/r1/journal.jsonl")).unwrap_or_default()
    }

    fn signal_guardian(&self, signal: &str) {
        let line = self.journal().lines().find(|line| line.contains("\"guarded\"")).unwrap().to_owned();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let who = serde_json::from_value(line["what"]["guarded"]["guardian"].clone()).unwrap();
        World::system().processes.signal(&who, signal).unwrap();
    }

    fn until(&self, holds: impl Fn() -> bool) {
        for _ in 0..3000 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {}", self.journal());
    }

    fn victim(&self) -> Option<ProcessState> {
        let world = World::system();
        let pid = std::fs::read_to_string(self.bench.path("pid")).unwrap().trim().parse().unwrap();
        world.processes.identify(pid).unwrap().map(|who| world.processes.state(&who).unwrap())
    }

    fn done(&self, words: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(words).env("NEEDED", "1").output().unwrap();
        (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.bench.path("pid")).ok().and_then(|t| t.trim().parse().ok());
        let world = World::system();
        if let Some(who) = pid.and_then(|pid| world.processes.identify(pid).ok().flatten()) {
            let _gone = world.processes.signal(&who, "KILL");
        }
    }
}

#[test]
fn after_kill_9_of_the_runner_its_guardian_heals() {
    let place = Place::new();
    let mut runner = place.start();
    place.until(|| place.journal().contains("\"long\",\"round\""));
    assert_eq!(place.victim(), None);
    runner.kill().unwrap();
    runner.wait().unwrap();
    place.until(|| place.journal().contains("\"run_ended\""));
    assert_eq!(place.victim(), Some(ProcessState::Running), "{}", place.journal());
    place.until(|| !place.bench.listed());
    let run = place.folder.join("reports/crash/r1");
    place.until(|| run.join("report.html").exists());
    let (code, said) = place.done(&["analyze", &run.to_string_lossy()]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the runner died; its guardian took over"), "{said}");
    let (code, said) = place.done(&["status"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn after_kill_9_of_both_the_next_run_refuses_and_recover_heals() {
    let place = Place::new();
    let mut runner = place.start();
    place.until(|| place.journal().contains("\"long\",\"round\""));
    assert_eq!(place.victim(), None);
    // Neither has time to notice that the other is gone.
    place.signal_guardian("STOP");
    runner.kill().unwrap();
    runner.wait().unwrap();
    place.signal_guardian("KILL");
    let (code, said) = place.done(&["run", &place.drill(), "--volatile-state", "--output", "plain"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("recover") && said.contains("./start.sh") && said.contains("r1"), "{said}");
    let (code, said) = place.done(&["recover"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.victim(), Some(ProcessState::Running), "{said}");
    assert!(!place.bench.listed() && !place.journal().contains("a-token-of-ours"), "{}", place.journal());
    // What was continued is still a whole record.
    let run = place.folder.join("reports/crash/r1");
    let stored = blackstart::journal::read(&run).unwrap();
    assert!(stored.cut.is_none() && blackstart::journal::open_faults(&stored.events).is_empty());
    let (code, said) = place.done(&["analyze", &run.to_string_lossy()]);
    assert_eq!(code, Some(4), "{said}");
    let (code, said) = place.done(&["recover"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn after_kill_9_of_the_guardian_the_run_is_stopped_and_healed() {
    let place = Place::new();
    let mut runner = place.start();
    place.until(|| place.journal().contains("\"long\",\"round\""));
    place.signal_guardian("KILL");
    assert_eq!(runner.wait().unwrap().code(), Some(4), "{}", place.journal());
    assert_eq!(place.victim(), Some(ProcessState::Running));
    assert!(place.journal().contains("the guardian died") && !place.bench.listed());
}

#[test]
fn a_signal_heals_and_ends_with_its_code() {
    for signal in ["INT", "TERM", "HUP"] {
        let place = Place::new();
        let mut runner = place.start();
        place.until(|| place.journal().contains("\"long\",\"round\""));
        let world = World::system();
        let who = world.processes.identify(i32::try_from(runner.id()).unwrap()).unwrap().unwrap();
        world.processes.signal(&who, signal).unwrap();
        let status = runner.wait().unwrap();
        assert_eq!(status.code(), Some(4), "{signal}: {}", place.journal());
        assert_eq!(place.victim(), Some(ProcessState::Running), "{signal}");
        assert!(!place.bench.listed());
    }
}

/// A file-size limit stands for a full disk: the journal gets so far and no further.
#[test]
fn a_journal_that_can_no_longer_be_written_stops_the_drill_and_heals() {
    let mut cut = 0;
    for blocks in 2..=10 {
        let place = Place::new();
        let text = DRILL.replace("wait: 60s", "wait: 300ms");
        std::fs::write(place.bench.path("drill.yaml"), text).unwrap();
        let inner = place.command(&["run", &place.drill(), "--volatile-state", "--run-id", "r1", "--output", "plain"]);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut limited = Command::new("bash");
        limited.args(["-c", &script]).arg(inner.get_program()).args(inner.get_args());
        limited.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?)))).current_dir("/");
        let output = limited.stdin(Stdio::null()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(place.victim(), Some(ProcessState::Running), "{blocks}: {said}\n{}", place.journal());
        assert!(!said.contains("panic"), "{said}");
        if !place.journal().contains("\"run_ended\"") {
            cut += 1;
            assert_ne!(output.status.code(), Some(0), "{blocks}: {said}");
            // With room again, the record is completed.
            let (code, said) = place.done(&["recover"]);
            assert_eq!((code, place.bench.listed()), (Some(0), false), "{blocks}: {said}");
            assert_eq!(place.victim(), Some(ProcessState::Running), "{blocks}: {said}");
        }
    }
    assert!(cut > 3, "the limits were too wide to try anything: {cut}");
}
