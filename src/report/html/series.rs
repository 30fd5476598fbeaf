//! Charts over the whole run, one panel for each workload on one time axis: availability, latency, rate.

use super::axis::{self, TimeAxis, block, headline_marks, vertical};
use super::groups::{self, Group};
use super::markup::{El, Markup, el, number};
use super::paper::{Chart, Drawing, Paper, ROW, fit, left_out, width_of};
use super::parts;
use crate::analysis::{Analysis, Bucket, Series, WorkloadResult};
use crate::report::tables::{Align, Table};
use crate::report::words::{self, UNKNOWN};

const GAP: f64 = 12.0;
/// Buckets on paper, of all panels together: the page stays small, and a bucket is still about two units wide.
const MOST_BUCKETS: usize = 1_600;
/// A chart with more panels would not fit a page of paper.
const MOST_PANELS: usize = 8;
/// Places of a workload that have a lane of their own below its panel.
const MOST_PLACES: usize = 4;
const PLACE: f64 = 13.0;

/// A chart with a panel for each workload; one that is seen from several places has one panel for all of them.
struct Panels<'a> {
    a: &'a Analysis,
    axis: TimeAxis,
    paper: Paper,
    height: f64,
    /// Room below a panel for each of its places.
    below: f64,
    groups: &'a [Group<'a>],
    marks: Vec<(i64, String)>,
}

