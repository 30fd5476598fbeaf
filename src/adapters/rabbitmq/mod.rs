//! RabbitMQ: the ledger's client and its queues, the availability probe of a ledger, and questions for probes, over AMQP 0-9-1
//! and the nodes' management. Nothing here decides by an error's text, and no message holds a password.

mod classify;
mod connection;
mod frame;
mod ledger;
mod look;
mod nodes;
mod place;
mod queues;
mod store;

use super::connection::CONNECT;
use super::systems::{RabbitmqAsk, Seen};
use super::{AdapterError, ClientSettings, Opened, ServerPlace};
use crate::clock::Clock;
use crate::workloads::{LEDGER_TABLE, QueueSpec};
use nodes::Nodes;
use queues::Queues;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The queue of a run's ledger whose playbook names no `table`.
#[must_use]
pub fn queue_of(run: &str) -> String {
    Queues::new(LEDGER_TABLE, run, &QueueSpec::default()).own()
}

fn nodes(place: &ServerPlace, limit: Duration) -> Result<Nodes, AdapterError> {
    let patience = place.connect_timeout.unwrap_or(CONNECT).min(limit);
    Ok(Nodes { place: place::Place::parse(&place.url)?, patience })
}

/// Opens a ledger; connections are made when they are first needed. `prefix` names its queues.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    queue: &QueueSpec,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let nodes = Arc::new(nodes(place, settings.timeout)?);
    let queues = Queues::new(prefix, settings.run.as_str(), queue);
    let store = store::Store::new(Arc::clone(&nodes), queues.clone());
    let client = ledger::Ledger::new(clock.clone(), nodes, queues, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// Opens the probe that looks whether the cluster takes messages, with a fresh connection each time.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_probe(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    queue: &QueueSpec,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let limit = place.response_timeout.map_or(settings.timeout, |patience| patience.min(settings.timeout));
    let queues = Queues::new(prefix, settings.run.as_str(), queue);
    let probe = ledger::Probe { clock: clock.clone(), nodes: nodes(place, limit)?, queues, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`; `management` is where the nodes' management is.
///
/// # Errors
/// When nobody answers, or a URL is wrong.
pub(super) async fn look(
    place: &ServerPlace,
    management: Option<&str>,
    queue: &str,
    ask: RabbitmqAsk,
    limit: Duration,
) -> Result<Seen, AdapterError> {
    let nodes = nodes(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", nodes.place.label));
    timeout(limit, look::look(&nodes, management, queue, ask)).await.unwrap_or_else(|_| Err(late()))
}
