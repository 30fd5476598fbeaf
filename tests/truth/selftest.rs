//! `blackstart selftest`, as a user runs it.

use super::support::binary;
use serde_json::Value;
use std::process::Command;

fn selftest(words: &[&str], temp: &std::path::Path) -> (Option<i32>, String) {
    let output = Command::new(binary()).arg("selftest").args(words).env("TMPDIR", temp).output().unwrap();
    (output.status.code(), [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat())
}

#[test]
fn a_selftest_finds_every_truth_inside_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (code, said) = selftest(&["--seconds", "10", "--output", "json"], temp.path());
    let json: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let of = &json["selftest"];
    assert!(of["drills"].as_u64().unwrap() >= 1, "{said}");
    assert!(of["truths"] == of["inside"] && of["truths"].as_u64().unwrap() > 10, "{said}");
    // A machine that has much else to do may be too busy to say how wide intervals are.
    assert!(code == Some(0) || code == Some(2), "{code:?}: {said}");
    assert_eq!(of["exit_code"].as_i64(), code.map(i64::from));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn without_a_place_for_its_files_it_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let (code, said) = selftest(&["--seconds", "10"], &file);
    assert!(code == Some(69) && said.contains("cannot make"), "{code:?}: {said}");
}
