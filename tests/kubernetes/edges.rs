//! The client where servers do what is seldom: lists that expire between pages, answers that are too large, connections
//! that end in the middle, logins that do not work. Against a server that answers as the test says.

use crate::scripted::{Asked, Say, Scripted, kubeconfig};
use blackstart::adapters::install_tls;
use blackstart::adapters::kubernetes::{
    Access, Change, Cluster, ClusterError, Deletion, Flow, Inside, Kind, Object, Query, Write, redirected, system,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn pods() -> Query {
    let kind = Kind::known("pod").unwrap();
    Query { kind, namespace: Some("shop".to_owned()), labels: String::new(), fields: String::new() }
}

/// Pods by number, as a page of a list of 5,000.
fn page(from: usize, count: usize, version: &str, next: &str) -> Say {
    let one = |n: usize| json!({ "metadata": { "name": format!("p-{n}"), "uid": n.to_string() } });
    let items: Vec<Value> = (from..from + count).map(one).collect();
    let metadata = json!({ "resourceVersion": version, "continue": next, "remainingItemCount": 1 });
    Say::Json(200, json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items }))
}

fn refusal(code: u16, reason: &str, next: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "metadata": { "continue": next }, "message": "no" })
}

/// A value of a query.
fn asked_for<'a>(asked: &'a Asked, name: &str) -> &'a str {
    let query = asked.line.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value).unwrap_or_default()
}

async fn names(cluster: &dyn Cluster) -> Result<(Vec<String>, String), ClusterError> {
    let mut names = Vec::new();
    let mut each = |object: Object| {
        names.push(object.name().to_owned());
        Flow::On
    };
    let version = cluster.list(&pods(), &mut each).await?;
    Ok((names, version))
}

/// A page is asked for when all of the one before was handed on: no more than one is ever in memory.
#[tokio::test]
async fn five_thousand_pods_are_never_more_than_a_page_in_memory() {
    let handed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&handed);
    let server = Scripted::start(move |asked| {
        let from: usize = asked_for(asked, "continue").parse().unwrap_or_default();
        assert_eq!((asked_for(asked, "limit"), seen.load(Ordering::SeqCst)), ("500", from));
        let next = if from == 4500 { String::new() } else { (from + 500).to_string() };
        page(from, 500, "77", &next)
    })
    .await;
    let cluster = server.cluster().await;
    let mut each = |object: Object| {
        let n = handed.fetch_add(1, Ordering::SeqCst);
        assert_eq!((object.name(), object.text("/kind")), (format!("p-{n}").as_str(), "Pod"));
        Flow::On
    };
    assert_eq!(cluster.list(&pods(), &mut each).await.as_deref(), Ok("77"));
    assert_eq!(handed.load(Ordering::SeqCst), 5000);
}

#[tokio::test]
async fn a_list_that_expires_goes_on_with_what_is_there_now_and_keeps_the_first_version() {
    let server = Scripted::start(|asked| match asked_for(asked, "continue") {
        "" => page(0, 3, "10", "old"),
        "old" => Say::Json(410, refusal(410, "Expired", "newer")),
        _ => page(3, 2, "20", ""),
    })
    .await;
    let (names, version) = names(server.cluster().await.as_ref()).await.unwrap();
    assert_eq!((names.len(), version.as_str()), (5, "10"), "a watch since then misses nothing");
}

#[tokio::test]
async fn a_list_that_expires_begins_again_only_while_nothing_was_handed_on() {
    let server = Scripted::start(|asked| match asked_for(asked, "continue") {
        "old" => Say::Json(410, refusal(410, "Expired", "")),
        _ => page(0, 1, "10", "old"),
    })
    .await;
    let expired = names(server.cluster().await.as_ref()).await;
    assert!(matches!(expired, Err(ClusterError::Gone(_))), "{expired:?}");
    let times = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| match asked_for(asked, "continue") {
        "old" => Say::Json(410, refusal(410, "Expired", "newer")),
        // A page may be empty and not the last one.
        _ if times.fetch_add(1, Ordering::SeqCst) == 0 => page(0, 0, "10", "old"),
        _ => page(0, 2, "30", ""),
    })
    .await;
    let (names, version) = names(server.cluster().await.as_ref()).await.unwrap();
    assert_eq!((names.len(), version.as_str()), (2, "30"));
}

#[tokio::test]
async fn large_objects_are_asked_for_in_smaller_pages() {
    let server = Scripted::start(|asked| match asked_for(asked, "limit") {
        "500" => Say::Large(33 << 20),
        _ => page(0, 2, "10", ""),
    })
    .await;
    let (names, _) = names(server.cluster().await.as_ref()).await.unwrap();
    assert_eq!((names.len(), server.lines().len()), (2, 2));
}

fn event(kind: &str, name: &str, version: &str) -> String {
    let object = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "name": name, "resourceVersion": version } });
    format!("{}\n", json!({ "type": kind, "object": object }))
}

