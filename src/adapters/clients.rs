//! Which client a workload gets: one line per kind of endpoint. The clients themselves are in files of their own.

use super::caller::{Caller, host_and_port};
use super::flights::{Behaviour, Http1, Place, Talk, Talking, Wire};
use super::visit::Page;
use super::{AdapterError, ClientSettings, Clients, Endpoint, Flights, Fut, LedgerStore, Opened};
use crate::clock::Clock;
use std::sync::Arc;

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
                Endpoint::Http { request, status, contains, line } => {
                    let page = Page::of(request, status, contains.as_deref(), line)?;
                    Ok(Opened { client: super::visit::Visitor::open(clock, page, settings), store: None })
                }
                Endpoint::Tcp { address, send, expect, resolver } => {
                    let (host, port) = place(address)?;
                    let talk = Talking::new(send.as_deref(), expect.as_deref());
                    let (clock, settings, resolver) = (clock.clone(), settings.clone(), resolver.clone());
                    let client = Arc::new(Caller { clock, host, port, resolver, talk, settings });
                    Ok(Opened { client, store: None })
                }
            }
        })
    }

    fn site<'a>(
        &'a self,
        clock: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Arc<dyn LedgerStore>, AdapterError>> {
        Box::pin(async move {
            if let Endpoint::KvLedger { url } = endpoint {
                return super::kv::open_copy(clock, url, settings);
            }
            self.open(clock, endpoint, settings).await?.copy()
        })
    }

    fn flights(
        &self,
        clock: &Clock,
        endpoint: &Endpoint,
        settings: &ClientSettings,
    ) -> Result<Option<Box<dyn Flights>>, AdapterError> {
        let Some(behaviour) = Behaviour::of(&settings.behaviour) else { return Ok(None) };
        if matches!(clock, Clock::Simulated(_)) {
            return Ok(None);
        }
        match endpoint {
            Endpoint::Http { request, status, contains, line } => {
                let page = Page::of(request, status, contains.as_deref(), line)?;
                let Some((host, port)) = page.site.plain() else { return Ok(None) };
                if page.needs_hyper() {
                    return Ok(None);
                }
                let place = Place::new(host, port, page.site.resolver());
                let talk = Http1::new(page.site.header(), &page.path, &page.message, page.expectation.clone());
                wire(clock, place, talk, behaviour, settings).map(Some)
            }
            Endpoint::Tcp { address, send, expect, resolver } => {
                let (host, port) = place(address)?;
                let talk = Talking::new(send.as_deref(), expect.as_deref());
                // A connection on which nothing is said has nothing to be kept for.
                let behaviour = if send.is_some() { behaviour } else { Behaviour::Fresh };
                wire(clock, Place::new(&host, port, resolver.as_deref()), talk, behaviour, settings).map(Some)
            }
            Endpoint::KvLedger { .. }
            | Endpoint::PostgresLedger { .. }
            | Endpoint::PostgresProbe { .. }
            | Endpoint::Command { .. } => Ok(None),
        }
    }
}

fn place(address: &str) -> Result<(String, u16), AdapterError> {
    host_and_port(address).ok_or_else(|| AdapterError::Other(format!("`{address}` is no address: write HOST:PORT")))
}

fn wire(
    clock: &Clock,
    place: Place,
    talk: impl Talk + 'static,
    behaviour: Behaviour,
    settings: &ClientSettings,
) -> Result<Box<dyn Flights>, AdapterError> {
    let wire = Wire::new(clock, place, talk, behaviour, settings);
    wire.map(|wire| Box::new(wire) as Box<dyn Flights>)
        .map_err(|e| AdapterError::Other(format!("watch over connections: {e}")))
}
