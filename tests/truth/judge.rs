//! Holds a report against the truth and says what does not agree. It reads `report.json` as any other program would.
//!
//! The truth about a moment is a narrow interval itself (two neighbouring facts), so "the truth lies inside" means that
//! the two intervals meet; how narrow the reported one must be is checked besides, so that an infinite one cannot pass.

use super::program::{Away, Cause, Key, Moment, Writes};
use blackstart::rig::judge::{Bar, nanos};
use blackstart::rig::truth;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the judge must know of the drill.
#[derive(Debug)]
pub struct Case {
    /// When the leader was away.
    pub away: Vec<Away>,
    /// What became of the writes.
    pub writes: Writes,
    /// CLOCK_MONOTONIC of the start record: the zero of the report's moments.
    pub zero: i64,
    /// The ledger workload.
    pub ledger: &'static str,
    /// Workloads that only visit.
    pub visitors: &'static [&'static str],
    /// How long the staging may hold an answer back by design (a primary that waits until it may acknowledge alone).
    pub hold: i64,
    /// Within which an answer counts as served: the drill's own, whatever the report says about it.
    pub deadline: i64,
    /// The longest service time of this very run, from due, while nothing was wrong: what a busy machine may add to an
    /// interval's width.
    pub service: i64,
}

/// Visits a second of the probe that a ledger brings along.
const PROBE: f64 = 20.0;
/// A fault's moment must be known at least as well as this.
const FAULT: i64 = 250_000_000;
/// The clock of another process is the same; the facts are written a little after what they tell.
const INK: i64 = 2_000_000;

/// How long the runner says that it could not see; intervals widen by it.
fn stalled(report: &Value) -> i64 {
    let stalls = report["stalls"].as_array().into_iter().flatten();
    stalls.filter_map(|stall| Some(nanos(&stall["to"])? - nanos(&stall["from"])?)).sum()
}

/// What the judge found wrong.
pub type Complaints = Vec<String>;

/// Everything in `report` that the truth contradicts.
pub fn judge(case: &Case, report: &Value) -> Complaints {
    let mut wrong = Complaints::new();
    let ledger = &report["workloads"][case.ledger]["ledger"];
    writes(&case.writes, ledger, &mut wrong);
    if !case.away.is_empty() {
        loss(case, ledger, &mut wrong);
    }
    for gone in &case.away {
        let Some(fault) = fault_of(report, case, gone) else {
            wrong.push(format!("no fault in the report lies where the leader went away: {gone:?}"));
            continue;
        };
        let others = case.away.len() - 1;
        for (name, back) in names(case, gone) {
            let workload = &report["workloads"][name];
            let Some(back) = back else {
                wrong.push(format!("{name}: service never came back, so nothing can be right about it"));
                continue;
            };
            let stalled = stalled(report);
            let recovery = Recovery { name, case, gone, fault: &fault, back, workload, others, stalled };
            recovery.judge(&mut wrong);
        }
    }
    if case.away.is_empty() {
        quiet(case, report, &mut wrong);
    }
    waiting(case, &report["workloads"][case.ledger], &mut wrong);
    wrong
}

/// Each workload with the moment at which it can work again.
fn names<'a>(case: &'a Case, gone: &Away) -> Vec<(&'a str, Option<Moment>)> {
    let visitors = case.visitors.iter().map(|name| (*name, gone.back));
    std::iter::once((case.ledger, gone.writes_back)).chain(visitors).collect()
}

/// A truth as facts written a little later can tell it.
fn inked(truth: Moment) -> truth::Moment {
    truth::Moment { lo: truth.lo - INK, hi: truth.hi + INK }
}

/// A fault in the report whose moment meets that of the truth.
struct Fault {
    id: String,
    width: i64,
}

fn fault_of(report: &Value, case: &Case, gone: &Away) -> Option<Fault> {
    let stop = Moment { lo: gone.stop.lo - case.zero, hi: gone.stop.hi - case.zero };
    report["faults"].as_array()?.iter().find_map(|fault| {
        let at = Bar::of(&fault["at"])?;
        let id = fault["id"].as_str()?.to_owned();
        at.meets(inked(stop)).then_some(Fault { id, width: at.width() })
    })
}

