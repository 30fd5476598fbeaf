//! How others leave faults behind, each cause tried on us.

use crate::families::PAUSE;
use crate::place::Place;
use crate::program::{Case, Moment, Who};
use crate::sweep::drill;
use blackstart::adapters::ProcessState;
use blackstart::event::{Event, HealCause, What};
use blackstart::journal::{self, Journal};
use blackstart::model::RunState;
use std::process::Stdio;

/// A place with a victim, and a drill of these steps that ran until somebody died.
fn after(outage: &str, case: &Case) -> Place {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &drill(outage));
    let status = place.start(case).wait();
    assert_eq!(case.who == Who::Guardian || case.who == Who::Nobody, status.success(), "{}", place.story());
    match (case.who, place.guardian()) {
        (Who::Both, Some(guardian)) => place.kill(&guardian),
        _ => place.until_guardian_is_gone(),
    }
    place
}

fn effect() -> Moment {
    Moment::After("fault_effect".to_owned(), 1)
}

/// Where it lives only in the runner's memory, SIGKILL, an eviction or the OOM killer leave the fault for ever.
#[test]
fn the_way_back_does_not_live_in_the_runners_memory() {
    let place = after(PAUSE, &Case::new(Who::Runner, effect()));
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    assert!(place.said(|w| matches!(w, What::HealStarted { by: HealCause::Guardian, .. })), "{}", place.story());
    let place = after(PAUSE, &Case::new(Who::Both, effect()));
    assert_eq!(place.state("pid"), Some(ProcessState::Stopped), "{}", place.story());
    place.blackstart(&["recover"]).code(0);
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
}

/// Elsewhere the heal goes to the pid that was broken: it fails for ever, or meets another process.
#[test]
fn a_target_whose_pid_changed_is_not_mistaken_and_not_stuck() {
    let place = after(PAUSE, &Case::new(Who::Both, effect()));
    let old = place.process("pid").unwrap();
    place.kill(&old);
    assert_eq!(place.sh("./start.sh").code, 0);
    let new = place.process("pid").unwrap();
    place.blackstart(&["recover"]).code(0);
    assert_ne!(old.pid, new.pid);
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    assert!(place.open().is_empty() && !place.listed());
}

/// Elsewhere the effect comes first and its record second: whoever dies in between leaves what nobody knows of.
#[test]
fn the_record_comes_before_the_effect() {
    for moment in [Moment::After("fault_intent".to_owned(), 1), Moment::BeforeAct(1), Moment::AfterAct(1)] {
        let place = after(PAUSE, &Case::new(Who::Both, moment.clone()));
        assert_eq!(place.open(), ["fault"], "{moment:?}: {}", place.story());
        place.blackstart(&["recover"]).code(0);
        assert_eq!(place.state("pid"), Some(ProcessState::Running), "{moment:?}: {}", place.story());
    }
}

/// Elsewhere a target on which the injection failed half-way is not reverted, because it never counted as injected.
#[test]
fn a_half_injected_fault_is_healed_too() {
    let half = "  - id: fault\n    deadline: 5m\n    inject: {command: {inject: [sh, -c, 'touch a; exit 1'], \
        effective: [test, -e, a], heal: [rm, -f, a], healed: [sh, -c, 'test ! -e a']}}\n";
    let place = after(half, &Case::none());
    assert!(place.said(|w| matches!(w, What::FaultInjectFailed { .. })), "{}", place.story());
    assert!(!place.path("a").exists() && place.open().is_empty(), "{}", place.story());
    // The runner dies in the middle of the command, and the command goes on without it.
    let dies = "  - id: fault\n    deadline: 5m\n    inject: {command: {inject: [sh, -c, 'touch a; kill -9 $PPID; sleep 1; touch b'], \
        effective: [test, -e, b], heal: [rm, -f, a, b], healed: [sh, -c, 'test ! -e a && test ! -e b']}}\n";
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &drill(dies));
    assert!(!place.start(&Case::none()).wait().success());
    place.until_guardian_is_gone();
    assert!(place.open().is_empty() && !place.path("a").exists(), "{}", place.story());
    // The command would have made it by now.
    std::thread::sleep(std::time::Duration::from_millis(1300));
    assert!(!place.path("b").exists(), "the injection outlived its heal: {}", place.story());
}

/// Elsewhere an error of the revert is swallowed, and success is reported.
#[test]
fn an_error_of_the_heal_is_never_a_success() {
    let stuck = "  - id: fault\n    deadline: 5m\n    inject: {command: {inject: [touch, a], effective: [test, -e, a], \
        heal: [sh, -c, 'test -e allowed && rm -f a'], healed: [sh, -c, 'test ! -e a']}}\n";
    let place = after(stuck, &Case::new(Who::Runner, effect()));
    assert!(place.said(|w| matches!(w, What::RunEnded { state: RunState::Dirty, .. })), "{}", place.story());
    assert!(place.listed() && place.path("a").exists());
    place.blackstart(&["analyze", &place.run_dir().to_string_lossy()]).code(3);
    place.blackstart(&["status"]).code(3);
    let refused = place.blackstart(&["run", &place.path("drill.yaml").to_string_lossy(), "--output", "plain"]).code(3);
    assert!(refused.said.contains("rm -f a"), "it does not say what heals it: {}", refused.said);
    place.write("allowed", "");
    let said = place.blackstart(&["recover"]).code(0).said;
    assert!(said.contains("healed      fault") && !place.path("a").exists(), "{said}");
    place.blackstart(&["analyze", &place.run_dir().to_string_lossy()]).code(4);
}

