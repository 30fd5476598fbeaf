//! Bugs that a measuring tool can have, each made real by changing what the analysis is given (a recorded drill) in the
//! way in which the bug would see it. The rig is only worth something if each of them turns it red.

use blackstart::analysis::Record;
use blackstart::event::What;
use blackstart::model::{Action, Found, Mono, OpRecord, Outcome};
use std::time::Duration;

/// A bug.
pub struct Bug {
    pub name: &'static str,
    pub plant: fn(&mut Record),
}

/// Those that every rig sees.
pub const BUGS: &[Bug] = &[
    Bug { name: "closed loop: the next request waits for the last answer", plant: closed_loop },
    Bug { name: "latency counts from sent, not from due", plant: due_is_sent },
    Bug { name: "due and sent are swapped", plant: due_sent_swapped },
    Bug { name: "operation k is due one period later", plant: one_period_off },
    Bug { name: "a time-out does not end an operation", plant: done_is_sent },
    Bug { name: "a late answer is as good as any", plant: late_is_served },
    Bug { name: "unknown counts as fail", plant: |r| outcomes(r, Outcome::Unknown, Outcome::Fail) },
    Bug { name: "unknown counts as ok", plant: |r| outcomes(r, Outcome::Unknown, Outcome::Ok) },
    Bug { name: "fail counts as unknown", plant: |r| outcomes(r, Outcome::Fail, Outcome::Unknown) },
    Bug { name: "fail counts as ok", plant: |r| outcomes(r, Outcome::Fail, Outcome::Ok) },
    Bug { name: "failed operations are not counted at all", plant: failures_dropped },
    Bug { name: "acknowledged by one node counts as durable", plant: |r| outcomes(r, Outcome::OkLocal, Outcome::Ok) },
    Bug { name: "a block of the read-back is dropped", plant: block_dropped },
    Bug { name: "the read-back asks a stale replica", plant: stale_replica },
    Bug { name: "the read-back stops one short", plant: one_short },
    Bug { name: "the read-back sees gaps as filled", plant: gaps_filled },
    Bug { name: "duplicates are not found", plant: |r| findings(r, |f| f.duplicated.clear()) },
    Bug { name: "checksums are not compared", plant: |r| findings(r, |f| f.corrupted.clear()) },
    Bug { name: "records that nobody wrote are not found", plant: strangers_ignored },
    Bug { name: "sequence numbers are off by one", plant: seq_off },
    Bug { name: "writers are mixed up", plant: writers_mixed },
    Bug { name: "a block of the operations log is dropped", plant: ops_dropped },
    Bug { name: "only every hundredth operation is looked at", plant: coarse },
    Bug { name: "the fault is when the step began, a second before", plant: |r| fault_moved(r, -1_000_000_000) },
    Bug { name: "the fault is when it was noticed", plant: |r| fault_moved(r, 400_000_000) },
    Bug { name: "times are in microseconds", plant: microseconds },
    Bug { name: "the first answer after an outage is dropped", plant: first_answer_dropped },
];

/// Those that only a rig can see that wrote down every request.
pub const BUGS_IN_STAMPS: &[Bug] = &[
    Bug { name: "sent is stamped when the answer came", plant: |r| each(r, |op| op.sent = op.done) },
    Bug { name: "done is stamped a millisecond early", plant: done_early },
    Bug { name: "a read that misses an acknowledged record is not noticed", plant: stale_unnoticed },
    Bug { name: "the schedule runs a thousandth too slowly", plant: slow_schedule },
];

fn each(record: &mut Record, change: impl Fn(&mut OpRecord)) {
    lists(record, |ops| ops.iter_mut().for_each(&change));
}

fn lists(record: &mut Record, change: impl Fn(&mut Vec<OpRecord>)) {
    record.ops.values_mut().for_each(|ops| ops.change(&change));
}

fn outcomes(record: &mut Record, from: Outcome, to: Outcome) {
    each(record, |op| {
        if op.outcome == from {
            op.outcome = to;
        }
    });
}

fn closed_loop(record: &mut Record) {
    lists(record, |ops| {
        ops.sort_by_key(|op| op.sent);
        let mut free = Mono(i64::MIN);
        ops.retain(|op| {
            let waits = op.sent < free;
            if !waits {
                free = op.done;
            }
            !waits
        });
    });
    due_is_sent(record);
}

fn due_is_sent(record: &mut Record) {
    each(record, |op| op.due = op.sent);
    lists(record, |ops| ops.retain(|op| op.outcome != Outcome::Missed));
}

fn due_sent_swapped(record: &mut Record) {
    each(record, |op| std::mem::swap(&mut op.due, &mut op.sent));
}

