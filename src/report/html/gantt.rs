//! Steps and faults on the time axis of the whole run.

use super::axis::TimeAxis;
use super::groups::foremost;
use super::markup::{El, Markup, el};
use super::paper::{Chart, Drawing, Paper, ROW, fit, left_out, width_of};
use super::parts;
use crate::analysis::Analysis;
use crate::event::StepOutcome;
use crate::model::Verdict;
use crate::report::{tables, words};

const BAR: f64 = 13.0;
const LONGEST: usize = 64;
/// A chart with more bars would not fit a page of paper.
const MOST_BARS: usize = 44;

struct Bar {
    class: &'static str,
    from: i64,
    to: i64,
    label: String,
}

/// The chart; none if nothing was done.
pub(super) fn chart(a: &Analysis) -> Option<El> {
    let bars: Vec<Bar> = faults(a).chain(steps(a)).collect();
    if bars.is_empty() {
        return None;
    }
    let grave = |bar: &Bar| (["fault", "bad", "unsure"].contains(&bar.class), 0);
    let (bars, left) = foremost(bars, MOST_BARS, grave);
    let description = "What was done and when; how long each fault was open, then step by step.";
    let chart = Chart { id: "steps", name: "Steps", description, data: parts::table(&tables::steps(a)) };
    Some(chart.figure(|paper| drawing(a, &bars, paper)).child(left_out(left, "step")))
}

fn drawing(a: &Analysis, bars: &[Bar], paper: Paper) -> Drawing {
    let axis = TimeAxis::whole(a, paper);
    let pitch = if paper == Paper::Wide { 20.0 } else { BAR + ROW + 7.0 };
    let top = ROW + 4.0;
    let bottom = top + bars.len() as f64 * pitch + 4.0;
    let mut inner = axis.bands(a, top, bottom);
    inner.push(axis.grid(top, bottom, "since the start"));
    for (i, bar) in bars.iter().enumerate() {
        let y = top + 4.0 + i as f64 * pitch;
        inner.push(if paper == Paper::Wide { row(bar, axis, y) } else { stacked(bar, axis, y) });
    }
    (inner, bottom + ROW + 8.0)
}

fn faults(a: &Analysis) -> impl Iterator<Item = Bar> + '_ {
    a.faults.iter().filter_map(|f| {
        let from = f.at?.best;
        let healed = f.healed_at.map_or(a.length, |at| at.high);
        let state = if f.healed { "open for" } else { "NOT HEALED, open for" };
        let to = healed.max(from);
        let label = format!("{}: {state} {}", words::shortened(&f.name, LONGEST - 24), words::duration(to - from));
        Some(Bar { class: "fault", from, to, label })
    })
}

fn steps(a: &Analysis) -> impl Iterator<Item = Bar> + '_ {
    a.steps.iter().map(|s| {
        let to = s.to.unwrap_or(a.length).max(s.from);
        let skipped = matches!(s.outcome, Some(StepOutcome::Skipped { .. }));
        let class = match s.verdict {
            _ if skipped => "skipped",
            Verdict::Pass => "good",
            Verdict::Fail => "bad",
            Verdict::Inconclusive => "unsure",
        };
        let took = match (skipped, s.to) {
            (true, _) => "skipped".to_owned(),
            (_, None) => "did not end".to_owned(),
            _ => words::duration(to - s.from),
        };
        let round = if s.round == 0 { String::new() } else { format!(" (round {})", s.round + 1) };
        let label = format!("{} {}{round}, {took}", words::sign(s.verdict), words::shortened(&s.name, LONGEST - 20));
        Bar { class, from: s.from, to, label }
    })
}

/// The label stands in its bar, or right of it, or left of it where there is more room.
fn row(bar: &Bar, axis: TimeAxis, y: f64) -> Markup {
    let paper = Paper::Wide;
    let (left, right) = (axis.x(bar.from), axis.x(bar.to).max(axis.x(bar.from) + 3.0));
    let wide = width_of(&bar.label) + 6.0;
    let inside = right - left > wide;
    let (before, after) = (left - paper.left(), paper.right() - right);
    let (x, class, room) = match () {
        () if inside => (left + 6.0, "bar-label", wide),
        () if wide <= after || after >= before => (right + 5.0, "bar-label", after - 5.0),
        () => (left - 5.0, "bar-label end", before - 5.0),
    };
    let class = if inside { format!("on-{}", bar.class) } else { class.to_owned() };
    let label = if inside { bar.label.clone() } else { fit(&bar.label, room) };
    Markup::from_iter([boxed(bar, (left, right), y), el("text").class(&class).at(x, y + BAR - 2.5).text(&label)])
}

/// On narrow paper the label has a line of its own above the bar.
fn stacked(bar: &Bar, axis: TimeAxis, y: f64) -> Markup {
    let (left, right) = (axis.x(bar.from), axis.x(bar.to).max(axis.x(bar.from) + 3.0));
    let label = fit(&bar.label, Paper::Narrow.right());
    Markup::from_iter([
        el("text").class("bar-label").at(2.0, y + ROW - 5.0).text(&label),
        boxed(bar, (left, right), y + ROW),
    ])
}

fn boxed(bar: &Bar, (left, right): (f64, f64), y: f64) -> El {
    el("rect").class(bar.class).at(left, y).num("width", right - left).num("height", BAR).attr("rx", "2")
}
