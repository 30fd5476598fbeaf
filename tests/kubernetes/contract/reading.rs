//! Objects found: kinds, selectors, pages, watches, rights.

use super::*;
use blackstart::adapters::kubernetes::{Allowed, Change, May, PAGE, Scope};

pub async fn facts(cluster: &dyn Cluster, _: &str) {
    let facts = cluster.facts();
    assert!(facts.version == (0, 0) || facts.version >= (1, 20), "{facts:?}");
    assert!(facts.server.starts_with("http") && !facts.server.contains('@'), "{facts:?}");
    assert!(!facts.namespace.is_empty());
}

pub async fn kinds(cluster: &dyn Cluster, _: &str) {
    let names = [
        ("po", "v1 pods"),
        ("Pods", "v1 pods"),
        ("deploy", "apps/v1 deployments"),
        ("Deployment", "apps/v1 deployments"),
        ("deployments.apps", "apps/v1 deployments"),
        ("Deployment.v1.apps", "apps/v1 deployments"),
        ("ns", "v1 namespaces"),
        ("events", "v1 events"),
        ("netpol", "networking.k8s.io/v1 networkpolicies"),
    ];
    for (name, means) in names {
        let kind = cluster.kind(name).await.unwrap();
        assert_eq!(format!("{} {}", kind.api(), kind.plural), means, "{name}");
    }
    assert_eq!(cluster.kind("no").await.unwrap().scope, Scope::Cluster);
    let budget = cluster.kind("pdb").await.unwrap();
    assert_eq!((budget.group.as_str(), budget.scope), ("policy", Scope::Namespaced));
    let Err(ClusterError::Missing(text)) = cluster.kind("deploymnets").await else { panic!("a kind of that name") };
    assert!(text.contains("did you mean `deployments`?"), "{text}");
    assert!(matches!(cluster.kind("pods.nowhere.example").await, Err(ClusterError::Missing(_))));
}

pub async fn label_selectors(cluster: &dyn Cluster, namespace: &str) {
    for (name, labels) in [
        ("a", json!({ "app": "web", "tier": "front" })),
        ("b", json!({ "app": "web", "tier": "back" })),
        ("c", json!({ "app": "db" })),
        ("d", json!({})),
    ] {
        make(cluster, &map(namespace, name), json!({ "metadata": { "labels": labels } })).await;
    }
    let found = async |labels: &str| {
        let query = Query { labels: labels.to_owned(), ..query(&kind("configmap"), namespace) };
        listed(cluster, &query)
            .await
            .map(|(names, _)| names.into_iter().filter(|name| name.len() == 1).collect::<String>())
    };
    for (labels, names) in [
        ("app=web", "ab"),
        ("app==web,tier=front", "a"),
        ("app!=web", "cd"),
        ("app in (web,db)", "abc"),
        ("app notin (web), app", "c"),
        ("tier", "ab"),
        ("!tier", "cd"),
        ("tier in (front, back),app=web,!x", "ab"),
    ] {
        assert_eq!(found(labels).await.as_deref(), Ok(names), "{labels}");
    }
    for wrong in ["app in web", "=x", "app=a b"] {
        assert!(matches!(found(wrong).await, Err(ClusterError::Invalid(_))), "{wrong}");
    }
}

pub async fn field_selectors(cluster: &dyn Cluster, namespace: &str) {
    for name in ["a", "b"] {
        make(cluster, &map(namespace, name), json!({})).await;
    }
    let found = async |fields: String| {
        let query = Query { fields, ..query(&kind("configmap"), namespace) };
        listed(cluster, &query).await.map(|(names, _)| names)
    };
    assert_eq!(found("metadata.name=b".to_owned()).await, Ok(vec!["b".to_owned()]));
    assert_eq!(found(format!("metadata.name==a,metadata.namespace={namespace}")).await, Ok(vec!["a".to_owned()]));
    assert!(!found("metadata.name!=a".to_owned()).await.unwrap().contains(&"a".to_owned()));
    let unknown = found("data.a=1".to_owned()).await;
    assert!(matches!(unknown, Err(ClusterError::Invalid(_))), "{unknown:?}");
}

pub async fn pages(cluster: &dyn Cluster, namespace: &str) {
    let some = PAGE as usize + 7;
    let names: Vec<String> = (0..some).map(|n| format!("m-{n:04}")).collect();
    let labels = json!({ "metadata": { "labels": { "made": "here" } } });
    let one = |name: &String| {
        let (at, labels) = (map(namespace, name), labels.clone());
        async move { make(cluster, &at, labels).await }
    };
    let made: Vec<Object> = stream::iter(&names).map(one).buffer_unordered(16).collect().await;
    assert_eq!(made.len(), some);
    let query = Query { labels: "made=here".to_owned(), ..query(&kind("configmap"), namespace) };
    let (found, version) = listed(cluster, &query).await.unwrap();
    assert_eq!(found, names, "every one of them once");
    assert!(!version.is_empty());
    let mut seen = 0;
    let mut first = |object: Object| {
        assert_eq!((object.text("/kind"), object.text("/apiVersion")), ("ConfigMap", "v1"));
        seen += 1;
        if seen == 3 { Flow::Enough } else { Flow::On }
    };
    cluster.list(&query, &mut first).await.unwrap();
    assert_eq!(seen, 3);
}

