//! What goes in comes out, in the order of due times after sorting, however odd the numbers are.

use super::*;
use proptest::prelude::*;

fn time() -> impl Strategy<Value = i64> {
    // Near one another, seconds and minutes apart, anywhere.
    prop_oneof![8 => 0..4_000_i64, 2 => 0..20_000_000_000_i64, 1 => 0..9_000_000_000_000_i64, 1 => any::<i64>()]
}

pub fn any_op() -> impl Strategy<Value = OpRecord> {
    let outcome = prop_oneof![Just(Outcome::Ok), Just(Outcome::Fail), Just(Outcome::Unknown), Just(Outcome::Unsent)];
    let action = prop_oneof![Just(Action::Write), Just(Action::Read), Just(Action::Visit)];
    let found = proptest::option::of(prop_oneof![Just(Found::Intact), Just(Found::Corrupted), Just(Found::Absent)]);
    let seq = prop_oneof![0..9_u64, any::<u64>()];
    let key = proptest::option::of((any::<u16>(), seq).prop_map(|(writer, seq)| Key { writer, seq }));
    (time(), time(), time(), action, outcome, key, found).prop_map(|(due, lag, took, action, outcome, key, found)| {
        let sent = due.wrapping_add(lag);
        let (due, sent, done) = (Mono(due), Mono(sent), Mono(sent.wrapping_add(took)));
        OpRecord { due, sent, done, action, outcome, key, found }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(list in proptest::collection::vec(any_op(), 0..400), keep in 0..400_usize) {
        let mut ops = Ops::from(list.clone());
        prop_assert_eq!(&ops.to_vec(), &list);
        for (place, op) in list.iter().enumerate() {
            prop_assert_eq!((ops.due(place), ops.sent(place), ops.done(place)), (op.due, op.sent, op.done));
            prop_assert_eq!((ops.key(place), ops.found(place)), (op.key, op.found));
            prop_assert_eq!((ops.action(place), ops.outcome(place)), (op.action, op.outcome));
        }
        ops.truncate(keep);
        ops.extend(list.iter().copied());
        let mut expected = list[..keep.min(list.len())].to_vec();
        expected.extend(&list);
        prop_assert_eq!(ops.to_vec(), expected);
    }

    #[test]
    fn sorting_is_by_due_then_done_then_place(list in proptest::collection::vec(any_op(), 0..400)) {
        let mut ops = Ops::from(list.clone());
        let mut expected = list;
        expected.sort_by_key(|op| (op.due, op.done));
        prop_assert_eq!(ops.is_sorted(), ops.to_vec() == expected);
        ops.sort();
        prop_assert!(ops.is_sorted());
        prop_assert_eq!(ops.to_vec(), expected.clone());
        ops.extend(expected.last().copied());
        prop_assert!(ops.is_sorted());
    }

    #[test]
    fn no_time_is_out_of_bounds(list in proptest::collection::vec(any_op(), 1..50)) {
        let times = || list.iter().flat_map(|op| [op.due, op.sent, op.done]);
        let bounds = (times().min().unwrap(), times().max().unwrap());
        prop_assert_eq!(Ops::from(list.clone()).bounds(), bounds);
    }
}

#[test]
fn a_visit_costs_thirteen_bytes_and_a_write_nineteen() {
    let op = |k: i64, key| {
        let (due, outcome) = (Mono(77_000_000_000_000 + k * 1_000_000), Outcome::Ok);
        OpRecord { due, sent: due + 50_000, done: due + 900_000, action: Action::Visit, outcome, key, found: None }
    };
    let size = |ops: &Ops| {
        let columns = [&ops.due, &ops.lag, &ops.took, &ops.seqs].map(|column| column.bytes()).iter().sum::<usize>();
        columns + ops.tags.len() + ops.writers.len() * 2 + ops.bases.len() * 8
    };
    let visits: Ops = (0..25_600).map(|k| op(k, None)).collect();
    let writes: Ops = (0..25_600).map(|k| op(k, Some(Key { writer: 1, seq: k as u64 }))).collect();
    assert_eq!((size(&visits), size(&writes)), (25_600 * 13 + 800, 25_600 * 19 + 800));
}
