//! A ledger's files: preparing, and reading them back, by a process of their own, which ends with it. A directory that does
//! not answer ends in an error after a while, and never holds the runner up.

use super::records;
use super::wire::{Entry, Said, What};
use super::worker::{Gone, Pool};
use crate::adapters::{AdapterError, Fut, LedgerStore, Row};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Preparing may take this long, and so may each part of a read-back: one of any size goes on as long as lines come.
const STALL: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Store {
    pub pool: Arc<Pool>,
    /// So many bytes must be free before a run.
    pub need: Option<u64>,
}

impl Store {
    fn about(&self, doing: &str, gone: Gone) -> AdapterError {
        let place = self.pool.place().path.display();
        let why = match gone {
            Gone::NotSent(why) => why,
            Gone::Ended => "the process that did it ended".to_owned(),
        };
        AdapterError::Other(format!("{doing} the ledger in {place}: {why}"))
    }

    fn late(&self, doing: &str) -> AdapterError {
        let place = self.pool.place().path.display();
        AdapterError::TimedOut(format!("{doing} the ledger in {place}: the directory has not answered for {STALL:?}"))
    }

    async fn make(&self) -> Result<(), AdapterError> {
        const DOING: &str = "making";
        let worker = self.pool.alone().await?;
        let asked = worker.ask(0, What::Prepare { need: self.need });
        let mut pending = asked.map_err(|gone| self.about(DOING, gone))?;
        match timeout(STALL, pending.answer()).await {
            Err(_) => Err(self.late(DOING)),
            // The process that writes is there before the first record is due.
            Ok(Ok(Said::Done(_))) => self.pool.worker(0).await.map(|_| ()),
            Ok(Ok(Said::Refused(why))) => Err(why),
            Ok(Ok(_)) => Err(self.about(DOING, Gone::NotSent("an answer that says nothing".to_owned()))),
            Ok(Err(gone)) => Err(self.about(DOING, gone)),
        }
    }

    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        const DOING: &str = "reading";
        let worker = self.pool.alone().await?;
        let mut pending = worker.ask(0, What::ReadBack).map_err(|gone| self.about(DOING, gone))?;
        loop {
            match timeout(STALL, pending.answer()).await {
                Err(_) => return Err(self.late(DOING)),
                Ok(Ok(Said::Lines(entries))) => entries.into_iter().map(found).for_each(&mut *row),
                Ok(Ok(Said::Done(_))) => return Ok(()),
                Ok(Ok(Said::Refused(why))) => return Err(why),
                Ok(Ok(_)) => return Err(self.about(DOING, Gone::NotSent("an answer that says nothing".to_owned()))),
                Ok(Err(gone)) => return Err(self.about(DOING, gone)),
            }
        }
    }
}

/// A record's own file says whose it is, whatever stands in it.
fn found(entry: Entry) -> Row {
    match entry {
        Entry::Line(line) => records::row(&line),
        Entry::Strange(text) => records::strange(&text),
        Entry::Own(key, attempt, text) => {
            let row = text.strip_suffix('\n').map(records::row);
            match row {
                Some(row) if row.key.as_ref() == Ok(&key) && row.attempt == attempt => row,
                _ => Row { key: Ok(key), attempt, payload: [text.as_bytes(), b"\n\n"].concat() },
            }
        }
    }
}

impl LedgerStore for Store {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }
}
