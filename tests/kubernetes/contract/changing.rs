//! Objects made, changed and deleted: preconditions, patches, dry runs, refusals.

use super::*;

fn data(key: &str, value: &str) -> Value {
    json!({ "data": { key: value } })
}

pub async fn made_read_and_deleted(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    assert_eq!(cluster.get(&at).await, Ok(None));
    let made = make(cluster, &at, data("a", "1")).await;
    assert_eq!((made.name(), made.namespace(), made.text("/kind")), ("one", Some(namespace), "ConfigMap"));
    assert!(!made.uid().is_empty() && !made.version().is_empty());
    assert_eq!(read(cluster, &at).await, made);
    delete(cluster, &at).await.unwrap();
    assert_eq!(cluster.get(&at).await, Ok(None));
    assert!(matches!(delete(cluster, &at).await, Err(ClusterError::Missing(_))));
}

pub async fn made_twice(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    make(cluster, &at, data("a", "1")).await;
    let object = json!({ "metadata": { "name": "one" }, "data": { "a": "2" } });
    let again = cluster.create(&at.kind, Some(namespace), &object, Write::Real).await;
    assert!(matches!(again, Err(ClusterError::Exists(_))), "{again:?}");
    assert_eq!(read(cluster, &at).await.text("/data/a"), "1");
}

pub async fn made_with_a_name_of_the_servers(cluster: &dyn Cluster, namespace: &str) {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "generateName": "some-" } });
    let maps = kind("configmap");
    let make = || cluster.create(&maps, Some(namespace), &object, Write::Real);
    let (a, b) = (make().await.unwrap(), make().await.unwrap());
    assert!(a.name().starts_with("some-") && a.name() != b.name(), "{} {}", a.name(), b.name());
}

pub async fn stale_versions(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    let first = make(cluster, &at, data("a", "1")).await;
    let with =
        |version: &str, value: &str| json!({ "metadata": { "resourceVersion": version }, "data": { "a": value } });
    let second = merge(cluster, &at, with(first.version(), "2")).await.unwrap();
    assert_ne!(first.version(), second.version());
    let late = merge(cluster, &at, with(first.version(), "3")).await;
    assert!(matches!(late, Err(ClusterError::Conflict(_))), "{late:?}");
    assert_eq!(read(cluster, &at).await, second);
    let same = merge(cluster, &at, json!({ "data": { "a": "2" } })).await.unwrap();
    assert_eq!(same.version(), second.version(), "a change that changes nothing makes no version");
}

pub async fn other_uids(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    let old = make(cluster, &at, data("a", "1")).await;
    delete(cluster, &at).await.unwrap();
    let new = make(cluster, &at, data("a", "1")).await;
    assert_ne!(old.uid(), new.uid());
    let of_old = json!({ "metadata": { "uid": old.uid() }, "data": { "a": "2" } });
    let changed = merge(cluster, &at, of_old).await;
    assert!(matches!(changed, Err(ClusterError::Conflict(_))), "{changed:?}");
    let only = |uid: &str| Deletion { uid: Some(uid.to_owned()), ..Deletion::default() };
    let gone = cluster.delete(&at, &only(old.uid()), Write::Real).await;
    assert!(matches!(gone, Err(ClusterError::Conflict(_))), "{gone:?}");
    assert_eq!(read(cluster, &at).await, new);
    cluster.delete(&at, &only(new.uid()), Write::Real).await.unwrap();
    assert_eq!(cluster.get(&at).await, Ok(None));
}

