//! A whole record written, read, cut at every offset, damaged, continued; what may follow what.

use super::transitions::State;
use super::*;
use crate::clock::Clock;
use crate::event::*;
use crate::model::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn seal(name: &str) -> WorkloadSeal {
    WorkloadSeal {
        name: name.into(),
        kind: "ledger".to_owned(),
        rate: 100.0,
        timeout: Duration::from_secs(5),
        service: Service::default(),
        client: ClientBehaviour::Pooled,
        writers: 2,
        probe_of: None,
        vantage: None,
        site: None,
        ops: ops::file_name(&name.into()),
    }
}

fn step(id: &str, phase: Phase) -> StepSeal {
    let (verb, kind) = ("inject".to_owned(), "process_kill".to_owned());
    StepSeal { id: id.into(), name: id.to_owned(), phase, verb, kind, file: "a.yaml".to_owned(), line: 3 }
}

fn start() -> What {
    What::RunStarted(Box::new(RunStarted {
        run: "20261120T120000Z-abcd".into(),
        drill: "a-drill".into(),
        title: "A drill".to_owned(),
        environment: "staging".to_owned(),
        playbook: "a.yaml".to_owned(),
        playbook_digest: "00".to_owned(),
        resolved_digest: "00".to_owned(),
        params: BTreeMap::new(),
        metadata: BTreeMap::new(),
        objectives: Vec::new(),
        workloads: vec![seal("orders")],
        steps: vec![step("dies", Phase::Outage), step("back", Phase::Restore)],
        fingerprints: Vec::new(),
        sites: Vec::new(),
        waivers: Vec::new(),
        expects_failover: false,
        host: HostSeal {
            tool: "blackstart".to_owned(),
            host: "h".to_owned(),
            system: "Linux".to_owned(),
            boot: "b".to_owned(),
            cores: 2,
            trigger: "me".to_owned(),
        },
        lineage: None,
    }))
}

fn intent(irreversible: bool) -> What {
    What::FaultIntent(Box::new(FaultIntent {
        fault: "dies".into(),
        name: "it dies".to_owned(),
        kind: "process_kill".to_owned(),
        spec: serde_json::json!({"target": "a"}),
        undo: serde_json::json!({"pid": 7}),
        context: serde_json::Value::Null,
        targets: vec!["a (pid 7)".to_owned()],
        deadline: None,
        deadline_boot: None,
        by_hand: "start it".to_owned(),
        irreversible,
    }))
}

/// A restore that a step asked for.
fn restored(round: u32) -> What {
    let part = RestoreTime { part: RestorePart::Fetch, span: span(), bytes: Some(7) };
    let exposure = Some(Err("nobody can read it".to_owned()));
    let claim = RestoreClaim { backup: "b".to_owned(), exposure, ..RestoreClaim::default() };
    let (step, kind) = ("dies".into(), "pgbackrest".to_owned());
    What::Restored(Box::new(Restored { step, round, kind, parts: vec![part], claim, error: None }))
}

fn span() -> Span {
    Span::new(Mono(1), Mono(2))
}

fn fault() -> FaultId {
    "dies".into()
}

/// A small but whole run, without the workload.
fn story() -> Vec<What> {
    let begun = |phase| What::PhaseStarted { phase };
    let over = |phase| What::PhaseEnded { phase };
    let (dies, round) = (StepId::from("dies"), 0);
    let outcome = StepOutcome::Passed { detail: "done".to_owned() };
    vec![
        start(),
        begun(Phase::Preflight),
        over(Phase::Preflight),
        begun(Phase::Outage),
        What::StepStarted { step: dies.clone(), round },
        intent(false),
        What::FaultInjected { fault: fault(), span: span() },
        What::FaultEffect { fault: fault(), effective: true, span: span(), detail: "gone".to_owned() },
        What::StepEnded { step: dies, round, outcome, span: span(), output: BTreeMap::new(), looks: 1 },
        over(Phase::Outage),
        begun(Phase::Unwind),
        What::HealStarted { fault: fault(), by: HealCause::Unwind },
        What::HealFailed { fault: fault(), attempt: 1, error: "not yet".to_owned(), last: false },
        What::Healed { fault: fault(), span: span(), detail: "back".to_owned() },
        over(Phase::Unwind),
        What::RunEnded { state: RunState::Ended, open: Vec::new(), error: None },
    ]
}

fn write(dir: &Path, story: impl IntoIterator<Item = What>) -> Vec<Event> {
    let journal = Journal::create(dir, Clock::System).unwrap();
    story.into_iter().map(|what| journal.append(what).unwrap()).collect()
}

