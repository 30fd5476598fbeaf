//! A ledger's books from its operations log and its read-backs. Which class a write has, `ledger` decides.

use super::parts::Told as Writes;
use super::story::Story;
use super::{Class, LedgerResult};
use crate::event::{ReadBack, ReadBackDone, ReadBackStage, WorkloadSeal, WriterFindings};
use crate::ledger::{Keep, Ledger, Log, Told, Verified};
use crate::model::{Action, Found, Key, Mono, OpRecord, Ops, Outcome};
use std::collections::BTreeMap;

/// The site that stands for what clients see; its final read-back decides.
const SERVICE: &str = "service";

/// The ledger's numbers, and what decides the class of each write.
#[derive(Debug)]
pub(super) struct Books<'a> {
    pub result: LedgerResult,
    /// What clients were told.
    told: Ledger,
    /// The final read-back; without one nothing is decided.
    last: Option<&'a ReadBack>,
    /// Lost writes as inclusive runs by writer.
    pub lost: BTreeMap<u16, Vec<(u64, u64)>>,
}

/// The read-backs of one ledger.
struct Looks<'a> {
    last: Option<&'a ReadBack>,
    early: Option<(&'a ReadBack, Option<i64>)>,
    others: Vec<(&'a str, &'a ReadBack)>,
    error: Option<String>,
}

/// Settles the books of one ledger: by what clients see, or by what one site has.
pub(super) fn settle<'a>(
    seal: &WorkloadSeal,
    site: Option<&str>,
    writes: &Writes,
    (story, read_backs): (&'a Story, &'a BTreeMap<String, ReadBack>),
    notes: &mut Vec<String>,
) -> Books<'a> {
    let looks = match site {
        None => Looks::of(seal, story, read_backs),
        Some(site) => Looks::at(site, seal, story, read_backs),
    };
    let ops = &*writes.ops;
    let mut told = recorded(ops);
    let mut result = LedgerResult { resolution: super::lane::period(writes.rate()), ..LedgerResult::default() };
    let verified = told.verify(looks.last.unwrap_or(&ReadBack::default()), log(writes, story));
    (result.attempted, result.acked, result.acked_local) = (verified.attempted, verified.acked, verified.acked_local);
    stale(ops, &told, &mut result);
    let Some(last) = looks.last else {
        let why = looks
            .error
            .map_or("there is no final read-back".to_owned(), |e| format!("the final read-back failed: {e}"));
        result.why = Some(why);
        return Books { result, told, last: None, lost: BTreeMap::new() };
    };
    fill(&verified, &mut result);
    compare_early(ops, looks.early, last, &mut result);
    observed_then_lost(ops, last, &mut result);
    for (site, other) in looks.others {
        if let Some(note) = differs(&seal.name, site, other, last) {
            notes.push(note);
        }
    }
    Books { result, told, last: Some(last), lost: verified.lost_runs }
}

impl Books<'_> {
    /// Is there a final read-back that decides?
    pub fn decided(&self) -> bool {
        self.last.is_some()
    }

    /// Which of the lost runs holds it.
    pub fn lost_run(&self, key: Key) -> Option<(u64, u64)> {
        let runs = self.lost.get(&key.writer)?;
        runs.get(runs.partition_point(|(_, to)| *to < key.seq)).copied().filter(|(from, _)| *from <= key.seq)
    }

    /// Acknowledged writes that are lost, in the log's order.
    pub fn lost_writes<'o>(&'o self, ops: &'o Ops) -> impl Iterator<Item = (OpRecord, Key)> + 'o {
        let some = if self.lost.is_empty() { 0 } else { ops.len() };
        (0..some).filter_map(|place| {
            let key = acked(ops, place).filter(|key| self.lost_run(*key).is_some())?;
            Some((ops.at(place), key))
        })
    }

    /// Is it there (damaged or not)?
    pub fn is_there(&self, key: Key) -> bool {
        self.last.is_some_and(|last| has(last.writers.get(&key.writer), key.seq))
    }

    /// What became of a write.
    pub fn class(&self, key: Key) -> Class {
        let Some(last) = self.last else { return Class::Unknown };
        let findings = last.writers.get(&key.writer);
        let odd = |f: &WriterFindings| {
            f.corrupted.binary_search(&key.seq).is_ok()
                || f.duplicated.binary_search_by_key(&key.seq, |(seq, ..)| *seq).is_ok()
        };
        match (self.told.told(key), has(findings, key.seq)) {
            (Some(_), true) if findings.is_some_and(odd) => Class::Odd,
            (Some(Told::Acked), true) => Class::Kept,
            (Some(Told::Acked), false) => Class::Lost,
            (Some(Told::Failed), true) => Class::Odd,
            (Some(Told::Failed), false) => Class::Failed,
            (Some(Told::Local | Told::Unknown) | None, _) => Class::Unknown,
        }
    }
}

