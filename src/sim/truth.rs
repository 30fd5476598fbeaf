//! What really happened in a simulated world: when the service worked, and what is in its books. It shares no code with
//! `analysis`, so that the one can be held against the other.

use crate::model::{Key, Mono, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// What a request that arrives meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It is served, after this many nanoseconds besides the usual ones.
    Serving(i64),
    /// It is refused at once.
    Refusing,
    /// It waits until something changes.
    Hanging,
}

/// Everything that happened to the service and to its records.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Since when which condition holds; the first is that of the beginning.
    pub conditions: Vec<(Mono, Condition)>,
    /// When another node became the leader: what the old one still had is not answered by anybody.
    pub promotions: Vec<Mono>,
    /// What clients were told about each write; a key is attempted once.
    pub told: BTreeMap<Key, Outcome>,
    /// What a final look at the service's records finds, in their order: the key, and whether it is intact.
    pub stored: Vec<(Key, bool)>,
}

/// The ledger's classes, counted from the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    /// Acknowledged.
    pub acked: u64,
    /// Acknowledged, there and intact.
    pub kept: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// Of unknown outcome, there.
    pub unknown_present: u64,
    /// Of unknown outcome, not there.
    pub unknown_absent: u64,
    /// Definitely failed, yet there.
    pub resurrected: u64,
    /// There more than once.
    pub duplicated: u64,
    /// There, but not intact.
    pub corrupted: u64,
}

impl Truth {
    /// Notes a condition, if it is another one.
    pub(super) fn note(&mut self, at: Mono, condition: Condition) {
        if self.conditions.last().is_none_or(|(_, last)| *last != condition) {
            self.conditions.push((at, condition));
        }
    }

    /// The spans, from and to, in which requests that arrived were not all answered within `deadline` nanoseconds. A
    /// short hang that simply went on again is none: everything was answered in time. The last may have no end.
    #[must_use]
    pub fn outages(&self, deadline: i64) -> Vec<(Mono, Option<Mono>)> {
        let mut spans: Vec<(Mono, Option<Mono>)> = Vec::new();
        let mut only_hung = true;
        for (at, condition) in &self.conditions {
            let down = match condition {
                Condition::Serving(extra) => *extra > deadline,
                Condition::Refusing | Condition::Hanging => true,
            };
            let hangs = *condition == Condition::Hanging;
            match spans.last_mut() {
                Some((_, None)) if down => only_hung &= hangs,
                Some((from, end @ None)) => {
                    *end = Some(*at);
                    let given_up = self.promotions.iter().any(|promotion| (*from..=*at).contains(promotion));
                    if only_hung && *at - *from <= deadline && !given_up {
                        spans.pop();
                    }
                }
                _ if down => {
                    spans.push((*at, None));
                    only_hung = hangs;
                }
                _ => {}
            }
        }
        spans
    }

    /// Counts the classes.
    #[must_use]
    pub fn books(&self) -> Books {
        let mut rows: BTreeMap<Key, u64> = BTreeMap::new();
        for (key, _) in &self.stored {
            *rows.entry(*key).or_default() += 1;
        }
        let torn: BTreeSet<Key> = self.stored.iter().filter(|(_, intact)| !intact).map(|(key, _)| *key).collect();
        let mut books = Books {
            duplicated: rows.values().filter(|count| **count > 1).count() as u64,
            corrupted: torn.len() as u64,
            ..Books::default()
        };
        for (key, outcome) in &self.told {
            let there = rows.contains_key(key);
            let count = match (outcome, there) {
                (Outcome::Ok | Outcome::OkLocal, true) if torn.contains(key) => {
                    books.acked += 1;
                    continue;
                }
                (Outcome::Ok | Outcome::OkLocal, true) => {
                    books.acked += 1;
                    &mut books.kept
                }
                (Outcome::Ok | Outcome::OkLocal, false) => {
                    books.acked += 1;
                    &mut books.lost
                }
                (Outcome::Unknown, true) => &mut books.unknown_present,
                (Outcome::Unknown, false) => &mut books.unknown_absent,
                (Outcome::Fail, true) => &mut books.resurrected,
                (Outcome::Fail | Outcome::Missed | Outcome::Unsent, _) => continue,
            };
            *count += 1;
        }
        books
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_what_is_not_served_in_time() {
        let mut truth = Truth::default();
        for (at, condition) in [
            (0, Condition::Serving(0)),
            (10, Condition::Hanging),
            (20, Condition::Refusing),
            (30, Condition::Serving(5)),
            (40, Condition::Serving(50)),
            (50, Condition::Serving(0)),
            (60, Condition::Hanging),
            (70, Condition::Serving(0)),
            (71, Condition::Hanging),
            (72, Condition::Serving(0)),
            (80, Condition::Refusing),
        ] {
            truth.note(Mono(at), condition);
        }
        truth.promotions.push(Mono(72));
        let ended = [(10, 30), (40, 50), (71, 72)].map(|(from, to)| (Mono(from), Some(Mono(to))));
        let spans = [ended.as_slice(), &[(Mono(80), None)]].concat();
        assert_eq!(truth.outages(10), spans);
    }

    #[test]
    fn books_tell_every_class_apart() {
        let key = |seq| Key { writer: 0, seq };
        let mut truth = Truth::default();
        use Outcome::{Fail, Ok, Unknown};
        truth.told.extend(
            [(0, Ok), (1, Ok), (2, Unknown), (3, Unknown), (4, Fail), (5, Fail), (6, Ok)].map(|(s, o)| (key(s), o)),
        );
        truth
            .stored
            .extend([(0, true), (0, true), (2, true), (4, true), (6, false)].map(|(s, intact)| (key(s), intact)));
        let books = Books {
            acked: 3,
            kept: 1,
            lost: 1,
            unknown_present: 1,
            unknown_absent: 1,
            resurrected: 1,
            duplicated: 1,
            corrupted: 1,
        };
        assert_eq!(truth.books(), books);
    }
}
