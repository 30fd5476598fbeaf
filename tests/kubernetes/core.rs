//! What holds drills on Kubernetes together, with the built binary against the double: who may be touched, Leases, records
//! in the cluster, recovery from it alone, the minimal Role, large clusters.

#[path = "core/limits.rs"]
mod limits;
#[path = "core/records.rs"]
mod records;
#[path = "core/rights.rs"]
mod rights;

use super::double::Double;
use super::support::{Ended, Place};
use serde_json::Value;
use std::path::Path;
use std::process::Child;

/// Scales a Deployment to nothing, and heals that at its end.
const DRILL: &str = "\
drill: scaled
environment: test
targets:
  web: {kubernetes: {kind: deployment, name: web, namespace: shop, kubeconfig: KUBECONFIG}}
baseline: 100ms
outage:
  - {id: down, inject: {workload_scale: {target: web}}, deadline: 1m}
failover:
  - {id: pause, wait: WAIT}
";

const CONFIG: &str = "environments: {test: {lease: 3s, kubernetes: [{context: double, namespaces: [shop]}]}}\n";

/// A drill on a double, in a folder of its own.
struct Bench {
    double: Double,
    place: Place,
}

impl Bench {
    fn new(wait: &str) -> Self {
        let (double, place) = (Double::start(), Place::new());
        double.seed_nodes(1, &["a"]);
        double.deploy("shop", "web", 2);
        let bench = Self { double, place };
        bench.drill("d.yaml", &bench.double.kubeconfig(), wait);
        bench.place.file("blackstart.yaml", CONFIG);
        bench
    }

    fn drill(&self, file: &str, kubeconfig: &Path, wait: &str) {
        let text = DRILL.replace("KUBECONFIG", kubeconfig.to_str().unwrap()).replace("WAIT", wait);
        self.place.file(file, &text);
    }

    fn run(&self) -> Ended {
        self.place.run(&["run", "d.yaml", "--reports", "out", "--output", "plain"])
    }

    /// Starts it, and waits until the Deployment is scaled down.
    fn bitten(&self) -> Child {
        let child = self.place.start(&["run", "d.yaml", "--reports", "out", "--output", "plain", "--run-id", "first"]);
        self.double.wait(|double| replicas(double) == 0);
        child
    }

    /// What of ours is in the cluster.
    fn ours(&self) -> Vec<String> {
        let mut found = Vec::new();
        for plural in ["configmaps", "leases", "secrets", "deployments"] {
            for object in self.double.list(plural, "") {
                if object["metadata"]["labels"].get("blackstart.dev/owner").is_some() {
                    found.push(format!("{plural} {}", object["metadata"]["name"].as_str().unwrap_or_default()));
                }
            }
        }
        found
    }

    fn records(&self) -> Vec<Value> {
        let all = self.double.list("configmaps", "shop");
        all.into_iter().filter(|o| o["metadata"]["labels"]["blackstart.dev/record"] == "fault").collect()
    }

    fn leases(&self) -> Vec<Value> {
        self.double.list("leases", "shop")
    }

    fn in_cluster(&self, command: &str, more: &[&str]) -> Ended {
        let kubeconfig = self.double.kubeconfig();
        let all = [&[command, "--from-cluster", "--kubeconfig", kubeconfig.to_str().unwrap()], more].concat();
        self.place.run(&all)
    }
}

fn replicas(double: &Double) -> i64 {
    double.get("deployments", "shop", "web").unwrap()["spec"]["replicas"].as_i64().unwrap()
}
