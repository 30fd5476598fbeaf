//! One HTTP exchange over a connection that somebody else has opened: a port of a pod. In the clear.

use super::kubernetes::Stream;
use super::{AdapterError, Answer, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;

/// More of a body is not kept.
const KEEP: usize = 1 << 20;

/// Sends the request and reads the answer; the URL's host names the pod in errors and in `Host`.
///
/// # Errors
/// When there is no answer within the request's limit.
pub async fn exchange(stream: Box<dyn Stream>, request: &Request) -> Result<Answer, AdapterError> {
    let name = format!("{} {}", request.method, super::http::bare(&request.url));
    let late = |_| AdapterError::TimedOut(format!("{name}: no answer in time"));
    tokio::time::timeout(request.timeout, over(stream, request, &name)).await.map_err(late)?
}

async fn over(stream: Box<dyn Stream>, request: &Request, name: &str) -> Result<Answer, AdapterError> {
    let other = |e: &dyn std::fmt::Display| AdapterError::Other(format!("{name}: {e}"));
    let uri: hyper::Uri = request.url.parse().map_err(|e| other(&e))?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let method = hyper::Method::from_bytes(request.method.as_bytes()).map_err(|e| other(&e))?;
    let mut builder = hyper::Request::builder().method(method).uri(path);
    if !request.headers.keys().any(|key| key.eq_ignore_ascii_case("host")) {
        builder = builder.header(HOST, host);
    }
    for (key, value) in &request.headers {
        builder = builder.header(key, value);
    }
    let body = Full::new(Bytes::from(request.body.clone().unwrap_or_default()));
    let message = builder.body(body).map_err(|e| other(&e))?;
    // The other end took the connection and says nothing that is HTTP: nobody serves there.
    let closed = |e: hyper::Error| AdapterError::Unreachable(format!("{name}: {e}"));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(closed)?;
    let answered = async {
        let answer = sender.send_request(message).await.map_err(closed)?;
        let status = answer.status().as_u16();
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(key, value)| (key.to_string(), text(value))).collect();
        let (mut incoming, mut body) = (answer.into_body(), Vec::new());
        while body.len() < KEEP {
            let Some(frame) = incoming.frame().await else { break };
            if let Ok(data) = frame.map_err(closed)?.into_data() {
                body.extend_from_slice(&data[..data.len().min(KEEP - body.len())]);
            }
        }
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    };
    let mut connection = std::pin::pin!(connection);
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        // A connection that ends first has handed over what it got.
        _ended = &mut connection => answered.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn request(url: &str) -> Request {
        let headers = BTreeMap::from([("x-who".to_owned(), "me".to_owned())]);
        let timeout = Duration::from_secs(20);
        Request { method: "GET".into(), url: url.into(), headers, body: None, timeout }
    }

    #[tokio::test]
    async fn an_exchange_goes_over_any_stream() {
        let (near, mut far) = tokio::io::duplex(4096);
        let serve = tokio::spawn(async move {
            let mut asked = vec![0; 4096];
            let read = far.read(&mut asked).await.unwrap();
            far.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 5\r\nx-a: b\r\n\r\nlater").await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let answer = exchange(Box::new(near), &request("http://web-1:8080/health?a=b")).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str(), answer.headers["x-a"].as_str()), (503, "later", "b"));
        let asked = serve.await.unwrap();
        assert!(asked.starts_with("GET /health?a=b HTTP/1.1\r\n") && asked.contains("host: web-1:8080"), "{asked}");
        assert!(asked.contains("x-who: me"), "{asked}");
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_is_nobody() {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let error = exchange(Box::new(near), &request("http://web-1:80/")).await.unwrap_err();
        assert!(matches!(&error, AdapterError::Unreachable(why) if why.contains("GET http://web-1:80/")), "{error:?}");
    }
}
