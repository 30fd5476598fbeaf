//! The drills of `drills/kubernetes/`, as they are written, against a real control plane with a real HTTP service behind it:
//! what they find, and what is left when their runner and its guardian are killed in the middle.

use crate::again::once_more;
use crate::control_plane::{ControlPlane, administrators};
use crate::node::{Nodes, Place};
use crate::router::{Front, Router};
use blackstart::adapters::{ProcessState, World};
use blackstart::event::What;
use blackstart::journal;
use blackstart::model::ProcessIdentity;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Something that must happen does so within this, on a machine that has ten times as much to do as it can.
const LONG: Duration = Duration::from_secs(180);
const AGAIN: Duration = Duration::from_millis(50);
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// What a team would write for its staging clusters; a dead run's Lease is over soon.
const CONFIG: &str = "environments:\n  staging: {lease: 3s, kubernetes: [{context: \"*\", reach: nodes}]}\n";

/// Clusters with nodes, and a folder for what the drills write.
struct Stage {
    planes: Vec<(ControlPlane, Nodes)>,
    dir: TempDir,
}

/// A drill, and the parameters that only its place knows.
struct Drill<'a> {
    name: &'a str,
    namespace: String,
    params: Vec<String>,
    /// What leads its clients to the pods.
    _ways: Vec<Router>,
    _front: Option<Front>,
}

impl Stage {
    fn new(regions: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-drills-").tempdir_in("/var/tmp").unwrap();
        let planes: Vec<(ControlPlane, Nodes)> = regions
            .iter()
            .map(|region| {
                let plane = ControlPlane::start();
                let nodes = Nodes::start(&plane, &Place::over(region, &ZONES, 6));
                (plane, nodes)
            })
            .collect();
        let contexts: Vec<_> = regions.iter().zip(&planes).map(|(region, (plane, _))| (*region, plane)).collect();
        let kubeconfig = administrators(&contexts);
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        std::fs::write(dir.path().join("blackstart.yaml"), CONFIG).unwrap();
        Self { planes, dir }
    }