/// Elsewhere rollbacks are skipped when the run is interrupted, or when its hypothesis does not hold.
#[test]
fn an_interrupted_or_failed_run_is_healed() {
    let ends = "failover: [{id: never, check: {command: [\"false\"]}}]\n";
    let place = after(&format!("{PAUSE}{ends}"), &Case::none());
    assert!(place.open().is_empty() && place.state("pid") == Some(ProcessState::Running), "{}", place.story());
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &format!("{}failover: [{{id: long, wait: 60s}}]\n", drill(PAUSE)));
    let drill = place.path("drill.yaml");
    let mut runner =
        place.command(&["run", &drill.to_string_lossy(), "--run-id", &place.run_id(), "--output", "plain"]);
    let mut runner = runner.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    place.until("the wait", || place.said(|w| matches!(w, What::StepStarted { step, .. } if step.as_str() == "long")));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(runner.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(4));
    assert!(place.open().is_empty() && place.state("pid") == Some(ProcessState::Running), "{}", place.story());
}

/// Elsewhere the journal is in a temporary directory, and a reboot empties it.
#[test]
fn a_state_directory_that_a_reboot_empties_is_refused() {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &drill(PAUSE));
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let drill = place.path("drill.yaml");
    let output =
        place.command(&["run", &drill.to_string_lossy()]).env("BLACKSTART_STATE_DIR", memory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("in memory") && std::fs::read_dir(memory.path()).unwrap().next().is_none(), "{said}");
    assert_eq!(place.state("pid"), Some(ProcessState::Running));
}

/// Elsewhere a step that cannot be undone counts as one that can, and nobody is asked.
#[test]
fn an_irreversible_step_is_not_taken_for_a_reversible_one() {
    let place = Place::new();
    place.victim();
    let gone = "  - {id: fault, inject: {process_kill: {target: victim, back: none}}, deadline: 5m}\n";
    place.write("drill.yaml", &drill(gone));
    let refused = place.blackstart(&["validate", &place.path("drill.yaml").to_string_lossy()]).code(65);
    assert!(refused.said.contains("acknowledge: irreversible"), "{}", refused.said);
    let acknowledged = gone.replace(", deadline", ", acknowledge: irreversible, way_back: start it, deadline");
    let place = after(&acknowledged, &Case::new(Who::Runner, effect()));
    // Nobody claims to have healed it, and nobody starts anything.
    assert!(!place.said(|w| matches!(w, What::Healed { .. })), "{}", place.story());
    assert_eq!(place.state("pid"), None);
}

/// Elsewhere a target that restarts while the fault is on it comes back without it, or keeps it for ever; either way the
/// experiment goes on as if nothing had happened.
#[test]
fn a_target_that_restarts_under_the_fault_ends_healed() {
    let outage = format!("{PAUSE}  - {{id: restarted, run: {{command: [./again.sh]}}, within: 10s}}\n");
    let place = Place::new();
    place.victim();
    place.script("again.sh", "kill -9 $(cat pid); ./start.sh");
    place.write("drill.yaml", &drill(&outage));
    assert!(place.start(&Case::none()).wait().success(), "{}", place.story());
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    assert!(place.open().is_empty(), "{}", place.story());
}

/// Elsewhere two experiments share one place of the system (a root qdisc), and the end of one destroys the other's. A
/// drill here has its targets for itself, and a second one does not begin.
#[test]
fn two_drills_do_not_share_a_target() {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &format!("{}failover: [{{id: long, wait: 60s}}]\n", drill(PAUSE)));
    let path = place.path("drill.yaml").to_string_lossy().into_owned();
    let mut runner = place.command(&["run", &path, "--run-id", &place.run_id(), "--output", "plain"]);
    let mut runner = runner.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    place.until("the wait", || place.said(|w| matches!(w, What::StepStarted { step, .. } if step.as_str() == "long")));
    let second = place.blackstart(&["run", &path, "--run-id", "r2", "--output", "plain"]);
    assert!(second.code == 5 || second.code == 3, "{}: {}", second.code, second.said);
    assert_eq!(place.state("pid"), Some(ProcessState::Stopped), "the second undid what the first did");
    runner.kill().unwrap();
    runner.wait().unwrap();
    place.until_guardian_is_gone();
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
}

/// A record that was continued by somebody else is still one whole record.
#[test]
fn the_record_of_a_run_that_was_taken_over_verifies() {
    let place = after(PAUSE, &Case::new(Who::Runner, effect()));
    let stored = journal::read(&place.run_dir()).unwrap();
    assert!(stored.cut.is_none() && stored.problems.is_empty(), "{:?} {:?}", stored.cut, stored.problems);
    let taken = |e: &&Event| matches!(e.what, What::TakenOver { .. });
    assert_eq!(stored.events.iter().filter(taken).count(), 1);
    let said = place.blackstart(&["analyze", &place.run_dir().to_string_lossy()]).code(4).said;
    for words in ["the runner died; its guardian took over", "by the guardian", "byte for byte"] {
        assert!(said.contains(words), "nobody says `{words}`: {said}");
    }
    let json = std::fs::read_to_string(place.run_dir().join("report.json")).unwrap();
    assert!(json.contains("\"healed_by\": \"guardian\""), "{json}");
    assert!(Journal::reopen(&place.run_dir(), blackstart::clock::Clock::System).is_ok(), "somebody still holds it");
}
