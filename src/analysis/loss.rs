//! RPO actual: how much and how old what was lost is, holes in what is left, and the pictures of it.
//! Which write is lost, `ledger` has decided.

use super::ledger::{Books, acked};
use super::recovery::Clock;
use super::{Class, FaultLoss, LostRun};
use crate::model::{Action, Interval, OpRecord, Ops};

/// The clock of the first fault of a phase, and when sustained service began after it (if it did).
pub(super) struct Chapter<'a> {
    pub clock: &'a Clock,
    pub back: Option<i64>,
}

/// A ledger must have acknowledged something in this time before the fault, or its RPO means nothing.
const RECENT: i64 = 1_000_000_000;
const RUNS: usize = 1_000;
const STRIP: usize = 2_000;

/// s₀, d₀ and d₁ of the lost writes of one fault.
#[derive(Debug, Clone, Copy)]
struct Edge {
    sent_first: i64,
    done_first: i64,
    done_last: i64,
    count: u64,
}

impl Edge {
    fn add(edge: Option<Self>, op: &OpRecord) -> Option<Self> {
        let (sent, done) = (op.sent.0, op.done.0);
        let old = edge.unwrap_or(Self { sent_first: sent, done_first: done, done_last: done, count: 0 });
        Some(Self {
            sent_first: old.sent_first.min(sent),
            done_first: old.done_first.min(done),
            done_last: old.done_last.max(done),
            count: old.count + 1,
        })
    }

    /// E = the fault, or the last acknowledgement that is lost, if that came later.
    fn end(&self, clock: &Clock) -> (i64, i64) {
        (clock.lo.max(self.done_last), clock.hi.max(self.done_last))
    }

    /// RPO actual (time) ∈ [max(0, E.lo − d₀), E.hi − s₀].
    fn rpo(&self, clock: &Clock) -> Option<Interval> {
        let (lo, hi) = self.end(clock);
        Interval::between(lo - self.done_first, hi - self.sent_first)
    }
}

/// Fills in what the ledger lost, fault by fault. Returns internal errors.
pub(super) fn count(books: &mut Books, ops: &Ops, chapters: &[Chapter], t0: i64) -> Vec<String> {
    let mut internal = Vec::new();
    if !books.decided() {
        return internal;
    }
    let edges = edges(books, ops, chapters);
    let mut worst: Option<Interval> = None;
    for (chapter, edge) in chapters.iter().zip(&edges) {
        let rpo = edge.map_or(Some(Interval::exact(0)), |edge| edge.rpo(chapter.clock));
        if rpo.is_none() {
            internal.push(format!("RPO after `{}`", chapter.clock.fault));
        }
        let acknowledged = recently_acknowledged(ops, chapter.clock);
        let rpo = rpo.filter(|_| acknowledged);
        if !acknowledged && books.result.why.is_none() {
            books.result.why = Some(format!(
                "nothing was acknowledged in the second before `{}`, so there was nothing to lose",
                chapter.clock.fault
            ));
        }
        worst = match (worst, rpo) {
            (Some(a), Some(b)) if a.high >= b.high => Some(a),
            (a, b) => b.or(a),
        };
        let (fault, lost) = (chapter.clock.fault.clone(), edge.map_or(0, |edge| edge.count));
        books.result.losses.push(FaultLoss { fault, lost, rpo_time: rpo });
    }
    let all_known = books.result.losses.iter().all(|loss| loss.rpo_time.is_some());
    books.result.rpo_time = worst.filter(|_| all_known && books.result.lost_upper == Some(0));
    books.result.holes = Some(holes(books, ops, chapters, &edges));
    if chapters.len() == 1 {
        books.result.losses.clear();
    }
    books.result.lost_runs = lost_runs(books, ops, t0);
    books.result.ages = ages(books, ops, chapters, &edges);
    internal
}

/// A lost write belongs to the last fault after whose predecessor service was back when it was sent.
fn belongs(chapters: &[Chapter], op: &OpRecord) -> usize {
    let after = |pair: &[Chapter]| {
        let before = pair[0].back.unwrap_or(pair[1].clock.lo).min(pair[1].clock.lo);
        op.sent.0 >= before
    };
    chapters.windows(2).take_while(|pair| after(pair)).count()
}

fn edges(books: &Books, ops: &Ops, chapters: &[Chapter]) -> Vec<Option<Edge>> {
    let mut edges = vec![None; chapters.len()];
    for (op, _) in books.lost_writes(ops) {
        if let Some(edge) = edges.get_mut(belongs(chapters, &op)) {
            *edge = Edge::add(*edge, &op);
        }
    }
    edges
}