struct Recovery<'a> {
    name: &'a str,
    case: &'a Case,
    gone: &'a Away,
    fault: &'a Fault,
    back: Moment,
    workload: &'a Value,
    /// Other times in which the leader was away.
    others: usize,
    /// How long the runner itself could not see.
    stalled: i64,
}

impl Recovery<'_> {
    fn judge(&self, wrong: &mut Complaints) {
        let recoveries = self.workload["recoveries"].as_array();
        let Some(found) = recoveries.and_then(|r| r.iter().find(|r| r["fault"] == self.fault.id.as_str())) else {
            wrong.push(format!("{}: no recovery for {}", self.name, self.fault.id));
            return;
        };
        if self.fault.width > FAULT {
            wrong.push(format!("{}: the fault's moment is only known to {} ns", self.name, self.fault.width));
        }
        if found["unnoticed"] == true {
            let length = self.length().lo;
            if length > self.case.deadline + 2 * self.period() + self.case.service {
                wrong.push(format!("{}: an outage of {length} ns was not noticed", self.name));
            }
            return;
        }
        self.interval(found, "first_restored", self.length(), wrong);
        if self.others == 0 && found["outages"] == 1 {
            self.interval(found, "sustained", self.length(), wrong);
            self.interval(found, "perceived", self.perceived(), wrong);
        } else if Bar::of(&found["sustained"]).is_some_and(|bar| bar.high < self.length().lo) {
            wrong.push(format!("{}: sustained service before service was back", self.name));
        }
    }

    /// How long nobody could work, from the leader's end to the return of service.
    fn length(&self) -> Moment {
        Moment { lo: self.back.lo - self.gone.stop.hi, hi: self.back.hi - self.gone.stop.lo }
    }

    /// What clients can perceive of that. They count from when they were due: a request that was due shortly before and
    /// waited is part of it, and one that was due so late in a freeze that it was still answered in time is not.
    fn perceived(&self) -> Moment {
        let length = self.length();
        Moment { lo: length.lo - self.held() - self.service(), hi: length.hi + self.service() }
    }

    /// Where answers are held back until after their due time, the deadline within which that still counts as served.
    fn held(&self) -> i64 {
        if self.gone.cause == Cause::Froze { self.case.deadline } else { 0 }
    }

    fn interval(&self, found: &Value, key: &str, truth: Moment, wrong: &mut Complaints) {
        let Some(bar) = Bar::of(&found[key]) else {
            wrong.push(format!("{}: {key} is unknown ({})", self.name, found["why"]));
            return;
        };
        if !bar.meets(inked(truth)) {
            wrong.push(format!("{}: {key} [{}, {}] misses the truth {truth:?}", self.name, bar.low, bar.high));
        }
        let allowed = self.allowed();
        if bar.width() > allowed {
            wrong.push(format!("{}: {key} is {} ns wide, at most {allowed} is right", self.name, bar.width()));
        }
    }

    /// Two periods, the service time, the fault's own width, and what may be held back.
    fn allowed(&self) -> i64 {
        2 * self.period() + self.service() + self.fault.width + self.held() + self.case.hold + self.stalled
    }

    /// The time between two operations; a ledger's outage is decided by its probe too, and that may ask less often.
    fn period(&self) -> i64 {
        let rate = self.workload["rate"].as_f64().unwrap_or(f64::NAN);
        let slowest = if self.workload["ledger"].is_null() { rate } else { rate.min(PROBE) };
        (1e9 / slowest) as i64
    }

    fn service(&self) -> i64 {
        self.case.service
    }
}

