//! What earlier runs of the drill measured beside this one, objective by objective, each with its target.

use super::groups::foremost;
use super::markup::{Markup, el, number};
use super::objectives::tone;
use super::paper::{Chart, Drawing, Paper, ROW, fit, left_out};
use super::parts;
use super::series::legend;
use crate::analysis::{Analysis, ObjectiveResult};
use crate::event::{EarlierFigure, EarlierRun};
use crate::model::{ClockBasis, ObjectiveKind, RunState, Verdict};
use crate::report::tables::{self, Align, Cell, Table, Tone};
use crate::report::words::{self, UNKNOWN};

const HEIGHT: f64 = 92.0;
/// More would not fit a page of paper.
const MOST: usize = 6;

/// One run's value of one objective, in seconds or writes.
struct Point {
    run: String,
    day: String,
    result: &'static str,
    verdict: Verdict,
    comparable: bool,
    /// low, best, high
    value: Option<[f64; 3]>,
    target: f64,
}

/// Panel by panel; a sentence if nothing is known of earlier runs, nothing if the record does not speak of them.
pub(super) fn charts(a: &Analysis) -> Markup {
    let Some(lineage) = a.run.lineage.as_ref().filter(|_| !a.objectives.is_empty()) else { return Markup::default() };
    if lineage.earlier.is_empty() {
        return parts::faint("No earlier run of this drill in this environment was known when it began.").into();
    }
    let all: Vec<(&ObjectiveResult, Vec<Point>)> =
        a.objectives.iter().map(|o| (o, points(a, o, &lineage.earlier))).collect();
    let data = parts::only(&table(a, &all));
    let missed = |(o, _): &(&ObjectiveResult, Vec<Point>)| (o.verdict != Verdict::Pass, 0);
    let (panels, left) = foremost(all, MOST, missed);
    let description = "Each objective in this run, at the right, and in earlier runs of the drill in this environment, with its \
                       error; the dashed line is the target of the time. Hollow: not comparable, because the drill or its \
                       load was another.";
    let chart = Chart { id: "trend", name: "Trend over earlier runs", description, data };
    let figure = chart.figure(|paper| drawing(a, &panels, paper));
    let kinds = [
        ("dot good", "met"),
        ("cross bad", "missed"),
        ("dot unsure", "not decided, or no whole run"),
        ("goal", "target"),
    ];
    Markup::from_iter([
        Markup::from(parts::paragraph(&summary(&lineage.earlier))),
        figure.child(legend(&kinds)).child(left_out(left, "objective")).into(),
    ])
}

fn summary(earlier: &[EarlierRun]) -> String {
    let comparable = || earlier.iter().filter(|run| run.comparable);
    let passed = comparable().filter(|run| run.state == RunState::Ended && run.verdict == Verdict::Pass).count();
    format!(
        "{} known, {} comparable with this one; of those {} passed.",
        words::plural(earlier.len() as u64, "earlier run"),
        words::count(comparable().count() as u64),
        words::count(passed as u64)
    )
}

fn points(a: &Analysis, o: &ObjectiveResult, earlier: &[EarlierRun]) -> Vec<Point> {
    let of_run = |run: &EarlierRun| {
        let figure = run.figures.iter().find(|figure| same(o, figure))?;
        let value = match (figure.low, figure.best, figure.high) {
            (Some(low), Some(best), Some(high)) if [low, best, high].iter().all(|n| n.is_finite()) => {
                Some([low, best, high].map(drawable))
            }
            _ => None,
        };
        let met = value.map_or(Verdict::Inconclusive, |[low, _, high]| match () {
            () if high <= figure.target => Verdict::Pass,
            () if low > figure.target => Verdict::Fail,
            () => Verdict::Inconclusive,
        });
        let whole = run.state == RunState::Ended;
        Some(Point {
            run: run.run.0.clone(),
            day: run.started.format("%Y-%m-%d").to_string(),
            result: result(run.state, run.verdict),
            verdict: if whole { met } else { met.merge(Verdict::Inconclusive) },
            comparable: run.comparable,
            value,
            target: drawable(figure.target),
        })
    };
    let unit = if o.objective.kind == ObjectiveKind::RpoWrites { 1.0 } else { 1e9 };
    let this = Point {
        run: a.run.run.0.clone(),
        day: "this run".to_owned(),
        result: result(a.state, a.verdict),
        verdict: o.verdict,
        comparable: true,
        value: o.actual.map(|i| [i.low, i.best, i.high].map(|n| drawable(n as f64 / unit))),
        target: drawable(o.objective.target as f64 / unit),
    };
    earlier.iter().filter_map(of_run).chain([this]).collect()
}

/// What has a place on paper: about three centuries at most.
fn drawable(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, 9e9) } else { 0.0 }
}

