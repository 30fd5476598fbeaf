//! Ctrl-C, SIGTERM and SIGHUP in every phase: everything is healed, the staging is down, the record is complete, and
//! the exit code is 4. SIGKILL: the guardian heals, completes the record and writes the reports.

use crate::drill;
use crate::support::{Ended, Place};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;

/// Starts the drill, waits for a line of its progress, sends the signals, and waits for its end.
fn interrupted(place: &Place, marker: &str, signals: &[Signal]) -> Ended {
    let mut child = place.start(&["run", "small.yaml", "--reports", "out", "--output", "plain"]);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.lines().last().is_some_and(|line| line.contains(marker)) {
        assert_ne!(progress.read_line(&mut seen).unwrap(), 0, "no line with `{marker}`:\n{seen}");
    }
    for signal in signals {
        kill(pid, *signal).unwrap();
    }
    progress.read_to_string(&mut seen).unwrap();
    ended(child, seen)
}

fn ended(child: Child, err: String) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended { err, ..Ended::new(output) }
}

fn aborted(port: u16, marker: &str, signals: &[Signal]) -> Ended {
    let place = Place::new();
    // Every phase takes long enough to be interrupted in it.
    let slow = drill::text(port)
        .replace("failover:\n", "  - wait: 2s\nfailover:\n  - wait: 2s\n")
        .replace("restore:\n", "restore:\n  - wait: 2s\n")
        .replace("verify:\n", "verify:\n  - wait: 2s\n")
        .replace("stable: 1s", "stable: 3s");
    place.file("small.yaml", &slow);
    let ended = interrupted(&place, marker, signals).code(4);
    assert!(ended.out.contains("ABORTED"), "{}", ended.out);
    let dir = place.only_run("out/small");
    let last = place.events(&dir).pop().unwrap();
    assert_eq!(last["what"]["run_ended"]["state"], "aborted", "{last}");
    assert_eq!(last["what"]["run_ended"]["open"], serde_json::json!([]), "{last}");
    assert!(place.run(&["analyze", dir.to_str().unwrap()]).code(4).out.contains("byte for byte"));
    assert!(place.run(&["status"]).code(0).out.contains("none left anything open"));
    place.nothing_left(port);
    ended
}

#[test]
fn in_the_baseline() {
    aborted(18_200, "── baseline", &[Signal::SIGINT]);
}

#[test]
fn right_after_the_fault() {
    let ended = aborted(18_210, "took effect", &[Signal::SIGTERM]);
    assert!(ended.err.contains("healed"), "{}", ended.err);
}

#[test]
fn in_the_failover() {
    aborted(18_220, "── failover", &[Signal::SIGHUP]);
}

#[test]
fn in_the_restore() {
    aborted(18_230, "── restore", &[Signal::SIGINT]);
}

#[test]
fn in_the_verification() {
    aborted(18_240, "── verify", &[Signal::SIGTERM]);
}

#[test]
fn when_it_holds_again() {
    aborted(18_250, "── steady", &[Signal::SIGINT]);
}

#[test]
fn a_second_one_does_not_skip_the_healing() {
    let twice = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let ended = aborted(18_260, "took effect", &twice);
    assert!(ended.err.contains("healed"), "{}", ended.err);
}

#[test]
fn a_runner_that_is_killed_is_healed_by_its_guardian() {
    let place = Place::new();
    let victim = place.sleeper("victim.pid");
    let text =
        drill::text(18_270).replace("  standby: ", "  victim:  {process: {pidfile: victim.pid}}\n  standby: ").replace(
            "failover:\n",
            "  - {id: frozen, name: a process_pause, inject: {process_pause: {target: victim}}}\n  - wait: 30s\nfailover:\n",
        );
    place.file("small.yaml", &text);
    // The guardian has the runner's standard error: when that ends, it is done.
    let killed = interrupted(&place, "process_pause took effect", &[Signal::SIGKILL]);
    assert_eq!(killed.code, -1, "{killed:?}");
    assert_ne!(place.state_of(victim.0.id()), 'T', "the victim is still paused: {killed:?}");
    for said in ["the runner died", "healed `frozen`", "nothing of it is left", "report.html"] {
        assert!(killed.err.contains(said), "nobody says `{said}`: {}", killed.err);
    }
    let dir = place.only_run("out/small");
    assert!(dir.join("report.html").is_file());
    let analyzed = place.run(&["analyze", dir.to_str().unwrap()]).code(4);
    assert!(analyzed.out.contains("byte for byte"), "{}", analyzed.out);
    assert!(analyzed.out.contains("was healed by the guardian"), "{}", analyzed.out);
    assert!(place.run(&["status"]).code(0).out.contains("none left anything open"));
    place.nothing_left(18_270);
}
