//! Two runs beside each other: what about them differs, and which figures differ by more than their errors.

use super::report::{Interval, Report};
use super::trend::unit;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Two runs beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Why their figures must not be held against each other; empty if they may.
    pub not_comparable: Vec<String>,
    /// What else about them differs.
    pub facts: Vec<Fact>,
    /// Objective by objective.
    pub objectives: Vec<FigureRow>,
    /// Downtime of each workload.
    pub downtime: Vec<FigureRow>,
    /// Operations and writes that were counted.
    pub counts: Vec<CountRow>,
}

/// Something that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub what: String,
    /// In the first run.
    pub first: String,
    /// In the second run.
    pub second: String,
}

/// How two figures stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Differ {
    /// The second is lower, beyond the errors of both.
    Lower,
    /// The second is higher, beyond the errors of both.
    Higher,
    /// Their intervals touch: no difference can be told.
    Within,
    /// One of them was not measured.
    Unknown,
}

/// A figure of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureRow {
    /// `rto`, …, or `downtime`
    pub what: String,
    /// The workload; empty if it is about the drill.
    pub workload: String,
    /// The fault it counts from.
    pub fault: String,
    /// `s` or `writes`
    pub unit: &'static str,
    /// In the first run: low, best, high.
    pub first: Option<[f64; 3]>,
    /// In the second run.
    pub second: Option<[f64; 3]>,
    /// Targets: of the first and of the second.
    pub targets: [Option<f64>; 2],
    /// How they stand to each other.
    pub differ: Differ,
}

/// A count of both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountRow {
    /// The workload.
    pub workload: String,
    /// What was counted.
    pub what: String,
    /// In the first run.
    pub first: Option<u64>,
    /// In the second run.
    pub second: Option<u64>,
}

/// What is counted of writes.
const WRITES: [&str; 9] =
    ["acked", "kept", "lost", "corrupted", "duplicated", "resurrected", "unknown_present", "unknown_absent", "holes"];

/// Holds the second run against the first.
#[must_use]
pub fn compare(first: &Report, second: &Report) -> Comparison {
    let (a, b) = (&first.run, &second.run);
    let mut not_comparable = Vec::new();
    let mut facts = Vec::new();
    for (what, x, y) in [
        ("drills", a.drill.as_str(), b.drill.as_str()),
        ("environments", &a.environment, &b.environment),
        ("playbooks as written", &a.playbook.digest, &b.playbook.digest),
    ] {
        if x != y {
            not_comparable.push(format!("their {what} differ: {} and {}", short(x), short(y)));
        }
    }
    for (name, x, y) in pairs(&a.params, &b.params) {
        if x != y {
            let said = |value: Option<&String>| value.map_or("not given".to_owned(), |v| format!("`{v}`"));
            not_comparable.push(format!("parameter {name} differs: {} and {}", said(x), said(y)));
        }
    }
    for (name, x, y) in pairs(&first.workloads, &second.workloads) {
        match (x, y) {
            (Some(x), Some(y)) if x.kind == y.kind && x.rate.to_bits() == y.rate.to_bits() => {}
            (Some(x), Some(y)) => not_comparable
                .push(format!("the load of {name} differs: {} {}/s and {} {}/s", x.kind, x.rate, y.kind, y.rate)),
            _ => not_comparable.push(format!("workload {name} is in one of them only")),
        }
    }
    for (what, x, y) in [
        ("playbook as run", short(&a.playbook.resolved_digest), short(&b.playbook.resolved_digest)),
        ("tool", a.host.tool.clone(), b.host.tool.clone()),
        ("host", a.host.host.clone(), b.host.host.clone()),
        ("system", a.host.system.clone(), b.host.system.clone()),
        ("verdict", a.verdict.word().to_owned(), b.verdict.word().to_owned()),
        ("exit code", a.exit_code.to_string(), b.exit_code.to_string()),
    ] {
        if x != y {
            facts.push(Fact { what: what.to_owned(), first: x, second: y });
        }
    }
    Comparison {
        not_comparable,
        facts,
        objectives: objectives(first, second),
        downtime: downtime(first, second),
        counts: counts(first, second),
    }
}

