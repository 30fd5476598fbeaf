//! The record of a long run that never took place: 20,000 operations a second, a fault three fifths in, an outage of
//! twenty seconds in which half of the operations are refused and half are never answered, losses and holes.

use blackstart::event::*;
use blackstart::journal::{ops::OpsWriter, readback};
use blackstart::model::*;
use chrono::{DateTime, TimeDelta};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;
use std::time::Duration;

/// The workloads.
pub const NAMES: [&str; 2] = ["orders", "page"];

const S: i64 = 1_000_000_000;
const T0: i64 = 77_000 * S;
const RATE: i64 = 10_000;
const WRITERS: i64 = 64;
/// The client gives up after this.
const TIMEOUT: i64 = 5 * S;
const OUTAGE: i64 = 20 * S;
/// What was acknowledged for so long before the fault is gone, but for every hundredth.
const LOST: i64 = 300_000_000;

struct Times {
    fault: i64,
    end: i64,
}

/// Fills a run's folder with so many operations.
pub fn fill(dir: &Path, operations: u64) {
    let each = (operations / 2) as i64;
    let length = each * S / RATE;
    let times = Times { fault: T0 + length * 3 / 5, end: T0 + length };
    let mut marks = Vec::new();
    let mut present = BTreeMap::new();
    for name in NAMES {
        marks.push(workload(dir, name, each, &times, &mut present));
    }
    let lost = |op: &(i64, u64)| op.0 >= times.fault - LOST && op.0 < times.fault && !op.1.is_multiple_of(100);
    let findings = |upto: i64| {
        let runs = |list: &Vec<(i64, u64)>| runs(list.iter().filter(|op| !lost(op) && op.0 < upto).map(|op| op.1));
        let one = |list| WriterFindings { present: runs(list), ..WriterFindings::default() };
        let writers = present.iter().map(|(writer, list)| (*writer, one(list))).collect();
        ReadBack { writers, ..ReadBack::default() }
    };
    let back = |stage, at: i64| {
        let done = readback::write(dir, &NAMES[0].into(), stage, "service", &findings(at)).unwrap();
        What::ReadBack(ReadBackDone { began: Some(Mono(at)), ..done })
    };
    let early = back(ReadBackStage::Early, times.fault + OUTAGE * 2);
    let last = back(ReadBackStage::Final, times.end + 10 * S);
    journal(dir, &times, marks, early, last);
}

/// Deterministic and uneven.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as i64
    }
}

type Acked = BTreeMap<u16, Vec<(i64, u64)>>;

fn workload(dir: &Path, name: &str, count: i64, times: &Times, acked: &mut Acked) -> OpsMark {
    let ledger = name == NAMES[0];
    let writer = OpsWriter::create(dir, &name.into()).unwrap();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ count as u64);
    // In order of their ends, as they come off the wire.
    let mut flying: BinaryHeap<Reverse<(i64, i64)>> = BinaryHeap::new();
    let mut held: BTreeMap<i64, OpRecord> = BTreeMap::new();
    let mut next = vec![0_u64; WRITERS as usize];
    for k in 0..count {
        let op = operation(k, ledger, times, &mut noise, &mut next);
        if let (Action::Write, Some(key), Outcome::Ok) = (op.action, op.key, op.outcome) {
            acked.entry(key.writer).or_default().push((op.done.0, key.seq));
        }
        flying.push(Reverse((op.done.0, k)));
        held.insert(k, op);
        while flying.peek().is_some_and(|Reverse((done, _))| *done <= op.due.0) {
            writer.push(flying.pop().and_then(|Reverse((_, k))| held.remove(&k)).unwrap());
        }
        // The writer refuses to hold more than a million; a disk needs its time.
        if k % 65_536 == 0 {
            while writer.mark().unwrap().operations + 400_000 < k as u64 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    while let Some(Reverse((_, k))) = flying.pop() {
        writer.push(held.remove(&k).unwrap());
    }
    writer.finish().unwrap()
}

fn operation(k: i64, ledger: bool, times: &Times, noise: &mut Noise, next: &mut [u64]) -> OpRecord {
    let due = T0 + k * (S / RATE);
    let sent = due + 20_000 + noise.below(60_000);
    let healthy = sent + 300_000 + noise.below(900_000) + if noise.below(1000) == 0 { 8_000_000 } else { 0 };
    let down = (times.fault..times.fault + OUTAGE).contains(&due);
    let (outcome, done) = match () {
        () if !down => (Outcome::Ok, healthy),
        () if noise.below(2) == 0 => (Outcome::Fail, sent + 200_000),
        () => (Outcome::Unknown, sent + TIMEOUT),
    };
    let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
    let visit = OpRecord { due, sent, done, action: Action::Visit, outcome, key: None, found: None };
    if !ledger {
        return visit;
    }
    let writer = (k % WRITERS) as u16;
    let seq = &mut next[usize::from(writer)];
    if k % 500 == 499 && *seq > 100 {
        let (key, found) = (Some(Key { writer, seq: *seq - 90 }), (outcome == Outcome::Ok).then_some(Found::Intact));
        return OpRecord { action: Action::Read, key, found, ..visit };
    }
    let key = Some(Key { writer, seq: *seq });
    *seq += 1;
    OpRecord { action: Action::Write, key, ..visit }
}

fn runs(seqs: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut all: Vec<u64> = seqs.collect();
    all.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seq in all {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == seq => run.1 = seq,
            _ => runs.push((seq, seq)),
        }
    }
    runs
}

