//! The time axis that charts share: scale, ticks, phase bands, marks, and labels that never overlap.

use super::markup::{El, Markup, el};
use super::paper::{Paper, ROW, fit, width_of};
use crate::analysis::{Analysis, Mark, StallResult};
use crate::event::Phase;
use crate::report::{tables::joined, words};

/// Time to place.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    from: i64,
    to: i64,
    /// The moment that reads 0.
    zero: i64,
    paper: Paper,
}

impl TimeAxis {
    pub(super) fn new(from: i64, to: i64, zero: i64, paper: Paper) -> Self {
        Self { from, to: to.max(from.saturating_add(1_000_000)), zero, paper }
    }

    /// The whole record, counted from its start.
    pub(super) fn whole(a: &Analysis, paper: Paper) -> Self {
        let series = a
            .workloads
            .iter()
            .map(|w| w.series.from.saturating_add(w.series.width.saturating_mul(w.series.buckets.len() as i64)));
        let end = series.chain(a.phases.iter().map(|p| p.to)).chain([a.length]).max().unwrap_or(0);
        Self::new(0, end, 0, paper)
    }

    pub(super) fn x(self, at: i64) -> f64 {
        let share = (at as f64 - self.from as f64) / (self.to as f64 - self.from as f64);
        self.paper.left() + share.clamp(0.0, 1.0) * self.paper.plot()
    }

    pub(super) fn holds(self, at: i64) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// Grid lines from `top` to `bottom` with their labels below.
    pub(super) fn grid(self, top: f64, bottom: f64, what: &str) -> Markup {
        let step = self.step();
        let first = (self.from - self.zero).div_euclid(step) * step + self.zero;
        let ticks: Vec<i64> = (0..40).map(|i| first + i * step).filter(|t| self.holds(*t)).collect();
        let last = width_of(what);
        let mut out: Markup = ticks
            .iter()
            .map(|&t| {
                let x = self.x(t);
                let label = words::duration(t - self.zero);
                let crowded =
                    x + width_of(&label) / 2.0 > self.paper.right() - last - 8.0 || x < self.paper.left() - 1.0;
                let label = (!crowded).then(|| el("text").class("tick mid").at(x, bottom + ROW).text(&label));
                Markup::from_iter([vertical("grid", x, top, bottom).into(), Markup::from(label)])
            })
            .collect();
        out.push(el("text").class("tick end").at(self.paper.right(), bottom + ROW).text(what));
        out
    }

    fn step(self) -> i64 {
        const SECOND: i64 = 1_000_000_000;
        const NICE: [i64; 3] = [1, 2, 5];
        const LONG: [i64; 14] = [10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 86_400];
        let span = self.to - self.from;
        let short = (0..4).flat_map(|p| NICE.map(|n| n * 10_i64.pow(p) * 1_000_000)).filter(|s| *s <= 5 * SECOND);
        let mut steps = short.chain(LONG.map(|s| s * SECOND));
        let most = self.paper.ticks();
        steps.find(|s| span / s <= most).unwrap_or(span / most + 1)
    }

    /// Phases as bands from `top` to `bottom`; their names above, where they have room.
    pub(super) fn bands(self, a: &Analysis, top: f64, bottom: f64) -> Markup {
        a.phases
            .iter()
            .filter(|p| p.to >= self.from && p.from <= self.to)
            .map(|p| {
                let (left, right) = (self.x(p.from), self.x(p.to));
                let name = words::phase(p.phase);
                let class = format!("band {}", tint(p.phase));
                let band =
                    el("rect").class(&class).at(left, top).num("width", right - left).num("height", bottom - top);
                let label = (width_of(name) + 6.0 <= right - left)
                    .then(|| el("text").class("phase mid").at((left + right) / 2.0, top - 5.0).text(name));
                Markup::from_iter([band.child(title(name)).into(), Markup::from(label)])
            })
            .collect()
    }

