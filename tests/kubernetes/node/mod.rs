//! Nodes of a cluster, as a double in this process: many of them on one machine. Each registers itself with its zone
//! and region, says that it is alive, and runs the pods that the real scheduler gives it: every container's command is
//! a process of this machine (`container`), with the pod's own address, its volumes at their paths, its probes
//! (`probes`), restarts and an end with grace (`pod`). Each serves the API that the API server asks nodes for: logs,
//! exec and port-forward (`server`).
//!
//! Debian's real kubelet with containerd is one node for a machine, wants cgroups, images and a network of its own;
//! here three zones of nodes are wanted, on a machine that is a container itself. So what a kubelet does is a double,
//! and everything above it is real.
//!
//! What it does not do: images (a container is its `command`, on this machine's files; an image whose name contains
//! `.invalid` cannot be pulled, one from `127.0.0.1:PORT/` only while something listens there), resource limits, the
//! names of Services (no DNS) and their cluster addresses (`router` stands for both), NetworkPolicies, privileges other
//! than `runAsUser` and `runAsGroup`, and SPDY (exec and port-forward speak WebSocket).

mod container;
mod environment;
mod images;
mod log;
mod pod;
mod probes;
mod range;
mod register;
mod server;
mod status;
mod streams;
mod volumes;

use crate::api::{Api, Seen};
use crate::control_plane::ControlPlane;
use crate::processes::{Beside, folder};
use pod::Pod;
use range::Range;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};

/// More nodes are not made.
const MOST: usize = 1000;

/// What a node can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The API server, and it does what it is told.
    Up,
    /// Nothing: it says nothing and hears nothing, and its pods run on.
    CutOff,
    /// It is without power: its pods are gone, too.
    Dead,
}

/// A node that is asked for.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: String,
    pub zone: String,
    pub region: String,
    /// Its monotonic clock is so many seconds ahead of this machine's.
    pub ahead: u32,
}

impl Place {
    /// `count` nodes, in turn in each of these zones of a region.
    pub fn over(region: &str, zones: &[&str], count: usize) -> Vec<Self> {
        let one = |number: usize| Self {
            name: format!("{region}-node-{number}"),
            zone: zones[number % zones.len()].to_owned(),
            region: region.to_owned(),
            ahead: 0,
        };
        (0..count).map(one).collect()
    }
}

/// One node.
struct Node {
    place: Place,
    link: watch::Sender<Link>,
    /// What it has pulled.
    images: Mutex<Vec<String>>,
}

impl Node {
    /// Waits until it reaches the API server.
    async fn up(&self) {
        let mut link = self.link.subscribe();
        // The sender is in self.
        let _ended = link.wait_for(|link| *link == Link::Up).await;
    }

    fn is_up(&self) -> bool {
        *self.link.borrow() == Link::Up
    }
}

/// What all parts of the double share.
struct Shared {
    api: Api,
    port: u16,
    folder: PathBuf,
    range: Range,
    nodes: BTreeMap<String, Arc<Node>>,
    pods: Mutex<HashMap<String, Arc<Pod>>>,
}

/// The nodes of one control plane; they end when this is dropped, and so do their pods.
pub struct Nodes {
    shared: Arc<Shared>,
    _beside: Beside,
    _folder: TempDir,
}

impl Nodes {
    /// Registered and ready.
    pub fn start(plane: &ControlPlane, places: &[Place]) -> Self {
        assert!(places.len() <= MOST, "at most {MOST} nodes");
        let dir = folder("nodes");
        let node = |place: &Place| {
            let node = Node { place: place.clone(), link: watch::Sender::new(Link::Up), images: Mutex::default() };
            (place.name.clone(), Arc::new(node))
        };
        let shared = Arc::new(Shared {
            api: plane.api(),
            port: plane.port(),
            folder: dir.path().to_path_buf(),
            range: Range::take(),
            nodes: places.iter().map(node).collect(),
            pods: Mutex::default(),
        });
        let tls = server::tls(plane);
        let (tell, ready) = oneshot::channel();
        let inside = Arc::clone(&shared);
        let beside = Beside::run(move |stopped| run(inside, tls, tell, stopped));
        crate::api::wait(async { ready.await.expect("the nodes are registered") });
        Self { shared, _beside: beside, _folder: dir }
    }

    /// Cuts a node off, or takes its power.
    pub fn lose(&self, name: &str, link: Link) {
        self.shared.nodes[name].link.send_replace(link);
    }

    /// All is well with it again.
    pub fn back(&self, name: &str) {
        self.lose(name, Link::Up);
    }

    pub fn names(&self) -> Vec<String> {
        self.shared.nodes.keys().cloned().collect()
    }
}

/// The nodes' whole life.
async fn run(
    shared: Arc<Shared>,
    tls: Arc<rustls::ServerConfig>,
    tell: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) {
    let mut alive = Vec::new();
    for node in shared.nodes.values() {
        let port = server::serve(Arc::clone(&shared), Arc::clone(node), Arc::clone(&tls)).await;
        alive.push((Arc::clone(node), port));
    }
    register::all(&shared, &alive).await;
    for (node, port) in alive {
        tokio::spawn(register::keep(Arc::clone(&shared), node, port));
    }
    // Whoever started it waits for it.
    let _gone = tell.send(());
    let (api, known) = (shared.api.clone(), Arc::clone(&shared));
    let pods =
        async move { api.follow("/api/v1/pods", "fieldSelector=spec.nodeName!%3D", |seen| saw(&known, seen)).await };
    tokio::select! {
        () = pods => {}
        _ = stopped => {}
    }
    end(&shared).await;
}

/// Ends every pod at once, so that nothing is left behind.
async fn end(shared: &Shared) {
    let all: Vec<Arc<Pod>> = shared.pods.lock().unwrap().values().cloned().collect();
    for pod in &all {
        pod.kill();
    }
    let end = Instant::now() + Duration::from_secs(10);
    while all.iter().any(|pod| pod.runs()) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn saw(shared: &Arc<Shared>, seen: Seen) {
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    match seen {
        Seen::All(all) => {
            let there: Vec<String> = all.iter().map(uid).collect();
            let known: Vec<Arc<Pod>> = shared.pods.lock().unwrap().values().cloned().collect();
            known.iter().filter(|pod| !there.contains(&pod.uid)).for_each(|pod| pod.is_gone());
            all.into_iter().for_each(|object| is(shared, object));
        }
        Seen::Is(object) => is(shared, object),
        Seen::Gone(object) => {
            let known = shared.pods.lock().unwrap().get(&uid(&object)).cloned();
            known.inspect(|pod| pod.is_gone());
        }
    }
}

/// A pod is there as this: a new one begins to live, one that is known hears of it.
fn is(shared: &Arc<Shared>, object: Value) {
    let Some(node) = object["spec"]["nodeName"].as_str().and_then(|name| shared.nodes.get(name)) else { return };
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let mut pods = shared.pods.lock().unwrap();
    if let Some(pod) = pods.get(uid) {
        pod.is(object);
    } else {
        let pod = Arc::new(Pod::new(shared, node, object));
        pods.insert(pod.uid.clone(), Arc::clone(&pod));
        tokio::spawn(pod::live(Arc::clone(shared), pod));
    }
}