/// Of several that change the same version, one wins: what a Lease lives on.
pub async fn races(cluster: &dyn Cluster, namespace: &str) {
    let at = kind("lease").at(Some(namespace), "one");
    let lease = make(cluster, &at, json!({ "spec": { "holderIdentity": "nobody" } })).await;
    let take = |who: usize| {
        let patch = json!({ "metadata": { "resourceVersion": lease.version() }, "spec": { "holderIdentity": format!("r{who}") } });
        let at = &at;
        async move { merge(cluster, at, patch).await }
    };
    let all: Vec<_> = stream::iter(0..5).map(take).buffer_unordered(5).collect().await;
    let won: Vec<&Object> = all.iter().filter_map(|one| one.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert!(all.iter().all(|one| matches!(one, Ok(_) | Err(ClusterError::Conflict(_)))), "{all:?}");
    assert_eq!(read(cluster, &at).await.text("/spec/holderIdentity"), won[0].text("/spec/holderIdentity"));
}

pub async fn json_patches(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    let object = json!({ "metadata": { "annotations": { "test.example/b": "1" } }, "data": { "c": "2" } });
    let first = make(cluster, &at, object).await;
    let patch = |expected: &str| {
        Patch::Json(json!([
            { "op": "test", "path": "/metadata/annotations/test.example~1b", "value": expected },
            { "op": "replace", "path": "/metadata/annotations/test.example~1b", "value": "9" },
            { "op": "remove", "path": "/data/c" },
            { "op": "add", "path": "/data/d", "value": "4" }
        ]))
    };
    let refused = cluster.patch(&at, None, &patch("7"), Write::Real).await;
    assert!(matches!(refused, Err(ClusterError::Invalid(_))), "{refused:?}");
    assert_eq!(read(cluster, &at).await, first);
    let done = cluster.patch(&at, None, &patch("1"), Write::Real).await.unwrap();
    assert_eq!((done.annotation("test.example/b"), &done.0["data"]), (Some("9"), &json!({ "d": "4" })));
}

pub async fn merge_patches(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    make(cluster, &at, json!({ "metadata": { "labels": { "x": "1", "y": "2" } }, "data": { "a": "1" } })).await;
    let patch = json!({ "metadata": { "labels": { "x": null, "z": "3" } }, "data": null });
    let done = merge(cluster, &at, patch).await.unwrap();
    assert_eq!(done.0["metadata"]["labels"], json!({ "y": "2", "z": "3" }));
    assert_eq!(done.0.get("data"), None);
    let missing = merge(cluster, &map(namespace, "two"), json!({ "data": { "a": "1" } })).await;
    assert!(matches!(missing, Err(ClusterError::Missing(_))), "{missing:?}");
}

/// Two containers, none of which runs: no node has such a label.
pub fn deployment(replicas: u32) -> Value {
    let container = |name: &str| json!({ "name": name, "image": format!("{name}:1") });
    json!({ "spec": {
        "replicas": replicas,
        "selector": { "matchLabels": { "app": "web" } },
        "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": { "nodeSelector": { "blackstart.dev/nowhere": "1" }, "containers": [container("web"), container("side")] }
        }
    } })
}

pub async fn strategic_patches(cluster: &dyn Cluster, namespace: &str) {
    let at = kind("deployment").at(Some(namespace), "web");
    make(cluster, &at, deployment(0)).await;
    let patch =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "side", "image": "other:2" }] } } } });
    let done = cluster.patch(&at, None, &Patch::Strategic(patch), Write::Real).await.unwrap();
    let mut images: Vec<&str> =
        done.items("/spec/template/spec/containers").iter().filter_map(|c| c["image"].as_str()).collect();
    images.sort_unstable();
    assert_eq!(images, ["other:2", "web:1"]);
    let gone =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "side", "$patch": "delete" }] } } } });
    let done = cluster.patch(&at, None, &Patch::Strategic(gone), Write::Real).await.unwrap();
    assert_eq!(done.items("/spec/template/spec/containers").len(), 1);
}

pub async fn finalizers(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    make(cluster, &at, json!({ "metadata": { "finalizers": ["blackstart.dev/test"] } })).await;
    delete(cluster, &at).await.unwrap();
    let ending = read(cluster, &at).await;
    assert!(ending.ending());
    let object = json!({ "metadata": { "name": "one" } });
    let again = cluster.create(&at.kind, Some(namespace), &object, Write::Real).await;
    assert!(matches!(again, Err(ClusterError::Exists(_))), "{again:?}");
    merge(cluster, &at, json!({ "metadata": { "finalizers": null } })).await.unwrap();
    assert_eq!(cluster.get(&at).await, Ok(None));
    for propagation in [Propagation::Background, Propagation::Foreground, Propagation::Orphan] {
        make(cluster, &at, data("a", "1")).await;
        let how = Deletion { propagation: Some(propagation), ..Deletion::default() };
        cluster.delete(&at, &how, Write::Real).await.unwrap();
        // With the last two, a garbage collector ends it; without one it waits.
        let left = cluster.get(&at).await.unwrap();
        assert!(left.as_ref().is_none_or(Object::ending), "{propagation:?}: {left:?}");
        if left.is_some() {
            let freed = merge(cluster, &at, json!({ "metadata": { "finalizers": null } })).await;
            assert!(matches!(freed, Ok(_) | Err(ClusterError::Missing(_))), "{freed:?}");
            until("it is gone", async || cluster.get(&at).await == Ok(None)).await;
        }
    }
}

