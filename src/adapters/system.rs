//! The real world: every adapter of this machine, put together.

use super::World;
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
            clients: Arc::new(super::clients::SystemClients),
        }
    }
}
