//! What lets no drill begin, or stops one, without anything being wrong: the kill switch, another drill on the same
//! target, a guard, an error budget.

use crate::drill;
use crate::support::{Ended, Place};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A drill on a process that nobody measures; it goes on for long after its fault.
const LONG: &str = r"
drill: long
environment: embedded
targets: {sleeper: {process: {pidfile: ./pid}}}
baseline: 100ms
outage:
  - {id: frozen, inject: {process_pause: {target: sleeper}}, deadline: 1m}
failover:
  - {id: long, wait: 60s}
";

/// Starts it, and waits until its fault has bitten.
fn bitten(place: &Place, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let all = [&["run", "long.yaml", "--reports", "out", "--output", "plain"], arguments].concat();
    let mut child = place.start(&all);
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("took effect") {
        assert_ne!(progress.read_line(&mut seen).unwrap(), 0, "it never bit:\n{seen}");
    }
    (child, progress, seen)
}

fn end(child: Child, mut progress: BufReader<std::process::ChildStderr>, mut seen: String) -> Ended {
    progress.read_to_string(&mut seen).unwrap();
    Ended { err: seen, ..Ended::new(child.wait_with_output().unwrap()) }
}

#[test]
fn the_kill_switch_stops_a_run_and_lets_none_begin() {
    let place = Place::new();
    let sleeper = place.sleeper("pid");
    place.file("long.yaml", LONG);
    let (child, progress, seen) = bitten(&place, &[]);
    place.run(&["kill-switch", "on", "--reason", "a real incident"]).code(0);
    let ended = end(child, progress, seen).code(4);
    assert!(ended.out.contains("kill switch") && ended.out.contains("a real incident"), "{}", ended.out);
    assert_ne!(place.state_of(sleeper.0.id()), 'T', "healed");
    let refused = place.run(&["run", "long.yaml", "--reports", "again", "--output", "plain"]).code(5);
    assert!(refused.err.contains("a real incident"), "{}", refused.err);
    assert!(!place.path().join("again").exists(), "not even a folder");
    assert!(place.run(&["kill-switch"]).code(5).out.contains("a real incident"));
    place.run(&["kill-switch", "off"]).code(0);
    place.run(&["kill-switch", "show"]).code(0);
}

#[test]
fn sigusr1_engages_it_for_every_run() {
    let place = Place::new();
    let _sleeper = place.sleeper("pid");
    place.file("long.yaml", LONG);
    let (child, progress, seen) = bitten(&place, &[]);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGUSR1).unwrap();
    end(child, progress, seen).code(4);
    assert!(place.run(&["kill-switch"]).code(5).out.contains("SIGUSR1"));
    place.run(&["run", "long.yaml", "--reports", "again"]).code(5);
}

/// Answers every request alike, until it is told to say the other thing.
fn switch_server(engaged: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = |mut stream: TcpStream| {
                let mut request = [0; 1024];
                let _read = stream.read(&mut request)?;
                let body =
                    format!("{{\"engaged\": {}, \"reason\": \"change freeze\"}}", engaged.load(Ordering::SeqCst));
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            };
            drop(stream.and_then(answer));
        }
    });
    port
}

#[test]
fn a_url_can_be_the_switch_and_one_that_is_silent_forbids() {
    let place = Place::new();
    let _sleeper = place.sleeper("pid");
    place.file("long.yaml", LONG);
    let engaged = Arc::new(AtomicBool::new(false));
    let port = switch_server(Arc::clone(&engaged));
    place.file("blackstart.yaml", &format!("kill_switch: {{url: \"http://127.0.0.1:{port}/\", every: 200ms}}\n"));
    let (child, progress, seen) = bitten(&place, &[]);
    engaged.store(true, Ordering::SeqCst);
    let ended = end(child, progress, seen).code(4);
    assert!(ended.out.contains("change freeze"), "{}", ended.out);
    place.file("blackstart.yaml", "kill_switch: {url: \"http://127.0.0.1:1/\"}\n");
    let refused = place.run(&["run", "long.yaml", "--reports", "again", "--output", "plain"]).code(5);
    assert!(refused.err.contains("cannot be asked"), "{}", refused.err);
}

