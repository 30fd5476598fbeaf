//! How nodes are known to the API server: their object with labels and conditions, and the Lease that says they are
//! alive.

use super::{Node, Shared};
use crate::api::Api;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A node says so often that it is alive.
const BEAT: Duration = Duration::from_secs(1);
/// And once in so many beats how it is.
const STATUS: u32 = 5;
/// So many are registered at once.
const AT_ONCE: usize = 16;

/// Now, as the API writes times.
pub fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn exactly_now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Registers all, some at a time.
pub async fn all(shared: &Arc<Shared>, nodes: &[(Arc<Node>, u16)]) {
    for some in nodes.chunks(AT_ONCE) {
        join_all(some.iter().map(|(node, port)| one(&shared.api, node, *port))).await;
    }
}

async fn one(api: &Api, node: &Node, port: u16) {
    let place = &node.place;
    let labels = json!({
        "kubernetes.io/hostname": place.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": place.zone,
        "topology.kubernetes.io/region": place.region,
    });
    let object = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": place.name, "labels": labels}, "spec": {},
        "status": status(port),
    });
    api.post("/api/v1/nodes", &object).await;
    beat(api, &place.name).await;
    assert!(say(api, node, port).await, "{} is not registered", place.name);
}

/// Says again and again that it is alive, while it is.
pub async fn keep(shared: Arc<Shared>, node: Arc<Node>, port: u16) {
    let mut link = node.link.subscribe();
    let mut since = 0;
    loop {
        node.up().await;
        beat(&shared.api, &node.place.name).await;
        if since % STATUS == 0 {
            say(&shared.api, &node, port).await;
        }
        since += 1;
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            // The sender is in `node`. When it is back, it says at once how it is.
            _changed = link.changed() => since = 0,
        }
    }
}

async fn beat(api: &Api, name: &str) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": exactly_now()});
    if api.merge(&path, &json!({"spec": spec})).await.status == 404 {
        let metadata = json!({"name": name, "namespace": "kube-node-lease"});
        let lease =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
        api.post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", &lease).await;
    }
}

async fn say(api: &Api, node: &Node, port: u16) -> bool {
    let path = format!("/api/v1/nodes/{}/status", node.place.name);
    api.merge(&path, &json!({"status": status(port)})).await.is_good()
}

fn status(port: u16) -> Value {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "a node of a test",
            "lastHeartbeatTime": now(), "lastTransitionTime": now(),
        })
    };
    let room = json!({"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    json!({
        "capacity": room, "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "test", "osImage": "test",
            "kubeletVersion": "v1.20.2", "kubeProxyVersion": "v1.20.2", "containerRuntimeVersion": "double://1",
            "bootID": "", "machineID": "", "systemUUID": "",
        },
        "conditions": [
            condition("Ready", "True", "KubeletReady"),
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
        ],
    })
}
