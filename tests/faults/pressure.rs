//! Pressure: busy cores, held memory, few open files; and a restart storm.

use crate::process::with_victim;
use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::{AdapterError, ProcessState, usage};
use blackstart::faults::{FaultError, PreparedFault};
use blackstart::model::PinnedTarget;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn machine() -> Place {
    let here = || PinnedTarget { name: "here".into(), kind: "host".into(), ..Default::default() };
    Place::new().with("here", move || Ok(here()))
}

#[tokio::test]
async fn busy_cores_are_quiet_again() {
    let place = machine();
    let cpu = fault(json!({"cpu_pressure": {"target": "here", "workers": 1, "load": "50%"}}));
    conforms(&place, &cpu).await;
    heals_what_was_never_injected(&place, &cpu).await;
}

#[tokio::test]
async fn held_memory_is_let_go() {
    let place = machine();
    let memory = fault(json!({"memory_pressure": {"target": "here", "size": "48MiB"}}));
    conforms(&place, &memory).await;
    heals_what_was_never_injected(&place, &memory).await;
}

#[tokio::test]
async fn the_kernel_takes_the_helper_that_holds_memory_before_anybody_else() {
    let place = machine();
    place.pin();
    let spec = fault(json!({"memory_pressure": {"target": "here", "size": "16MiB"}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let memory = PreparedFault { spec, undo };
    memory.inject(&place.cx()).await.unwrap();
    let helper = place.world.helpers.find(&place.owner()).unwrap().remove(0);
    let score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", helper.pid)).unwrap();
    assert_eq!(score.trim(), "1000");
    // Somebody else ends it: that is healed as well.
    place.world.processes.signal(&helper, "KILL").unwrap();
    place.until("healed", || async { memory.healed(&place.cx()).await.unwrap().holds }).await;
    memory.heal(&place.cx()).await.unwrap();
}

#[tokio::test]
async fn more_memory_than_there_is_to_spare_is_refused_before_anything_is_touched() {
    let place = machine();
    place.pin();
    let all = usage::memory().unwrap().available;
    for parameters in [
        json!({"target": "here", "size": format!("{all}B")}),
        json!({"target": "here", "size": "16MiB", "reserve": format!("{all}B")}),
    ] {
        let error = fault(json!({"memory_pressure": parameters})).prepare(&place.cx()).await.err().unwrap();
        assert!(matches!(&error, FaultError::World(AdapterError::Refused(m)) if m.contains("must stay")), "{error}");
    }
    for wrong in [json!({"target": "here"}), json!({"target": "here", "size": "1MiB", "share": "1%"})] {
        assert!(fault(json!({"memory_pressure": wrong})).prepare(&place.cx()).await.is_err());
    }
}

#[tokio::test]
async fn a_helper_ends_by_itself_when_nobody_ends_it() {
    let place = machine();
    place.pin();
    for (spec, kind) in [
        (json!({"cpu_pressure": {"target": "here", "workers": 1, "load": "10%", "limit": "300ms"}}), "cpu"),
        (json!({"memory_pressure": {"target": "here", "size": "1MiB", "limit": "300ms"}}), "memory"),
    ] {
        let spec = fault(spec);
        let undo = spec.prepare(&place.cx()).await.unwrap();
        let pressure = PreparedFault { spec, undo };
        pressure.inject(&place.cx()).await.unwrap();
        place.until(kind, || async { pressure.healed(&place.cx()).await.unwrap().holds }).await;
    }
}

fn few() -> Value {
    json!({"descriptor_pressure": {"target": "victim", "files": 64, "tree": true}})
}

fn soft(place: &Place, pid: i32) -> u64 {
    let who = place.world.processes.identify(pid).unwrap().unwrap();
    place.world.processes.file_limit(&who).unwrap().soft
}

#[tokio::test]
async fn a_limit_of_open_files_is_what_it_was() {
    let (place, victim) = with_victim();
    let pid = std::fs::read_to_string(place.path().join("pid")).unwrap().trim().parse().unwrap();
    let before = soft(&place, pid);
    conforms(&place, &fault(few())).await;
    assert_eq!(soft(&place, pid), before);
    heals_what_was_never_injected(&place, &fault(few())).await;
    heals_a_replaced_target(&place, &fault(few()), || {
        victim.kill();
        victim.start();
    })
    .await;
}

/// A parent that starts a child whenever it is sent USR1 and lives on; its pids stand in files.
fn parent_in(folder: &Path) -> Ended {
    let script = "trap 'sleep 600 & echo $! > born' USR1; echo $$ > pid; while :; do sleep 0.05; done";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    Ended(shell.spawn().expect("a shell"))
}

/// Ended, however the test ends.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_child_that_inherited_the_limit_gets_it_back() {
    let place = Place::new();
    let parent = parent_in(place.path());
    let (pidfile, world) = (place.path().join("pid"), place.world.clone());
    let place = place.with("victim", move || {
        let pid = std::fs::read_to_string(&pidfile).map_err(|e| e.to_string())?.trim().parse::<i32>();
        let process = world.processes.identify(pid.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let processes = vec![process.ok_or("gone")?];
        Ok(PinnedTarget { name: "victim".into(), kind: "process".into(), processes, ..Default::default() })
    });
    place
        .until("the parent", || async {
            std::fs::read_to_string(place.path().join("pid")).is_ok_and(|t| t.ends_with('\n'))
        })
        .await;
    place.pin();
    let who = place.world.processes.identify(i32::try_from(parent.0.id()).unwrap()).unwrap().unwrap();
    let before = soft(&place, who.pid);
    let spec = fault(few());
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let few = PreparedFault { spec, undo };
    few.inject(&place.cx()).await.unwrap();
    place.world.processes.signal(&who, "USR1").unwrap();
    let born = place.path().join("born");
    place.until("the child", || async { std::fs::read_to_string(&born).is_ok_and(|t| t.ends_with('\n')) }).await;
    let child: i32 = std::fs::read_to_string(&born).unwrap().trim().parse().unwrap();
    assert_eq!(soft(&place, child), 64);
    few.heal(&place.cx()).await.unwrap();
    let (look, limits) = (few.healed(&place.cx()).await.unwrap(), (soft(&place, who.pid), soft(&place, child)));
    let child = place.world.processes.identify(child).unwrap().unwrap();
    place.world.processes.signal(&child, "KILL").unwrap();
    assert!(look.holds && limits == (before, before), "{look:?} {limits:?}");
}

fn storm(back: Value) -> Value {
    json!({"process_storm": {"target": "victim", "times": 3, "stays": "100ms", "within": "10s", "back": back}})
}

#[tokio::test]
async fn after_a_storm_it_lives_and_stays() {
    let (place, victim) = with_victim();
    let storm = fault(storm(json!({"command": {"argv": ["./start.sh"]}})));
    conforms(&place, &storm).await;
    heals_what_was_never_injected(&place, &storm).await;
    heals_a_replaced_target(&place, &storm, || victim.start()).await;
}

#[tokio::test]
async fn a_storm_kills_as_often_as_it_says() {
    let (place, _victim) = with_victim();
    place.pin();
    let counted = json!({"command": {"argv": ["sh", "-c", "echo x >> backs; exec ./start.sh"]}});
    let spec = fault(storm(counted));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let storm = PreparedFault { spec, undo };
    storm.inject(&place.cx()).await.unwrap();
    let backs = || std::fs::read_to_string(place.path().join("backs")).unwrap().lines().count();
    assert_eq!(backs(), 2, "back between the three kills");
    assert!(!storm.healed(&place.cx()).await.unwrap().holds);
    storm.heal(&place.cx()).await.unwrap();
    assert_eq!(backs(), 3);
}

#[tokio::test]
async fn a_storm_whose_target_does_not_come_back_ends_and_says_so() {
    let (place, victim) = with_victim();
    place.pin();
    let mut parameters = storm(json!("supervised"));
    parameters["process_storm"]["within"] = json!("200ms");
    let spec = fault(parameters);
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let storm = PreparedFault { spec, undo };
    let error = storm.inject(&place.cx()).await.unwrap_err().to_string();
    assert!(error.contains("was not back"), "{error}");
    victim.start();
    place.until("healed", || async { storm.healed(&place.cx()).await.unwrap().holds }).await;
}

fn drill(playbook: &str, port: u16, faults: &[&str], more: &[&str]) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = format!("dir={}", folder.path().join("web").display());
    let port = format!("port={port}");
    let arguments: Vec<&str> = [&["--param", &dir, "--param", &port], more].concat();
    let ran = run_drill(playbook, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in faults {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
}

#[test]
fn the_pressure_drill_passes_and_leaves_nothing() {
    let gentle = ["--param", "load=30%", "--param", "memory=32MiB"];
    drill("drills/faults/host-pressure.yaml", 17821, &["cores", "memory"], &gentle);
}

#[test]
fn the_descriptor_drill_passes_and_leaves_nothing() {
    drill("drills/faults/descriptor-pressure.yaml", 17831, &["few"], &[]);
}

#[test]
fn the_storm_drill_passes_and_leaves_nothing() {
    drill("drills/faults/process-storm.yaml", 17841, &["storm"], &[]);
}

#[tokio::test]
async fn a_storm_is_broken_off_at_once_when_the_drill_shall_stop() {
    let (place, victim) = with_victim();
    place.pin();
    let mut parameters = storm(json!({"command": {"argv": ["./start.sh"]}}));
    parameters["process_storm"]["times"] = json!(1000);
    let spec = fault(parameters);
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let storm = PreparedFault { spec, undo };
    assert!(storm.breaks_off());
    let cut = tokio::time::timeout(Duration::from_millis(300), storm.inject(&place.cx())).await;
    assert!(cut.is_err(), "it goes on for much longer");
    storm.heal(&place.cx()).await.unwrap();
    place.until("healed", || async { storm.healed(&place.cx()).await.unwrap().holds }).await;
    let pid = std::fs::read_to_string(place.path().join("pid")).unwrap().trim().parse().unwrap();
    let who = place.world.processes.identify(pid).unwrap().unwrap();
    assert_eq!(place.world.processes.state(&who).unwrap(), ProcessState::Running);
    drop(victim);
}