pub async fn every_namespace(cluster: &dyn Cluster, namespace: &str) {
    let other = super::namespace(cluster, "other").await;
    let label = fresh("label");
    for place in [namespace, &other] {
        make(cluster, &map(place, place), json!({ "metadata": { "labels": { "of": label } } })).await;
    }
    let all = Query { namespace: None, labels: format!("of={label}"), ..query(&kind("configmap"), "") };
    let mut expected = vec![namespace.to_owned(), other.clone()];
    expected.sort();
    assert_eq!(listed(cluster, &all).await.map(|(names, _)| names), Ok(expected));
    delete(cluster, &kind("namespace").at(None, &other)).await.unwrap();
}

pub async fn watched(cluster: &dyn Cluster, namespace: &str) {
    let query = Query { labels: "app=web".to_owned(), ..query(&kind("configmap"), namespace) };
    let at = map(namespace, "one");
    let (_, since) = listed(cluster, &query).await.unwrap();
    make(cluster, &at, json!({ "metadata": { "labels": { "app": "web" } }, "data": { "a": "1" } })).await;
    make(cluster, &map(namespace, "two"), json!({ "metadata": { "labels": { "app": "db" } } })).await;
    merge(cluster, &at, json!({ "data": { "a": "2" } })).await.unwrap();
    merge(cluster, &at, json!({ "metadata": { "labels": { "app": "db" } } })).await.unwrap();
    merge(cluster, &at, json!({ "metadata": { "labels": { "app": "web" } } })).await.unwrap();
    // What comes while it is watched is seen as well.
    let (seen, deleted) = tokio::join!(changes(cluster, &query, &since, 5), delete(cluster, &at));
    deleted.unwrap();
    assert_eq!(seen, ["is one 1", "is one 2", "gone one 2", "is one 2", "gone one 2"]);
}

async fn changes(cluster: &dyn Cluster, query: &Query, since: &str, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut each = |change: Change| {
        let (word, object) = match &change {
            Change::Is(object) => ("is", object),
            Change::Gone(object) => ("gone", object),
        };
        seen.push(format!("{word} {} {}", object.name(), object.text("/data/a")));
        if seen.len() == count { Flow::Enough } else { Flow::On }
    };
    cluster.watch(query, since, SOON, &mut each).await.unwrap();
    seen
}

pub async fn watched_in_vain(cluster: &dyn Cluster, namespace: &str) {
    let query = Query { labels: "app=web".to_owned(), ..query(&kind("configmap"), namespace) };
    let (_, since) = listed(cluster, &query).await.unwrap();
    let mut each = |change: Change| panic!("{change:?}");
    cluster.watch(&query, &since, Duration::from_millis(300), &mut each).await.unwrap();
}

/// A server that has forgotten says so; one that is young enough tells all. Nothing is passed over in silence.
pub async fn watched_from_too_long_ago(cluster: &dyn Cluster, namespace: &str) {
    make(cluster, &map(namespace, "one"), json!({})).await;
    let query = Query { fields: "metadata.name=one".to_owned(), ..query(&kind("configmap"), namespace) };
    let mut told = false;
    let mut each = |change: Change| {
        told = matches!(change, Change::Is(_));
        Flow::Enough
    };
    let old = cluster.watch(&query, "1", SOON, &mut each).await;
    assert!(told || matches!(old, Err(ClusterError::Gone(_))), "{old:?}");
}

pub async fn missing(cluster: &dyn Cluster, namespace: &str) {
    let none = Kind::of("nowhere.example", "v1", "Thing", "things", Scope::Namespaced);
    let at = none.at(Some(namespace), "one");
    let got = cluster.get(&at).await;
    assert!(matches!(got, Err(ClusterError::Missing(_))), "{got:?}");
    let found = listed(cluster, &query(&none, namespace)).await;
    assert!(matches!(found, Err(ClusterError::Missing(_))), "{found:?}");
    let made = cluster.create(&none, Some(namespace), &json!({ "metadata": { "name": "one" } }), Write::Real).await;
    assert!(matches!(made, Err(ClusterError::Missing(_))), "{made:?}");
    let applied = cluster.apply(&at, &json!({}), Write::Real).await;
    assert!(matches!(applied, Err(ClusterError::Missing(_))), "{applied:?}");
    // A namespace that is not there has nothing in it.
    let nowhere = fresh("nowhere");
    assert_eq!(cluster.get(&map(&nowhere, "one")).await, Ok(None));
    assert_eq!(listed(cluster, &query(&kind("configmap"), &nowhere)).await.unwrap().0, Vec::<String>::new());
}

pub async fn allowed(cluster: &dyn Cluster, namespace: &str) {
    let may = May {
        verb: "create".to_owned(),
        group: String::new(),
        resource: "pods".to_owned(),
        part: Some("eviction".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: None,
    };
    assert_eq!(cluster.may(&may).await, Ok(Allowed::Yes));
}

/// What an account without rights is told: not part of every run, for it takes such an account.
pub async fn forbidden(nobody: &dyn Cluster, namespace: &str) {
    let may = May {
        verb: "delete".to_owned(),
        group: "apps".to_owned(),
        resource: "deployments".to_owned(),
        part: None,
        namespace: Some(namespace.to_owned()),
        name: Some("web".to_owned()),
    };
    assert!(matches!(nobody.may(&may).await, Ok(Allowed::No(_))));
    let at = map(namespace, "one");
    let refused = |got: Option<ClusterError>| assert!(matches!(got, Some(ClusterError::Forbidden(_))), "{got:?}");
    refused(nobody.get(&at).await.err());
    refused(listed(nobody, &query(&at.kind, namespace)).await.err());
    refused(
        nobody.create(&at.kind, Some(namespace), &json!({ "metadata": { "name": "one" } }), Write::Dry).await.err(),
    );
    refused(delete(nobody, &at).await.err());
}
