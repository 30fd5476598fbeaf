//! Signals, on a process with a start script.

use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::{ProcessState, World};
use blackstart::model::{PinnedTarget, ProcessIdentity};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A `sleep` with a pidfile and a script that starts it (again).
pub struct Victim {
    folder: PathBuf,
    world: World,
}

impl Victim {
    /// Started in this folder.
    pub fn start_in(folder: &Path) -> Self {
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\nsleep 600 >/dev/null 2>&1 & echo $! > pid\n";
        std::fs::write(folder.join("start.sh"), script).unwrap();
        std::fs::set_permissions(folder.join("start.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let victim = Self { folder: folder.to_path_buf(), world: World::system() };
        victim.start();
        victim
    }

    pub fn start(&self) {
        assert!(Command::new(self.folder.join("start.sh")).stdin(Stdio::null()).status().unwrap().success());
    }

    /// Kills whoever it is now, and waits until it is gone.
    pub fn kill(&self) {
        let Ok(found) = find(&self.folder, &self.world) else { return };
        let who = &found.processes[0];
        drop(self.world.processes.signal(who, "KILL"));
        for _ in 0..1000 {
            if self.world.processes.state(who).unwrap() == ProcessState::Gone {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("pid {} does not die", who.pid);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

fn now(folder: &Path, world: &World) -> Option<ProcessIdentity> {
    let pid = std::fs::read_to_string(folder.join("pid")).ok()?.trim().parse().ok()?;
    world.processes.identify(pid).ok()?
}

fn find(folder: &Path, world: &World) -> Result<PinnedTarget, String> {
    let process = now(folder, world).ok_or("no such process")?;
    Ok(PinnedTarget { name: "victim".into(), kind: "process".into(), processes: vec![process], ..Default::default() })
}

/// A place with a live victim.
pub fn with_victim() -> (Place, Victim) {
    let place = Place::new();
    let victim = Victim::start_in(place.path());
    let (folder, world) = (place.path().to_path_buf(), place.world.clone());
    (place.with("victim", move || find(&folder, &world)), victim)
}

#[tokio::test]
async fn a_paused_process_goes_on() {
    let (place, victim) = with_victim();
    let pause = fault(json!({"process_pause": {"target": "victim"}}));
    conforms(&place, &pause).await;
    heals_what_was_never_injected(&place, &pause).await;
    heals_a_replaced_target(&place, &pause, || {
        victim.kill();
        victim.start();
    })
    .await;
}

#[tokio::test]
async fn a_killed_process_comes_back() {
    let (place, victim) = with_victim();
    let kill = fault(json!({"process_kill": {"target": "victim", "back": {"command": {"argv": ["./start.sh"]}}}}));
    conforms(&place, &kill).await;
    heals_what_was_never_injected(&place, &kill).await;
    heals_a_replaced_target(&place, &kill, || victim.start()).await;
}

#[test]
fn the_freeze_drill_passes_and_leaves_nothing() {
    let ran = run_drill("drills/quickstart-freeze.yaml", &["--param", "port=17490"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.bit("primary_freezes") && ran.healed("primary_freezes"), "{}", ran.text);
    assert_eq!(ran.report["run"]["verdict"], "pass");
    let status = blackstart(ran.place.path()).arg("status").status().unwrap();
    assert_eq!(status.code(), Some(0));
}
