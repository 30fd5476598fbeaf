//! When a guardian must act: the runner fell silent, or a fault's deadline passed and nobody heals it. Time is counted
//! in looks, each worth only so much, so that neither a machine that slept nor a guardian that was stopped makes a
//! living runner look dead. Pure.

use super::super::options::Limits;
use super::FromRunner;
use crate::event::FaultIntent;
use crate::model::{FaultId, Mono};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time that passed while somebody looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    last: Option<Mono>,
    passed: Duration,
}

impl Seen {
    /// It is `now`; the time since the last look counts up to `most`.
    pub fn pass(&mut self, now: Mono, most: Duration) -> Duration {
        let since = self.last.map_or(Duration::ZERO, |last| now.since(last));
        self.last = Some(now);
        self.passed += since.min(most);
        self.passed
    }

    /// From now on it counts from zero.
    pub fn again(&mut self) {
        self.passed = Duration::ZERO;
    }
}

/// Why a guardian takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// The pipe closed without a goodbye.
    Died,
    /// The run was given up, its process lives on.
    Abandoned,
    /// No sign for so long.
    Silent(Duration),
    /// The deadline of this fault passed, and it is not healed.
    Overdue(FaultId),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Died => f.write_str("the runner died"),
            Self::Abandoned => f.write_str("the run was given up by its program"),
            Self::Silent(lease) => write!(f, "the runner gave no sign of life for {} s", lease.as_secs_f64()),
            Self::Overdue(fault) => write!(f, "the deadline of `{fault}` passed and the runner did not heal it"),
        }
    }
}

#[derive(Debug)]
struct Open {
    intent: FaultIntent,
    overdue: Seen,
    /// So long past the deadline the runner may take.
    grace: Option<Duration>,
}

/// What a guardian knows of its run.
#[derive(Debug)]
pub(super) struct Lease {
    limits: Limits,
    silence: Seen,
    open: BTreeMap<FaultId, Open>,
    /// In the order of their intents.
    order: Vec<FaultId>,
}

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// One look is worth at most this, however long ago the last one was.
const WORTH: Duration = Duration::from_millis(400);

impl Lease {
    pub fn new(limits: Limits) -> Self {
        Self { limits, silence: Seen::default(), open: BTreeMap::new(), order: Vec::new() }
    }

    /// The runner said something.
    pub fn heard(&mut self, said: &FromRunner) {
        self.silence.again();
        match said {
            FromRunner::Intent(intent) => {
                let fault = intent.fault.clone();
                self.forget(&fault);
                self.order.push(fault.clone());
                let grace = Some(self.limits.guardian_margin);
                self.open.insert(fault, Open { intent: (**intent).clone(), overdue: Seen::default(), grace });
            }
            FromRunner::Healing(fault) => self.grant(fault, Some(self.limits.heal_bound())),
            // It has done what could be done, and will say that it is open.
            FromRunner::Stuck(fault) => self.grant(fault, None),
            FromRunner::Healed(fault) => self.forget(fault),
            FromRunner::Hello(_) | FromRunner::Beat | FromRunner::Abandoned | FromRunner::Goodbye => {}
        }
    }

    fn grant(&mut self, fault: &FaultId, grace: Option<Duration>) {
        if let Some(open) = self.open.get_mut(fault) {
            open.overdue.again();
            open.grace = grace;
        }
    }

    fn forget(&mut self, fault: &FaultId) {
        self.open.remove(fault);
        self.order.retain(|known| known != fault);
    }

    /// A look. `boot` is CLOCK_BOOTTIME in nanoseconds, which deadlines are kept in.
    pub fn look(&mut self, now: Mono, boot: i64) -> Option<Cause> {
        if self.silence.pass(now, WORTH) >= self.limits.lease {
            return Some(Cause::Silent(self.limits.lease));
        }
        for (fault, open) in &mut self.open {
            let due = open.intent.deadline_boot.is_some_and(|deadline| boot >= deadline) && !open.intent.irreversible;
            let Some(grace) = open.grace.filter(|_| due) else { continue };
            if open.overdue.pass(now, WORTH) >= grace {
                return Some(Cause::Overdue(fault.clone()));
            }
        }
        None
    }

