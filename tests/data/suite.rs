//! The conformance suite of ledgers: what a client was told, what is there, and what both come to, for any store. A store is
//! broken on purpose by the test that brings it; the books must then show exactly that.

use blackstart::adapters::{Act, Client, ClientSettings, LedgerStore, Operation};
use blackstart::clock::Clock;
use blackstart::exec::sampler::levels::read_back;
use blackstart::ledger::{Keep, Ledger, Log, Verified};
use blackstart::model::{Key, Outcome};
use blackstart::sim::Books;
use std::sync::Arc;

/// A client, and the books that are kept about it.
pub struct Clerk {
    client: Arc<dyn Client>,
    clock: Clock,
    ledger: Ledger,
}

impl Clerk {
    /// Nothing is written yet.
    pub fn new(client: Arc<dyn Client>, clock: Clock) -> Self {
        Self { client, clock, ledger: Ledger::new(Keep::Outcomes) }
    }

    /// Writes a record, and notes what the client was told.
    pub async fn write(&mut self, writer: u16, seq: u64) -> Outcome {
        let key = Key { writer, seq };
        let done = self.client.operate(Operation { due: self.clock.mono(), act: Act::Write(key) }).await;
        self.ledger.record(key, done.outcome, done.sent, done.done);
        done.outcome
    }

    /// Reads everything back, and compares.
    pub async fn settle(self, store: &dyn LedgerStore, settings: &ClientSettings) -> Verified {
        let mut ledger = self.ledger;
        let (found, _) = read_back(store, settings, ledger.clone(), 0).await.unwrap();
        ledger.verify(&found, Log::Whole)
    }
}

/// The classes, as the simulation counts them from its truth.
pub fn books(verified: &Verified) -> Books {
    Books {
        acked: verified.acked + verified.acked_local,
        kept: verified.kept,
        lost: verified.lost,
        unknown_present: verified.unknown_present,
        unknown_absent: verified.unknown_absent,
        resurrected: verified.resurrected,
        duplicated: verified.duplicated,
        corrupted: verified.corrupted,
    }
}
