//! The tables that every format shows, as text with a tone: what stands in them, not how they are drawn.

use super::words::{self, UNKNOWN};
use crate::analysis::{
    Analysis, At, FaultResult, LedgerResult, Mark, ObjectiveResult, OpCounts, Percentiles, Recovery, StepResult,
    WorkloadResult,
};
use crate::event::{StallCause, StepOutcome};
use crate::model::{Interval, Verdict, WorkloadName};

/// What a cell says beside its text; never the only carrier of a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// As it must not be.
    Bad,
    /// Nobody knows.
    Unsure,
    /// Of less interest.
    Faint,
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Good,
            Verdict::Fail => Self::Bad,
            Verdict::Inconclusive => Self::Unsure,
        }
    }
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// Its tone.
    pub tone: Tone,
}

impl Cell {
    /// A text with a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: words::clean(&text.into()), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Which way a column reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// A table with a title; rows are as long as the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Above it.
    pub title: &'static str,
    /// Column names.
    pub head: Vec<String>,
    /// Column by column.
    pub align: Vec<Align>,
    /// Row by row.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns; rows are as long as there are columns.
    #[must_use]
    pub fn new(title: &'static str, columns: &[(&str, Align)], rows: Vec<Vec<Cell>>) -> Self {
        let (head, align) = columns.iter().map(|(name, align)| (words::clean(name), *align)).unzip();
        Self { title, head, align, rows }
    }

    /// Is there nothing to show?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows become columns; for tables that are wider than the paper.
    #[must_use]
    pub fn turned(&self) -> Self {
        let mut head = vec![self.head[0].clone()];
        head.extend(self.rows.iter().map(|row| row[0].text.clone()));
        let rows = (1..self.head.len())
            .map(|i| {
                std::iter::once(self.head[i].as_str().into()).chain(self.rows.iter().map(|r| r[i].clone())).collect()
            })
            .collect();
        let align = std::iter::once(Align::Left).chain(self.rows.iter().map(|_| Align::Right)).collect();
        Self { title: self.title, head, align, rows }
    }

    /// Only the first columns between the ones that name a row and the last.
    #[must_use]
    pub fn columns(&self, most: usize) -> Self {
        let last = self.head.len().saturating_sub(1);
        let kept: Vec<usize> = (0..self.head.len()).filter(|i| *i <= most || *i == last).collect();
        self.only(&kept)
    }

