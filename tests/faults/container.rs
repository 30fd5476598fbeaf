//! Containers of a Docker engine of the test's own: its own folder, socket, network and mount namespace, and an image
//! made from busybox.

use crate::engine::Engine;
use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::containers::Status;
use blackstart::faults::{FaultError, PreparedFault, container};
use blackstart::model::{ComposeService, ContainerTarget, PinnedTarget, Template};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What only these tests ask of an engine.
trait Asked {
    fn run(&self, name: &str, more: &[&str]) -> String;
    fn place(&self, names: &[&str]) -> Place;
    async fn status(&self, place: &Place, name: &str) -> Option<Status>;
}

impl Asked for Engine {
    /// A container that sleeps; its id.
    fn run(&self, name: &str, more: &[&str]) -> String {
        let words = ["run", "-d", "--name", name, "--stop-signal", "KILL"];
        self.docker(&[&words, more, &["tiny", "/bin/sleep", "1000"]].concat())
    }

    /// A place with a target that is these containers.
    fn place(&self, names: &[&str]) -> Place {
        let (address, socket) = (self.address(), self.address());
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let find = move || {
            let words = ["-H", &socket, "inspect", "--format", "{{.Id}}"];
            let output = Command::new("docker").args(words).args(&names).output().unwrap();
            let ids = String::from_utf8_lossy(&output.stdout).trim().replace('\n', " ");
            let fields = BTreeMap::from([("engine".to_owned(), address.clone()), ("ids".to_owned(), ids)]);
            Ok(PinnedTarget { name: "web".into(), kind: "container".into(), fields, ..Default::default() })
        };
        Place::new().with("web", find)
    }

    async fn status(&self, place: &Place, name: &str) -> Option<Status> {
        place.world.containers.inspect(&self.address(), name).await.unwrap().map(|c| c.status)
    }
}

