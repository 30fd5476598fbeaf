//! A small client of the API server for what stands around the tests: JSON in, JSON out, and watches. It shares no code
//! with the product's client, so that the one does not hide what the other does wrong.

use blackstart::adapters::install_tls;
use reqwest::{Client, Method};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::time::Duration;

/// A whole answer comes within this.
const LIMIT: Duration = Duration::from_secs(15);
/// So long a watch goes on before it is asked for again.
const WATCH: u64 = 240;
const MERGE: &str = "application/merge-patch+json";
const PLAIN: &str = "application/json";

/// What a server said; status 0 if nobody answered.
#[derive(Debug, Clone)]
pub struct Said {
    pub status: u16,
    pub body: Value,
}

impl Said {
    fn nothing(why: &reqwest::Error) -> Self {
        Self { status: 0, body: Value::String(format!("{why:?}")) }
    }

    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it is if it was done.
    pub fn good(self) -> Option<Value> {
        self.is_good().then_some(self.body)
    }

    /// What must have been done.
    pub fn sure(self) -> Value {
        assert!(self.is_good(), "{}: {}", self.status, self.body);
        self.body
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Seen {
    /// All that there are.
    All(Vec<Value>),
    /// One that is new or has changed.
    Is(Value),
    /// One that is gone, as it was last.
    Gone(Value),
}

/// An API server and an account on it.
#[derive(Clone)]
pub struct Api {
    pub server: String,
    pub token: String,
    client: Client,
}

impl Api {
    pub fn new(server: &str, ca: &CertificateDer<'static>, token: &str) -> Self {
        install_tls();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let client = Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
        Self { server: server.to_owned(), token: token.to_owned(), client }
    }

    fn asked(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.server);
        self.client.request(method, url).bearer_auth(&self.token).header("accept", PLAIN)
    }

    pub async fn ask(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Said {
        let mut request = self.asked(method, path).timeout(LIMIT);
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(e) => return Said::nothing(&e),
        };
        let status = answer.status().as_u16();
        match answer.text().await {
            Ok(text) => Said { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) },
            Err(e) => Said::nothing(&e),
        }
    }

    pub async fn get(&self, path: &str) -> Said {
        self.ask(Method::GET, path, PLAIN, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Said {
        self.ask(Method::POST, path, PLAIN, Some(body)).await
    }

    pub async fn merge(&self, path: &str, body: &Value) -> Said {
        self.ask(Method::PATCH, path, MERGE, Some(body)).await
    }

    /// Deletes it; only one of this uid, at once, if a uid is given.
    pub async fn delete(&self, path: &str, uid: Option<&str>) -> Said {
        let exactly = |uid: &str| json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        self.ask(Method::DELETE, path, PLAIN, uid.map(exactly).as_ref()).await
    }

    /// Tells all that there are and then every change, for ever; after each gap all again. `query` is
    /// `labelSelector=…`.
    pub async fn follow(&self, path: &str, query: &str, mut each: impl FnMut(Seen)) {
        loop {
            if let Some(list) = self.get(&format!("{path}?{query}")).await.good() {
                let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
                each(Seen::All(list["items"].as_array().cloned().unwrap_or_default()));
                self.changes(&format!("{path}?{query}"), &version, &mut each).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every change since a version, until the server ends it.
    async fn changes(&self, path: &str, version: &str, each: &mut impl FnMut(Seen)) {
        let path = format!("{path}&watch=true&resourceVersion={version}&timeoutSeconds={WATCH}");
        let Ok(mut answer) = self.asked(Method::GET, &path).send().await else { return };
        let mut rest = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let Ok(mut change) = serde_json::from_slice::<Value>(&line) else { return };
                let object = change["object"].take();
                match change["type"].as_str() {
                    Some("ADDED" | "MODIFIED") => each(Seen::Is(object)),
                    Some("DELETED") => each(Seen::Gone(object)),
                    _ => return,
                }
            }
        }
    }
}

/// What a future comes to, waited for on a thread of its own: also from within a runtime.
pub fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