/// Every class of writes, exactly.
fn writes(truth: &Writes, ledger: &Value, wrong: &mut Complaints) {
    // A row that nobody wrote carries another record's payload, so its checksum is wrong too.
    let corrupted: BTreeSet<Key> =
        truth.rows.keys().filter(|k| truth.told("corrupt").contains(k) || !truth.attempted(k)).copied().collect();
    let kept = truth.present(&truth.acked) - corrupted.intersection(&truth.acked).count() as u64;
    let attempted = [&truth.acked, &truth.local, &truth.failed, &truth.unknown];
    let lost = truth.lost().len() as u64;
    let expected = [
        ("attempted", attempted.iter().map(|class| class.len() as u64).sum()),
        ("acked", truth.acked.len() as u64),
        ("acked_local", truth.local.len() as u64),
        ("kept", kept),
        ("lost", lost),
        ("lost_upper", 0),
        ("unknown_present", truth.present(&truth.unknown)),
        ("unknown_absent", truth.unknown.len() as u64 - truth.present(&truth.unknown)),
        ("resurrected", truth.present(&truth.failed)),
        ("duplicated", truth.rows.values().filter(|count| **count > 1).count() as u64),
        ("corrupted", corrupted.len() as u64),
        ("phantom", truth.rows.keys().filter(|key| !truth.attempted(key)).count() as u64),
    ];
    for (class, count) in expected {
        if ledger[class].as_u64() != Some(count) {
            wrong.push(format!("ledger: {class} is {count}, the report says {}", ledger[class]));
        }
    }
}

/// The age of the oldest lost write at the fault that lost it; with several faults the worst.
fn loss(case: &Case, ledger: &Value, wrong: &mut Complaints) {
    let (fates, away) = (&case.writes, &case.away);
    let Some(bar) = Bar::of(&ledger["rpo_time"]) else {
        wrong.push(format!("ledger: rpo_time is unknown ({})", ledger["why"]));
        return;
    };
    let lost: Vec<i64> = fates.lost().iter().filter_map(|key| fates.accepted.get(key)).copied().collect();
    let mut worst = Moment { lo: 0, hi: 0 };
    let mut since = i64::MIN;
    for gone in away {
        let oldest = lost.iter().filter(|at| (since..=gone.stop.hi).contains(*at)).min();
        if let Some(oldest) = oldest {
            worst = Moment { lo: worst.lo.max(gone.stop.lo - oldest), hi: worst.hi.max(gone.stop.hi - oldest) };
        }
        since = gone.stop.hi;
    }
    if lost.is_empty() && bar != (Bar { low: 0, high: 0 }) {
        wrong.push(format!("ledger: nothing is lost, yet rpo_time is {bar:?}"));
    }
    if !bar.meets(inked(worst)) {
        wrong.push(format!("ledger: rpo_time {bar:?} misses the truth {worst:?}"));
    }
    if bar.width() > FAULT + case.service {
        wrong.push(format!("ledger: rpo_time is {} ns wide", bar.width()));
    }
}

/// The leader never went away: nobody may have seen an outage.
fn quiet(case: &Case, report: &Value, wrong: &mut Complaints) {
    for name in std::iter::once(&case.ledger).chain(case.visitors) {
        let outages = report["workloads"][name]["downtime"]["outages"].as_u64();
        if outages != Some(0) {
            wrong.push(format!("{name}: {outages:?} outages, though the leader was never away"));
        }
    }
}

/// Writes that became due in the last moments of a freeze waited and were then acknowledged in time; a tool that counts
/// from when it sent them does not see that they waited.
fn waiting(case: &Case, workload: &Value, wrong: &mut Complaints) {
    let thawed =
        case.away.iter().filter(|gone| gone.cause == Cause::Froze && gone.back_by.as_ref() == Some(&gone.node));
    let (Some(deadline), Some(rate)) = (nanos(&workload["service"]["deadline"]), workload["rate"].as_f64()) else {
        return;
    };
    let long = thawed.filter(|gone| gone.back.is_some_and(|back| back.lo - gone.stop.hi > deadline)).count();
    let hundredth = case.writes.acked.len() as f64 / 100.0;
    let (Some(p99), true) = (nanos(&workload["latency"]["p99"]), long > 0) else { return };
    let least = deadline - (hundredth / long as f64 / rate * 1e9) as i64 - case.service;
    if p99 < least {
        wrong.push(format!("{}: p99 is {p99} ns, but so many waited that it is {least} at least", case.ledger));
    }
}