    /// A drill in a namespace of its own, its clients led to the first cluster.
    fn drill<'a>(&self, name: &'a str, namespace: &str, params: &[(&str, &str)]) -> Drill<'a> {
        let namespace = namespace.to_owned();
        let router = Router::of(&self.planes[0].0, &namespace, "shop", None);
        let url = router.url();
        let mut all: Vec<String> = params.iter().map(|(key, value)| format!("{key}={value}")).collect();
        all.push(format!("namespace={namespace}"));
        all.push(format!("url={url}/"));
        Drill { name, namespace, params: all, _ways: vec![router], _front: None }
    }

    /// The playbook as it is, with shorter waits: drills wait more than they do.
    fn playbook(&self, drill: &Drill<'_>) -> PathBuf {
        let drills = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills");
        let text = std::fs::read_to_string(drills.join("kubernetes").join(format!("{}.yaml", drill.name))).unwrap();
        let staging = drills.join("staging").display().to_string();
        let text = text.replace("../staging", &staging).replace("baseline: 5s", "baseline: 2s");
        let path = self.dir.path().join(format!("{}.yaml", drill.namespace));
        std::fs::write(&path, text.replace("stable: 5s", "stable: 3s")).unwrap();
        path
    }

    fn blackstart(&self, state: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("KUBECONFIG", self.dir.path().join("kubeconfig"));
        command.env("BLACKSTART_STATE_DIR", self.dir.path().join("state").join(state));
        command
    }

    fn run(&self, drill: &Drill<'_>) -> Command {
        let mut command = self.blackstart(&drill.namespace);
        command.arg("run").arg(self.playbook(drill)).arg("--reports").arg(self.reports(drill));
        command.args(drill.params.iter().flat_map(|param| ["--param", param]));
        command
    }

    fn reports(&self, drill: &Drill<'_>) -> PathBuf {
        self.dir.path().join("reports").join(&drill.namespace)
    }

    /// Runs it to its end, once more if it could not be decided, and returns its report.
    fn passes(&self, drill: &Drill<'_>) -> Value {
        let mut output = self.run(drill).output().unwrap();
        if once_more(drill.name, output.status.code(), &said(&output)) {
            std::fs::remove_dir_all(self.reports(drill)).unwrap();
            output = self.run(drill).output().unwrap();
        }
        assert_eq!(output.status.code(), Some(0), "{}: {}", drill.name, said(&output));
        let report = self.only_run(drill).join("report.json");
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        for objective in report["objectives"].as_array().unwrap() {
            println!("{}: {} {}", drill.name, objective["name"], objective["actual"]);
        }
        report
    }

    fn only_run(&self, drill: &Drill<'_>) -> PathBuf {
        let runs = |dir: &Path| {
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir())
        };
        let all: Vec<PathBuf> = runs(&self.reports(drill)).flat_map(|d| runs(&d).collect::<Vec<_>>()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    }

    /// Whatever carries a label of ours, and whatever else a drill changes on nodes, in every cluster.
    fn left(&self) -> Vec<String> {
        let kinds = "pods,jobs,configmaps,secrets,services,networkpolicies,deployments,statefulsets,daemonsets,replicasets,leases,nodes,namespaces";
        let mut all = Vec::new();
        for (plane, _) in &self.planes {
            for label in ["blackstart.dev/owner", "blackstart.dev/record"] {
                let found =
                    plane.kubectl(&["get", kinds, "--all-namespaces", "--ignore-not-found", "-l", label, "-o", "name"]);
                all.extend(found.lines().map(|line| format!("{label}: {line}")));
            }
            let closed = plane.kubectl(&[
                "get",
                "nodes",
                "-o",
                "jsonpath={range .items[?(@.spec.unschedulable)]}{.metadata.name}{\"\\n\"}{end}",
            ]);
            all.extend(closed.lines().map(|line| format!("cordoned: {line}")));
            let taints =
                plane.kubectl(&["get", "nodes", "-o", "jsonpath={range .items[*]}{.spec.taints}{\"\\n\"}{end}"]);
            all.extend(taints.lines().filter(|l| !l.trim().is_empty()).map(|line| format!("tainted: {line}")));
        }
        all
    }

    /// Runs it until its last fault bites, and kills the runner and its guardian.
    fn killed(&self, drill: &Drill<'_>, faults: usize) {
        let mut child = self.run(drill).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let bitten =
            |what: &[What]| what.iter().filter(|w| matches!(w, What::FaultEffect { effective: true, .. })).count();
        let events = self.until(drill, &mut child, |events| bitten(events) >= faults);
        child.kill().unwrap();
        let guardian = events.iter().find_map(|what| match what {
            What::Guarded { guardian, .. } => guardian.clone(),
            _ => None,
        });
        kill(&guardian.expect("a guardian"));
        child.wait().unwrap();
        // Clients and other helpers go with them; nothing of the staging does.
    }

    fn until(&self, drill: &Drill<'_>, child: &mut Child, holds: impl Fn(&[What]) -> bool) -> Vec<What> {
        let end = Instant::now() + LONG;
        loop {
            let events = self.events(drill);
            if holds(&events) {
                return events;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{} ended ({status}) before it broke anything: {events:#?}", drill.name);
            }
            assert!(Instant::now() < end, "{}: never: {events:#?}", drill.name);
            std::thread::park_timeout(AGAIN);
        }
    }

    fn events(&self, drill: &Drill<'_>) -> Vec<What> {
        let dirs = |dir: &Path| {
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir())
        };
        let runs: Vec<PathBuf> = dirs(&self.reports(drill)).flat_map(|d| dirs(&d).collect::<Vec<_>>()).collect();
        let stored = runs.first().and_then(|run| journal::read_events(run).ok());
        stored.map(|stored| stored.events.into_iter().map(|event| event.what).collect()).unwrap_or_default()
    }

    /// The shop of a drill is as it was made, in every cluster that has it.
    fn whole(&self, drill: &Drill<'_>, contexts: &[&str]) {
        for context in contexts {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/staging/kubernetes/is-whole.sh");
            let end = Instant::now() + LONG;
            loop {
                let mut command = Command::new(&script);
                command.args(["--namespace", &drill.namespace, "--context", context]);
                let output = command.env("KUBECONFIG", self.dir.path().join("kubeconfig")).output().unwrap();
                if output.status.success() {
                    break;
                }
                assert!(Instant::now() < end, "{}: {}", drill.name, said(&output));
                std::thread::park_timeout(AGAIN * 4);
            }
        }
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn kill(who: &ProcessIdentity) {
    let world = World::system();
    drop(world.processes.signal(who, "KILL"));
    let end = Instant::now() + LONG;
    while world.processes.state(who).unwrap() != ProcessState::Gone {
        assert!(Instant::now() < end, "pid {} does not go", who.pid);
        std::thread::park_timeout(AGAIN);
    }
}

/// The measured objective: seconds, lower and upper bound.
fn seconds(report: &Value, name: &str) -> (f64, f64) {
    let all = report["objectives"].as_array().unwrap();
    let found = all.iter().find(|o| o["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"));
    (found["actual"]["low"].as_f64().unwrap(), found["actual"]["high"].as_f64().unwrap())
}

/// A drill of one cluster, by name, with what its outage's objective may at most say, in seconds.
fn runs(stage: &Stage, name: &str, params: &[(&str, &str)], check: impl Fn(&Value)) {
    let drill = stage.drill(name, name, params);
    let report = stage.passes(&drill);
    assert_eq!(report["run"]["verdict"], "pass");
    check(&report);
    assert_eq!(stage.left(), Vec::<String>::new(), "{name}");
}

/// Somebody could not work, and not for longer than the drill says is expected.
fn outage(report: &Value, most: f64) {
    let (low, high) = seconds(report, "rto");
    assert!(low > 0.0 && high < most, "an RTO of {low} to {high} s");
}

#[test]
fn workloads_are_drilled() {
    let stage = Stage::new(&["main"]);
    runs(&stage, "pod-loss", &[], |_| {});
    runs(&stage, "bad-rollout", &[], |report| {
        let (_, high) = seconds(report, "detect");
        assert!(high > 0.0 && high < 60.0, "detected within {high} s");
    });
    // Until the settings are back and pods have started, nobody is served.
    runs(&stage, "config-corruption", &[], |report| outage(report, 90.0));
    let repository = stage.dir.path().join("shop").display().to_string();
    runs(&stage, "restore-from-git", &[("repository", &repository)], |report| outage(report, 90.0));
}

#[test]
fn nodes_and_zones_are_drilled() {
    let stage = Stage::new(&["main"]);
    runs(&stage, "node-drain", &[("node", "main-node-0")], |_| {});
    runs(&stage, "zone-outage", &[("zone", "zone-b")], |_| {});
}

impl Stage {
    /// The drill of two clusters: its clients are led to the first, and to the second when that one is ill.
    fn regions<'a>(&self, name: &'a str, namespace: &str) -> Drill<'a> {
        let namespace = namespace.to_owned();
        let ways: Vec<Router> =
            self.planes.iter().map(|(plane, _)| Router::of(plane, &namespace, "shop", None)).collect();
        let sites: Vec<u16> = ways.iter().map(|way| way.port).collect();
        let front = Front::over(&sites, "/health");
        let url = front.url();
        let params = vec![
            format!("namespace={namespace}"),
            format!("url={url}/"),
            "first=fra".to_owned(),
            "second=ams".to_owned(),
        ];
        Drill { name, namespace, params, _ways: ways, _front: Some(front) }
    }
}

