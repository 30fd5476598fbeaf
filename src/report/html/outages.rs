//! All outages side by side: every workload a lane on one time axis around the fault, so that clients can be compared.

use super::axis::{TimeAxis, block, marks_of, rows_height};
use super::groups::{self, Group};
use super::markup::{El, Markup, el, number};
use super::paper::{Chart, Drawing, Paper, ROW, fit, left_out, width_of};
use super::parts;
use super::series::{hatch, legend, needle};
use crate::analysis::{Analysis, Outage, WorkloadResult};
use crate::report::{tables, words};

const LANE: f64 = 18.0;
const SECOND: i64 = 1_000_000_000;
/// A chart with more lanes would not fit a page of paper.
const MOST_LANES: usize = 12;
/// Error bars of more outages than these would cover them.
const MOST_WHISKERS: usize = 12;

/// The chart; none if there is no workload.
pub(super) fn chart(a: &Analysis) -> Option<El> {
    if a.workloads.is_empty() {
        return None;
    }
    let (lanes, left) = lanes(a);
    let description = "When clients could not work, workload by workload, counted from the fault. A diamond is the moment from \
                       which service was sustained; thin lines at the ends of a bar are its error.";
    let data = parts::table(&tables::outages(a));
    let chart = Chart { id: "outages", name: "Outages side by side", description, data };
    let figure = chart.figure(|paper| drawing(a, &lanes, paper));
    let kinds = [
        ("failed", "no service"),
        ("recovering", "service, not yet sustained"),
        ("lane", "served"),
        ("unmeasured", "not measured"),
    ];
    Some(figure.child(legend(&kinds)).child(left_out(left, "workload")))
}

/// A lane with its label; the first of a workload with several places also says of which.
struct Lane<'a> {
    w: &'a WorkloadResult,
    heading: Option<String>,
    name: String,
}

fn lanes(a: &Analysis) -> (Vec<Lane<'_>>, usize) {
    let all = groups::all(a).into_iter().flat_map(members).collect();
    let (kept, left) = groups::foremost(all, MOST_LANES, |(w, _)| groups::weight(a, w));
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    let mut last: Option<String> = None;
    for (w, title) in kept {
        let place = groups::place(a, w).filter(|_| title.is_some());
        let heading = title.clone().filter(|_| title != last);
        lanes.push(Lane { w, heading, name: place.unwrap_or(w.name.as_str()).to_owned() });
        last = title;
    }
    (lanes, left)
}

/// Each place, with what to say above all of them if there are several.
fn members(group: Group<'_>) -> Vec<(&WorkloadResult, Option<String>)> {
    let title = (group.members.len() > 1).then(|| group.title());
    group.members.iter().map(|w| (*w, title.clone())).collect()
}

impl Lane<'_> {
    /// Room above the bar: a heading, the name, and on narrow paper how it went on lines of their own.
    fn above(&self, paper: Paper) -> f64 {
        let said = if paper == Paper::Wide { 0 } else { summary(self.w).len() };
        (1 + usize::from(self.heading.is_some()) + said) as f64 * ROW + 2.0
    }
}

