//! A server that answers as a test says, for what neither the double nor a real API server does when it is wanted: lists
//! that expire, answers that are too large, connections that end in the middle. No API server, not even a double of one.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use blackstart::adapters::install_tls;
use blackstart::adapters::kubernetes::{Access, Cluster, ClusterError, Clusters, system};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What was asked: `GET /path?query`, a header, the body.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub login: String,
    pub body: Value,
}

/// What is said.
pub enum Say {
    /// With this status.
    Json(u16, Value),
    /// 429: come again at once.
    Later,
    /// Parts of a text, then the end.
    Parts(Vec<String>),
    /// Parts of a text, then the connection breaks.
    Breaks(Vec<String>),
    /// So many bytes of a list.
    Large(usize),
}

type Script = Arc<dyn Fn(&Asked) -> Say + Send + Sync>;

/// The server, and a kubeconfig that leads to it.
pub struct Scripted {
    pub folder: TempDir,
    pub kubeconfig: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bytes(parts: Vec<String>) -> impl Iterator<Item = Result<Vec<u8>, std::io::Error>> {
    parts.into_iter().map(|part| Ok(part.into_bytes()))
}

fn response(say: Say) -> Response {
    // What was said before is sent while this waits.
    let broken = async || {
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    };
    let (status, body) = match say {
        Say::Json(status, value) => (status, Body::from(value.to_string())),
        Say::Later => {
            (429, Body::from(json!({ "kind": "Status", "code": 429, "reason": "TooManyRequests" }).to_string()))
        }
        Say::Parts(parts) => (200, Body::from_stream(stream::iter(bytes(parts)))),
        Say::Breaks(parts) => (200, Body::from_stream(stream::iter(bytes(parts)).chain(stream::once(broken())))),
        Say::Large(size) => {
            let part = vec![b' '; 1 << 20];
            (200, Body::from_stream(stream::iter((0..size >> 20).map(move |_| Ok::<_, std::io::Error>(part.clone())))))
        }
    };
    let response = Response::builder().status(status);
    let response = if status == 429 { response.header("retry-after", "0") } else { response };
    response.body(body).unwrap()
}

/// The kubeconfig of a server with a login that must never be seen.
pub fn kubeconfig(server: &str, user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{ "name": "c", "cluster": { "server": server } }],
        "users": [{ "name": "u", "user": user }],
        "contexts": [{ "name": "here", "context": { "cluster": "c", "user": "u", "namespace": "shop" } }]
    })
}

impl Scripted {
    /// Answers as `script` says, and `/version` always.
    pub async fn start(script: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Self {
        install_tls();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, into): (Script, _) = (Arc::new(script), Arc::clone(&asked));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (script, into) = (Arc::clone(&script), Arc::clone(&into));
            async move {
                let asked = read(request).await;
                into.lock().unwrap().push(asked.clone());
                let version = json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0" });
                response(if asked.line == "GET /version" { Say::Json(200, version) } else { script(&asked) })
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, kubeconfig(&server, &json!({ "token": "hunter2" })).to_string()).unwrap();
        Self { folder, kubeconfig: path, asked, task }
    }

    pub fn access(&self) -> Access {
        Access { kubeconfig: Some(self.kubeconfig.clone()), context: None }
    }

    pub async fn cluster(&self) -> Arc<dyn Cluster> {
        self.opened(system().as_ref()).await.unwrap()
    }

    pub async fn opened(&self, clusters: &dyn Clusters) -> Result<Arc<dyn Cluster>, ClusterError> {
        clusters.open(&self.access()).await
    }

    /// What was asked besides the version.
    pub fn asked(&self) -> Vec<Asked> {
        self.all().into_iter().filter(|asked| asked.line != "GET /version").collect()
    }

    /// All that was asked.
    pub fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn read(request: Request) -> Asked {
    let line = format!("{} {}", request.method(), request.uri());
    let login =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    Asked { line, login, body: serde_json::from_slice(&body).unwrap_or_default() }
}
