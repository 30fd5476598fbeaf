//! HTTP services for probes and requests, on reqwest with rustls and ring. Workloads have clients of their own.

use super::{AdapterError, Answer, Fut, Http, Request};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::OnceLock;

/// More of a body is not kept.
const KEEP: usize = 1 << 20;

/// The HTTP services that this machine reaches; proxies of the environment are not used, redirects not followed.
pub(super) struct SystemHttp {
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl SystemHttp {
    pub(super) fn new() -> Self {
        Self { client: OnceLock::new() }
    }

    fn client(&self) -> Result<&reqwest::Client, AdapterError> {
        self.client.get_or_init(build).as_ref().map_err(|e| AdapterError::Other(e.clone()))
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, AdapterError> {
        let (status, headers, body) = self.bytes(request).await?;
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn bytes(&self, request: &Request) -> Result<Reply, AdapterError> {
        let name = format!("{} {}", request.method, bare(&request.url));
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| AdapterError::Other(format!("`{}` is no HTTP method", request.method)))?;
        let mut builder = self.client()?.request(method, &request.url).timeout(request.timeout);
        for (key, value) in &request.headers {
            builder = builder.header(key, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut answer = builder.send().await.map_err(|e| failed(&name, e))?;
        let headers =
            answer.headers().iter().map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into()));
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        let mut body = Vec::new();
        while body.len() < KEEP {
            let Some(chunk) = answer.chunk().await.map_err(|e| failed(&name, e))? else { break };
            body.extend_from_slice(&chunk[..chunk.len().min(KEEP - body.len())]);
        }
        Ok((status, headers, body))
    }

    async fn fetched(&self, url: &str, timeout: std::time::Duration) -> Result<Vec<u8>, AdapterError> {
        let (method, headers) = ("GET".to_owned(), BTreeMap::new());
        let (status, _, body) =
            self.bytes(&Request { method, url: url.to_owned(), headers, body: None, timeout }).await?;
        if status == 200 {
            return Ok(body);
        }
        Err(AdapterError::Refused(format!("GET {}: status {status}", bare(url))))
    }
}

/// Status, headers, body.
type Reply = (u16, BTreeMap<String, String>, Vec<u8>);

fn build() -> Result<reqwest::Client, String> {
    install_tls();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|e| format!("cannot make an HTTP client: {e}"))
}

/// Installs rustls' ring provider, once for the process; without one reqwest panics.
pub fn install_tls() {
    // An error only says that one is installed already.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

/// The URL without what may be secret: user, password, query.
pub(super) fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
            let host = host.rsplit('@').next().unwrap_or_default();
            path.map_or_else(|| format!("{scheme}://{host}"), |p| format!("{scheme}://{host}/{p}"))
        }
        None => url.to_owned(),
    }
}

/// What an exchange that failed says, without its URL.
pub(super) fn failed(name: &str, error: reqwest::Error) -> AdapterError {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = format!("{name}: {cause}");
    match () {
        () if error.is_timeout() => AdapterError::TimedOut(format!("{name}: no answer in time")),
        () if error.is_connect() => AdapterError::Unreachable(text),
        () => AdapterError::Other(text),
    }
}

impl Http for SystemHttp {
    fn send<'a>(&'a self, request: &'a Request) -> Fut<'a, Result<Answer, AdapterError>> {
        Box::pin(self.exchange(request))
    }

    fn fetch<'a>(&'a self, url: &'a str, timeout: std::time::Duration) -> Fut<'a, Result<Vec<u8>, AdapterError>> {
        Box::pin(self.fetched(url, timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get, post};
    use std::time::Duration;

    fn get_request(url: String) -> Request {
        let timeout = Duration::from_secs(30);
        Request { method: "GET".into(), url, headers: BTreeMap::new(), body: None, timeout }
    }

    async fn served() -> String {
        let app = Router::new()
            .route("/hello", get(|h: HeaderMap| async move { format!("hi {}", h["x-who"].to_str().unwrap()) }))
            .route("/echo", post(|body: String| async move { (axum::http::StatusCode::CREATED, body) }))
            .route("/moved", get(|| async { axum::response::Redirect::to("/hello") }))
            .route("/never", get(std::future::pending::<String>))
            .route("/big", get(|| async { "x".repeat(3 << 20) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    #[tokio::test]
    async fn an_exchange_carries_headers_body_and_status() {
        let (http, url) = (SystemHttp::new(), served().await);
        let mut request = get_request(format!("{url}/hello"));
        request.headers.insert("x-who".into(), "me".into());
        let answer = http.send(&request).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "hi me"));
        assert_eq!(answer.headers["content-length"], "5");
        let echo = Request { method: "POST".into(), body: Some(b"abc".to_vec()), ..get_request(format!("{url}/echo")) };
        assert_eq!(http.send(&echo).await.map(|a| (a.status, a.body)), Ok((201, "abc".to_owned())));
        assert_eq!(http.send(&get_request(format!("{url}/moved"))).await.unwrap().status, 303);
        assert_eq!(http.send(&get_request(format!("{url}/big"))).await.unwrap().body.len(), KEEP);
    }

    #[tokio::test]
    async fn errors_are_told_apart_and_hold_no_secret() {
        let (http, url) = (SystemHttp::new(), served().await);
        let slow = Request { timeout: Duration::from_millis(50), ..get_request(format!("{url}/never?token=s3cret")) };
        let error = http.send(&slow).await.unwrap_err();
        assert!(matches!(&error, AdapterError::TimedOut(m) if !m.contains("s3cret")), "{error}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = http.send(&get_request(format!("http://me:s3cret@{free}/x?y=s3cret"))).await.unwrap_err();
        assert!(matches!(&error, AdapterError::Unreachable(m) if !m.contains("s3cret")), "{error}");
        assert!(error.to_string().contains("efused"), "{error}");
        let wrong = http.send(&get_request("not a url".to_owned())).await.unwrap_err();
        assert!(matches!(wrong, AdapterError::Other(_)), "{wrong}");
    }
}
