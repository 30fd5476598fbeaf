//! Round trips, truncation at every offset, damage at every byte, and the size of an operation.

use super::*;
use crate::model::{Action, Found, Key, Mono, OpRecord, Outcome};
use proptest::prelude::*;

fn any_op() -> impl Strategy<Value = OpRecord> {
    let action = prop_oneof![Just(Action::Write), Just(Action::Read), Just(Action::Visit)];
    let outcome = prop_oneof![
        Just(Outcome::Ok),
        Just(Outcome::OkLocal),
        Just(Outcome::Fail),
        Just(Outcome::Unknown),
        Just(Outcome::Missed),
        Just(Outcome::Unsent)
    ];
    let found = prop_oneof![Just(Found::Intact), Just(Found::Corrupted), Just(Found::Absent)];
    let key = (any::<u16>(), any::<u64>()).prop_map(|(writer, seq)| Key { writer, seq });
    let times = (any::<i64>(), any::<i64>(), any::<i64>());
    (times, action, outcome, proptest::option::of(key), proptest::option::of(found)).prop_map(
        |((due, sent, done), action, outcome, key, found)| OpRecord {
            due: Mono(due),
            sent: Mono(sent),
            done: Mono(done),
            action,
            outcome,
            key,
            found,
        },
    )
}

/// A ledger at 1,000/s with eight writers, answered after about a millisecond, as it comes off the wire.
fn ledger(count: i64) -> Vec<OpRecord> {
    let op = |k: i64| {
        let due = 77_000_000_000_000 + k * 1_000_000;
        let sent = due + 40_000 + k * 7_919 % 60_000;
        let done = sent + 400_000 + k * 104_729 % 1_500_000;
        let key = Some(Key { writer: (k % 8) as u16, seq: (k / 8) as u64 });
        let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
        OpRecord { due, sent, done, action: Action::Write, outcome: Outcome::Ok, key, found: None }
    };
    let mut ops: Vec<_> = (0..count).map(op).collect();
    ops.sort_by_key(|op| op.done);
    ops
}

fn parse(bytes: &[u8]) -> OpsLog {
    reader::parse(bytes).unwrap()
}

fn written(ops: &[OpRecord]) -> (Vec<u8>, crate::event::OpsMark) {
    let dir = tempfile::tempdir().unwrap();
    let name = WorkloadName::from("orders");
    let writer = OpsWriter::create(dir.path(), &name).unwrap();
    ops.iter().for_each(|op| writer.push(*op));
    let mark = writer.finish().unwrap();
    (std::fs::read(dir.path().join(file_name(&name))).unwrap(), mark)
}

