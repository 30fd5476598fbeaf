//! One HTTP/1.1 connection that a workload's client holds in its own hands: it knows whether a request can have reached
//! the service, and nothing of it goes on once it is dropped. Which connection is used when is the clients' business.

use super::names::look_up;
use super::{AdapterError, HttpVersion, Line, tls};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// SYN retries come after 1, 3, 7 … seconds: a connect that waits for one would only measure the kernel's patience.
pub(super) const CONNECT: Duration = Duration::from_millis(900);
/// More of an answer's body is an error.
const BODY: usize = 1 << 20;

/// Why there is no answer, as far as it matters for the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of the request was sent.
    NotSent(String),
    /// No byte was sent, because this machine has no descriptors or ports left.
    Resources(String),
    /// Bytes were sent and no answer decides.
    Undecided(String),
}

/// Where a service is, from its URL, and how it is reached.
#[derive(Clone)]
pub(super) struct Site {
    host: String,
    port: u16,
    header: HeaderValue,
    tls: Option<Tls>,
    line: Line,
}

/// How it speaks TLS.
#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Site {
    /// From a URL, whose path is left aside.
    ///
    /// # Errors
    /// When it is no http or https URL, or the certificates that it trusts cannot be read; the text holds no user and no
    /// query.
    pub fn of(url: &Uri, line: &Line) -> Result<Self, AdapterError> {
        let wrong = |why: &str| AdapterError::Other(format!("the URL of a workload {why}"));
        let host = url.host().ok_or_else(|| wrong("has no host"))?;
        let shown = url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let header = HeaderValue::from_str(&shown).map_err(|_| wrong("has a host that is no header value"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match url.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Tls::new(&host, line)?), 443),
            _ => return Err(wrong("must begin with http:// or https://")),
        };
        Ok(Self { host, port: url.port_u16().unwrap_or(port), header, tls, line: line.clone() })
    }
}

