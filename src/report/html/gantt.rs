//! Steps and faults on the time axis of the whole run.

use super::axis::{LEFT, RIGHT, ROW, TimeAxis, figure, width_of};
use super::markup::{El, Markup, el};
use super::page::data;
use crate::analysis::Analysis;
use crate::event::StepOutcome;
use crate::model::Verdict;
use crate::report::{tables, words};

const PITCH: f64 = 20.0;
const BAR: f64 = 13.0;
const LONGEST: usize = 64;

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
    let axis = TimeAxis::whole(a);
    let top = ROW + 4.0;
    let bottom = top + bars.len() as f64 * PITCH + 4.0;
    let mut inner = axis.bands(a, top, bottom);
    inner.push(axis.grid(top, bottom, "since the start"));
    for (i, bar) in bars.iter().enumerate() {
        inner.push(row(bar, axis, top + 4.0 + i as f64 * PITCH));
    }
    let description = "What was done and when; how long each fault was open, then step by step.";
    Some(figure("steps", "Steps", description, bottom + ROW + 8.0, inner, data(&tables::steps(a))))
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

/// The label stands right of its bar, or left of it where there is more room.
fn row(bar: &Bar, axis: TimeAxis, y: f64) -> Markup {
    let (left, right) = (axis.x(bar.from), axis.x(bar.to));
    let right = right.max(left + 3.0);
    let wide = width_of(&bar.label) + 6.0;
    let inside = right - left > wide;
    let (x, class) = match () {
        () if inside => (left + 6.0, "bar-label"),
        () if right + wide <= RIGHT || RIGHT - right >= left - LEFT => (right + 5.0, "bar-label"),
        () => (left - 5.0, "bar-label end"),
    };
    let class = if inside { format!("{class} on-{}", bar.class) } else { class.to_owned() };
    Markup::from_iter([
        el("rect").class(bar.class).at(left, y).num("width", right - left).num("height", BAR).attr("rx", "2"),
        el("text").class(&class).at(x, y + BAR - 2.5).text(&bar.label),
    ])
}