    /// Where the runner could not see: neither up nor down can be told there.
    pub(super) fn stalls<'a>(self, stalls: impl Iterator<Item = &'a StallResult>, top: f64, bottom: f64) -> Markup {
        let near = (self.to - self.from) / 120;
        let path: String = joined(stalls.map(|s| (s.from, s.to)), near)
            .into_iter()
            .filter(|(from, to)| *to >= self.from && *from <= self.to)
            .map(|(from, to)| block(self.x(from), self.x(to).max(self.x(from) + 1.0), top, bottom))
            .collect();
        (!path.is_empty()).then(|| el("path").class("stall").attr("d", &path)).into()
    }

    /// Labels of `marks` in rows that end at `rows_end`, their dashed lines down to `bottom`; and the rows' height.
    pub(super) fn marks(self, marks: &[(i64, String)], rows_end: f64, bottom: f64) -> Marks {
        let inside: Vec<(f64, String)> =
            marks.iter().filter(|(at, _)| self.holds(*at)).map(|(at, label)| (self.x(*at), label.clone())).collect();
        let placed = place(&together(&inside, self.paper), Side::Above, self.paper);
        let rows = placed.iter().map(|p| p.row + 1).max().unwrap_or(0);
        let height = rows as f64 * ROW;
        let base = |p: &Placed| rows_end - height + (p.row as f64 + 1.0) * ROW - 4.0;
        let mut lines: Markup = inside.iter().map(|(x, _)| vertical("mark", *x, rows_end, bottom)).collect();
        lines.extend(placed.iter().map(|p| vertical("mark", p.x, base(p) - 9.0, rows_end)));
        let labels = placed.iter().map(|p| p.text("mark-label", base(p))).collect();
        Marks { lines, labels, height }
    }
}

/// Marks in two layers: lines belong under what is drawn, labels over it.
pub(super) struct Marks {
    pub(super) lines: Markup,
    pub(super) labels: Markup,
    pub(super) height: f64,
}

/// How high the rows of the marks' labels will be.
pub(super) fn rows_height(axis: TimeAxis, marks: &[(i64, String)]) -> f64 {
    axis.marks(marks, 0.0, 0.0).height
}

/// Points that cannot be told apart share a label.
fn together(points: &[(f64, String)], paper: Paper) -> Vec<(f64, String)> {
    const NEAR: f64 = 6.0;
    let longest = if paper == Paper::Wide { 70 } else { 30 };
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out: Vec<(f64, String)> = Vec::new();
    for (x, label) in sorted {
        match out.last_mut() {
            Some((at, all)) if x - *at < NEAR && all.chars().count() + label.chars().count() < longest => {
                if !all.split(", ").any(|one| one == label) {
                    *all = format!("{all}, {label}");
                }
            }
            _ => out.push((x, label)),
        }
    }
    out
}

/// A label with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) x: f64,
    pub(super) row: usize,
    /// Stands left of its point.
    flipped: bool,
    label: String,
}

impl Placed {
    fn span(&self) -> (f64, f64) {
        let wide = width_of(&self.label) + 5.0;
        if self.flipped { (self.x - wide, self.x) } else { (self.x, self.x + wide) }
    }

    pub(super) fn text(&self, class: &str, y: f64) -> El {
        let (class, x) =
            if self.flipped { (format!("{class} end"), self.x - 4.0) } else { (class.to_owned(), self.x + 4.0) };
        el("text").class(&class).at(x, y).text(&self.label)
    }
}

/// Where labels stand, seen from what they point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Row 0 is the farthest; lines go down through the rows below.
    Above,
    /// Row 0 is the nearest; lines come down through the rows above.
    Below,
}

/// Gives each label a row beside its point, so that no label touches another and no line crosses one.
pub(super) fn place(points: &[(f64, String)], side: Side, paper: Paper) -> Vec<Placed> {
    const GAP: f64 = 8.0;
    let mut out: Vec<Placed> = points
        .iter()
        .map(|(x, label)| {
            let room = (paper.right() - x).max(x - paper.left()) - 5.0;
            let label = fit(label, room);
            let wide = width_of(&label) + 5.0;
            Placed { x: *x, row: 0, flipped: x + wide > paper.right(), label }
        })
        .collect();
    out.sort_by(|a, b| a.x.total_cmp(&b.x));
    if side == Side::Below {
        out.reverse();
    }
    // A label goes beyond every row that it would touch, not into the first gap: its line would cross what is between.
    for i in 0..out.len() {
        let (left, right) = out[i].span();
        let touched = out[..i].iter().filter(|p| p.span().0 < right + GAP && left < p.span().1 + GAP);
        out[i].row = touched.map(|p| p.row + 1).max().unwrap_or(0);
    }
    out
}

