//! The ledger: what became of every write, by the table in `docs/timing.md`.

use super::story::Story;
use super::{Class, LedgerResult};
use crate::event::{ReadBack, ReadBackDone, ReadBackStage, WorkloadSeal, WriterFindings};
use crate::model::{Action, Found, Key, OpRecord, Ops, Outcome};
use std::collections::BTreeMap;

/// The site that stands for what clients see; its final read-back decides.
const SERVICE: &str = "service";

/// A write that was attempted: its place in the log, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub place: u32,
    pub class: Class,
}

/// The ledger's numbers, and its writes for the loss, the strip and the ages.
#[derive(Debug)]
pub(super) struct Books {
    pub result: LedgerResult,
    /// Attempted writes by writer and sequence number; classes are final.
    pub writes: BTreeMap<u16, Vec<Write>>,
    /// Is there a final read-back that decides?
    pub decided: bool,
}

/// The read-backs of one ledger.
struct Looks<'a> {
    last: Option<&'a ReadBack>,
    early: Option<(&'a ReadBack, Option<i64>)>,
    others: Vec<(&'a str, &'a ReadBack)>,
    error: Option<String>,
}

/// Settles the books of one ledger.
pub(super) fn settle(
    seal: &WorkloadSeal,
    ops: &Ops,
    story: &Story,
    read_backs: &BTreeMap<String, ReadBack>,
    notes: &mut Vec<String>,
) -> Books {
    let looks = Looks::of(seal, story, read_backs);
    let mut writes = by_writer(ops);
    let mut result = LedgerResult { resolution: super::lane::period(seal.rate), ..LedgerResult::default() };
    for outcome in writes.values().flatten().map(|write| ops.outcome(write.place as usize)) {
        result.attempted += 1;
        result.acked += u64::from(outcome == Outcome::Ok);
        result.acked_local += u64::from(outcome == Outcome::OkLocal);
    }
    stale(ops, &writes, &mut result);
    let Some(last) = looks.last else {
        let why = looks
            .error
            .map_or("there is no final read-back".to_owned(), |e| format!("the final read-back failed: {e}"));
        result.why = Some(why);
        return Books { result, writes, decided: false };
    };
    classify(ops, &mut writes, last, &mut result);
    compare_early(ops, &writes, looks.early, last, &mut result);
    observed_then_lost(ops, last, &mut result);
    for (site, other) in looks.others {
        if let Some(note) = differs(&seal.name, site, other, last) {
            notes.push(note);
        }
    }
    Books { result, writes, decided: true }
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

/// Attempted writes in order of their sequence numbers. Should a key have been logged twice, the strongest outcome
/// stands: a client that was told ok once was told ok.
fn by_writer(ops: &Ops) -> BTreeMap<u16, Vec<Write>> {
    let written = |place: usize| ops.key(place).filter(|_| ops.action(place) == Action::Write).map(|key| key.writer);
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    (0..ops.len()).filter_map(written).for_each(|writer| *counts.entry(writer).or_default() += 1);
    let list = |(writer, count)| (writer, Vec::with_capacity(count));
    let mut writers: BTreeMap<u16, Vec<Write>> = counts.into_iter().map(list).collect();
    for place in 0..ops.len() {
        if let (Some(writer), Ok(at)) = (written(place), u32::try_from(place)) {
            writers.entry(writer).or_default().push(Write { place: at, class: Class::Unknown });
        }
    }
    let seq = |write: &Write| seq(ops, write);
    for writes in writers.values_mut() {
        if !writes.is_sorted_by(|a, b| seq(a) < seq(b)) {
            writes.sort_by_key(|write| (seq(write), strength(ops.outcome(write.place as usize))));
        }
        writes.dedup_by_key(|write| seq(write));
    }
    writers
}

fn seq(ops: &Ops, write: &Write) -> u64 {
    ops.key(write.place as usize).map_or(0, |key| key.seq)
}

fn strength(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::OkLocal => 1,
        Outcome::Unknown => 2,
        Outcome::Fail => 3,
        Outcome::Missed | Outcome::Unsent => 4,
    }
}

