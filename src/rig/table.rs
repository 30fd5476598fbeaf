//! Coverage and width of many runs, as a table and as a verdict. Pure.

use super::judge::{Gaps, Judged, Measure};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// All that was found in several runs.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// How many.
    pub runs: usize,
    /// Runs in which the runner could not see for a while.
    pub blind: usize,
    /// How long it could not, in all, in nanoseconds.
    pub stalled: i64,
    /// What stamping costs.
    pub gaps: Gaps,
    rows: BTreeMap<Measure, Row>,
    /// What is wrong, in words.
    pub complaints: Vec<String>,
    /// What could not be judged.
    pub broken: usize,
}

#[derive(Debug, Clone, Default)]
struct Row {
    checks: usize,
    inside: usize,
    /// Widths and their share of what is usual, and of what is allowed at all.
    widths: Vec<i64>,
    usual: usize,
    within: usize,
}

/// What it all amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Every truth inside, every interval narrow enough.
    Right,
    /// The machine was too busy to say.
    Busy,
    /// A truth outside, or an interval too wide.
    Wrong,
}

/// Of a hundred intervals so many may be wider than the service time of 99 of 100 explains: two operations make an
/// interval, and each has its one in a hundred; the rest is for few intervals.
const TAIL: usize = 8;

impl Table {
    /// Adds a run.
    pub fn add(&mut self, name: &str, judged: &Judged) {
        self.runs += 1;
        self.blind += usize::from(judged.stalled > 0);
        self.stalled += judged.stalled;
        self.broken += usize::from(!judged.broken.is_empty());
        self.gaps.add(&judged.gaps);
        for check in &judged.checks {
            let row = self.rows.entry(check.measure).or_default();
            row.checks += 1;
            row.inside += usize::from(check.inside);
            if let Some(width) = check.width {
                row.widths.push(width.is);
                row.usual += usize::from(width.is <= width.usual);
                row.within += usize::from(width.is <= width.limit);
            }
        }
        self.complaints.extend(judged.complaints().into_iter().map(|said| format!("{name}: {said}")));
    }

    /// How many truths lay inside, of how many.
    #[must_use]
    pub fn coverage(&self) -> (usize, usize) {
        self.rows.values().fold((0, 0), |(inside, all), row| (inside + row.inside, all + row.checks))
    }

    /// Are nearly all intervals as narrow as the usual service time explains?
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        let (usual, all) = self.rows.values().fold((0, 0), |(u, n), row| (u + row.usual, n + row.widths.len()));
        (all - usual) * 100 <= all * TAIL + 100
    }

    /// What it amounts to; `late` is how late the schedule may be, in nanoseconds, in 99 of 100 operations. A truth
    /// outside is wrong however busy the machine is: an interval says what was not seen, too.
    #[must_use]
    pub fn finding(&self, late: i64) -> Finding {
        let (inside, all) = self.coverage();
        let busy = self.blind > 0 || self.broken > 0 || at(&self.gaps.late, 99) > late;
        match (self.complaints.is_empty() && self.is_narrow(), inside == all && busy) {
            _ if all == 0 => Finding::Busy,
            (true, _) => Finding::Right,
            (false, true) => Finding::Busy,
            (false, false) => Finding::Wrong,
        }
    }

    /// The table, for programs: widths in nanoseconds.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let row = |(measure, row): (&Measure, &Row)| {
            let (p50, max) = (at(&row.widths, 50), at(&row.widths, 100));
            serde_json::json!({
                "measure": measure.word(), "checks": row.checks, "inside": row.inside, "intervals": row.widths.len(),
                "width_p50_ns": p50, "width_max_ns": max, "as_usual": row.usual, "within": row.within,
            })
        };
        self.rows.iter().map(row).collect()
    }

    /// The table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<26} {:>6} {:>9} {:>12} {:>12} {:>10} {:>10}\n",
            "what", "checks", "inside", "width p50", "width max", "as usual", "within"
        );
        for (measure, row) in &self.rows {
            let share = |n: usize, of: usize| match of {
                0 => "-".to_owned(),
                _ => format!("{:.1} %", 100.0 * n as f64 / of as f64),
            };
            let mut widths = row.widths.clone();
            widths.sort_unstable();
            let width = |percent| if widths.is_empty() { "-".to_owned() } else { time(at(&widths, percent)) };
            let _infallible = writeln!(
                text,
                "{:<26} {:>6} {:>9} {:>12} {:>12} {:>10} {:>10}",
                measure.word(),
                row.checks,
                share(row.inside, row.checks),
                width(50),
                width(100),
                share(row.usual, row.widths.len()),
                share(row.within, row.widths.len())
            );
        }
        text
    }

    /// All of it in one line, for a record of what was found when.
    #[must_use]
    pub fn line(&self) -> String {
        let (inside, all) = self.coverage();
        let sum = |of: fn(&Row) -> usize| self.rows.values().map(of).sum::<usize>();
        let (widths, usual, within) = (sum(|row| row.widths.len()), sum(|row| row.usual), sum(|row| row.within));
        format!(
            "{} drills, {inside} of {all} truths inside; of {widths} intervals {usual} as narrow as the usual service time \
             explains and {} wider than they may be; {} complaints; in {} drills the runner could not see for a while \
             ({}); lateness p50 {}, p99 {}, max {}",
            self.runs,
            widths - within,
            self.complaints.len(),
            self.blind,
            time(self.stalled),
            time(at(&self.gaps.late, 50)),
            time(at(&self.gaps.late, 99)),
            time(at(&self.gaps.late, 100))
        )
    }

    /// What the runner itself costs: how late it sent, and what lies between its stamps and the rig's.
    #[must_use]
    pub fn overhead(&self) -> String {
        let line = |what: &str, times: &[i64]| {
            let of = |percent| time(at(times, percent));
            format!("{what:<52} {:>10} {:>10} {:>10} {:>10}\n", of(50), of(95), of(99), of(100))
        };
        format!(
            "{:<52} {:>10} {:>10} {:>10} {:>10}\n{}{}{}",
            format!("of {} quiet operations", self.gaps.late.len()),
            "p50",
            "p95",
            "p99",
            "max",
            line("lateness: from due to sent", &self.gaps.late),
            line("from our `sent` to the server having read it", &self.gaps.out),
            line("from the server's answer to our `done`", &self.gaps.back)
        )
    }
}

