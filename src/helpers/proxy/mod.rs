//! A TCP proxy whose connections can be made slow, stuck or broken while they are open. It runs as a process of its own,
//! is told what to do over a control socket ([`crate::adapters::proxy`] has the words), and outlives its runner only
//! as long as it was told. Which faults there are for playbooks is in `faults`.

mod buffers;
mod connection;
mod listener;
mod pump;
mod table;
#[cfg(test)]
mod tests;

use super::control::Control;
use super::life::{Keeper, told_to_end};
use crate::adapters::proxy::{Ask, LineFault, ProxyStart, ProxyState, Said};
use crate::model::Orphaned;
use connection::Counters;
use listener::{Port, Way};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use table::{Active, Table};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that are open when it is told to end may end by themselves within this.
const GRACE: Duration = Duration::from_millis(500);
/// An echo port that nobody uses is closed after this, and a look through it is over after this.
const ECHO: Duration = Duration::from_secs(30);

/// Why a proxy does not work.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The control socket cannot be made.
    #[error("cannot make the control socket {path}: {cause}")]
    Control {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A part of it stopped that never should.
    #[error("the proxy stopped: {0}")]
    Stopped(io::Error),
}

/// A proxy that serves.
pub(super) struct Proxy {
    table: watch::Sender<Arc<Table>>,
    counters: Arc<Counters>,
    serial: AtomicU64,
    listen: String,
    upstream: Arc<str>,
    instance: String,
    keeper: Keeper,
    setting: Mutex<()>,
    ended: CancellationToken,
}

/// The helper: its parameters are a [`ProxyStart`] as JSON, its line is a [`ProxyState`].
pub(super) fn helper(parameters: &str, ready: super::Ready<'_>) -> Result<(), String> {
    let settings: ProxyStart = serde_json::from_str(parameters).map_err(|e| format!("its parameters: {e}"))?;
    main(settings, |state| ready(&serde_json::to_string(state).unwrap_or_default())).map_err(|e| e.to_string())
}

/// Runs a proxy on threads of its own until it is told to end.
///
/// # Errors
/// When it cannot begin.
pub fn main(settings: ProxyStart, ready: impl FnOnce(&ProxyState)) -> Result<(), ProxyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ProxyError::Stopped)?;
    let ended = runtime.block_on(run(settings, ready));
    runtime.shutdown_background();
    ended
}

/// Runs a proxy until it is told to end. `ready` is called once with its state when it accepts connections.
///
/// # Errors
/// When it cannot begin.
pub async fn run(settings: ProxyStart, ready: impl FnOnce(&ProxyState)) -> Result<(), ProxyError> {
    let _fewer_connections_then = crate::adapters::allow_descriptors(most_files());
    let listening = |cause| ProxyError::Listen { address: settings.listen, cause };
    let port = Port::bind(settings.listen).map_err(listening)?;
    let address = port.address().map_err(listening)?;
    let path = settings.control.clone();
    let control = Control::bind(&path).map_err(|cause| ProxyError::Control { path, cause })?;
    let proxy = Arc::new(Proxy::new(address, &settings));
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let way = Way {
        upstream: Arc::clone(&proxy.upstream),
        table: proxy.table.subscribe(),
        counters: Arc::clone(&proxy.counters),
        tasks: tasks.clone(),
    };
    let listening = tokio::spawn(listener::listen(port, way, stop.clone()));
    let asked = Arc::clone(&proxy);
    let answer = move |ask| {
        let proxy = Arc::clone(&asked);
        async move { proxy.answer(ask).await }
    };
    ready(&proxy.state());
    let ended = tokio::select! {
        why = control.serve(answer) => Err(ProxyError::Stopped(why)),
        stopped = listening => Err(ProxyError::Stopped(stopped.map_or_else(io::Error::other, |s| s.err().unwrap_or_else(|| io::Error::other("no port"))))),
        () = proxy.life() => Ok(()),
        () = proxy.ended.cancelled() => Ok(()),
        () = told_to_end() => Ok(()),
    };
    stop.cancel();
    drop(control);
    tasks.close();
    let _still_open = tokio::time::timeout(GRACE, tasks.wait()).await;
    ended
}

