//! Visits of pages: what counts as ok, and how each behaviour uses its connections.

use super::{PATIENCE, act, settings};
use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use blackstart::adapters::{
    Act, Client, ClientSettings, Done, Endpoint, Flights, Fut, Line, Operation, Request, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Outcome, RetryPolicy};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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

/// The client that is driven by tasks, or the one that the thread of a schedule drives, if it has one for this.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Tasks,
    Thread,
}

pub const WAYS: [Way; 2] = [Way::Tasks, Way::Thread];

/// What the thread of a schedule does, for one operation at a time.
struct Alone(Arc<Mutex<Box<dyn Flights>>>);

impl Client for Alone {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        let flights = Arc::clone(&self.0);
        Box::pin(async move {
            let work = move || {
                let (mut flights, mut ended) = (flights.lock().unwrap(), Vec::new());
                // As a schedule does: it has waited until the operation is due.
                flights.wait(Some(operation.due), &mut ended);
                flights.begin(operation, &mut ended);
                while ended.is_empty() {
                    assert_eq!(flights.in_flight(), 1);
                    flights.wait(None, &mut ended);
                }
                assert_eq!((ended.len(), flights.in_flight()), (1, 0));
                ended[0].1
            };
            tokio::task::spawn_blocking(work).await.unwrap()
        })
    }
}

pub fn endpoint(url: &str, contains: Option<&str>, timeout: Duration, line: Line) -> Endpoint {
    let request = Request { method: "GET".into(), url: url.to_owned(), headers: BTreeMap::new(), body: None, timeout };
    Endpoint::Http { request, status: vec![], contains: contains.map(str::to_owned), line }
}

pub async fn client(way: Way, endpoint: &Endpoint, settings: &ClientSettings) -> Arc<dyn Client> {
    let world = World::system();
    match way {
        Way::Tasks => world.clients.open(&Clock::System, endpoint, settings).await.unwrap().client,
        Way::Thread => {
            let flights = world.clients.flights(&Clock::System, endpoint, settings).unwrap().unwrap();
            Arc::new(Alone(Arc::new(Mutex::new(flights))))
        }
    }
}

async fn visitor(
    way: Way,
    url: &str,
    contains: Option<&str>,
    behaviour: ClientBehaviour,
    timeout: Duration,
) -> Arc<dyn Client> {
    client(way, &endpoint(url, contains, timeout, Line::default()), &settings(behaviour, timeout)).await
}

pub async fn visit(client: &dyn Client, number: u64) -> Outcome {
    act(client, Act::Visit(number)).await.outcome
}

#[tokio::test]
async fn a_visit_is_ok_only_with_its_own_nonce() {
    let site = site().await;
    for (path, expected) in
        [("/?nonce={nonce}", Outcome::Ok), ("/cached?{nonce}", Outcome::Fail), ("/broken", Outcome::Fail)]
    {
        for way in WAYS {
            let url = format!("{}{path}", site.url);
            let client = visitor(way, &url, Some("{nonce}"), ClientBehaviour::Fresh, PATIENCE).await;
            assert_eq!(visit(&*client, 918_273).await, expected, "{path}, {way:?}");
        }
    }
}

#[tokio::test]
async fn fresh_clients_connect_each_time_and_pooled_ones_keep_their_connection() {
    for (behaviour, expected) in [(ClientBehaviour::Fresh, 5), (ClientBehaviour::Pooled, 1)] {
        for way in WAYS {
            let site = site().await;
            let url = format!("{}/?nonce={{nonce}}", site.url);
            let client = visitor(way, &url, None, behaviour.clone(), PATIENCE).await;
            for number in 0..5 {
                assert_eq!(visit(&*client, number).await, Outcome::Ok);
            }
            assert_eq!(site.connections.load(Ordering::Relaxed), expected, "{way:?}");
        }
    }
}

