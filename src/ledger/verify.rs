//! The table of `docs/timing.md`, row by row: what clients were told against what is there. Nothing else decides classes.

use super::{Blocks, Ledger, Told, Writer};
use crate::event::{ReadBack, WriterFindings};
use crate::model::{Key, Span};
use std::collections::BTreeMap;

/// Does the log hold every write that was answered?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The workload stopped in order: it does.
    Whole,
    /// The runner died: beyond the last write it holds there may have been so many more, of all writers together.
    Cut {
        /// The most that may be missing.
        tail: u64,
    },
}

/// What became of all writes. Every count is exact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Writes that were recorded.
    pub attempted: u64,
    /// Acknowledged as asked.
    pub acked: u64,
    /// Acknowledged, but less durable than asked.
    pub acked_local: u64,
    /// Acknowledged, there, intact.
    pub kept: u64,
    /// Acknowledged and gone.
    pub lost: u64,
    /// Gone or never there, perhaps acknowledged, and not in the log: the loss lies in `[lost, lost + unlogged]`.
    pub unlogged: u64,
    /// Acknowledged as less durable, and gone.
    pub local_absent: u64,
    /// Nobody was told, and it is there.
    pub unknown_present: u64,
    /// Nobody was told, and it is not there.
    pub unknown_absent: u64,
    /// It definitely failed, and it is there.
    pub resurrected: u64,
    /// There, but not what was written.
    pub corrupted: u64,
    /// There more than once.
    pub duplicated: u64,
    /// Of those, where the same attempt is there twice: the server's doing, not a retry's.
    pub duplicated_by_server: u64,
    /// There, and never attempted, or another run's.
    pub phantom: u64,
    /// Behind a larger number of the same writer in the server's order.
    pub reordered: u64,
    /// The lost writes as inclusive runs by writer.
    pub lost_runs: BTreeMap<u16, Vec<(u64, u64)>>,
}

/// When lost writes were sent and acknowledged. Spans are points when the exact times are still known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossTimes {
    /// s₀: the first was sent.
    pub sent_first: Span,
    /// d₀: the first was acknowledged.
    pub done_first: Span,
    /// d₁: the last was acknowledged.
    pub done_last: Span,
}

/// A run of writes with the same outcome, all there or all not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The writer.
    pub writer: u16,
    /// First sequence number.
    pub from: u64,
    /// Last sequence number.
    pub to: u64,
    /// What the client was told; none if no log holds these.
    pub told: Option<Told>,
    /// Are they there?
    pub there: Presence,
}

/// There, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

impl Ledger {
    /// Compares with what a read-back found.
    #[must_use]
    pub fn verify(&mut self, found: &ReadBack, log: Log) -> Verified {
        let mut verified = Verified { phantom: found.phantom_count, ..Verified::default() };
        let mut beyond = Beyond { tail: log, present: 0, holes: 0 };
        let nothing = WriterFindings::default();
        for (id, writer) in (0..=u16::MAX).zip(&mut self.writers).filter(|(_, writer)| writer.next > 0) {
            let findings = found.writers.get(&id).unwrap_or(&nothing);
            writer.told.close();
            verified.writer(id, writer, findings);
            beyond.writer(writer, findings, &mut verified);
        }
        let strangers = found.writers.iter().filter(|(id, _)| self.next(**id) == 0);
        for (_, findings) in strangers {
            verified.phantom = verified.phantom.saturating_add(total(findings));
        }
        beyond.settle(&mut verified);
        for findings in found.writers.values() {
            verified.corrupted += findings.corrupted.len() as u64;
            verified.duplicated += findings.duplicated.len() as u64;
            verified.duplicated_by_server += findings.duplicated.iter().filter(|(.., same)| *same > 0).count() as u64;
            verified.reordered += findings.reordered.len() as u64;
        }
        verified
    }

    /// When what was lost was sent and acknowledged: exactly where the ring still holds all of it, else within the bounds
    /// of its blocks. None if nothing was lost, or no times were kept.
    #[must_use]
    pub fn loss_times(&self, verified: &Verified) -> Option<LossTimes> {
        let ring = self.ring.as_ref()?;
        let is_lost = |key: Key| {
            let runs = verified.lost_runs.get(&key.writer)?;
            runs.get(runs.partition_point(|(_, to)| *to < key.seq)).filter(|(from, _)| *from <= key.seq)
        };
        let (mut exact, mut found) = (None, 0);
        for (_, sent, done) in ring.iter().filter(|(key, ..)| is_lost(*key).is_some()) {
            found += 1;
            exact = Some(widen(exact, Span::point(sent), Span::point(done), Span::point(done)));
        }
        if found >= verified.lost {
            return exact;
        }
        let mut bounds = None;
        for (writer, from, to) in verified.lost_runs.iter().flat_map(|(w, runs)| runs.iter().map(|r| (*w, r.0, r.1))) {
            let blocks = &self.writers.get(usize::from(writer))?.blocks;
            for span in within(blocks, from, to) {
                bounds = Some(widen(bounds, span, span, span));
            }
        }
        bounds
    }
}

fn within(blocks: &Blocks, from: u64, to: u64) -> impl Iterator<Item = Span> {
    let numbers = from / super::times::BLOCK..=to / super::times::BLOCK;
    numbers.filter_map(|number| blocks.of(number * super::times::BLOCK))
}

/// The earliest of the firsts and the latest of the lasts, each with what is known about it.
fn widen(old: Option<LossTimes>, sent: Span, first: Span, last: Span) -> LossTimes {
    let old = old.unwrap_or(LossTimes { sent_first: sent, done_first: first, done_last: last });
    let earliest = |a: Span, b: Span| Span { lo: a.lo.min(b.lo), hi: a.hi.min(b.hi) };
    let latest = |a: Span, b: Span| Span { lo: a.lo.max(b.lo), hi: a.hi.max(b.hi) };
    LossTimes {
        sent_first: earliest(old.sent_first, sent),
        done_first: earliest(old.done_first, first),
        done_last: latest(old.done_last, last),
    }
}