#[test]
fn the_loss_of_a_region_is_drilled() {
    let stage = Stage::new(&["fra", "ams"]);
    let drill = stage.regions("region-failover", "regions");
    let report = stage.passes(&drill);
    assert_eq!(report["run"]["verdict"], "pass");
    // The front looks twice before it believes that a site is ill.
    outage(&report, 15.0);
    for (memory, way) in [(Memory::Kept, "kept"), (Memory::Lost, "lost")] {
        let drill = stage.regions("region-failover", way);
        stage.survives(&drill, 1, &["fra", "ams"], memory);
    }
    assert_eq!(stage.left(), Vec::<String>::new());
}

/// What is left of the runner's own memory when somebody has to heal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// The journal and the state directory.
    Kept,
    /// Nothing: the cluster alone knows.
    Lost,
}

impl Stage {
    /// Kills the drill in the middle of its fault, and heals as much as is known.
    fn survives(&self, drill: &Drill<'_>, faults: usize, contexts: &[&str], memory: Memory) {
        self.killed(drill, faults);
        let state = self.dir.path().join("state").join(&drill.namespace);
        if memory == Memory::Kept {
            self.succeeds(drill, &["recover"]);
            self.succeeds(drill, &["status"]);
            return;
        }
        std::fs::remove_dir_all(state).unwrap();
        std::fs::remove_dir_all(self.reports(drill)).unwrap();
        // What heals faults on nodes stands in the context's own namespace.
        let on_nodes = drill.params.iter().any(|param| param.starts_with("node=") || param.starts_with("zone="));
        let home = if on_nodes { "default" } else { &drill.namespace };
        for context in contexts {
            let there = ["--from-cluster", "--context", context, "--namespace", home];
            self.succeeds(drill, &[&["recover", "--wait"], &there[..]].concat());
            self.succeeds(drill, &[&["status"], &there[..]].concat());
        }
        // Nobody knew of the staging any more: it is there, and as it was.
        self.whole(drill, contexts);
        for context in contexts {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/staging/kubernetes/down.sh");
            let mut command = Command::new(script);
            command.args(["--namespace", &drill.namespace, "--context", context]);
            let output = command.env("KUBECONFIG", self.dir.path().join("kubeconfig")).output().unwrap();
            assert!(output.status.success(), "{}: {}", drill.name, said(&output));
        }
    }