#[tokio::test]
async fn no_answer_is_unknown_and_no_server_is_a_failure() {
    for way in WAYS {
        let site = site().await;
        let limit = Duration::from_millis(50);
        let client = visitor(way, &format!("{}/never", site.url), None, ClientBehaviour::Pooled, limit).await;
        let done = act(&*client, Act::Visit(0)).await;
        assert_eq!(done.outcome, Outcome::Unknown);
        assert!(done.done - done.sent >= 50_000_000, "{done:?}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for host in [free.to_string(), format!("localhost:{}", free.port()), "no-such-host.invalid".to_owned()] {
            let client = visitor(way, &format!("http://{host}/"), None, ClientBehaviour::Fresh, PATIENCE).await;
            assert_eq!(visit(&*client, 0).await, Outcome::Fail, "{host}, {way:?}");
        }
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_each_of_its_addresses_is_tried() {
    let site = site().await;
    let port = site.url.rsplit(':').next().unwrap();
    // The site listens on 127.0.0.1 only; the name may come first with ::1.
    for way in WAYS {
        for behaviour in [ClientBehaviour::Fresh, ClientBehaviour::Pooled] {
            let url = format!("http://localhost:{port}/?nonce={{nonce}}");
            let client = visitor(way, &url, Some("{nonce}"), behaviour, PATIENCE).await;
            assert_eq!((visit(&*client, 1).await, visit(&*client, 2).await), (Outcome::Ok, Outcome::Ok), "{way:?}");
        }
    }
}

/// Takes connections that nobody accepts until it is full: then SYNs are dropped.
fn full() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let one = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let taken = (0..100).map_while(one).collect();
    (listener, taken)
}

#[tokio::test]
async fn a_connect_that_nobody_answers_is_given_up_before_the_kernel_would_try_again() {
    let (listener, _taken) = full();
    for way in WAYS {
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = visitor(way, &url, None, ClientBehaviour::Fresh, PATIENCE).await;
        let done = act(&*client, Act::Visit(0)).await;
        assert_eq!(done.outcome, Outcome::Fail, "nothing was sent: {way:?}");
        assert!((900_000_000..20_000_000_000).contains(&(done.done - done.sent)), "{done:?}");
    }
}

#[tokio::test]
async fn large_requests_and_large_answers_pass_whole() {
    let app = Router::new().route("/", axum::routing::post(|body: axum::body::Bytes| async move { body }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let body = format!("{}the end", "x".repeat(1_000_000));
    for way in WAYS {
        for behaviour in [ClientBehaviour::Fresh, ClientBehaviour::Pooled] {
            let Endpoint::Http { mut request, status, .. } = endpoint(&url, None, PATIENCE, Line::default()) else {
                unreachable!()
            };
            (request.method, request.body) = ("POST".to_owned(), Some(body.clone().into_bytes()));
            let endpoint =
                Endpoint::Http { request, status, contains: Some("xthe end".to_owned()), line: Line::default() };
            let client = client(way, &endpoint, &settings(behaviour, PATIENCE)).await;
            assert_eq!((visit(&*client, 0).await, visit(&*client, 1).await), (Outcome::Ok, Outcome::Ok), "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_not_used() {
    for way in WAYS {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        // Answers one request on each connection, and closes it without a word.
        let closed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&closed);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _read = stream.read(&mut [0; 1024]);
                let _written = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                drop(stream);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let client = visitor(way, &url, None, ClientBehaviour::Pooled, PATIENCE).await;
        for number in 0..3 {
            assert_eq!(visit(&*client, number).await, Outcome::Ok, "{way:?}");
            while closed.load(Ordering::Relaxed) == number as usize {
                tokio::task::yield_now().await;
            }
            // The end of the connection is in the kernel; the client sees it when it looks.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
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
    let client = visitor(Way::Tasks, &format!("{}/third", site.url), None, policy(5), PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Ok);
    let client = visitor(Way::Tasks, &format!("{}/third", site.url), None, policy(2), PATIENCE).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Fail);
    let silent = visitor(Way::Tasks, &format!("{}/never", site.url), None, policy(2), Duration::from_millis(60)).await;
    assert_eq!(visit(&*silent, 0).await, Outcome::Unknown);
}
