//! The write ledger: a strip of writes around the outage, its totals, and the ages of what was lost.

use super::axis::{Placed, Side, block, place, vertical};
use super::groups::foremost;
use super::markup::{El, Markup, el, prose};
use super::paper::{Chart, Drawing, Paper, ROW, left_out};
use super::parts;
use super::series::legend;
use crate::analysis::{Analysis, Class, LedgerResult, LostRun, WorkloadResult};
use crate::report::tables::{self, Align, Classes, Table};
use crate::report::words;

const STRIP: f64 = 34.0;
/// Few runs are drawn with their long ones shortened; many are drawn to scale.
const FEW_RUNS: usize = 60;
/// So many ledgers have a strip of their own.
const MOST_STRIPS: usize = 3;
/// A shortened run is as wide as this many writes.
const LONG_RUN: usize = 120;

/// Neighbours of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    class: Class,
    from: i64,
    to: i64,
    writes: usize,
    left: f64,
    right: f64,
}

/// Everything about ledgers; empty if there is none.
pub(super) fn charts(a: &Analysis) -> Markup {
    let all: Vec<_> = a.workloads.iter().filter_map(|w| Some((w, w.ledger.as_ref()?))).collect();
    let weight = |(_, l): &(&WorkloadResult, &LedgerResult)| (!l.strip.is_empty(), count(l.lost));
    let (ledgers, left) = foremost(all.clone(), MOST_STRIPS, weight);
    let mut out: Markup = ledgers.iter().filter(|(_, l)| !l.strip.is_empty()).map(|(w, l)| strip(a, w, l)).collect();
    if !out.is_empty() {
        out.push(legend(&[
            ("kept", "kept"),
            ("lost", "lost: acknowledged, and gone"),
            ("unknown", "unknown: no answer came"),
            ("refused", "refused, not stored"),
            ("odd", "odd: duplicated, corrupted or resurrected"),
        ]));
    }
    out.push(left_out(left, "ledger"));
    out.extend(ledgers.iter().filter(|(_, l)| l.ages.iter().any(|(_, n)| *n > 0)).map(|(w, l)| ages(a, w, l)));
    out.extend(totals(a));
    let why = |(w, l): (&WorkloadResult, &LedgerResult)| Some(format!("{}: {}", w.name, l.why.as_ref()?));
    let notes = all.into_iter().filter_map(why).take(MOST_STRIPS);
    out.extend(notes.map(|note| el("p").class("note").child(prose(&words::shortened(&note, 600)))));
    out
}

fn count(n: Option<u64>) -> i64 {
    i64::try_from(n.unwrap_or(u64::MAX)).unwrap_or(i64::MAX)
}

/// Every class of write; of many ledgers in parts, since each is a column.
fn totals(a: &Analysis) -> Vec<Markup> {
    const MOST: usize = 24;
    let all = tables::ledger(a, Classes::All);
    let left = all.head.len().saturating_sub(MOST + 2);
    let shown = all.columns(MOST);
    let mut out: Vec<Markup> = shown.parts(|part| part.head.len() <= 6).iter().map(parts::only).collect();
    out.push(left_out(left, "ledger"));
    out
}

fn strip(a: &Analysis, w: &WorkloadResult, l: &LedgerResult) -> El {
    let description = format!(
        "Writes of {} around the fault, in the order in which they were due, by what became of them; times are relative \
         to the fault. Long stretches of one kind are shortened.",
        words::clean(&words::shortened(w.name.as_str(), 80))
    );
    let id = format!("ledger-{}", place_of(a, w));
    let fault = a.faults.iter().filter_map(|f| f.at).map(|at| at.best).min();
    let data = parts::table(&lost_runs(&l.lost_runs, fault));
    let chart = Chart { id: &id, name: "Writes around the fault", description: &description, data };
    chart.figure(|paper| strip_on(l, fault, paper))
}

fn strip_on(l: &LedgerResult, fault: Option<i64>, paper: Paper) -> Drawing {
    let runs = layout(&l.strip, paper);
    let top = ROW + 8.0;
    let mut inner: Markup = drawn(&columns(&runs), top).into_iter().collect();
    if let Some(fault) = fault {
        let after = |r: &Run| if r.from >= fault { r.left } else { r.right };
        let x = runs.iter().find(|r| r.to >= fault).map_or(paper.right(), after);
        inner.push(vertical("mark", x, 4.0, top + STRIP + 4.0));
        let placed = place(&[(x, "fault".to_owned())], Side::Above, paper);
        inner.extend(placed.iter().map(|p| p.text("mark-label", ROW - 1.0)));
    }
    let labels = labels(&runs, l, fault.unwrap_or(0));
    let placed = place(&labels, Side::Below, paper);
    let rows = placed.iter().map(|p| p.row + 1).max().unwrap_or(0);
    let base = |p: &Placed| top + STRIP + (p.row as f64 + 1.0) * ROW + 4.0;
    inner.extend(placed.iter().map(|p| vertical("leader", p.x, top + STRIP, base(p))));
    inner.extend(placed.iter().map(|p| p.text("strip-label", base(p))));
    (inner, top + STRIP + (rows as f64 + 1.0) * ROW + 4.0)
}

