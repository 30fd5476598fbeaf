//! The names of a ledger's queues and messages, and how its queues are declared. Pure.
//!
//! A run has a queue `PREFIX.RUN` for its records and a queue `PREFIX.RUN.probe` for its probe. A record is a message whose
//! id is `WRITER/SEQ/ATTEMPT`, and whose application is the run. The queue `PREFIX.runs` holds the names of runs that have left
//! queues.

use super::frame::{Method, Value, name};
use crate::model::Key;
use crate::workloads::{Delivery, QueueArgument, QueueKind, QueueSpec};

/// Of one run.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    pub prefix: String,
    pub run: String,
    spec: QueueSpec,
}

/// What a broker's version means for queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub u32, pub u32);

impl Version {
    /// Quorum queues are there since then.
    pub const QUORUM: Self = Self(3, 8);

    /// `3.10.8`; none if it is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('.');
        Some(Self(words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    }
}

impl Queues {
    pub fn new(prefix: &str, run: &str, spec: &QueueSpec) -> Self {
        Self { prefix: prefix.to_owned(), run: run.to_owned(), spec: spec.clone() }
    }

    /// Of the run's records.
    pub fn own(&self) -> String {
        self.of(&self.run)
    }

    /// The same for another run.
    pub fn of(&self, run: &str) -> String {
        format!("{}.{run}", self.prefix)
    }

    /// Of the probe that belongs to a queue of records.
    pub fn probe_of(queue: &str) -> String {
        format!("{queue}.probe")
    }

    /// Where the names of runs are.
    pub fn runs(&self) -> String {
        format!("{}.runs", self.prefix)
    }

    /// Can this be the name of a run? What cannot names no queue of ours.
    pub fn names_run(text: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=100).contains(&text.len()) && text != "runs" && text.chars().all(fits)
    }

    /// Declares the queue of the names, always in the same way: it outlives the run.
    pub fn declare_runs(&self) -> Method {
        declare(&self.runs(), &[("x-queue-type".to_owned(), Value::Text("quorum".to_owned()))])
    }

    /// Declares the run's queue as the playbook says.
    pub fn declare_own(&self, version: Option<Version>) -> Method {
        declare(&self.own(), &self.arguments(version))
    }

    /// Declares the probe's queue in the same way; it keeps its last message only.
    pub fn declare_probe(&self, version: Option<Version>) -> Method {
        let mut arguments = self.arguments(version);
        arguments.retain(|(name, _)| !name.starts_with("x-max-length") && name != "x-overflow");
        arguments.push(("x-max-length".to_owned(), Value::Number(1)));
        declare(&Self::probe_of(&self.own()), &arguments)
    }

    fn arguments(&self, version: Option<Version>) -> Vec<(String, Value)> {
        let kind = match self.spec.kind {
            QueueKind::Quorum => "quorum",
            QueueKind::Classic => "classic",
        };
        let mut all = vec![("x-queue-type".to_owned(), Value::Text(kind.to_owned()))];
        // Reading back returns each record; since 4.0 a record that was returned too often would be dropped.
        if self.spec.kind == QueueKind::Quorum && version >= Some(Version(4, 0)) {
            all.push(("x-delivery-limit".to_owned(), Value::Number(-1)));
        }
        for (name, value) in &self.spec.arguments {
            all.retain(|(other, _)| other != name);
            let value = match value {
                QueueArgument::Flag(flag) => Value::Flag(u8::from(*flag)),
                QueueArgument::Number(number) => Value::Number(*number),
                QueueArgument::Text(text) => Value::Text(text.clone()),
            };
            all.push((name.clone(), value));
        }
        all
    }

    /// How records are delivered: AMQP's number for it.
    pub fn delivery(&self) -> u8 {
        match self.spec.delivery {
            Delivery::Persistent => 2,
            Delivery::Transient => 1,
        }
    }

    pub fn record(key: Key, attempt: u32) -> String {
        format!("{}/{}/{attempt}", key.writer, key.seq)
    }

    /// The record and the attempt that a message's id names; none if it names none.
    pub fn read(id: &str) -> Option<(Key, u32)> {
        let mut words = id.split('/');
        let key = Key { writer: words.next()?.parse().ok()?, seq: words.next()?.parse().ok()? };
        let attempt = words.next()?.parse().ok()?;
        words.next().is_none().then_some((key, attempt))
    }
}

/// Durable, for everybody, and it stays.
fn declare(queue: &str, arguments: &[(String, Value)]) -> Method {
    Method::new(name::DECLARE).u16(0).short(queue).u8(0b10).table(arguments)
}

/// Looks a queue up without making it.
pub(super) fn passive(queue: &str) -> Method {
    Method::new(name::DECLARE).u16(0).short(queue).u8(0b1).table(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        assert_eq!(Queues::read(&Queues::record(Key { writer: 3, seq: 41 }, 2)), Some((Key { writer: 3, seq: 41 }, 2)));
        for strange in ["", "1/2", "1/2/3/4", "70000/1/1", "a/1/1", "1/-1/1"] {
            assert_eq!(Queues::read(strange), None, "{strange}");
        }
        let queues = Queues::new("ledger", "20261121T041443Z-afgei", &QueueSpec::default());
        assert_eq!(queues.own(), "ledger.20261121T041443Z-afgei");
        assert!(Queues::names_run("20261121T041443Z-afgei") && Queues::names_run("run-1"));
        for strange in ["", "runs", "a.probe", "a b", "*", &"x".repeat(101)] {
            assert!(!Queues::names_run(strange), "{strange}");
        }
    }

    #[test]
    fn what_a_playbook_says_comes_before_what_is_usual() {
        let limit = ("x-delivery-limit".to_owned(), QueueArgument::Number(5));
        let arguments = [limit, ("x-max-length".to_owned(), QueueArgument::Number(9))].into();
        let queues = Queues::new("p", "r", &QueueSpec { arguments, ..QueueSpec::default() });
        let names: Vec<_> = queues.arguments(Version::parse("4.1.0")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-queue-type", "x-delivery-limit", "x-max-length"]);
        assert_eq!(queues.arguments(Version::parse("4.1.0"))[1].1, Value::Number(5));
        let usual = Queues::new("p", "r", &QueueSpec::default());
        assert_eq!(usual.arguments(Version::parse("3.10.8")).len(), 1);
        assert_eq!(usual.arguments(Version::parse("4.0.2")).len(), 2);
        assert!(Version::parse("3.7.28") < Some(Version::QUORUM) && Version::parse("3.10.0") > Some(Version::QUORUM));
        assert_eq!((Version::parse(""), Version::parse("3")), (None, None));
    }
}
