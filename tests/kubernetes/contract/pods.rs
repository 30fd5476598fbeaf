//! Pods as the API server keeps them: their status, how they end, evictions. None of them runs: no node has their label.

use super::*;

/// A pod that no node takes.
pub fn pod(labels: Value) -> Value {
    json!({
        "metadata": { "labels": labels },
        "spec": {
            "nodeSelector": { "blackstart.dev/nowhere": "1" },
            "automountServiceAccountToken": false,
            "containers": [{ "name": "web", "image": "web:1" }]
        }
    })
}

/// Makes it: a new namespace has its service account a moment later.
async fn started(cluster: &dyn Cluster, at: &At, object: &Value) -> Object {
    let mut object = object.clone();
    object["metadata"]["name"] = at.name.clone().into();
    until("the namespace takes pods", async || {
        let made = cluster.create(&at.kind, at.namespace.as_deref(), &object, Write::Dry).await;
        assert!(matches!(made, Ok(_) | Err(ClusterError::Forbidden(_))), "{made:?}");
        made.is_ok()
    })
    .await;
    make(cluster, at, object).await
}

async fn runs(cluster: &dyn Cluster, at: &At) -> Object {
    let conditions = json!([{ "type": "Ready", "status": "True" }]);
    let patch = Patch::Strategic(json!({ "status": { "phase": "Running", "conditions": conditions } }));
    cluster.patch(at, Some("status"), &patch, Write::Real).await.unwrap()
}

fn at(namespace: &str, name: &str) -> At {
    kind("pod").at(Some(namespace), name)
}

pub async fn status(cluster: &dyn Cluster, namespace: &str) {
    let at = at(namespace, "one");
    let made = started(cluster, &at, &pod(json!({}))).await;
    assert_eq!(made.text("/status/phase"), "Pending");
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "x": "1" } }, "status": { "phase": "Running" } }));
    let changed = cluster.patch(&at, None, &patch, Write::Real).await.unwrap();
    assert_eq!(
        (changed.text("/status/phase"), changed.label("x")),
        ("Pending", Some("1")),
        "status is a part of its own"
    );
    let running = runs(cluster, &at).await;
    assert_eq!((running.text("/status/phase"), running.condition("Ready")), ("Running", Some(true)));
    let patch = Patch::Merge(json!({ "spec": { "containers": [] }, "status": { "reason": "Because" } }));
    let changed = cluster.patch(&at, Some("status"), &patch, Write::Real).await.unwrap();
    assert_eq!((changed.items("/spec/containers").len(), changed.text("/status/reason")), (1, "Because"));
}

pub async fn deleted_with_grace(cluster: &dyn Cluster, namespace: &str) {
    let at = at(namespace, "one");
    let mut object = pod(json!({}));
    // On a node that is none: nobody ends it.
    object["spec"]["nodeName"] = fresh("node").into();
    let made = started(cluster, &at, &object).await;
    delete(cluster, &at).await.unwrap();
    let ending = read(cluster, &at).await;
    assert!(ending.ending());
    assert_eq!((ending.uid(), ending.number("/metadata/deletionGracePeriodSeconds")), (made.uid(), Some(30)));
    let shorter = Deletion { grace: Some(7), ..Deletion::default() };
    cluster.delete(&at, &shorter, Write::Real).await.unwrap();
    assert_eq!(read(cluster, &at).await.number("/metadata/deletionGracePeriodSeconds"), Some(7));
    let now = Deletion { grace: Some(0), uid: Some(made.uid().to_owned()), ..Deletion::default() };
    cluster.delete(&at, &now, Write::Real).await.unwrap();
    assert_eq!(cluster.get(&at).await, Ok(None));
}

pub async fn evicted(cluster: &dyn Cluster, namespace: &str) {
    let at = at(namespace, "one");
    started(cluster, &at, &pod(json!({}))).await;
    cluster.evict(&at, &Deletion::default(), Write::Dry).await.unwrap();
    assert!(!read(cluster, &at).await.ending());
    let other = Deletion { uid: Some("00000000-0000-0000-0000-000000000000".to_owned()), ..Deletion::default() };
    let refused = cluster.evict(&at, &other, Write::Real).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
    cluster.evict(&at, &Deletion { grace: Some(0), ..Deletion::default() }, Write::Real).await.unwrap();
    until("it is gone", async || cluster.get(&at).await == Ok(None)).await;
    let again = cluster.evict(&at, &Deletion::default(), Write::Real).await;
    assert!(matches!(again, Err(ClusterError::Missing(_))), "{again:?}");
}

pub async fn budgets(cluster: &dyn Cluster, namespace: &str) {
    let at = at(namespace, "one");
    let budgets = cluster.kind("poddisruptionbudgets.policy").await.unwrap();
    let budget = json!({ "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    make(cluster, &budgets.at(Some(namespace), "web"), budget).await;
    started(cluster, &at, &pod(json!({ "app": "web" }))).await;
    runs(cluster, &at).await;
    let refused = cluster.evict(&at, &Deletion::default(), Write::Real).await;
    assert!(matches!(refused, Err(ClusterError::Blocked(_))), "{refused:?}");
    assert!(!read(cluster, &at).await.ending());
    // A deletion asks no budget.
    delete(cluster, &at).await.unwrap();
}

pub async fn chosen_by_fields(cluster: &dyn Cluster, namespace: &str) {
    let node = fresh("node");
    let mut placed = pod(json!({}));
    placed["spec"]["nodeName"] = node.clone().into();
    started(cluster, &at(namespace, "placed"), &placed).await;
    started(cluster, &at(namespace, "loose"), &pod(json!({}))).await;
    started(cluster, &at(namespace, "running"), &pod(json!({}))).await;
    runs(cluster, &at(namespace, "running")).await;
    for (fields, names) in [
        (format!("spec.nodeName={node}"), vec!["placed"]),
        ("spec.nodeName=".to_owned(), vec!["loose", "running"]),
        ("status.phase=Running".to_owned(), vec!["running"]),
        ("status.phase!=Running,metadata.name!=placed".to_owned(), vec!["loose"]),
    ] {
        let query = Query { fields: fields.clone(), ..query(&kind("pod"), namespace) };
        assert_eq!(listed(cluster, &query).await.unwrap().0, names, "{fields}");
    }
    let now = Deletion { grace: Some(0), ..Deletion::default() };
    cluster.delete(&at(namespace, "placed"), &now, Write::Real).await.unwrap();
}
