//! When a guardian acts, and when it must not: a runner that falls silent, a deadline that passes, signals to the whole
//! group, a closed terminal, output that nobody reads; and how soon it has healed.

use crate::families::PAUSE;
use crate::place::Place;
use crate::program::{Case, Moment, Who};
use crate::sweep::drill;
use blackstart::adapters::ProcessState;
use blackstart::event::{HealCause, What};
use blackstart::model::ProcessIdentity;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const LONG_WAIT: &str = "failover: [{id: long, wait: 60s}]\n";

/// A place with a drill that waits with its fault open, and its runner.
fn waiting(outage: &str, change: impl FnOnce(&mut Command)) -> (Place, Child) {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &format!("{}{LONG_WAIT}", drill(outage)));
    let path = place.path("drill.yaml").to_string_lossy().into_owned();
    let mut command = place.command(&["run", &path, "--run-id", &place.run_id(), "--output", "json"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    change(&mut command);
    let runner = command.spawn().unwrap();
    place.until("the wait", || place.said(|w| matches!(w, What::StepStarted { step, .. } if step.as_str() == "long")));
    assert_eq!(place.state("pid"), Some(ProcessState::Stopped));
    (place, runner)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn taken_over(place: &Place, why: &str) {
    place.until_guardian_is_gone();
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    assert!(place.said(|w| matches!(w, What::TakenOver { why: said, .. } if said.contains(why))), "{}", place.story());
    assert!(place.open().is_empty() && !place.listed(), "{}", place.story());
}

/// A runner that is stopped (Ctrl-Z, a debugger) cannot heal; when its lease is over it never will.
#[test]
fn a_runner_that_falls_silent_is_ended_and_healed_for() {
    let (place, mut runner) = waiting(PAUSE, |_| {});
    kill(pid(&runner), Signal::SIGSTOP).unwrap();
    taken_over(&place, "gave no sign of life");
    assert!(!runner.wait().unwrap().success(), "it could have gone on injecting");
}

/// The other way round: a guardian that is stopped guards nothing.
#[test]
fn a_guardian_that_falls_silent_ends_the_run_healed() {
    let (place, mut runner) = waiting(PAUSE, |_| {});
    let guardian = place.guardian().unwrap();
    kill(Pid::from_raw(guardian.pid), Signal::SIGSTOP).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(4), "{}", place.story());
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    place.kill(&guardian);
    assert!(place.open().is_empty() && !place.listed());
}

/// A stop shorter than the lease changes nothing, whoever is stopped.
#[test]
fn a_short_stop_of_both_is_no_death() {
    let (place, mut runner) = waiting(PAUSE, |_| {});
    let guardian = Pid::from_raw(place.guardian().unwrap().pid);
    for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
        for who in [guardian, pid(&runner)] {
            kill(who, signal).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    assert!(runner.try_wait().unwrap().is_none() && !place.said(|w| matches!(w, What::TakenOver { .. })));
    assert_eq!(place.state("pid"), Some(ProcessState::Stopped));
    kill(pid(&runner), Signal::SIGTERM).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(4), "{}", place.story());
    place.until_guardian_is_gone();
}

/// Signals to the whole process group, as a terminal sends them when it closes, and to the guardian itself, as a service
/// manager sends them: the runner heals, and the guardian stays until it has.
#[test]
fn signals_to_everybody_leave_the_guardian_at_its_post() {
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        let (place, mut runner) = waiting(PAUSE, |command| {
            command.process_group(0);
        });
        let guardian: ProcessIdentity = place.guardian().unwrap();
        kill(Pid::from_raw(guardian.pid), signal).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!place.is_gone(&guardian), "{signal} ended the guardian");
        killpg(pid(&runner), signal).unwrap();
        assert_eq!(runner.wait().unwrap().code(), Some(4), "{signal}: {}", place.story());
        assert!(!place.said(|w| matches!(w, What::TakenOver { .. })), "{signal}: {}", place.story());
        // Also SIGKILL to the group meets only the runner.
        let (place, mut runner) = waiting(PAUSE, |command| {
            command.process_group(0);
        });
        killpg(pid(&runner), Signal::SIGKILL).unwrap();
        runner.wait().unwrap();
        taken_over(&place, "the runner died");
    }
}

/// What it has to say goes to a pipe that nobody reads and that is full, or to one that is closed.
#[test]
fn a_guardian_that_nobody_listens_to_heals() {
    for full in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut filler = writer.try_clone().unwrap();
        let (place, mut runner) = waiting(PAUSE, |command| {
            // The runner itself says nothing there.
            command.stderr(Stdio::from(std::os::fd::OwnedFd::from(writer)));
        });
        let reader = if full {
            let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
            nix::fcntl::fcntl(&filler, flags).unwrap();
            while std::io::Write::write(&mut filler, &[b'x'; 4096]).is_ok() {}
            let blocking = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty());
            nix::fcntl::fcntl(&filler, blocking).unwrap();
            Some(reader)
        } else {
            None
        };
        runner.kill().unwrap();
        runner.wait().unwrap();
        taken_over(&place, "the runner died");
        drop(reader);
    }
}

/// The deadline of a fault whose runner lives, and beats, and does not heal: its heal never returns.
#[test]
fn a_healthy_runner_heals_at_the_deadline_and_its_guardian_lets_it() {
    let (place, mut runner) = waiting(&PAUSE.replace("deadline: 5m", "deadline: 1s"), |_| {});
    place.until("healed", || place.open().is_empty());
    assert!(place.said(|w| matches!(w, What::HealStarted { by: HealCause::Deadline, .. })), "{}", place.story());
    kill(pid(&runner), Signal::SIGTERM).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(4));
    assert!(!place.said(|w| matches!(w, What::TakenOver { .. })));
}

/// From the runner's SIGKILL to the proof that all is as before. Printed, with a bound that a busy machine holds.
#[test]
fn a_dead_runner_is_healed_for_at_once() {
    let mut took = Vec::new();
    for _ in 0..5 {
        let (place, mut runner) = waiting(PAUSE, |_| {});
        let begun = Instant::now();
        runner.kill().unwrap();
        while place.state("pid") != Some(ProcessState::Running) {
            std::thread::yield_now();
        }
        let running = begun.elapsed();
        place.until("healed", || place.open().is_empty());
        took.push((running, begun.elapsed()));
        runner.wait().unwrap();
        taken_over(&place, "the runner died");
    }
    took.sort();
    println!(
        "from SIGKILL of the runner: runs again after {:?}, in the record after {:?} (median of 5)",
        took[2].0, took[2].1
    );
    assert!(took[2].1.as_secs() < 5, "{took:?}");
}

/// Nobody is guarded by what cannot be started: nothing is touched.
#[test]
fn without_a_guardian_nothing_is_injected() {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &drill(PAUSE));
    let case = Case::new(Who::Guardian, Moment::After("guarded".to_owned(), 1));
    assert!(place.start(&case).wait().success(), "{}", place.read("program.log"));
    assert!(!place.said(|w| matches!(w, What::FaultInjected { .. })), "{}", place.story());
    assert_eq!(place.state("pid"), Some(ProcessState::Running));
}
