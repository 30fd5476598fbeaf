//! Holds a report against the truth and says what does not agree. It reads `report.json` as any other program would.
//!
//! The truth about a moment is a narrow interval itself (two neighbouring facts), so "the truth lies inside" means that
//! the two intervals meet; how narrow the reported one must be is checked besides, so that an infinite one cannot pass.

use super::program::{Away, Cause, Key, Moment, Truth, Writes};
use serde_json::Value;
use std::collections::BTreeSet;

/// What the judge must know of the drill.
#[derive(Debug, Clone)]
pub struct Case {
    /// CLOCK_MONOTONIC of the start record: the zero of the report's moments.
    pub zero: i64,
    /// The ledger workload.
    pub ledger: &'static str,
    /// Workloads that only visit.
    pub visitors: &'static [&'static str],
    /// How long the staging may hold an answer back by design (a primary that waits until it may acknowledge alone).
    pub hold: i64,
}

/// Service time that a busy machine may add to an interval's width.
const SERVICE: i64 = 60_000_000;
/// A fault's moment must be known at least as well as this.
const FAULT: i64 = 250_000_000;
/// The clock of another process is the same; the facts are written a little after what they tell.
const INK: i64 = 2_000_000;

/// A reported interval in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bar {
    low: i64,
    high: i64,
}

impl Bar {
    fn of(value: &Value) -> Option<Self> {
        let nanos = |key: &str| value[key].as_f64().map(|s| (s * 1e9).round() as i64);
        Some(Self { low: nanos("low")?, high: nanos("high")? })
    }

    fn width(self) -> i64 {
        self.high - self.low
    }

    fn meets(self, truth: Moment) -> bool {
        self.low <= truth.hi + INK && self.high >= truth.lo - INK
    }
}

/// What the judge found wrong.
pub type Complaints = Vec<String>;

/// Everything in `report` that the truth contradicts.
pub fn judge(truth: &Truth, case: &Case, report: &Value) -> Complaints {
    let mut wrong = Complaints::new();
    let away = truth.away();
    let run = report["run"]["id"].as_str().unwrap_or("");
    let (fates, ledger) = (truth.writes(run), &report["workloads"][case.ledger]["ledger"]);
    writes(&fates, ledger, &mut wrong);
    if !away.is_empty() {
        loss(&fates, &away, ledger, &mut wrong);
    }
    for gone in &away {
        let Some(fault) = fault_of(report, case, gone) else {
            wrong.push(format!("no fault in the report lies where the leader went away: {gone:?}"));
            continue;
        };
        let others = away.len() - 1;
        for (name, back) in names(case, gone) {
            let workload = &report["workloads"][name];
            let Some(back) = back else {
                wrong.push(format!("{name}: service never came back, so nothing can be right about it"));
                continue;
            };
            let recovery = Recovery { name, case, gone, fault: &fault, back, workload, others };
            recovery.judge(&mut wrong);
        }
    }
    if away.is_empty() {
        quiet(case, report, &mut wrong);
    }
    wrong
}

/// Each workload with the moment at which it can work again.
fn names<'a>(case: &'a Case, gone: &Away) -> Vec<(&'a str, Option<Moment>)> {
    let visitors = case.visitors.iter().map(|name| (*name, gone.back));
    std::iter::once((case.ledger, gone.writes_back)).chain(visitors).collect()
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
        at.meets(stop).then_some(Fault { id, width: at.width() })
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
            if length > self.deadline() + 2 * self.period() + SERVICE {
                wrong.push(format!("{}: an outage of {length} ns was not noticed", self.name));
            }
            return;
        }
        self.interval(found, "first_restored", self.length(), wrong);
        if self.others == 0 {
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

    /// What clients can perceive of that: they count from when they were due, so a request that was due shortly before
    /// and waited is part of it.
    fn perceived(&self) -> Moment {
        let length = self.length();
        Moment { lo: length.lo - SERVICE, hi: length.hi + SERVICE }
    }

    fn interval(&self, found: &Value, key: &str, truth: Moment, wrong: &mut Complaints) {
        let Some(bar) = Bar::of(&found[key]) else {
            wrong.push(format!("{}: {key} is unknown ({})", self.name, found["why"]));
            return;
        };
        if !bar.meets(truth) {
            wrong.push(format!("{}: {key} [{}, {}] misses the truth {truth:?}", self.name, bar.low, bar.high));
        }
        let allowed = self.allowed();
        if bar.width() > allowed {
            wrong.push(format!("{}: {key} is {} ns wide, at most {allowed} is right", self.name, bar.width()));
        }
    }

    /// Two periods, the service time, the fault's own width, and where answers are held back until after their due
    /// time, the deadline within which that still counts as served.
    fn allowed(&self) -> i64 {
        let held = if self.gone.cause == Cause::Froze { self.deadline() } else { 0 };
        2 * self.period() + SERVICE + self.fault.width + held + self.case.hold
    }

    fn period(&self) -> i64 {
        self.workload["rate"].as_f64().map_or(0, |rate| (1e9 / rate) as i64)
    }

    fn deadline(&self) -> i64 {
        self.workload["service"]["deadline"].as_f64().map_or(0, |s| (s * 1e9) as i64)
    }
}

/// Every class of writes, exactly.
fn writes(truth: &Writes, ledger: &Value, wrong: &mut Complaints) {
    let corrupted = truth.told("corrupt").into_iter().filter(|k| truth.rows.contains_key(k)).collect::<BTreeSet<Key>>();
    let kept = truth.present(&truth.acked) - corrupted.intersection(&truth.acked).count() as u64;
    let attempted = [&truth.acked, &truth.local, &truth.failed, &truth.unknown];
    let known = |key: &Key| attempted.iter().any(|class| class.contains(key));
    let lost = truth.lost().len() as u64;
    let expected = [
        ("attempted", attempted.iter().map(|class| class.len() as u64).sum()),
        ("acked", truth.acked.len() as u64),
        ("acked_local", truth.local.len() as u64),
        ("kept", kept),
        ("lost", lost),
        ("lost_upper", lost),
        ("unknown_present", truth.present(&truth.unknown)),
        ("unknown_absent", truth.unknown.len() as u64 - truth.present(&truth.unknown)),
        ("resurrected", truth.present(&truth.failed)),
        ("duplicated", truth.rows.values().filter(|count| **count > 1).count() as u64),
        ("corrupted", corrupted.len() as u64),
        ("phantom", truth.rows.keys().filter(|key| !known(key)).count() as u64),
    ];
    for (class, count) in expected {
        if ledger[class].as_u64() != Some(count) {
            wrong.push(format!("ledger: {class} is {count}, the report says {}", ledger[class]));
        }
    }
}

/// The age of the oldest lost write at the fault that lost it; with several faults the worst.
fn loss(fates: &Writes, away: &[Away], ledger: &Value, wrong: &mut Complaints) {
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
    if !bar.meets(worst) {
        wrong.push(format!("ledger: rpo_time {bar:?} misses the truth {worst:?}"));
    }
    if bar.width() > FAULT + SERVICE {
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
