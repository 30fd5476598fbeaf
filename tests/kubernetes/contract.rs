//! What holds for any API server that the client talks to: functions that get a cluster and a namespace of their own, and
//! panic if it does not hold. They run against the double, against a real control plane, and against any cluster that is
//! given (`against`). Here is how they are run; what they say is in the files beside this.

use blackstart::adapters::kubernetes::{
    Access, At, Cluster, ClusterError, Deletion, Flow, Kind, Object, Patch, Propagation, Query, Write, system,
};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[path = "contract/applying.rs"]
mod applying;
#[path = "contract/changing.rs"]
mod changing;
#[path = "contract/inside.rs"]
mod inside;
#[path = "contract/pods.rs"]
mod pods;
#[path = "contract/reading.rs"]
pub mod reading;

/// One thing that holds.
pub type Case = for<'a> fn(&'a dyn Cluster, &'a str) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Gives functions their names.
macro_rules! cases {
    ($($module:ident: $($name:ident),*;)*) => {
        &[$($((stringify!($name), |cluster, namespace| Box::pin($module::$name(cluster, namespace)))),*),*]
    };
}

/// What an API server does alone, without controllers and nodes.
pub const API: &[(&str, Case)] = cases! {
    changing: made_read_and_deleted, made_twice, made_with_a_name_of_the_servers, stale_versions, other_uids, races,
        json_patches, merge_patches, strategic_patches, finalizers, dry_runs, refusals, nothing_secret_is_repeated, too_large;
    applying: applied_and_taken_back, conflicts_are_reported, applied_to_what_others_made, applied_by_others, scale;
    reading: facts, kinds, label_selectors, field_selectors, pages, every_namespace, watched, watched_in_vain,
        watched_from_too_long_ago, missing, allowed;
    pods: status, deleted_with_grace, evicted, budgets, chosen_by_fields;
};

/// What takes nodes that run pods: `sh` and `python3` of an image, or of this machine on nodes of the double.
pub const NODES: &[(&str, Case)] = cases! {
    inside: programs, programs_that_cannot_be_run, logs, ports;
};

/// So many cases run at once.
const AT_ONCE: usize = 4;
/// The longest that anything of the cluster's own takes.
pub const SOON: Duration = Duration::from_secs(30);

/// A name that no other run has.
pub fn fresh(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("bs-{}-{}-{n}", what.replace('_', "-"), std::process::id())
}

/// Runs them, each in a namespace of its own, and says all that do not hold.
pub async fn hold(cluster: &dyn Cluster, cases: &[(&str, Case)]) {
    let one = |(name, case): &(&str, Case)| {
        let (name, case) = ((*name).to_owned(), *case);
        async move {
            let namespace = namespace(cluster, &name).await;
            let held = AssertUnwindSafe(case(cluster, &namespace)).catch_unwind().await;
            let _going =
                cluster.delete(&kind("namespace").at(None, &namespace), &Deletion::default(), Write::Real).await;
            held.err().map(|_| name)
        }
    };
    let broken: Vec<Option<String>> = stream::iter(cases).map(one).buffer_unordered(AT_ONCE).collect().await;
    let broken: Vec<String> = broken.into_iter().flatten().collect();
    assert!(broken.is_empty(), "these do not hold (their panics are above): {}", broken.join(", "));
}

/// A new namespace.
pub async fn namespace(cluster: &dyn Cluster, what: &str) -> String {
    let name = fresh(what);
    let object = json!({ "metadata": { "name": name } });
    cluster.create(&kind("namespace"), None, &object, Write::Real).await.unwrap();
    name
}

fn kind(name: &str) -> Kind {
    Kind::known(name).unwrap()
}

fn map(namespace: &str, name: &str) -> At {
    kind("configmap").at(Some(namespace), name)
}

async fn make(cluster: &dyn Cluster, at: &At, object: Value) -> Object {
    let mut object = object;
    object["metadata"]["name"] = at.name.clone().into();
    cluster.create(&at.kind, at.namespace.as_deref(), &object, Write::Real).await.unwrap()
}

async fn read(cluster: &dyn Cluster, at: &At) -> Object {
    cluster.get(at).await.unwrap().unwrap()
}

async fn merge(cluster: &dyn Cluster, at: &At, patch: Value) -> Result<Object, ClusterError> {
    cluster.patch(at, None, &Patch::Merge(patch), Write::Real).await
}

async fn delete(cluster: &dyn Cluster, at: &At) -> Result<(), ClusterError> {
    cluster.delete(at, &Deletion::default(), Write::Real).await
}

fn query(kind: &Kind, namespace: &str) -> Query {
    Query { kind: kind.clone(), namespace: Some(namespace.to_owned()), labels: String::new(), fields: String::new() }
}

/// Names of what is listed, in order, and the list's version.
async fn listed(cluster: &dyn Cluster, query: &Query) -> Result<(Vec<String>, String), ClusterError> {
    let mut names = Vec::new();
    let mut each = |object: Object| {
        names.push(object.name().to_owned());
        Flow::On
    };
    let version = cluster.list(query, &mut each).await?;
    names.sort();
    Ok((names, version))
}

/// Waits until it holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let work = async {
        while !holds().await {
            pace.tick().await;
        }
    };
    assert!(tokio::time::timeout(SOON, work).await.is_ok(), "not within {SOON:?}: {what}");
}

/// The same cluster as an account that has no rights: the first account of a kubeconfig, that acts as nobody in particular.
pub async fn nobody(kubeconfig: &Path, folder: &Path) -> Arc<dyn Cluster> {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let mut config: Value = serde_yaml::from_str(&text).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"]["as"] = "blackstart-nobody".into();
    }
    let path = folder.join("nobody");
    std::fs::write(&path, config.to_string()).unwrap();
    system().open(&Access { kubeconfig: Some(path), context: None }).await.unwrap()
}
