//! Makes records for tests: a workload with a schedule, a fault, steps, a read-back. Times in milliseconds.

use crate::analysis::{Analysis, Record, analyze};
use crate::event::*;
use crate::model::*;
use chrono::DateTime;
use std::collections::BTreeMap;
use std::time::Duration;

pub const MS: i64 = 1_000_000;
pub const S: i64 = 1_000 * MS;
/// The start record, in nanoseconds of the monotonic clock.
pub const T0: i64 = 1_000 * S;

pub struct Builder {
    pub record: Record,
    pub start: RunStarted,
}

pub fn at(ms: i64) -> Mono {
    Mono(T0 + ms * MS)
}

pub fn span(lo: i64, hi: i64) -> Span {
    Span::new(at(lo), at(hi))
}

/// A visit that is due, sent and done at these milliseconds.
pub fn visit(due: i64, done: i64, outcome: Outcome) -> OpRecord {
    let (sent, done) = (at(due), at(done));
    OpRecord { due: at(due), sent, done, action: Action::Visit, outcome, key: None, found: None }
}

pub fn write(due: i64, done: i64, outcome: Outcome, writer: u16, seq: u64) -> OpRecord {
    OpRecord { action: Action::Write, key: Some(Key { writer, seq }), ..visit(due, done, outcome) }
}

pub fn read(due: i64, done: i64, writer: u16, seq: u64, found: Found) -> OpRecord {
    let key = Some(Key { writer, seq });
    OpRecord { action: Action::Read, key, found: Some(found), ..visit(due, done, Outcome::Ok) }
}

pub fn objective(kind: ObjectiveKind, target: i64) -> Objective {
    Objective { kind, workload: "page".into(), target, basis: ClockBasis::Fault, fault: None }
}

pub fn ms(low: i64, high: i64) -> Interval {
    Interval::between(low * MS, high * MS).unwrap()
}

impl Builder {
    /// A drill with one workload `page` of 10 operations a second, stable 2 s.
    pub fn new() -> Self {
        let mut start = super::super::story::nobody();
        start.workloads.push(seal("page", 10.0, 0));
        let mut it = Self { record: Record::default(), start };
        it.record.lines = 1;
        it
    }

    pub fn seal(&mut self) -> &mut WorkloadSeal {
        &mut self.start.workloads[0]
    }

    pub fn event(&mut self, ms: i64, what: What) -> &mut Self {
        let stamp = Stamp { mono: at(ms), wall: DateTime::UNIX_EPOCH };
        self.record.events.push(Event { at: stamp, what });
        self
    }

    pub fn ops(&mut self, ops: impl IntoIterator<Item = OpRecord>) -> &mut Self {
        self.record.ops.entry("page".into()).or_default().extend(ops);
        self
    }

    /// Visits every 100 ms in [from, to): answered after 10 ms, refused after 1 ms where `down` holds the due time.
    pub fn schedule(&mut self, from: i64, to: i64, down: &[(i64, i64)]) -> &mut Self {
        let down = down.to_vec();
        let op = move |due: i64| {
            let off = down.iter().any(|(a, b)| (*a..*b).contains(&due));
            if off { visit(due, due + 1, Outcome::Fail) } else { visit(due, due + 10, Outcome::Ok) }
        };
        self.ops((from..to).step_by(100).map(op))
    }

    /// A fault called at `lo`, seen at `hi`.
    pub fn fault(&mut self, id: &str, lo: i64, hi: i64) -> &mut Self {
        self.intent(id, lo);
        self.event(hi, What::FaultInjected { fault: id.into(), span: span(lo, lo + 1) });
        self.effect(id, lo, hi, true)
    }

    pub fn intent(&mut self, id: &str, ms: i64) -> &mut Self {
        let (undo, spec) = (serde_json::Value::Null, serde_json::Value::Null);
        let intent = FaultIntent {
            fault: id.into(),
            name: format!("{id} happens"),
            kind: "process_kill".to_owned(),
            spec,
            undo,
            context: serde_json::Value::Null,
            targets: Vec::new(),
            deadline: None,
            deadline_boot: None,
            by_hand: "start it".to_owned(),
            irreversible: false,
        };
        self.start.steps.retain(|seal| seal.id.as_str() != id);
        self.step_seal(id, "inject", Phase::Outage);
        self.event(ms, What::StepStarted { step: id.into(), round: 0 });
        self.event(ms, What::FaultIntent(Box::new(intent)));
        self.step_end(id, ms, StepOutcome::Passed { detail: String::new() })
    }

