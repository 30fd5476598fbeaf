//! Inside of pods: logs, programs and ports by websocket (`v5.channel.k8s.io` and `v4.channel.k8s.io`; not SPDY, which
//! only kubectl 1.28 and older and `kubectl port-forward` speak), and what a scheduler of somebody else says.

use super::call::Call;
use super::http::{refused, text};
use super::json::{at, items, namespace, ready, set, text as word};
use super::programs::{Ran, Run, Then, plain, scripted};
use super::status::Refusal;
use super::write::{Answer, existing};
use super::{Shared, State, controllers};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// The pod and the container that is meant: the one that is named, or the only one.
fn container(state: &State, call: &Call) -> Result<(Arc<Value>, String), Refusal> {
    let kind = state.store.kinds[call.kind].clone();
    let pod = existing(state, call, &kind)?;
    let all: Vec<&str> = items(&pod, "/spec/containers").iter().map(|c| word(c, "/name")).collect();
    let named = match (call.ask("container"), all.as_slice()) {
        ("", [only]) => Ok((*only).to_owned()),
        ("", _) => Err(Refusal::bad(format!("a container name must be specified for pod {}: {all:?}", call.name()))),
        (named, all) if all.contains(&named) => Ok(named.to_owned()),
        (named, _) => Err(Refusal::bad(format!("container {named} is not valid for pod {}", call.name()))),
    };
    named.map(|named| (pod.clone(), named))
}

/// Can its node be asked, and does it run there?
fn reachable(state: &State, call: &Call, pod: &Value) -> Result<(), Refusal> {
    let node = word(pod, "/spec/nodeName");
    if node.is_empty() {
        return Err(Refusal::bad(format!("pod {} does not have a host assigned", call.name())));
    }
    let key = state.store.key(state.store.kind("", "nodes"), "", node);
    if !state.store.get(&key).is_some_and(|n| ready(&n)) {
        return Err(Refusal::new(500, "InternalError", "error dialing backend: no route to host"));
    }
    if call.part() == "log" {
        let waiting = at(pod, "/status/containerStatuses/0/state/waiting");
        if word(pod, "/status/phase") == "Pending" {
            let reason = Some(word(waiting, "/reason")).filter(|r| !r.is_empty()).unwrap_or("ContainerCreating");
            return Err(Refusal::bad(format!("container in pod {} is waiting to start: {reason}", call.name())));
        }
    } else if word(pod, "/status/phase") != "Running" {
        return Err(Refusal::new(500, "InternalError", "container not found"));
    }
    Ok(())
}

/// `GET pods/NAME/{log,exec,portforward}`
pub async fn answer(shared: &Arc<Shared>, call: &Call, upgrade: OnUpgrade, headers: &HeaderMap) -> Response<Body> {
    let found = {
        let state = shared.lock();
        container(&state, call).and_then(|(pod, name)| reachable(&state, call, &pod).map(|()| (pod, name)))
    };
    let (pod, name) = match found {
        Ok(found) => found,
        Err(refusal) => return refused(&refusal),
    };
    if call.part() == "log" {
        return log(shared, call, &name);
    }
    let known: &[&str] =
        if call.part() == "exec" { &["v5.channel.k8s.io", "v4.channel.k8s.io"] } else { &["v4.channel.k8s.io"] };
    let Some((response, protocol)) = upgraded(headers, known) else {
        return refused(&Refusal::bad("unable to upgrade: only websockets of v4 and v5.channel.k8s.io are known here"));
    };
    let (shared, call) = (shared.clone(), call.clone());
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        match call.part() {
            "exec" => exec(&shared, &call, &pod, name, socket, protocol == "v5.channel.k8s.io").await,
            _ => forward(&shared, &call, socket).await,
        }
    });
    response
}

/// The answer that opens a websocket, and what is spoken on it.
fn upgraded(headers: &HeaderMap, known: &[&'static str]) -> Option<(Response<Body>, &'static str)> {
    let header = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default();
    if !header(header::UPGRADE).eq_ignore_ascii_case("websocket") {
        return None;
    }
    let offered: Vec<&str> = header(header::SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim).collect();
    let spoken = known.iter().copied().find(|k| offered.contains(k))?;
    let accept = derive_accept_key(headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let said = response.headers_mut();
    said.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    said.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    said.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(spoken));
    said.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).ok()?);
    Some((response, spoken))
}