impl Verified {
    fn writer(&mut self, id: u16, writer: &Writer, findings: &WriterFindings) {
        let mut known = 0;
        stretches(id, writer, findings, &mut |stretch| {
            let count = stretch.to - stretch.from + 1;
            known += if stretch.there == Presence::Present { count } else { 0 };
            self.stretch(stretch, count);
        });
        self.phantom = self.phantom.saturating_add(total(findings).saturating_sub(known));
        let mut present = Cursor::new(&findings.present);
        let damaged = |seq: &&u64| present.holds(**seq) && writer.told.code(**seq) == Told::Acked as u8;
        self.kept = self.kept.saturating_sub(findings.corrupted.iter().filter(damaged).count() as u64);
    }

    /// The table.
    fn stretch(&mut self, stretch: Stretch, count: u64) {
        let Some(told) = stretch.told else { return };
        self.attempted += count;
        match told {
            Told::Acked => self.acked += count,
            Told::Local => self.acked_local += count,
            Told::Unknown | Told::Failed => {}
        }
        match (told, stretch.there) {
            (Told::Acked, Presence::Present) => self.kept += count,
            (Told::Acked, Presence::Absent) => {
                self.lost += count;
                self.lost_runs.entry(stretch.writer).or_default().push((stretch.from, stretch.to));
            }
            (Told::Local, Presence::Absent) => self.local_absent += count,
            (Told::Unknown, Presence::Present) => self.unknown_present += count,
            (Told::Unknown, Presence::Absent) => self.unknown_absent += count,
            (Told::Failed, Presence::Present) => self.resurrected += count,
            (Told::Local, Presence::Present) | (Told::Failed, Presence::Absent) => {}
        }
    }
}

/// What no log holds.
struct Beyond {
    tail: Log,
    /// Present beyond what a cut log holds.
    present: u64,
    /// Absent before those.
    holes: u64,
}

impl Beyond {
    fn writer(&mut self, writer: &Writer, findings: &WriterFindings, verified: &mut Verified) {
        // Numbers up to the highest recorded one that are neither recorded nor there.
        let (mut recorded, mut both) = (0_u64, 0_u64);
        let mut present = Cursor::new(&findings.present);
        writer.told.each(&mut |from, to, _| {
            recorded += to - from + 1;
            both += present.within(from, to);
        });
        let below = Cursor::new(&findings.present).within(0, writer.next - 1);
        let holes = writer.next.saturating_sub(recorded + below.saturating_sub(both));
        verified.unlogged = verified.unlogged.saturating_add(holes);
        let Log::Cut { tail } = self.tail else { return };
        // Our own writes that the log lost, not phantoms.
        let end = writer.next.saturating_add(tail);
        let ours = Cursor::new(&findings.present).within(writer.next, end.saturating_sub(1));
        let last = findings.present.iter().rev().find(|(from, _)| *from < end).map_or(0, |(_, to)| (*to).min(end - 1));
        self.present = self.present.saturating_add(ours);
        let holes = last.saturating_add(1).saturating_sub(writer.next).saturating_sub(ours);
        self.holes = self.holes.saturating_add(holes);
        verified.phantom = verified.phantom.saturating_sub(ours);
    }

    fn settle(&self, verified: &mut Verified) {
        if let Log::Cut { tail } = self.tail {
            let beyond = tail.saturating_sub(self.present).max(self.holes);
            verified.unlogged = verified.unlogged.saturating_add(beyond);
        }
    }
}

/// Cuts the runs of equal outcome where presence changes.
pub(super) fn stretches(id: u16, writer: &Writer, findings: &WriterFindings, take: &mut impl FnMut(Stretch)) {
    let mut present = Cursor::new(&findings.present);
    writer.told.each(&mut |from, to, code| {
        let told = Told::from_code(code);
        let mut next = from;
        loop {
            let (there, end) = present.at(next);
            let end = end.min(to);
            take(Stretch { writer: id, from: next, to: end, told, there });
            if end == to {
                return;
            }
            next = end + 1;
        }
    });
}

/// Walks ascending runs upwards.
struct Cursor<'a> {
    runs: &'a [(u64, u64)],
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [(u64, u64)]) -> Self {
        Self { runs }
    }

    /// Is this number there, and until where is that so? Numbers must ascend from call to call.
    fn at(&mut self, seq: u64) -> (Presence, u64) {
        while let [first, rest @ ..] = self.runs
            && first.1 < seq
        {
            self.runs = rest;
        }
        match self.runs.first() {
            Some((from, to)) if *from <= seq => (Presence::Present, *to),
            Some((from, _)) => (Presence::Absent, from - 1),
            None => (Presence::Absent, u64::MAX),
        }
    }

    fn holds(&mut self, seq: u64) -> bool {
        self.at(seq).0 == Presence::Present
    }

    /// How many of `from..=to` are there. Ranges must ascend from call to call.
    fn within(&mut self, from: u64, to: u64) -> u64 {
        let (mut next, mut count) = (from, 0_u64);
        while next <= to {
            let (there, end) = self.at(next);
            let end = end.min(to);
            if there == Presence::Present {
                count = count.saturating_add((end - next).saturating_add(1));
            }
            let Some(after) = end.checked_add(1) else { break };
            next = after;
        }
        count
    }
}

fn total(findings: &WriterFindings) -> u64 {
    findings.present.iter().fold(0, |sum, (from, to)| sum.saturating_add(to.saturating_sub(*from).saturating_add(1)))
}
