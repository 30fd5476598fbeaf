//! What the program seals, it verifies: whole when nobody touched it, however the run ended, and not a moment longer.

use super::tamper::append;
use crate::support::{Ended, Place};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

const DRILL: &str = r#"
drill: mini
environment: test
baseline: 50ms
targets:
  victim: {process: {pidfile: pid}}
outage:
  - {id: frozen, inject: {process_pause: {target: victim}}, deadline: 1m}
"#;

/// A place with a drill of half a second, a key, and a list that names it in the configuration.
fn place() -> Place {
    let place = Place::new();
    let config = "environments:\n  test: {hosts: [127.0.0.1]}\nevidence:\n  signing: {key: key}\n  \
                  allowed_signers: allowed\n  chain_name: here\n";
    place.file("blackstart.yaml", config);
    place.file("mini.yaml", DRILL);
    let key = place.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    place.file("allowed", &format!("team@example.org namespaces=\"drill-evidence\" {public}"));
    place
}

/// The runs by their numbers in the chain; their names do not tell an order within a second.
fn runs(place: &Place) -> Vec<PathBuf> {
    let number = |run: &PathBuf| {
        let manifest = std::fs::read(run.join("MANIFEST.json")).unwrap();
        serde_json::from_slice::<Value>(&manifest).unwrap()["chain"]["counter"].as_u64().unwrap()
    };
    let folders = std::fs::read_dir(place.path().join("reports/mini")).unwrap();
    let mut runs: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    runs.sort_by_key(number);
    runs
}

fn verified(place: &Place, more: &[&str]) -> Ended {
    place.run(&[&["verify", "reports", "--require", "signed,chained"], more].concat())
}

#[test]
fn what_is_sealed_is_verified_until_it_is_touched() {
    let place = place();
    let _victim = place.sleeper("pid");
    place.run(&["run", "mini.yaml"]).code(0);
    // A place in the chain that is given back leaves no gap.
    place.run(&["kill-switch", "on"]).code(0);
    place.run(&["run", "mini.yaml"]).code(5);
    place.run(&["kill-switch", "off"]).code(0);
    (0..2).for_each(|_| drop(place.run(&["run", "mini.yaml"]).code(0)));
    let whole = verified(&place, &[]).code(0);
    assert!(whole.err.contains("are allowed as in") && whole.err.contains("blackstart.yaml"), "{}", whole.err);
    for words in ["✓ VERIFIED: 3 runs", "whole and signed by those who may"] {
        assert!(whole.out.contains(words), "{words}: {}", whole.out);
    }
    let answer: Value = serde_json::from_str(&verified(&place, &["--output", "json"]).code(0).out).unwrap();
    let places: Vec<&str> = (0..3).filter_map(|n| answer["runs"][n]["good"]["chain of runs"].as_str()).collect();
    assert!(places.iter().any(|place| place.starts_with("run 3, after ")), "{places:?}");

    let runs = runs(&place);
    let aside = place.path().join("aside");
    std::fs::rename(&runs[1], &aside).unwrap();
    let gap = verified(&place, &[]).code(1);
    assert!(gap.out.contains("is missing: this is run 3"), "{}", gap.out);
    std::fs::rename(&aside, &runs[1]).unwrap();
    append(&runs[1].join("ops/extra"), b"x");
    let added = verified(&place, &["--no-recompute"]).code(1);
    assert!(added.out.contains("ops/extra: it was not there when the run was sealed"), "{}", added.out);
}

/// What is removed on purpose leaves a chain that holds, and a folder that is removed by hand does not.
#[test]
fn what_is_pruned_leaves_a_chain_that_verifies() {
    let place = place();
    let _victim = place.sleeper("pid");
    (0..4).for_each(|_| drop(place.run(&["run", "mini.yaml"]).code(0)));
    let all = runs(&place);
    assert!(place.run(&["prune", "reports", "--keep", "1"]).code(0).out.contains("3 runs removed"));
    let pruned = verified(&place, &[]).code(0);
    assert!(pruned.out.contains("removed on purpose"), "{}", pruned.out);
    std::fs::remove_dir_all(&all[2]).unwrap();
    let dropped = verified(&place, &[]).code(1);
    assert!(dropped.out.contains("3"), "{}", dropped.out);
}
