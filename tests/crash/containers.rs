//! The sweep through faults on containers, on an engine of the test's own.

use crate::engine::Engine;
use crate::families::Family;
use crate::place::{Place, run_id};
use crate::sweep::sweep;
use std::sync::{Mutex, OnceLock, PoisonError};

static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);
static ADDRESS: OnceLock<String> = OnceLock::new();

/// The engine is gone with this, also when a sweep fails.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        drop(ENGINE.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn docker(words: &[&str]) -> String {
    let address = ADDRESS.get().unwrap();
    let output = std::process::Command::new("docker").args(["-H", address]).args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A container that is named as the run, and the drill on it.
fn container(place: &Place) {
    place.victim();
    let name = run_id(place.folder());
    let words = ["run", "-d", "--name", &name, "--network", "front", "--network-alias", "db", "--stop-signal", "KILL"];
    let labelled = ["--label", "blackstart=allowed", "tiny", "/bin/sleep", "1000"];
    assert!(!docker(&[&words[..], &labelled[..]].concat()).is_empty());
    let drill = place.read("drill.yaml").replace("NAME", &name).replace("ENGINE", ADDRESS.get().unwrap());
    place.write("drill.yaml", &drill);
}

fn broken(place: &Place) -> Option<String> {
    let shown =
        "{{.State.Status}} {{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{index $n.Aliases 0}}{{end}}";
    let seen = docker(&["inspect", "--format", shown, &run_id(place.folder())]);
    (seen != "running front db").then_some(seen)
}

fn remove(place: &Place) {
    docker(&["rm", "-f", &run_id(place.folder())]);
}

/// One engine for all: the kinds one after the other.
#[test]
fn containers() {
    let engine = Engine::start();
    engine.docker(&["network", "create", "--driver", "bridge", "--internal", "--subnet", "10.79.0.0/16", "front"]);
    ADDRESS.set(engine.address()).unwrap();
    *ENGINE.lock().unwrap() = Some(engine);
    let _gone_at_the_end = Held;
    for (name, fault) in [
        ("container_pause", "container_pause: {target: web}"),
        ("container_kill", "container_kill: {target: web}"),
        ("container_disconnect", "container_disconnect: {target: web}"),
    ] {
        let outage = format!(
            "  web: {{container: {{name: NAME, engine: \"ENGINE\"}}}}\nOUTAGE:\n  - {{id: fault, inject: {{{fault}}}, \
             deadline: 5m}}\n"
        );
        let outage = Box::leak(outage.into_boxed_str());
        sweep(&Family { name, outage, before: container, leftover: broken, after: remove });
    }
}
