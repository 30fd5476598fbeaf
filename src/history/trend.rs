//! How the figures of a drill went over its runs: one series per drill, environment and objective, in the order of time.

use super::entry::{Entry, same_figure};
use super::numbers::{median, most};
use crate::event::EarlierFigure;
use crate::model::{RunId, RunState, Verdict};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A figure over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The drill.
    pub drill: String,
    /// The environment.
    pub environment: String,
    /// `rto`, `rpo_time`, `rpo_writes`, `detect`
    pub objective: String,
    /// The workload; empty if it is about the drill.
    pub workload: String,
    /// The fault it counts from.
    pub fault: String,
    /// Its clock.
    pub basis: String,
    /// `s` or `writes`
    pub unit: &'static str,
    /// Run by run, oldest first.
    pub points: Vec<Point>,
    /// Of the comparable runs that measured it; the last one is one of them.
    pub median: Option<f64>,
    /// The worst of them: the upper end of the highest.
    pub worst: Option<f64>,
    /// So many are comparable with the last one and measured it, itself among them.
    pub comparable: usize,
}

/// A figure in one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How it ended.
    pub state: RunState,
    /// What it came to.
    pub verdict: Verdict,
    /// The interval; null if it was not measured.
    pub low: Option<f64>,
    /// Best value.
    pub best: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The target at that time.
    pub target: f64,
    /// Is it of the same class as the last run of the series?
    pub comparable: bool,
    /// Against the median of the comparable ones of the last few before it, as a share of that: 0.1 is a tenth more. Null
    /// where there is none, or where that median is 0.
    pub change: Option<f64>,
}

/// The unit of an objective.
#[must_use]
pub fn unit(objective: &str) -> &'static str {
    if objective == "rpo_writes" { "writes" } else { "s" }
}

/// All series of these runs, which are oldest first. `before` is how many runs before each it is held against.
#[must_use]
pub fn trend(entries: &[Entry], before: usize) -> Vec<Series> {
    let mut keys: Vec<(&Entry, &EarlierFigure)> = Vec::new();
    for entry in entries {
        for figure in &entry.figures {
            if !keys.iter().any(|(e, f)| alike(e, entry) && same_figure(f, figure)) {
                keys.push((entry, figure));
            }
        }
    }
    keys.sort_by(|(a, _), (b, _)| (&a.drill, &a.environment).cmp(&(&b.drill, &b.environment)));
    keys.into_iter().map(|(entry, figure)| series(entries, entry, figure, before)).collect()
}

fn alike(a: &Entry, b: &Entry) -> bool {
    a.drill == b.drill && a.environment == b.environment
}

fn series(entries: &[Entry], of: &Entry, figure: &EarlierFigure, before: usize) -> Series {
    let runs: Vec<(&Entry, &EarlierFigure)> = entries
        .iter()
        .filter(|entry| alike(entry, of) && entry.ran())
        .filter_map(|entry| Some((entry, entry.figures.iter().find(|f| same_figure(f, figure))?)))
        .collect();
    let class = runs.last().map_or("", |(entry, _)| entry.class.as_str());
    let points = runs.iter().enumerate().map(|(n, run)| point(*run, class, &runs[..n], before)).collect();
    let measured = || runs.iter().filter(|(e, f)| e.class == class && f.best.is_some());
    Series {
        drill: of.drill.to_string(),
        environment: of.environment.clone(),
        objective: figure.objective.clone(),
        workload: figure.workload.clone(),
        fault: figure.fault.clone(),
        basis: figure.basis.clone(),
        unit: unit(&figure.objective),
        points,
        median: median(measured().filter_map(|(_, f)| f.best)),
        worst: most(measured().filter_map(|(_, f)| f.high)),
        comparable: measured().count(),
    }
}

fn point(
    (entry, figure): (&Entry, &EarlierFigure),
    class: &str,
    earlier: &[(&Entry, &EarlierFigure)],
    before: usize,
) -> Point {
    let alike = earlier.iter().rev().filter(|(e, f)| e.class == entry.class && f.best.is_some()).take(before);
    let usual = median(alike.filter_map(|(_, f)| f.best));
    let change = figure.best.zip(usual).filter(|(_, usual)| *usual > 0.0).map(|(best, usual)| best / usual - 1.0);
    Point {
        run: entry.run.clone(),
        started: entry.started,
        state: entry.state,
        verdict: entry.verdict,
        low: figure.low,
        best: figure.best,
        high: figure.high,
        target: figure.target,
        comparable: entry.class == class,
        change,
    }
}

/// Figures as a line of blocks, from 0 to the highest; what was not measured is a middle dot.
#[must_use]
pub fn sparkline(figures: &[Option<f64>]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = most(figures.iter().copied().flatten()).unwrap_or(0.0);
    let block = |x: f64| {
        let share = if highest > 0.0 { (x / highest).clamp(0.0, 1.0) } else { 0.0 };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    };
    figures.iter().map(|figure| figure.filter(|x| x.is_finite()).map_or('·', block)).collect()
}