/// The same bytes as the writer's, with the blocks where the test wants them.
fn encoded(blocks: &[Vec<OpRecord>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = header(&WorkloadName::from("orders"));
    let (mut head, mut codec, mut ends) = (first_head(&bytes), codec::Codec::default(), vec![bytes.len()]);
    for block in blocks {
        let mut payload = Vec::new();
        block.iter().for_each(|op| codec.put(op, &mut payload));
        let mut sizes = (payload.len() as u32).to_le_bytes().to_vec();
        sizes.extend((block.len() as u32).to_le_bytes());
        head = next_head(&head, &sizes, &payload);
        let crc = crc32fast::hash(&[sizes.as_slice(), &payload].concat());
        bytes.extend([sizes.as_slice(), &crc.to_le_bytes(), &head, &payload].concat());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[test]
fn the_writer_writes_what_the_reader_reads() {
    let ops = ledger(40_000);
    let (bytes, mark) = written(&ops);
    let log = parse(&bytes);
    assert_eq!(log.records.to_vec(), ops);
    assert_eq!(log.cut, None);
    assert_eq!(log.mark(), Some(mark.clone()));
    assert_eq!(mark.operations, 40_000);
    assert!(log.verify(&mark.workload, &[&mark], Coverage::Whole).is_empty());
}

#[test]
fn an_operation_costs_less_than_sixteen_bytes() {
    let (bytes, mark) = written(&ledger(10_000));
    assert!(bytes.len() as u64 <= mark.operations * 16, "{} bytes for {} operations", bytes.len(), mark.operations);
}

/// Visits at 50,000/s, answered after 0.2 to 4 ms, each hundredth after up to 300 ms, as they come off the wire.
fn visits(count: i64) -> Vec<OpRecord> {
    let op = |k: i64| {
        let due = 77_000_000_000_000 + k * 20_000;
        let sent = due + 20_000 + k * 7_919 % 90_000;
        let slow = if k % 100 == 0 { k * 15_485_863 % 300_000_000 } else { 0 };
        let done = sent + 200_000 + k * 104_729 % 3_800_000 + slow;
        let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
        OpRecord { due, sent, done, action: Action::Visit, outcome: Outcome::Ok, key: None, found: None }
    };
    let mut ops: Vec<_> = (0..count).map(op).collect();
    ops.sort_by_key(|op| op.done);
    ops
}

#[test]
fn disorder_costs_little() {
    let ops = visits(50_000);
    assert!(!ops.is_sorted_by_key(|op| op.due), "they end in another order");
    let (bytes, mark) = written(&ops);
    assert!(bytes.len() as u64 <= mark.operations * 13, "{} bytes for {} operations", bytes.len(), mark.operations);
    // Time-outs of five seconds between answers are the most expensive there is.
    let late = |op: &OpRecord| OpRecord { done: op.sent + 5_000_000_000, outcome: Outcome::Unknown, ..*op };
    let mut ledger: Vec<_> =
        ledger(10_000).iter().map(|op| if op.due.0 / 1_000_000 % 2 == 0 { late(op) } else { *op }).collect();
    ledger.sort_by_key(|op| op.done);
    let (bytes, mark) = written(&ledger);
    assert!(bytes.len() as u64 <= mark.operations * 16, "{} bytes for {} operations", bytes.len(), mark.operations);
}

#[test]
fn a_mark_that_the_log_does_not_pass_is_reported() {
    let (bytes, mark) = written(&ledger(100));
    let log = parse(&bytes[..bytes.len() - 1]);
    assert_eq!(log.verify(&mark.workload, &[&mark], Coverage::SoFar).len(), 1, "the journal vouched for more");
    let whole = parse(&bytes);
    let forged = crate::event::OpsMark { head: "00".repeat(32), ..mark.clone() };
    assert_eq!(whole.verify(&mark.workload, &[&forged], Coverage::Whole).len(), 1);
    let (none, other) = (crate::event::OpsMark { blocks: 0, ..mark.clone() }, WorkloadName::from("other"));
    assert!(!whole.verify(&mark.workload, &[&none], Coverage::Whole).is_empty());
    assert_eq!(whole.verify(&other, &[&mark], Coverage::Whole).len(), 1);
}

#[test]
fn pushing_after_the_end_and_finishing_twice_are_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let writer = OpsWriter::create(dir.path(), &WorkloadName::from("page")).unwrap();
    let op = ledger(1)[0];
    writer.push(op);
    let mark = writer.finish().unwrap();
    writer.push(op);
    assert_eq!(writer.finish().unwrap(), mark);
    assert_eq!(mark.operations, 1);
    assert!(OpsWriter::create(dir.path(), &WorkloadName::from("page")).is_err(), "a record is never overwritten");
}

#[test]
fn operations_reach_the_disk_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let writer = OpsWriter::create(dir.path(), &WorkloadName::from("page")).unwrap();
    writer.push(ledger(1)[0]);
    // Bounded: 200 ms and one sync; a hundred times as much on a busy machine.
    let arrived = (0..2_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        writer.mark().unwrap().operations == 1
    });
    assert!(arrived);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_operations_come_back(ops in proptest::collection::vec(any_op(), 0..200)) {
        let (bytes, _) = encoded(std::slice::from_ref(&ops));
        prop_assert_eq!(parse(&bytes).records.to_vec(), ops);
    }

    #[test]
    fn cut_anywhere_the_whole_blocks_remain(
        blocks in proptest::collection::vec(proptest::collection::vec(any_op(), 1..6), 1..5)
    ) {
        let (bytes, ends) = encoded(&blocks);
        for length in 0..=bytes.len() {
            let log = parse(&bytes[..length]);
            let whole = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            let expected: Vec<OpRecord> = blocks[..whole].concat();
            prop_assert_eq!(log.records.to_vec(), expected);
            let at_an_end = length == 0 || ends.contains(&length);
            prop_assert_eq!(log.cut.is_none(), at_an_end && length > 0);
            prop_assert!(log.cut.is_none_or(|cut| cut.torn && cut.offset + cut.bytes == length as u64));
        }
    }

    #[test]
    fn a_changed_byte_never_goes_unnoticed(
        blocks in proptest::collection::vec(proptest::collection::vec(any_op(), 1..6), 1..4),
        place in any::<proptest::sample::Index>(),
        flip in 1_u8..,
    ) {
        let (mut bytes, ends) = encoded(&blocks);
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let log = parse(&bytes);
        let whole = ends.iter().filter(|end| **end <= place).count().saturating_sub(1);
        prop_assert!(log.cut.is_some());
        prop_assert_eq!(log.records.to_vec(), blocks[..whole].concat());
    }

    #[test]
    fn garbage_is_no_log(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let log = parse(&bytes);
        prop_assert!(log.records.is_empty() && log.cut.is_some());
    }
}
