//! Scenarios on whatever cluster: a namespace of one's own, a Deployment in it, and running several of them. What every
//! fault must hold is in `conforms`.

use super::conforms::{Bench, Ignore, conforms, fault, heals_any_half};
use super::contract::fresh;
use blackstart::adapters::kubernetes::{Access, ClusterError, Deletion, Kind, Object, Patch, Write};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

/// What a container does all day; it ends when it is asked to.
const PROGRAM: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

pub type Scenario = for<'a> fn(&'a Access) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! scenes {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |access| Box::pin($name(access)))),*] };
}
pub(crate) use scenes;

pub fn kind(name: &str) -> Kind {
    Kind::known(name).unwrap()
}

pub fn template(app: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "web", "image": "registry.example/web:1", "command": ["/bin/sh", "-c", PROGRAM]}],
        },
    })
}

pub fn deployment(name: &str, replicas: u64) -> Value {
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name)});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

pub fn service(name: &str) -> Value {
    let spec = json!({"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080, "name": "http"}]});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// Makes an object. A new namespace takes pods only when its account has got its token: until then it is tried again.
pub async fn make(bench: &Bench, name: &str, object: &Value) -> Object {
    let (cluster, kind) = (bench.cluster().await, kind(name));
    let made = std::sync::Mutex::new(None);
    bench
        .until("made", || async {
            match cluster.create(&kind, Some(&bench.namespace), object, Write::Real).await {
                Ok(object) => *made.lock().unwrap() = Some(object),
                Err(ClusterError::TimedOut(why)) => return Err(why),
                Err(error) => panic!("{error}"),
            }
            Ok(())
        })
        .await;
    made.into_inner().unwrap().unwrap()
}

pub async fn merge(bench: &Bench, name: &str, of: &str, patch: Value) {
    let at = kind(name).at(Some(&bench.namespace), of);
    bench.cluster().await.patch(&at, None, &Patch::Merge(patch), Write::Real).await.unwrap();
}

pub async fn look(bench: &Bench, name: &str, of: &str) -> Option<Object> {
    bench.cluster().await.get(&kind(name).at(Some(&bench.namespace), of)).await.unwrap()
}

pub async fn get(bench: &Bench, name: &str, of: &str) -> Object {
    look(bench, name, of).await.expect("it is there")
}

pub async fn remove(bench: &Bench, name: &str, of: &str) {
    let at = kind(name).at(Some(&bench.namespace), of);
    bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
    bench
        .until("gone", || async {
            if look(bench, name, of).await.is_none() { Ok(()) } else { Err(format!("{at} is there")) }
        })
        .await;
}

/// A new namespace.
pub async fn empty(access: &Access, what: &str) -> Bench {
    let namespace = fresh(what);
    let bench = Bench::new(access, &namespace);
    let object = json!({"metadata": {"name": namespace}});
    bench.cluster().await.create(&kind("namespace"), None, &object, Write::Real).await.unwrap();
    bench
}

/// The same with a Deployment `web` of three pods.
pub async fn web(access: &Access, what: &str) -> Bench {
    let bench = empty(access, what).await;
    make(&bench, "deployment", &deployment("web", 3)).await;
    bench.ready(("app", "web"), 3).await;
    bench
}

pub async fn end(bench: &Bench) {
    let at = kind("namespace").at(None, &bench.namespace);
    bench.cluster().await.delete(&at, &Deletion::default(), Write::Real).await.unwrap();
}

/// Why a fault is not even prepared.
pub async fn refusal(bench: &Bench, parameters: Value) -> String {
    bench.pin().await;
    fault(parameters).prepare(&bench.cx()).await.err().expect("it is refused").to_string()
}

/// What every fault must hold, and what it must hold when everything dies after any half of it.
pub async fn whole(bench: &Bench, parameters: Value, ignore: Ignore) {
    let spec = fault(parameters);
    conforms(bench, &spec, ignore).await;
    heals_any_half(bench, &spec, ignore).await;
}

/// What is made again is another object, and so is what its controllers make.
pub fn made_again(object: &mut Object) {
    let kind = object.text("/kind").to_owned();
    if kind == "ReplicaSet" || object.owners().iter().any(|owner| owner.kind == "Deployment") {
        object.0 = Value::Null;
        return;
    }
    let metadata = object.0["metadata"].as_object_mut().unwrap();
    metadata.remove("uid");
    metadata.remove("creationTimestamp");
}

/// Runs scenarios one after the other, and says all that do not hold.
pub async fn hold(access: &Access, scenarios: &[(&str, Scenario)]) {
    let mut broken = Vec::new();
    for (name, scenario) in scenarios {
        let begun = std::time::Instant::now();
        if AssertUnwindSafe(scenario(access)).catch_unwind().await.is_err() {
            broken.push(*name);
        }
        println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    assert!(broken.is_empty(), "these do not hold (their panics are above): {}", broken.join(", "));
}
