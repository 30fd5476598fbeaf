//! The ledger's books: every class of writes, exactly, and the age of what is lost.

use super::super::log::{Fate, Lie};
use super::super::truth::{Key, Moment, Truth, Write};
use super::{Bar, Check, Client, Judged, Measure, Width, nanos};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A fault and a service time may make the age of a loss this uncertain, in nanoseconds.
const LOOSE: i64 = 250_000_000;

struct Books<'a> {
    truth: &'a Truth,
    /// Acknowledged, as the client was told.
    acked: BTreeSet<Key>,
    lost: BTreeSet<Key>,
    corrupted: BTreeSet<Key>,
}

pub(super) fn judge(truth: &Truth, report: &Value, client: &Client, judged: &mut Judged) {
    // Whether an answer came before the client gave up is judged operation by operation; here its word is taken.
    let told: BTreeMap<Key, bool> = client.ops.iter().filter_map(|op| Some((op.key?, op.ok))).collect();
    let acked: BTreeSet<Key> = truth.writes.keys().filter(|key| told.get(key) == Some(&true)).copied().collect();
    let corrupted = truth.told(Lie::Corrupted).union(&truth.told(Lie::Phantom)).copied().collect();
    let books = Books { truth, acked, lost: truth.told(Lie::Lost), corrupted };
    let ledger = &report["workloads"][client.name.as_str()]["ledger"];
    let wrong: Vec<String> = books
        .classes()
        .into_iter()
        .filter(|(class, count)| ledger[class].as_u64() != Some(*count))
        .map(|(class, count)| format!("{class} is {count}, reported is {}", ledger[class]))
        .collect();
    // A read that was given up may have been answered all the same, so where reads wait their number is not known.
    let waited = truth.away(client.deadline).iter().any(|away| away.waits);
    let stale = ledger["stale"].as_u64().filter(|stale| *stale != truth.not_found && !waited);
    let wrong =
        stale.map(|stale| format!("stale is {}, reported is {stale}", truth.not_found)).into_iter().chain(wrong);
    let wrong: Vec<String> = wrong.collect();
    let (of, inside) = (client.name.clone(), wrong.is_empty());
    judged.checks.push(Check { of, measure: Measure::Classes, inside, width: None, said: wrong.join(", ") });
    judged.checks.push(books.loss(client, ledger));
}

impl Books<'_> {
    fn is_there(&self, key: &Key) -> bool {
        !self.lost.contains(key)
    }

    fn there(&self, lie: Lie) -> u64 {
        self.truth.told(lie).iter().filter(|key| self.is_there(key)).count() as u64
    }

    fn classes(&self) -> Vec<(&'static str, u64)> {
        let lost = self.acked.intersection(&self.lost).count();
        let kept = self.acked.iter().filter(|key| self.is_there(key) && !self.corrupted.contains(key)).count();
        let open = |write: &Write| write.stored && write.fate != Fate::Refused;
        let unknown_present =
            self.truth.writes.iter().filter(|(k, w)| open(w) && !self.acked.contains(k) && self.is_there(k)).count();
        vec![
            ("acked", self.acked.len() as u64),
            ("lost", lost as u64),
            ("kept", kept as u64),
            ("lost_upper", 0),
            ("unknown_present", unknown_present as u64),
            ("resurrected", self.there(Lie::Resurrected)),
            ("duplicated", self.there(Lie::Duplicated)),
            ("corrupted", self.corrupted.iter().filter(|key| self.is_there(key)).count() as u64),
            ("phantom", self.there(Lie::Phantom)),
        ]
    }

    /// The age of the oldest lost write at the fault, or at the last loss if that came later.
    fn loss(&self, client: &Client, ledger: &Value) -> Check {
        let lost: Vec<&Write> =
            self.acked.intersection(&self.lost).filter_map(|key| self.truth.writes.get(key)).collect();
        let bar = Bar::of(&ledger["rpo_time"]);
        let worst = client.ops.iter().filter(|op| op.ok).map(|op| op.done - op.due).max().unwrap_or(0);
        let start = self.truth.spells.first().map_or(Moment { lo: 0, hi: 0 }, |spell| spell.start);
        let oldest = lost.iter().min_by_key(|write| write.t);
        let last = lost.iter().map(|write| write.out).max().unwrap_or(i64::MIN);
        let truth = oldest.map_or(Moment { lo: 0, hi: 0 }, |oldest| Moment {
            lo: start.lo.max(last) - oldest.out,
            hi: start.hi.max(last.saturating_add(worst)) - oldest.t,
        });
        let inside = bar.is_some_and(|bar| bar.meets(truth) && (oldest.is_some() || bar == Bar { low: 0, high: 0 }));
        let why = nanos(&ledger["resolution"]).unwrap_or(0);
        let said = format!("reported {bar:?} (resolution {why}), true is {truth:?}; {} lost", lost.len());
        let width = bar.map(|bar| Width { is: bar.width(), usual: LOOSE, limit: LOOSE + worst });
        Check { of: client.name.clone(), measure: Measure::Loss, inside, width, said }
    }
}
