//! Which client a workload gets: one line per kind of endpoint. The clients themselves are in files of their own.

use super::caller::{Caller, host_and_port};
use super::flights::{Behaviour, Http1, Place, Talk, Talking, Wire};
use super::visit::Page;
use super::{AdapterError, ClientSettings, Clients, Endpoint, Flights, Fut, LedgerStore, Opened};
use crate::clock::Clock;
use std::sync::Arc;

/// The clients of this build.
pub(super) struct SystemClients {
    /// The program whose processes do file operations; the one that runs if none is given.
    pub program: Option<std::path::PathBuf>,
}

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
                Endpoint::RedisLedger { place, prefix, wait } => {
                    super::redis::open_ledger(clock, place, prefix, *wait, settings)
                }
                Endpoint::RedisProbe { place, prefix } => super::redis::open_probe(clock, place, prefix, settings),
                Endpoint::CouchdbLedger { place, prefix } => {
                    super::couchdb::open_ledger(clock, place, prefix, settings)
                }
                Endpoint::CouchdbProbe { place, prefix } => super::couchdb::open_probe(clock, place, prefix, settings),
                Endpoint::EtcdLedger { place, prefix } => super::etcd::open_ledger(clock, place, prefix, settings),
                Endpoint::EtcdProbe { place, prefix } => super::etcd::open_probe(clock, place, prefix, settings),
                Endpoint::MysqlLedger { place, table } => super::mysql::open_ledger(clock, place, table, settings),
                Endpoint::MysqlProbe { place } => super::mysql::open_probe(clock, place, settings),
                Endpoint::DirectoryLedger { place } => {
                    Ok(super::directory::open_ledger(clock, self.program.as_deref(), place, settings))
                }
                Endpoint::DirectoryProbe { place } => {
                    super::directory::open_probe(clock, self.program.as_deref(), place, settings).await
                }
                Endpoint::S3Ledger(place, prefix) => super::s3::open_ledger(clock, place, prefix, settings),
                Endpoint::S3Probe(place, prefix) => super::s3::open_probe(clock, place, prefix, settings),
                Endpoint::MongodbLedger { place, prefix } => {
                    super::mongodb::open_ledger(clock, place, prefix, settings)
                }
                Endpoint::MongodbProbe { place, prefix } => super::mongodb::open_probe(clock, place, prefix, settings),
                Endpoint::RabbitmqLedger { place, prefix, queue } => {
                    super::rabbitmq::open_ledger(clock, place, prefix, queue, settings)
                }
                Endpoint::RabbitmqProbe { place, prefix, queue } => {
                    super::rabbitmq::open_probe(clock, place, prefix, queue, settings)
                }
                Endpoint::ElasticLedger(at, prefix) => super::elasticsearch::open_ledger(clock, at, prefix, settings),
                Endpoint::ElasticProbe(at, prefix) => super::elasticsearch::open_probe(clock, at, prefix, settings),
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
            if let Endpoint::CouchdbLedger { place, prefix } = endpoint {
                return super::couchdb::open_copy(place, prefix, settings);
            }
            if let Endpoint::EtcdLedger { place, prefix } = endpoint {
                return super::etcd::open_copy(place, prefix, settings);
            }
            if let Endpoint::DirectoryLedger { place } = endpoint {
                return Ok(super::directory::open_copy(self.program.as_deref(), place, settings));
            }
            if let Endpoint::MongodbLedger { place, prefix } = endpoint {
                return super::mongodb::open_copy(clock, place, prefix, settings);
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
            | Endpoint::RedisLedger { .. }
            | Endpoint::RedisProbe { .. }
            | Endpoint::CouchdbLedger { .. }
            | Endpoint::CouchdbProbe { .. }
            | Endpoint::EtcdLedger { .. }
            | Endpoint::EtcdProbe { .. }
            | Endpoint::MysqlLedger { .. }
            | Endpoint::MysqlProbe { .. }
            | Endpoint::DirectoryLedger { .. }
            | Endpoint::DirectoryProbe { .. }
            | Endpoint::S3Ledger(..)
            | Endpoint::S3Probe(..)
            | Endpoint::MongodbLedger { .. }
            | Endpoint::MongodbProbe { .. }
            | Endpoint::RabbitmqLedger { .. }
            | Endpoint::RabbitmqProbe { .. }
            | Endpoint::ElasticLedger(..)
            | Endpoint::ElasticProbe(..)
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