/// A digest is known by its first digits.
fn short(text: &str) -> String {
    let digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digest { format!("{}…", &text[..12]) } else { text.to_owned() }
}

/// The keys of both, each with what it is in either.
fn pairs<'a, T>(
    a: &'a BTreeMap<String, T>,
    b: &'a BTreeMap<String, T>,
) -> Vec<(&'a String, Option<&'a T>, Option<&'a T>)> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter().map(|key| (key, a.get(key), b.get(key))).collect()
}

fn objectives(first: &Report, second: &Report) -> Vec<FigureRow> {
    let key = |o: &super::report::Objective| {
        (o.name.clone(), o.workload.clone().unwrap_or_default(), o.fault.clone().unwrap_or_default(), o.basis.clone())
    };
    let mut keys = Vec::new();
    for o in first.objectives.iter().chain(&second.objectives) {
        if !keys.contains(&key(o)) {
            keys.push(key(o));
        }
    }
    let row = |wanted: (String, String, String, Option<String>)| {
        let of = |r: &Report| r.objectives.iter().find(|o| key(o) == wanted).cloned();
        let (x, y) = (of(first), of(second));
        let actual = |o: &Option<super::report::Objective>| o.as_ref().and_then(|o| o.actual);
        let targets = [&x, &y].map(|o| o.as_ref().map(|o| o.target));
        let unit = unit(&wanted.0);
        figure(&wanted.0, &wanted.1, &wanted.2, unit, [actual(&x), actual(&y)], targets)
    };
    keys.into_iter().map(row).collect()
}

fn downtime(first: &Report, second: &Report) -> Vec<FigureRow> {
    let total = |w: Option<&super::report::Workload>| w.and_then(|w| w.downtime.as_ref()?.total);
    let row = |(name, x, y): (&String, _, _)| figure("downtime", name, "", "s", [total(x), total(y)], [None, None]);
    pairs(&first.workloads, &second.workloads).into_iter().map(row).collect()
}

fn figure(
    what: &str,
    workload: &str,
    fault: &str,
    unit: &'static str,
    [x, y]: [Option<Interval>; 2],
    targets: [Option<f64>; 2],
) -> FigureRow {
    let differ = match (x, y) {
        (Some(x), Some(y)) if y.high < x.low => Differ::Lower,
        (Some(x), Some(y)) if y.low > x.high => Differ::Higher,
        (Some(_), Some(_)) => Differ::Within,
        _ => Differ::Unknown,
    };
    let ends = |i: Option<Interval>| i.map(|i| [i.low, i.best, i.high]);
    let (first, second) = (ends(x), ends(y));
    let (what, workload, fault) = (what.to_owned(), workload.to_owned(), fault.to_owned());
    FigureRow { what, workload, fault, unit, first, second, targets, differ }
}

fn counts(first: &Report, second: &Report) -> Vec<CountRow> {
    let mut rows = Vec::new();
    for (name, x, y) in pairs(&first.workloads, &second.workloads) {
        let none = BTreeMap::new();
        let (a, b) = (x.map_or(&none, |w| &w.operations), y.map_or(&none, |w| &w.operations));
        for (what, m, n) in pairs(a, b) {
            rows.push(CountRow {
                workload: name.clone(),
                what: what.clone(),
                first: m.copied().flatten(),
                second: n.copied().flatten(),
            });
        }
        let ledger = |w: Option<&super::report::Workload>, what: &str| w?.ledger.as_ref()?.get(what)?.as_u64();
        if x.is_some_and(|w| w.ledger.is_some()) || y.is_some_and(|w| w.ledger.is_some()) {
            rows.extend(WRITES.iter().map(|what| CountRow {
                workload: name.clone(),
                what: format!("writes {}", what.replace('_', ", ")),
                first: ledger(x, what),
                second: ledger(y, what),
            }));
        }
    }
    rows
}
