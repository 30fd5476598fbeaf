//! Drills that run inside a cluster, with the real program as the pods' program: a drill as a Job under its own account and
//! no right more than it needs, its folder brought back and verified; a runner that is killed, alone and with its guardian;
//! and the objects that `schedule` and `src/deploy` hold, as a current server's schemas have them.
//!
//! The nodes are doubles; a cluster that is given (`BLACKSTART_TEST_CLUSTER=given`) has no image with this program, so these
//! tests always have a control plane of their own.

use crate::common::until;
use crate::control_plane::ControlPlane;
use crate::node::{Nodes, Place};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_blackstart");
/// A drill in a cluster is over within this, on a machine with ten times as much to do as it can.
const LIMIT: Duration = Duration::from_secs(240);

/// What is broken: a workload of three pods.
const SHOP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: drills}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - {name: web, image: sleeper, command: [/bin/sleep, "3600"]}
"#;

const DRILL: &str = r#"
drill: scaled
environment: test
params: {pause: {default: 2s}}
secrets: {token: {env: SHOP_TOKEN}}
targets:
  web: {kubernetes: {kind: deployment, name: web, namespace: shop}}
steady:
  - {expect: {kubernetes: {target: web, ask: ready_replicas, value: {equals: 2}}}, within: 60s}
outage:
  - id: gone
    inject: {workload_scale: {target: web, to: 0}}
    deadline: 5m
  # What no object of the cluster says: a switch somewhere else.
  - id: elsewhere
    inject:
      command:
        inject: {argv: [/usr/bin/curl, -fsS, "http://127.0.0.1:PORT/break"]}
        effective: {argv: [/usr/bin/curl, -fsS, "http://127.0.0.1:PORT/is-broken"]}
        heal: {argv: [/usr/bin/curl, -fsS, "http://127.0.0.1:PORT/mend"]}
        healed: {argv: [/usr/bin/curl, -fsS, "http://127.0.0.1:PORT/is-whole"]}
    deadline: 5m
  - {id: meanwhile, wait: "${params.pause}"}
  - {id: a_file, run: {command: [/bin/sh, ./say.sh, "${params.pause}"]}, within: 10s}
restore:
  - {id: mended, heal: elsewhere}
  - {id: back, heal: gone}
verify:
  - {expect: {kubernetes: {target: web, ask: ready_replicas, value: {equals: 2}}}, within: 60s}
"#;

const CONFIG: &str = r#"
environments:
  test: {kubernetes: [{server: "https://*", namespaces: [shop]}], lease: 3s}
"#;

/// Something that is broken and mended over HTTP.
struct Switch {
    port: u16,
    broken: Arc<AtomicBool>,
}

impl Switch {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, broken) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let inside = Arc::clone(&broken);
        std::thread::spawn(move || listener.incoming().flatten().for_each(|asked| answer(asked, &inside)));
        Self { port, broken }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}