    fn succeeds(&self, drill: &Drill<'_>, arguments: &[&str]) {
        let output = self.blackstart(&drill.namespace).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{} {arguments:?}: {}", drill.name, said(&output));
    }
}

/// A drill's name, how many faults (or parts of one) bite before it is killed, and its parameters.
type Killed<'a> = (&'a str, usize, Vec<(&'a str, &'a str)>);

fn workloads(repository: &str) -> [Killed<'_>; 4] {
    [
        ("pod-loss", 1, vec![]),
        ("bad-rollout", 1, vec![]),
        ("config-corruption", 2, vec![]),
        ("restore-from-git", 1, vec![("repository", repository)]),
    ]
}

#[test]
fn a_drill_that_is_killed_leaves_nothing_broken() {
    let stage = Stage::new(&["main"]);
    let repositories = ["kept", "lost"].map(|way| stage.dir.path().join(way).display().to_string());
    let all = |memory: Memory, repository: &str, way: &str| {
        for (name, faults, params) in workloads(repository) {
            let drill = stage.drill(name, &format!("{name}-{way}"), &params);
            stage.survives(&drill, faults, &["main"], memory);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| all(Memory::Kept, &repositories[0], "kept"));
        scope.spawn(|| all(Memory::Lost, &repositories[1], "lost"));
    });
    let nodes: [Killed<'_>; 2] =
        [("node-drain", 1, vec![("node", "main-node-0")]), ("zone-outage", 1, vec![("zone", "zone-b")])];
    for (name, faults, params) in &nodes {
        for (memory, way) in [(Memory::Kept, "kept"), (Memory::Lost, "lost")] {
            let drill = stage.drill(name, &format!("{name}-{way}"), params);
            stage.survives(&drill, *faults, &["main"], memory);
        }
    }
    assert_eq!(stage.left(), Vec::<String>::new());
}