/// The value that so many of a hundred do not exceed; 0 of nothing.
fn at(times: &[i64], percent: usize) -> i64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}

/// Nanoseconds for people.
#[must_use]
pub fn time(nanos: i64) -> String {
    match nanos.abs() {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::{Check, Width};
    use super::*;

    fn judged(inside: bool, is: i64) -> Judged {
        let width = Some(Width { is, usual: 20_000_000, limit: 40_000_000 });
        let (of, said) = ("page".to_owned(), "said".to_owned());
        Judged { checks: vec![Check { of, measure: Measure::Restored, inside, width, said }], ..Judged::default() }
    }

    fn table(runs: &[Judged]) -> Table {
        let mut table = Table::default();
        runs.iter().for_each(|run| table.add("run", run));
        table
    }

    #[test]
    fn a_truth_outside_is_wrong_however_busy_the_machine_is() {
        let fine = judged(true, 10_000_000);
        assert_eq!(table(std::slice::from_ref(&fine)).finding(0), Finding::Right);
        let mut outside = judged(false, 10_000_000);
        outside.stalled = 1;
        assert_eq!(table(&[fine.clone(), outside]).finding(0), Finding::Wrong);
        let mut wide = judged(true, 50_000_000);
        assert_eq!(table(&[fine.clone(), wide.clone()]).finding(0), Finding::Wrong);
        wide.stalled = 1;
        assert_eq!(table(&[fine, wide]).finding(0), Finding::Busy);
        assert_eq!(table(&[]).finding(0), Finding::Busy);
    }

    #[test]
    fn a_few_may_take_longer_than_usual_and_not_more() {
        let with = |wide: usize| {
            let runs: Vec<Judged> = (0..100).map(|n| judged(true, if n < wide { 30_000_000 } else { 1 })).collect();
            table(&runs).finding(0)
        };
        assert_eq!((with(9), with(10)), (Finding::Right, Finding::Wrong));
    }

    #[test]
    fn the_table_says_coverage_and_width() {
        let mut table = table(&[judged(true, 10_000_000), judged(true, 30_000_000), judged(false, 2_000)]);
        table.gaps.late = (1..=100).map(|n| n * 1_000).collect();
        let text = table.text();
        assert!(
            text.lines().nth(1).is_some_and(|row| row.starts_with("first restored (hard)")
                && row.contains("66.7 %")
                && row.contains("10.0 ms")
                && row.contains("30.0 ms")),
            "{text}"
        );
        assert!(table.overhead().contains("50.0 µs") && table.overhead().contains("100.0 µs"), "{}", table.overhead());
        assert_eq!(table.coverage(), (2, 3));
        assert_eq!(
            table.line(),
            "3 drills, 2 of 3 truths inside; of 3 intervals 2 as narrow as the usual service time explains and 0 wider \
             than they may be; 1 complaints; in 0 drills the runner could not see for a while (0 ns); lateness p50 50.0 µs, \
             p99 99.0 µs, max 100.0 µs"
        );
        assert!(table.complaints[0].contains("run: page: first restored"), "{:?}", table.complaints);
    }
}
