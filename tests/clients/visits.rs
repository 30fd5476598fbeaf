//! Visits of pages: what counts as ok, and how each behaviour uses its connections.

use super::{PATIENCE, act, settings};
use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use blackstart::adapters::{Act, Client, Endpoint, Request, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Outcome, RetryPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

struct Site {
    url: String,
    connections: Arc<AtomicUsize>,
}

async fn site() -> Site {
    let tries = Arc::new(AtomicUsize::new(0));
    let echo = |Query(query): Query<BTreeMap<String, String>>| async move { query["nonce"].clone() };
    let third = move || {
        let tries = Arc::clone(&tries);
        async move { if tries.fetch_add(1, Ordering::Relaxed) % 3 == 2 { StatusCode::OK } else { StatusCode::BAD_GATEWAY } }
    };
    let app = Router::new()
        .route("/", get(echo))
        .route("/cached", get(|| async { "nonce 17" }))
        .route("/broken", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/third", get(third))
        .route("/never", get(std::future::pending::<()>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Site { url, connections }
}

async fn visitor(url: &str, contains: Option<&str>, behaviour: ClientBehaviour, timeout: Duration) -> Arc<dyn Client> {
    let request = Request { method: "GET".into(), url: url.to_owned(), headers: BTreeMap::new(), body: None, timeout };
    let endpoint = Endpoint::Http { request, status: vec![], contains: contains.map(str::to_owned) };
    let world = World::system();
    world.clients.open(&Clock::System, &endpoint, &settings(behaviour, timeout)).await.unwrap().client
}

async fn visit(client: &dyn Client, number: u64) -> Outcome {
    act(client, Act::Visit(number)).await.outcome
}

#[tokio::test]
async fn a_visit_is_ok_only_with_its_own_nonce() {
    let site = site().await;
    for (path, expected) in
        [("/?nonce={nonce}", Outcome::Ok), ("/cached?{nonce}", Outcome::Fail), ("/broken", Outcome::Fail)]
    {
        let url = format!("{}{path}", site.url);
        let client = visitor(&url, Some("{nonce}"), ClientBehaviour::Fresh, PATIENCE).await;
        assert_eq!(visit(&*client, 918_273).await, expected, "{path}");
    }
}

#[tokio::test]
async fn fresh_clients_connect_each_time_and_pooled_ones_keep_their_connection() {
    for (behaviour, expected) in [(ClientBehaviour::Fresh, 5), (ClientBehaviour::Pooled, 1)] {
        let site = site().await;
        let client = visitor(&format!("{}/?nonce={{nonce}}", site.url), None, behaviour, PATIENCE).await;
        for number in 0..5 {
            assert_eq!(visit(&*client, number).await, Outcome::Ok);
        }
        assert_eq!(site.connections.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn no_answer_is_unknown_and_no_server_is_a_failure() {
    let site = site().await;
    let client =
        visitor(&format!("{}/never", site.url), None, ClientBehaviour::Pooled, Duration::from_millis(50)).await;
    let done = act(&*client, Act::Visit(0)).await;
    assert_eq!(done.outcome, Outcome::Unknown);
    assert!(done.done - done.sent >= 50_000_000, "{done:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = visitor(&format!("http://{free}/"), None, ClientBehaviour::Fresh, PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Fail);
    let client = visitor("http://no-such-host.invalid/", None, ClientBehaviour::Fresh, PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Fail);
}

#[tokio::test]
async fn a_retrying_client_succeeds_with_its_third_attempt_and_gives_up_after_its_last() {
    let site = site().await;
    let policy = |attempts| {
        ClientBehaviour::Retrying(RetryPolicy {
            attempts,
            backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(2),
            attempt_timeout: Duration::from_secs(10),
        })
    };
    let client = visitor(&format!("{}/third", site.url), None, policy(5), PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Ok);
    let client = visitor(&format!("{}/third", site.url), None, policy(2), PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Fail);
    let silent = visitor(&format!("{}/never", site.url), None, policy(2), Duration::from_millis(60)).await;
    assert_eq!(visit(&*silent, 0).await, Outcome::Unknown);
}