fn result(state: RunState, verdict: Verdict) -> &'static str {
    match (state, verdict) {
        (RunState::Dirty, _) => "not healed",
        (RunState::Aborted, _) => "aborted",
        (RunState::NotRun | RunState::Held, _) => "not run",
        (RunState::Ended, Verdict::Pass) => "passed",
        (RunState::Ended, Verdict::Fail) => "failed",
        (RunState::Ended, Verdict::Inconclusive) => "inconclusive",
    }
}

fn same(o: &ObjectiveResult, figure: &EarlierFigure) -> bool {
    let of = &o.objective;
    let kind = match of.kind {
        ObjectiveKind::Rto => "rto",
        ObjectiveKind::RpoTime => "rpo_time",
        ObjectiveKind::RpoWrites => "rpo_writes",
        ObjectiveKind::Detect => "detect",
    };
    let basis = match of.basis {
        ClockBasis::Fault => "fault",
        ClockBasis::Declared => "declared",
    };
    let fault = o.fault.as_ref().map_or("", |fault| fault.as_str());
    figure.objective == kind
        && figure.workload == of.workload.as_str()
        && (figure.basis.is_empty() || figure.basis == basis)
        && (figure.fault.is_empty() || figure.fault == fault)
}

/// A value in the objective's unit, for people.
fn said(kind: ObjectiveKind, value: f64) -> String {
    match kind {
        ObjectiveKind::RpoWrites => words::plural(value.max(0.0) as u64, "write"),
        _ => words::duration((value * 1e9) as i64),
    }
}

fn table(a: &Analysis, all: &[(&ObjectiveResult, Vec<Point>)]) -> Table {
    let rows = all.iter().flat_map(|(o, points)| {
        points.iter().rev().map(move |p| {
            let kind = o.objective.kind;
            let measured = match p.value {
                None => "not measured".to_owned(),
                Some([low, _, high]) if low == high => said(kind, high),
                Some([low, best, high]) => {
                    format!("{} ({} to {})", said(kind, best), said(kind, low), said(kind, high))
                }
            };
            let comparable = if p.comparable { "yes" } else { "no" };
            vec![
                tables::objective(a, o).into(),
                p.run.as_str().into(),
                p.result.into(),
                Cell::toned(format!("{} {measured}", words::sign(p.verdict)), Tone::from(p.verdict)),
                said(kind, p.target).into(),
                comparable.into(),
            ]
        })
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns = [("objective", l), ("run", l), ("result", l), ("measured", r), ("target", r), ("comparable", l)];
    Table::new("Trend", &columns, rows.collect())
}

/// Values to heights: from 0, or logarithmic where they are far apart.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    fn of(points: &[Point]) -> Self {
        let all: Vec<f64> = points.iter().flat_map(|p| p.value.into_iter().flatten().chain([p.target])).collect();
        let high = all.iter().copied().fold(0.0, f64::max);
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let log = low > 0.0 && high / low > 20.0;
        if log {
            Self { low: low / 1.6, high: high * 1.6, log }
        } else {
            Self { low: 0.0, high: (high * 1.15).max(1e-9), log }
        }
    }

    /// 0 at the bottom, 1 at the top.
    fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        share.clamp(0.0, 1.0)
    }
}

fn drawing(a: &Analysis, panels: &[(&ObjectiveResult, Vec<Point>)], paper: Paper) -> Drawing {
    let pitch = HEIGHT + 2.0 * ROW + 16.0;
    let mut inner = Markup::default();
    for (i, (o, points)) in panels.iter().enumerate() {
        inner.push(panel(a, o, points, ROW + i as f64 * pitch + 4.0, paper));
    }
    (inner, panels.len() as f64 * pitch + 4.0)
}

