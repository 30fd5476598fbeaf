//! The commands of `docs/evidence.md`, run as they stand there.

use super::chains::chain_of_three;
use super::forge::{copied, shop};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../src/docs/evidence.md");

/// Blocks of shell that begin with this comment.
fn blocks(place: &str) -> Vec<&'static str> {
    let begins = format!("# in {place}\n");
    let all = PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    all.filter(|block| block.starts_with(&begins)).collect()
}

fn shell(block: &str, dir: &Path) -> (bool, String) {
    let out = Command::new("sh").args(["-e", "-c", block]).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    (out.status.success(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
}

#[test]
fn the_page_s_commands_hold_for_a_run_and_not_for_one_that_was_changed() {
    let run = copied();
    fs::copy(shop().allowed(), run.path().join("allowed_signers")).unwrap();
    let [check, record, targets] = blocks("the run's folder")[..] else { panic!("three blocks are for a run") };
    let (good, said) = shell(check, run.path());
    assert!(good && said.contains("Good \"drill-evidence\" signature for team@example.org"), "{said}");
    let (_, said) = shell(record, run.path());
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{said}");
    let (_, said) = shell(targets, run.path());
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 + 4 + 4 && lines[0] == lines[1], "{said}");
    // Versions of jq write 10.0 differently.
    let has = |begins: &str| lines.iter().any(|line| line.starts_with(begins));
    assert!(has(r#"["rto","orders",10000000000]"#) && has(r#"["rto","orders",10"#), "{said}");

    let journal = fs::read_to_string(run.path().join("journal.jsonl")).unwrap();
    fs::write(run.path().join("journal.jsonl"), journal.replacen("\"seq\":5,", "\"seq\": 5,", 1)).unwrap();
    let (good, said) = shell(check, run.path());
    assert!(!good && said.contains("journal.jsonl"), "{said}");
    let (_, said) = shell(record, run.path());
    assert!(said.contains("broken at: {\"v\":1,\"seq\":6,"), "{said}");
}

#[test]
fn the_page_s_look_at_the_chain_shows_a_run_that_was_left_out() {
    let runs = chain_of_three();
    let [chain] = blocks("the folder of the drill's runs")[..] else { panic!("one block is for a chain") };
    let (good, said) = shell(chain, runs.path());
    assert!(good && said.lines().count() == 3 && !said.contains("broken") && !said.contains("two things"), "{said}");
    fs::remove_dir_all(runs.path().join("20261122T041443Z-two")).unwrap();
    let (_, said) = shell(chain, runs.path());
    assert!(said.contains("broken here"), "{said}");
}