#[tokio::test]
async fn containers_come_back() {
    let engine = Engine::start();
    engine.run("web1", &["--network", "none"]);
    engine.run("web2", &["--network", "none"]);
    let place = engine.place(&["web1", "web2"]);
    for spec in [
        json!({"container_pause": {"target": "web"}}),
        json!({"container_kill": {"target": "web"}}),
        json!({"container_stop": {"target": "web", "grace": "1s"}}),
    ] {
        let spec = fault(spec);
        conforms(&place, &spec).await;
        heals_what_was_never_injected(&place, &spec).await;
        assert_eq!(engine.status(&place, "web1").await, Some(Status::Running));
        assert_eq!(engine.status(&place, "web2").await, Some(Status::Running));
    }
    // Half of it was done, or somebody else did it.
    engine.docker(&["pause", "web1"]);
    place.pin();
    let spec = fault(json!({"container_pause": {"target": "web"}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let pause = PreparedFault { spec, undo };
    assert_eq!(pause.touched().len(), 1, "one that is paused already is not ours");
    pause.inject(&place.cx()).await.unwrap();
    pause.heal(&place.cx()).await.unwrap();
    assert_eq!(engine.status(&place, "web1").await, Some(Status::Paused));
    engine.docker(&["pause", "web2"]);
    let nothing = pause.spec.prepare(&place.cx()).await.err().expect("nothing to break");
    assert!(matches!(&nothing, FaultError::NothingToBreak(m) if m.contains("web1 is paused")), "{nothing}");
}

#[tokio::test]
async fn a_container_that_was_replaced_or_started_meanwhile_is_healed() {
    let engine = Engine::start();
    let none = ["--network", "none"];
    engine.run("web1", &none);
    let place = engine.place(&["web1"]);
    let anew = || {
        engine.docker(&["rm", "-f", "web1"]);
        engine.run("web1", &none);
    };
    for kind in ["container_pause", "container_kill", "container_stop"] {
        let spec = fault(json!({kind: {"target": "web"}}));
        heals_a_replaced_target(&place, &spec, anew).await;
        // As `docker compose up` does it: the old one is renamed before it goes.
        heals_a_replaced_target(&place, &spec, || {
            engine.docker(&["rename", "web1", "old"]);
            engine.run("web1", &none);
        })
        .await;
        assert_eq!(engine.status(&place, "web1").await, Some(Status::Running));
        engine.docker(&["rm", "-f", "old"]);
        heals_a_replaced_target(&place, &spec, || drop(engine.docker(&["restart", "-t", "0", "web1"]))).await;
    }
    // Gone for good: it is said so, not called healed.
    place.pin();
    let spec = fault(json!({"container_kill": {"target": "web"}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let kill = PreparedFault { spec, undo };
    kill.inject(&place.cx()).await.unwrap();
    engine.docker(&["rm", "-f", "web1"]);
    let error = kill.heal(&place.cx()).await.unwrap_err().to_string();
    assert!(error.contains("nothing is in its place"), "{error}");
    assert!(!kill.healed(&place.cx()).await.unwrap().holds);
}

#[tokio::test]
async fn a_network_is_left_and_joined_again_as_before() {
    let engine = Engine::start();
    let create = ["network", "create", "--driver", "bridge", "--internal", "--subnet", "10.78.0.0/24", "front"];
    engine.docker(&create);
    let on_it = ["--network", "front", "--ip", "10.78.0.9", "--network-alias", "db", "--network-alias", "main"];
    engine.run("web1", &on_it);
    engine.run("web2", &["--network", "front"]);
    let place = engine.place(&["web1", "web2"]);
    let spec = fault(json!({"container_disconnect": {"target": "web", "network": "front"}}));
    conforms(&place, &spec).await;
    heals_what_was_never_injected(&place, &spec).await;
    let web1 = place.world.containers.inspect(&engine.address(), "web1").await.unwrap().unwrap();
    assert_eq!((web1.networks[0].address.as_str(), web1.networks[0].aliases.len()), ("10.78.0.9", 2));
    let web2 = place.world.containers.inspect(&engine.address(), "web2").await.unwrap().unwrap();
    assert_eq!(web2.networks[0].wanted, None, "an address that was the engine's choice stays its choice");
    heals_a_replaced_target(&place, &spec, || {
        engine.docker(&["rm", "-f", "web1"]);
        engine.run("web1", &["--network", "front", "--network-alias", "db"]);
    })
    .await;
    // The network was made anew under the same name, and the container is not on it.
    let alone = engine.place(&["web2"]);
    heals_a_replaced_target(&alone, &spec, || {
        engine.docker(&["rm", "-f", "web1"]);
        engine.docker(&["network", "rm", "front"]);
        engine.docker(&create);
    })
    .await;
    engine.run("lonely", &["--network", "none"]);
    let lonely = engine.place(&["lonely"]);
    lonely.pin();
    let refused = spec.prepare(&lonely.cx()).await.err().expect("it has no network");
    assert!(refused.to_string().contains("no network of its own"), "{refused}");
}

#[tokio::test]
async fn targets_are_found_by_name_labels_and_compose_service_and_restarts_are_seen() {
    let engine = Engine::start();
    let compose = |number: &str| {
        let labels = ["project=shop", "service=web", &format!("container-number={number}")];
        labels.iter().flat_map(|l| ["--label".to_owned(), format!("com.docker.compose.{l}")]).collect::<Vec<_>>()
    };
    for (name, number, allowed) in [("shop-web-1", "1", "allowed"), ("shop-web-2", "2", "no")] {
        let (labels, label) = (compose(number), format!("blackstart={allowed}"));
        let mut more: Vec<&str> = vec!["--network", "none", "--label", &label];
        more.extend(labels.iter().map(String::as_str));
        engine.run(name, &more);
    }
    let place = engine.place(&["shop-web-1"]);
    let template = |text: &str| Template::parse(text).unwrap();
    let on = |target: ContainerTarget| ContainerTarget { engine: Some(template(&engine.address())), ..target };
    let by_name = on(ContainerTarget { name: Some(template("shop-web-1")), ..Default::default() });
    let found = container::find(&by_name, &place.cx()).await.unwrap();
    assert_eq!((found["name"].as_str(), found["label.blackstart"].as_str()), ("shop-web-1", "allowed"));
    let service = ComposeService { project: template("shop"), service: template("web") };
    let by_service = on(ContainerTarget { compose: Some(service), ..Default::default() });
    let found = container::find(&by_service, &place.cx()).await.unwrap();
    assert_eq!(found["names"], "shop-web-1 shop-web-2");
    assert!(!found.contains_key("label.blackstart"), "one of them does not allow it");
    let labels = BTreeMap::from([("blackstart".to_owned(), template("no"))]);
    let found = container::find(&on(ContainerTarget { labels, ..Default::default() }), &place.cx()).await.unwrap();
    assert_eq!(found["names"], "shop-web-2");
    let unknown = on(ContainerTarget { name: Some(template("nobody")), ..Default::default() });
    assert!(container::find(&unknown, &place.cx()).await.unwrap_err().contains("nobody"));

    place.pin();
    let spec = fault(json!({"container_restart": {"target": "web", "grace": "1s"}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let restart = PreparedFault { spec, undo };
    assert!(!restart.effective(&place.cx()).await.unwrap().holds);
    restart.inject(&place.cx()).await.unwrap();
    let look = restart.effective(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    restart.inject(&place.cx()).await.unwrap();
    assert_eq!(restart.effective(&place.cx()).await.unwrap(), look, "once is enough");
    restart.heal(&place.cx()).await.unwrap();
    assert!(restart.healed(&place.cx()).await.unwrap().holds);

    // A part of a Compose service that came up under another name is known by its number.
    let kill = fault(json!({"container_kill": {"target": "web"}}));
    heals_a_replaced_target(&place, &kill, || {
        engine.docker(&["rm", "-f", "shop-web-1"]);
        let labels = compose("1");
        let more: Vec<&str> = labels.iter().map(String::as_str).collect();
        engine.run("shop_web_1_renamed", &[&["--network", "none"], &more[..]].concat());
    })
    .await;
    engine.run("passing", &["--network", "none", "--rm"]);
    let passing = engine.place(&["passing"]);
    passing.pin();
    let refused = kill.prepare(&passing.cx()).await.err().expect("it could not come back");
    assert!(refused.to_string().contains("--rm"), "{refused}");
}

#[test]
fn the_drill_breaks_a_container_in_five_ways() {
    let staging: PathBuf = tempfile::Builder::new().prefix("bs-drill.").tempdir_in("/var/tmp").unwrap().keep();
    let dir = format!("dir={}/staging", staging.display());
    let ran = run_drill("drills/faults/container.yaml", &["--param", &dir, "--param", "port=15801"]);
    let left = Path::new(&staging).join("staging").exists();
    drop(std::fs::remove_dir_all(&staging));
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["frozen", "cut_off", "killed", "restarted", "stopped"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    assert!(!left, "the staging is down");
    let status = blackstart(ran.place.path()).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
}
