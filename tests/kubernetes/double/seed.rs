//! What tests put into the cluster, and how they look at it without a request.

use super::json::{default, items, label, name, namespace, ready, set, text};
use super::store::Key;
use super::{Double, State};
use serde_json::{Value, json};
use std::sync::Arc;

impl State {
    /// The kind of this plural; `deployments` or `backups.velero.io`.
    fn plural(&self, plural: &str) -> usize {
        let (plural, group) = plural.split_once('.').map_or((plural, None), |(p, g)| (p, Some(g)));
        let fits = |k: &super::Kind| k.plural == plural && group.is_none_or(|g| g == k.group);
        self.store.kinds.iter().position(fits).unwrap_or_else(|| panic!("no kind {plural}"))
    }

    fn place(&self, plural: &str, namespace: &str, name: &str) -> Key {
        self.store.key(self.plural(plural), namespace, name)
    }

    fn open(&mut self, namespace: &str) {
        let key = self.place("namespaces", "", namespace);
        if self.store.get(&key).is_none() {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            self.bear(key.kind, object);
        }
    }
}

/// A container image that no registry has.
pub const BAD_IMAGE: &str = "registry.invalid/web:2";

impl Double {
    /// A namespace, if it is not there.
    pub fn namespace(&self, name: &str) {
        self.shared.lock().open(name);
    }

    /// Nodes `n1`, `n2`, … that are ready, in these zones in turn.
    pub fn seed_nodes(&self, count: usize, zones: &[&str]) {
        for i in 1..=count {
            let zone = if zones.is_empty() { "a" } else { zones[(i - 1) % zones.len()] };
            self.node(&format!("n{i}"), zone, "r1");
        }
    }

    /// A node that is ready.
    pub fn node(&self, name: &str, zone: &str, region: &str) {
        self.object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": region}},
            "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "nodeInfo": {"kubeletVersion": "v1.33.0", "operatingSystem": "linux", "architecture": "amd64"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}));
    }

    /// A node is heard of no more, or again.
    pub fn node_ready(&self, node: &str, up: bool) {
        let status = if up { "True" } else { "Unknown" };
        self.change("nodes", "", node, |n| super::controllers::condition(n, "Ready", status, "NodeStatusUnknown", ""));
    }

    /// A Deployment and a Service of port 80; waits until its pods are ready.
    pub fn deploy(&self, namespace: &str, name: &str, replicas: usize) {
        let labels = json!({"app": name});
        self.object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1",
                    "ports": [{"containerPort": 8080, "name": "http"}]}]}}}}));
        self.object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080, "name": "http"}]}}));
        self.wait(|d| d.ready_of(namespace, name) == replicas && d.served(namespace, name) == replicas);
    }

    /// An object as it is, with its status; its namespace is made. One of that name is replaced.
    pub fn object(&self, mut object: Value) -> Arc<Value> {
        let mut state = self.shared.lock();
        let kind = state.store.kind_of(&object).unwrap_or_else(|| panic!("no kind of {object}"));
        if state.store.kinds[kind].namespaced {
            default(&mut object, &["metadata", "namespace"], "default");
            let namespace = namespace(&object).to_owned();
            state.open(&namespace);
        }
        state.bear(kind, object)
    }

    /// So many running pods with labels `app` and `n` on these nodes, all at once, of no workload.
    pub fn seed_pods(&self, namespace: &str, app: &str, count: usize, nodes: usize) {
        let mut state = self.shared.lock();
        state.open(namespace);
        let kind = state.plural("pods");
        for i in 0..count {
            let pod = json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": namespace, "name": format!("{app}-{i:05}"),
                    "labels": {"app": app, "n": i.to_string()}},
                "spec": {"nodeName": format!("n{}", i % nodes.max(1) + 1),
                    "containers": [{"name": "web", "image": "registry.example/web:1"}]},
                "status": {"phase": "Running", "podIP": format!("10.{}.{}.{}", 100 + i / 62_500, (i / 250) % 250, i % 250 + 1),
                    "conditions": [{"type": "Ready", "status": "True"}]}});
            state.bear(kind, pod);
        }
    }

    /// An object by plural (`pods`, `backups.velero.io`), namespace (empty for none) and name.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.shared.lock();
        let key = state.place(plural, namespace, name);
        state.store.get(&key).map(|o| Value::clone(&o))
    }

    /// All of a kind in a namespace, or in all if it is empty.
    pub fn list(&self, plural: &str, namespace: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let only = (!namespace.is_empty()).then_some(namespace);
        state.store.all(state.plural(plural), only).iter().map(|o| Value::clone(o)).collect()
    }

    /// Changes an object as if somebody else did.
    pub fn change(&self, plural: &str, namespace: &str, name: &str, how: impl FnOnce(&mut Value)) {
        let mut state = self.shared.lock();
        let key = state.place(plural, namespace, name);
        let changed = state.store.change(&key, |object| {
            let spec = object.get("spec").cloned();
            how(object);
            if object.get("spec").cloned() != spec && object["metadata"]["generation"].is_i64() {
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                set(object, &["metadata", "generation"], generation);
            }
        });
        assert!(changed.is_some(), "no {plural} {namespace}/{name}");
    }

    /// Takes an object away at once, finalizers or not.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let mut state = self.shared.lock();
        let key = state.place(plural, namespace, name);
        state.store.remove(&key);
    }

    /// The pod's probe fails from now on, or not any more.
    pub fn sick(&self, namespace: &str, pod: &str, sick: bool) {
        let key = (namespace.to_owned(), pod.to_owned());
        let mut state = self.shared.lock();
        if sick {
            state.sick.insert(key)
        } else {
            state.sick.remove(&key)
        };
        let key = state.place("pods", namespace, pod);
        let touched = state.store.get(&key).map(|p| Value::clone(&p));
        if let Some(pod) = touched {
            state.store.put(&key, pod);
        }
    }

    /// How many pods of a namespace are ready.
    pub fn ready(&self, namespace: &str) -> usize {
        self.list("pods", namespace).iter().filter(|p| ready(p)).count()
    }

    /// How many pods with this `app` label are ready.
    pub fn ready_of(&self, namespace: &str, app: &str) -> usize {
        self.list("pods", namespace).iter().filter(|p| label(p, "app") == Some(app) && ready(p)).count()
    }

    /// How many addresses of a service are ready.
    pub fn served(&self, namespace: &str, service: &str) -> usize {
        let found = self.get("endpoints", namespace, service).unwrap_or_default();
        items(&found, "/subsets/0/addresses").len()
    }

    /// The names of the pods of a namespace, and the node of each.
    pub fn pods(&self, namespace: &str) -> Vec<(String, String)> {
        let one = |p: &Value| (name(p).to_owned(), text(p, "/spec/nodeName").to_owned());
        self.list("pods", namespace).iter().map(one).collect()
    }
}