fn drawing(a: &Analysis, lanes: &[Lane<'_>], paper: Paper) -> Drawing {
    let axis = window(a, paper);
    let marks = marks(a);
    let top = rows_height(axis, &marks) + 6.0;
    let mut next = top;
    let places: Vec<(&Lane<'_>, f64)> = lanes
        .iter()
        .map(|lane| {
            let y = next + lane.above(paper);
            next = y + LANE + 12.0;
            (lane, y)
        })
        .collect();
    let bottom = next;
    let mut inner = axis.grid(top, bottom, if fault(a).is_some() { "since the fault" } else { "since the start" });
    inner.extend(places.iter().map(|(lane, y)| bar(a, lane.w, axis, *y, paper)));
    let blind = |w: &WorkloadResult, y: f64| axis.stalls(a.stalls.iter().filter(|s| s.concerns(&w.name)), y, y + LANE);
    inner.extend(places.iter().map(|(lane, y)| blind(lane.w, *y)));
    let drawn = axis.marks(&marks, top, top);
    inner.push(drawn.lines);
    // The lines cross the lanes only, so that they leave the names above each lane alone.
    let inside = || marks.iter().map(|(at, _)| *at).filter(|at| axis.holds(*at));
    let line = |at: i64, y: f64| format!("M{} {}v{}", number(axis.x(at)), number(y - 2.0), LANE + 4.0);
    let crossing = |y: f64| el("path").class("mark").attr("d", &inside().map(|at| line(at, y)).collect::<String>());
    inner.extend(places.iter().map(|(_, y)| crossing(*y)));
    inner.extend(places.iter().map(|(lane, y)| names(a, lane, *y - 4.0, paper)));
    inner.push(drawn.labels);
    (inner, bottom + ROW + 8.0)
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
fn window(a: &Analysis, paper: Paper) -> TimeAxis {
    let outages = || a.workloads.iter().flat_map(|w| &w.outages);
    let starts = outages().map(|o| o.from.best).chain(fault(a));
    let open = outages().any(|o| o.to.is_none()).then_some(a.length);
    let ends = a.workloads.iter().flat_map(|w| sustained(a, w).chain(restored(w))).chain(open);
    let from = starts.min().unwrap_or(0);
    let to = ends.max().unwrap_or(from + 10 * SECOND).max(from + SECOND);
    let pad = (to - from) / 12;
    TimeAxis::new((from - pad).max(0), (to + pad).min(a.length.max(from + SECOND)), fault(a).unwrap_or(0), paper)
}

fn marks(a: &Analysis) -> Vec<(i64, String)> {
    let of_workload = |of: &str| a.workloads.iter().any(|w| w.name.as_str() == of);
    marks_of(a.timeline.iter().filter(|m| !of_workload(&m.of)))
}

fn bar(a: &Analysis, w: &WorkloadResult, axis: TimeAxis, top: f64, paper: Paper) -> Markup {
    let (left, right) = (paper.left(), paper.right());
    let boxed = |class: &str, from: f64, to: f64| {
        el("rect").class(class).at(from, top).num("width", (to - from).max(1.5)).num("height", LANE)
    };
    let mut out = Markup::from(boxed("unmeasured", left, right).child(el("title").text("not measured")));
    let Some((first, last)) = w.measured else {
        out.push(hatch(left, right, top, LANE));
        return out;
    };
    out.push(hatch(left, axis.x(first), top, LANE));
    out.push(hatch(axis.x(last), right, top, LANE));
    out.push(boxed("lane", axis.x(first), axis.x(last)));
    if let (Some(from), Some(to)) = (restored(w), sustained(a, w).max())
        && to > from
    {
        out.push(boxed("recovering", axis.x(from), axis.x(to)));
    }
    if w.outages.len() > MOST_WHISKERS {
        out.push(many(&w.outages, last, axis, top));
    } else {
        out.extend(w.outages.iter().map(|o| outage(last, o, axis, top, &boxed)));
    }
    for at in sustained(a, w).filter(|at| axis.holds(*at)) {
        let (x, middle) = (axis.x(at), top + LANE / 2.0);
        let d = format!("M{:.1} {middle}l6 -7l6 7l-6 7z", x - 6.0);
        out.push(el("path").class("diamond").attr("d", &d));
    }
    out
}

/// Outages that cannot all be told apart: those that touch on paper are one.
fn many(outages: &[Outage], last: i64, axis: TimeAxis, top: f64) -> El {
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for o in outages {
        let (from, to) = (axis.x(o.from.best), axis.x(o.to.map_or(last, |to| to.best)));
        match spans.last_mut() {
            Some(before) if from <= before.1 + 0.5 => before.1 = before.1.max(to),
            _ => spans.push((from, to.max(from + 0.6))),
        }
    }
    let path: String = spans.iter().map(|(from, to)| block(*from, *to, top, top + LANE)).collect();
    el("path").class("failed").attr("d", &path).child(el("title").text(&words::plural(outages.len() as u64, "outage")))
}

/// Who it is, left, and how it went, right; below it on narrow paper. What the client is gives way first.
fn names(a: &Analysis, lane: &Lane<'_>, y: f64, paper: Paper) -> Markup {
    let (left, right, said) = (paper.left(), paper.right(), summary(lane.w));
    let below = if paper == Paper::Wide { Vec::new() } else { said.clone() };
    let beside = if paper == Paper::Wide { said.join("; ") } else { String::new() };
    let taken = if beside.is_empty() { 0.0 } else { width_of(&beside) + 16.0 };
    let base = y - below.len() as f64 * ROW;
    let name = fit(&lane.name, (paper.plot() - taken).max(60.0));
    let client = groups::seal(a, lane.w)
        .map_or_else(|| lane.w.kind.clone(), |seal| format!("{}, {} client", lane.w.kind, words::client(&seal.client)));
    let after = left + width_of(&name) + 12.0;
    let has_room = after + width_of(&client) + taken <= right;
    let heading = lane.heading.as_ref();
    let heading = heading.map(|it| el("text").class("group").at(left, base - ROW).text(&fit(it, paper.plot())));
    let line = |(i, line): (usize, &String)| {
        el("text").class("panel").at(left, base + (i as f64 + 1.0) * ROW).text(&fit(line, paper.plot()))
    };
    Markup::from_iter([
        Markup::from(heading),
        el("text").class("panel").at(left, base).text(&name).into(),
        has_room.then(|| el("text").class("faint").at(after, base).text(&client)).into(),
        (!beside.is_empty()).then(|| el("text").class("panel end").at(right, y).text(&beside)).into(),
        below.iter().enumerate().map(line).collect(),
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

/// How it went, and when service was sustained if it had gone.
fn summary(w: &WorkloadResult) -> Vec<String> {
    let first = w.recoveries.first();
    let down = match (w.outages.len(), w.longest) {
        (0, _) => "no outage".to_owned(),
        (1, Some(longest)) => format!("down for {}", words::about(longest)),
        (1, None) => "down to the end of the record".to_owned(),
        (n, _) => format!("{n} outages, {} in all", words::about(w.downtime)),
    };
    let back = first.and_then(|r| r.sustained).filter(|_| !w.outages.is_empty());
    let back = back.map(|i| format!("sustained after {}", words::about(i)));
    [Some(down), back].into_iter().flatten().collect()
}
