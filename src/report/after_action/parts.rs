//! The tables of an after-action report: what stands in them, for every format.

use super::{
    ActionInput, AfterAction, ControlRow, Decision, Done, Drill, Point, RunRow, Sealed, Signature, Standing,
    SystemKind, Trend,
};
use crate::controls;
use crate::model::{RunState, Verdict};
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::words::{self, UNKNOWN};
use chrono::{DateTime, NaiveDate, Utc};

use Align::{Left, Right};

/// A space at which no line ends.
const UNBROKEN: &str = "\u{a0}";

/// All tables, in the order in which they stand there; some may be empty.
#[must_use]
pub fn tables(report: &AfterAction) -> Vec<Table> {
    vec![
        drills(report),
        objectives(report),
        runs(report),
        actions(report),
        reviews(report),
        notes(report),
        controls_table(report),
        systems(report),
        doubts(report),
    ]
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn maybe_day(at: Option<NaiveDate>) -> String {
    at.map_or_else(|| UNKNOWN.to_owned(), |day| day.to_string())
}

fn drills(report: &AfterAction) -> Table {
    let columns = [
        ("drill", Left),
        ("environment", Left),
        ("owner", Left),
        ("runs", Right),
        ("passed", Right),
        ("last passed", Left),
        ("every", Left),
        ("next due", Left),
        ("", Left),
    ];
    Table::new("Drills", &columns, report.drills.iter().map(drill).collect())
}

fn drill(d: &Drill) -> Vec<Cell> {
    let standing = match d.standing {
        Standing::NoFrequency => Cell::toned("no frequency", Tone::Faint),
        Standing::InTime => Cell::toned("✓ in time", Tone::Good),
        Standing::Overdue => Cell::toned("✗ overdue", Tone::Bad),
        Standing::NeverPassed => Cell::toned("✗ never passed", Tone::Bad),
    };
    vec![
        d.drill.as_str().into(),
        d.environment.as_str().into(),
        d.owner.join(", ").into(),
        words::count(d.runs).into(),
        words::count(d.passed).into(),
        d.last_passed.map_or_else(|| UNKNOWN.to_owned(), day).into(),
        d.every.as_deref().unwrap_or(UNKNOWN).into(),
        maybe_day(d.next_due).into(),
        standing,
    ]
}

fn objectives(report: &AfterAction) -> Table {
    let columns = [
        ("drill", Left),
        ("objective", Left),
        ("target", Right),
        ("met", Right),
        ("best", Right),
        ("worst", Right),
        ("last", Right),
        ("", Left),
    ];
    let rows = report.drills.iter().flat_map(|drill| drill.objectives.iter().map(|t| objective(drill, t)));
    Table::new("Objectives", &columns, rows.collect())
}

fn objective(drill: &Drill, t: &Trend) -> Vec<Cell> {
    let last = t.points.last();
    let tone = last.map_or(Tone::Plain, |point| point.verdict.into());
    let bests = || t.points.iter().filter_map(|point| point.best);
    let told = |value: Option<f64>| value.map_or_else(|| UNKNOWN.to_owned(), |value| figure(t, value));
    let mut targets: Vec<f64> = t.points.iter().map(|point| point.target).collect();
    targets.dedup();
    let target = match targets.as_slice() {
        [] => UNKNOWN.to_owned(),
        [.., last] if targets.len() == 1 => figure(t, *last),
        [.., last] => format!("{} (changed)", figure(t, *last)),
    };
    let verdict =
        last.map_or_else(String::new, |p| format!("{} {} last", words::sign(p.verdict), words::judged(p.verdict)));
    vec![
        drill.drill.as_str().into(),
        name(drill, t).into(),
        target.into(),
        format!("{} of {}", t.met, t.points.len()).into(),
        told(bests().min_by(f64::total_cmp)).into(),
        told(bests().max_by(f64::total_cmp)).into(),
        Cell::toned(last.map_or_else(|| UNKNOWN.to_owned(), |point| bar(t, point)), tone),
        Cell::toned(verdict, tone),
    ]
}

/// `RTO of orders`, and after which fault where there are several.
pub(in crate::report) fn name(drill: &Drill, t: &Trend) -> String {
    let what = match t.name.as_str() {
        "rto" => "RTO",
        "rpo_time" => "RPO (time)",
        "rpo_writes" => "RPO (writes)",
        "detect" => "time to detect",
        other => other,
    };
    let of = if t.workload.is_empty() { what.to_owned() } else { format!("{what} of {}", t.workload) };
    let twins = drill.objectives.iter().filter(|o| o.name == t.name && o.workload == t.workload).count();
    match &t.fault {
        Some(fault) if twins > 1 => format!("{of} after {fault}"),
        _ => of,
    }
}

/// A figure in the objective's unit.
pub(in crate::report) fn figure(t: &Trend, value: f64) -> String {
    if t.unit == "writes" {
        words::plural(value.max(0.0).round() as u64, "write")
    } else {
        words::duration(nanos(value))
    }
}

fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

/// A figure with its error.
pub(in crate::report) fn bar(t: &Trend, p: &Point) -> String {
    match (p.low, p.best, p.high) {
        (Some(low), Some(best), Some(high)) if t.unit != "writes" => {
            words::about(crate::model::Interval { low: nanos(low), best: nanos(best), high: nanos(high) })
        }
        (Some(low), Some(_), Some(high)) if low < high => format!("{low}–{high} writes"),
        (_, Some(best), _) => figure(t, best),
        _ => "not measured".to_owned(),
    }
}

fn runs(report: &AfterAction) -> Table {
    let columns = [
        ("run", Left),
        ("drill", Left),
        ("began", Left),
        ("result", Left),
        ("objectives met", Right),
        ("review", Left),
        ("record", Left),
        ("why", Left),
    ];
    Table::new("Runs", &columns, report.runs.iter().map(run).collect())
}

/// Sign, word and how to colour it, as on the page of the run.
pub(in crate::report) fn result(r: &RunRow) -> (&'static str, Tone) {
    match (r.state, r.verdict) {
        (RunState::Dirty, _) => ("! NOT HEALED", Tone::Bad),
        (RunState::NotRun | RunState::Held, _) => ("? NOT RUN", Tone::Unsure),
        (RunState::Aborted, Verdict::Fail) => ("! ABORTED", Tone::Bad),
        (RunState::Aborted, _) => ("! ABORTED", Tone::Unsure),
        (RunState::Ended, Verdict::Pass) => ("✓ PASSED", Tone::Good),
        (RunState::Ended, Verdict::Fail) => ("✗ FAILED", Tone::Bad),
        (RunState::Ended, Verdict::Inconclusive) => ("? INCONCLUSIVE", Tone::Unsure),
    }
}

fn run(r: &RunRow) -> Vec<Cell> {
    let (word, tone) = result(r);
    let why = words::shortened(&r.reasons.join("; "), 200);
    vec![
        r.run.as_str().into(),
        format!("{} in {}", r.drill, r.environment).into(),
        r.started.format("%Y-%m-%d %H:%M").to_string().into(),
        Cell::toned(word.replace(' ', UNBROKEN), tone),
        format!("{} of {}", r.met, r.objectives).into(),
        decided(r.decision),
        sealed(r),
        Cell::toned(why, Tone::Faint),
    ]
}

fn decided(decision: Option<Decision>) -> Cell {
    match decision {
        Some(Decision::Accepted) => Cell::toned("✓ accepted", Tone::Good),
        Some(Decision::AcceptedWithActions) => Cell::toned("✓ with actions", Tone::Good),
        Some(Decision::Rejected) => Cell::toned("✗ rejected", Tone::Bad),
        None => Cell::toned("none", Tone::Unsure),
    }
}

fn sealed(r: &RunRow) -> Cell {
    match (r.sealed, &r.signer) {
        (Sealed::Signed, Some(key)) => format!("signed by {}", short(key)).into(),
        (Sealed::Signed | Sealed::Unchecked, _) => Cell::toned("signature not checked", Tone::Unsure),
        (Sealed::Unsigned, _) => Cell::toned("sealed, not signed", Tone::Unsure),
        (Sealed::No, _) => Cell::toned("not sealed", Tone::Unsure),
    }
}

/// Enough of a fingerprint to tell keys apart.
fn short(key: &str) -> String {
    words::shortened(key, 16)
}

fn actions(report: &AfterAction) -> Table {
    let columns = [("action", Left), ("what is to be done", Left), ("by whom", Left), ("by when", Left), ("", Left)];
    let today = report.as_of.date_naive();
    Table::new("Actions", &columns, report.actions.iter().map(|a| action(a, today)).collect())
}

fn action(a: &ActionInput, today: NaiveDate) -> Vec<Cell> {
    let past = a.due.is_some_and(|due| due < today);
    let said = |word: &str| if a.how.is_empty() { word.to_owned() } else { format!("{word}: {}", a.how) };
    let standing = match a.standing {
        Done::Open if past => Cell::toned(said("✗ past its date"), Tone::Bad),
        Done::Open => Cell::toned(said("open"), Tone::Unsure),
        Done::Closed => Cell::toned(said("✓ done"), Tone::Good),
        Done::Retested => Cell::toned(said("✓ retested by"), Tone::Good),
    };
    let due = Cell::toned(
        a.due.map_or_else(|| "no date".to_owned(), |due| due.to_string()),
        match a.due {
            None => Tone::Unsure,
            Some(_) => Tone::Plain,
        },
    );
    vec![format!("{}#{}", a.run, a.number).into(), a.text.as_str().into(), a.owner.as_str().into(), due, standing]
}

fn reviews(report: &AfterAction) -> Table {
    let columns = [("run", Left), ("on", Left), ("by", Left), ("decision", Left), ("signature", Left)];
    let rows = report.reviews.iter().map(|r| {
        let by = if r.role.is_empty() { r.by.clone() } else { format!("{}, {}", r.by, r.role) };
        let signature = match (r.signature, &r.signer) {
            (Signature::Good, Some(key)) if r.key_of_the_run => {
                Cell::toned(format!("{}, the key of the run itself", short(key)), Tone::Unsure)
            }
            (Signature::Good, Some(key)) => short(key).into(),
            (Signature::Good | Signature::Unchecked, _) => Cell::toned("not checked", Tone::Unsure),
            (Signature::None, _) => Cell::toned("none", Tone::Unsure),
        };
        vec![r.run.as_str().into(), day(r.at).into(), by.into(), decided(r.decision), signature]
    });
    Table::new("Reviews", &columns, rows.collect())
}

fn notes(report: &AfterAction) -> Table {
    let columns = [("run", Left), ("about", Left), ("what was said", Left), ("by", Left)];
    let rows = report.notes.iter().map(|n| {
        let about = n.field.replace('_', " ");
        vec![n.run.as_str().into(), about.into(), n.text.as_str().into(), Cell::toned(n.by.as_str(), Tone::Faint)]
    });
    Table::new("What was found", &columns, rows.collect())
}

fn controls_table(report: &AfterAction) -> Table {
    let columns = [
        ("control", Left),
        ("about", Left),
        ("runs", Right),
        ("passed", Right),
        ("last passed", Left),
        ("fields filled", Right),
        ("filled by no run", Left),
    ];
    Table::new("Controls", &columns, report.controls.iter().map(control).collect())
}

fn control(c: &ControlRow) -> Vec<Cell> {
    let asked = c.filled.len() + c.missing.len();
    let share = if c.listed { format!("{} of {asked}", c.filled.len()) } else { UNKNOWN.to_owned() };
    let missing = match (c.listed, c.missing.is_empty()) {
        (false, _) => Cell::toned("what it asks for is not known here", Tone::Faint),
        (true, true) => Cell::toned("nothing", Tone::Good),
        (true, false) => Cell::toned(controls::numbers(&c.missing), Tone::Unsure),
    };
    vec![
        c.control.as_str().into(),
        c.title.as_str().into(),
        words::count(c.runs).into(),
        words::count(c.passed).into(),
        c.last_passed.map_or_else(|| UNKNOWN.to_owned(), day).into(),
        share.into(),
        missing,
    ]
}

fn systems(report: &AfterAction) -> Table {
    let columns =
        [("name", Left), ("what", Left), ("drills", Left), ("runs", Right), ("passed", Right), ("last passed", Left)];
    let rows = report.systems.iter().map(|s| {
        let kind = match s.kind {
            SystemKind::System => "system",
            SystemKind::Site => "site",
            SystemKind::ThirdParty => "third party",
        };
        let last = s.last_passed.map_or_else(|| Cell::toned("never", Tone::Unsure), |at| day(at).into());
        let drills = s.drills.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (runs, passed) = (words::count(s.runs), words::count(s.passed));
        vec![s.name.as_str().into(), kind.into(), drills.into(), runs.into(), passed.into(), last]
    });
    Table::new("Systems, sites and third parties", &columns, rows.collect())
}

fn doubts(report: &AfterAction) -> Table {
    let rows = report.doubts.iter().map(|d| vec![d.folder.as_str().into(), Cell::toned(d.why.as_str(), Tone::Bad)]);
    Table::new("Not to be relied on", &[("folder", Left), ("why", Left)], rows.collect())
}

/// The fields that somebody would still have to fill, with how: those that a control asks for and no run fills.
pub(in crate::report) fn missing(report: &AfterAction) -> Table {
    let numbers: std::collections::BTreeSet<u8> = report.controls.iter().flat_map(|c| c.missing.clone()).collect();
    let rows = numbers.iter().filter_map(|n| controls::field_of(*n)).map(|field| {
        let asking = report.controls.iter().filter(|c| c.missing.contains(&field.number)).count();
        vec![
            format!("E{}", field.number).into(),
            field.title.into(),
            words::plural(asking as u64, "control").into(),
            field.source.word().into(),
            field.how.into(),
        ]
    });
    let columns =
        [("field", Left), ("what it holds", Left), ("asked for by", Right), ("filled by", Left), ("how", Left)];
    Table::new("What is missing, and how to fill it", &columns, rows.collect())
}

/// Which time, in words.
pub(in crate::report) fn time(report: &AfterAction) -> String {
    match (report.from, report.until) {
        (Some(from), Some(until)) => format!("{from} to {until}"),
        (Some(from), None) => format!("since {from}"),
        (None, Some(until)) => format!("until {until}"),
        (None, None) => match (report.runs.first(), report.runs.last()) {
            (Some(first), Some(last)) => format!("{} to {}", day(first.started), day(last.started)),
            _ => "all time".to_owned(),
        },
    }
}

/// What cannot be concluded from it.
pub(in crate::report) const LIMITS: &str = "This report repeats what the runs' own reports and reviews say. It checks \
    that files are as they were sealed and that signatures are of what they stand beside; not whose keys they are, not the chain of \
    runs, and it computes nothing again. `blackstart verify` on the same folders does all of that.";