impl Tls {
    fn new(host: &str, line: &Line) -> Result<Self, AdapterError> {
        let mut config = tls::config_as(&tls::Trust::Roots(line.ca.clone()), line.identity.as_ref())?;
        let protocol: &[u8] = if line.version == HttpVersion::Two { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = line.server_name.clone().unwrap_or_else(|| host.to_owned());
        let wrong = AdapterError::Other(format!("`{name}` is no name of a server"));
        let name = ServerName::try_from(name).map_err(|_| wrong)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

impl Site {
    /// Where it is, if it speaks HTTP/1 without encryption.
    pub fn plain(&self) -> Option<(&str, u16)> {
        (self.tls.is_none() && self.line.version == HttpVersion::One).then_some((self.host.as_str(), self.port))
    }

    /// Which HTTP it speaks.
    pub fn version(&self) -> HttpVersion {
        self.line.version
    }

    /// Who is asked for its name.
    pub fn resolver(&self) -> Option<&str> {
        self.line.resolver.as_deref()
    }

    /// The whole URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.header.to_str().unwrap_or_default())
    }

    /// What the header `host` says.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A request apart from its URL's path.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Headers as text into typed ones.
///
/// # Errors
/// Names the header that is none, not its value.
pub(super) fn headers(from: &BTreeMap<String, String>) -> Result<HeaderMap, AdapterError> {
    let mut map = HeaderMap::new();
    for (name, value) in from {
        let wrong = || AdapterError::Other(format!("the header `{name}` of a workload is not valid"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        map.append(key, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(map)
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection; dropping it resets it, so that nothing unsent is sent later and no port stays occupied.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
    host: HeaderValue,
}

impl Connection {
    /// Resolves the name anew and connects, within `limit` and 900 ms.
    pub async fn open(site: &Site, limit: Duration) -> Result<Self, Failure> {
        match to(site, limit).await? {
            Stream::Plain(stream) => Self::over(stream, site).await,
            Stream::Encrypted(stream) => Self::over(*stream, site).await,
        }
    }

    async fn over(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, site: &Site) -> Result<Self, Failure> {
        let (sender, driver) = handshake(TokioIo::new(io)).await.map_err(|e| Failure::NotSent(e.to_string()))?;
        Ok(Self { sender, driver: Some(Box::pin(driver)), host: site.header.clone() })
    }

    /// Can an idle connection be used again? The other side may have closed it meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        if let Some(driver) = &mut self.driver {
            let ended = std::future::poll_fn(|cx| Poll::Ready(driver.as_mut().poll(cx).is_ready())).await;
            if ended {
                self.driver = None;
            }
        }
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads the answer to its end.
    pub async fn exchange(&mut self, path: &str, message: Message) -> Result<Reply, Failure> {
        self.exchange_up_to(BODY, path, message).await
    }

    /// The same for an answer that may have so many bytes.
    pub async fn exchange_up_to(&mut self, most: usize, path: &str, message: Message) -> Result<Reply, Failure> {
        let request = self.request(path, message)?;
        let (sender, driver) = (&mut self.sender, self.driver.take());
        let work = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            reply_up_to(most, response).await
        };
        let (result, driver) = together(driver, work).await;
        self.driver = driver;
        result
    }

    /// Sends a request and hands the body over piece by piece; returns the status.
    pub async fn stream(
        &mut self,
        path: &str,
        message: Message,
        each: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
    ) -> Result<u16, Failure> {
        let request = self.request(path, message)?;
        let (sender, driver) = (&mut self.sender, self.driver.take());
        let work = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let status = response.status().as_u16();
            if status == 200 {
                pieces(response, each).await?;
            }
            Ok(status)
        };
        let (result, driver) = together(driver, work).await;
        self.driver = driver;
        result
    }

    fn request(&self, path: &str, message: Message) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let mut builder = hyper::Request::builder().method(message.method).uri(path).header(HOST, &self.host);
        if let Some(headers) = builder.headers_mut() {
            headers.extend(message.headers);
        }
        builder.body(Full::new(message.body)).map_err(|e| Failure::NotSent(e.to_string()))
    }
}

/// Works on a connection; it lives only while this is polled, and is kept only if all went well.
async fn together<T>(
    driver: Option<Driver>,
    work: impl Future<Output = Result<T, Failure>>,
) -> (Result<T, Failure>, Option<Driver>) {
    let Some(driver) = driver else { return (Err(Failure::NotSent("the connection is closed".to_owned())), None) };
    match select(std::pin::pin!(work), driver).await {
        Either::Left((result, driver)) => {
            let kept = result.is_ok().then_some(driver);
            (result, kept)
        }
        // The connection has ended; what it had read before is still handed over.
        Either::Right((_, work)) => (work.await, None),
    }
}

/// Reads an answer to its end.
pub(super) async fn reply(response: Response<Incoming>) -> Result<Reply, Failure> {
    reply_up_to(BODY, response).await
}

async fn reply_up_to(most: usize, response: Response<Incoming>) -> Result<Reply, Failure> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    pieces(response, |piece| {
        body.extend_from_slice(piece);
        if body.len() > most { Err(Failure::Undecided("an oversized answer".to_owned())) } else { Ok(()) }
    })
    .await?;
    Ok(Reply { status, headers, body })
}

async fn pieces(
    response: Response<Incoming>,
    mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame.map_err(failed)?.data_ref() {
            each(piece)?;
        }
    }
    Ok(())
}

/// What an error of an exchange says about the request.
pub(super) fn failed(error: hyper::Error) -> Failure {
    // Cancelled means that the request never left hyper's queue.
    if error.is_canceled() { Failure::NotSent(error.to_string()) } else { Failure::Undecided(error.to_string()) }
}

/// A way to a service.
pub(super) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// By TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Connects within `limit` and 900 ms.
pub(super) async fn to(site: &Site, limit: Duration) -> Result<Stream, Failure> {
    let connect = tokio::time::timeout(limit.min(CONNECT), connect(site)).await;
    connect.map_err(|_| Failure::NotSent("connect: no answer in time".to_owned()))?
}

async fn connect(site: &Site) -> Result<Stream, Failure> {
    let stream = dial(&site.host, site.port, site.resolver()).await.map_err(not_connected)?;
    let Some(tls) = &site.tls else { return Ok(Stream::Plain(stream)) };
    let not_sent = |why: String| Failure::NotSent(why);
    let stream = tls.connector.connect(tls.name.clone(), stream).await.map_err(|e| not_sent(e.to_string()))?;
    let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if site.version() == HttpVersion::Two && !agreed {
        return Err(not_sent("the service does not speak HTTP/2".to_owned()));
    }
    Ok(Stream::Encrypted(Box::new(stream)))
}

/// Looks the name up anew, and connects to the first of its addresses that answers.
///
/// # Errors
/// The last one's.
pub(super) async fn dial(host: &str, port: u16, resolver: Option<&str>) -> io::Result<TcpStream> {
    let mut failed = io::Error::other(format!("{host} has no address"));
    for address in look_up(host, port, resolver).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without these it is only slower, or keeps its port for a while.
                let _slower = stream.set_nodelay(true);
                let _port_kept = stream.set_zero_linger();
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Nothing was sent; was it for want of descriptors or ports?
pub(super) fn not_connected(error: io::Error) -> Failure {
    // Linux: ENOMEM 12, ENFILE 23, EMFILE 24, EADDRNOTAVAIL 99 (no ports left), ENOBUFS 105.
    match error.raw_os_error() {
        Some(12 | 23 | 24 | 99 | 105) => Failure::Resources(error.to_string()),
        // A name that cannot be looked up says nothing of descriptors, so they are looked at.
        None if std::fs::File::open("/dev/null").is_err() => Failure::Resources(error.to_string()),
        _ => Failure::NotSent(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(10);

    fn get() -> Message {
        Message { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn site(listener: &TcpListener) -> Site {
        Site::of(&format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap(), &Line::default()).unwrap()
    }

    /// Answers each connection once with `text`, then closes it.
    async fn once(text: &'static str) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = site(&listener);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 1024];
                let _read = stream.read(&mut bytes).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        site
    }

    #[tokio::test]
    async fn an_answer_that_comes_with_the_end_of_the_connection_is_read() {
        let site = once("HTTP/1.1 200 OK\r\nx-a: b\r\n\r\nuntil the end").await;
        let mut connection = Connection::open(&site, LIMIT).await.unwrap();
        let reply = connection.exchange("/", get()).await.unwrap();
        assert_eq!((reply.status, reply.header("x-a"), reply.body.as_slice()), (200, Some("b"), &b"until the end"[..]));
        assert!(!connection.is_usable().await);
    }

    #[tokio::test]
    async fn a_cut_answer_is_undecided_and_an_idle_close_is_noticed_before_sending() {
        let site = once("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhel").await;
        let mut connection = Connection::open(&site, LIMIT).await.unwrap();
        let failure = connection.exchange("/", get()).await.unwrap_err();
        assert!(matches!(failure, Failure::Undecided(_)), "{failure:?}");
        let site = once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let mut kept = Connection::open(&site, LIMIT).await.unwrap();
        assert_eq!(kept.exchange("/", get()).await.unwrap().body, b"ok");
        let closed = async {
            while kept.is_usable().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, closed).await.unwrap();
        let failure = kept.exchange("/", get()).await.unwrap_err();
        assert!(matches!(failure, Failure::NotSent(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn what_was_never_sent_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = site(&listener);
        drop(listener);
        let failure = Connection::open(&site, LIMIT).await.err().unwrap();
        assert!(matches!(failure, Failure::NotSent(_)), "{failure:?}");
        let emfile = not_connected(io::Error::from_raw_os_error(24));
        assert!(matches!(emfile, Failure::Resources(_)), "{emfile:?}");
    }

    #[test]
    fn a_site_needs_a_scheme_and_a_host() {
        let site = |url: &str| Site::of(&url.parse().unwrap(), &Line::default()).map(|s| (s.host, s.port));
        assert_eq!(site("http://a/x"), Ok(("a".to_owned(), 80)));
        assert_eq!(site("https://[::1]:8/x"), Ok(("::1".to_owned(), 8)));
        assert!(site("ftp://a/").is_err() && site("/x").is_err());
    }
}
