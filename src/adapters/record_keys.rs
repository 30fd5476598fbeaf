//! The names of a ledger's records in stores that have keys: etcd and S3. Pure.
//!
//! A record is the key `PREFIX/RUN/WRITER/SEQ/ATTEMPT` with its payload: names have a fixed width, so that their order is
//! that of the numbers, and each attempt has a key of its own, so that two are seen to be two. `PREFIX.runs/RUN` names a run
//! that has left records.

use crate::model::Key;

/// Of one run.
#[derive(Debug, Clone)]
pub(in crate::adapters) struct Keys {
    prefix: String,
    run: String,
}

impl Keys {
    pub fn new(prefix: &str, run: &str) -> Self {
        Self { prefix: prefix.to_owned(), run: run.to_owned() }
    }

    pub fn record(&self, key: Key, attempt: u32) -> String {
        format!("{}{attempt:05}", self.attempts(key))
    }

    /// What the keys of all attempts at a record begin with.
    pub fn attempts(&self, key: Key) -> String {
        format!("{}/{}/{:05}/{:012}/", self.prefix, self.run, key.writer, key.seq)
    }

    /// What all of the run's keys begin with.
    pub fn run(&self) -> String {
        self.of(&self.run)
    }

    /// The same for another run.
    pub fn of(&self, run: &str) -> String {
        format!("{}/{run}/", self.prefix)
    }

    /// What the names of runs begin with.
    pub fn runs(&self) -> String {
        format!("{}.runs/", self.prefix)
    }

    /// A key that nobody has.
    pub fn nobody(&self) -> String {
        format!("{}.nobody", self.prefix)
    }

    /// The run's own name among those.
    pub fn own(&self) -> String {
        format!("{}{}", self.runs(), self.run)
    }

    /// The record and the attempt that a key of the run names, or the key as text if it names none.
    pub fn read(&self, key: &[u8]) -> Result<(Key, u32), String> {
        let text = String::from_utf8_lossy(key).into_owned();
        let rest = text.strip_prefix(&self.run());
        let words: Option<Vec<&str>> = rest.map(|rest| rest.split('/').collect());
        let numbers = match words.as_deref() {
            Some([writer, seq, attempt]) => writer.parse().ok().zip(seq.parse().ok()).zip(attempt.parse().ok()),
            _ => None,
        };
        match numbers {
            Some(((writer, seq), attempt)) => Ok((Key { writer, seq }, attempt)),
            None => Err(text),
        }
    }
}

/// Where a range ends that holds all keys with this beginning: the beginning with its last byte one higher.
pub(in crate::adapters) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // A name of ours ends with `/`, below the highest byte.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_numbers_and_can_be_read_again() {
        let keys = Keys::new("ledger", "run-1");
        let record = |writer, seq, attempt| keys.record(Key { writer, seq }, attempt);
        assert_eq!(record(3, 41, 1), "ledger/run-1/00003/000000000041/00001");
        let all = [record(0, 9, 1), record(0, 10, 1), record(0, 10, 2), record(2, 0, 1), record(10, 0, 1)];
        assert!(all.is_sorted());
        assert_eq!(keys.read(all[2].as_bytes()), Ok((Key { writer: 0, seq: 10 }, 2)));
        let strange = [
            "ledger/run-2/00000/000000000001/00001",
            "ledger/run-1/x/1/1",
            "ledger/run-1/1/1",
            "ledger/run-1/70000/1/1",
        ];
        for key in strange {
            assert_eq!(keys.read(key.as_bytes()), Err(key.to_owned()));
        }
        assert!(
            all.iter()
                .all(|key| key.as_bytes() >= keys.run().as_bytes() && key.as_bytes() < end_of(&keys.run()).as_slice())
        );
        assert!(keys.of("run-10").as_bytes() >= end_of(&keys.run()).as_slice());
    }
}
