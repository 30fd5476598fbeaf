//! The tables about several runs.

use super::words::{self, ends, figure, measured as said};
use crate::analysis::Attribution;
use crate::analysis::stats::{Ends, Group, Measured, Observation, Row, Spread};
use crate::model::{RunState, Verdict};
use crate::report::tables::Align::{Left, Right};
use crate::report::tables::{Cell, Table, Tone};
use crate::report::words::{UNKNOWN, count, wall};

/// So many runs are shown one by one; all of them are in the JSON.
const MOST: usize = 40;

/// Run by run: what has a target, and who brought service back.
pub(super) fn runs(group: &Group) -> Table {
    let shown: Vec<&Row> = {
        let with_target: Vec<&Row> = group.rows.iter().filter(|row| row.target.is_some()).collect();
        if with_target.is_empty() { group.rows.iter().collect() } else { with_target }
    };
    let names: Vec<String> = shown.iter().map(|row| words::subject(row)).collect();
    let mut columns = vec![("run", Left), ("began", Left), ("", Left)];
    columns.extend(names.iter().map(|name| (name.as_str(), Right)));
    columns.push(("came back", Left));
    let skipped = group.runs.len().saturating_sub(MOST);
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    if skipped > 0 {
        let mut row: Vec<Cell> = vec![format!("… {skipped} earlier ones").into()];
        row.resize(columns.len(), "".into());
        rows.push(row);
    }
    for run in &group.runs[skipped..] {
        let (word, tone) = match (&run.doubt, run.state, run.verdict) {
            (Some(_), ..) => ("not verified", Tone::Unsure),
            (_, RunState::Dirty, _) => ("not healed", Tone::Bad),
            (_, RunState::Aborted, _) => ("aborted", Tone::Bad),
            (_, RunState::NotRun | RunState::Held, _) => ("not run", Tone::Unsure),
            (_, _, verdict) => (verdict.word(), Tone::from(verdict)),
        };
        let found = |row: &&Row| run.observations.iter().find(|o| o.subject == row.subject);
        let mut cells: Vec<Cell> = vec![run.run.as_str().into(), wall(run.started).into(), Cell::toned(word, tone)];
        cells.extend(shown.iter().map(|row| found(row).map_or(UNKNOWN.into(), cell)));
        let back: Vec<&str> = run.observations.iter().filter_map(back).collect();
        cells.push(back.first().map_or(UNKNOWN.into(), |first| {
            if back.iter().all(|b| b == first) { (*first).into() } else { "in different ways".into() }
        }));
        rows.push(cells);
    }
    Table::new("Runs", &columns, rows)
}

fn cell(o: &Observation) -> Cell {
    let tone = match o.verdict() {
        Some(Verdict::Fail) => Tone::Bad,
        Some(Verdict::Inconclusive) => Tone::Unsure,
        _ => Tone::Plain,
    };
    Cell::toned(said(o.subject.kind, o.measured), tone)
}

fn back(o: &Observation) -> Option<&'static str> {
    if matches!(o.measured, Measured::Unknown | Measured::NotReached) {
        return None;
    }
    match o.attribution {
        Attribution::System => Some("by itself"),
        Attribution::Restore => Some("by the drill's restore"),
        Attribution::Heal => Some("when the fault was removed"),
        Attribution::None => None,
    }
}

/// What was measured, over all runs.
pub(super) fn measured(group: &Group) -> Table {
    let columns = [
        ("what", Left),
        ("target", Right),
        ("runs", Right),
        ("met", Right),
        ("missed", Right),
        ("not decided", Right),
        ("measured", Right),
        ("median", Right),
        ("quartiles", Right),
        ("least", Right),
        ("most", Right),
    ];
    let rows = group.rows.iter().map(|row| {
        let (kind, tally) = (row.subject.kind, row.tally);
        let judged = |n: u64, tone| match row.target {
            None => Cell::toned(UNKNOWN, Tone::Faint),
            Some(_) => Cell::toned(count(n), if n == 0 { Tone::Faint } else { tone }),
        };
        let part = |f: fn(&Spread) -> Ends| row.spread.map_or(UNKNOWN.to_owned(), |s| ends(kind, f(&s)));
        let all = tally.measured + tally.censored;
        let known = if all == tally.runs { Tone::Plain } else { Tone::Unsure };
        vec![
            words::subject(row).into(),
            row.target.map_or(UNKNOWN.to_owned(), |t| figure(kind, t)).into(),
            count(tally.runs).into(),
            judged(tally.met, Tone::Good),
            judged(tally.missed, Tone::Bad),
            judged(tally.undecided, Tone::Unsure),
            Cell::toned(count(all), known),
            part(|s| s.median).into(),
            row.spread.map_or(UNKNOWN.to_owned(), |s| between(row, s.lower, s.upper)).into(),
            part(|s| s.min).into(),
            part(|s| s.max).into(),
        ]
    });
    Table::new("What was measured", &columns, rows.collect())
}

/// From the lowest that the lower quartile may be to the highest that the upper one may be.
fn between(row: &Row, lower: Ends, upper: Ends) -> String {
    let kind = row.subject.kind;
    let low = words::lower(kind, lower.low);
    match upper.high {
        Some(high) if high == lower.low => figure(kind, high),
        Some(high) => format!("{low} to {}", words::upper(kind, high)),
        None => format!("{low} to at least {}", words::lower(kind, upper.low)),
    }
}

/// Who brought service back, and how steadily.
pub(super) fn returned(group: &Group) -> Table {
    let columns = [
        ("what", Left),
        ("by itself", Right),
        ("by the drill's restore", Right),
        ("when the fault was removed", Right),
        ("not at all, or not known", Right),
        ("with more than one outage", Right),
    ];
    let timed = group.rows.iter().filter(|row| row.subject.kind == crate::model::ObjectiveKind::Rto);
    let rows = timed.map(|row| {
        let t = row.tally;
        let other = t.runs - t.by_system - t.by_restore - t.by_heal;
        let odd = |n: u64, tone| Cell::toned(count(n), if n == 0 { Tone::Faint } else { tone });
        vec![
            words::subject(row).into(),
            count(t.by_system).into(),
            odd(t.by_restore, Tone::Plain),
            odd(t.by_heal, Tone::Unsure),
            odd(other, Tone::Unsure),
            odd(t.flapping, Tone::Bad),
        ]
    });
    Table::new("How service came back", &columns, rows.collect())
}