/// The marks that concern everybody and, for those of a workload, the headline one's: one of each name and fault.
pub(super) fn headline_marks(a: &Analysis) -> Vec<(i64, String)> {
    let first = a.workloads.iter().find(|w| w.probe_of.is_none()).map(|w| w.name.as_str());
    let of_workload = |m: &Mark| a.workloads.iter().any(|w| w.name.as_str() == m.of);
    marks_of(a.timeline.iter().filter(|m| !of_workload(m) || Some(m.of.as_str()) == first))
}

/// So many marks have room; the first of each name before others of the same.
const MOST_MARKS: usize = 24;

/// Marks as moments with labels.
pub(super) fn marks_of<'a>(marks: impl Iterator<Item = &'a Mark>) -> Vec<(i64, String)> {
    let mut seen = std::collections::BTreeSet::new();
    let all: Vec<(&Mark, bool)> = marks.map(|m| (m, seen.insert(m.name.as_str()))).collect();
    let (kept, _) = super::groups::foremost(all, MOST_MARKS, |(_, first)| (*first, 0));
    kept.into_iter().map(|(m, _)| (m.at.best, label(m))).collect()
}

/// A mark's name for people.
fn label(m: &Mark) -> String {
    m.name.replace('_', " ")
}

pub(super) fn vertical(class: &str, x: f64, top: f64, bottom: f64) -> El {
    el("line").class(class).num("x1", x).num("x2", x).num("y1", top).num("y2", bottom)
}

pub(super) fn title(of: &str) -> El {
    el("title").text(of)
}

fn tint(phase: Phase) -> &'static str {
    match phase {
        Phase::Outage | Phase::Failover => "band-outage",
        Phase::Restore | Phase::Unwind => "band-restore",
        Phase::Verify | Phase::Converge | Phase::Steady => "band-verify",
        Phase::Baseline => "band-baseline",
        _ => "band-other",
    }
}

/// A box as part of a path.
pub(super) fn block(left: f64, right: f64, top: f64, bottom: f64) -> String {
    use super::markup::number as n;
    format!("M{} {}H{}V{}H{}Z", n(left), n(top), n(right), n(bottom), n(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: Paper = Paper::Wide;

    #[test]
    fn labels_never_overlap_and_stay_on_the_paper() {
        let points: Vec<(f64, String)> =
            (0..40).map(|i| (PAPER.left() + f64::from(i) * 23.7 % PAPER.plot(), format!("label number {i}"))).collect();
        for side in [Side::Above, Side::Below] {
            let placed = place(&points, side, PAPER);
            for (i, a) in placed.iter().enumerate() {
                assert!(a.span().1 <= PAPER.right() + 1.0, "{a:?}");
                for b in placed.iter().skip(i + 1).filter(|b| b.row == a.row) {
                    assert!(a.span().1 <= b.span().0 || b.span().1 <= a.span().0, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn no_line_crosses_a_label() {
        let points: Vec<(f64, String)> =
            (0..12).map(|i| (PAPER.left() + f64::from(i) * 37.0, format!("label {i}"))).collect();
        for side in [Side::Above, Side::Below] {
            let placed = place(&points, side, PAPER);
            for line in &placed {
                // From a row above, a line goes down through the later rows; from one below, up through the earlier.
                let passed =
                    placed.iter().filter(|p| if side == Side::Above { p.row > line.row } else { p.row < line.row });
                for label in passed {
                    let (left, right) = label.span();
                    assert!(line.x <= left || line.x >= right, "{side:?}: {line:?} crosses {label:?}");
                }
            }
        }
    }

    #[test]
    fn marks_at_one_place_share_a_label() {
        let points = [
            (10.0, "fault".to_owned()),
            (11.0, "first error".to_owned()),
            (12.0, "fault".to_owned()),
            (90.0, "x".to_owned()),
        ];
        assert_eq!(together(&points, PAPER), [(10.0, "fault, first error".to_owned()), (90.0, "x".to_owned())]);
    }

    #[test]
    fn any_length_has_a_readable_number_of_ticks() {
        for span in [2_000_000, 900_000_000, 78_000_000_000, 3_600_000_000_000, 10 * 86_400_000_000_000] {
            let step = TimeAxis::new(0, span, 0, PAPER).step();
            assert!((1..=9).contains(&(span / step)), "{span}: {step}");
        }
    }
}
