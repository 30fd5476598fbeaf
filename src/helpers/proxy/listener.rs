//! The port that clients connect to: accepts, or refuses as a closed port does, and hands connections on.

use super::connection::{Counters, serve};
use super::table::Table;
use crate::clock::Clock;
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 4096;
/// After the system could not give us a connection.
const SHORT: Duration = Duration::from_millis(20);
/// Open files besides those of connections.
const SPARE: u64 = 64;

/// A port that is bound, and whoever accepts on it; nobody while it refuses. What accepts is made anew each time, because
/// the runtime never forgets that a socket was shut down.
pub(super) struct Port {
    socket: std::net::TcpListener,
    listener: Option<TcpListener>,
}

impl Port {
    /// Binds and listens. A port that the system chose for a socket is lost when that socket stops listening, one that
    /// was asked for is not: so a free one is found first, and then asked for.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let finder = bound(address)?;
        let socket = if address.port() == 0 { bound(finder.local_addr()?)? } else { finder };
        let listener = socket.listen(BACKLOG)?;
        let socket = listener.as_fd().try_clone_to_owned()?.into();
        Ok(Self { socket, listener: Some(listener) })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Refuses from now on. A listening socket that is shut down stays bound: the system answers with RST
    /// as for any closed port, and listening again opens it. Nobody else can take the port meanwhile, if we do not say
    /// that it may be reused (which only a port that listens is safe to say).
    fn refuse(&mut self) -> io::Result<()> {
        if self.listener.take().is_some() {
            rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read)?;
            sockopt::set_socket_reuseaddr(&self.socket, false)?;
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            sockopt::set_socket_reuseaddr(&self.socket, true)?;
            rustix::net::listen(&self.socket, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
            self.listener = Some(TcpListener::from_std(self.socket.try_clone()?)?);
        }
        Ok(())
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What connections need.
#[derive(Clone)]
pub(super) struct Way {
    pub upstream: Arc<str>,
    pub table: watch::Receiver<Arc<Table>>,
    pub counters: Arc<Counters>,
    pub tasks: TaskTracker,
}

/// Accepts connections until it is told to stop; those that were accepted go on.
///
/// # Errors
/// When the port can neither be opened nor closed.
pub(super) async fn listen(mut port: Port, mut way: Way, stop: CancellationToken) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(room()));
    loop {
        let refuses = way.table.borrow_and_update().refuses();
        if refuses { port.refuse() } else { port.open() }?;
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            changed = way.table.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Ok(()),
            },
            accepted = next(&port, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let number = way.counters.accepted.fetch_add(1, Relaxed);
                let own = way.clone();
                way.tasks.spawn(async move {
                    own.counters.open.fetch_add(1, Relaxed);
                    serve(stream, Some(number), &own.upstream, own.table, Arc::clone(&own.counters)).await;
                    own.counters.open.fetch_sub(1, Relaxed);
                    drop(permit);
                });
            }
            // Gone before it was accepted, or the system is short of something: both pass.
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => Clock::System.sleep_until(Clock::System.mono().after(SHORT)).await,
        }
    }
}

async fn next(port: &Port, room: &Arc<Semaphore>) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    Ok((port.accept().await?, permit))
}

/// As many connections as open files allow, two each; more wait until there is room.
fn room() -> usize {
    let (files, _) = crate::adapters::host::descriptors().unwrap_or((1024, 1024));
    usize::try_from(files.saturating_sub(SPARE) / 2).unwrap_or(usize::MAX).clamp(1, 1 << 20)
}
