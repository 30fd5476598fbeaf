//! What is done inside pods: programs run, logs read, ports connected to. Over websockets, as the API server relays them to
//! the node.

use super::call::{Ask, CALL, Caller, within};
use super::client::all;
use super::lines::Lines;
use super::status::{Hush, Status, tame};
use super::{ClusterError, Flow, Inside, Kind, Scope, Stream};
use crate::adapters::CommandOutput;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kube::Api;
use kube::api::{AttachParams, Portforwarder};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};

/// Of what a program writes, so much is kept; the rest is read and thrown away.
const KEEP: usize = 1 << 20;
/// On its way to us, so much waits.
const BUFFER: usize = 64 << 10;
/// A line of a log is cut after this.
const LINE: usize = 256 << 10;

fn called(inside: &Inside) -> String {
    let container = inside.container.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("pod {}/{}{container}", inside.namespace, inside.pod)
}

/// The pods of its namespace. kube puts names into URLs as they are.
fn pods(caller: &Caller, inside: &Inside, doing: &str) -> Result<Api<Pod>, ClusterError> {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if !plain(&inside.namespace) || !plain(&inside.pod) || inside.pod.starts_with('.') {
        return Err(ClusterError::Invalid(format!("{doing}: no pod has that name")));
    }
    Ok(Api::namespaced(caller.client.clone(), &inside.namespace))
}

fn refused(caller: &Caller, doing: &str, error: &kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(said) => {
            let (reason, message) = (said.reason.clone(), said.message.clone());
            Status { code: said.code, reason, message, ..Status::default() }.error(doing, Hush::No)
        }
        kube::Error::UpgradeConnection(_) => {
            ClusterError::Other(format!("{doing}: the server, or what is before it, takes no websocket"))
        }
        other => caller.broken(doing, other),
    }
}

/// Runs a program to its end.
pub(super) async fn exec(
    caller: &Caller,
    inside: &Inside,
    argv: &[String],
    limit: Duration,
) -> Result<CommandOutput, ClusterError> {
    let doing = format!("run `{}` in {}", argv.first().map(String::as_str).unwrap_or_default(), called(inside));
    let pods = pods(caller, inside, &doing)?;
    let mut how = AttachParams::default().stdin(false).stdout(true).stderr(true).tty(false);
    how = how.max_stdout_buf_size(BUFFER).max_stderr_buf_size(BUFFER);
    how.container.clone_from(&inside.container);
    within(limit, &doing, async {
        let mut running = pods.exec(&inside.pod, argv, &how).await.map_err(|error| refused(caller, &doing, &error))?;
        let (stdout, stderr) = (running.stdout(), running.stderr());
        let ended = async {
            match running.take_status() {
                Some(status) => status.await,
                None => None,
            }
        };
        let (stdout, stderr, ended) = futures_util::join!(kept(stdout), kept(stderr), ended);
        let lost = || ClusterError::TimedOut(format!("{doing}: the connection ended before the program did"));
        let status = exit(ended.ok_or_else(lost)?, &doing)?;
        Ok(CommandOutput { status: Some(status), stdout, stderr })
    })
    .await
}

async fn kept(pipe: Option<impl AsyncRead + Unpin + Send>) -> String {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        let mut buffer = vec![0_u8; BUFFER];
        while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
            let room = KEEP.saturating_sub(kept.len()).min(n);
            kept.extend_from_slice(&buffer[..room]);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The exit status, from the channel that says how it ended (`v4.channel.k8s.io`).
fn exit(ended: meta::Status, doing: &str) -> Result<i32, ClusterError> {
    if ended.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = ended.details.and_then(|details| details.causes).unwrap_or_default();
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = code.and_then(|cause| cause.message.as_deref()).and_then(|text| text.parse().ok());
    let failed = || ClusterError::Other(format!("{doing}: {}", tame(&ended.message.unwrap_or_default())));
    code.ok_or_else(failed)
}

/// What a container writes, line by line.
pub(super) async fn logs(
    caller: &Caller,
    inside: &Inside,
    limit: Duration,
    each: &mut (dyn FnMut(&str) -> Flow + Send),
) -> Result<(), ClusterError> {
    let doing = format!("read the log of {}", called(inside));
    pods(caller, inside, &doing)?;
    let path = all(&Kind::of("", "v1", "Pod", "pods", Scope::Namespaced), Some(&inside.namespace));
    let mut ask = Ask::get(format!("{path}/{}/log", inside.pod), doing).with("follow", "true");
    ask.accept = "text/plain, application/json, */*";
    if let Some(container) = &inside.container {
        ask = ask.with("container", container.clone());
    }
    let work = async {
        let body = within(CALL, &ask.doing, caller.stream(&ask)).await?;
        let mut lines = Lines::new(body, LINE);
        while let Some(line) = lines.next().await.map_err(|error| caller.broken(&ask.doing, &error))? {
            if each(&String::from_utf8_lossy(&line.bytes)) == Flow::Enough {
                break;
            }
        }
        Ok(())
    };
    tokio::time::timeout(limit, work).await.unwrap_or(Ok(()))
}

/// Connects to a port of a pod.
pub(super) async fn connect(
    caller: &Caller,
    inside: &Inside,
    port: u16,
    limit: Duration,
) -> Result<Box<dyn Stream>, ClusterError> {
    let doing = format!("connect to port {port} of {}", called(inside));
    let pods = pods(caller, inside, &doing)?;
    let opened = within(limit, &doing, async {
        pods.portforward(&inside.pod, &[port]).await.map_err(|error| refused(caller, &doing, &error))
    });
    let mut over = opened.await?;
    let none = || ClusterError::Other(format!("{doing}: there is no such stream"));
    let stream = over.take_stream(port).ok_or_else(none)?;
    let failed = over.take_error(port).map(|failed| Box::pin(failed) as Failed);
    Ok(Box::new(Forwarded { stream, failed, over }))
}

type Failed = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A stream over the API server and the node. That nobody listens comes after it was opened.
struct Forwarded {
    stream: DuplexStream,
    failed: Option<Failed>,
    over: Portforwarder,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.over.abort();
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let said = self.failed.as_mut().map(|failed| failed.as_mut().poll(cx));
        if let Some(Poll::Ready(said)) = said {
            self.failed = None;
            if let Some(text) = said {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, tame(&text))));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The protocol cannot end one direction alone: both end when it is dropped, and an answer may still come.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}
