//! The objects of a run in a cluster: tried by the server, created in order, found again by their labels, removed, and
//! proven gone.

use crate::adapters::kubernetes::{
    At, Cluster, ClusterError, Deletion, Flow, Kind, Object, Propagation, Query, Scope, Write,
};
use crate::clock::Clock;
use crate::inside::{PURPOSE_LABEL, SET_LABEL, Setting};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Kinds of objects of a set, in the order in which they are removed: what runs goes first.
const KINDS: [&str; 4] = ["job", "pod", "configmap", "lease"];
/// The same for those of the account.
const ACCOUNT: [(&str, &str); 3] =
    [("RoleBinding", "rolebindings"), ("Role", "roles"), ("ServiceAccount", "serviceaccounts")];
const WIDE: [(&str, &str); 2] = [("ClusterRoleBinding", "clusterrolebindings"), ("ClusterRole", "clusterroles")];
const RBAC: &str = "rbac.authorization.k8s.io";

/// A cluster, and the namespace of a set in it.
pub struct Place {
    pub cluster: Arc<dyn Cluster>,
    pub namespace: String,
    pub clock: Clock,
}

/// Kind, namespace and name of an object of ours.
pub fn place_of(object: &Value) -> (Kind, Option<String>, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api, kind) = (text("/apiVersion"), text("/kind"));
    let (group, version) = api.split_once('/').map_or(("", api.as_str()), |(group, version)| (group, version));
    let scope = if kind.starts_with("Cluster") || kind == "Namespace" { Scope::Cluster } else { Scope::Namespaced };
    let namespace = Some(text("/metadata/namespace")).filter(|_| scope == Scope::Namespaced);
    (Kind::of(group, version, &kind, &format!("{}s", kind.to_lowercase()), scope), namespace, text("/metadata/name"))
}

impl Place {
    /// Has the server try all of them. A binding is not tried: it needs its role to be there.
    pub async fn rehearse(&self, objects: &[Value]) -> Vec<String> {
        let mut refused = Vec::new();
        for object in objects {
            let (kind, namespace, name) = place_of(object);
            if kind.kind.ends_with("Binding") {
                continue;
            }
            if let Err(why) = self.cluster.create(&kind, namespace.as_deref(), object, Write::Dry).await {
                refused.push(format!("{}: {why}", kind.at(namespace.as_deref(), &name)));
            }
        }
        refused
    }

    /// Creates all of them, in this order.
    ///
    /// # Errors
    /// Names the first that could not be created.
    pub async fn create(&self, objects: &[Value]) -> Result<(), String> {
        for object in objects {
            let (kind, namespace, name) = place_of(object);
            let at = kind.at(namespace.as_deref(), &name);
            match self.cluster.create(&kind, namespace.as_deref(), object, Write::Real).await {
                Ok(_) => {}
                // An answer that was lost: it is ours by its label.
                Err(ClusterError::Exists(why)) => match self.cluster.get(&at).await {
                    Ok(Some(there)) if there.label(SET_LABEL) == labelled(object) && labelled(object).is_some() => {}
                    _ => return Err(format!("{at}: {why}")),
                },
                Err(why) => return Err(format!("{at}: {why}")),
            }
        }
        Ok(())
    }

    /// All objects of a kind with such labels, in this namespace; everywhere for what belongs to the whole cluster.
    pub async fn with(&self, kind: &Kind, labels: &str) -> Result<Vec<Object>, ClusterError> {
        self.list(kind, Some(&self.namespace), labels).await
    }

    async fn list(&self, kind: &Kind, namespace: Option<&str>, labels: &str) -> Result<Vec<Object>, ClusterError> {
        let namespace = namespace.filter(|_| kind.scope == Scope::Namespaced).map(str::to_owned);
        let query = Query { kind: kind.clone(), namespace, labels: labels.to_owned(), fields: String::new() };
        let mut found = Vec::new();
        let mut each = |object| {
            found.push(object);
            Flow::On
        };
        self.cluster.list(&query, &mut each).await?;
        Ok(found)
    }

    /// Removes everything of a set, and looks until it is gone. `objects` are those that it was made of.
    ///
    /// # Errors
    /// What is still there, or could not be looked for.
    pub async fn remove(&self, set: &str, objects: &[Value], limit: Duration) -> Result<(), String> {
        let until = self.clock.mono().after(limit);
        loop {
            let left = self.remove_once(set, objects).await;
            if left.is_empty() {
                return Ok(());
            }
            if self.clock.mono() >= until {
                return Err(left.join("; "));
            }
            self.clock.sleep_until(self.clock.mono().after(LOOK)).await;
        }
    }

    /// Deletes what is there; says what was.
    async fn remove_once(&self, set: &str, objects: &[Value]) -> Vec<String> {
        let mut left = Vec::new();
        let labels = format!("{SET_LABEL}={set}");
        for kind in KINDS.into_iter().filter_map(Kind::known) {
            match self.with(&kind, &labels).await {
                Ok(found) => {
                    for object in found {
                        left.extend(self.delete(&object, &object.at(&kind)).await);
                    }
                }
                Err(why) => left.push(format!("cannot look for {}: {why}", kind.plural)),
            }
        }
        // Objects of the account may be in namespaces of targets: they are known by name.
        for object in objects {
            let (kind, namespace, name) = place_of(object);
            if KINDS.iter().any(|known| kind.kind.eq_ignore_ascii_case(known)) {
                continue;
            }
            let at = kind.at(namespace.as_deref(), &name);
            match self.cluster.get(&at).await {
                Ok(None) | Err(ClusterError::Missing(_)) => {}
                Ok(Some(there)) if there.label(SET_LABEL) != Some(set) => {}
                Ok(Some(there)) => left.extend(self.delete(&there, &at).await),
                Err(why) => left.push(format!("{at}: {why}")),
            }
        }
        left
    }

