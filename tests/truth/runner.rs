//! A runner that is stopped or starved in the middle of a drill: it notices, what that touched is neither up nor down,
//! and the truth still lies inside of everything it says.

use super::known::{Known, run_beside};
use super::support::{signal, until};
use blackstart::rig::{Drill, Script, known};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

pub fn drill(script: &str) -> Drill {
    let script: Script = script.parse().unwrap();
    let mut drill = known().swap_remove(0);
    (drill.name, drill.script, drill.stable) = ("disturbed".to_owned(), script, 2_000 * MS);
    drill
}

/// Stops the runner `after` the outage has begun, for so long.
fn stop(pid: u32, rig: &Path, after: Duration, lasting: Duration) {
    until("the outage begins", || rig.join("begun").exists().then_some(()));
    std::thread::sleep(after);
    signal(pid.cast_signed(), Signal::SIGSTOP);
    std::thread::sleep(lasting);
    signal(pid.cast_signed(), Signal::SIGCONT);
}

/// How long the report says that the runner could not see, for these reasons, in seconds; what two say counts twice.
pub fn unseen(report: &Value, causes: &[&str]) -> f64 {
    let stalls = report["stalls"].as_array().unwrap().iter();
    let fits = stalls.filter(|stall| causes.iter().any(|cause| stall["cause"] == *cause));
    fits.map(|stall| stall["to"].as_f64().unwrap() - stall["from"].as_f64().unwrap()).sum()
}

pub fn right(known: &Known) {
    let wrong = known.judged(&known.record, &known.report).complaints();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", known.report["stalls"]);
}

#[test]
fn a_runner_that_is_stopped_inside_an_outage_knows_it() {
    let known = run_beside(drill("refuse:1800ms"), |pid, rig| stop(pid, rig, 300 * MS, 700 * MS));
    right(&known);
    let unseen = unseen(&known.report, &["paused"]);
    assert!((0.6..1.5).contains(&unseen), "{unseen}: {}", known.report["stalls"]);
}

#[test]
fn a_return_that_nobody_saw_is_not_made_up() {
    let known = run_beside(drill("refuse:800ms"), |pid, rig| stop(pid, rig, 400 * MS, 900 * MS));
    right(&known);
    assert!(unseen(&known.report, &["paused"]) > 0.8, "{}", known.report["stalls"]);
    let bar = &known.report["workloads"]["page"]["recoveries"][0]["first_restored"];
    let width = bar["high"].as_f64().unwrap() - bar["low"].as_f64().unwrap();
    assert!(width > 0.7, "as wide as what it did not see: {bar}");
}

#[test]
fn a_runner_that_is_stopped_while_all_is_well_reports_no_outage() {
    let known = run_beside(drill("refuse:300ms"), |pid, rig| stop(pid, rig, 1_000 * MS, 600 * MS));
    right(&known);
    for name in ["slowly", "page", "kept"] {
        let outages = &known.report["workloads"][name]["downtime"]["outages"];
        assert_eq!(*outages, 1, "{name}: {}", known.report["workloads"][name]["downtime"]);
    }
    assert!(unseen(&known.report, &["paused"]) > 0.5, "{}", known.report["stalls"]);
}

/// Loops that leave nearly nothing of one processor to a runner that is bound to it; gone with this.
struct Hogs(Vec<Child>);

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            drop(hog.kill());
            drop(hog.wait());
        }
    }
}

fn starve(pid: u32, rig: &Path) {
    until("the outage begins", || rig.join("begun").exists().then_some(()));
    std::thread::sleep(200 * MS);
    let pid = pid.to_string();
    let done = |argv: &[&str]| Command::new(argv[0]).args(&argv[1..]).output().unwrap().status.success();
    assert!(done(&["taskset", "--all-tasks", "--pid", "--cpu-list", "0", &pid]));
    let lazy = |entry: std::fs::DirEntry| done(&["renice", "-n", "19", "-p", &entry.file_name().to_string_lossy()]);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    assert!(threads.map(lazy).filter(|done| *done).count() > 1);
    let hog = |_| Command::new("taskset").args(["--cpu-list", "0", "sh", "-c", "while :; do :; done"]).spawn().unwrap();
    let hogs = Hogs((0..6).map(hog).collect());
    std::thread::sleep(900 * MS);
    drop(hogs);
}

#[test]
fn a_runner_that_gets_no_processor_knows_it_and_stays_right() {
    let known = run_beside(drill("refuse:700ms"), starve);
    right(&known);
    let unseen = unseen(&known.report, &["starved", "schedule"]);
    assert!(unseen > 0.1, "{unseen}: {}", known.report["stalls"]);
}