    fn only(&self, columns: &[usize]) -> Self {
        let row = |row: &Vec<Cell>| columns.iter().filter_map(|i| row.get(*i).cloned()).collect();
        Self {
            title: self.title,
            head: columns.iter().map(|i| self.head[*i].clone()).collect(),
            align: columns.iter().map(|i| self.align[*i]).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// In parts that fit, one below the other; the columns that name a row stand in each of them.
    #[must_use]
    pub fn parts(&self, fits: impl Fn(&Self) -> bool) -> Vec<Self> {
        let keys: Vec<usize> = (0..self.names()).collect();
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for column in keys.len()..self.head.len() {
            let wider = parts.last().map(|part| [part.as_slice(), &[column]].concat());
            match (wider.filter(|wider| fits(&self.only(wider))), parts.last_mut()) {
                (Some(wider), Some(last)) => *last = wider,
                _ => parts.push([keys.as_slice(), &[column]].concat()),
            }
        }
        if parts.is_empty() { vec![self.clone()] } else { parts.iter().map(|part| self.only(part)).collect() }
    }

    /// How many columns name a row: the first, and the one after it if the first does not tell rows apart.
    fn names(&self) -> usize {
        let first: std::collections::BTreeSet<&str> =
            self.rows.iter().filter_map(|row| row.first()).map(|cell| cell.text.as_str()).collect();
        let told_apart = first.len() == self.rows.len();
        let words = self.align.get(1) == Some(&Align::Left);
        (if told_apart || !words { 1 } else { 2 }).min(self.head.len())
    }
}

use Align::{Left, Right};

/// Objective by objective: target, measured, verdict, why.
#[must_use]
pub fn objectives(a: &Analysis) -> Table {
    let rows = a.objectives.iter().map(|o| {
        let tone = Tone::from(o.verdict);
        vec![
            objective(a, o).into(),
            words::target(o.objective.kind, o.objective.target).into(),
            Cell::toned(words::actual(o), tone),
            Cell::toned(format!("{} {}", words::sign(o.verdict), words::judged(o.verdict)), tone),
            Cell::toned(o.why.clone(), Tone::Faint),
        ]
    });
    let columns = [("objective", Left), ("target", Right), ("measured", Right), ("", Left), ("why", Left)];
    Table::new("Objectives", &columns, rows.collect())
}

/// `RTO of orders`, and after which fault where there were several.
#[must_use]
pub fn objective(a: &Analysis, o: &ObjectiveResult) -> String {
    let name = words::objective_of(o.objective.kind, &o.objective.workload);
    match &o.fault {
        Some(fault) if a.faults.len() > 1 => format!("{name} after {fault}"),
        _ => name,
    }
}

/// What clients saw, workload by workload.
#[must_use]
pub fn workloads(a: &Analysis) -> Table {
    let columns = [
        ("workload", Left),
        ("due", Right),
        ("ok", Right),
        ("late", Right),
        ("fail", Right),
        ("unknown", Right),
        ("missed", Right),
        ("outages", Right),
        ("longest outage", Right),
        ("total downtime", Right),
        ("p50", Right),
        ("p99", Right),
    ];
    let rows = a.workloads.iter().flat_map(|w| std::iter::once(workload(w)).chain(reads(w)));
    Table::new("What clients saw", &columns, rows.collect())
}

/// Reads of a ledger decide no outage, so they have counts only.
fn reads(w: &WorkloadResult) -> Option<Vec<Cell>> {
    let mut row = vec![Cell::from(format!("{}, reads", w.name))];
    row.extend(counts(w.reads.as_ref()?));
    row.resize(12, Cell::toned("", Tone::Faint));
    Some(row)
}

fn counts(o: &OpCounts) -> [Cell; 6] {
    let odd = |n: u64, tone| Cell::toned(words::count(n), if n == 0 { Tone::Faint } else { tone });
    [
        words::count(o.due).into(),
        words::count(o.ok).into(),
        odd(o.late, Tone::Bad),
        odd(o.fail, Tone::Bad),
        odd(o.unknown, Tone::Unsure),
        odd(o.missed, Tone::Bad),
    ]
}

fn workload(w: &WorkloadResult) -> Vec<Cell> {
    let latency = |f: fn(&Percentiles) -> i64| {
        w.latency.as_ref().map_or_else(|| UNKNOWN.to_owned(), |p| words::duration(f(p))).into()
    };
    let none = w.outages.is_empty();
    let mut row: Vec<Cell> = vec![w.name.as_str().into()];
    row.extend(counts(&w.operations));
    row.push(Cell::toned(words::count(w.outages.len() as u64), if none { Tone::Faint } else { Tone::Plain }));
    row.push(match (none, w.longest) {
        (true, _) => "none".into(),
        (false, Some(longest)) => words::about(longest).into(),
        (false, None) => "not ended".into(),
    });
    row.push(if none { "none".into() } else { words::about(w.downtime).into() });
    row.extend([latency(|p| p.p50), latency(|p| p.p99)]);
    row
}

/// From the fault to sustained service, with the milestones between, fault by fault and workload by workload.
#[must_use]
pub fn recovery(a: &Analysis) -> Table {
    let milestones = milestones(a);
    let several = a.faults.len() > 1;
    let mut columns = vec![("workload", Left), ("first error", Right)];
    if several {
        columns.insert(1, ("fault", Left));
    }
    columns.extend(milestones.iter().map(|name| (name.as_str(), Right)));
    columns.extend([("first answer", Right), ("sustained", Right), ("restored by", Left)]);
    let rows = a.workloads.iter().flat_map(|w| w.recoveries.iter().map(|r| recovered(a, w, r, &milestones)));
    Table::new("Recovery, counted from the fault", &columns, rows.collect())
}

/// Names of milestones that steps marked, in order of time.
fn milestones(a: &Analysis) -> Vec<String> {
    const OTHERS: [&str; 7] = ["fault", "first_error", "first_ok", "restored", "sustained", "healed", "effective"];
    let mut names: Vec<String> = Vec::new();
    for mark in &a.timeline {
        if !OTHERS.contains(&mark.name.as_str()) && !names.contains(&mark.name) {
            names.push(mark.name.clone());
        }
    }
    names
}

fn recovered(a: &Analysis, w: &WorkloadResult, r: &Recovery, milestones: &[String]) -> Vec<Cell> {
    let fault = a.faults.iter().find(|f| f.id == r.fault);
    let begins = fault.and_then(|f| f.at);
    let next =
        begins.and_then(|at| a.faults.iter().filter_map(|f| f.at).map(|f| f.best).filter(|&b| b > at.best).min());
    let mut row: Vec<Cell> = vec![w.name.as_str().into()];
    if a.faults.len() > 1 {
        row.push(r.fault.as_str().into());
    }
    let quiet = |i: Option<Interval>| if r.unnoticed { "none".to_owned() } else { words::maybe(i) };
    row.push(quiet(r.first_error).into());
    for name in milestones {
        let mark = begins.and_then(|at| first_between(&a.timeline, name, at.best, next));
        row.push(mark.zip(begins).map_or_else(|| UNKNOWN.to_owned(), |(m, f)| words::about(after(m.at, f))).into());
    }
    row.push(quiet(r.first_ok).into());
    row.push(sustained(r));
    row.push(words::attribution(r.attribution).into());
    row
}

fn sustained(r: &Recovery) -> Cell {
    match (r.sustained, r.unnoticed) {
        (None, _) if r.at_least.is_some() => {
            Cell::toned(format!("over {}", words::at_least(r.at_least.unwrap_or(0))), Tone::Bad)
        }
        (Some(i), true) => Cell::toned(format!("below {}", words::at_most(i.high)), Tone::Good),
        (Some(i), false) => words::about(i).into(),
        (None, _) => Cell::toned(r.why.clone().unwrap_or_else(|| UNKNOWN.to_owned()), Tone::Unsure),
    }
}

fn first_between<'a>(marks: &'a [Mark], name: &str, from: i64, to: Option<i64>) -> Option<&'a Mark> {
    marks.iter().find(|m| m.name == name && m.at.best >= from && to.is_none_or(|to| m.at.best < to))
}

