//! The truth rig: a service of our own that plays known outages and writes down, on the clock that the runner uses too,
//! when it accepted, refused, froze, slowed and lost what. [`truth`] makes the truth of that and [`judge`] holds what a
//! drill reported against it. Nothing here uses `analysis`: what is to be checked cannot check itself.
//!
//! Two processes. The *controller* (`blackstart rig`) waits for SIGUSR1, plays its [`Script`] once, and tells the
//! *server* what to do; it freezes and thaws it with real signals. SIGUSR2 ends a script early. Both end with their
//! standard input.
//!
//! # What the server speaks
//!
//! HTTP/1.1 on 127.0.0.1. `GET /visit/NAME?nonce=N` and `GET /?nonce=N` are answered with a page that holds N; the
//! ledger's requests are those of the embedded staging (see [`crate::staging`]). On the same port, whoever says the line
//! `visit NAME N` gets the page without HTTP; who is refused is told so and hung up on.
//!
//! Its name server is on the UDP port of the same number. It knows `rig.test`, which leads to where the service is, and
//! `moves` is a name whose old address is dead: when the spell ends, the service is at the next address of the loopback
//! network, and the name leads there.
//!
//! # Files in its directory
//!
//! `server.jsonl` and `control.jsonl` hold facts, a line each ([`log::Fact`]); `begun` is there once the first spell
//! has begun, `broken` while a script is played.

mod connection;
mod control;
mod drill;
pub mod judge;
mod known;
pub mod log;
mod names;
mod script;
mod server;
mod store;
pub mod table;
pub mod truth;

pub use control::{RigSettings, run};
pub use drill::{Drill, Host, Over, Ran, Visitor};
pub use known::{endless, known};
pub use script::{Play, Script, ScriptError, Spell};
pub use server::{ServerSettings, serve};
pub use store::Lies;

use std::path::{Path, PathBuf};

/// Why the rig could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A port is taken.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{doing} {}: {cause}", path.display())]
    File {
        /// What was tried, as in "cannot write".
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The server ended, or did not begin.
    #[error("the rig's server {0}")]
    Server(String),
    /// The system refused something that the rig cannot do without.
    #[error("cannot {0}: {1}")]
    System(&'static str, std::io::Error),
}

impl RigError {
    fn file(doing: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::File { doing, path: path.to_path_buf(), cause }
    }
}

/// Resolves when standard input ends or SIGTERM comes. The reading thread is a plain one, because the runtime would
/// wait for a blocked read of its own; each line is handed over.
async fn told_to_end(lines: tokio::sync::mpsc::UnboundedSender<String>) {
    let (gone, closed) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            // Nobody may want to hear it.
            let _unheard = lines.send(line);
        }
        drop(gone);
    });
    let term = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = closed => {}
        () = term => {}
    }
}

/// This program, also when its file was replaced while it runs.
fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
