//! How visits reach their service: TLS with certificates of one's own, HTTP/2, a resolver that is asked each time; and
//! talks over TCP.

use super::visits::{WAYS, Way, client, endpoint, visit};
use super::{PATIENCE, act, settings};
use axum::Router;
use axum::http::Version;
use axum::routing::get;
use axum::serve::Listener;
use blackstart::adapters::{Act, Endpoint, HttpVersion, Line};
use blackstart::model::{ClientBehaviour, Outcome, RetryPolicy};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::{RData, Record, RecordType};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Accepts TLS and counts.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    count: Arc<AtomicUsize>,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, from)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                self.count.fetch_add(1, Ordering::Relaxed);
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

fn app() -> Router {
    let version = |version: Version| async move { format!("{version:?}") };
    let slow = |version: Version| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        format!("{version:?}")
    };
    Router::new().route("/", get(version)).route("/slow", get(slow)).route("/never", get(std::future::pending::<()>))
}

/// A service by TLS for the name `drill.test`, which agrees to these protocols.
struct Site {
    port: u16,
    ca: tempfile::NamedTempFile,
    count: Arc<AtomicUsize>,
}

async fn site(protocols: &[&[u8]]) -> Site {
    blackstart::adapters::install_tls();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["drill.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let listener = Encrypted { listener, acceptor: TlsAcceptor::from(Arc::new(config)), count: Arc::clone(&count) };
    tokio::spawn(async move { axum::serve(listener, app()).await });
    Site { port, ca, count }
}

impl Site {
    fn line(&self, version: HttpVersion) -> Line {
        let ca = Some(self.ca.path().display().to_string());
        Line { version, ca, server_name: Some("drill.test".to_owned()), resolver: None, identity: None }
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

/// What visits of a page come to, one after the other.
async fn visits(
    way: Way,
    url: &str,
    contains: &str,
    line: Line,
    behaviour: ClientBehaviour,
    times: u64,
) -> Vec<Outcome> {
    let endpoint = endpoint(url, Some(contains), PATIENCE, line);
    let client = client(way, &endpoint, &settings(behaviour, PATIENCE)).await;
    let mut outcomes = Vec::new();
    for number in 0..times {
        outcomes.push(visit(&*client, number).await);
    }
    outcomes
}

#[tokio::test]
async fn a_certificate_counts_only_if_it_is_trusted_and_for_this_name() {
    let site = site(&[]).await;
    let once = async |line: Line| visits(Way::Tasks, &site.url("/"), "HTTP/1.1", line, ClientBehaviour::Fresh, 1).await;
    assert_eq!(once(site.line(HttpVersion::One)).await, [Outcome::Ok]);
    assert_eq!(once(Line { server_name: None, ..site.line(HttpVersion::One) }).await, [Outcome::Fail]);
    assert_eq!(once(Line { ca: None, ..site.line(HttpVersion::One) }).await, [Outcome::Fail]);
    assert_eq!(once(site.line(HttpVersion::Two)).await, [Outcome::Fail], "it does not agree to HTTP/2");
    let kept = site.count.load(Ordering::Relaxed);
    let line = site.line(HttpVersion::One);
    let outcomes = visits(Way::Tasks, &site.url("/"), "HTTP/1.1", line, ClientBehaviour::Pooled, 4).await;
    assert_eq!((outcomes, site.count.load(Ordering::Relaxed) - kept), (vec![Outcome::Ok; 4], 1));
}

#[tokio::test]
async fn http_2_is_spoken_over_tls_and_in_the_clear() {
    let encrypted = site(&[b"h2", b"http/1.1"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clear = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app()).await });
    for behaviour in [ClientBehaviour::Fresh, ClientBehaviour::Pooled] {
        let times = if behaviour == ClientBehaviour::Fresh { 3 } else { 1 };
        let before = encrypted.count.load(Ordering::Relaxed);
        let line = encrypted.line(HttpVersion::Two);
        let outcomes = visits(Way::Tasks, &encrypted.url("/"), "HTTP/2.0", line, behaviour.clone(), 3).await;
        assert_eq!((outcomes, encrypted.count.load(Ordering::Relaxed) - before), (vec![Outcome::Ok; 3], times));
        let line = Line { version: HttpVersion::Two, ..Line::default() };
        assert_eq!(visits(Way::Tasks, &clear, "HTTP/2.0", line, behaviour.clone(), 3).await, [Outcome::Ok; 3]);
        let outcomes = visits(Way::Tasks, &clear, "HTTP/1.1", Line::default(), behaviour, 3).await;
        assert_eq!(outcomes, [Outcome::Ok; 3]);
    }
}

#[tokio::test]
async fn one_connection_carries_many_visits_at_once() {
    let site = site(&[b"h2"]).await;
    let endpoint = endpoint(&site.url("/slow"), Some("HTTP/2.0"), PATIENCE, site.line(HttpVersion::Two));
    let client = client(Way::Tasks, &endpoint, &settings(ClientBehaviour::Pooled, PATIENCE)).await;
    assert_eq!(visit(&*client, 0).await, Outcome::Ok);
    let all = futures_util::future::join_all((1..=50).map(|number| visit(&*client, number))).await;
    assert_eq!((all, site.count.load(Ordering::Relaxed)), (vec![Outcome::Ok; 50], 1));
}

#[tokio::test]
async fn over_http_2_too_no_answer_is_unknown_and_no_server_a_failure() {
    let site = site(&[b"h2"]).await;
    let limit = Duration::from_millis(200);
    let never = endpoint(&site.url("/never"), None, limit, site.line(HttpVersion::Two));
    let client = client(Way::Tasks, &never, &settings(ClientBehaviour::Pooled, limit)).await;
    let done = act(&*client, Act::Visit(0)).await;
    assert_eq!(done.outcome, Outcome::Unknown);
    assert!(done.done - done.sent >= 200_000_000, "{done:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = Line { version: HttpVersion::Two, ..Line::default() };
    let outcomes = visits(Way::Tasks, &format!("http://{free}"), "", line, ClientBehaviour::Pooled, 1).await;
    assert_eq!(outcomes, [Outcome::Fail]);
}

/// A resolver that knows one name at 127.0.0.1, and counts how often it was asked.
async fn resolver() -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (socket.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let question = Message::from_vec(&bytes[..length]).unwrap();
            let query = question.queries[0].clone();
            let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
            answer.add_query(query.clone());
            if query.query_type() == RecordType::A {
                count.fetch_add(1, Ordering::Relaxed);
                let local = RData::A("127.0.0.1".parse::<std::net::Ipv4Addr>().unwrap().into());
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, local));
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_name_is_asked_for_anew_by_each_fresh_connection_and_once_by_a_kept_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://service.drill.test:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(listener, app()).await });
    for way in WAYS {
        for (behaviour, times) in [(ClientBehaviour::Fresh, 5), (ClientBehaviour::Pooled, 1)] {
            let (address, asked) = resolver().await;
            let line = Line { resolver: Some(address), ..Line::default() };
            let outcomes = visits(way, &url, "HTTP/1.1", line, behaviour, 5).await;
            assert_eq!((outcomes, asked.load(Ordering::Relaxed)), (vec![Outcome::Ok; 5], times), "{way:?}");
        }
    }
    // One that is not there: nothing was sent, and it does not take for ever.
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    for way in WAYS {
        let line = Line { resolver: Some(free.clone()), ..Line::default() };
        assert_eq!(visits(way, &url, "", line, ClientBehaviour::Fresh, 1).await, [Outcome::Fail], "{way:?}");
    }
}

/// Says hello, then answers each line; `bye` ends it, `drop` ends it without a word, `wait` is never answered.
async fn echo() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut bytes = vec![0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                    let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    match line.split_whitespace().next() {
                        Some("drop") => return,
                        Some("wait") => continue,
                        _ => stream.write_all(format!("you said {line}").as_bytes()).await.unwrap(),
                    }
                    if line.starts_with("bye") {
                        return;
                    }
                }
            });
        }
    });
    (address, count)
}