pub async fn dry_runs(cluster: &dyn Cluster, namespace: &str) {
    let at = map(namespace, "one");
    let object = json!({ "metadata": { "name": "one" }, "data": { "a": "1" } });
    let would = cluster.create(&at.kind, Some(namespace), &object, Write::Dry).await.unwrap();
    assert_eq!(would.text("/data/a"), "1");
    cluster.apply(&at, &json!({ "data": { "a": "1" } }), Write::Dry).await.unwrap();
    assert_eq!(cluster.get(&at).await, Ok(None));
    let made = make(cluster, &at, data("a", "1")).await;
    let again = cluster.create(&at.kind, Some(namespace), &object, Write::Dry).await;
    assert!(matches!(again, Err(ClusterError::Exists(_))), "{again:?}");
    let patch = Patch::Merge(data("a", "2"));
    assert_eq!(cluster.patch(&at, None, &patch, Write::Dry).await.unwrap().text("/data/a"), "2");
    cluster.delete(&at, &Deletion::default(), Write::Dry).await.unwrap();
    let wrong = Deletion { uid: Some("00000000-0000-0000-0000-000000000000".to_owned()), ..Deletion::default() };
    let refused = cluster.delete(&at, &wrong, Write::Dry).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
    assert_eq!(read(cluster, &at).await, made);
}

pub async fn refusals(cluster: &dyn Cluster, namespace: &str) {
    let create = async |kind: &Kind, place: &str, object: Value| {
        cluster.create(kind, Some(place), &object, Write::Dry).await.err()
    };
    let maps = kind("configmap");
    let name = create(&maps, namespace, json!({ "metadata": { "name": "Not_A_Name" } })).await;
    assert!(matches!(name, Some(ClusterError::Invalid(_))), "{name:?}");
    let kind_of = |name: &str| kind(name);
    let bare = create(&kind_of("deployment"), namespace, json!({ "metadata": { "name": "web" }, "spec": {} })).await;
    assert!(matches!(bare, Some(ClusterError::Invalid(_))), "{bare:?}");
    let mut typed = deployment(1);
    typed["metadata"]["name"] = "web".into();
    typed["spec"]["replicas"] = "many".into();
    let typed = create(&kind_of("deployment"), namespace, typed).await;
    assert!(matches!(typed, Some(ClusterError::Invalid(_))), "{typed:?}");
    let nowhere = create(&maps, &fresh("nowhere"), json!({ "metadata": { "name": "one" } })).await;
    assert!(matches!(nowhere, Some(ClusterError::Missing(_))), "{nowhere:?}");
    let other = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "one" } });
    let other = create(&maps, namespace, other).await;
    assert!(matches!(other, Some(ClusterError::Invalid(_))), "{other:?}");
}

pub async fn nothing_secret_is_repeated(cluster: &dyn Cluster, namespace: &str) {
    let secrets = kind("secret");
    let object = json!({ "metadata": { "name": "one" }, "data": { "password": "hunter2 is no base64" } });
    let refused = cluster.create(&secrets, Some(namespace), &object, Write::Real).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Invalid(_)), "{refused:?}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    let at = secrets.at(Some(namespace), "one");
    make(cluster, &at, json!({ "stringData": { "password": "hunter2" } })).await;
    assert_eq!(read(cluster, &at).await.text("/data/password"), "aHVudGVyMg==");
}

pub async fn too_large(cluster: &dyn Cluster, namespace: &str) {
    let object = json!({ "metadata": { "name": "one" }, "data": { "a": "x".repeat(4 << 20) } });
    let refused = cluster.create(&kind("configmap"), Some(namespace), &object, Write::Real).await;
    assert!(matches!(refused, Err(ClusterError::Invalid(_))), "{refused:?}");
}