#[test]
fn two_drills_do_not_share_a_target() {
    let place = Place::new();
    let _sleeper = place.sleeper("pid");
    place.file("long.yaml", LONG);
    // The same process by another name.
    let other = LONG.replace("drill: long", "drill: other").replace("sleeper", "someone");
    place.file("other.yaml", &other);
    let (child, progress, seen) = bitten(&place, &["--run-id", "first"]);
    let refused = place.run(&["run", "other.yaml", "--reports", "out", "--output", "plain"]).code(5);
    assert!(refused.out.contains("NOT RUN"), "{}", refused.out);
    assert!(refused.err.contains("is held by the run first"), "{}", refused.err);
    let dir = place.only_run("out/other");
    assert!(place.run(&["analyze", dir.to_str().unwrap()]).code(5).out.contains("byte for byte"));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    end(child, progress, seen).code(4);
    assert_eq!(std::fs::read_dir(place.path().join("state/locks")).unwrap().count(), 0, "every lock is free again");
}

#[test]
fn a_used_up_error_budget_stops_the_drill() {
    let place = Place::new();
    let budget = "guards:\n  - {name: not too many, every: 100ms, budget: {workload: orders, bad: 20}}\n";
    // Nobody takes over, so that every operation fails until it is healed.
    let text = drill::with(18_400, "guards:\n", budget).replace("port: 18400", "port: 18400, failover: false");
    place.file("small.yaml", &text);
    let ended = place.run(&["run", "small.yaml", "--reports", "out", "--output", "plain"]).code(4);
    assert!(ended.out.contains("not too many") && ended.out.contains("the budget is 20"), "{}", ended.out);
    place.nothing_left(18_400);
}

#[test]
fn the_recovery_unit_is_printed_installed_and_taken_out() {
    let place = Place::new();
    let unit = place.run(&["install-recovery", "--print"]).code(0).out;
    let state = place.path().join("state");
    assert!(unit.contains(&format!("BLACKSTART_STATE_DIR={}", state.display())) && unit.contains(" recover"), "{unit}");
    let root = place.path().join("root");
    let root_text = root.to_str().unwrap();
    for _ in 0..2 {
        place.run(&["install-recovery", "--root", root_text]).code(0);
    }
    let folder = root.join("etc/systemd/system");
    let installed = std::fs::read_to_string(folder.join("blackstart-recover.service")).unwrap();
    assert_eq!(installed.trim(), unit.trim());
    let link = folder.join("multi-user.target.wants/blackstart-recover.service");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    for _ in 0..2 {
        place.run(&["install-recovery", "--root", root_text, "--remove"]).code(0);
    }
    assert!(std::fs::symlink_metadata(&link).is_err() && !folder.join("blackstart-recover.service").exists());
}

#[test]
fn what_no_run_accounts_for_is_shown_and_nothing_is_broken_on_top_of_it() {
    let place = Place::new();
    let _sleeper = place.sleeper("pid");
    place.file("long.yaml", LONG);
    assert!(place.run(&["status"]).code(0).out.contains("none left anything open"));
    place.file("state/vault/bs-0123456789ab/key", "a key of ours");
    let status = place.run(&["status"]).code(3).out;
    assert!(
        status.contains("residue: bytes that were to be put back") && status.contains("by hand: rm -r"),
        "{status}"
    );
    let refused = place.run(&["run", "long.yaml", "--reports", "out", "--output", "plain"]).code(3);
    assert!(refused.err.contains("left behind by a drill that nobody knows any more"), "{}", refused.err);
    assert!(!place.path().join("out").exists());
    std::fs::remove_dir_all(place.path().join("state/vault")).unwrap();
    place.run(&["status"]).code(0);
}

#[test]
fn a_fault_that_could_not_be_injected_is_known_before_anything_is_touched() {
    let place = Place::new();
    let sleeper = place.sleeper("pid");
    let second = "failover:\n  - {id: full, inject: {disk_fill: {target: folder, to: {free: 0B}}}, deadline: 1m}\n";
    let text = LONG.replace("failover:\n", second).replace(
        "{sleeper: {process: {pidfile: ./pid}}}",
        "{sleeper: {process: {pidfile: ./pid}}, folder: {directory: {path: ./data}}}",
    );
    place.file("long.yaml", &text);
    place.file("data/x", "");
    // Nobody may write there, also not root.
    let data = place.path().join("data");
    let mount = |words: &[&str]| std::process::Command::new("mount").args(words).arg(&data).status().unwrap().success();
    assert!(mount(&["-t", "tmpfs", "-o", "ro,size=4m", "none"]));
    let refused = place.run(&["run", "long.yaml", "--reports", "out", "--output", "plain"]);
    assert!(std::process::Command::new("umount").arg(&data).status().unwrap().success());
    let refused = refused.code(69);
    assert!(refused.err.contains("`full` could not be injected"), "{}", refused.err);
    assert_ne!(place.state_of(sleeper.0.id()), 'T');
    let dir = place.only_run("out/long");
    assert!(!place.events(&dir).iter().any(|event| event["what"].get("fault_intent").is_some()));
}