/// A message of a channel.
fn of(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

async fn exec(shared: &Arc<Shared>, call: &Call, pod: &Value, container: String, mut socket: Socket, closes: bool) {
    let image = items(pod, "/spec/containers").iter().find(|c| word(c, "/name") == container);
    let run = Run {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        image: image.map_or("", |c| word(c, "/image")).to_owned(),
        container,
        argv: call.all("command"),
    };
    let programs = shared.lock().programs.clone();
    let ran = scripted(&programs, &run).unwrap_or_else(|| plain(&run));
    shared.lock().ran.push(run.clone());
    if ran.then == Then::Restart {
        let mut state = shared.lock();
        let key = state.store.key(call.kind, call.namespace(), call.name());
        controllers::restart(&mut state, &key, &run.container);
    }
    if ran.then == Then::Hang {
        while socket.next().await.is_some_and(|m| m.is_ok()) {}
        return;
    }
    let _ = told(&mut socket, &ran, closes).await;
    let _ = socket.close(None).await;
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
}

/// Output, and how it ended.
async fn told(socket: &mut Socket, ran: &Ran, closes: bool) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    for (channel, text) in [(1, &ran.stdout), (2, &ran.stderr)] {
        if !text.is_empty() {
            socket.send(of(channel, text.as_bytes())).await?;
        }
    }
    let status = if ran.code == 0 {
        json!({"metadata": {}, "status": "Success"})
    } else {
        let message = format!("command terminated with non-zero exit code: {}", ran.code);
        json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message,
            "details": {"causes": [{"reason": "ExitCode", "message": ran.code.to_string()}]}})
    };
    socket.send(of(3, status.to_string().as_bytes())).await?;
    if closes {
        for channel in [1, 2] {
            socket.send(Message::binary(vec![255, channel])).await?;
        }
    }
    Ok(())
}

/// A port of a pod: data on channel 0, why it did not work on channel 1; each begins with the port's number.
async fn forward(shared: &Arc<Shared>, call: &Call, mut socket: Socket) {
    let port: u16 = call.ask("ports").parse().unwrap_or(0);
    for channel in [0, 1] {
        let _ = socket.send(of(channel, &port.to_le_bytes())).await;
    }
    let to: Option<SocketAddr> = {
        let state = shared.lock();
        state.ports.iter().rev().find(|p| p.fits(call.namespace(), call.name(), port)).map(|p| p.to)
    };
    let stream = match to {
        Some(to) => tokio::net::TcpStream::connect(to).await.map_err(|e| e.to_string()),
        None => Err(format!("nothing listens on port {port} of pod {}", call.name())),
    };
    match stream {
        Ok(stream) => carry(&mut socket, stream).await,
        Err(why) => drop(socket.send(of(1, why.as_bytes())).await),
    }
    let _ = socket.close(None).await;
    let rest = async { while socket.next().await.is_some_and(|m| m.is_ok()) {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
}

async fn carry(socket: &mut Socket, mut stream: tokio::net::TcpStream) {
    let (mut from, mut into) = stream.split();
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => if socket.send(of(0, &buffer[..n])).await.is_err() { return },
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    if into.write_all(&bytes[1..]).await.is_err() { return }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

/// What a container wrote; if it is followed, until its pod has ended or is gone.
fn log(shared: &Arc<Shared>, call: &Call, container: &str) -> Response<Body> {
    let key = (call.namespace().to_owned(), call.name().to_owned(), container.to_owned());
    let written = shared.lock().logs.get(&key).cloned().unwrap_or_default();
    let tail = call.ask("tailLines").parse::<usize>().ok();
    let lines = written.split_inclusive('\n').count();
    let skipped: usize =
        tail.map_or(0, |tail| written.split_inclusive('\n').take(lines.saturating_sub(tail)).map(str::len).sum());
    if !["true", "1"].contains(&call.ask("follow")) {
        return text(&written[skipped..]);
    }
    let pod = { shared.lock().store.key(call.kind, call.namespace(), call.name()) };
    let start = (shared.clone(), skipped, false);
    let stream = futures_util::stream::unfold(start, move |(shared, at, over)| {
        let (key, pod) = (key.clone(), pod.clone());
        async move {
            if over {
                return None;
            }
            loop {
                let (new, ended) = {
                    let state = shared.lock();
                    let new = state.logs.get(&key).map_or("", String::as_str).get(at..).unwrap_or("").to_owned();
                    let live = state.store.get(&pod).is_some_and(|p| word(&p, "/status/phase") == "Running");
                    (new, !live)
                };
                if !new.is_empty() || ended {
                    let at = at + new.len();
                    return Some((Ok::<_, std::convert::Infallible>(new), (shared, at, ended)));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// `POST pods/NAME/binding`
pub fn bind(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let pod = existing(state, call, &kind)?;
    let binding = call.json()?;
    if !word(&pod, "/spec/nodeName").is_empty() {
        let why = format!("pod {}/{} is already assigned to a node", namespace(&pod), call.name());
        return Err(Refusal::conflict("pods/binding", "", call.name(), &why));
    }
    let node = word(&binding, "/target/name").to_owned();
    state.store.change(&call.key(&kind), |pod| set(pod, &["spec", "nodeName"], node));
    Ok((201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
}