fn answer(mut asked: TcpStream, broken: &AtomicBool) {
    let mut request = [0_u8; 2048];
    let read = asked.read(&mut request).unwrap_or_default();
    let text = String::from_utf8_lossy(&request[..read]).into_owned();
    let yes = match text.split(' ').nth(1) {
        Some("/break") => {
            broken.store(true, Ordering::SeqCst);
            true
        }
        Some("/mend") => {
            broken.store(false, Ordering::SeqCst);
            true
        }
        Some("/is-broken") => broken.load(Ordering::SeqCst),
        _ => !broken.load(Ordering::SeqCst),
    };
    let status = if yes { "200 OK" } else { "404 Not Found" };
    // Whoever asked may be gone.
    drop(write!(asked, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
}

/// A cluster with two nodes, something to break, and a drill in a folder.
struct Site {
    plane: ControlPlane,
    _nodes: Nodes,
    dir: TempDir,
    switch: Switch,
}

impl Site {
    fn open() -> Self {
        let plane = ControlPlane::start();
        let nodes = Nodes::start(&plane, &Place::over("here", &["zone-a", "zone-b"], 2));
        plane.apply(SHOP);
        let dir = tempfile::Builder::new().prefix("blackstart-inside.").tempdir_in("/var/tmp").unwrap();
        let site = Self { plane, _nodes: nodes, dir, switch: Switch::open() };
        site.file("drill.yaml", &DRILL.replace("PORT", &site.switch.port.to_string()));
        site.file("blackstart.yaml", CONFIG);
        let script = site.file("say.sh", "#!/bin/sh\necho said \"$1\"\n");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(script, executable).unwrap();
        site.kubectl(&[
            "-n",
            "drills",
            "create",
            "secret",
            "generic",
            "shop",
            "--from-literal=SHOP_TOKEN=b3w4re-of-the-l3opard",
        ]);
        site.kubectl(&["-n", "shop", "rollout", "status", "deployment/web", "--timeout=120s"]);
        site
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl(args)
    }

    /// The order to run the drill in the cluster.
    fn order(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args([
                "run",
                "drill.yaml",
                "--on",
                "kubernetes",
                "--image",
                "any",
                "--program",
                PROGRAM,
                "--secret",
                "shop",
            ])
            .args(["--namespace", "drills", "--reports", "reports"])
            .args(more)
            .current_dir(self.dir.path())
            .env("KUBECONFIG", kubeconfig)
            .env("BLACKSTART_STATE_DIR", self.dir.path().join("state"))
            .env("COLUMNS", "120")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn blackstart(&self, args: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.dir.path()).env("KUBECONFIG", self.plane.kubeconfig());
        command.env("BLACKSTART_STATE_DIR", self.dir.path().join("state")).output().unwrap()
    }

    fn replicas(&self) -> String {
        self.kubectl(&["-n", "shop", "get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"])
    }

    /// Nothing of a run is left in the cluster, in any namespace.
    fn is_clean(&self) {
        let set = "blackstart.dev/set";
        let (inside, wide) =
            ("job,pod,configmap,lease,serviceaccount,role,rolebinding", "clusterrole,clusterrolebinding");
        for (kind, label) in [(inside, set), (wide, set), ("configmap", "blackstart.dev/record=fault")] {
            let left = self.kubectl(&["get", kind, "-A", "-l", label, "-o", "name"]);
            assert_eq!(left, "", "something is left");
        }
    }

    /// The pod of a part of a run, when it runs.
    fn pod(&self, part: &str) -> String {
        let label = format!("blackstart.dev/part={part}");
        let ask = ["-n", "drills", "get", "pods", "-l", &label, "-o", "jsonpath={.items[*].metadata.name}"];
        until("the pod is there", || !self.kubectl(&ask).is_empty());
        self.kubectl(&ask)
    }
}

/// Waits for a process; kills it when it is not over in time.
fn ended(mut child: Child) -> Output {
    let end = Instant::now() + LIMIT;
    // What it says must be read all the while.
    let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= end {
            child.kill().unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_drill_runs_in_a_cluster_and_its_folder_comes_back() {
    let site = Site::open();
    passes(&site);
    its_runner_is_killed(&site);
    both_are_killed(&site);
    it_is_stopped_from_here(&site);
    rights_are_missing(&site);
    let port = site.plane.port();
    drop(site);
    until("no process of a pod outlives its node", || of_pods(port).is_empty());
}

/// Processes that were told this API server's port.
fn of_pods(port: u16) -> Vec<u32> {
    let told = format!("KUBERNETES_SERVICE_PORT={port}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_told = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == told.as_bytes())
    };
    pids.filter(is_told).collect()
}

/// As a Job, with the rights of its plan and no others; nothing is left, and the folder holds here.
fn passes(site: &Site) {
    let done = ended(site.order(&site.plane.kubeconfig(), &["--run-id", "first"]).spawn().unwrap());
    let said = text(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("the guardian's pod watches over") && said.contains("its seal holds here"), "{said}");
    assert!(said.contains("nothing of blackstart-first is left"), "{said}");
    let run = site.dir.path().join("reports/scaled/first");
    let verified = site.blackstart(&["verify", run.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert!(!site.dir.path().join("reports/.first.tar.gz").exists());
    let journal = std::fs::read_to_string(run.join("journal.jsonl"));
    assert!(!journal.unwrap().contains("l3opard") && !said.contains("l3opard"), "the secret's value stays where it is");
    assert_eq!(site.replicas(), "2");
    site.is_clean();
}

/// Begins a run, and kills pods as a lost node would when the fault is there. What it came to.
fn killed(site: &Site, run: &str, parts: &[&str]) -> Child {
    let child = site.order(&site.plane.kubeconfig(), &["--run-id", run, "--param", "pause=2m"]).spawn().unwrap();
    let end = Instant::now() + LIMIT;
    while site.replicas() != "0" || !site.switch.is_broken() {
        assert!(Instant::now() < end, "the faults are never there");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let pods: Vec<String> = parts.iter().map(|part| site.pod(part)).collect();
    pods.iter().for_each(|pod| kill_first_of(pod));
    child
}

/// SIGKILL to the first process of a pod's container: the kernel ends everything in it with that one.
fn kill_first_of(pod: &str) {
    let mine = format!("POD_NAME={pod}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_pod = pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let first = status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"));
        first && environment.split(|byte| *byte == 0).any(|one| one == mine.as_bytes())
    });
    let found: Vec<u32> = of_pod.collect();
    assert_eq!(found.len(), 1, "the first process of {pod}");
    crate::common::signal(found[0], nix::sys::signal::Signal::SIGKILL);
}

/// kill -9 of the runner: the guardian heals.
fn its_runner_is_killed(site: &Site) {
    let done = ended(killed(site, "second", &["runner"]));
    let said = text(&done);
    assert_eq!(done.status.code(), Some(4), "{said}");
    assert!(said.contains("its guardian healed what was open") && said.contains("healed gone, elsewhere"), "{said}");
    assert_eq!((site.replicas(), site.switch.is_broken()), ("2".to_owned(), false));
    site.is_clean();
}

/// kill -9 of both, and of whoever followed: nobody is left who knows, but the cluster.
fn both_are_killed(site: &Site) {
    let mut child = killed(site, "third", &["guardian", "runner"]);
    child.kill().unwrap();
    child.wait().unwrap();
    // A guardian that died is started again; here even its Job is gone.
    site.kubectl(&["-n", "drills", "delete", "job", "--all", "--wait=true"]);
    assert_eq!(site.replicas(), "0");
    let mut said = String::new();
    until("the Lease of a runner that is gone has run out, and what it left is healed", || {
        let healed = site.blackstart(&["recover", "--from-cluster", "--wait", "--output", "plain"]);
        said = text(&healed);
        healed.status.success()
    });
    assert_eq!((site.replicas(), site.switch.is_broken()), ("2".to_owned(), false), "{said}");
    until("its pods are gone", || site.kubectl(&["-n", "drills", "get", "pods", "-o", "name"]).is_empty());
}

/// SIGINT here: the drill heals there, its folder comes, and what the third run left is gone, too.
fn it_is_stopped_from_here(site: &Site) {
    let child = site.order(&site.plane.kubeconfig(), &["--run-id", "fourth", "--param", "pause=2m"]).spawn().unwrap();
    let end = Instant::now() + LIMIT;
    while site.replicas() != "0" {
        assert!(Instant::now() < end, "the fault is never there");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    crate::common::signal(child.id(), nix::sys::signal::Signal::SIGINT);
    let done = ended(child);
    let said = text(&done);
    assert_eq!(done.status.code(), Some(4), "{said}");
    assert!(site.dir.path().join("reports/scaled/fourth/report.html").exists(), "{said}");
    assert!(said.contains("removing blackstart-third"), "{said}");
    assert_eq!(site.replicas(), "2");
    site.is_clean();
}

/// Whoever may not is told what is missing, and nothing is made.
fn rights_are_missing(site: &Site) {
    site.kubectl(&["-n", "drills", "create", "serviceaccount", "nobody"]);
    let kubeconfig = site.plane.account("drills", "nobody");
    let done = ended(site.order(&kubeconfig, &["--run-id", "fifth", "--service-account", "nobody"]).spawn().unwrap());
    let said = text(&done);
    assert_eq!(done.status.code(), Some(69), "{said}");
    assert!(said.contains("create jobs") && said.contains("nothing was touched"), "{said}");
}
