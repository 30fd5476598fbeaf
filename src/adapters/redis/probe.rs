//! Looks whether a Redis takes writes, each time with a fresh connection (and a fresh question to Sentinel).

use super::classify;
use super::connection::Trouble;
use super::discover::Guide;
use super::resp::Value;
use crate::adapters::{Client, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::Outcome;
use std::time::Duration;
use tokio::time::timeout;

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    pub clock: Clock,
    pub guide: Guide,
    pub key: String,
    pub limit: Duration,
}

impl Probe {
    /// Removes a key that nobody has: it changes nothing and is not replicated, and is refused as every write is (a replica,
    /// too few replicas, a data set that is being loaded).
    async fn visit(&self) -> Result<Outcome, Trouble> {
        let mut connection = self.guide.primary().await?;
        Ok(match connection.ask(&[b"UNLINK", self.key.as_bytes()]).await? {
            Value::Int(_) => Outcome::Ok,
            Value::Refused(refusal) => classify::after_sending(&refusal),
            _ => Outcome::Unknown,
        })
    }
}

impl Client for Probe {
    fn operate(&self, _: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.clock.mono();
            let outcome = match timeout(self.limit, self.visit()).await {
                Err(_) | Ok(Err(Trouble::Late(_))) => Outcome::Unknown,
                Ok(Ok(outcome)) => outcome,
                Ok(Err(trouble)) => trouble.outcome(),
            };
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}