/// Walks sequence numbers upwards through runs and lists that ascend too.
struct Walk<'a> {
    findings: &'a WriterFindings,
    run: usize,
    corrupted: usize,
    duplicated: usize,
}

impl<'a> Walk<'a> {
    fn new(findings: &'a WriterFindings) -> Self {
        Self { findings, run: 0, corrupted: 0, duplicated: 0 }
    }

    fn present(&mut self, seq: u64) -> bool {
        let runs = &self.findings.present;
        while runs.get(self.run).is_some_and(|(_, to)| *to < seq) {
            self.run += 1;
        }
        runs.get(self.run).is_some_and(|(from, _)| *from <= seq)
    }

    fn corrupted(&mut self, seq: u64) -> bool {
        let list = &self.findings.corrupted;
        while list.get(self.corrupted).is_some_and(|at| *at < seq) {
            self.corrupted += 1;
        }
        list.get(self.corrupted) == Some(&seq)
    }

    fn duplicated(&mut self, seq: u64) -> bool {
        let list = &self.findings.duplicated;
        while list.get(self.duplicated).is_some_and(|(at, _, _)| *at < seq) {
            self.duplicated += 1;
        }
        list.get(self.duplicated).is_some_and(|(at, _, _)| *at == seq)
    }
}

/// Every class that the final read-back decides.
fn classify(ops: &Ops, writers: &mut BTreeMap<u16, Vec<Write>>, last: &ReadBack, result: &mut LedgerResult) {
    let mut n = Counts::default();
    let nothing = WriterFindings::default();
    for (writer, writes) in writers.iter_mut() {
        let findings = last.writers.get(writer).unwrap_or(&nothing);
        let (mut walk, mut present) = (Walk::new(findings), 0_u64);
        for write in writes.iter_mut() {
            let seq = seq(ops, write);
            let there = walk.present(seq);
            present += u64::from(there);
            let damaged = there && walk.corrupted(seq);
            write.class = n.put(ops.outcome(write.place as usize), there, damaged);
            if there && walk.duplicated(seq) && write.class != Class::Lost {
                write.class = Class::Odd;
            }
        }
        let highest = writes.last().map_or(0, |write| seq(ops, write));
        let attempted = writes.len() as u64;
        let below = below(findings, highest);
        n.unlogged += highest.saturating_add(1).saturating_sub(attempted + below.saturating_sub(present));
        n.phantom += total(findings).saturating_sub(present);
    }
    let strangers = last.writers.iter().filter(|(writer, _)| !writers.contains_key(writer));
    n.phantom += strangers.map(|(_, findings)| total(findings)).sum::<u64>() + last.phantom_count;
    for findings in last.writers.values() {
        n.corrupted += findings.corrupted.len() as u64;
        n.duplicated += findings.duplicated.len() as u64;
        n.by_server += findings.duplicated.iter().filter(|(_, _, same)| *same > 0).count() as u64;
        n.reordered += findings.reordered.len() as u64;
    }
    n.fill(result);
}

#[derive(Default)]
struct Counts {
    kept: u64,
    lost: u64,
    local_absent: u64,
    unknown_present: u64,
    unknown_absent: u64,
    resurrected: u64,
    corrupted: u64,
    duplicated: u64,
    by_server: u64,
    phantom: u64,
    reordered: u64,
    unlogged: u64,
}

impl Counts {
    /// The table, row by row.
    fn put(&mut self, outcome: Outcome, there: bool, damaged: bool) -> Class {
        let (count, class) = match (outcome, there) {
            (Outcome::Ok, true) if damaged => return Class::Odd,
            (Outcome::Ok, true) => (&mut self.kept, Class::Kept),
            (Outcome::Ok, false) => (&mut self.lost, Class::Lost),
            (Outcome::OkLocal, false) => (&mut self.local_absent, Class::Unknown),
            (Outcome::OkLocal, true) => return if damaged { Class::Odd } else { Class::Unknown },
            (Outcome::Unknown, true) => (&mut self.unknown_present, Class::Unknown),
            (Outcome::Unknown, false) => (&mut self.unknown_absent, Class::Unknown),
            (Outcome::Fail | Outcome::Missed | Outcome::Unsent, true) => (&mut self.resurrected, Class::Odd),
            (Outcome::Fail | Outcome::Missed | Outcome::Unsent, false) => return Class::Failed,
        };
        *count += 1;
        if damaged { Class::Odd } else { class }
    }