impl<'a> Panels<'a> {
    fn new(a: &'a Analysis, groups: &'a [Group<'a>], paper: Paper, height: f64) -> Self {
        let axis = TimeAxis::whole(a, paper);
        Self { a, axis, paper, height, below: 0.0, groups, marks: headline_marks(a) }
    }

    fn places(self) -> Self {
        Self { below: PLACE, ..self }
    }

    /// The first panel's title begins here; marks and phases have their labels above.
    fn top(&self) -> f64 {
        axis::rows_height(self.axis, &self.marks) + ROW + 4.0
    }

    fn pitch(&self, group: &Group<'_>) -> f64 {
        let places = if group.members.len() > 1 { group.members.len().min(MOST_PLACES) } else { 0 };
        ROW + self.height + GAP + places as f64 * self.below
    }

    fn bottom(&self) -> f64 {
        self.top() + self.groups.iter().map(|group| self.pitch(group)).sum::<f64>() - GAP + 4.0
    }

    /// Panel by panel `draw(workload, its buckets, top of its plot)` and what it says at the right, with bands below and
    /// marks above.
    fn draw(&self, draw: impl Fn(&Group<'_>, &Series, f64) -> (Markup, String)) -> Drawing {
        let (top, bottom) = (self.top(), self.bottom());
        let most = match self.paper {
            Paper::Wide => (MOST_BUCKETS / self.groups.len().max(1)).clamp(100, 420),
            Paper::Narrow => 100,
        };
        let mut out = self.axis.bands(self.a, top, bottom);
        out.push(self.axis.grid(top, bottom, "since the start"));
        let marks = self.axis.marks(&self.marks, top - ROW - 2.0, bottom);
        let (mut names, mut blind) = (Markup::default(), Markup::default());
        let mut next = top;
        for group in self.groups {
            let y = next + ROW;
            next += self.pitch(group);
            let series: Vec<&Series> = group.members.iter().map(|w| &w.series).collect();
            let (drawn, said) = draw(group, &merged(&series, most), y);
            out.push(drawn);
            let own =
                |s: &&crate::analysis::StallResult| group.members.iter().any(|w| s.workload.as_ref() == Some(&w.name));
            blind.push(self.axis.stalls(self.a.stalls.iter().filter(own), y, y + self.height));
            names.push(self.names(group, &said, y));
        }
        blind.push(self.axis.stalls(self.a.stalls.iter().filter(|s| s.workload.is_none()), top, bottom));
        out.extend([blind, marks.lines, names, marks.labels]);
        (out, bottom + ROW + 8.0)
    }

    /// Who it is, left, and a figure, right; the name gives way.
    fn names(&self, group: &Group<'_>, said: &str, y: f64) -> Markup {
        let said = fit(said, self.paper.plot() - 60.0);
        let room = self.paper.plot() - width_of(&said) - 20.0;
        Markup::from_iter([
            el("text").class("panel").at(self.paper.left() + 4.0, y - 4.0).text(&fit(&group.title(), room)),
            el("text").class("panel end").at(self.paper.right() - 4.0, y - 4.0).text(&said),
        ])
    }

    fn frame(&self, y: f64) -> El {
        el("rect").class("frame").at(self.paper.left(), y).num("width", self.paper.plot()).num("height", self.height)
    }

    fn tick(&self, y: f64, label: &str) -> El {
        el("text").class("tick end").at(self.paper.left() - 6.0, y + 4.0).text(label)
    }

    fn across(&self, class: &str, y: f64) -> El {
        el("line").class(class).num("x1", self.paper.left()).num("x2", self.paper.right()).num("y1", y).num("y2", y)
    }

    fn x(&self, series: &Series, i: usize) -> f64 {
        self.axis.x(series.from.saturating_add(series.width.saturating_mul(i as i64)))
    }
}

/// The panels that are shown, and how many workloads are not.
fn shown(a: &Analysis) -> (Vec<Group<'_>>, usize) {
    groups::foremost(groups::all(a), MOST_PANELS, |group| groups::weight_of(a, group))
}

/// Adds a bucket to another: counts add up, shares keep their lowest, latencies their highest, so that an outage or a spike
/// is never averaged away.
fn put(all: &mut Bucket, b: &Bucket) {
    all.due = all.due.saturating_add(b.due);
    all.served = all.served.saturating_add(b.served);
    all.fail = all.fail.saturating_add(b.fail);
    all.unknown = all.unknown.saturating_add(b.unknown);
    all.other = all.other.saturating_add(b.other);
    if b.due > 0 {
        all.worst_share = all.worst_share.min(b.worst_share);
    }
    all.p50 = all.p50.max(b.p50);
    all.p95 = all.p95.max(b.p95);
    all.p99 = all.p99.max(b.p99);
}

const NOTHING: Bucket =
    Bucket { due: 0, served: 0, fail: 0, unknown: 0, other: 0, worst_share: 10_000, p50: 0, p95: 0, p99: 0 };

/// Counts of a point that takes parts of buckets.
type Share = [f64; 5];

fn counts(b: &Bucket) -> Share {
    [b.due, b.served, b.fail, b.unknown, b.other].map(f64::from)
}

/// All series in one of at most `most` equal points. Counts are shared out by the time that a bucket and a point have in
/// common, so that a steady rate stays steady; shares and latencies go whole to where the bucket's middle is.
fn merged(of: &[&Series], most: usize) -> Series {
    let all = || of.iter().filter(|s| !s.buckets.is_empty() && s.width > 0);
    let end = |s: &&Series| s.from.saturating_add(s.width.saturating_mul(s.buckets.len() as i64));
    let (Some(from), Some(widest)) = (all().map(|s| s.from).min(), all().map(|s| s.width).max()) else {
        return Series::default();
    };
    let span = all().map(end).max().unwrap_or(from).saturating_sub(from).max(1);
    let points = usize::try_from(span.div_euclid(widest)).unwrap_or(1).clamp(1, most.max(1));
    let width = (span - 1) / points as i64 + 1;
    let mut buckets = vec![NOTHING; points];
    let mut shared: Vec<Share> = vec![[0.0; 5]; points];
    for series in all() {
        for (i, b) in series.buckets.iter().enumerate() {
            let begins = (series.from - from).saturating_add(series.width.saturating_mul(i as i64));
            let middle = usize::try_from((begins + series.width / 2) / width).unwrap_or(0).min(points - 1);
            put(&mut buckets[middle], b);
            share(&mut shared, counts(b), (begins, begins.saturating_add(series.width)), width);
        }
    }
    for (b, [due, served, fail, unknown, other]) in buckets.iter_mut().zip(shared) {
        let whole = |n: f64| n.round() as u32;
        (b.served, b.fail, b.unknown, b.other) = (whole(served), whole(fail), whole(unknown), whole(other));
        b.due = whole(due).max(u32::from(due > 0.0));
    }
    Series { from, width, buckets }
}

/// Gives each point its part of what lies in `from..to`.
fn share(points: &mut [Share], counts: Share, (from, to): (i64, i64), width: i64) {
    let first = usize::try_from(from / width).unwrap_or(0);
    let last = usize::try_from((to - 1) / width).unwrap_or(0);
    for (i, point) in points.iter_mut().enumerate().take(last + 1).skip(first) {
        let (begins, ends) = (width * i as i64, width * (i as i64 + 1));
        let part = (to.min(ends) - from.max(begins)) as f64 / (to - from).max(1) as f64;
        point.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n * part);
    }
}

/// Runs of equal value, as (first index, end index, value).
fn runs<T: PartialEq + Copy>(values: &[T]) -> Vec<(usize, usize, T)> {
    let mut out: Vec<(usize, usize, T)> = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        match out.last_mut() {
            Some(last) if last.2 == value => last.1 = i + 1,
            _ => out.push((i, i + 1, value)),
        }
    }
    out
}