fn journal(dir: &Path, times: &Times, marks: Vec<OpsMark>, early: What, last: What) {
    let fault = FaultId::from("primary_dies");
    let (lo, hi) = (Mono(times.fault), Mono(times.fault + 2_000_000));
    let healed = Mono(times.fault + OUTAGE * 2 + S);
    let detail = || "1 of 1 gone".to_owned();
    let injected = What::FaultInjected { fault: fault.clone(), span: Span::new(lo, lo + 1_000_000) };
    let effect = What::FaultEffect { fault: fault.clone(), effective: true, span: Span::new(lo, hi), detail: detail() };
    let mut events = vec![(T0 - S, What::RunStarted(Box::new(start())))];
    events.extend(NAMES.map(|name| (T0, What::WorkloadStarted { workload: name.into(), origin: Mono(T0) })));
    events.extend([
        (lo.0, What::FaultIntent(Box::new(intent(&fault)))),
        (hi.0, injected),
        (hi.0, effect),
        (healed.0 - S, early),
        (healed.0, What::HealStarted { fault: fault.clone(), by: HealCause::Unwind }),
        (healed.0 + S, What::Healed { fault, span: Span::new(healed, healed + S), detail: detail() }),
    ]);
    events.extend(marks.into_iter().map(|mark| (times.end + TIMEOUT, What::WorkloadStopped(mark))));
    events.push((times.end + 10 * S, last));
    events.push((times.end + 11 * S, What::RunEnded { state: RunState::Ended, open: Vec::new(), error: None }));
    let (mut text, mut prev) = (String::new(), "0".repeat(64));
    for (seq, (at, what)) in events.into_iter().enumerate() {
        let wall = DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(at);
        let at = Stamp { mono: Mono(at), wall };
        let line = serde_json::json!({"v": 1, "seq": seq, "prev": prev, "at": at, "what": what}).to_string() + "\n";
        prev = Sha256::digest(&line).iter().map(|byte| format!("{byte:02x}")).collect();
        text += &line;
    }
    std::fs::write(dir.join("journal.jsonl"), text).unwrap();
}

fn intent(fault: &FaultId) -> FaultIntent {
    let (spec, undo, context) = Default::default();
    FaultIntent {
        fault: fault.clone(),
        name: "the primary's process is killed".to_owned(),
        kind: "process_kill".to_owned(),
        spec,
        undo,
        context,
        targets: vec!["primary".to_owned()],
        deadline: None,
        deadline_boot: None,
        by_hand: "start it".to_owned(),
        irreversible: false,
    }
}

fn start() -> RunStarted {
    let seal = |name: &str, writers| WorkloadSeal {
        name: name.into(),
        kind: if writers > 0 { "ledger" } else { "http" }.to_owned(),
        rate: RATE as f64,
        timeout: Duration::from_nanos(TIMEOUT as u64),
        service: Service { latency: Some(Duration::from_millis(50)), ..Service::default() },
        client: ClientBehaviour::Pooled,
        writers,
        probe_of: None,
        vantage: None,
        site: None,
        ops: format!("ops/{name}.ops"),
    };
    let objective = |kind, workload: &str, target| Objective {
        kind,
        workload: workload.into(),
        target,
        basis: ClockBasis::Fault,
        fault: None,
    };
    RunStarted {
        run: "20261121T000000Z-bench".into(),
        drill: "long".into(),
        title: "A long run".to_owned(),
        environment: "none".to_owned(),
        playbook: "long.yaml".to_owned(),
        playbook_digest: "0".repeat(64),
        resolved_digest: "0".repeat(64),
        params: BTreeMap::new(),
        metadata: BTreeMap::new(),
        objectives: vec![
            objective(ObjectiveKind::Rto, NAMES[0], 10 * S),
            objective(ObjectiveKind::Rto, NAMES[1], 30 * S),
            objective(ObjectiveKind::RpoTime, NAMES[0], S),
        ],
        workloads: vec![seal(NAMES[0], WRITERS as u16), seal(NAMES[1], 0)],
        steps: Vec::new(),
        waivers: Vec::new(),
        expects_failover: false,
        fingerprints: Vec::new(),
        sites: Vec::new(),
        host: HostSeal {
            tool: "blackstart".to_owned(),
            host: "none".to_owned(),
            system: "Linux".to_owned(),
            boot: "none".to_owned(),
            cores: 2,
            trigger: "bench".to_owned(),
        },
        lineage: None,
    }
}
