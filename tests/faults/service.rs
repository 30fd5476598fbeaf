//! Services: stopped and started by a pidfile for real, by systemd through a `systemctl` that plays it.

use crate::process::{Victim, with_victim};
use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::{AdapterError, Command, CommandOutput, Commands, Fut, ProcessState};
use blackstart::faults::{FaultError, PreparedFault};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn stop() -> Value {
    json!({"service_stop": {"target": "victim"}})
}

fn with_service(target: Value) -> (Place, Victim) {
    let (place, victim) = with_victim();
    (place.described("victim", json!({"service": target})), victim)
}

fn pidfile() -> Value {
    json!({"pidfile": "pid", "start": {"command": {"argv": ["./start.sh"]}}, "patience": "300ms"})
}

#[tokio::test]
async fn a_stopped_service_is_started_again() {
    let (place, victim) = with_service(pidfile());
    let stop = fault(stop());
    conforms(&place, &stop).await;
    heals_what_was_never_injected(&place, &stop).await;
    heals_a_replaced_target(&place, &stop, || victim.start()).await;
}

#[tokio::test]
async fn a_service_may_have_a_stop_of_its_own_and_one_that_does_not_end_is_killed() {
    let mut own = pidfile();
    own["stop"] = json!({"command": {"argv": ["sh", "-c", "echo asked > asked"]}});
    let (place, _victim) = with_service(own);
    conforms(&place, &fault(stop())).await;
    assert!(place.path().join("asked").exists());
}

#[tokio::test]
async fn a_service_that_something_else_starts_again_was_not_stopped() {
    let (place, victim) = with_service(pidfile());
    place.pin();
    let spec = fault(stop());
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec, undo };
    fault.inject(&place.cx()).await.unwrap();
    victim.start();
    let look = fault.effective(&place.cx()).await.unwrap();
    assert!(!look.holds && look.detail.contains("something else has started it again"), "{look:?}");
    fault.heal(&place.cx()).await.unwrap();
    assert!(fault.healed(&place.cx()).await.unwrap().holds);
}

#[tokio::test]
async fn the_runner_died_after_it_asked_the_service_to_end() {
    let (place, victim) = with_service(pidfile());
    place.pin();
    let spec = fault(stop());
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec, undo };
    let who = place.cx().scope.target(&blackstart::model::TargetRef::Pinned("victim".into())).await.unwrap();
    place.world.processes.signal(&who.processes[0], "TERM").unwrap();
    fault.heal(&place.cx()).await.unwrap();
    place.until("healed", || async { fault.healed(&place.cx()).await.unwrap().holds }).await;
    assert_eq!(place.world.processes.state(&who.processes[0]).unwrap(), ProcessState::Gone);
    drop(victim);
}

/// systemd with one unit, whose main process is this test's victim.
struct Systemd {
    state: Mutex<(&'static str, i32)>,
    asked: Mutex<Vec<String>>,
}

impl Commands for Systemd {
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        let said = |status, stdout: String, stderr: &str| {
            Ok(CommandOutput { status: Some(status), stdout, stderr: stderr.to_owned() })
        };
        self.asked.lock().unwrap().push(command.argv.join(" "));
        let mut state = self.state.lock().unwrap();
        let verb = command.argv.iter().find(|w| ["show", "stop", "start"].contains(&w.as_str()));
        let answer = match (verb.map(String::as_str), command.argv.last().map(String::as_str)) {
            (Some("show"), Some("web.service")) => {
                let sub = if state.0 == "active" { "running" } else { "dead" };
                let (active, pid) = (state.0, if state.0 == "active" { state.1 } else { 0 });
                said(0, format!("LoadState=loaded\nActiveState={active}\nSubState={sub}\nMainPID={pid}\n"), "")
            }
            (Some("show"), _) => said(0, "LoadState=not-found\nActiveState=inactive\nMainPID=0\n".to_owned(), ""),
            (Some("stop"), _) => {
                state.0 = "inactive";
                said(0, String::new(), "")
            }
            (Some("start"), _) => {
                state.0 = "active";
                said(0, String::new(), "")
            }
            _ => said(1, String::new(), "System has not been booted with systemd as init system (PID 1)."),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn with_systemd(unit: Value) -> (Place, Victim, Arc<Systemd>) {
    let (mut place, victim) = with_service(unit);
    let pid = std::fs::read_to_string(place.path().join("pid")).unwrap().trim().parse().unwrap();
    let systemd = Arc::new(Systemd { state: Mutex::new(("active", pid)), asked: Mutex::default() });
    place.world.commands = systemd.clone();
    (place, victim, systemd)
}

#[tokio::test]
async fn a_unit_is_stopped_and_started_by_systemctl() {
    let (place, _victim, systemd) = with_systemd(json!({"systemd": "web.service"}));
    conforms(&place, &fault(stop())).await;
    heals_what_was_never_injected(&place, &fault(stop())).await;
    let asked = systemd.asked.lock().unwrap().clone();
    for line in [
        "systemctl show --no-pager --property=LoadState,ActiveState,SubState,MainPID -- web.service",
        "systemctl stop --no-ask-password -- web.service",
        "systemctl start --no-ask-password -- web.service",
    ] {
        assert!(asked.iter().any(|a| a == line), "{line}: {asked:?}");
    }
    assert_eq!(asked.iter().filter(|a| a.contains(" start ")).count(), 1, "started once: {asked:?}");
}

#[tokio::test]
async fn a_user_unit_asks_the_users_systemd_and_a_missing_one_is_named() {
    let (place, _victim, systemd) = with_systemd(json!({"systemd": "no.service", "manager": "user"}));
    place.pin();
    let error = fault(stop()).prepare(&place.cx()).await.err().unwrap();
    assert!(matches!(&error, FaultError::World(AdapterError::Missing(m)) if m.contains("no.service")), "{error}");
    assert!(systemd.asked.lock().unwrap()[0].starts_with("systemctl --user show"));
}

#[tokio::test]
async fn where_there_is_no_systemd_it_says_so() {
    let (place, _victim) = with_service(json!({"systemd": "web.service"}));
    place.pin();
    let error = fault(stop()).prepare(&place.cx()).await.err().unwrap().to_string();
    assert!(error.contains("systemd"), "{error}");
}

#[test]
fn the_service_drill_passes_and_leaves_nothing() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = format!("dir={}", folder.path().join("web").display());
    let ran = run_drill("drills/faults/service-stop.yaml", &["--param", &dir, "--param", "port=17811"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.bit("stopped") && ran.healed("stopped"), "{}", ran.text);
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
}
