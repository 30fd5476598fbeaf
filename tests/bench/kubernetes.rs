//! What planning on a large cluster costs: `cargo bench --bench kubernetes` fills a double of the API server with 5,000 pods
//! on 500 nodes in three zones, and times `blackstart plan` of the pods of one zone, of all of them, and of the nodes, with
//! the most memory that the process had.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "../kubernetes/double/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the tests of Kubernetes")]
mod double;

use double::Double;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PODS: usize = 5_000;
const NODES: usize = 500;
/// What planning them may take on two cores.
const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    let double = Double::start();
    double.settings(|settings| settings.controllers = false);
    double.seed_nodes(NODES, &["a", "b", "c"]);
    double.seed_pods("shop", "many", PODS, NODES);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = "environments: {test: {kubernetes: [{context: double, namespaces: [shop], reach: nodes}]}}\n";
    std::fs::write(dir.path().join("blackstart.yaml"), config).unwrap();
    println!("{PODS} pods on {NODES} nodes");
    println!("{:>24} {:>10} {:>12} {:>9}", "", "took", "most memory", "requests");
    let few = measure(&double, dir.path(), "one pod", "name: many-00001");
    for (name, target) in [("pods of one zone", "labels: app=many, zone: a"), ("all pods", "labels: app=many")] {
        let all = measure(&double, dir.path(), name, target);
        assert!(all.0 < LIMIT, "{name}: {:?}, at most {LIMIT:?}", all.0);
        // Pages are read one after the other, and what is kept of an object is a line.
        assert!(all.1 < few.1 + (32 << 10), "{name}: {} KiB, and {} for one pod", all.1, few.1);
    }
    measure(&double, dir.path(), "all nodes", "kind: node, region: r1");
}

/// How long it took, and the most memory in KiB.
fn measure(double: &Double, dir: &Path, name: &str, target: &str) -> (Duration, u64) {
    let text = format!(
        "drill: many\nenvironment: test\ntargets:\n  many: {{kubernetes: {{{target}, namespace: shop, kubeconfig: {}}}}}\n\
         verify: [{{check: {{command: [\"true\"]}}}}]\n",
        double.kubeconfig().display()
    );
    std::fs::write(dir.join("many.yaml"), text).unwrap();
    double.forget_requests();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .args(["plan", "many.yaml"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let most = memory(&mut child);
    assert!(child.wait().unwrap().success(), "{name}");
    let took = began.elapsed();
    let requests = double.requests().len();
    println!("{name:>24} {:>7.0} ms {:>8.1} MiB {requests:>9}", took.as_secs_f64() * 1e3, most as f64 / 1024.0);
    (took, most)
}

/// The high-water mark of a process until it ends, in KiB.
fn memory(child: &mut Child) -> u64 {
    let file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = now.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(2));
    }
    most
}