    fn fill(self, result: &mut LedgerResult) {
        result.kept = Some(self.kept);
        result.lost = Some(self.lost);
        result.lost_upper = Some(self.unlogged);
        result.local_absent = Some(self.local_absent);
        result.unknown_present = Some(self.unknown_present);
        result.unknown_absent = Some(self.unknown_absent);
        result.resurrected = Some(self.resurrected);
        result.corrupted = Some(self.corrupted);
        result.duplicated = Some(self.duplicated);
        result.duplicated_by_server = Some(self.by_server);
        result.phantom = Some(self.phantom);
        result.reordered = Some(self.reordered);
    }
}

fn total(findings: &WriterFindings) -> u64 {
    findings.present.iter().fold(0, |sum, (from, to)| sum.saturating_add(to.saturating_sub(*from).saturating_add(1)))
}

/// Present sequence numbers up to `highest`.
fn below(findings: &WriterFindings, highest: u64) -> u64 {
    let runs = findings.present.iter().filter(|(from, _)| *from <= highest);
    runs.fold(0, |sum, (from, to)| sum.saturating_add((*to).min(highest).saturating_sub(*from).saturating_add(1)))
}

fn has(findings: Option<&WriterFindings>, seq: u64) -> bool {
    let Some(runs) = findings.map(|f| &f.present) else { return false };
    runs.get(runs.partition_point(|(_, to)| *to < seq)).is_some_and(|(from, _)| *from <= seq)
}

/// Reads that missed a record that had been acknowledged before they began, and the age of the stalest.
fn stale(ops: &Ops, writers: &BTreeMap<u16, Vec<Write>>, result: &mut LedgerResult) {
    let missed = |place: &usize| ops.action(*place) == Action::Read && ops.found(*place) == Some(Found::Absent);
    for read in (0..ops.len()).filter(missed).map(|place| ops.at(place)) {
        let Some(write) = read.key.and_then(|key| find(ops, writers, key)) else { continue };
        if write.outcome != Outcome::Ok || write.done >= read.sent {
            continue;
        }
        result.stale += 1;
        let age = crate::model::Interval::between(read.sent - write.done, read.done - write.sent);
        result.stale_age = match (result.stale_age, age) {
            (Some(old), Some(new)) if old.best >= new.best => Some(old),
            (old, new) => new.or(old),
        };
    }
}

fn find(ops: &Ops, writers: &BTreeMap<u16, Vec<Write>>, key: Key) -> Option<OpRecord> {
    let writes = writers.get(&key.writer)?;
    let place = writes.binary_search_by_key(&key.seq, |write| seq(ops, write)).ok()?;
    Some(ops.at(writes[place].place as usize))
}

/// What the final read-back changed against the one before the heal. Writes that were acknowledged only after the
/// early one began say nothing; if nobody noted when that was, those beyond a writer's highest record say nothing.
fn compare_early(
    ops: &Ops,
    writers: &BTreeMap<u16, Vec<Write>>,
    early: Option<(&ReadBack, Option<i64>)>,
    last: &ReadBack,
    result: &mut LedgerResult,
) {
    let Some((early, began)) = early else { return };
    let (mut healed_away, mut transient) = (0, 0);
    for (writer, writes) in writers {
        let (before, after) = (early.writers.get(writer), last.writers.get(writer));
        let frontier = before.and_then(|f| f.present.last()).map_or(0, |(_, to)| *to);
        for write in writes {
            let place = write.place as usize;
            let Some(key) = ops.key(place).filter(|_| ops.outcome(place) == Outcome::Ok) else { continue };
            let due_there = began.map_or(key.seq < frontier, |began| ops.done(place).0 < began);
            match (has(before, key.seq), has(after, key.seq)) {
                (true, false) => healed_away += 1,
                (false, true) if due_there => transient += 1,
                _ => {}
            }
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
