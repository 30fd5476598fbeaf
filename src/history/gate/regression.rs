//! Was the last run worse than those before it? Only runs of the same class are compared, only those that passed and verify,
//! and only with enough of them. No test of significance: a handful of figures supports none.

use super::judge::round;
use super::{Asked, Evidence, Integrity, Reason, Rules};
use crate::event::EarlierFigure;
use crate::history::entry::same_figure;
use crate::history::numbers::{median, most};
use crate::history::trend::unit;
use serde::Serialize;

/// Layer 2.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Why nothing was compared; none if something was.
    pub not_comparable: Option<String>,
    /// So many earlier runs were compared with.
    pub runs: usize,
    /// Figure by figure.
    pub figures: Vec<Compared>,
    /// What all comparable runs support together.
    pub bounds: Vec<Bound>,
}

/// A figure against those of earlier runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// `rto`, …
    pub objective: String,
    /// The workload; empty if it is about the drill.
    pub workload: String,
    /// `s` or `writes`
    pub unit: &'static str,
    /// Of the last run; null: it was not measured.
    pub low: Option<f64>,
    /// Of the last run.
    pub best: Option<f64>,
    /// Of the earlier ones.
    pub median: f64,
    /// Of the earlier ones.
    pub most: f64,
    /// It is worse than both, or nobody knows.
    pub worse: bool,
    /// In a sentence.
    pub text: String,
}

/// Of all runs of this kind, a share stays below.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// `rto`, …
    pub objective: String,
    /// The workload.
    pub workload: String,
    /// `s` or `writes`
    pub unit: &'static str,
    /// So many runs support it.
    pub runs: u64,
    /// The bound.
    pub within: f64,
}

impl Layer {
    /// Nothing was compared.
    pub(super) fn none(why: impl Into<String>) -> Self {
        Self { not_comparable: Some(why.into()), runs: 0, figures: Vec::new(), bounds: Vec::new() }
    }
}

/// Holds the last run against earlier ones.
pub(super) fn layer(last: &Evidence, earlier: &[&Evidence], rules: &Rules) -> Layer {
    let sound: Vec<&Evidence> =
        earlier.iter().copied().filter(|run| run.seal.integrity == Integrity::Intact && run.entry.ran()).collect();
    let alike: Vec<&Evidence> = sound.iter().copied().filter(|run| run.entry.class == last.entry.class).collect();
    let passed: Vec<&Evidence> = alike.iter().copied().filter(|run| run.entry.passed()).collect();
    let bounds = bounds(last, &alike, rules);
    if passed.len() < rules.least.max(1) {
        let others = sound.len() - alike.len();
        let more = if others == 0 {
            String::new()
        } else {
            format!("; {others} have another playbook, other parameters or another load")
        };
        let runs = if passed.len() == 1 { "run" } else { "runs" };
        let why = format!("{} comparable {runs} that passed, {} are needed{more}", passed.len(), rules.least.max(1));
        return Layer { bounds, ..Layer::none(why) };
    }
    let figures = last.entry.figures.iter().filter_map(|figure| compared(figure, &passed, rules)).collect();
    Layer { not_comparable: None, runs: passed.len(), figures, bounds }
}

fn compared(figure: &EarlierFigure, passed: &[&Evidence], rules: &Rules) -> Option<Compared> {
    let same: Vec<&EarlierFigure> =
        passed.iter().filter_map(|run| run.entry.figures.iter().find(|f| same_figure(f, figure))).collect();
    let median = median(same.iter().filter_map(|f| f.best))?;
    let most = most(same.iter().filter_map(|f| f.high))?;
    // What was not measured may be as bad as anything.
    let worse = figure.low.is_none_or(|low| low > median * (1.0 + rules.tolerance) && low > most);
    let (objective, workload) = (figure.objective.clone(), figure.workload.clone());
    let unit = unit(&objective);
    let of = if workload.is_empty() { String::new() } else { format!(" of {workload}") };
    let now = figure.best.map_or("not measured".to_owned(), |best| format!("{} {unit}", round(best)));
    let is = if worse { "worse than before" } else { "as before" };
    let runs = same.len();
    let text = format!(
        "{objective}{of}: {is}, {now}; of {runs} earlier runs the median is {} {unit}, the most {} {unit}",
        round(median),
        round(most)
    );
    Some(Compared { objective, workload, unit, low: figure.low, best: figure.best, median, most, worse, text })
}

/// Order statistics over all comparable runs, those that did not pass among them: one that was not measured counts as one
/// that took for ever.
fn bounds(last: &Evidence, alike: &[&Evidence], rules: &Rules) -> Vec<Bound> {
    let bound = |figure: &EarlierFigure| {
        let of = |run: &&Evidence| run.entry.figures.iter().find(|f| same_figure(f, figure)).and_then(|f| f.high);
        let mut highs: Vec<f64> =
            alike.iter().map(of).chain([figure.high]).map(|high| high.unwrap_or(f64::INFINITY)).collect();
        highs.sort_by(f64::total_cmp);
        let runs = highs.len() as u64;
        let allowed = usize::try_from((rules.allowed)(runs)?).ok()?;
        let within = *highs.get(highs.len().checked_sub(1 + allowed)?)?;
        let (objective, workload) = (figure.objective.clone(), figure.workload.clone());
        within.is_finite().then(|| Bound { unit: unit(&objective), objective, workload, runs, within })
    };
    last.entry.figures.iter().filter_map(bound).collect()
}

/// What decides, where regressions do.
pub(super) fn reasons(layer: &Layer, asked: &Asked) -> Vec<Reason> {
    let worse = layer.figures.iter().filter(|figure| figure.worse);
    worse.map(|figure| Reason::bad("regression", figure.text.clone(), asked.again())).collect()
}