    async fn delete(&self, object: &Object, at: &At) -> Option<String> {
        if object.ending() {
            return Some(format!("{at} is still going"));
        }
        let uid = Some(object.uid().to_owned());
        let how = Deletion { uid, grace: None, propagation: Some(Propagation::Background) };
        match self.cluster.delete(at, &how, Write::Real).await {
            Ok(()) => Some(format!("{at} was there")),
            Err(ClusterError::Missing(_)) => None,
            Err(why) => Some(format!("{at}: {why}")),
        }
    }

    /// Sets that a run made whose follower never came back: nothing of them runs any more.
    ///
    /// # Errors
    /// When it could not be looked for.
    pub async fn abandoned(&self) -> Result<Vec<String>, ClusterError> {
        let known = |name| Kind::known(name).ok_or_else(|| ClusterError::Other(format!("{name} is unknown")));
        let runs = format!("{PURPOSE_LABEL}=run");
        let jobs = self.with(&known("job")?, &runs).await?;
        let busy = |set: &str| {
            let of_it = jobs.iter().filter(|job| job.label(SET_LABEL) == Some(set));
            of_it.into_iter().any(|job| job.condition("Complete").is_none() && job.condition("Failed").is_none())
        };
        let mut sets: Vec<String> = Vec::new();
        let pods = self.with(&known("pod")?, &runs).await?;
        let runs_on = |pod: &&Object| !matches!(pod.text("/status/phase"), "Succeeded" | "Failed");
        let living = |set: &str| pods.iter().filter(runs_on).any(|pod| pod.label(SET_LABEL) == Some(set));
        for lease in self.with(&known("lease")?, &runs).await? {
            let Some(set) = lease.label(SET_LABEL) else { continue };
            // One that was held had its Jobs.
            let was_held = !lease.text("/spec/acquireTime").is_empty();
            if lease.name() == set && !busy(set) && !living(set) && (was_held || self.old(&lease)) {
                sets.push(set.to_owned());
            }
        }
        Ok(sets)
    }

    /// A set that is being made has its Lease before its Jobs.
    fn old(&self, lease: &Object) -> bool {
        const YOUNG: i64 = 60;
        let made = chrono::DateTime::parse_from_rfc3339(lease.text("/metadata/creationTimestamp"));
        made.is_ok_and(|made| self.clock.stamp().wall.signed_duration_since(made).num_seconds() > YOUNG)
    }

    /// The objects of the account of a set that somebody else made, by their labels.
    pub async fn account_of(&self, set: &str) -> Vec<Value> {
        let kind = |(kind, plural): (&str, &str), scope| {
            let group = if kind == "ServiceAccount" { "" } else { RBAC };
            Kind::of(group, "v1", kind, plural, scope)
        };
        let narrow = ACCOUNT.into_iter().map(|named| kind(named, Scope::Namespaced));
        let wide = WIDE.into_iter().map(|named| kind(named, Scope::Cluster));
        let mut found = Vec::new();
        for kind in narrow.chain(wide) {
            // Whoever may not see them did not make them.
            let objects = self.list(&kind, None, &format!("{SET_LABEL}={set}")).await.unwrap_or_default();
            for Object(mut object) in objects {
                // Lists leave out what each object is.
                if let Some(object) = object.as_object_mut() {
                    object.insert("apiVersion".to_owned(), kind.api().into());
                    object.insert("kind".to_owned(), kind.kind.clone().into());
                }
                found.push(object);
            }
        }
        found
    }
}

fn labelled(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(SET_LABEL)?.as_str()
}

/// What whoever orders a run must be allowed to do, besides what the drill itself needs.
pub fn needed(setting: &Setting) -> Vec<crate::adapters::kubernetes::May> {
    let one = |group: &str, resource: &str, part: Option<&str>, verbs: &[&str]| {
        let may = |verb: &&str| crate::adapters::kubernetes::May {
            verb: (*verb).to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            part: part.map(str::to_owned),
            namespace: Some(setting.namespace.clone()),
            name: None,
        };
        verbs.iter().map(may).collect::<Vec<_>>()
    };
    let mut all = one("batch", "jobs", None, &["create", "list", "delete"]);
    all.extend(one("", "configmaps", None, &["create", "list", "delete"]));
    all.extend(one("coordination.k8s.io", "leases", None, &["create", "get", "list", "patch", "delete"]));
    all.extend(one("", "pods", None, &["list", "delete"]));
    all.extend(one("", "pods", Some("log"), &["get"]));
    all.extend(one("", "pods", Some("exec"), &["create"]));
    if setting.account.is_none() {
        all.extend(one("", "serviceaccounts", None, &["create", "get", "delete"]));
        all.extend(one(RBAC, "roles", None, &["create", "get", "delete"]));
        all.extend(one(RBAC, "rolebindings", None, &["create", "get", "delete"]));
    }
    all
}
