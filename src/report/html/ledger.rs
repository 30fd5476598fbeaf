//! The write ledger: a strip of writes around the outage, its totals, and the ages of what was lost.

use super::axis::{LEFT, Placed, RIGHT, ROW, Side, WIDTH, figure, place, vertical};
use super::markup::{El, Markup, el, prose};
use super::page::{data, only};
use super::series::legend;
use crate::analysis::{Analysis, Class, LedgerResult, LostRun, WorkloadResult};
use crate::report::tables::{self, Align, Classes, Table};
use crate::report::words;

const STRIP: f64 = 34.0;
/// Few runs are drawn with their long ones shortened; many are drawn to scale.
const FEW_RUNS: usize = 60;
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
    let ledgers = || a.workloads.iter().filter_map(|w| Some((w, w.ledger.as_ref()?)));
    let mut out: Markup = ledgers().filter(|(_, l)| !l.strip.is_empty()).map(|(w, l)| strip(a, w, l)).collect();
    if !out.is_empty() {
        out.push(legend(&[
            ("kept", "kept"),
            ("lost", "lost: acknowledged, and gone"),
            ("unknown", "unknown: no answer came"),
            ("refused", "refused, not stored"),
            ("odd", "odd: duplicated, corrupted or resurrected"),
        ]));
    }
    out.extend(ledgers().filter(|(_, l)| l.ages.iter().any(|(_, n)| *n > 0)).map(|(w, l)| ages(a, w, l)));
    out.push(only(&tables::ledger(a, Classes::All)));
    out.extend(
        ledgers()
            .filter_map(|(w, l)| Some((w, l.why.as_ref()?)))
            .map(|(w, why)| el("p").class("note").child(prose(&format!("{}: {why}", w.name)))),
    );
    out
}

fn strip(a: &Analysis, w: &WorkloadResult, l: &LedgerResult) -> El {
    let runs = layout(&l.strip);
    let fault = a.faults.iter().filter_map(|f| f.at).map(|at| at.best).min();
    let top = ROW + 8.0;
    let mut inner: Markup = runs.iter().flat_map(|r| drawn(r, top)).collect();
    if let Some(fault) = fault {
        let x = runs.iter().find(|r| r.to >= fault).map_or(RIGHT, |r| if r.from >= fault { r.left } else { r.right });
        inner.push(vertical("mark", x, 4.0, top + STRIP + 4.0));
        inner.extend(place(&[(x, "fault".to_owned())], Side::Above).iter().map(|p| p.text("mark-label", ROW - 1.0)));
    }
    let labels = labels(&runs, l, fault.unwrap_or(0));
    let placed = place(&labels, Side::Below);
    let rows = placed.iter().map(|p| p.row + 1).max().unwrap_or(0);
    let base = |p: &Placed| top + STRIP + (p.row as f64 + 1.0) * ROW + 4.0;
    inner.extend(placed.iter().map(|p| vertical("leader", p.x, top + STRIP, base(p))));
    inner.extend(placed.iter().map(|p| p.text("strip-label", base(p))));
    let description = format!(
        "Writes of {} around the fault, in the order in which they were due, by what became of them; times are relative \
         to the fault. Long stretches of one kind are shortened.",
        words::clean(w.name.as_str())
    );
    let height = top + STRIP + (rows as f64 + 1.0) * ROW + 4.0;
    figure(
        &format!("ledger-{}", place_of(a, w)),
        "Writes around the fault",
        &description,
        height,
        inner,
        data(&lost_runs(&l.lost_runs, fault)),
    )
}

/// Names would have to be made fit for an id; places are.
fn place_of(a: &Analysis, w: &WorkloadResult) -> usize {
    a.workloads.iter().position(|other| other.name == w.name).unwrap_or(0)
}

/// Gives every run its place on paper.
fn layout(writes: &[(i64, Class)]) -> Vec<Run> {
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
    let mut x = LEFT;
    for r in &mut runs {
        r.left = x;
        x += weight(r) / total * (RIGHT - LEFT);
        r.right = x;
    }
    runs
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

/// What must not be overlooked is drawn taller, and never thinner than two units.
fn drawn(r: &Run, top: f64) -> Vec<El> {
    let grave = matches!(r.class, Class::Lost | Class::Odd);
    let (y, height) = if grave { (top, STRIP) } else { (top + 5.0, STRIP - 10.0) };
    let wide = (r.right - r.left).max(if grave { 2.0 } else { 0.4 });
    let mut out = vec![el("rect").class(class_of(r.class)).at(r.left, y).num("width", wide).num("height", height)];
    if r.writes > LONG_RUN && wide > 16.0 {
        let x = (r.left + r.right) / 2.0;
        let cut = format!("M{:.1} {:.1}l4 -{height:.1}h5l-4 {height:.1}z", x - 4.0, y + height);
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
    const MOST: usize = 100;
    let relative = |at: i64| moment(at - fault.unwrap_or(0));
    let rows = runs.iter().take(MOST).map(|r| {
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
    const HEIGHT: f64 = 90.0;
    let highest = l.ages.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1) as f64;
    let pitch = ((RIGHT - LEFT) / l.ages.len() as f64).min(90.0);
    let mut inner = Markup::default();
    for (i, (up_to, n)) in l.ages.iter().enumerate() {
        let (x, tall) = (LEFT + i as f64 * pitch, *n as f64 / highest * HEIGHT);
        let (y, middle) = (ROW + HEIGHT - tall, x + pitch / 2.0);
        inner.push(el("rect").class("lost").at(x + 2.0, y).num("width", pitch - 4.0).num("height", tall));
        if pitch > 34.0 {
            inner.push(el("text").class("tick mid").at(middle, y - 4.0).text(&words::count(*n)));
            let label = format!("≤ {}", words::duration(*up_to));
            inner.push(el("text").class("tick mid").at(middle, 2.0 * ROW + HEIGHT).text(&label));
        }
    }
    inner.push(
        el("line").class("frame").num("x1", LEFT).num("x2", WIDTH).num("y1", ROW + HEIGHT).num("y2", ROW + HEIGHT),
    );
    let rows = l.ages.iter().map(|(up_to, n)| vec![words::duration(*up_to).into(), words::count(*n).into()]);
    let table = Table::new("Ages", &[("not older than", Align::Right), ("lost writes", Align::Right)], rows.collect());
    let holes = l.holes.filter(|n| *n > 0).map_or_else(String::new, |n| {
        format!(
            " {} that are younger than the oldest lost one were kept: what is left is not a prefix.",
            words::plural(n, "write")
        )
    });
    let description =
        format!("How old the lost writes of {} were when the fault hit.{holes}", words::clean(w.name.as_str()));
    figure(
        &format!("ages-{}", place_of(a, w)),
        "Ages of lost writes",
        &description,
        HEIGHT + 3.0 * ROW,
        inner,
        data(&table),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_lost_write_among_thousands_stays_visible() {
        let mut writes: Vec<(i64, Class)> =
            (0..2_000).map(|i| (i, if i % 2 == 0 { Class::Kept } else { Class::Unknown })).collect();
        writes[1_000].1 = Class::Lost;
        let runs = layout(&writes);
        let lost = runs.iter().find(|r| r.class == Class::Lost).unwrap();
        assert!(Markup::from_iter(drawn(lost, 0.0)).into_string().contains("width=\"2\""));
        assert!((runs.last().unwrap().right - RIGHT).abs() < 1e-6);
        let l = LedgerResult { lost: Some(1), ..LedgerResult::default() };
        assert!(labels(&runs, &l, 0).iter().any(|(_, text)| text.starts_with("1 lost, +")));
    }
}