impl<'a> Looks<'a> {
    fn of(seal: &WorkloadSeal, story: &'a Story, read_backs: &'a BTreeMap<String, ReadBack>) -> Self {
        let ours = || story.read_backs.iter().filter(|done| done.workload == seal.name);
        let found = |done: &ReadBackDone| done.file.as_ref().and_then(|file| read_backs.get(file));
        let at = |stage, service: bool| {
            let here = move |done: &&ReadBackDone| done.stage == stage && (done.site == SERVICE) == service;
            ours().filter(here).filter_map(move |done| Some((done, found(done)?)))
        };
        let mut last = at(ReadBackStage::Final, true).next_back();
        // Without the clients' view the first site stands in, rather than nothing.
        last = last.or_else(|| at(ReadBackStage::Final, false).next());
        let early = at(ReadBackStage::Early, true).next_back();
        let error =
            ours().filter(|done| done.stage == ReadBackStage::Final).filter_map(|done| done.error.clone()).next_back();
        let others = at(ReadBackStage::Final, false).map(|(done, found)| (done.site.as_str(), found)).collect();
        Self {
            last: last.map(|(_, found)| found),
            early: early.map(|(done, found)| (found, done.began.map(|at| at.0))),
            others,
            error,
        }
    }
}

impl<'a> Looks<'a> {
    /// As if there were only this site.
    fn at(site: &str, seal: &WorkloadSeal, story: &'a Story, read_backs: &'a BTreeMap<String, ReadBack>) -> Self {
        let at = |stage: ReadBackStage| {
            let ours = |done: &&ReadBackDone| done.workload == seal.name && done.stage == stage && done.site == site;
            story.read_backs.iter().rev().find(ours)
        };
        let found = |done: &ReadBackDone| done.file.as_ref().and_then(|file| read_backs.get(file));
        let (early, last) = (at(ReadBackStage::Early), at(ReadBackStage::Final));
        Self {
            last: last.and_then(found),
            early: early.and_then(|done| Some((found(done)?, done.began.map(|at| at.0)))),
            others: Vec::new(),
            error: last.and_then(|done| done.error.clone()),
        }
    }
}

/// What clients were told of every write.
fn recorded(ops: &Ops) -> Ledger {
    let mut told = Ledger::new(Keep::Outcomes);
    for place in (0..ops.len()).filter(|place| ops.action(*place) == Action::Write) {
        if let Some(key) = ops.key(place) {
            told.record(key, ops.outcome(place), ops.sent(place), ops.done(place));
        }
    }
    told
}

/// The key of an acknowledged write.
pub(super) fn acked(ops: &Ops, place: usize) -> Option<Key> {
    let written = ops.action(place) == Action::Write && ops.outcome(place) == Outcome::Ok;
    written.then(|| ops.key(place)).flatten()
}

/// When the runner died, everything that was due until the record ends may be missing from the log.
fn log(writes: &Writes, story: &Story) -> Log {
    let stopped = writes.writers.iter().all(|(seal, _)| story.stopped.contains(&seal.name));
    if story.end.is_some() && story.taken_over.is_empty() || stopped {
        return Log::Whole;
    }
    let tail = |(seal, last): &(&WorkloadSeal, Mono)| {
        let time = story.last.saturating_sub(last.0).max(0);
        let due = (seal.rate * time as f64 / 1e9).ceil() as u64;
        due.saturating_add(u64::from(seal.writers))
    };
    Log::Cut { tail: writes.writers.iter().map(tail).fold(0, u64::saturating_add) }
}

fn fill(verified: &Verified, result: &mut LedgerResult) {
    result.kept = Some(verified.kept);
    result.lost = Some(verified.lost);
    result.lost_upper = Some(verified.unlogged);
    result.local_absent = Some(verified.local_absent);
    result.unknown_present = Some(verified.unknown_present);
    result.unknown_absent = Some(verified.unknown_absent);
    result.resurrected = Some(verified.resurrected);
    result.corrupted = Some(verified.corrupted);
    result.duplicated = Some(verified.duplicated);
    result.duplicated_by_server = Some(verified.duplicated_by_server);
    result.phantom = Some(verified.phantom);
    result.reordered = Some(verified.reordered);
}

fn total(findings: &WriterFindings) -> u64 {
    findings.present.iter().fold(0, |sum, (from, to)| sum.saturating_add(to.saturating_sub(*from).saturating_add(1)))
}