fn one_period_off(record: &mut Record) {
    let Some(What::RunStarted(start)) = record.events.first().map(|e| e.what.clone()) else { return };
    for seal in &start.workloads {
        let period = (1e9 / seal.rate) as i64;
        if let Some(ops) = record.ops.get_mut(&seal.name) {
            ops.change(|list| list.iter_mut().for_each(|op| op.due = op.due + period));
        }
    }
}

fn done_is_sent(record: &mut Record) {
    each(record, |op| op.done = op.sent.max(op.due));
}

fn late_is_served(record: &mut Record) {
    for event in &mut record.events {
        if let What::RunStarted(start) = &mut event.what {
            start.workloads.iter_mut().for_each(|seal| seal.service.deadline = Duration::from_secs(60));
        }
    }
}

fn done_early(record: &mut Record) {
    each(record, |op| op.done = (op.done + -1_000_000).max(op.sent));
}

fn stale_unnoticed(record: &mut Record) {
    each(record, |op| {
        if op.found == Some(Found::Absent) {
            op.found = Some(Found::Intact);
        }
    });
}

fn first_answer_dropped(record: &mut Record) {
    lists(record, |ops| {
        ops.sort_by_key(|op| op.due);
        let fine = |op: &OpRecord| op.outcome == Outcome::Ok;
        let first = ops.windows(2).position(|pair| !fine(&pair[0]) && fine(&pair[1]));
        if let Some(place) = first {
            ops.remove(place + 1);
        }
    });
}

fn slow_schedule(record: &mut Record) {
    lists(record, |ops| {
        let start = ops.iter().map(|op| op.due).min().unwrap_or_default();
        ops.iter_mut().for_each(|op| op.due = op.due + (op.due - start) / 1000);
    });
}

fn failures_dropped(record: &mut Record) {
    let fine = |op: &OpRecord| matches!(op.outcome, Outcome::Ok | Outcome::OkLocal);
    lists(record, |ops| ops.retain(fine));
}

type Findings = blackstart::event::WriterFindings;

fn findings(record: &mut Record, change: impl Fn(&mut Findings)) {
    record.read_backs.values_mut().flat_map(|back| back.writers.values_mut()).for_each(change);
}

/// Cuts the sequence numbers from `from` to `to` out of what is present.
fn cut(findings: &mut Findings, from: u64, to: u64) {
    let pieces = findings.present.iter().flat_map(|(lo, hi)| {
        let before = (*lo < from).then(|| (*lo, (*hi).min(from.saturating_sub(1))));
        let after = (*hi > to).then(|| ((*lo).max(to + 1), *hi));
        [before, after].into_iter().flatten()
    });
    findings.present = pieces.collect();
}

fn block_dropped(record: &mut Record) {
    for back in record.read_backs.values_mut() {
        if let Some(findings) = back.writers.values_mut().next() {
            cut(findings, 16, 31);
        }
    }
}

fn stale_replica(record: &mut Record) {
    findings(record, |f| {
        let last = f.present.last().map_or(0, |run| run.1);
        cut(f, last.saturating_sub(19), last);
    });
}

fn one_short(record: &mut Record) {
    findings(record, |f| {
        let last = f.present.last().map_or(0, |run| run.1);
        cut(f, last, last);
    });
}

fn gaps_filled(record: &mut Record) {
    findings(record, |f| {
        if let Some(last) = f.present.last().copied() {
            f.present = vec![(0, last.1)];
        }
    });
}

fn strangers_ignored(record: &mut Record) {
    for back in record.read_backs.values_mut() {
        back.phantoms.clear();
        back.phantom_count = 0;
        back.writers.values_mut().for_each(|f| cut(f, 1_000_000, u64::MAX - 1));
    }
}

fn seq_off(record: &mut Record) {
    each(record, |op| {
        if let Some(key) = op.key.as_mut().filter(|_| op.action == Action::Write) {
            key.seq += 1;
        }
    });
}

fn writers_mixed(record: &mut Record) {
    each(record, |op| {
        if let Some(key) = op.key.as_mut() {
            key.writer ^= 1;
        }
    });
}

fn ops_dropped(record: &mut Record) {
    lists(record, |ops| {
        let from = ops.len() / 3;
        let to = (from + 200).min(ops.len());
        ops.drain(from..to);
    });
}

fn coarse(record: &mut Record) {
    lists(record, |ops| *ops = ops.iter().step_by(100).copied().collect());
}

fn fault_moved(record: &mut Record, by: i64) {
    for event in &mut record.events {
        if let What::FaultInjected { span, .. } | What::FaultEffect { span, .. } = &mut event.what {
            (span.lo, span.hi) = (span.lo + by, span.hi + by);
        }
    }
}

fn microseconds(record: &mut Record) {
    each(record, |op| {
        let start = op.due;
        op.done = start + (op.done - start) / 1000;
        op.sent = start + (op.sent - start) / 1000;
    });
}