/// Share of operations that were served; the worst tenth of each bucket, so that nothing is averaged away.
pub(super) fn availability(a: &Analysis) -> El {
    let (groups, left) = shown(a);
    let description = "Share of operations that were answered in time; red is what was not. The worst tenth of every \
                       point counts, and where there are several places the worst of them; below, each on its own.";
    let chart =
        Chart { id: "availability", name: "Availability over time", description, data: parts::table(&by_phase(a)) };
    let figure = chart.figure(|paper| {
        let panels = Panels::new(a, &groups, paper, 56.0).places();
        panels.draw(|group, series, y| (level(&panels, group, series, y), served(group)))
    });
    figure.child(blind(a)).child(left_out(left, "workload"))
}

/// A panel of availability, and a lane for each place below it.
fn level(panels: &Panels<'_>, group: &Group<'_>, series: &Series, y: f64) -> Markup {
    let bottom = y + panels.height;
    let of = |share: u16| bottom - f64::from(share) / 10_000.0 * panels.height;
    let spans: Vec<_> = runs(&shares(series))
        .into_iter()
        .map(|(from, to, share)| (panels.x(series, from), panels.x(series, to), share.map(of)))
        .collect();
    let mut out = Markup::from_iter([
        panels.frame(y),
        el("path").class("down").attr("d", &stairs(&spans, Some(y))),
        el("path").class("line").attr("d", &stairs(&spans, None)),
        panels.tick(y, "100 %"),
        panels.tick(bottom, "0 %"),
    ]);
    if group.members.len() > 1 {
        let weight = |w: &&WorkloadResult| groups::weight(panels.a, w);
        let (worst, _) = groups::foremost(group.members.clone(), MOST_PLACES, weight);
        out.extend(worst.iter().enumerate().map(|(i, w)| place(panels, w, bottom + 3.0 + i as f64 * PLACE)));
    }
    out
}

/// Levels as stairs: (from, to, height), no height where nothing is known. With a base, the area between.
fn stairs(spans: &[(f64, f64, Option<f64>)], base: Option<f64>) -> String {
    let mut path = String::new();
    let mut pen_up = true;
    let close = base.map_or_else(String::new, |base| format!("V{}Z", number(base)));
    for (from, to, height) in spans {
        match height {
            None if pen_up => {}
            None => path.push_str(&close),
            Some(height) if pen_up => {
                path.push_str(&format!(
                    "M{} {}V{}H{}",
                    number(*from),
                    number(base.unwrap_or(*height)),
                    number(*height),
                    number(*to)
                ));
            }
            Some(height) => path.push_str(&format!("V{}H{}", number(*height), number(*to))),
        }
        pen_up = height.is_none();
    }
    if !pen_up {
        path.push_str(&close);
    }
    path
}

fn shares(series: &Series) -> Vec<Option<u16>> {
    series.buckets.iter().map(|b| (b.due > 0).then_some(b.worst_share)).collect()
}