fn after(mark: At, fault: At) -> Interval {
    let low = (mark.low - fault.high).max(0);
    Interval { low, best: (mark.best - fault.best).max(low), high: (mark.high - fault.low).max(low) }
}

/// Every class of write of every ledger; classes down, ledgers across, and what each means.
#[must_use]
pub fn ledger(a: &Analysis, which: Classes) -> Table {
    let ledgers: Vec<(&str, &LedgerResult)> =
        a.workloads.iter().filter_map(|w| Some((w.name.as_str(), w.ledger.as_ref()?))).collect();
    let mut columns = vec![("writes", Left)];
    columns.extend(ledgers.iter().map(|(name, _)| (*name, Right)));
    columns.push(("meaning", Left));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for class in CLASSES.iter().filter(|_| !ledgers.is_empty()) {
        let cells: Vec<(Option<u64>, String)> = ledgers.iter().map(|(_, l)| (class.of)(l)).collect();
        if which == Classes::Seen && !class.always && cells.iter().all(|(n, _)| n.is_none_or(|n| n == 0)) {
            continue;
        }
        let mut row: Vec<Cell> = vec![class.name.into()];
        row.extend(cells.into_iter().map(|(n, text)| {
            let tone = if n.is_none_or(|n| n == 0) { Tone::Faint } else { class.tone };
            Cell::toned(text, if n.is_none() { Tone::Unsure } else { tone })
        }));
        row.push(Cell::toned(class.meaning, Tone::Faint));
        rows.push(row);
    }
    Table::new("Writes", &columns, rows)
}

/// Which classes of writes to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// All.
    All,
    /// The usual ones and those that occurred.
    Seen,
}

struct ClassRow {
    name: &'static str,
    meaning: &'static str,
    tone: Tone,
    always: bool,
    of: fn(&LedgerResult) -> (Option<u64>, String),
}