fn panel(a: &Analysis, o: &ObjectiveResult, points: &[Point], y: f64, paper: Paper) -> Markup {
    let kind = o.objective.kind;
    let scale = Scale::of(points);
    let bottom = y + HEIGHT;
    let height = |value: f64| bottom - scale.share(value) * HEIGHT;
    let step = paper.plot() / points.len().max(1) as f64;
    let x = |i: usize| paper.left() + (i as f64 + 0.5) * step;
    let last = points.len().saturating_sub(1);
    let mut out = Markup::from_iter([
        el("rect").class("frame").at(paper.left(), y).num("width", paper.plot()).num("height", HEIGHT),
        el("text").class("panel").at(paper.left() + 4.0, y - 4.0).text(&fit(&tables::objective(a, o), paper.plot())),
    ]);
    let path: String = points.iter().enumerate().map(|(i, p)| goal(x(i), step, height(p.target))).collect();
    out.push(el("path").class("goal").attr("d", &path));
    if let Some(p) = points.last() {
        let label = format!("target {}", said(kind, p.target));
        let at = if height(p.target) - y > ROW { height(p.target) - 4.0 } else { height(p.target) + 12.0 };
        out.push(el("text").class("place end").at(paper.right() - 4.0, at).text(&label));
    }
    out.extend(points.iter().enumerate().map(|(i, p)| point(p, kind, x(i), bottom, i == last, &height)));
    for value in ticks(&scale) {
        let label = fit(said(kind, value).trim_end_matches(" writes"), paper.left() - 10.0);
        out.push(el("text").class("tick end").at(paper.left() - 5.0, height(value) + 4.0).text(&label));
    }
    let day = |i: usize, class: &str, at: f64| {
        points.get(i).map(|p| el("text").class(class).at(at, bottom + ROW).text(&p.day))
    };
    out.push(Markup::from(day(last, "tick end", paper.right())));
    out.push(Markup::from(day(0, "tick", paper.left()).filter(|_| last > 0)));
    out
}

fn goal(x: f64, step: f64, y: f64) -> String {
    format!("M{} {}H{}", number(x - step / 2.0), number(y), number(x + step / 2.0))
}

fn ticks(scale: &Scale) -> Vec<f64> {
    if scale.log {
        let (from, to) = (scale.low.log10().ceil() as i32, scale.high.log10().floor() as i32);
        return (from..=to).take(8).map(|power| 10_f64.powi(power)).collect();
    }
    let rough = scale.high / 3.0;
    let power = 10_f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|n| *n >= rough).unwrap_or(rough);
    (0..4).map(|i| f64::from(i) * nice).filter(|value| *value <= scale.high).collect()
}

/// A dot for met, a cross for missed, a ring for what was not decided; whiskers are its error.
fn point(p: &Point, kind: ObjectiveKind, x: f64, bottom: f64, this: bool, height: &impl Fn(f64) -> f64) -> Markup {
    let Some([low, best, high]) = p.value else {
        return el("text")
            .class("tick mid")
            .at(x, bottom - 4.0)
            .text("?")
            .child(el("title").text(&format!("{}: not measured", p.run)))
            .into();
    };
    let said = format!("{} ({}): {}, {}", p.run, p.day, said(kind, best), words::judged(p.verdict));
    let class =
        format!("{}{}{}", tone(p.verdict), if p.comparable { "" } else { " hollow" }, if this { " this" } else { "" });
    let (y, size) = (height(best), if this { 5.5 } else { 4.0 });
    let mark = match p.verdict {
        Verdict::Fail => {
            let d =
                format!("M{} {}l{s} {s}m0 -{s}l-{s} {s}", number(x - size), number(y - size), s = number(2.0 * size));
            el("path").class(&format!("cross {class}")).attr("d", &d)
        }
        _ => el("circle").class(&format!("dot {class}")).num("cx", x).num("cy", y).num("r", size),
    };
    let mut out = Markup::default();
    if height(low) - height(high) > 2.0 {
        out.push(el("line").class("whisker").num("x1", x).num("x2", x).num("y1", height(low)).num("y2", height(high)));
    }
    out.push(mark.child(el("title").text(&said)));
    out
}

/// What is known of when the drill last passed: its day.
pub(super) fn last_pass(a: &Analysis) -> Option<&EarlierRun> {
    let earlier = &a.run.lineage.as_ref()?.earlier;
    earlier.iter().rev().find(|run| run.state == RunState::Ended && run.verdict == Verdict::Pass)
}

/// The same as words.
pub(super) fn last_pass_words(a: &Analysis) -> String {
    last_pass(a).map_or_else(|| UNKNOWN.to_owned(), |run| format!("{} ({})", run.started.date_naive(), run.run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: Option<[f64; 3]>, target: f64) -> Point {
        let verdict = Verdict::Pass;
        Point { run: "r".to_owned(), day: "d".to_owned(), result: "passed", verdict, comparable: true, value, target }
    }

    #[test]
    fn values_far_from_their_target_are_still_told_apart() {
        let far = [point(Some([0.28, 0.3, 0.32]), 10.0), point(Some([0.5, 0.6, 0.7]), 10.0)];
        let scale = Scale::of(&far);
        assert!(scale.log && scale.share(0.6) - scale.share(0.3) > 0.1);
        let near = Scale::of(&[point(Some([0.0, 0.0, 0.0]), 10.0), point(None, 10.0)]);
        assert!(!near.log && near.share(0.0) == 0.0 && near.share(10.0) < 1.0);
        let nothing = Scale::of(&[point(Some([0.0; 3]), 0.0)]);
        assert!(nothing.share(0.0) == 0.0 && ticks(&nothing).len() < 9);
    }
}
