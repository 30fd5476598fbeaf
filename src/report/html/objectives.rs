//! Objectives as cards: the measured figure, a bar with its whiskers and the target, and the verdict in words.

use super::groups::foremost;
use super::markup::{El, Markup, el, prose, text};
use super::paper::left_out;
use crate::analysis::{Analysis, ObjectiveResult};
use crate::model::{ClockBasis, ObjectiveKind, Verdict};
use crate::report::{tables, words};

const WIDTH: f64 = 250.0;
const BAR: f64 = 14.0;
/// So many cards; those that were not met before others.
const MOST: usize = 24;

/// The cards.
pub(super) fn cards(a: &Analysis) -> Markup {
    if a.objectives.is_empty() {
        return el("p").text("The playbook sets no objective.").into();
    }
    let (shown, left) = foremost(a.objectives.iter().collect(), MOST, |o| (o.verdict != Verdict::Pass, 0));
    let cards = el("ul").class("cards").children(shown.into_iter().map(|o| card(a, o)));
    Markup::from_iter([cards.into(), left_out(left, "objective")])
}

pub(super) fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Inconclusive => "unsure",
    }
}

fn card(a: &Analysis, o: &ObjectiveResult) -> El {
    let of = &o.objective;
    let basis = match (of.kind, of.basis) {
        (ObjectiveKind::Rto, ClockBasis::Fault) => "recovery time, from the fault to sustained service",
        (ObjectiveKind::Rto, ClockBasis::Declared) => "recovery time, from the declaration to sustained service",
        (ObjectiveKind::RpoTime, _) => "recovery point: age of the oldest lost write at the fault",
        (ObjectiveKind::RpoWrites, _) => "recovery point: acknowledged writes that are gone",
        (ObjectiveKind::Detect, _) => "from the fault until somebody noticed, the milestone `detected`",
    };
    let badge = format!("{} {}", words::sign(o.verdict), words::judged(o.verdict));
    el("li")
        .class(&format!("card {}", tone(o.verdict)))
        .child(
            el("h3")
                .child(el("span").class("badge").text(&badge))
                .child(text(" "))
                .child(el("span").text(&tables::objective(a, o))),
        )
        .child(figure(&words::actual(o)))
        .child(bullet(o))
        .child(el("p").class("faint").child(prose(&format!("{basis}. {}", sentence(&o.why)))))
}

/// The best estimate large, its ends small.
fn figure(actual: &str) -> El {
    let (best, ends) = actual.split_once(" (").map_or((actual, None), |(best, ends)| (best, ends.strip_suffix(')')));
    let ends = ends.map(|ends| el("span").class("ends").text(&format!(" {ends}")));
    el("p").class("figure").child(el("span").class("best").text(best)).child(Markup::from(ends))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// From 0 to what was measured, with the target as a line across.
fn bullet(o: &ObjectiveResult) -> El {
    let target = o.objective.target.max(0);
    let high = o.actual.map_or(0, |i| i.high.max(0));
    let full = (target.max(high) as f64 * 1.18).max(1.0);
    let x = |n: i64| (n.max(0) as f64 / full * WIDTH).clamp(0.0, WIDTH);
    let label = format!("target {}", words::target(o.objective.kind, target));
    let name = format!("measured {}, {label}", words::actual(o));
    let mut inner = Markup::from(el("title").text(&name));
    inner.push(el("rect").class("track").at(0.0, 4.0).num("width", WIDTH).num("height", BAR));
    if let Some(i) = o.actual {
        let middle = 4.0 + BAR / 2.0;
        inner.push(el("rect").class("measured").at(0.0, 4.0).num("width", x(i.best).max(1.5)).num("height", BAR));
        if x(i.high) - x(i.low) > 1.0 {
            inner.push(
                el("line")
                    .class("whisker")
                    .num("x1", x(i.low))
                    .num("x2", x(i.high))
                    .num("y1", middle)
                    .num("y2", middle),
            );
            for end in [i.low, i.high] {
                inner.push(super::series::needle(x(end), middle - 4.0, middle + 4.0));
            }
        }
    }
    let at = x(target);
    inner.push(super::axis::vertical("target", at, 0.0, BAR + 8.0));
    let (class, at) = if at > WIDTH / 2.0 { ("tick end", at) } else { ("tick", at) };
    inner.push(el("text").class(class).at(at, BAR + 21.0).text(&label));
    el("svg")
        .class("bullet")
        .attr("viewBox", &format!("0 0 {WIDTH} {:.0}", BAR + 26.0))
        .attr("role", "img")
        .child(inner)
}