    pub fn effect(&mut self, id: &str, lo: i64, hi: i64, effective: bool) -> &mut Self {
        let detail = "looked".to_owned();
        self.event(hi, What::FaultEffect { fault: id.into(), effective, span: span(lo, hi), detail })
    }

    pub fn healed(&mut self, id: &str, from: i64, to: i64) -> &mut Self {
        self.event(from, What::HealStarted { fault: id.into(), by: HealCause::Unwind });
        self.event(to, What::Healed { fault: id.into(), span: span(from, to), detail: String::new() })
    }

    pub fn step_seal(&mut self, id: &str, verb: &str, phase: Phase) -> &mut Self {
        let (verb, kind) = (verb.to_owned(), String::new());
        let line = 10 + self.start.steps.len() as u32;
        let file = "drill.yaml".to_owned();
        self.start.steps.push(StepSeal { id: id.into(), name: format!("step {id}"), phase, verb, kind, file, line });
        self
    }

    pub fn step_end(&mut self, id: &str, ms: i64, outcome: StepOutcome) -> &mut Self {
        let (step, round, output, looks) = (StepId::from(id), 0, BTreeMap::new(), 1);
        self.event(ms, What::StepEnded { step, round, outcome, span: span(ms, ms), output, looks })
    }

    pub fn step(&mut self, id: &str, verb: &str, phase: Phase, outcome: StepOutcome) -> &mut Self {
        self.step_at(5_000, id, verb, phase, outcome)
    }

    /// A step that begins there and takes a millisecond.
    pub fn step_at(&mut self, ms: i64, id: &str, verb: &str, phase: Phase, outcome: StepOutcome) -> &mut Self {
        self.step_seal(id, verb, phase);
        self.event(ms, What::StepStarted { step: id.into(), round: 0 });
        self.step_end(id, ms + 1, outcome)
    }

    pub fn objective(&mut self, kind: ObjectiveKind, target: i64) -> &mut Self {
        self.start.objectives.push(objective(kind, target));
        self
    }

    pub fn read_back(&mut self, stage: ReadBackStage, writers: &[(u16, WriterFindings)]) -> &mut Self {
        let findings = ReadBack { writers: writers.iter().cloned().collect(), ..ReadBack::default() };
        let file = format!("{stage:?}");
        self.record.read_backs.insert(file.clone(), findings);
        let (workload, site) = (WorkloadName::from("page"), "service".to_owned());
        let (began, digest) = (None, Some(String::new()));
        let done = ReadBackDone { workload, stage, site, began, file: Some(file), digest, error: None };
        self.event(60_000, What::ReadBack(done))
    }

    pub fn end(&mut self) -> &mut Self {
        self.event(60_001, What::RunEnded { state: RunState::Ended, open: Vec::new(), error: None })
    }

    /// The analysis of the record with its start record in front; computed twice, because it must be the same.
    pub fn analyze(&self) -> Analysis {
        let mut record = self.record.clone();
        let stamp = Stamp { mono: Mono(T0), wall: DateTime::UNIX_EPOCH };
        record.events.insert(0, Event { at: stamp, what: What::RunStarted(Box::new(self.start.clone())) });
        let analysis = analyze(&record);
        assert_eq!(analysis, analyze(&record));
        analysis
    }
}

pub fn seal(name: &str, rate: f64, writers: u16) -> WorkloadSeal {
    let kind = if writers > 0 { "ledger" } else { "http" };
    WorkloadSeal {
        name: name.into(),
        kind: kind.to_owned(),
        rate,
        timeout: Duration::from_secs(5),
        service: Service { stable: Duration::from_secs(2), ..Service::default() },
        client: ClientBehaviour::Fresh,
        writers,
        probe_of: None,
        vantage: None,
        site: None,
        ops: String::new(),
    }
}