#[tokio::test]
async fn a_watch_goes_on_over_connections_that_end_and_break() {
    let server = Scripted::start(|asked| match asked_for(asked, "resourceVersion") {
        "1" => Say::Parts(vec![event("ADDED", "a", "2"), event("BOOKMARK", "", "5")]),
        "5" => Say::Breaks(vec![event("MODIFIED", "a", "6"), event("DELETED", "a", "7")[..9].to_owned()]),
        _ => Say::Parts(vec![event("DELETED", "a", "7")]),
    })
    .await;
    let mut seen = Vec::new();
    let mut each = |change: Change| {
        seen.push(match change {
            Change::Is(object) => format!("is {}", object.version()),
            Change::Gone(object) => format!("gone {}", object.version()),
        });
        if seen.len() == 3 { Flow::Enough } else { Flow::On }
    };
    server.cluster().await.watch(&pods(), "1", LIMIT, &mut each).await.unwrap();
    assert_eq!(seen, ["is 2", "is 6", "gone 7"]);
}

#[tokio::test]
async fn a_watch_from_too_long_ago_says_so_in_both_ways() {
    for later in [false, true] {
        let server = Scripted::start(move |_| match later {
            true => {
                Say::Parts(vec![format!("{}\n", json!({ "type": "ERROR", "object": refusal(410, "Expired", "") }))])
            }
            false => Say::Json(410, refusal(410, "Gone", "")),
        })
        .await;
        let old = server.cluster().await.watch(&pods(), "1", LIMIT, &mut |_| Flow::On).await;
        assert!(matches!(old, Err(ClusterError::Gone(_))), "{old:?}");
    }
}

#[tokio::test]
async fn a_log_that_breaks_is_not_taken_for_its_end() {
    let server = Scripted::start(|asked| match asked_for(asked, "container") {
        "whole" => Say::Parts(vec!["one\ntw".to_owned(), "o\nthree".to_owned()]),
        _ => Say::Breaks(vec!["one\n".to_owned()]),
    })
    .await;
    let cluster = server.cluster().await;
    let read = async |container: &str| {
        let inside =
            Inside { namespace: "shop".to_owned(), pod: "web".to_owned(), container: Some(container.to_owned()) };
        let mut lines = Vec::new();
        let mut each = |line: &str| {
            lines.push(line.to_owned());
            Flow::On
        };
        let ended = cluster.logs(&inside, LIMIT, &mut each).await;
        (lines.join(" "), ended)
    };
    assert_eq!(read("whole").await, ("one two three".to_owned(), Ok(())));
    let (lines, ended) = read("broken").await;
    assert!(lines == "one" && matches!(ended, Err(ClusterError::TimedOut(_))), "{lines} {ended:?}");
}

/// As servers from 1.26 on tell their kinds: all at once.
fn told() -> (Value, Value) {
    let kind = |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let part =
        json!({ "subresource": "eviction", "responseKind": kind("policy", "v1", "Eviction"), "verbs": ["create"] });
    let pod = json!({ "resource": "pods", "responseKind": kind("", "v1", "Pod"), "scope": "Namespaced",
        "singularResource": "pod", "shortNames": ["po"], "verbs": ["get"], "subresources": [part] });
    let chaos = json!({ "resource": "networkchaos", "responseKind": kind("chaos-mesh.org", "v1alpha1", "NetworkChaos"),
        "scope": "Namespaced", "singularResource": "networkchaos", "verbs": ["get"] });
    let group = |name: &str, version: &str, resource: Value| {
        let versions = json!([{ "version": version, "freshness": "Current", "resources": [resource] }]);
        json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
                "items": [{ "metadata": { "name": name }, "versions": versions }] })
    };
    (group("", "v1", pod), group("chaos-mesh.org", "v1alpha1", chaos))
}

#[tokio::test]
async fn kinds_of_newer_servers_take_two_questions_and_evictions_their_version() {
    let server = Scripted::start(|asked| match asked.line.as_str() {
        "GET /api" => Say::Json(200, told().0),
        "GET /apis" => Say::Json(200, told().1),
        line if line.ends_with("/eviction") => Say::Later,
        _ => Say::Json(404, Value::Null),
    })
    .await;
    let cluster = server.cluster().await;
    let kind = cluster.kind("networkchaos.v1alpha1.chaos-mesh.org").await.unwrap();
    assert_eq!((kind.api().as_str(), kind.kind.as_str()), ("chaos-mesh.org/v1alpha1", "NetworkChaos"));
    assert_eq!(cluster.kind("po").await.unwrap(), Kind::known("pod").unwrap());
    assert_eq!(server.lines(), ["GET /apis", "GET /api"]);
    let pod = Kind::known("pod").unwrap().at(Some("shop"), "web");
    let blocked = cluster.evict(&pod, &Deletion::default(), Write::Real).await;
    assert!(matches!(blocked, Err(ClusterError::Blocked(_))), "{blocked:?}");
    let asked = server.asked();
    assert_eq!(asked.len(), 3, "a budget's no is not asked again");
    assert_eq!(asked[2].body["apiVersion"], "policy/v1");
}

