//! The way from a connection to an answer: paths, tokens, what a test lets go wrong, and who does what.

use super::call::{Call, Place, place, query};
use super::inject::{Harm, refusal};
use super::read::Watch;
use super::status::Refusal;
use super::write::Answer;
use super::{Shared, State, access, delete, discovery, pods, read, scale, write};
use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use hyper::body::Incoming;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Request = axum::http::Request<Incoming>;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
pub struct Dropped;

/// Accepts until it is dropped.
pub async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let io = hyper_util::rt::TokioIo::new(stream);
            let service = hyper::service::service_fn(move |request| answer(shared.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await;
        });
    }
}

/// A new certificate for 127.0.0.1, as PEM, and what answers with it.
pub fn encryption() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![made.cert.der().clone()];
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn answer(shared: Arc<Shared>, mut request: Request) -> Result<Response<Body>, Dropped> {
    shared.open().await;
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), 64 << 20).await.map_err(|_| Dropped)?;
    if body.len() > 3 << 20 {
        let why = "the body of the request was too large to be accepted by the server";
        return Ok(refused(&Refusal::new(413, "RequestEntityTooLarge", why)));
    }
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: query(head.uri.query().unwrap_or_default()),
        headers: &head.headers,
        body: body.to_vec(),
    };
    let understood = call(&shared.lock(), &asked);
    let call = match understood {
        Ok(Some(call)) => call,
        Ok(None) => return Ok(plain(&shared, &asked)),
        Err(refusal) if refusal.code == 404 => return Ok(nowhere()),
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let (number, harm) = shared.lock().note(&call);
    match harm {
        Some(Harm::Hang) => std::future::pending().await,
        Some(Harm::Drop) => return Err(Dropped),
        Some(Harm::Delay(time)) => tokio::time::sleep(time).await,
        Some(Harm::Refuse(code)) => {
            shared.lock().answered(number, code);
            return Ok(refused(&refusal(code)));
        }
        Some(Harm::Swallow) | None => {}
    }
    shared.open().await;
    let response = done(&shared, &call, upgrade, &head.headers).await;
    shared.lock().answered(number, response.status().as_u16());
    if matches!(harm, Some(Harm::Swallow)) { Err(Dropped) } else { Ok(response) }
}

struct Asked<'a> {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: &'a axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Asked<'_> {
    fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// A request as a call; none if it is about no object.
fn call(state: &State, asked: &Asked<'_>) -> Result<Option<Call>, Refusal> {
    if ["/healthz", "/readyz", "/livez"].contains(&asked.path.trim_end_matches('/')) {
        return Ok(None);
    }
    let user = access::user(state, &asked.header("authorization"), &asked.header("impersonate-user"))?;
    let Some(place) = place(&asked.path) else { return Ok(None) };
    let kind = kind(state, &place)?;
    let watch = asked.query.iter().any(|(k, v)| k == "watch" && ["true", "1"].contains(&v.as_str()));
    let verb = match (asked.method.as_str(), &place.name) {
        ("GET", _) if watch && place.part.is_none() => "watch",
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", Some(_)) => "delete",
        ("DELETE", None) => "deletecollection",
        _ => return Err(Refusal::method()),
    };
    Ok(Some(Call {
        verb,
        kind,
        version: place.version,
        namespace: place.namespace,
        name: place.name,
        part: place.part,
        query: asked.query.clone(),
        accept: asked.header("accept"),
        media: asked.header("content-type"),
        body: asked.body.clone(),
        user,
        agent: asked.header("user-agent"),
    }))
}

fn kind(state: &State, place: &Place) -> Result<usize, Refusal> {
    let found = state.store.find(&place.group, &place.plural).ok_or_else(Refusal::nowhere)?;
    let kind = &state.store.kinds[found];
    let part = place.part.as_ref().is_none_or(|p| kind.has(p));
    let scoped = kind.namespaced || place.namespace.is_none() || place.plural == "namespaces";
    let named = !kind.namespaced || place.name.is_none() || place.namespace.is_some();
    let served = kind.versions.contains(&place.version) && part && scoped && named;
    served.then_some(found).ok_or_else(Refusal::nowhere)
}

/// What is about no object: discovery, version, health, OpenAPI.
fn plain(shared: &Arc<Shared>, asked: &Asked<'_>) -> Response<Body> {
    if ["/healthz", "/readyz", "/livez"].contains(&asked.path.trim_end_matches('/')) {
        return text("ok");
    }
    if asked.path == "/openapi/v2" {
        return match asked.header("accept").contains("protobuf") {
            true => text(""),
            false => object(200, &json!({"swagger": "2.0", "info": {"title": "double", "version": "1"}, "paths": {}})),
        };
    }
    let said = discovery::answer(&shared.lock(), &asked.path);
    match said {
        Some(Ok(said)) => object(200, &said),
        Some(Err(_)) | None => nowhere(),
    }
}

async fn done(
    shared: &Arc<Shared>,
    call: &Call,
    upgrade: hyper::upgrade::OnUpgrade,
    headers: &axum::http::HeaderMap,
) -> Response<Body> {
    if let Err(refusal) = access::authorize(&shared.lock(), call) {
        return refused(&refusal);
    }
    if call.verb == "watch" {
        return watch(shared, call);
    }
    if ["exec", "portforward", "attach", "log"].contains(&call.part()) {
        return pods::answer(shared, call, upgrade, headers).await;
    }
    let answer = dispatch(&mut shared.lock(), call);
    match answer {
        Ok((code, said)) => object(code, &said),
        Err(refusal) => refused(&refusal),
    }
}

fn dispatch(state: &mut State, call: &Call) -> Answer {
    if state.store.kinds[call.kind].review {
        return if call.verb == "create" { access::review(state, call) } else { Err(Refusal::method()) };
    }
    match (call.verb, call.part()) {
        (_, "scale") => scale::scale(state, call),
        ("create", "eviction") => delete::evict(state, call),
        ("create", "binding") => pods::bind(state, call),
        ("get", _) => read::get(&state.store, call).map(|o| (200, o)),
        ("list", _) => read::list(&state.store, call, &state.violations).map(|o| (200, o)),
        ("create", "") if call.name.is_none() => write::create(state, call),
        ("update", _) => write::update(state, call),
        ("patch", _) => write::patch(state, call),
        ("delete", "") => delete::delete(state, call),
        ("deletecollection", _) => delete::collection(state, call),
        _ => Err(Refusal::method()),
    }
}

fn watch(shared: &Arc<Shared>, call: &Call) -> Response<Body> {
    let opened = Watch::new(shared, &shared.lock().store, call);
    let watch = match opened {
        Ok(watch) => watch,
        Err(refusal) => return refused(&refusal),
    };
    let stream = futures_util::stream::unfold(watch, |mut watch| async move {
        let next = watch.next().await?;
        Some((Ok::<_, Infallible>(format!("{next}\n")), watch))
    });
    whole(200, "application/json", Body::from_stream(stream))
}

/// An object as an answer.
pub fn object(code: u16, said: &Value) -> Response<Body> {
    whole(code, "application/json", Body::from(said.to_string()))
}

/// A refusal as an answer.
pub fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = object(refusal.code, &refusal.object());
    if refusal.code == 429 && refusal.details.is_null() {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// A path that leads to nothing.
fn nowhere() -> Response<Body> {
    whole(404, "text/plain; charset=utf-8", Body::from("404 page not found\n"))
}

/// Plain text as an answer.
pub fn text(said: &str) -> Response<Body> {
    whole(200, "text/plain; charset=utf-8", Body::from(said.to_owned()))
}

fn whole(code: u16, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    response
}
