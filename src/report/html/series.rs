//! Charts over the whole run, one panel for each workload on one time axis: availability, latency, rate.

use super::axis::{self, LEFT, RIGHT, ROW, TimeAxis, figure, headline_marks, vertical};
use super::markup::{El, Markup, el, number};
use super::page::data;
use crate::analysis::{Analysis, Bucket, Series, WorkloadResult};
use crate::report::tables::{Align, Table};
use crate::report::words::{self, UNKNOWN, shortened};

const GAP: f64 = 12.0;
/// Buckets on paper, of all workloads together: the page stays small, and a bucket is still about two pixels wide.
const MOST_BUCKETS: usize = 2_400;

/// A chart with a panel for each workload.
struct Panels<'a> {
    a: &'a Analysis,
    axis: TimeAxis,
    height: f64,
    marks: Vec<(i64, String)>,
}

impl<'a> Panels<'a> {
    fn new(a: &'a Analysis, height: f64) -> Self {
        Self { a, axis: TimeAxis::whole(a), height, marks: headline_marks(a) }
    }

    /// The first panel's title begins here; marks and phases have their labels above.
    fn top(&self) -> f64 {
        axis::rows_height(self.axis, &self.marks) + ROW + 4.0
    }

    fn pitch(&self) -> f64 {
        ROW + self.height + GAP
    }

    fn bottom(&self) -> f64 {
        self.top() + self.a.workloads.len() as f64 * self.pitch() - GAP + 4.0
    }

    /// Panel by panel `draw(workload, its buckets, top of its plot)`, with bands below and marks above.
    fn draw(&self, draw: impl Fn(&WorkloadResult, &Series, f64) -> Markup) -> (Markup, f64) {
        let (top, bottom) = (self.top(), self.bottom());
        let most = (MOST_BUCKETS / self.a.workloads.len().max(1)).clamp(100, 480);
        let mut out = self.axis.bands(self.a, top, bottom);
        out.push(self.axis.grid(top, bottom, "since the start"));
        let marks = self.axis.marks(&self.marks, top - ROW - 2.0, bottom);
        let (mut names, mut blind) = (Markup::default(), Markup::default());
        for (i, w) in self.a.workloads.iter().enumerate() {
            let y = top + i as f64 * self.pitch() + ROW;
            out.push(draw(w, &thin(&w.series, most), y));
            let own = self.a.stalls.iter().filter(|s| s.workload.as_ref() == Some(&w.name));
            blind.push(self.axis.stalls(own, y, y + self.height));
            names.push(el("text").class("panel").at(LEFT + 4.0, y - 4.0).text(&shortened(w.name.as_str(), 60)));
        }
        blind.push(self.axis.stalls(self.a.stalls.iter().filter(|s| s.workload.is_none()), top, bottom));
        out.extend([blind, marks.lines, names, marks.labels]);
        (out, bottom + ROW + 8.0)
    }

    fn x(&self, series: &Series, i: usize) -> f64 {
        self.axis.x(series.from.saturating_add(series.width.saturating_mul(i as i64)))
    }
}