#[tokio::test]
async fn a_server_with_too_much_to_do_is_asked_again_but_not_for_ever() {
    let times = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| match asked.line.ends_with("/web") {
        true if times.fetch_add(1, Ordering::SeqCst) == 2 => Say::Json(200, json!({ "metadata": { "name": "web" } })),
        _ => Say::Later,
    })
    .await;
    let cluster = server.cluster().await;
    let at = |name: &str| Kind::known("pod").unwrap().at(Some("shop"), name);
    assert_eq!(cluster.get(&at("web")).await.unwrap().unwrap().name(), "web");
    let busy = cluster.get(&at("other")).await;
    assert!(matches!(busy, Err(ClusterError::Blocked(_))), "{busy:?}");
    assert_eq!(server.lines().len(), 3 + 4);
}

#[tokio::test]
async fn a_dry_deletion_says_so_twice() {
    let server = Scripted::start(|_| Say::Json(200, json!({ "kind": "Status" }))).await;
    let pod = Kind::known("pod").unwrap().at(Some("shop"), "web");
    let how = Deletion { uid: Some("u".to_owned()), ..Deletion::default() };
    server.cluster().await.delete(&pod, &how, Write::Dry).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "DELETE /api/v1/namespaces/shop/pods/web?dryRun=All");
    assert_eq!((&asked.body["dryRun"], &asked.body["preconditions"]), (&json!(["All"]), &json!({ "uid": "u" })));
}

#[tokio::test]
async fn a_cluster_is_opened_once_and_another_access_may_lead_to_it() {
    let server = Scripted::start(|_| Say::Json(404, Value::Null)).await;
    let clusters = system();
    let (a, b) = tokio::join!(server.opened(clusters.as_ref()), server.opened(clusters.as_ref()));
    assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
    assert_eq!(server.all().len(), 1);
    let elsewhere = Access { kubeconfig: Some("/of/another/machine".into()), context: Some("gone".to_owned()) };
    let cluster = redirected(server.access()).open(&elsewhere).await.unwrap();
    assert_eq!((cluster.facts().namespace.as_str(), cluster.facts().version), ("shop", (1, 33)));
    assert_eq!(cluster.context().as_deref(), Some("here"));
}

fn program(folder: &Path, text: &str) -> Value {
    let path = folder.join("login.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": path, "interactiveMode": "Never" } })
}

async fn open_with(server: &Scripted, user: &Value) -> Result<Arc<dyn Cluster>, ClusterError> {
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&server.kubeconfig).unwrap()).unwrap();
    config["users"][0]["user"] = user.clone();
    std::fs::write(&server.kubeconfig, config.to_string()).unwrap();
    server.opened(system().as_ref()).await
}

#[tokio::test]
async fn a_program_may_give_the_login_and_what_it_says_is_not_repeated() {
    let server = Scripted::start(|_| Say::Json(404, Value::Null)).await;
    let answer = r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"hunter3"}}'"#;
    open_with(&server, &program(server.folder.path(), answer)).await.unwrap();
    assert_eq!(server.all()[0].login, "Bearer hunter3");
    for text in
        ["echo hunter4; echo hunter4 >&2; exit 7", "echo hunter4", "echo '{\"status\": {\"token\": [\"hunter4\"]}}'"]
    {
        let failed = open_with(&server, &program(server.folder.path(), text)).await.err().unwrap();
        assert!(matches!(failed, ClusterError::Invalid(_)), "{failed:?}");
        assert!(!format!("{failed:?}").contains("hunter4"), "{failed:?}");
    }
}

#[tokio::test]
async fn who_cannot_be_trusted_or_is_not_there_is_unreachable() {
    install_tls();
    let folder = tempfile::tempdir().unwrap();
    let open = async |server: &str| {
        let path = folder.path().join("config");
        std::fs::write(&path, kubeconfig(server, &json!({ "token": "hunter2" })).to_string()).unwrap();
        system().open(&Access { kubeconfig: Some(path), context: None }).await.err().unwrap()
    };
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let nobody = open(&format!("http://joe:hunter2@127.0.0.1:{free}")).await;
    assert!(matches!(&nobody, ClusterError::Unreachable(text) if text.contains("nobody answers")), "{nobody:?}");
    let (port, _server) = stranger().await;
    let stranger = open(&format!("https://127.0.0.1:{port}")).await;
    assert!(matches!(&stranger, ClusterError::Unreachable(text) if text.contains("is not trusted")), "{stranger:?}");
    assert!(![nobody, stranger].iter().any(|error| format!("{error:?}").contains("hunter2")));
}

/// A server with a certificate that nobody signed.
async fn stranger() -> (u16, tokio::task::JoinSet<()>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _refused = acceptor.accept(stream).await;
        }
    });
    (port, tasks)
}
