//! Clients in pods of a cluster, whose clocks are other ones: what they saw is what is seen from here, nothing of them is
//! left, and what is wrong with one is said.

use crate::control_plane::ControlPlane;
use crate::node::{Nodes, Place};
use crate::processes::bound;
use crate::support::{self, Ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::BufRead as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_blackstart");
const LONG: Duration = Duration::from_secs(120);
/// The nodes' clocks.
const AHEAD: u32 = 123_456;

const DRILL: &str = r#"
drill: far
environment: test
objectives: {rto: 8s}
params: {url: {}, pid: {}, pause: {default: 2s}, image: {default: any}, program: {}}
targets:
  shop: {process: {pid: "${params.pid}"}}
vantages:
  near: {}
  far:
    kubernetes:
      namespace: drills
      image: "${params.image}"
      program: "${params.program}"
      nodes: {topology.kubernetes.io/zone: zone-b}
workload:
  page:
    http: {url: "${params.url}", expect: {status: 200}, rate: 50/s, client: fresh, timeout: 1s}
    service: {availability: 100%, deadline: 500ms, stable: 2s}
    from: [near, far]
baseline: 2s
outage:
  - id: stopped
    inject: {process_pause: {target: shop}}
    deadline: 3m
  - {id: meanwhile, wait: "${params.pause}"}
restore:
  - {id: back, heal: stopped}
"#;

const CONFIG: &str = r#"
environments: {test: {kubernetes: [{context: "*", namespaces: [drills]}]}}
"#;

/// Serves a page, and says at which port.
const SERVER: &str = "
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    def handle_error(self, *_):
        pass
server = Server(('127.0.0.1', 0), Page)
print(server.server_port, flush=True)
server.serve_forever()
";

/// A service in a process of its own.
struct Page {
    child: Child,
    url: String,
}

impl Page {
    fn open() -> Self {
        let mut command = bound("/usr/bin/python3");
        command.args(["-c", SERVER]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, url: format!("http://127.0.0.1:{}/", line.trim()) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A service on this machine, and a cluster whose nodes' clocks are far ahead.
struct Site {
    plane: ControlPlane,
    _nodes: Nodes,
    page: Page,
    place: support::Place,
}

impl Site {
    fn open() -> Self {
        let plane = ControlPlane::start();
        let mut nodes = Place::over("here", &["zone-a", "zone-b"], 2);
        nodes.iter_mut().for_each(|node| node.ahead = AHEAD);
        let nodes = Nodes::start(&plane, &nodes);
        plane.kubectl(&["create", "namespace", "drills"]);
        let place = support::Place::new();
        place.file("drill.yaml", DRILL);
        place.file("blackstart.yaml", CONFIG);
        Self { plane, _nodes: nodes, page: Page::open(), place }
    }

    fn command(&self, command: &str, more: &[&str]) -> std::process::Command {
        let mut words = self.place.blackstart();
        words.env("KUBECONFIG", self.plane.kubeconfig()).arg(command);
        if command == "run" || command == "plan" {
            let (url, pid) = (format!("url={}", self.page.url), format!("pid={}", self.page.child.id()));
            let program = format!("program={PROGRAM}");
            words.arg("drill.yaml").args([url, pid, program].iter().flat_map(|param| ["--param", param]));
        }
        words.args(more);
        words
    }

    fn blackstart(&self, command: &str, more: &[&str]) -> Ended {
        Ended::new(self.command(command, more).output().unwrap())
    }

    fn drilled(&self, more: &[&str]) -> Ended {
        self.blackstart("run", &[&["--reports", "out", "--output", "plain"], more].concat())
    }

    /// Jobs and pods of ours that are not on their way out.
    fn left(&self) -> String {
        let all = ["-n", "drills", "get", "jobs,pods", "-l", "blackstart.dev/owner", "--ignore-not-found", "-o"];
        let path = "jsonpath={range .items[?(@.metadata.name)]}{.kind}{\" \"}{.metadata.name}{\"\\n\"}{end}";
        self.plane.kubectl(&[&all[..], &[path]].concat())
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + LONG;
        while !holds() {
            assert!(Instant::now() < end, "never: {what}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

/// From the fault until it was served again for good, in seconds.
fn sustained(workload: &Value) -> (f64, f64) {
    let found = &workload["recoveries"][0]["sustained"];
    (found["low"].as_f64().unwrap(), found["high"].as_f64().unwrap())
}

#[test]
fn what_a_pod_with_another_clock_sees_is_what_is_seen_from_here() {
    let site = Site::open();
    let ended = site.drilled(&[]).code(0);
    let dir = site.place.only_run("out/far");
    let report: Value = serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    let named = |name: &str| report["workloads"][name].clone();
    let (near, far) = (named("page@near"), named("page@far"));
    // It has been asked what time it is; unasked it would be a day and a half away.
    let error = far["vantage"]["clock_error"].as_f64().unwrap();
    let offset = far["vantage"]["clock_offset"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.5 && offset.abs() <= error, "{offset} +- {error}");
    // Both saw the same outage; each only as exactly as it could.
    let (near_saw, far_saw) = (sustained(&near), sustained(&far));
    assert!(near_saw.0 <= far_saw.1 && far_saw.0 <= near_saw.1, "{near_saw:?} {far_saw:?}");
    assert!(far_saw.0 > 1.0 && far_saw.1 < 8.0 && far_saw.1 - far_saw.0 >= 2.0 * error, "{far_saw:?} {error}");
    // What it measured came here, whole.
    let (ok, due) = (far["operations"]["ok"].as_u64().unwrap(), far["operations"]["due"].as_u64().unwrap());
    assert!(ok > 100 && due >= ok, "{ok} of {due}");
    assert!(std::fs::metadata(dir.join("ops/page@far.ops")).unwrap().len() > 1000);
    site.blackstart("verify", &[dir.to_str().unwrap()]).code(0);
    site.until("the pod is gone", || site.left().is_empty());
    let events = site.place.events(&dir);
    let placed: Vec<_> = events.iter().filter(|event| event["what"].get("vantage_placed").is_some()).collect();
    assert_eq!(placed.len(), 1, "{}", ended.out);
    assert_eq!(placed[0]["what"]["vantage_placed"]["namespace"], "drills");
}

#[test]
fn a_vantage_ends_with_its_runner_and_recover_removes_what_is_left() {
    let site = Site::open();
    let more = ["--reports", "out", "--output", "plain", "--param", "pause=60s"];
    let mut child = site.command("run", &more).spawn().unwrap();
    let journal = site.place.path().join("out/far");
    let events = || {
        let runs = std::fs::read_dir(&journal).into_iter().flatten().flatten();
        runs.map(|run| std::fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default())
            .collect::<String>()
    };
    site.until("the fault bites", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        events().contains("\"fault_effect\"")
    });
    let text = events();
    let guardian =
        text.split("\"guardian\":{").nth(1).and_then(|rest| rest.split("\"pid\":").nth(1)).expect("a guardian");
    let guardian: i32 = guardian.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    // Its own connection is then closed, and nobody heals.
    kill(Pid::from_raw(guardian), Signal::SIGKILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let pods = ["-n", "drills", "get", "pods", "-o", "jsonpath={.items[*].status.phase}"];
    site.until("the vantage ends by itself", || site.plane.kubectl(&pods).trim() == "Succeeded");
    site.blackstart("status", &[]).code(3);
    site.blackstart("recover", &[]).code(0);
    assert!(!site.left().contains("Job"), "{}", site.left());
    site.until("the pod is gone", || site.left().is_empty());
    site.blackstart("status", &[]).code(0);
}

#[test]
fn what_is_wrong_with_the_pod_of_a_vantage_is_said_before_anything_is_broken() {
    let site = Site::open();
    let wrong = site.drilled(&["--param", "image=registry.invalid/blackstart:1"]);
    assert!(wrong.code != 0 && wrong.err.contains("vantage `far`: its pod"), "{} {}", wrong.code, wrong.err);
    assert!(wrong.err.contains("no such host"), "{}", wrong.err);
    site.until("the pod is gone", || site.left().is_empty());
    site.place.file("blackstart.yaml", "environments: {test: {}}\n");
    let refused = site.drilled(&[]).code(69);
    assert!(refused.err.contains("target `vantage far` is a pod in drills"), "{}", refused.err);
    assert!(refused.err.contains("namespaces: [drills]"), "{}", refused.err);
    // The Role that it needs is printed, and suffices for exactly that.
    let role = site.blackstart("plan", &["--permissions"]).code(0);
    for right in ["resources: [jobs]", "verbs: [create, delete, get]", "resources: [pods/portforward]"] {
        assert!(role.out.contains(right), "{right}: {}", role.out);
    }
}