const fn class(
    name: &'static str,
    meaning: &'static str,
    tone: Tone,
    of: fn(&LedgerResult) -> (Option<u64>, String),
) -> ClassRow {
    ClassRow { name, meaning, tone, always: true, of }
}

const fn rare(
    name: &'static str,
    meaning: &'static str,
    tone: Tone,
    of: fn(&LedgerResult) -> (Option<u64>, String),
) -> ClassRow {
    ClassRow { name, meaning, tone, always: false, of }
}

fn known(n: u64) -> (Option<u64>, String) {
    (Some(n), words::count(n))
}

fn perhaps(n: Option<u64>) -> (Option<u64>, String) {
    (n, words::maybe_count(n))
}

fn lost(l: &LedgerResult) -> (Option<u64>, String) {
    match (l.lost, l.lost_upper) {
        (Some(lost), Some(more)) if more > 0 => {
            (Some(lost + more), format!("{}–{}", words::count(lost), words::count(lost + more)))
        }
        (n, _) => perhaps(n),
    }
}

const CLASSES: [ClassRow; 19] = [
    class("attempted", "sent by a client", Tone::Plain, |l| known(l.attempted)),
    class("acknowledged", "the client was told: safe", Tone::Plain, |l| known(l.acked)),
    rare("acknowledged locally", "the answer itself said: less durable than asked", Tone::Unsure, |l| {
        known(l.acked_local)
    }),
    rare("of those, absent", "gone, but nobody had promised them", Tone::Unsure, |l| perhaps(l.local_absent)),
    class("kept", "acknowledged, there and intact", Tone::Good, |l| perhaps(l.kept)),
    class("lost", "acknowledged, and gone", Tone::Bad, lost),
    class("unknown, present", "no answer came; it is there", Tone::Plain, |l| perhaps(l.unknown_present)),
    class("unknown, absent", "no answer came; it is not there", Tone::Plain, |l| perhaps(l.unknown_absent)),
    class("duplicated", "there more than once", Tone::Bad, |l| perhaps(l.duplicated)),
    rare("duplicated by server", "of those, one attempt stored twice", Tone::Bad, |l| perhaps(l.duplicated_by_server)),
    class("corrupted", "there, but damaged", Tone::Bad, |l| perhaps(l.corrupted)),
    class("resurrected", "refused, and yet there", Tone::Bad, |l| perhaps(l.resurrected)),
    class("stale reads", "a read missed what was acknowledged before it", Tone::Bad, |l| known(l.stale)),
    rare("phantom", "there, but never written by this run", Tone::Bad, |l| perhaps(l.phantom)),
    rare("reordered", "out of order on the server", Tone::Bad, |l| perhaps(l.reordered)),
    rare("holes", "kept although younger than a lost one", Tone::Bad, |l| perhaps(l.holes)),
    rare("observed, then lost", "a read returned it; later it was gone", Tone::Bad, |l| perhaps(l.observed_then_lost)),
    rare("lost by healing", "there before the heal, gone after it", Tone::Bad, |l| perhaps(l.lost_by_healing)),
    rare("missing for a while", "absent early, there at the end", Tone::Unsure, |l| perhaps(l.transiently_missing)),
];

/// What each fault cost, where several came after one another.
#[must_use]
pub fn losses(a: &Analysis) -> Table {
    let ledgers = a.workloads.iter().filter_map(|w| Some((w, w.ledger.as_ref()?)));
    let rows = ledgers.flat_map(|(w, l)| {
        l.losses.iter().map(|loss| {
            let tone = if loss.lost == 0 { Tone::Good } else { Tone::Bad };
            vec![
                w.name.as_str().into(),
                loss.fault.as_str().into(),
                Cell::toned(words::count(loss.lost), tone),
                words::maybe(loss.rpo_time).into(),
            ]
        })
    });
    let columns = [("writes of", Left), ("fault", Left), ("lost", Right), ("age of the oldest", Right)];
    Table::new("Loss, fault by fault", &columns, rows.collect())
}

