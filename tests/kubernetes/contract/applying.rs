//! Server-side apply as we use it: what we apply is ours, what others own is reported and never taken.

use super::changing::deployment;
use super::*;
use blackstart::adapters::kubernetes::{Applier, Conflicts};

async fn apply(cluster: &dyn Cluster, at: &At, object: Value) -> Result<Object, ClusterError> {
    cluster.apply(at, &object, Write::Real).await
}

fn managers(object: &Object) -> Vec<(&str, &str)> {
    let entries = object.items("/metadata/managedFields").iter();
    entries.filter_map(|entry| entry["manager"].as_str().zip(entry["operation"].as_str())).collect()
}

pub async fn applied_and_taken_back(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    let both = json!({ "metadata": { "labels": { "x": "1" } }, "data": { "a": "1", "b": "2" } });
    let made = apply(cluster, &at, both.clone()).await.unwrap();
    assert_eq!(managers(&made), [("blackstart", "Apply")]);
    let again = apply(cluster, &at, both).await.unwrap();
    assert_eq!(made.uid(), again.uid());
    let fewer = apply(cluster, &at, json!({ "data": { "a": "3" } })).await.unwrap();
    assert_eq!(fewer.0["data"], json!({ "a": "3" }));
    assert_eq!(fewer.label("x"), None);
    let bare = apply(cluster, &at, json!({})).await.unwrap();
    assert!(bare.text("/data/a").is_empty(), "{bare:?}");
}

pub async fn conflicts_are_reported(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    // What is made otherwise is owned by who made it, by us too.
    make(cluster, &at, json!({ "data": { "a": "1", "b": "2" } })).await;
    let refused = apply(cluster, &at, json!({ "data": { "a": "9" } })).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
    let dry = cluster.apply(&at, &json!({ "data": { "a": "9" } }), Write::Dry).await;
    assert!(matches!(dry, Err(ClusterError::Conflict(_))), "{dry:?}");
    assert_eq!(read(cluster, &at).await.0["data"], json!({ "a": "1", "b": "2" }));
}

pub async fn applied_to_what_others_made(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    make(cluster, &at, json!({ "data": { "a": "1" } })).await;
    let more = apply(cluster, &at, json!({ "data": { "ours": "1" } })).await.unwrap();
    assert_eq!(more.0["data"], json!({ "a": "1", "ours": "1" }));
    // The same value is no conflict: it has two owners now, and stays when one of them gives it up.
    apply(cluster, &at, json!({ "data": { "ours": "1", "a": "1" } })).await.unwrap();
    let less = apply(cluster, &at, json!({})).await.unwrap();
    assert_eq!(less.0["data"], json!({ "a": "1" }));
    // Somebody else changes what is ours: it is theirs now.
    apply(cluster, &at, json!({ "data": { "ours": "1" } })).await.unwrap();
    merge(cluster, &at, json!({ "data": { "ours": "2" } })).await.unwrap();
    let refused = apply(cluster, &at, json!({ "data": { "ours": "1" } })).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
}

pub async fn applied_by_others(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    apply(cluster, &at, json!({ "data": { "a": "1" } })).await.unwrap();
    let by = |conflicts| Applier { manager: "somebody".to_owned(), conflicts };
    let theirs = json!({ "data": { "a": "2" } });
    let refused = cluster.apply_by(&by(Conflicts::Report), &at, &theirs, Write::Real).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
    let taken = cluster.apply_by(&by(Conflicts::TakeOver), &at, &theirs, Write::Real).await.unwrap();
    assert_eq!(taken.text("/data/a"), "2");
    assert!(managers(&taken).contains(&("somebody", "Apply")), "{taken:?}");
    let ours = apply(cluster, &at, json!({ "data": { "a": "1" } })).await;
    assert!(matches!(ours, Err(ClusterError::Conflict(_))), "{ours:?}");
}

pub async fn scale(cluster: &dyn Cluster, namespace: &str) {
    let at = kind("deployment").at(Some(namespace), "web");
    let made = make(cluster, &at, deployment(0)).await;
    assert_eq!(made.number("/spec/replicas"), Some(0));
    let to = |replicas: u32| Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let scaled = cluster.patch(&at, Some("scale"), &to(2), Write::Real).await.unwrap();
    assert_eq!((scaled.text("/kind"), scaled.number("/spec/replicas")), ("Scale", Some(2)));
    let dry = cluster.patch(&at, Some("scale"), &to(5), Write::Dry).await.unwrap();
    assert_eq!(dry.number("/spec/replicas"), Some(5));
    let now = read(cluster, &at).await;
    assert_eq!(now.number("/spec/replicas"), Some(2));
    assert_eq!(now.number("/metadata/generation"), Some(2));
    let other = Patch::Merge(json!({ "metadata": { "resourceVersion": made.version() }, "spec": { "replicas": 1 } }));
    let late = cluster.patch(&at, Some("scale"), &other, Write::Real).await;
    assert!(matches!(late, Err(ClusterError::Conflict(_))), "{late:?}");
    let none = cluster.patch(&map(namespace, "one"), Some("scale"), &to(1), Write::Real).await;
    assert!(matches!(none, Err(ClusterError::Missing(_))), "{none:?}");
}
