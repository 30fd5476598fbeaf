//! HTTP/2 connections that a workload's client holds in its own hands: many exchanges at once on each, over TLS (agreed
//! by ALPN) or in the clear (agreed beforehand). Dropping one resets it, and nothing of it goes on.

use super::connection::{Failure, Message, Reply, Site, Stream, failed, reply, to};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// What works on a connection; ends with the connection.
#[derive(Clone, Default)]
struct Work(Arc<Mutex<JoinSet<()>>>);

impl Work {
    fn add(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(work);
    }
}

impl<F> hyper::rt::Executor<F> for Work
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, work: F) {
        self.add(async move {
            let _done = work.await;
        });
    }
}

/// The connection; its clones share it.
#[derive(Clone)]
pub(super) struct Connection2 {
    sender: SendRequest<Full<Bytes>>,
    _work: Arc<Ends>,
}

/// Ends the work when the last one that shares it is gone. The work itself holds the set, so dropping that is not enough.
struct Ends(Work);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Connection2 {
    /// Looks the name up anew and connects, within `limit` and 900 ms.
    pub async fn open(site: &Site, limit: Duration) -> Result<Self, Failure> {
        match to(site, limit).await? {
            Stream::Plain(stream) => Self::over(TokioIo::new(stream)).await,
            Stream::Encrypted(stream) => Self::over(TokioIo::new(*stream)).await,
        }
    }

    async fn over(io: impl hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static) -> Result<Self, Failure> {
        let work = Work::default();
        let (sender, driver) = handshake(work.clone(), io).await.map_err(|e| Failure::NotSent(e.to_string()))?;
        work.add(async move {
            let _ended = driver.await;
        });
        Ok(Self { sender, _work: Arc::new(Ends(work)) })
    }

    /// Can it take another exchange?
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and reads the answer to its end.
    pub async fn exchange(mut self, site: &Site, path: &str, message: Message) -> Result<Reply, Failure> {
        let mut builder = Request::builder().method(message.method).uri(site.url(path));
        if let Some(headers) = builder.headers_mut() {
            headers.extend(message.headers);
        }
        let request = builder.body(Full::new(message.body)).map_err(|e| Failure::NotSent(e.to_string()))?;
        let response = self.sender.send_request(request).await.map_err(failed)?;
        reply(response).await
    }
}
