//! The real world: every adapter of this machine, put together.

use super::{AdapterError, ClientSettings, Clients, Endpoint, Fut, Opened, World};
use crate::clock::Clock;
use std::sync::Arc;

impl World {
    /// This machine and what it can reach.
    #[must_use]
    pub fn system() -> Self {
        super::install_tls();
        Self {
            clock: Clock::System,
            processes: Arc::new(super::process::SystemProcesses::new()),
            commands: Arc::new(super::command::SystemCommands),
            http: Arc::new(super::http::SystemHttp::new()),
            tcp: Arc::new(super::tcp::SystemTcp),
            sql: Arc::new(super::postgres::Databases),
            clients: Arc::new(Unavailable),
        }
    }
}

/// Stands where this build has no client.
struct Unavailable;

impl Clients for Unavailable {
    fn open<'a>(
        &'a self,
        _: &'a Clock,
        _: &'a Endpoint,
        _: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        Box::pin(async { Err(AdapterError::Missing("this build has no such client".to_owned())) })
    }
}
