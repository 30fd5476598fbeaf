//! One service seen from several places: what only one of them could not see is its own gap, each has its own intervals,
//! and the worst decides.

use super::ObjectiveResult;
use super::drift;
use super::recovery::{Clock, Judged};
use super::story::Story;
use super::workload::Measurement;
use crate::event::{RunStarted, VantageSeal, WorkloadSeal};
use crate::model::figure::duration;
use crate::model::{Mono, OpRecord, Ops, Span, WorkloadName};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// By the workload as the playbook calls it: how service came back, the worst of all places, and their names.
pub(super) type Combined = BTreeMap<WorkloadName, (Vec<Judged>, Vec<String>)>;

/// The start of a run, with what is known of the vantages' clocks since.
pub(super) fn timed(mut run: RunStarted, story: &Story) -> RunStarted {
    for vantage in run.workloads.iter_mut().filter_map(|seal| seal.vantage.as_mut()) {
        let apart = story.vantage_clocks.get(&vantage.name).and_then(|looks| drift::apart(looks));
        (vantage.offset, vantage.offset_error) = apart.unwrap_or((vantage.offset, vantage.offset_error));
    }
    run
}

/// A place whose clock is not ours: how far it is ahead, and the error of that.
fn apart(seal: &WorkloadSeal) -> Option<(i64, i64)> {
    let VantageSeal { offset, offset_error, .. } = seal.vantage.as_ref()?;
    ((*offset, *offset_error) != (0, 0)).then_some((*offset, offset_error.abs()))
}

/// The operations with the times of our own clock.
pub(super) fn on_our_clock<'a>(seal: &WorkloadSeal, ops: Cow<'a, Ops>) -> Cow<'a, Ops> {
    let Some((offset, _)) = apart(seal).filter(|(offset, _)| *offset != 0) else { return ops };
    let ours = |at: Mono| at + offset.saturating_neg();
    let shifted = |op: OpRecord| OpRecord { due: ours(op.due), sent: ours(op.sent), done: ours(op.done), ..op };
    Cow::Owned(ops.iter().map(shifted).collect())
}

/// The faults as this place sees them: what is not known of its clock is not known of when they were.
pub(super) fn clocks<'a>(seal: &WorkloadSeal, clocks: &'a [Clock]) -> Cow<'a, [Clock]> {
    match apart(seal) {
        Some((_, error)) if error > 0 => clocks.iter().map(|clock| clock.blurred(error)).collect(),
        _ => Cow::Borrowed(clocks),
    }
}

/// Spans in which this workload could not see: nobody could, or nobody from its place, or its own schedule was late.
pub(super) fn stalls(seal: &WorkloadSeal, story: &Story) -> Vec<Span> {
    let of_runner = story.stalls.iter().filter(|stalled| stalled.concerns(&seal.name)).map(|stalled| stalled.span);
    let Some(vantage) = &seal.vantage else { return of_runner.collect() };
    let (offset, error) = apart(seal).unwrap_or_default();
    let own = story.vantage_stalls.iter().filter(|(name, own)| *name == vantage.name && own.concerns(&seal.name));
    let ours = |span: Span| Span::new(span.lo + (-offset - error), span.hi + (error - offset));
    of_runner.chain(own.map(|(_, own)| ours(own.span))).collect()
}

/// What a reader should know of places that could not see.
pub(super) fn notes(story: &Story) -> Vec<String> {
    let mut blind: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for (name, stalled) in &story.vantage_stalls {
        let sum = blind.entry(name).or_default();
        *sum = (sum.0 + 1, sum.1.saturating_add(stalled.span.width()));
    }
    let told = |(name, (times, width)): (&str, (usize, i64))| {
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        format!(
            "the vantage `{name}` could not see {times}, {} in all: neither up nor down from there",
            duration(width)
        )
    };
    let looked = story.vantage_clocks.iter().filter_map(|(name, looks)| {
        let (_, error) = drift::apart(looks)?;
        Some(format!(
            "the clock of the vantage `{name}` is known to ± {} of ours ({} looks)",
            duration(error),
            looks.len()
        ))
    });
    let placed = story.vantage_pods.iter().map(|(name, place)| format!("the vantage `{name}` was a pod {place}"));
    placed.chain(blind.into_iter().map(told)).chain(looked).collect()
}

/// All places of each workload together.
pub(super) fn combined(seals: &[WorkloadSeal], measured: &[Measurement]) -> Combined {
    let mut combined = Combined::new();
    for seal in seals {
        let Some(vantage) = &seal.vantage else { continue };
        let Some(own) = measured.iter().find(|m| m.result.name == seal.name) else { continue };
        match combined.get_mut(&vantage.of) {
            None => {
                combined.insert(vantage.of.clone(), (own.judged.clone(), vec![vantage.name.clone()]));
            }
            Some((judged, names)) => {
                let so_far = std::mem::take(judged);
                *judged = so_far.into_iter().zip(&own.judged).map(|(a, b)| a.worse(b.clone())).collect();
                names.push(vantage.name.clone());
            }
        }
    }
    combined
}

/// Says of how many places the worst was taken.
pub(super) fn named(mut result: ObjectiveResult, combined: &Combined) -> ObjectiveResult {
    if let Some((_, names)) = combined.get(&result.objective.workload).filter(|(_, names)| names.len() > 1) {
        result.why = format!("{}; the worst of what {} saw", result.why, names.join(", "));
    }
    result
}