/// Names would have to be made fit for an id; places are.
fn place_of(a: &Analysis, w: &WorkloadResult) -> usize {
    a.workloads.iter().position(|other| other.name == w.name).unwrap_or(0)
}

/// Gives every run its place on paper.
fn layout(writes: &[(i64, Class)], paper: Paper) -> Vec<Run> {
    let mut runs: Vec<Run> = writes
        .chunk_by(|a, b| a.1 == b.1)
        .filter_map(|c| {
            let (first, last) = (c.first()?, c.last()?);
            Some(Run { class: first.1, from: first.0, to: last.0, writes: c.len(), left: 0.0, right: 0.0 })
        })
        .collect();
    let few = runs.len() <= FEW_RUNS;
    let weight = |r: &Run| if few { r.writes.clamp(3, LONG_RUN) } else { r.writes } as f64;
    let total: f64 = runs.iter().map(weight).sum();
    let mut x = paper.left();
    for r in &mut runs {
        r.left = x;
        x += weight(r) / total * paper.plot();
        r.right = x;
    }
    runs
}

/// What is closer than can be seen is drawn as one, as the gravest of it.
fn columns(runs: &[Run]) -> Vec<Run> {
    const WIDE: f64 = 2.0;
    if runs.len() <= FEW_RUNS {
        return runs.to_vec();
    }
    let mut out: Vec<Run> = Vec::new();
    for r in runs {
        match out.last_mut() {
            Some(last) if last.class == r.class || r.left - last.left < WIDE => {
                last.class = last.class.max(r.class);
                last.right = r.right;
            }
            _ => out.push(Run { writes: 0, ..*r }),
        }
    }
    out
}

fn class_of(class: Class) -> &'static str {
    match class {
        Class::Kept => "kept",
        Class::Failed => "refused",
        Class::Unknown => "unknown",
        Class::Odd => "odd",
        Class::Lost => "lost",
    }
}

/// Class by class, the gravest over the others. What must not be overlooked is drawn taller, and never thinner than two
/// units.
fn drawn(runs: &[Run], top: f64) -> Vec<El> {
    let classes = [Class::Kept, Class::Failed, Class::Unknown, Class::Odd, Class::Lost];
    let mut out: Vec<El> = classes
        .into_iter()
        .filter_map(|class| {
            let grave = matches!(class, Class::Lost | Class::Odd);
            let (from, to, least) = if grave { (top, top + STRIP, 2.0) } else { (top + 5.0, top + STRIP - 5.0, 0.4) };
            let of_class = runs.iter().filter(|r| r.class == class);
            let path: String = of_class.map(|r| block(r.left, r.right.max(r.left + least), from, to)).collect();
            (!path.is_empty()).then(|| el("path").class(class_of(class)).attr("d", &path))
        })
        .collect();
    for r in runs.iter().filter(|r| r.writes > LONG_RUN && r.right - r.left > 16.0) {
        let x = (r.left + r.right) / 2.0;
        let cut = format!("M{:.1} {:.1}l4 -{STRIP:.1}h5l-4 {STRIP:.1}z", x - 4.0, top + STRIP);
        out.push(el("path").class("cut").attr("d", &cut));
    }
    out
}

/// One label for each region of lost, odd or unknown writes, and one for the outage; neighbours of a kind share it.
fn labels(runs: &[Run], l: &LedgerResult, fault: i64) -> Vec<(f64, String)> {
    const NEAR: f64 = 40.0;
    let mut regions: Vec<Run> = Vec::new();
    for r in runs.iter().filter(|r| r.class != Class::Kept) {
        match regions.iter_mut().rev().find(|p| p.class == r.class) {
            Some(last) if r.left - last.right < NEAR => {
                last.right = r.right;
                last.to = r.to;
                last.writes += r.writes;
            }
            _ => regions.push(*r),
        }
    }
    let of = |class| regions.iter().filter(move |r| r.class == class).count();
    let lonely = of(Class::Lost) == 1;
    regions
        .iter()
        .map(|r| {
            let span = if r.from == r.to {
                moment(r.from - fault)
            } else {
                format!("{} to {}", moment(r.from - fault), moment(r.to - fault))
            };
            let word = match (r.class, l.lost) {
                (Class::Lost, Some(lost)) if lonely => format!("{} lost", words::count(lost)),
                (Class::Lost, _) => "lost".to_owned(),
                (Class::Odd, _) => "odd".to_owned(),
                (Class::Unknown, _) => "unknown".to_owned(),
                (Class::Failed | Class::Kept, _) => "refused".to_owned(),
            };
            (r.left, format!("{word}, {span}"))
        })
        .take(12)
        .collect()
}

