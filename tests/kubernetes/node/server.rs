//! What the API server asks of a node over HTTPS, as a kubelet serves it: the logs of a container, and exec and
//! port-forward by WebSocket (`streams`). Nobody is asked who he is: it is this machine's loopback.

use super::log::Line;
use super::pod::Pod;
use super::streams;
use super::{Node, Shared};
use crate::control_plane::ControlPlane;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// So many connections a node has at once.
const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Own {
    shared: Arc<Shared>,
    node: Arc<Node>,
}

impl Own {
    /// A pod of this node, if the node is there at all.
    #[expect(clippy::result_large_err, reason = "the answer goes to the client as it is")]
    fn pod(&self, namespace: &str, name: &str) -> Result<Arc<Pod>, Response> {
        let pods = self.shared.pods.lock().unwrap();
        let own = |pod: &&Arc<Pod>| {
            pod.node.place.name == self.node.place.name && pod.namespace == namespace && pod.name == name
        };
        let found = pods.values().find(own).filter(|_| self.node.is_up());
        found
            .cloned()
            .ok_or_else(|| (StatusCode::NOT_FOUND, format!("pod {name}_{namespace} not found")).into_response())
    }
}

/// What every node shows.
pub fn tls(plane: &ControlPlane) -> Arc<rustls::ServerConfig> {
    let (cert, key) = plane.certificate("node", "nodes");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![cert.der().clone()];
    Arc::new(rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// Serves a node's API; its port.
pub async fn serve(shared: Arc<Shared>, node: Arc<Node>, tls: Arc<rustls::ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .route("/exec/{namespace}/{pod}/{container}", any(exec))
        .route("/exec/{namespace}/{pod}/{uid}/{container}", any(exec_by_uid))
        .route("/portForward/{namespace}/{pod}", any(port_forward))
        .route("/portForward/{namespace}/{pod}/{uid}", any(port_forward_by_uid))
        .with_state(Own { shared, node: Arc::clone(&node) });
    let (acceptor, room) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(CONNECTIONS)));
    tokio::spawn(async move {
        loop {
            let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
            let Ok((stream, _)) = listener.accept().await else { continue };
            if !node.is_up() {
                continue;
            }
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
            tokio::spawn(async move {
                let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
                let http = hyper::server::conn::http1::Builder::new();
                // Whoever goes away in the middle has had what he wanted.
                let _ended = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                drop(permit);
            });
        }
    });
    port
}

/// The words of a query, by their names, in order.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn new(query: Option<String>) -> Self {
        let decode =
            |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value)));
        Self(query.unwrap_or_default().split('&').filter_map(pair).collect())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    fn one(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    fn has(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| value == "true" || value == "1")
    }
}

async fn logs(
    State(own): State<Own>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let (asked, pod) = (Asked::new(query), own.pod(&namespace, &pod)?);
    let missing = |what: String| (StatusCode::BAD_REQUEST, what).into_response();
    let found =
        pod.container(&container).ok_or_else(|| missing(format!("container {container} is not valid for the pod")))?;
    let kept = if asked.has("previous") { &found.previous } else { &found.log };
    let log = kept.lock().unwrap().clone();
    let log =
        log.ok_or_else(|| missing(format!("container {container:?} in pod {:?} is waiting to start", pod.name)))?;
    let from = asked.one("tailLines").and_then(|lines| lines.parse().ok()).map_or(0, |lines| log.tail(lines));
    let since = asked.one("sinceSeconds").and_then(|seconds| seconds.parse().ok()).map(chrono::Duration::seconds);
    let since = since.map(|ago| chrono::Utc::now() - ago);
    let (follow, times) = (asked.has("follow"), asked.has("timestamps"));
    let text = move |(at, line): &Line| {
        let time =
            if times { format!("{} ", at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)) } else { String::new() };
        let wanted = since.is_none_or(|since| *at >= since);
        if wanted { [time.as_bytes(), line].concat() } else { Vec::new() }
    };
    let stream = futures_util::stream::unfold(from, move |number| {
        let log = Arc::clone(&log);
        async move {
            let (lines, next) = log.next(number, follow).await?;
            Some((Ok::<_, std::convert::Infallible>(lines.iter().flat_map(text).collect::<Vec<u8>>()), next))
        }
    });
    Ok(([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(stream)).into_response())
}

/// Takes a request for a WebSocket, by the first of these protocols that the client names.
fn upgrade<F: Future<Output = ()> + Send + 'static>(
    mut request: Request,
    protocols: &[&'static str],
    serve: impl FnOnce(streams::Socket, &'static str) -> F + Send + 'static,
) -> Response {
    let named = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let offered = named(header::SEC_WEBSOCKET_PROTOCOL);
    let spoken = protocols.iter().find(|protocol| offered.split(',').any(|offer| offer.trim() == **protocol));
    let (Some(protocol), key) = (spoken.copied(), named(header::SEC_WEBSOCKET_KEY)) else {
        return (StatusCode::FORBIDDEN, format!("this node speaks WebSocket only, by {protocols:?}")).into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(stream) = upgrade.await else { return };
        serve(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await, protocol).await;
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, protocol.to_owned()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

type ByUid = (String, String, String, String);

async fn exec_by_uid(
    own: State<Own>,
    Path((a, b, _, c)): Path<ByUid>,
    query: RawQuery,
    request: Request,
) -> Result<Response, Response> {
    exec(own, Path((a, b, c)), query, request).await
}

async fn exec(
    State(own): State<Own>,
    Path((namespace, pod, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Response> {
    let (asked, pod) = (Asked::new(query), own.pod(&namespace, &pod)?);
    let missing = || (StatusCode::NOT_FOUND, format!("container not found ({name:?})")).into_response();
    let container = pod.container(&name).ok_or_else(missing)?;
    let command = container.beside(&pod, &asked.all("command")).ok_or_else(missing)?;
    let input = asked.has("input");
    let serve = move |socket, protocol: &'static str| streams::exec(socket, command, input, protocol);
    Ok(upgrade(request, &["v5.channel.k8s.io", "v4.channel.k8s.io"], serve))
}

async fn port_forward_by_uid(
    own: State<Own>,
    Path((namespace, pod, _)): Path<(String, String, String)>,
    query: RawQuery,
    request: Request,
) -> Result<Response, Response> {
    port_forward(own, Path((namespace, pod)), query, request).await
}

async fn port_forward(
    State(own): State<Own>,
    Path((namespace, pod)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Response> {
    let pod = own.pod(&namespace, &pod)?;
    let ports: Vec<u16> = Asked::new(query).all("port").iter().filter_map(|port| port.parse().ok()).collect();
    let address = pod.address;
    Ok(upgrade(request, &["v4.channel.k8s.io"], move |socket, _| streams::forward(socket, address, ports)))
}
