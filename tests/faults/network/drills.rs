//! The network drills, by the binary, in a network namespace that stands for the machine: nothing of this one is touched.

use super::lab::{Netns, sh, unique};
use crate::support::{Ran, blackstart, run_drill_as};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The same command in a namespace.
fn entering(namespace: &Path) -> impl FnOnce(Command) -> Command {
    let enter = format!("--net={}", namespace.display());
    move |command| {
        let mut entered = Command::new("nsenter");
        entered.arg(enter).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        entered.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
        entered.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        entered
    }
}

/// A machine of its own, and the name and the folder of a staging on it.
struct Machine {
    netns: Netns,
    name: String,
    dir: String,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let name = format!("b{}", unique());
        // The staging's user must be able to reach it.
        let dir = format!("/tmp/blackstart-{name}");
        Self { netns: Netns::at(folder.path().join("machine.net")), name, dir, _folder: folder }
    }

    fn run(&self, playbook: &str) -> Ran {
        let (name, dir) = (format!("name={}", self.name), format!("dir={}", self.dir));
        let ran = run_drill_as(playbook, &["--param", &name, "--param", &dir], entering(self.netns.path()));
        assert_eq!(ran.code, 0, "{}", ran.text);
        let left = sh("ip netns list");
        assert!(!left.contains(&self.name), "{left}");
        ran
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let down = concat!(env!("CARGO_MANIFEST_DIR"), "/drills/staging/netns/down.sh");
        let mut command = Command::new(down);
        command.args(["--dir", &self.dir]);
        drop(entering(self.netns.path())(command).status());
    }
}

/// How long clients could not work, and how the fault ended.
fn downtime(ran: &Ran, workload: &str) -> f64 {
    let fault = &ran.report["faults"][0];
    assert_eq!((&fault["effective"], &fault["healed"]), (&Value::Bool(true), &Value::Bool(true)), "{}", ran.text);
    ran.report["workloads"][workload]["downtime"]["longest"]["best"].as_f64().unwrap()
}

#[test]
fn a_store_is_cut_off_and_comes_back() {
    let ran = Machine::new().run("drills/faults/network-partition.yaml");
    let down = downtime(&ran, "page");
    assert!((3.0..10.0).contains(&down), "{down} s: {}", ran.text);
    let effect = ran.report["faults"][0]["effect"].as_str().unwrap();
    assert!(effect.contains("packets hit"), "{effect}");
}

#[test]
fn a_store_that_is_not_heard_is_down() {
    let ran = Machine::new().run("drills/faults/network-one-way.yaml");
    let down = downtime(&ran, "page");
    assert!((3.0..10.0).contains(&down), "{down} s: {}", ran.text);
}

#[test]
fn a_slow_line_makes_everything_late() {
    let ran = Machine::new().run("drills/faults/network-rate.yaml");
    let down = downtime(&ran, "downloads");
    assert!((3.0..20.0).contains(&down), "{down} s: {}", ran.text);
    let latency = &ran.report["workloads"]["downloads"]["latency"];
    let (usual, worst) = (latency["p50"].as_f64().unwrap(), latency["max"].as_f64().unwrap());
    // 50 kB through 250 kB/s take a fifth of a second alone, and they queue up.
    assert!(worst > 0.5 && worst > 10.0 * usual, "p50 {usual} s, at most {worst} s");
}

#[test]
fn a_leader_that_is_cut_off_is_replaced() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let machine = Netns::at(folder.path().join("machine.net"));
    let ran = run_drill_as("drills/faults/network-leader-cut-off.yaml", &[], entering(machine.path()));
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(downtime(&ran, "orders.probe") > 0.1);
    assert!(!machine.sh("nft list tables").contains("blackstart"));
}

#[test]
fn a_service_is_down_from_outside_and_up_in_its_rack() {
    let ran = Machine::new().run("drills/vantages.yaml");
    let down = downtime(&ran, "page@outside");
    assert!((3.0..10.0).contains(&down), "{down} s: {}", ran.text);
    let (outside, rack) = (&ran.report["workloads"]["page@outside"], &ran.report["workloads"]["page@rack"]);
    // A machine that is short of time may be slow for a moment; nobody was cut off here.
    assert!(rack["downtime"]["total"]["high"].as_f64().unwrap() < 1.5, "{}", ran.text);
    assert!(rack["operations"]["ok"].as_u64().unwrap() > 300, "{}", rack["operations"]);
    // The worst decides.
    let objective = &ran.report["objectives"][0];
    assert_eq!(objective["actual"], outside["recoveries"][0]["sustained"], "{objective}");
    let sustained = |seen: &Value, end: &str| seen["recoveries"][0]["sustained"][end].as_f64().unwrap();
    assert!(sustained(rack, "high") < sustained(outside, "low"), "{}", ran.text);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Ends with its value.
struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_guardian_heals_a_cut_network() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let machine = Netns::at(folder.path().join("machine.net"));
    let state = machine.path().parent().unwrap().to_path_buf();
    let mut command = blackstart(&state);
    command.args(["run", "drills/faults/network-leader-cut-off.yaml", "--output", "plain"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut runner = Runner(entering(machine.path())(command).spawn().unwrap());
    let cut = || machine.sh("nft list tables").contains("blackstart_bs-");
    until("the leader is cut off", cut);
    // nsenter has become the runner.
    runner.0.kill().unwrap();
    runner.0.wait().unwrap();
    until("the guardian has healed", || !cut());
    until("nothing is open", || {
        let mut status = blackstart(&state);
        status.arg("status").stdout(Stdio::null()).stderr(Stdio::null());
        entering(machine.path())(status).status().unwrap().success()
    });
}
