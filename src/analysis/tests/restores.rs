//! What restores say of themselves beside what the ledger says, and the exposure between backups, computed by hand.

use super::builder::*;
use crate::event::*;
use crate::model::*;
use chrono::DateTime;

/// The fault is called at 5,050 and seen at 5,060; what was acknowledged from 4,610 on is lost.
fn drill(target: i64) -> Builder {
    let mut b = Builder::new();
    *b.seal() = seal("page", 10.0, 2);
    b.fault("f", 5_050, 5_060).healed("f", 9_000, 9_001).objective(ObjectiveKind::RpoTime, target);
    let writes = |seq: u64| write(seq as i64 * 100, seq as i64 * 100 + 10, Outcome::Ok, 0, seq);
    b.ops((0..200).map(writes));
    b.step_seal("restored", "restore", Phase::Restore);
    b
}

fn exposure(low: i64, high: i64) -> Exposure {
    let at = DateTime::UNIX_EPOCH;
    Exposure { worst: ms(low, high), points: 3, holes: 0, from: at, to: at }
}

/// A restore that says that its last commit is of so many milliseconds after the start.
fn restored(b: &mut Builder, to: i64, exposure: Option<Result<Exposure, String>>) {
    let parts = vec![
        RestoreTime { part: RestorePart::Fetch, span: span(6_000, 6_400), bytes: Some(1_000_000) },
        RestoreTime { part: RestorePart::Replay, span: span(6_400, 7_000), bytes: None },
    ];
    let recovered_to = DateTime::from_timestamp_millis(to);
    let claim = RestoreClaim { backup: "B".to_owned(), recovered_to, exposure, ..RestoreClaim::default() };
    let (step, kind) = ("restored".into(), "pgbackrest".to_owned());
    b.event(7_000, What::Restored(Box::new(Restored { step, round: 0, kind, parts, claim, error: None })));
    let kept = WriterFindings { present: vec![(0, 45), (51, 199)], ..WriterFindings::default() };
    b.read_back(ReadBackStage::Final, &[(0, kept)]).end();
}

#[test]
fn parts_are_timed_and_the_claim_is_measured_from_the_fault() {
    let mut b = drill(S);
    restored(&mut b, 4_600, Some(Ok(exposure(0, 900))));
    let a = b.analyze();
    let r = &a.restores[0];
    assert_eq!(r.parts.iter().map(|p| p.took).collect::<Vec<_>>(), [400 * MS, 600 * MS]);
    assert_eq!((r.claimed, r.name.as_str()), (Some(ms(450, 460)), "step restored"));
    let judged = &a.objectives[0];
    assert_eq!((judged.actual, judged.verdict), (Some(ms(440, 460)), Verdict::Pass), "{}", judged.why);
    assert!(judged.why.contains("between backups up to 900 ms"), "{}", judged.why);
    assert!(a.notes.is_empty(), "{:?}", a.notes);
}

#[test]
fn the_exposure_decides_when_it_is_worse_than_what_was_lost() {
    for (found, verdict) in [
        (Ok(exposure(0, 1_000)), Verdict::Pass),
        (Ok(exposure(0, 1_001)), Verdict::Inconclusive),
        (Ok(exposure(1_001, 3_000)), Verdict::Fail),
        (Err("nobody can read it".to_owned()), Verdict::Inconclusive),
    ] {
        let mut b = drill(S);
        restored(&mut b, 4_600, Some(found));
        let judged = &b.analyze().objectives[0];
        assert_eq!(judged.verdict, verdict, "{}", judged.why);
    }
    let mut b = drill(100 * MS);
    restored(&mut b, 4_600, Some(Ok(exposure(0, 1))));
    assert_eq!(b.analyze().objectives[0].verdict, Verdict::Fail, "what was lost still counts");
}

#[test]
fn a_claim_that_the_books_contradict_is_said() {
    let mut b = drill(S);
    // It says that nothing older than 5,040 is missing; what was acknowledged at 4,610 is.
    restored(&mut b, 5_040, None);
    assert!(b.analyze().notes.is_empty(), "clocks differ by a second");
    let mut b = drill(S);
    b.fault("g", 7_050, 7_060);
    restored(&mut b, 99_000, None);
    assert_eq!(b.analyze().restores[0].claimed, Some(ms(0, 0)), "nothing after the fault was claimed to be lost");
}