#[test]
fn a_record_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let events = write(dir.path(), story());
    let stored = read(dir.path()).unwrap();
    assert_eq!(stored.events, events);
    assert_eq!((stored.lines, stored.cut, stored.problems), (16, None, Vec::<String>::new()));
    let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    assert_eq!(stored.head, digest(&bytes[last + 1..]), "`tail -n1 journal.jsonl | sha256sum` gives the head");
    assert!(open_faults(&stored.events).is_empty());
}

#[test]
fn a_stall_of_a_record_that_names_no_workload_is_of_all_of_them() {
    let old = r#"{"stall":{"span":{"lo":1,"hi":2},"cause":"schedule"}}"#;
    let of = |workload: Option<&str>| What::Stall {
        span: span(),
        cause: StallCause::Schedule,
        workload: workload.map(Into::into),
    };
    assert_eq!(serde_json::from_str::<What>(old).unwrap(), of(None));
    assert_eq!(serde_json::to_string(&of(None)).unwrap(), old, "an older reader understands it");
    let named = serde_json::to_string(&of(Some("orders"))).unwrap();
    assert_eq!(serde_json::from_str::<What>(&named).unwrap(), of(Some("orders")));
}

#[test]
fn cut_at_every_offset_the_whole_lines_remain() {
    let dir = tempfile::tempdir().unwrap();
    let events = write(dir.path(), story());
    let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
    for length in 0..=bytes.len() {
        let stored = reader::journal(&bytes[..length]);
        let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(stored.events, events[..whole], "cut at {length}");
        let torn = length > 0 && bytes[length - 1] != b'\n';
        assert_eq!(stored.cut.as_ref().is_some_and(|cut| cut.torn), torn, "cut at {length}");
        let intended = whole > 5 && whole <= 13;
        assert_eq!(open_faults(&stored.events).len(), usize::from(intended), "cut at {length}");
    }
}

#[test]
fn a_run_that_died_anywhere_can_be_continued_and_healed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), story());
    let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
    for (line, end) in ends.iter().enumerate().take(ends.len() - 1) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), &bytes[..end + 9]).unwrap();
        let (journal, found) = Journal::reopen(dir.path(), Clock::System).unwrap();
        let busy = Journal::reopen(dir.path(), Clock::System);
        assert!(matches!(busy, Err(JournalError::Busy(_))), "one writer at a time");
        for open in open_faults(&found.events) {
            journal.append(What::HealStarted { fault: open.fault.clone(), by: HealCause::Recover }).unwrap();
            journal.append(What::Healed { fault: open.fault, span: span(), detail: String::new() }).unwrap();
        }
        journal.append(What::RunEnded { state: RunState::Aborted, open: Vec::new(), error: None }).unwrap();
        let stored = read(dir.path()).unwrap();
        assert_eq!((stored.cut, stored.problems), (None, Vec::new()), "died after line {line}");
        assert!(stored.events.iter().any(|e| matches!(&e.what, What::Note { text } if text.contains("torn tail"))));
        assert!(open_faults(&stored.events).is_empty());
    }
}

#[test]
fn a_dirty_end_may_be_healed_later_and_nothing_else_may_follow_an_end() {
    let mut dirty = story();
    dirty.truncate(10);
    dirty.push(What::RunEnded { state: RunState::Dirty, open: vec![fault()], error: None });
    dirty.push(What::HealStarted { fault: fault(), by: HealCause::Recover });
    dirty.push(What::Healed { fault: fault(), span: span(), detail: String::new() });
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), dirty);
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(dir.path(), Clock::System).unwrap();
    story().into_iter().for_each(|what| drop(journal.append(what).unwrap()));
    let late = journal.append(What::Note { text: "late".to_owned() });
    assert!(matches!(late, Err(JournalError::Illegal(_))));
    assert_eq!(journal.head().0, 16, "what may not follow is not written");
}

#[test]
fn an_irreversible_fault_is_not_open() {
    let events = |irreversible| {
        let dir = tempfile::tempdir().unwrap();
        let mut story = story();
        story[5] = intent(irreversible);
        story.truncate(7);
        write(dir.path(), story)
    };
    assert_eq!(open_faults(&events(false)).len(), 1);
    assert!(open_faults(&events(true)).is_empty());
}

