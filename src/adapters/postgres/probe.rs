//! Looks whether the database takes writes, each time with a fresh connection. It writes nothing.

use super::server::Server;
use crate::adapters::{AdapterError, Client, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::Outcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    clock: Clock,
    server: Arc<Server>,
    limit: Duration,
}

impl Probe {
    pub(super) fn new(clock: Clock, server: Arc<Server>, limit: Duration) -> Self {
        Self { clock, server, limit }
    }
}

impl Client for Probe {
    fn operate(&self, _: Operation) -> Fut<'_, Done> {
        Box::pin(visit(&self.clock, &self.server, self.limit))
    }
}

/// Connects, asks, and closes. A server that answers but is read-only (a standby, or a demoted primary) is a failure:
/// the ledger's clients could not work there.
pub(super) async fn visit(clock: &Clock, server: &Server, limit: Duration) -> Done {
    let sent = clock.mono();
    let outcome = match timeout(limit, takes_writes(server, limit)).await {
        Err(_) | Ok(Err(AdapterError::TimedOut(_))) => Outcome::Unknown,
        Ok(Ok(true)) => Outcome::Ok,
        Ok(_) => Outcome::Fail,
    };
    Done { sent, done: clock.mono(), outcome, found: None }
}

async fn takes_writes(server: &Server, limit: Duration) -> Result<bool, AdapterError> {
    let session = server.connect(limit).await?;
    let answer = session.client.simple_query("show transaction_read_only").await;
    let answer = answer.map_err(|e| server.refused("asking whether it takes writes", &e))?;
    Ok(answer.iter().any(|m| matches!(m, SimpleQueryMessage::Row(row) if row.get(0) == Some("off"))))
}
