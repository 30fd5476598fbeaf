//! Which client a workload gets: one line per kind of endpoint. The clients themselves are in files of their own.

use super::{AdapterError, ClientSettings, Clients, Endpoint, Fut, Opened};
use crate::clock::Clock;

/// The clients of this build.
pub(super) struct SystemClients;

impl Clients for SystemClients {
    fn open<'a>(
        &'a self,
        clock: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        Box::pin(async move {
            match endpoint {
                Endpoint::KvLedger { url } => super::kv::open(clock, url, settings),
                Endpoint::PostgresLedger { url, table } => super::postgres::open_ledger(clock, url, table, settings),
                Endpoint::PostgresProbe { url } => super::postgres::open_probe(clock, url, settings),
                Endpoint::Command { command } => super::command_client::open(clock, command, settings).await,
                Endpoint::Http { request, status, contains } => {
                    let client = super::visit::Visitor::open(clock, request, status, contains.as_deref(), settings)?;
                    Ok(Opened { client, store: None })
                }
            }
        })
    }
}
