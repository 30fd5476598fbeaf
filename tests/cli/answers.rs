//! Commands that only answer: help, list, doctor, completions, man, wrong usage.

use crate::support::Place;
use std::io::Read;

#[test]
fn wrong_usage_is_64_and_says_what_was_meant() {
    let place = Place::new();
    for arguments in [&[][..], &["frobnicate"], &["list", "bogus"], &["doctor", "--output", "xml"], &["kv"]] {
        let ended = place.run(arguments).code(64);
        assert!(ended.out.is_empty(), "{}", ended.out);
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn help_and_version_are_answers() {
    let place = Place::new();
    for command in ["run", "validate", "plan", "analyze", "list", "schema", "init", "doctor", "recover", "status"] {
        let ended = place.run(&[command, "--help"]).code(0);
        assert!(ended.out.contains("Usage:"), "{}", ended.out);
    }
    assert!(place.run(&["--version"]).code(0).out.starts_with("blackstart "));
    let help = place.run(&["--help"]).code(0).out;
    assert!(help.contains("Exit codes: 0 pass"), "{help}");
    assert!(!help.contains("embedded staging"), "a hidden command is shown:\n{help}");
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["list"], &["frobnicate"]] {
        let ended = place.run(arguments);
        assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "{ended:?}");
    }
}

#[test]
fn the_registries_are_listed() {
    let place = Place::new();
    assert!(place.run(&["list", "faults"]).code(0).out.contains("process_kill"));
    let all: serde_json::Value = serde_json::from_str(&place.run(&["list", "--output", "json"]).code(0).out).unwrap();
    for family in ["faults", "probes", "workloads", "restores", "targets"] {
        assert!(all[family].as_array().is_some_and(|kinds| !kinds.is_empty()), "{family}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place.start(&["list", "--output", "json"]);
    let mut first = [0; 1];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).unwrap();
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_and_the_man_page_name_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).code(0).out;
        assert!(script.contains("validate") && script.contains("doctor"), "{shell}");
    }
    let page = place.run(&["man"]).code(0).out;
    assert!(page.contains(".TH blackstart") && page.contains("analyze"), "{page}");
}

#[test]
fn doctor_says_what_is_lacking_and_how_to_mend_it() {
    let place = Place::new();
    let ended = place.run(&["doctor", "--output", "json"]).code(0);
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    for finding in found["findings"].as_array().unwrap() {
        assert_eq!(finding["state"] == "ok", finding["mend"].is_null(), "{finding}");
    }
    assert!(place.run(&["doctor"]).out.contains("kernel"));
}

#[test]
fn doctor_refuses_a_state_directory_in_memory() {
    let place = Place::new();
    let ended = place.blackstart().arg("doctor").env("BLACKSTART_STATE_DIR", "/dev/shm/blackstart").output().unwrap();
    let ended = crate::support::Ended::new(ended).code(69);
    assert!(ended.out.contains("is in memory"), "{}", ended.out);
}

#[test]
fn doctor_finds_a_port_in_use() {
    let place = Place::new();
    // Another test or program may hold it already: then it is in use as well.
    let _held = std::net::TcpListener::bind("127.0.0.1:17402");
    let ended = place.run(&["doctor"]);
    assert!(ended.out.contains("in use: ") && ended.out.contains("17402"), "{}", ended.out);
}
