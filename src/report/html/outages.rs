//! All outages side by side: every workload a lane on one time axis around the fault, so that clients can be compared.

use super::axis::{LEFT, RIGHT, ROW, TimeAxis, figure, label, rows_height, vertical, width_of};
use super::markup::{El, Markup, el};
use super::page::data;
use super::series::{hatch, legend, needle};
use crate::analysis::{Analysis, Outage, WorkloadResult};
use crate::report::{tables, words};

const LANE: f64 = 20.0;
const PITCH: f64 = LANE + ROW + 12.0;
const SECOND: i64 = 1_000_000_000;

/// The chart; none if there is no workload.
pub(super) fn chart(a: &Analysis) -> Option<El> {
    if a.workloads.is_empty() {
        return None;
    }
    let axis = window(a);
    let marks = marks(a);
    let top = rows_height(axis, &marks) + 6.0;
    let bottom = top + a.workloads.len() as f64 * PITCH;
    let mut inner = axis.grid(top, bottom, if fault(a).is_some() { "since the fault" } else { "since the start" });
    let places = || a.workloads.iter().enumerate().map(|(i, w)| (w, top + i as f64 * PITCH + ROW + 2.0));
    inner.extend(places().map(|(w, y)| lane(a, w, axis, y)));
    inner.extend(places().map(|(w, y)| axis.stalls(a.stalls.iter().filter(|s| s.concerns(&w.name)), y, y + LANE)));
    let drawn = axis.marks(&marks, top, top);
    inner.push(drawn.lines);
    // The lines cross the lanes only, so that they leave the names above each lane alone.
    let inside = || marks.iter().map(|(at, _)| *at).filter(|at| axis.holds(*at));
    inner.extend(
        places().flat_map(|(_, y)| inside().map(move |at| vertical("mark", axis.x(at), y - 2.0, y + LANE + 2.0))),
    );
    inner.extend(places().map(|(w, y)| names(a, w, y - 4.0)));
    inner.push(drawn.labels);
    let description = "When clients could not work, workload by workload. A diamond is the moment from which service was \
                       sustained; thin lines at the ends of a bar are its error.";
    let table = tables::outages(a);
    Some(figure("outages", "Outages side by side", description, bottom + ROW + 8.0, inner, data(&table)).child(legend(
        &[
            ("failed", "no service"),
            ("recovering", "service, not yet sustained"),
            ("lane", "served"),
            ("unmeasured", "not measured"),
        ],
    )))
}

fn fault(a: &Analysis) -> Option<i64> {
    a.faults.iter().filter_map(|f| f.at).map(|at| at.best).min()
}

fn restored(w: &WorkloadResult) -> Option<i64> {
    w.outages.iter().filter_map(|o| o.to).map(|to| to.best).max()
}

/// When service was sustained, for each fault.
fn sustained(a: &Analysis, w: &WorkloadResult) -> impl Iterator<Item = i64> {
    w.recoveries.iter().filter(|r| !r.unnoticed).filter_map(|r| {
        let at = a.faults.iter().find(|f| f.id == r.fault)?.at?;
        Some(at.best.saturating_add(r.sustained?.best))
    })
}

/// From shortly before the first fault or outage to shortly after the last recovery.
fn window(a: &Analysis) -> TimeAxis {
    let outages = || a.workloads.iter().flat_map(|w| &w.outages);
    let starts = outages().map(|o| o.from.best).chain(fault(a));
    let open = outages().any(|o| o.to.is_none()).then_some(a.length);
    let ends = a.workloads.iter().flat_map(|w| sustained(a, w).chain(restored(w))).chain(open);
    let from = starts.min().unwrap_or(0);
    let to = ends.max().unwrap_or(from + 10 * SECOND).max(from + SECOND);
    let pad = (to - from) / 12;
    TimeAxis::new((from - pad).max(0), (to + pad).min(a.length.max(from + SECOND)), fault(a).unwrap_or(0))
}