/// Merges neighbours until at most `most` are left: counts add up, shares keep their lowest, latencies their highest,
/// so that an outage or a spike is never averaged away.
fn thin(series: &Series, most: usize) -> Series {
    let by = series.buckets.len().div_ceil(most).max(1);
    let merged = series.buckets.chunks(by).map(|chunk| {
        let mut all = Bucket { worst_share: 10_000, ..Bucket::default() };
        for b in chunk {
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
        all
    });
    Series { from: series.from, width: series.width.saturating_mul(by as i64), buckets: merged.collect() }
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

fn frame(y: f64, height: f64) -> El {
    el("rect").class("frame").at(LEFT, y).num("width", RIGHT - LEFT).num("height", height)
}

fn tick(y: f64, label: &str) -> El {
    el("text").class("tick end").at(LEFT - 6.0, y + 4.0).text(label)
}

/// Share of operations that were served; the worst tenth of each bucket, so that nothing is averaged away.
pub(super) fn availability(a: &Analysis) -> El {
    let panels = Panels::new(a, 56.0);
    let (inner, height) = panels.draw(|w, series, y| {
        let bottom = y + panels.height;
        let of = |share: u16| bottom - f64::from(share) / 10_000.0 * panels.height;
        let shares: Vec<Option<u16>> = series.buckets.iter().map(|b| (b.due > 0).then_some(b.worst_share)).collect();
        let (mut area, mut line, mut pen_up) = (String::new(), String::new(), true);
        for (from, to, share) in runs(&shares) {
            let Some(share) = share else {
                pen_up = true;
                continue;
            };
            let (x0, x1, level) = (number(panels.x(series, from)), number(panels.x(series, to)), number(of(share)));
            if share < 10_000 {
                area.push_str(&format!("M{x0} {}H{x1}V{level}H{x0}Z", number(y)));
            }
            line.push_str(&if pen_up { format!("M{x0} {level}H{x1}") } else { format!("V{level}H{x1}") });
            pen_up = false;
        }
        let total = words::share(w.operations.ok, w.operations.due);
        Markup::from_iter([
            frame(y, panels.height),
            el("path").class("down").attr("d", &area),
            el("path").class("line").attr("d", &line),
            tick(y, "100 %"),
            tick(bottom, "0 %"),
            el("text").class("panel end").at(RIGHT - 4.0, y - 4.0).text(&format!("{total} served in all")),
        ])
    });
    let description =
        "Share of operations that were answered in time; red is what was not. The worst tenth of every point counts.";
    figure("availability", "Availability over time", description, height, inner, data(&by_phase(a))).child(blind(a))
}

/// p50, p95 and p99 from due, on a logarithmic axis.
pub(super) fn latency(a: &Analysis) -> El {
    let panels = Panels::new(a, 84.0);
    let all =
        || a.workloads.iter().flat_map(|w| &w.series.buckets).flat_map(|b| [b.p50, b.p95, b.p99]).filter(|n| *n > 0);
    let low = all().min().map_or(1e6, |n| n as f64).log10().floor();
    let high = all().max().map_or(1e9, |n| n as f64).log10().ceil().max(low + 1.0);
    let (inner, height) = panels.draw(|w, series, y| {
        let bottom = y + panels.height;
        let of = |nanos: f64| bottom - ((nanos.log10() - low) / (high - low)).clamp(0.0, 1.0) * panels.height;
        let mut out = Markup::from(frame(y, panels.height));
        let decades = (high - low) as i32;
        for decade in (0..=decades).filter(|d| decades <= 4 || d % 2 == 0) {
            let nanos = 10_f64.powi(low as i32 + decade);
            let at = of(nanos);
            out.push(el("line").class("grid").num("x1", LEFT).num("x2", RIGHT).num("y1", at).num("y2", at));
            out.push(tick(at, &words::duration(nanos as i64)));
        }
        if let Some(seal) = a.run.workloads.iter().find(|s| s.name == w.name) {
            let deadline = seal.service.deadline.as_nanos() as f64;
            if deadline.log10() <= high && deadline.log10() >= low {
                let at = of(deadline);
                out.push(el("line").class("deadline").num("x1", LEFT).num("x2", RIGHT).num("y1", at).num("y2", at));
            }
        }
        for (class, value) in [("p50", (|b| b.p50) as fn(&Bucket) -> i64), ("p95", |b| b.p95), ("p99", |b| b.p99)] {
            let path = polyline(series, value, |i| panels.x(series, i), of);
            out.push(el("path").class(class).attr("d", &path));
        }
        let overall = w.latency.map_or_else(
            || "no answer".to_owned(),
            |p| format!("p50 {}, p99 {}", words::duration(p.p50), words::duration(p.p99)),
        );
        out.push(el("text").class("panel end").at(RIGHT - 4.0, y - 4.0).text(&overall));
        out
    });
    let description = "From the moment an operation was due to its answer, answered ones only: solid p50, dashed p95, dotted \
                       p99; the red line is the deadline. Logarithmic.";
    figure("latency", "Latency over time", description, height, inner, data(&by_phase(a)))
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
    let panels = Panels::new(a, 56.0);
    let (inner, height) = panels.draw(|_, series, y| {
        let bottom = y + panels.height;
        let seconds = words::seconds(series.width).max(1e-9);
        let highest = series.buckets.iter().map(|b| b.due).max().unwrap_or(0).max(1);
        let of = |count: u64| bottom - (count as f64 / f64::from(highest)).min(1.0) * panels.height;
        let kinds: [(&str, Column); 4] =
            [("served", |b| b.served), ("other", |b| b.other), ("unknown", |b| b.unknown), ("failed", |b| b.fail)];
        let mut out = Markup::from(frame(y, panels.height));
        for (i, (class, value)) in kinds.iter().enumerate() {
            let below = |b: &Bucket| kinds[..i].iter().map(|(_, v)| u64::from(v(b))).sum::<u64>();
            let spans: Vec<(u64, u64)> =
                series.buckets.iter().map(|b| (below(b), below(b) + u64::from(value(b)))).collect();
            let path: String = runs(&spans)
                .into_iter()
                .filter(|(_, _, (from, to))| from < to)
                .map(|(i, end, (from, to))| {
                    let (x0, x1) = (number(panels.x(series, i)), number(panels.x(series, end)));
                    format!("M{x0} {}H{x1}V{}H{x0}Z", number(of(to)), number(of(from)))
                })
                .collect();
            if !path.is_empty() {
                out.push(el("path").class(class).attr("d", &path));
            }
        }
        out.push(tick(y, &format!("{:.0}/s", f64::from(highest) / seconds)));
        out.push(tick(bottom, "0"));
        out
    });
    let description = "Operations a second by when they were due, and what became of them.";
    figure("rate", "Rate and errors", description, height, inner, data(&errors_by_phase(a))).child(legend(&[
        ("served", "served"),
        ("other", "late or missed"),
        ("unknown", "unknown"),
        ("failed", "failed"),
    ]))
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
            .child(el("rect").class(class).at(0.0, 0.0).num("width", 12.0).num("height", 12.0))
            .child(Markup::from((*class == "unmeasured").then(|| hatch(0.0, 12.0, 0.0, 12.0))));
        el("li").child(swatch).text(name)
    });
    el("ul").class("legend").children(each)
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

/// What stands in the middle of a phase, summed up.
fn phase_buckets(a: &Analysis, w: &WorkloadResult) -> Vec<(&'static str, Bucket)> {
    let middle = |i: usize| w.series.from + w.series.width * i as i64 + w.series.width / 2;
    a.phases
        .iter()
        .filter_map(|p| {
            let inside: Vec<Bucket> = (0..w.series.buckets.len())
                .filter(|&i| (p.from..p.to).contains(&middle(i)))
                .map(|i| w.series.buckets[i])
                .collect();
            let one = thin(&Series { from: 0, width: 1, buckets: inside }, 1).buckets.pop()?;
            (one.due > 0).then_some((words::phase(p.phase), one))
        })
        .collect()
}

fn by_phase(a: &Analysis) -> Table {
    let latency = |n: i64| if n > 0 { words::duration(n) } else { UNKNOWN.to_owned() };
    let rows = a.workloads.iter().flat_map(|w| {
        phase_buckets(a, w).into_iter().map(|(phase, b)| {
            vec![
                w.name.as_str().into(),
                phase.into(),
                words::count(b.due.into()).into(),
                words::share(b.served.into(), b.due.into()).into(),
                words::share(b.worst_share.into(), 10_000).into(),
                latency(b.p50).into(),
                latency(b.p99).into(),
            ]
        })
    });
    let (l, r) = (Align::Left, Align::Right);
    let columns = [
        ("workload", l),
        ("phase", l),
        ("due", r),
        ("served", r),
        ("worst moment", r),
        ("highest p50", r),
        ("highest p99", r),
    ];
    Table::new("By phase", &columns, rows.collect())
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
    Table::new("By phase", &columns, rows.collect())
}

/// A moment that concerns one chart only.
pub(super) fn needle(x: f64, top: f64, bottom: f64) -> El {
    vertical("needle", x, top, bottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_worst_and_all_counts() {
        let mut buckets = vec![Bucket { due: 10, served: 10, worst_share: 10_000, p99: 5, ..Bucket::default() }; 1_000];
        buckets[517] = Bucket { due: 10, served: 9, fail: 1, worst_share: 0, p99: 70, ..Bucket::default() };
        let thinned = thin(&Series { from: 3, width: 7, buckets }, 100);
        assert_eq!((thinned.buckets.len(), thinned.width, thinned.from), (100, 70, 3));
        assert_eq!(thinned.buckets.iter().map(|b| b.due).sum::<u32>(), 10_000);
        assert_eq!(thinned.buckets.iter().map(|b| b.worst_share).min(), Some(0));
        assert_eq!(thinned.buckets.iter().map(|b| b.p99).max(), Some(70));
    }

    #[test]
    fn equal_neighbours_are_one_run() {
        assert_eq!(runs(&[1, 1, 2, 1]), [(0, 2, 1), (2, 3, 2), (3, 4, 1)]);
    }
}