fn has(findings: Option<&WriterFindings>, seq: u64) -> bool {
    let Some(runs) = findings.map(|f| &f.present) else { return false };
    runs.get(runs.partition_point(|(_, to)| *to < seq)).is_some_and(|(from, _)| *from <= seq)
}

/// Reads that missed a record that had been acknowledged before they began, and the age of the stalest.
fn stale(ops: &Ops, told: &Ledger, result: &mut LedgerResult) {
    let missed = |place: &usize| ops.action(*place) == Action::Read && ops.found(*place) == Some(Found::Absent);
    let missed: Vec<usize> = (0..ops.len()).filter(missed).collect();
    let asked = missed.iter().filter_map(|place| ops.key(*place)).filter(|key| told.told(*key) == Some(Told::Acked));
    let mut writes: BTreeMap<Key, Option<(Mono, Mono)>> = asked.map(|key| (key, None)).collect();
    if writes.is_empty() {
        return;
    }
    for place in 0..ops.len() {
        if let Some(times) = acked(ops, place).and_then(|key| writes.get_mut(&key)) {
            times.get_or_insert((ops.sent(place), ops.done(place)));
        }
    }
    for read in missed.into_iter().map(|place| ops.at(place)) {
        let Some((sent, done)) = read.key.and_then(|key| *writes.get(&key)?).filter(|(_, done)| *done < read.sent)
        else {
            continue;
        };
        result.stale += 1;
        let age = crate::model::Interval::between(read.sent - done, read.done - sent);
        result.stale_age = match (result.stale_age, age) {
            (Some(old), Some(new)) if old.best >= new.best => Some(old),
            (old, new) => new.or(old),
        };
    }
}

/// What the final read-back changed against the one before the heal. Writes that were acknowledged only after the
/// early one began say nothing; if nobody noted when that was, those beyond a writer's highest record say nothing.
fn compare_early(ops: &Ops, early: Option<(&ReadBack, Option<i64>)>, last: &ReadBack, result: &mut LedgerResult) {
    let Some((early, began)) = early else { return };
    let (mut healed_away, mut transient) = (0, 0);
    for (place, key) in (0..ops.len()).filter_map(|place| Some((place, acked(ops, place)?))) {
        let (before, after) = (early.writers.get(&key.writer), last.writers.get(&key.writer));
        let frontier = before.and_then(|f| f.present.last()).map_or(0, |(_, to)| *to);
        let due_there = began.map_or(key.seq < frontier, |began| ops.done(place).0 < began);
        match (has(before, key.seq), has(after, key.seq)) {
            (true, false) => healed_away += 1,
            (false, true) if due_there => transient += 1,
            _ => {}
        }
    }
    (result.lost_by_healing, result.transiently_missing) = (Some(healed_away), Some(transient));
}

/// Records that a read returned and that are absent at the end.
fn observed_then_lost(ops: &Ops, last: &ReadBack, result: &mut LedgerResult) {
    let returned = |place: &usize| matches!(ops.found(*place), Some(Found::Intact | Found::Corrupted));
    let reads = (0..ops.len()).filter(|place| ops.action(*place) == Action::Read).filter(returned);
    let gone = reads.filter_map(|place| ops.key(place)).filter(|key| !has(last.writers.get(&key.writer), key.seq));
    let mut gone: Vec<Key> = gone.collect();
    gone.sort_unstable();
    gone.dedup();
    result.observed_then_lost = Some(gone.len() as u64);
}

fn differs(ledger: &crate::model::WorkloadName, site: &str, other: &ReadBack, last: &ReadBack) -> Option<String> {
    let (mut missing, mut more) = (0_u64, 0_u64);
    for writer in last.writers.keys().chain(other.writers.keys().filter(|w| !last.writers.contains_key(w))) {
        let empty = WriterFindings::default();
        let (here, there) = (last.writers.get(writer).unwrap_or(&empty), other.writers.get(writer).unwrap_or(&empty));
        let both = common(&here.present, &there.present);
        missing += total(here).saturating_sub(both);
        more += total(there).saturating_sub(both);
    }
    let text =
        format!("`{site}` lacks {missing} records of `{ledger}` that the service has, and has {more} that it lacks");
    (missing + more > 0).then_some(text)
}

/// How many numbers two lists of ascending runs share.
fn common(a: &[(u64, u64)], b: &[(u64, u64)]) -> u64 {
    let (mut i, mut j, mut shared) = (0, 0, 0_u64);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let (from, to) = (x.0.max(y.0), x.1.min(y.1));
        if from <= to {
            shared = shared.saturating_add((to - from).saturating_add(1));
        }
        if x.1 <= y.1 { i += 1 } else { j += 1 }
    }
    shared
}