/// What was broken, whether it really broke, whether it is whole again.
#[must_use]
pub fn faults(a: &Analysis) -> Table {
    let columns =
        [("fault", Left), ("kind", Left), ("touched", Left), ("at", Right), ("effective", Left), ("healed", Left)];
    Table::new("Faults", &columns, a.faults.iter().map(fault).collect())
}

fn fault(f: &FaultResult) -> Vec<Cell> {
    let effective = match f.effective {
        Some(true) => Cell::toned("✓ yes", Tone::Good),
        Some(false) => Cell::toned(with("? no", &f.effect), Tone::Unsure),
        None => Cell::toned("? nobody looked", Tone::Unsure),
    };
    let healed = match (f.healed, f.healed_at) {
        (true, Some(at)) => {
            let by = words::healed_by(f.healed_by);
            Cell::toned(format!("✓ at {}{by}", words::duration(at.high)), Tone::Good)
        }
        (true, None) => Cell::toned("✓ yes", Tone::Good),
        (false, _) => Cell::toned(format!("✗ no; by hand: {}", f.by_hand), Tone::Bad),
    };
    let at = f.at.map_or_else(|| UNKNOWN.to_owned(), |at| words::duration(at.best));
    vec![f.name.as_str().into(), f.kind.as_str().into(), f.targets.join(", ").into(), at.into(), effective, healed]
}

fn with(word: &str, detail: &str) -> String {
    if detail.is_empty() { word.to_owned() } else { format!("{word}: {detail}") }
}

/// Phases with their length.
#[must_use]
pub fn phases(a: &Analysis) -> Table {
    let rows = a.phases.iter().map(|p| {
        vec![words::phase(p.phase).into(), words::duration(p.from).into(), words::duration(p.to - p.from).into()]
    });
    Table::new("Phases", &[("phase", Left), ("from", Right), ("took", Right)], rows.collect())
}

/// Steps in order of start.
#[must_use]
pub fn steps(a: &Analysis) -> Table {
    let columns = [
        ("phase", Left),
        ("step", Left),
        ("did", Left),
        ("from", Right),
        ("took", Right),
        ("result", Left),
        ("seen", Left),
    ];
    Table::new("Steps", &columns, a.steps.iter().map(step).collect())
}

/// What a step saw that went well is told briefly; report.json has all of it.
const PASSED_DETAIL: usize = 90;

fn step(s: &StepResult) -> Vec<Cell> {
    let skipped = matches!(s.outcome, Some(StepOutcome::Skipped { by_when: true, .. }));
    let tone = if skipped { Tone::Faint } else { s.verdict.into() };
    let name = if s.round == 0 { s.name.clone() } else { format!("{} (round {})", s.name, s.round + 1) };
    let sign = if skipped { "–" } else { words::sign(s.verdict) };
    let seen = match (s.verdict, words::detail(s)) {
        (Verdict::Pass, detail) => Cell::toned(words::shortened(detail, PASSED_DETAIL), Tone::Faint),
        (_, "") => s.place.as_str().into(),
        (_, detail) => format!("{detail} ({})", s.place).into(),
    };
    vec![
        words::phase(s.phase).into(),
        name.into(),
        s.verb.as_str().into(),
        words::duration(s.from).into(),
        s.to.map_or_else(|| UNKNOWN.to_owned(), |to| words::duration(to - s.from)).into(),
        Cell::toned(format!("{sign} {}", words::outcome(s)), tone),
        seen,
    ]
}

/// What reviews of earlier runs asked for and nobody had done when this run began.
#[must_use]
pub fn actions(a: &Analysis) -> Table {
    let open = a.run.lineage.iter().flat_map(|lineage| &lineage.actions);
    let rows = open.map(|action| {
        let late = action.due.is_some_and(|due| due < a.started.date_naive());
        let due = action.due.map_or_else(|| UNKNOWN.to_owned(), |due| due.to_string());
        let due = if late { Cell::toned(format!("✗ {due}, past"), Tone::Bad) } else { due.into() };
        vec![
            format!("{}#{}", action.run, action.number).into(),
            action.text.as_str().into(),
            action.owner.as_str().into(),
            due,
        ]
    });
    let columns = [("action", Left), ("what is to be done", Left), ("by whom", Left), ("by when", Left)];
    Table::new("Open actions of earlier runs", &columns, rows.collect())
}