/// A place as a lane that is red where not everything was served.
fn place(panels: &Panels<'_>, w: &WorkloadResult, y: f64) -> Markup {
    let series = merged(&[&w.series], if panels.paper == Paper::Wide { 300 } else { 120 });
    let bottom = y + PLACE - 3.0;
    let (mut up, mut down) = (String::new(), String::new());
    let whole: Vec<Option<bool>> =
        shares(&series).into_iter().map(|share| share.map(|share| share == 10_000)).collect();
    for (from, to, served) in runs(&whole) {
        let path = match served {
            None => continue,
            Some(true) => &mut up,
            Some(false) => &mut down,
        };
        path.push_str(&block(panels.x(&series, from), panels.x(&series, to), y, bottom));
    }
    let name = groups::place(panels.a, w).unwrap_or(w.name.as_str());
    let label = fit(&format!("{name}: {}", words::share(w.operations.ok, w.operations.due)), panels.paper.plot() / 2.0);
    Markup::from_iter([
        el("path").class("up").attr("d", &up),
        el("path").class("down").attr("d", &down),
        el("text").class("place").at(panels.paper.left() + 4.0, bottom - 1.0).text(&label),
    ])
}

fn served(group: &Group<'_>) -> String {
    let worst = group.members.iter().min_by(|a, b| {
        let share = |w: &WorkloadResult| w.operations.ok as f64 / w.operations.due.max(1) as f64;
        share(a).total_cmp(&share(b))
    });
    let share = worst.map_or_else(|| UNKNOWN.to_owned(), |w| words::share(w.operations.ok, w.operations.due));
    if group.members.len() > 1 { format!("{share} at the worst") } else { format!("{share} served in all") }
}

