//! One drill several times: the order, the early end, the exit code, and what `stats` says of the runs afterwards.

use crate::drill;
use crate::support::{Ended, Place};
use serde_json::Value;
use std::path::PathBuf;

/// The folders of a drill's runs, oldest first.
fn runs(place: &Place, drill: &str) -> Vec<PathBuf> {
    let folder = place.path().join("out").join(drill);
    let mut runs: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

fn stats(place: &Place, arguments: &[&str]) -> (Ended, Value) {
    let ended = place.run(&[&["stats", "--output", "json"], arguments].concat());
    let value = serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    (ended, value)
}

#[test]
fn a_drill_run_twice_has_a_spread_and_a_damaged_run_is_named_and_not_believed() {
    let place = Place::new();
    place.file("small.yaml", &drill::text(18_700));
    let ended = place
        .run(&["run", "small.yaml", "--reports", "out", "--output", "plain", "--repeat", "2", "--pause", "50ms"])
        .code(0);
    for said in ["run 1 of 2: pass (0)", "run 2 of 2: pass (0)", "together: pass (0)", "27 more clean runs support"] {
        assert!(ended.out.contains(said), "no `{said}` in {}", ended.out);
    }
    let made = runs(&place, "small");
    assert_eq!(made.len(), 2);

    let (ended, value) = stats(&place, &["--drill", "small", "--reports", "out"]);
    ended.code(0);
    let rto = &value["groups"][0]["measures"][0];
    assert_eq!((rto["name"].as_str(), rto["counts"]["runs"].as_u64()), (Some("rto"), Some(2)));
    assert_eq!(rto["counts"]["met"], 2);
    assert_eq!(rto["counts"]["restored_by_system"], 2);
    assert_eq!(rto["bounds"][0]["target_more_runs"], 27);
    let (low, high) = (&rto["spread"]["least"]["low"], &rto["spread"]["most"]["high"]);
    assert!(low.as_f64().unwrap() > 0.0 && low.as_f64() <= high.as_f64(), "{rto}");

    // A report is never believed, and neither is a record that was tampered with.
    std::fs::write(made[0].join("report.json"), "{}").unwrap();
    let (ended, same) = stats(&place, &["out/small"]);
    ended.code(0);
    assert_eq!(same, value);
    let log = made[0].join("ops/orders.ops");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let text = place.run(&["stats", "out/small"]).code(2).out;
    assert!(text.contains("does not verify") && text.contains("count as runs that took for ever"), "{text}");
    let (_, value) = stats(&place, &[made[0].to_str().unwrap(), made[1].to_str().unwrap(), made[1].to_str().unwrap()]);
    let rto = &value["groups"][0]["measures"][0];
    assert_eq!((&rto["counts"]["runs"], &rto["counts"]["measured"]), (&2.into(), &1.into()));
    assert_eq!(value["given_twice"], 1);
    place.nothing_left(18_700);
}

#[test]
fn a_matrix_goes_round_and_each_combination_has_statistics_of_its_own() {
    let place = Place::new();
    let text = drill::with(18_710, "rate: 100/s", "rate: \"${params.rate}\"").replace(
        "environment: embedded\n",
        "environment: embedded\nparams: {rate: {default: 100/s}}\nmatrix: {rate: [50/s, 100/s]}\n",
    );
    // Too strict for any run: a series goes on after a failed one.
    place.file("small.yaml", &text.replace("rto: 10s", "rto: 20ms"));
    let ended = place.run(&["run", "small.yaml", "--reports", "out", "--output", "json"]).code(1);
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    let groups = last["together"]["statistics"]["groups"].as_array().unwrap();
    let rates: Vec<&str> = groups.iter().map(|group| group["params"]["rate"].as_str().unwrap()).collect();
    assert_eq!(rates, ["50/s", "100/s"]);
    assert!(groups.iter().all(|group| group["measures"][0]["counts"]["missed"] == 1), "{last}");
    assert_eq!(last["together"]["exit_code"], 1);
    place.nothing_left(18_710);
}

#[test]
fn a_run_that_is_stopped_ends_the_series() {
    let place = Place::new();
    let guard = "  - {max_duration: 2m}\n";
    let broken = "  - {max_duration: 2m}\n  - {name: never, every: 100ms, tolerate: 1, http: {url: \"http://127.0.0.1:1/\", expect: {status: 200}}}\n";
    place.file("small.yaml", &drill::with(18_720, guard, broken));
    let ended = place.run(&["run", "small.yaml", "--reports", "out", "--output", "plain", "--repeat", "3"]).code(4);
    assert!(ended.out.contains("run 1 of 3: aborted (4)") && ended.out.contains("2 were not begun"), "{}", ended.out);
    assert!(!ended.out.contains("run 2 of 3"), "{}", ended.out);
    assert_eq!(runs(&place, "small").len(), 1);
    place.nothing_left(18_720);
}

#[test]
fn what_cannot_be_meant_is_64() {
    let place = Place::new();
    place.file("small.yaml", &drill::text(18_730));
    let named = place.run(&["run", "small.yaml", "--repeat", "2", "--run-id", "mine"]).code(64);
    assert!(named.err.contains("these are 2"), "{}", named.err);
    place.run(&["run", "small.yaml", "--repeat", "0"]).code(64);
    place.run(&["stats"]).code(64);
    place.run(&["stats", "nowhere"]).code(64);
    place.run(&["stats", "--share", "100%", "."]).code(64);
}