fn recently_acknowledged(ops: &Ops, clock: &Clock) -> bool {
    let recent = clock.lo - RECENT..=clock.lo;
    (0..ops.len()).any(|place| recent.contains(&ops.done(place).0) && acked(ops, place).is_some())
}

/// Acknowledged writes that are there although they were sent after the first lost one had been acknowledged, up to
/// the fault: what is left is then not a prefix of what was written.
fn holes(books: &Books, ops: &Ops, chapters: &[Chapter], edges: &[Option<Edge>]) -> u64 {
    let spans: Vec<(i64, i64)> = chapters
        .iter()
        .zip(edges)
        .filter_map(|(chapter, edge)| edge.map(|edge| (edge.done_first, edge.end(chapter.clock).1)))
        .collect();
    if spans.is_empty() {
        return 0;
    }
    let hole = |place: &usize| {
        let (sent, done) = (ops.sent(*place).0, ops.done(*place).0);
        spans.iter().any(|(from, to)| sent > *from && done <= *to)
            && acked(ops, *place).is_some_and(|key| books.is_there(key))
    };
    (0..ops.len()).filter(hole).count() as u64
}

fn lost_runs(books: &Books, ops: &Ops, t0: i64) -> Vec<LostRun> {
    let all = books.lost.iter().flat_map(|(writer, runs)| runs.iter().map(|run| (*writer, *run)));
    let run = |(writer, (from, to))| LostRun { writer, from, to, acked_first: 0, acked_last: i64::MIN };
    let mut runs: Vec<LostRun> = all.take(RUNS).map(run).collect();
    for (op, key) in books.lost_writes(ops) {
        let place = runs.partition_point(|run| (run.writer, run.to) < (key.writer, key.seq));
        let Some(run) = runs.get_mut(place).filter(|run| run.writer == key.writer && run.from <= key.seq) else {
            continue;
        };
        let acked = op.done.0 - t0;
        run.acked_last = run.acked_last.max(acked);
        if run.from == key.seq {
            run.acked_first = acked;
        }
    }
    runs
}

/// Ages at E of the lost writes, in steps of 1, 2, 5: (upper bound, count), from the first to the last that has any.
fn ages(books: &Books, ops: &Ops, chapters: &[Chapter], edges: &[Option<Edge>]) -> Vec<(i64, u64)> {
    let bounds: Vec<i64> = (6..13).flat_map(|power| [1, 2, 5].map(|step| step * 10_i64.pow(power))).collect();
    let mut counts = vec![0_u64; bounds.len() + 1];
    for (op, _) in books.lost_writes(ops) {
        let place = belongs(chapters, &op);
        if let (Some(chapter), Some(Some(edge))) = (chapters.get(place), edges.get(place)) {
            let age = (edge.end(chapter.clock).0 - op.done.0).max(0);
            counts[bounds.partition_point(|bound| *bound < age)] += 1;
        }
    }
    let (Some(first), Some(last)) = (counts.iter().position(|n| *n > 0), counts.iter().rposition(|n| *n > 0)) else {
        return Vec::new();
    };
    (first..=last).map(|i| (bounds.get(i).copied().unwrap_or(i64::MAX), counts[i])).collect()
}

/// Writes due in [from, to] by due time, at most 2,000; beyond that each slice of time shows its best and its worst.
pub(super) fn strip(books: &Books, ops: &Ops, from: i64, to: i64, t0: i64) -> Vec<(i64, Class)> {
    let shown = |place: usize| {
        let due = ops.due(place).0;
        let written = (from..=to).contains(&due) && ops.action(place) == Action::Write;
        let key = written.then(|| ops.key(place)).flatten()?;
        Some((due - t0, books.class(key)))
    };
    let mut all: Vec<(i64, Class)> = (0..ops.len()).filter_map(shown).collect();
    all.sort_unstable();
    if all.len() <= STRIP {
        return all;
    }
    let slice = all.len().div_ceil(STRIP / 2);
    let envelope = |part: &[(i64, Class)]| {
        let best = part.iter().copied().min_by_key(|(due, class)| (*class, *due));
        let worst = part.iter().copied().max_by_key(|(due, class)| (*class, std::cmp::Reverse(*due)));
        let mut pair: Vec<(i64, Class)> = best.into_iter().chain(worst).collect();
        pair.sort_unstable();
        pair.dedup();
        pair
    };
    all.chunks(slice).flat_map(envelope).collect()
}
