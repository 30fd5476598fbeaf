//! A record around operations: one workload, one fault.

use blackstart::analysis::Record;
use blackstart::event::*;
use blackstart::model::*;
use std::collections::BTreeMap;
use std::time::Duration;

pub const MS: i64 = 1_000_000;
pub const S: i64 = 1_000 * MS;

pub struct Setup {
    pub rate: f64,
    pub service: Service,
    pub timeout: i64,
    pub writers: u16,
    pub fault: Span,
    pub healed: i64,
    pub stalls: Vec<(i64, i64)>,
}

fn event(at: i64, what: What) -> Event {
    Event { at: Stamp { mono: Mono(at), wall: chrono::DateTime::UNIX_EPOCH }, what }
}

pub fn record(setup: &Setup, ops: Vec<OpRecord>) -> Record {
    let text = String::new;
    let seal = WorkloadSeal {
        name: "w".into(),
        kind: text(),
        rate: setup.rate,
        timeout: Duration::from_nanos(setup.timeout as u64),
        service: setup.service.clone(),
        client: ClientBehaviour::Fresh,
        writers: setup.writers,
        probe_of: None,
        vantage: None,
        site: None,
        ops: text(),
    };
    let host = HostSeal { tool: text(), host: text(), system: text(), boot: text(), cores: 1, trigger: text() };
    let start = RunStarted {
        run: "r".into(),
        drill: "d".into(),
        title: text(),
        environment: text(),
        playbook: text(),
        playbook_digest: text(),
        resolved_digest: text(),
        params: BTreeMap::new(),
        metadata: BTreeMap::new(),
        objectives: Vec::new(),
        workloads: vec![seal],
        steps: Vec::new(),
        fingerprints: Vec::new(),
        sites: Vec::new(),
        waivers: Vec::new(),
        expects_failover: false,
        host,
        lineage: None,
    };
    let fault = FaultId::from("f");
    let intent = FaultIntent {
        fault: fault.clone(),
        name: text(),
        kind: text(),
        spec: serde_json::Value::Null,
        undo: serde_json::Value::Null,
        context: serde_json::Value::Null,
        targets: Vec::new(),
        deadline: None,
        deadline_boot: None,
        by_hand: text(),
        irreversible: false,
    };
    let Span { lo, hi } = setup.fault;
    let mut events = vec![
        event(0, What::RunStarted(Box::new(start))),
        event(lo.0, What::FaultIntent(Box::new(intent))),
        event(hi.0, What::FaultInjected { fault: fault.clone(), span: Span::new(lo, lo) }),
        event(
            hi.0,
            What::FaultEffect { fault: fault.clone(), effective: true, span: Span::new(lo, hi), detail: text() },
        ),
    ];
    let stall = |(lo, hi): &(i64, i64)| {
        event(*hi, What::Stall { span: Span::new(Mono(*lo), Mono(*hi)), cause: StallCause::Schedule, workload: None })
    };
    events.extend(setup.stalls.iter().map(stall));
    let by = HealCause::Unwind;
    events.push(event(setup.healed, What::HealStarted { fault: fault.clone(), by }));
    let span = Span::point(Mono(setup.healed));
    events.push(event(setup.healed, What::Healed { fault, span, detail: text() }));
    events.push(event(setup.healed, What::RunEnded { state: RunState::Ended, open: Vec::new(), error: None }));
    Record { events, ops: BTreeMap::from([("w".into(), ops.into())]), ..Record::default() }
}