fn moment(nanos: i64) -> String {
    if nanos > 0 { format!("+{}", words::duration(nanos)) } else { words::duration(nanos) }
}

fn lost_runs(runs: &[LostRun], fault: Option<i64>) -> Table {
    let relative = |at: i64| moment(at - fault.unwrap_or(0));
    let rows = runs.iter().map(|r| {
        vec![
            r.writer.to_string().into(),
            format!("{}–{}", words::count(r.from), words::count(r.to)).into(),
            words::count(r.to - r.from + 1).into(),
            relative(r.acked_first).into(),
            relative(r.acked_last).into(),
        ]
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns =
        [("writer", l), ("lost writes", r), ("count", r), ("first acknowledged", r), ("last acknowledged", r)];
    Table::new("Lost writes", &columns, rows.collect())
}

/// How old the lost writes were; drawn because with holes the time alone misleads.
fn ages(a: &Analysis, w: &WorkloadResult, l: &LedgerResult) -> El {
    let rows = l.ages.iter().map(|(up_to, n)| vec![words::duration(*up_to).into(), words::count(*n).into()]);
    let columns = [("not older than", Align::Right), ("lost writes", Align::Right)];
    let table = Table::new("Ages of lost writes", &columns, rows.collect());
    let holes = l.holes.filter(|n| *n > 0).map_or_else(String::new, |n| {
        format!(
            " {} that are younger than the oldest lost one were kept: what is left is not a prefix.",
            words::plural(n, "write")
        )
    });
    let name = words::clean(&words::shortened(w.name.as_str(), 80));
    let description = format!("How old the lost writes of {name} were when the fault hit.{holes}");
    let id = format!("ages-{}", place_of(a, w));
    let chart = Chart { id: &id, name: "Ages of lost writes", description: &description, data: parts::table(&table) };
    chart.figure(|paper| ages_on(l, paper))
}

fn ages_on(l: &LedgerResult, paper: Paper) -> Drawing {
    const HEIGHT: f64 = 90.0;
    let highest = l.ages.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1) as f64;
    let pitch = (paper.plot() / l.ages.len().max(1) as f64).min(90.0);
    let base = ROW + HEIGHT;
    let mut inner = Markup::default();
    for (i, (up_to, n)) in l.ages.iter().enumerate() {
        let (x, tall) = (paper.left() + i as f64 * pitch, *n as f64 / highest * HEIGHT);
        let (y, middle) = (base - tall, x + pitch / 2.0);
        inner.push(el("rect").class("lost").at(x + 2.0, y).num("width", (pitch - 4.0).max(1.0)).num("height", tall));
        if pitch > 44.0 {
            inner.push(el("text").class("tick mid").at(middle, y - 4.0).text(&words::count(*n)));
            let label = format!("≤ {}", words::duration(*up_to));
            inner.push(el("text").class("tick mid").at(middle, ROW + base).text(&label));
        }
    }
    let line = el("line").class("frame").num("x1", paper.left()).num("x2", paper.right());
    inner.push(line.num("y1", base).num("y2", base));
    (inner, HEIGHT + 3.0 * ROW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_lost_write_among_thousands_stays_visible() {
        let mut writes: Vec<(i64, Class)> =
            (0..2_000).map(|i| (i, if i % 2 == 0 { Class::Kept } else { Class::Unknown })).collect();
        writes[1_000].1 = Class::Lost;
        let paper = Paper::Wide;
        let runs = layout(&writes, paper);
        let lost = runs.iter().find(|r| r.class == Class::Lost).unwrap();
        let columns = columns(&runs);
        assert!(columns.len() < 500 && columns.iter().filter(|r| r.class == Class::Lost).count() == 1);
        let column = columns.iter().find(|r| r.class == Class::Lost).unwrap();
        assert!(column.left <= lost.left && column.right >= lost.right);
        assert!(Markup::from_iter(drawn(&columns, 0.0)).into_string().contains("class=\"lost\""));
        assert!((runs.last().unwrap().right - paper.right()).abs() < 1e-6);
        let l = LedgerResult { lost: Some(1), ..LedgerResult::default() };
        assert!(labels(&runs, &l, 0).iter().any(|(_, text)| text.starts_with("1 lost, +")));
    }
}
