//! One logical write of a ledger's client whose writers keep a connection each: one attempt, or several for a client that
//! tries again; and one read. How an attempt or a look-up is made is the client's business.

use super::visit::retry;
use super::{Act, Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Mono, Outcome};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A client with a slot for each writer, in which it keeps its connection.
pub(super) trait Writes: Send + Sync {
    /// What a writer keeps.
    type Kept: Send;

    /// What is told about the client.
    fn settings(&self) -> (&Clock, &ClientSettings);
    /// A writer's slot. A writer has one write in flight, so nobody waits for it.
    fn slot(&self, writer: u16) -> Option<&Mutex<Self::Kept>>;
    /// Drops the connection.
    fn hang_up(kept: &mut Self::Kept);
    /// One attempt, which ends within `limit`; `sent` is filled in right before the first byte of the first one.
    fn attempt<'a>(
        &'a self,
        kept: &'a mut Self::Kept,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &'a mut Option<Mono>,
    ) -> Fut<'a, Outcome>;

    /// The whole write. Ok if any attempt is, a failure only if all definitely failed.
    fn write(&self, key: Key) -> Fut<'_, Done> {
        Box::pin(async move {
            let (clock, settings) = self.settings();
            let (began, limit) = (clock.mono(), settings.timeout);
            let Some(slot) = self.slot(key.writer) else {
                return Done { sent: began, done: began, outcome: Outcome::Unsent, found: None };
            };
            let mut kept = slot.lock().await;
            let mut sent = None;
            let outcome = match &settings.behaviour {
                ClientBehaviour::Pooled => self.attempt(&mut kept, key, 1, limit, &mut sent).await,
                ClientBehaviour::Fresh => {
                    Self::hang_up(&mut kept);
                    let outcome = self.attempt(&mut kept, key, 1, limit, &mut sent).await;
                    Self::hang_up(&mut kept);
                    outcome
                }
                ClientBehaviour::Retrying(policy) => {
                    let state = Mutex::new((&mut *kept, &mut sent));
                    retry(clock, policy, began.after(limit), |number, limit| {
                        let state = &state;
                        Box::pin(async move {
                            let mut state = state.lock().await;
                            let (kept, sent) = &mut *state;
                            self.attempt(kept, key, number, limit, sent).await
                        })
                    })
                    .await
                }
            };
            Done { sent: sent.unwrap_or(began), done: clock.mono(), outcome, found: None }
        })
    }
}

/// A ledger's client: it writes records, and looks them up again.
pub(super) trait Reads: Writes {
    /// What is there of a record; how the read ended if nothing answers that.
    fn find(&self, key: Key) -> Fut<'_, Result<Found, Outcome>>;
}

impl<T: Reads> Client for T {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let (clock, settings) = self.settings();
            let sent = clock.mono();
            let (outcome, found) = match operation.act {
                Act::Write(key) => return self.write(key).await,
                // A read changes nothing, so it is unknown only when no answer came in time.
                Act::Read(key) => match timeout(settings.timeout, self.find(key)).await {
                    Err(_) => (Outcome::Unknown, None),
                    Ok(Err(outcome)) => (outcome, None),
                    Ok(Ok(found)) => (Outcome::Ok, Some(found)),
                },
                // A ledger is not visited; the probe it brings along has a client of its own.
                Act::Visit(_) => return Done { sent, done: sent, outcome: Outcome::Unsent, found: None },
            };
            Done { sent, done: clock.mono(), outcome, found }
        })
    }
}