#[test]
fn a_restore_comes_back_in_a_line_that_older_readers_stop_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = story();
    story.insert(5, restored(0));
    let events = write(dir.path(), story);
    assert_eq!(read(dir.path()).unwrap().events, events);
    let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
    let line = text.lines().find(|line| line.contains("pgbackrest")).unwrap();
    assert!(line.starts_with("{\"v\":2,") && line.contains("\"fetch\""), "{line}");
}

#[test]
fn a_journal_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), story());
    assert!(matches!(Journal::create(dir.path(), Clock::System), Err(JournalError::Exists(_))));
}

#[test]
fn every_event_out_of_place_is_refused() {
    let refused: [(usize, What); 16] = [
        (0, What::Note { text: String::new() }),
        (1, start()),
        (1, What::PhaseEnded { phase: Phase::Outage }),
        (2, What::PhaseStarted { phase: Phase::Outage }),
        (4, What::PhaseStarted { phase: Phase::Preflight }),
        (4, What::StepStarted { step: "unknown".into(), round: 0 }),
        (5, What::StepStarted { step: "dies".into(), round: 0 }),
        (4, restored(0)),
        (5, restored(1)),
        (5, What::FaultInjected { fault: fault(), span: span() }),
        (5, What::HealStarted { fault: fault(), by: HealCause::Unwind }),
        (6, intent(false)),
        (7, What::Healed { fault: fault(), span: span(), detail: String::new() }),
        (7, What::PreflightFailed { reasons: Vec::new(), held: false }),
        (7, What::RunEnded { state: RunState::Ended, open: Vec::new(), error: None }),
        (7, What::RunEnded { state: RunState::Ended, open: vec![fault()], error: None }),
    ];
    for (after, what) in refused {
        let mut state = State::default();
        story()[..after].iter().for_each(|what| state.apply(what));
        assert!(state.check(&what).is_err(), "{what:?} after {after} events");
    }
}

#[test]
fn operations_and_read_backs_come_with_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let (name, stage) = (WorkloadName::from("orders"), ReadBackStage::Final);
    let writer = ops::OpsWriter::create(dir.path(), &name).unwrap();
    let (action, outcome, found) = (Action::Visit, Outcome::Ok, None);
    let op = OpRecord { due: Mono(5), sent: Mono(6), done: Mono(7), action, outcome, key: None, found };
    writer.push(op);
    let mark = writer.finish().unwrap();
    let mut findings = ReadBack::default();
    findings.writers.insert(0, WriterFindings { present: vec![(0, 9)], ..WriterFindings::default() });
    let done = readback::write(dir.path(), &name, stage, "a/../site", &findings).unwrap();
    let origin = What::WorkloadStarted { workload: name.clone(), origin: Mono(5) };
    write(dir.path(), [start(), origin, What::WorkloadStopped(mark), What::ReadBack(done.clone())]);
    let stored = read(dir.path()).unwrap();
    assert_eq!(stored.ops[&name].to_vec(), [op]);
    assert_eq!(stored.read_backs[&done.file.clone().unwrap()], findings);
    assert_eq!(stored.problems, Vec::<String>::new());

    std::fs::write(dir.path().join(done.file.unwrap()), "{}").unwrap();
    std::fs::remove_file(dir.path().join(ops::file_name(&name))).unwrap();
    let stored = read(dir.path()).unwrap();
    assert_eq!(stored.problems.len(), 2, "{:?}", stored.problems);
    assert!(stored.read_backs.is_empty() && stored.ops.is_empty());
}

#[test]
fn a_record_cannot_name_files_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let What::RunStarted(mut first) = start() else { unreachable!() };
    first.workloads[0].ops = "../../etc/passwd".to_owned();
    write(dir.path(), [What::RunStarted(first)]);
    assert!(read(dir.path()).unwrap().problems[0].contains("outside"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_changed_byte_never_goes_unnoticed(place in any::<proptest::sample::Index>(), flip in 1_u8..) {
        let dir = tempfile::tempdir().unwrap();
        let events = write(dir.path(), story());
        let mut bytes = std::fs::read(dir.path().join(FILE)).unwrap();
        let place = place.index(bytes.len());
        let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count();
        bytes[place] ^= flip;
        let stored = reader::journal(&bytes);
        let last = line + 1 == events.len();
        // The last line has no successor that vouches for it: its digest is the head, which the evidence names.
        let told = stored.cut.is_some() || (last && stored.head != reader::journal(&std::fs::read(dir.path().join(FILE)).unwrap()).head);
        prop_assert!(told);
        prop_assert!(stored.events.len() >= line && stored.events[..line] == events[..line]);
    }

    #[test]
    fn garbage_is_no_journal(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(reader::journal(&bytes).events.is_empty());
    }
}