    /// Confirmed and not healed, oldest first.
    pub fn open(&self) -> Vec<FaultIntent> {
        self.order.iter().filter_map(|fault| self.open.get(fault)).map(|open| open.intent.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn limits() -> Limits {
        Limits { lease: Duration::from_secs(5), guardian_margin: Duration::from_secs(3), ..Limits::default() }
    }

    fn intent(deadline: i64) -> FromRunner {
        FromRunner::Intent(Box::new(FaultIntent {
            fault: "f".into(),
            name: String::new(),
            kind: String::new(),
            spec: serde_json::Value::Null,
            undo: serde_json::Value::Null,
            context: serde_json::Value::Null,
            targets: Vec::new(),
            deadline: None,
            deadline_boot: Some(deadline),
            by_hand: String::new(),
            irreversible: false,
        }))
    }

    /// Looks every 100 ms from `from` to `to` seconds; says at which tenth of a second it acted, and why.
    fn watch(lease: &mut Lease, from: i64, to: i64, beats: Beats) -> Option<(i64, Cause)> {
        (from * 10..to * 10).find_map(|tenth| {
            if beats == Beats::Come {
                lease.heard(&FromRunner::Beat);
            }
            lease.look(Mono(tenth * S / 10), tenth * S / 10).map(|cause| (tenth, cause))
        })
    }

    #[derive(PartialEq, Clone, Copy)]
    enum Beats {
        Come,
        Stop,
    }

    #[test]
    fn silence_counts_from_the_last_word() {
        let mut lease = Lease::new(limits());
        assert_eq!(watch(&mut lease, 0, 60, Beats::Come), None);
        let (tenth, cause) = watch(&mut lease, 60, 70, Beats::Stop).unwrap();
        assert!((640..=650).contains(&tenth), "{tenth}");
        assert_eq!(cause, Cause::Silent(Duration::from_secs(5)));
    }

    #[test]
    fn a_guardian_that_was_held_up_does_not_count_that_time() {
        let mut lease = Lease::new(limits());
        assert_eq!(lease.look(Mono(0), 0), None);
        // An hour in which this process was stopped, its runner perhaps too.
        assert_eq!(lease.look(Mono(3_600 * S), 3_600 * S), None);
        lease.heard(&FromRunner::Beat);
        assert_eq!(watch(&mut lease, 3_601, 3_604, Beats::Stop), None);
    }

    #[test]
    fn a_deadline_gives_a_healthy_runner_time_to_heal_first() {
        let mut lease = Lease::new(limits());
        lease.heard(&intent(10 * S));
        let (tenth, cause) = watch(&mut lease, 0, 60, Beats::Come).unwrap();
        assert_eq!((tenth, cause), (130, Cause::Overdue("f".into())));
        assert_eq!(lease.open().len(), 1);
    }

    #[test]
    fn a_machine_that_slept_past_a_deadline_gives_the_runner_its_time_as_well() {
        let mut lease = Lease::new(limits());
        lease.heard(&intent(10 * S));
        assert_eq!(lease.look(Mono(S), S), None);
        // CLOCK_BOOTTIME went on while CLOCK_MONOTONIC stood still.
        for tenth in 11..35 {
            lease.heard(&FromRunner::Beat);
            assert_eq!(lease.look(Mono(tenth * S / 10), 9_000 * S), None, "{tenth}");
        }
    }

    #[test]
    fn a_runner_that_heals_may_take_the_time_that_healing_may_take() {
        let bound = i64::try_from(limits().heal_bound().as_secs()).unwrap();
        let mut lease = Lease::new(limits());
        lease.heard(&intent(10 * S));
        lease.heard(&FromRunner::Healing("f".into()));
        assert_eq!(watch(&mut lease, 0, bound, Beats::Come), None);
        assert!(watch(&mut lease, bound, bound + 60, Beats::Come).is_some());
        lease.heard(&FromRunner::Stuck("f".into()));
        assert_eq!(watch(&mut lease, bound + 60, bound * 3, Beats::Come), None);
        lease.heard(&FromRunner::Healed("f".into()));
        assert!(lease.open().is_empty());
    }
}
