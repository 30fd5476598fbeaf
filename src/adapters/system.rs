//! The real world: every adapter of this machine, put together.

use super::{AdapterError, World};
use crate::clock::Clock;
use std::path::PathBuf;
use std::sync::Arc;

impl World {
    /// This machine and what it can reach.
    #[must_use]
    pub fn system() -> Self {
        Self::system_with(None)
    }

    /// The same with helper processes of this program instead of the one that runs: a test is not blackstart.
    #[must_use]
    pub fn system_with(program: Option<PathBuf>) -> Self {
        super::install_tls();
        Self {
            clock: Clock::System,
            processes: Arc::new(super::process::SystemProcesses::new()),
            commands: Arc::new(super::command::SystemCommands),
            http: Arc::new(super::http::SystemHttp::new()),
            tcp: Arc::new(super::tcp::SystemTcp),
            sql: Arc::new(super::postgres::Databases),
            systems: Arc::new(super::systems::SystemSystems { program: program.clone() }),
            clients: Arc::new(super::clients::SystemClients { program: program.clone() }),
            files: Arc::new(super::files::SystemFiles),
            disks: Arc::new(super::disk::SystemDisks),
            helpers: Arc::new(super::helpers::SystemHelpers::of(program.clone())),
            network: super::network::system(),
            containers: super::containers::system(),
            clusters: super::kubernetes::system(),
            proxies: Arc::new(super::proxy::SystemProxies),
            data: Arc::new(super::data::SystemData { program }),
            resolvers: Arc::new(super::resolver::SystemResolvers),
        }
    }
}

/// Lets this process (and what it starts) have so many open files at once, as far as it may raise that itself.
///
/// # Errors
/// `Refused` if it may not.
pub fn allow_descriptors(needed: u64) -> Result<(), AdapterError> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (now, most) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| AdapterError::Other(format!("open files: {e}")))?;
    if needed <= now {
        return Ok(());
    }
    if needed > most {
        let text =
            format!("{needed} open files are needed at once, and this process may have {most}: ulimit -n {needed}");
        return Err(AdapterError::Refused(text));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, most).map_err(|e| AdapterError::Refused(format!("open files: {e}")))
}
