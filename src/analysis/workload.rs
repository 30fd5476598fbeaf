//! One workload: counts, latency, outages, recoveries, its ledger and its series, put together.

use super::lane::Lane;
use super::loss::{self, Chapter};
use super::parts::{Copy, Told};
use super::places::Places;
use super::recovery::{Clock, Judged, Measured};
use super::story::Story;
use super::{WorkloadResult, ledger, numbers, outage};
use crate::event::{ReadBack, WorkloadSeal};
use crate::model::{Action, Interval, Ops, Span};
use std::collections::BTreeMap;

/// What all workloads share.
#[derive(Clone, Copy)]
pub(super) struct Context<'a, 'l> {
    pub story: &'a Story,
    pub clocks: &'l [Clock],
    pub stalls: &'l [Span],
    pub read_backs: &'a BTreeMap<String, ReadBack>,
}

/// A workload's result, and what only its neighbours and the verdict need.
pub(super) struct Measurement<'a> {
    pub result: WorkloadResult,
    pub judged: Vec<Judged>,
    pub books: Option<ledger::Books<'a>>,
    /// Sites whose own copy lost something.
    pub copies: Vec<Copy>,
    pub notes: Vec<String>,
}

/// Measures one workload by its own operations.
pub(super) fn measure<'a>(seal: &WorkloadSeal, ops: &Ops, told: &Told, context: &Context<'a, '_>) -> Measurement<'a> {
    let main = main_action(seal, ops);
    let places = Places::of(ops, main);
    let lane = Lane::new(ops, &places, &seal.service, seal.rate, context.stalls);
    let t0 = context.story.t0;
    let operations = numbers::counts(ops, &places, lane.deadline);
    let reads = Some(Places::of(ops, Action::Read)).filter(|reads| main == Action::Write && reads.len() > 0);
    let reads = reads.map(|reads| numbers::counts(ops, &reads, lane.deadline));
    let (latency, lateness) = (numbers::latency(ops, &places), numbers::lateness(ops, &places));
    let first = context.clocks.iter().map(|clock| clock.lo).min();
    let latency_before = first.and_then(|fault| numbers::latency_before(ops, &places, fault));
    let series = numbers::series(ops, &places, &lane, t0);
    drop(places);
    let span = (lane.len() > 0).then(|| (lane.due(0) - t0, lane.end() - t0));
    let measured = Measured::of(lane);
    let judged: Vec<Judged> = context.clocks.iter().map(|clock| recover(&measured, clock)).collect();
    let (lane, runs) = (&measured.lane, &measured.runs);
    let mut notes = Vec::new();
    let site = seal.site.as_ref().map(|site| site.name.as_str());
    let read = (context.story, context.read_backs);
    let books = (seal.writers > 0).then(|| ledger::settle(seal, site, told, read, &mut notes));
    let result = WorkloadResult {
        name: seal.name.clone(),
        kind: seal.kind.clone(),
        probe_of: seal.probe_of.clone(),
        operations,
        reads,
        latency,
        latency_before,
        lateness,
        recoveries: Vec::new(),
        outages: runs.iter().map(|run| run.shown(lane, t0)).collect(),
        longest: runs.iter().filter_map(|run| run.downtime(lane)).max_by_key(|i| i.best),
        downtime: outage::sum(runs.iter().filter_map(|run| run.downtime(lane))),
        lost_time: numbers::lost_time(lane),
        degraded: numbers::degraded(lane, runs, measured.level.window),
        ledger: None,
        series,
        measured: span,
    };
    Measurement { result, judged, books, copies: Vec::new(), notes }
}

fn recover(measured: &Measured, clock: &Clock) -> Judged {
    if measured.lane.len() == 0 { Judged::unseen(&clock.fault) } else { measured.recover(clock) }
}

/// A ledger is judged by its writes, everything else by its visits; reads decide no outage.
fn main_action(seal: &WorkloadSeal, ops: &Ops) -> Action {
    let has = |action| (0..ops.len()).any(|place| ops.action(place) == action);
    if seal.writers > 0 || has(Action::Write) {
        Action::Write
    } else if has(Action::Visit) {
        Action::Visit
    } else {
        Action::Read
    }
}

/// Settles a ledger's loss, once its recoveries (its probe's included) are known.
pub(super) fn settle(measurement: &mut Measurement, ops: &Ops, context: &Context) -> Vec<String> {
    let Some(mut books) = measurement.books.take() else { return Vec::new() };
    let t0 = context.story.t0;
    let chapters = chapters(measurement, context);
    let internal = loss::count(&mut books, ops, &chapters, t0);
    if let Some(first) = chapters.first() {
        let (from, to) = window(first, &measurement.result, books.result.rpo_time, t0);
        books.result.strip = loss::strip(&books, ops, from, to, t0);
    }
    measurement.result.ledger = Some(books.result);
    internal
}

fn chapters<'c>(measurement: &Measurement, context: &Context<'_, 'c>) -> Vec<Chapter<'c>> {
    let each = context.clocks.iter().zip(&measurement.judged).filter(|(clock, _)| clock.leads);
    each.map(|(clock, judged)| Chapter { clock, back: judged.back }).collect()
}

/// Counts what each of these sites lost: acknowledged writes that its own copy has not. Returns internal errors.
pub(super) fn settle_copies(
    measurement: &mut Measurement,
    (seal, sites): (&WorkloadSeal, &[String]),
    told: &Told,
    context: &Context,
) -> Vec<String> {
    let mut internal = Vec::new();
    for site in sites {
        let read = (context.story, context.read_backs);
        let mut books = ledger::settle(seal, Some(site), told, read, &mut Vec::new());
        if books.lost.is_empty() {
            continue;
        }
        let chapters = chapters(measurement, context);
        internal.extend(loss::count(&mut books, &told.ops, &chapters, context.story.t0));
        measurement.copies.push((site.clone(), books.result));
    }
    internal
}

/// What the strip shows: from two seconds (or the oldest loss) before the fault to two seconds after the outage.
fn window(first: &Chapter, result: &WorkloadResult, rpo: Option<Interval>, t0: i64) -> (i64, i64) {
    const MARGIN: i64 = 2_000_000_000;
    let clock = first.clock;
    let oldest = clock.lo - rpo.map_or(0, |rpo| rpo.high) - MARGIN / 4;
    let outages = result.outages.iter().filter_map(|outage| outage.to).map(|to| to.high + t0);
    let over = outages.filter(|to| *to >= clock.lo).min().unwrap_or(clock.hi);
    (oldest.min(clock.lo - MARGIN), over.max(clock.hi) + MARGIN)
}