/// As many as may be had.
fn most_files() -> u64 {
    crate::adapters::host::descriptors().map_or(1024, |(_, most)| most.min(1 << 20))
}

impl Proxy {
    fn new(listen: SocketAddr, settings: &ProxyStart) -> Self {
        let instance = format!("{}-{}", std::process::id(), crate::clock::Clock::System.boot_nanos());
        Self {
            table: watch::Sender::new(Arc::default()),
            counters: Arc::default(),
            serial: AtomicU64::new(0),
            listen: listen.to_string(),
            upstream: Arc::from(settings.upstream.as_str()),
            instance,
            keeper: Keeper::new(settings.keep.clone()),
            setting: Mutex::default(),
            ended: CancellationToken::new(),
        }
    }

    /// Until it must not live any longer.
    async fn life(&self) {
        let leave = |leave| {
            self.change(|table| {
                table.faults.clear();
                table.closed = leave == Orphaned::Closed;
            })
        };
        self.keeper.over(leave).await;
    }

    fn state(&self) -> ProxyState {
        let table = self.table.borrow().clone();
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        ProxyState {
            instance: self.instance.clone(),
            listen: self.listen.clone(),
            upstream: self.upstream.to_string(),
            life: self.keeper.life(),
            refusing: table.refuses(),
            faults: table.faults.iter().map(|a| a.fault.clone()).collect(),
            accepted: count(&self.counters.accepted),
            open: count(&self.counters.open),
            broken: count(&self.counters.broken),
            to_upstream: count(&self.counters.passed[0]),
            to_client: count(&self.counters.passed[1]),
        }
    }

    /// Puts another table in the place of this one; connections see it before this returns.
    fn change(&self, how: impl FnOnce(&mut Table)) {
        let _one_at_a_time = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.borrow());
        how(&mut table);
        self.table.send_replace(Arc::new(table));
    }

    fn set(&self, fault: LineFault) {
        self.change(|table| {
            // The same once more changes nothing: what is counted goes on counting.
            if table.faults.iter().any(|a| a.fault == fault) {
                return;
            }
            table.faults.retain(|a| a.fault.owner != fault.owner);
            table.faults.push(Active::new(fault, self.serial.fetch_add(1, Relaxed)));
        });
    }

    async fn answer(&self, ask: Result<Ask, String>) -> Said {
        match ask {
            Err(why) => return Said::Error(why),
            Ok(Ask::Set(fault)) if !(0.0..=1.0).contains(&fault.share) => {
                return Said::Error(format!("a share of {} is none", fault.share));
            }
            Ok(Ask::Set(_)) if self.keeper.is_orphaned() => {
                return Said::Error("its runner is gone: it takes no faults any more".to_owned());
            }
            Ok(Ask::Set(fault)) => self.set(fault),
            Ok(Ask::Clear(owner)) => self.change(|table| table.faults.retain(|a| a.fault.owner != owner)),
            Ok(Ask::ClearAll) => self.change(|table| table.faults.clear()),
            Ok(Ask::Echo) => {
                return match self.echo().await {
                    Ok(address) => Said::Echo(address),
                    Err(e) => Said::Error(format!("cannot open an echo port: {e}")),
                };
            }
            Ok(Ask::End) if !self.keeper.is_orphaned() => return Said::Error("its runner lives".to_owned()),
            Ok(Ask::End) => self.ended.cancel(),
            Ok(Ask::State) => {}
        }
        Said::State(Box::new(self.state()))
    }

    /// A port for one connection, led through the same code and the same faults to an echo.
    async fn echo(&self) -> io::Result<String> {
        let (front, back) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (address, upstream) = (front.local_addr()?.to_string(), back.local_addr()?.to_string());
        let table = self.table.subscribe();
        tokio::spawn(tokio::time::timeout(ECHO, async move {
            if let Ok((stream, _)) = back.accept().await {
                let (mut read, mut write) = stream.into_split();
                let _broken_off = tokio::io::copy(&mut read, &mut write).await;
            }
        }));
        tokio::spawn(tokio::time::timeout(ECHO, async move {
            if let Ok((client, _)) = front.accept().await {
                drop(front);
                connection::serve(client, None, &upstream, table, Arc::default()).await;
            }
        }));
        Ok(address)
    }
}