/// p50, p95 and p99 from due, on a logarithmic axis.
pub(super) fn latency(a: &Analysis) -> El {
    let (groups, left) = shown(a);
    let all = || groups.iter().flat_map(|group| &group.members).flat_map(|w| &w.series.buckets);
    let values = || all().flat_map(|b| [b.p50, b.p95, b.p99]).filter(|n| *n > 0);
    let low = values().min().map_or(1e6, |n| n as f64).log10().floor();
    let high = values().max().map_or(1e9, |n| n as f64).log10().ceil().max(low + 1.0);
    let description = "From the moment an operation was due to its answer, answered ones only, on a logarithmic axis; where \
                       there are several places, the highest of them.";
    let chart =
        Chart { id: "latency", name: "Latency over time", description, data: parts::table(&latency_by_phase(a)) };
    let figure = chart.figure(|paper| {
        let panels = Panels::new(a, &groups, paper, 84.0);
        panels.draw(|group, series, y| (percentiles(&panels, group, series, y, (low, high)), overall(group)))
    });
    figure
        .child(legend(&[("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("deadline", "deadline")]))
        .child(left_out(left, "workload"))
}

fn percentiles(panels: &Panels<'_>, group: &Group<'_>, series: &Series, y: f64, (low, high): (f64, f64)) -> Markup {
    let bottom = y + panels.height;
    let of = |nanos: f64| bottom - ((nanos.log10() - low) / (high - low)).clamp(0.0, 1.0) * panels.height;
    let mut out = Markup::from(panels.frame(y));
    let decades = (high - low) as i32;
    for decade in (0..=decades).filter(|d| decades <= 4 || d % 2 == 0) {
        let nanos = 10_f64.powi(low as i32 + decade);
        out.push(panels.across("grid", of(nanos)));
        out.push(panels.tick(of(nanos), &words::duration(nanos as i64)));
    }
    if let Some(seal) = group.members.first().and_then(|w| groups::seal(panels.a, w)) {
        let deadline = seal.service.deadline.as_nanos() as f64;
        if deadline.log10() <= high && deadline.log10() >= low {
            out.push(panels.across("deadline", of(deadline)));
        }
    }
    for (class, value) in [("p50", (|b| b.p50) as fn(&Bucket) -> i64), ("p95", |b| b.p95), ("p99", |b| b.p99)] {
        let path = polyline(series, value, |i| panels.x(series, i), of);
        out.push(el("path").class(class).attr("d", &path));
    }
    out
}

fn overall(group: &Group<'_>) -> String {
    let of = |f: fn(&crate::analysis::Percentiles) -> i64| {
        group.members.iter().filter_map(|w| w.latency.as_ref()).map(f).max()
    };
    match (of(|p| p.p50), of(|p| p.p99)) {
        (Some(p50), Some(p99)) => format!("p50 {}, p99 {}", words::duration(p50), words::duration(p99)),
        _ => "no answer".to_owned(),
    }
}

fn polyline(series: &Series, value: fn(&Bucket) -> i64, x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut pen_up = true;
    let half = (x(1) - x(0)) / 2.0;
    for (i, b) in series.buckets.iter().enumerate() {
        let nanos = value(b);
        if nanos <= 0 {
            pen_up = true;
            continue;
        }
        let command = if pen_up { 'M' } else { 'L' };
        path.push_str(&format!("{command}{} {}", number(x(i) + half), number(y(nanos as f64))));
        // A lone point is a line of no length, which a round cap makes visible.
        if pen_up {
            path.push_str("h0");
        }
        pen_up = false;
    }
    path
}

/// One of the counts of a bucket.
type Column = fn(&Bucket) -> u32;

/// Operations a second by what became of them.
pub(super) fn rate(a: &Analysis) -> El {
    let (groups, left) = shown(a);
    let description = "Operations a second by when they were due, and what became of them; of all places together.";
    let chart = Chart { id: "rate", name: "Rate and errors", description, data: parts::table(&errors_by_phase(a)) };
    let figure = chart.figure(|paper| {
        let panels = Panels::new(a, &groups, paper, 56.0);
        panels.draw(|group, series, y| (outcomes(&panels, series, y), failed(group)))
    });
    let kinds = [("served", "served"), ("other", "late or missed"), ("unknown", "unknown"), ("failed", "failed")];
    figure.child(legend(&kinds)).child(left_out(left, "workload"))
}

fn failed(group: &Group<'_>) -> String {
    let sum = |f: fn(&crate::analysis::OpCounts) -> u64| {
        group.members.iter().map(|w| f(&w.operations)).fold(0, u64::saturating_add)
    };
    match sum(|o| o.due.saturating_sub(o.ok)) {
        0 => "all served".to_owned(),
        n => format!("{} of {} not served", words::count(n), words::count(sum(|o| o.due))),
    }
}

fn per_second(rate: f64) -> String {
    if rate < 10_000.0 { format!("{rate:.0}/s") } else { format!("{:.0}k/s", rate / 1_000.0) }
}

fn outcomes(panels: &Panels<'_>, series: &Series, y: f64) -> Markup {
    let bottom = y + panels.height;
    let seconds = words::seconds(series.width).max(1e-9);
    let highest = series.buckets.iter().map(|b| b.due).max().unwrap_or(0).max(1);
    let of = |count: u64| bottom - (count as f64 / f64::from(highest)).min(1.0) * panels.height;
    let kinds: [(&str, Column); 4] =
        [("served", |b| b.served), ("other", |b| b.other), ("unknown", |b| b.unknown), ("failed", |b| b.fail)];
    let mut out = Markup::from(panels.frame(y));
    // Each kind covers what is below it and leaves what is above it to be seen.
    for (i, (class, value)) in kinds.iter().enumerate().rev() {
        let up_to = |b: &Bucket| kinds[..=i].iter().map(|(_, v)| u64::from(v(b))).sum::<u64>();
        let levels: Vec<u64> = series.buckets.iter().map(up_to).collect();
        let seen = series.buckets.iter().any(|b| value(b) > 0);
        let spans: Vec<_> = runs(&levels)
            .into_iter()
            .map(|(from, to, n)| (panels.x(series, from), panels.x(series, to), (n > 0).then(|| of(n))))
            .collect();
        let path = stairs(&spans, Some(bottom));
        if seen && !path.is_empty() {
            out.push(el("path").class(class).attr("d", &path));
        }
    }
    out.push(panels.tick(y, &per_second(f64::from(highest) / seconds)));
    out.push(panels.tick(bottom, "0"));
    out
}

/// Says what the grey spans are, if there are any.
fn blind(a: &Analysis) -> Markup {
    (!a.stalls.is_empty()).then(|| legend(&[("stall", "the runner itself could not see: neither up nor down")])).into()
}

/// Swatches with their names.
pub(super) fn legend(items: &[(&'static str, &str)]) -> El {
    let each = items.iter().map(|(class, name)| {
        let swatch = el("svg")
            .attr("viewBox", "0 0 12 12")
            .attr("class", "swatch")
            .attr("aria-hidden", "true")
            .child(swatch(class))
            .child(Markup::from((*class == "unmeasured").then(|| hatch(0.0, 12.0, 0.0, 12.0))));
        el("li").child(swatch).text(name)
    });
    el("ul").class("legend").children(each)
}

/// Lines are shown as lines, everything else as a box.
fn swatch(class: &'static str) -> El {
    match class {
        "p50" | "p95" | "p99" | "deadline" | "goal" => return el("path").class(class).attr("d", "M0 6H12"),
        _ if class.starts_with("dot") => return el("circle").class(class).num("cx", 6.0).num("cy", 6.0).num("r", 5.0),
        _ if class.starts_with("cross") => return el("path").class(class).attr("d", "M2 2l8 8m0 -8l-8 8"),
        _ => {}
    }
    el("rect").class(class).at(0.0, 0.0).num("width", 12.0).num("height", 12.0)
}

/// Slanting lines, for where nothing was measured; as plain lines, since a pattern would have to be fetched by its name.
pub(super) fn hatch(from: f64, to: f64, top: f64, height: f64) -> El {
    const APART: f64 = 6.0;
    let lines = ((to - from).max(0.0) / APART) as usize;
    let line = |i: usize| {
        let (left, right) = (from + i as f64 * APART, (from + (i + 1) as f64 * APART).min(to));
        format!("M{} {}L{} {}", number(left), number(top + height), number(right), number(top))
    };
    el("path").class("hatch").attr("d", &(0..lines).map(line).collect::<String>())
}

/// What stands in the middle of each phase, summed up.
fn phase_buckets(a: &Analysis, w: &WorkloadResult) -> Vec<(&'static str, Bucket)> {
    a.phases.iter().filter_map(|p| Some((words::phase(p.phase), inside(w, p)?))).collect()
}

/// What stands in the middle of the first phase of this kind, summed up; none if nothing was due then.
pub(super) fn in_phase(a: &Analysis, w: &WorkloadResult, phase: crate::event::Phase) -> Option<Bucket> {
    inside(w, a.phases.iter().find(|p| p.phase == phase)?)
}

fn inside(w: &WorkloadResult, p: &crate::analysis::PhaseResult) -> Option<Bucket> {
    let middle = |i: usize| w.series.from + w.series.width * i as i64 + w.series.width / 2;
    let mut all = NOTHING;
    let inside = w.series.buckets.iter().enumerate().filter(|(i, _)| (p.from..p.to).contains(&middle(*i)));
    inside.for_each(|(_, b)| put(&mut all, b));
    (all.due > 0).then_some(all)
}

fn by_phase(a: &Analysis) -> Table {
    let rows = a.workloads.iter().flat_map(|w| {
        phase_buckets(a, w).into_iter().map(|(phase, b)| {
            let (served, worst) =
                (words::share(b.served.into(), b.due.into()), words::share(b.worst_share.into(), 10_000));
            vec![w.name.as_str().into(), phase.into(), words::count(b.due.into()).into(), served.into(), worst.into()]
        })
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns = [("workload", l), ("phase", l), ("due", r), ("served", r), ("worst moment", r)];
    Table::new("Availability by phase", &columns, rows.collect())
}

fn latency_by_phase(a: &Analysis) -> Table {
    let latency = |n: i64| if n > 0 { words::duration(n) } else { UNKNOWN.to_owned() };
    let rows = a.workloads.iter().flat_map(|w| {
        phase_buckets(a, w).into_iter().map(|(phase, b)| {
            let each = [b.p50, b.p95, b.p99].map(|n| latency(n).into());
            [w.name.as_str().into(), phase.into()].into_iter().chain(each).collect()
        })
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns = [("workload", l), ("phase", l), ("highest p50", r), ("highest p95", r), ("highest p99", r)];
    Table::new("Latency by phase", &columns, rows.collect())
}

fn errors_by_phase(a: &Analysis) -> Table {
    let rows = a.workloads.iter().flat_map(|w| {
        phase_buckets(a, w).into_iter().map(|(phase, b)| {
            let counts = [b.due, b.served, b.other, b.unknown, b.fail].map(|n| words::count(n.into()).into());
            [w.name.as_str().into(), phase.into()].into_iter().chain(counts).collect()
        })
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns =
        [("workload", l), ("phase", l), ("due", r), ("served", r), ("late, missed", r), ("unknown", r), ("failed", r)];
    Table::new("Rate and errors by phase", &columns, rows.collect())
}

/// A moment that concerns one chart only.
pub(super) fn needle(x: f64, top: f64, bottom: f64) -> El {
    vertical("needle", x, top, bottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_began_apart_are_joined_and_the_worst_stays() {
        let flat = |from, served: u8| {
            let b =
                Bucket { due: 10, served: served.into(), worst_share: u16::from(served) * 1_000, ..Bucket::default() };
            Series { from, width: 100, buckets: vec![b; 50] }
        };
        let (one, other) = (flat(0, 10), flat(1_030, 4));
        let joined = merged(&[&one, &other], 1_000);
        // Each point is rounded for itself.
        let due = joined.buckets.iter().map(|b| b.due).sum::<u32>();
        assert!((970..=1_030).contains(&due), "{due}");
        assert_eq!((joined.buckets[0].worst_share, joined.buckets[30].worst_share), (10_000, 4_000));
        assert!(merged(&[&one, &other], 20).buckets.len() <= 20);
    }

    #[test]
    fn a_steady_rate_stays_steady() {
        let steady = Series { from: 5, width: 200, buckets: vec![Bucket { due: 10, ..Bucket::default() }; 322] };
        let points = merged(&[&steady, &steady, &steady], 100).buckets;
        assert_eq!(points.len(), 100);
        assert!(points.iter().all(|b| (96..=97).contains(&b.due)), "{points:?}");
    }

    #[test]
    fn thinning_keeps_the_worst_and_all_counts() {
        let mut buckets = vec![Bucket { due: 10, served: 10, worst_share: 10_000, p99: 5, ..Bucket::default() }; 1_000];
        buckets[517] = Bucket { due: 10, served: 9, fail: 1, worst_share: 0, p99: 70, ..Bucket::default() };
        let thinned = merged(&[&Series { from: 3, width: 7, buckets }], 100);
        assert_eq!((thinned.buckets.len(), thinned.width, thinned.from), (100, 70, 3));
        assert_eq!(thinned.buckets.iter().map(|b| b.due).sum::<u32>(), 10_000);
        assert_eq!(thinned.buckets.iter().map(|b| b.worst_share).min(), Some(0));
        assert_eq!(thinned.buckets.iter().map(|b| b.p99).max(), Some(70));
    }

    #[test]
    fn stairs_stop_where_nothing_is_known() {
        let spans = [(0.0, 1.0, Some(5.0)), (1.0, 2.0, None), (2.0, 3.0, Some(6.0)), (3.0, 4.0, Some(7.0))];
        assert_eq!(stairs(&spans, None), "M0 5V5H1M2 6V6H3V7H4");
        assert_eq!(stairs(&spans, Some(9.0)), "M0 9V5H1V9ZM2 9V6H3V7H4V9Z");
    }

    #[test]
    fn equal_neighbours_are_one_run() {
        assert_eq!(runs(&[1, 1, 2, 1]), [(0, 2, 1), (2, 3, 2), (3, 4, 1)]);
    }
}