fn marks(a: &Analysis) -> Vec<(i64, String)> {
    let of_workload = |of: &str| a.workloads.iter().any(|w| w.name.as_str() == of);
    a.timeline.iter().filter(|m| !of_workload(&m.of)).map(|m| (m.at.best, label(m))).collect()
}

fn lane(a: &Analysis, w: &WorkloadResult, axis: TimeAxis, top: f64) -> Markup {
    let boxed = |class: &str, from: f64, to: f64| {
        el("rect").class(class).at(from, top).num("width", (to - from).max(1.5)).num("height", LANE)
    };
    let mut out = Markup::from(boxed("unmeasured", LEFT, RIGHT).child(el("title").text("not measured")));
    let Some((first, last)) = w.measured else {
        out.push(hatch(LEFT, RIGHT, top, LANE));
        return out;
    };
    out.push(hatch(LEFT, axis.x(first), top, LANE));
    out.push(hatch(axis.x(last), RIGHT, top, LANE));
    out.push(boxed("lane", axis.x(first), axis.x(last)));
    if let (Some(from), Some(to)) = (restored(w), sustained(a, w).max())
        && to > from
    {
        out.push(boxed("recovering", axis.x(from), axis.x(to)));
    }
    for o in &w.outages {
        out.push(outage(last, o, axis, top, &boxed));
    }
    for at in sustained(a, w).filter(|at| axis.holds(*at)) {
        let (x, middle) = (axis.x(at), top + LANE / 2.0);
        let d = format!("M{:.1} {middle}l6 -7l6 7l-6 7z", x - 6.0);
        out.push(el("path").class("diamond").attr("d", &d));
    }
    out
}

/// Who it is, left, and how it went, right.
fn names(a: &Analysis, w: &WorkloadResult, y: f64) -> Markup {
    let seal = a.run.workloads.iter().find(|s| s.name == w.name);
    let client = seal.map_or_else(|| w.kind.clone(), |s| format!("{}, {} client", w.kind, words::client(&s.client)));
    let name = words::shortened(w.name.as_str(), 40);
    let beside = LEFT + width_of(&name) + 16.0;
    Markup::from_iter([
        el("text").class("panel").at(LEFT, y).text(&name),
        el("text").class("faint").at(beside, y).text(&client),
        el("text").class("panel end").at(RIGHT, y).text(&summary(w)),
    ])
}

fn outage(last: i64, o: &Outage, axis: TimeAxis, top: f64, boxed: &impl Fn(&str, f64, f64) -> El) -> Markup {
    // One that did not end is known as far as somebody looked.
    let end = o.to.map_or(last, |to| to.best);
    let whole = o.perceived.map_or_else(|| "not ended".to_owned(), words::interval);
    let class = if o.doubtful { "failed doubtful" } else { "failed" };
    let bar = boxed(class, axis.x(o.from.best), axis.x(end)).child(el("title").text(&whole));
    let mut out = Markup::from(bar);
    for at in [Some(o.from), o.to].into_iter().flatten() {
        let (low, high) = (axis.x(at.low), axis.x(at.high));
        if high - low > 1.0 {
            let middle = top + LANE / 2.0;
            out.push(el("line").class("whisker").num("x1", low).num("x2", high).num("y1", middle).num("y2", middle));
            out.push(needle(low, middle - 4.0, middle + 4.0));
            out.push(needle(high, middle - 4.0, middle + 4.0));
        }
    }
    out
}

fn summary(w: &WorkloadResult) -> String {
    let first = w.recoveries.first();
    let down = match (w.outages.len(), w.longest) {
        (0, _) => "no outage".to_owned(),
        (1, Some(longest)) => format!("down for {}", words::about(longest)),
        (1, None) => "down to the end of the record".to_owned(),
        (n, _) => format!("{n} outages, {} in all", words::about(w.downtime)),
    };
    let back = first.and_then(|r| r.sustained).filter(|_| !w.outages.is_empty());
    back.map_or(down.clone(), |i| format!("{down}; sustained after {}", words::about(i)))
}