fn talk(address: &str, send: Option<&str>, expect: Option<&str>) -> Endpoint {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Endpoint::Tcp { address: address.to_owned(), send: text(send), expect: text(expect), resolver: None }
}

async fn talks(way: Way, endpoint: &Endpoint, behaviour: ClientBehaviour, limit: Duration) -> Vec<Outcome> {
    let client = client(way, endpoint, &settings(behaviour, limit)).await;
    vec![visit(&*client, 11).await, visit(&*client, 12).await]
}

#[tokio::test]
async fn a_talk_is_ok_when_what_is_expected_comes() {
    let (address, _) = echo().await;
    let short = Duration::from_millis(300);
    for way in WAYS {
        for (send, expect, limit, outcome) in [
            (Some("ping {nonce}\n"), Some("said ping {nonce}\n"), PATIENCE, Outcome::Ok),
            (Some("ping\n"), None, PATIENCE, Outcome::Ok),
            (None, None, PATIENCE, Outcome::Ok),
            (Some("bye\n"), Some("welcome"), PATIENCE, Outcome::Fail),
            (Some("drop\n"), Some("said"), PATIENCE, Outcome::Unknown),
            (Some("wait\n"), Some("said"), short, Outcome::Unknown),
            (None, Some("hello"), short, Outcome::Fail),
        ] {
            let talk = talk(&address, send, expect);
            let outcomes = talks(way, &talk, ClientBehaviour::Fresh, limit).await;
            assert_eq!(outcomes, [outcome; 2], "{way:?}: {send:?}, {expect:?}");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let nobody = talk(&free, Some("ping\n"), Some("said"));
        assert_eq!(talks(way, &nobody, ClientBehaviour::Fresh, PATIENCE).await, [Outcome::Fail; 2], "{way:?}");
    }
}

#[tokio::test]
async fn talks_keep_their_connection_or_are_tried_again() {
    let (address, count) = echo().await;
    let ping = talk(&address, Some("ping {nonce}\n"), Some("ping {nonce}\n"));
    assert_eq!(talks(Way::Thread, &ping, ClientBehaviour::Pooled, PATIENCE).await, [Outcome::Ok; 2]);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let again = ClientBehaviour::Retrying(RetryPolicy {
        attempts: 3,
        backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        attempt_timeout: Duration::from_secs(10),
    });
    assert_eq!(talks(Way::Tasks, &ping, again.clone(), PATIENCE).await, [Outcome::Ok; 2]);
    assert_eq!(count.swap(0, Ordering::Relaxed), 3);
    let bye = talk(&address, Some("bye\n"), Some("welcome"));
    assert_eq!(talks(Way::Tasks, &bye, again, PATIENCE).await, [Outcome::Fail; 2]);
    assert_eq!(count.load(Ordering::Relaxed), 6, "three attempts each");
}