/// Every outage of every workload.
#[must_use]
pub fn outages(a: &Analysis) -> Table {
    let columns = [
        ("workload", Left),
        ("from", Right),
        ("to", Right),
        ("clients could not work for", Right),
        ("operations", Right),
        ("", Left),
    ];
    let rows = a.workloads.iter().flat_map(|w| {
        w.outages.iter().map(|o| {
            vec![
                w.name.as_str().into(),
                words::duration(o.from.best).into(),
                o.to.map_or_else(|| "not ended".to_owned(), |to| words::duration(to.best)).into(),
                words::maybe(o.perceived).into(),
                words::count(o.operations).into(),
                Cell::toned(if o.doubtful { "the runner itself stalled" } else { "" }, Tone::Unsure),
            ]
        })
    });
    Table::new("Outages", &columns, rows.collect())
}

/// Why and for how long the runner could not see: a sum for each cause and workload, because a busy machine stalls
/// hundreds of times.
#[must_use]
pub fn stalls(a: &Analysis) -> Table {
    let mut causes: Vec<(StallCause, Option<&WorkloadName>)> = Vec::new();
    for stall in &a.stalls {
        let cause = (stall.cause, stall.workload.as_ref());
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let rows = causes.into_iter().map(|(cause, workload)| {
        let of_cause = || a.stalls.iter().filter(|s| s.cause == cause && s.workload.as_ref() == workload);
        let lengths = || of_cause().map(|s| s.to - s.from);
        vec![
            words::stall(cause).into(),
            workload.map_or("all", WorkloadName::as_str).into(),
            words::count(of_cause().count() as u64).into(),
            words::duration(lengths().max().unwrap_or(0)).into(),
            words::duration(covered(of_cause().map(|s| (s.from, s.to)))).into(),
            words::duration(of_cause().map(|s| s.from).min().unwrap_or(0)).into(),
            words::duration(of_cause().map(|s| s.to).max().unwrap_or(0)).into(),
        ]
    });
    let columns = [
        ("because", Left),
        ("workload", Left),
        ("times", Right),
        ("longest", Right),
        ("in all", Right),
        ("first", Right),
        ("last", Right),
    ];
    Table::new("The runner could not see", &columns, rows.collect())
}

/// How much time the spans cover; several schedules stall at once.
fn covered(spans: impl Iterator<Item = (i64, i64)>) -> i64 {
    joined(spans, 0).iter().map(|(from, to)| to - from).sum()
}

/// Spans that touch, or are at most `gap` apart, as one; in order.
#[must_use]
pub fn joined(spans: impl Iterator<Item = (i64, i64)>, gap: i64) -> Vec<(i64, i64)> {
    let mut sorted: Vec<(i64, i64)> = spans.filter(|(from, to)| from <= to).collect();
    sorted.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::new();
    for (from, to) in sorted {
        match out.last_mut() {
            Some(last) if from.saturating_sub(last.1) <= gap => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_table_comes_in_parts_that_name_their_rows() {
        let columns = [("workload", Left), ("fault", Left), ("a", Right), ("b", Right), ("c", Right), ("by", Left)];
        let row = || vec!["w".into(), "f".into(), "1".into(), "2".into(), "3".into(), "us".into()];
        let table = Table::new("T", &columns, vec![row(), row()]);
        let heads = |most: usize| {
            table.parts(|part| part.head.len() <= most).iter().map(|part| part.head.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(heads(4), ["workload fault a b", "workload fault c by"]);
        assert_eq!(heads(6), ["workload fault a b c by"]);
        assert_eq!(heads(1).len(), 4, "what fits nowhere has a part of its own");
    }

    #[test]
    fn time_that_two_stalls_share_counts_once() {
        assert_eq!(covered([(10, 20), (0, 5), (15, 30)].into_iter()), 25);
        assert_eq!(joined([(0, 5), (7, 9), (30, 31)].into_iter(), 2), [(0, 9), (30, 31)]);
    }
}
