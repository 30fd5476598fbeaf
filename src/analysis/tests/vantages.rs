//! One service seen from several places: each has its own figures, the worst decides, and what one place could not see
//! is nobody's outage.

use super::builder::*;
use crate::analysis::{Analysis, Attribution};
use crate::event::*;
use crate::model::*;

fn seat(name: &str) -> WorkloadSeal {
    let vantage = VantageSeal { name: name.to_owned(), of: "page".into(), namespace: None, offset: 0, offset_error: 0 };
    WorkloadSeal { vantage: Some(vantage), ..seal(&format!("page@{name}"), 10.0, 0) }
}

/// A fault from 5 s to 10 s, seen from these places, each down in these spans.
fn seen(places: &[(&str, &[(i64, i64)])]) -> Builder {
    let mut b = Builder::new();
    b.start.workloads.clear();
    for (name, down) in places {
        b.start.workloads.push(seat(name));
        b.schedule(0, 30_000, down);
        let ops = b.record.ops.remove(&WorkloadName::from("page")).unwrap();
        b.record.ops.insert(WorkloadName(format!("page@{name}")), ops);
    }
    b.objective(ObjectiveKind::Rto, 4_000 * MS);
    b.fault("f", 5_000, 5_010).healed("f", 10_000, 10_001);
    b
}

fn sustained(a: &Analysis, at: usize) -> Option<Interval> {
    a.workloads[at].recoveries[0].sustained
}

#[test]
fn the_worst_place_decides_and_each_keeps_its_own() {
    let mut b = seen(&[("near", &[]), ("edge", &[(5_100, 8_100)]), ("far", &[(5_100, 6_000)])]);
    let a = b.end().analyze();
    assert_eq!(a.workloads.iter().map(|w| w.outages.len()).collect::<Vec<_>>(), [0, 1, 1]);
    let [objective] = a.objectives.as_slice() else { panic!("{:?}", a.objectives) };
    assert_eq!(objective.actual, sustained(&a, 1));
    assert!(sustained(&a, 2).unwrap().high < sustained(&a, 1).unwrap().low);
    assert_eq!((objective.verdict, a.verdict), (Verdict::Pass, Verdict::Pass));
    assert!(objective.why.ends_with("; the worst of what near, edge, far saw"), "{}", objective.why);
}

#[test]
fn a_place_that_never_came_back_outweighs_one_that_did() {
    let mut b = seen(&[("near", &[]), ("edge", &[(5_100, 30_000)])]);
    let a = b.end().analyze();
    assert_eq!((a.objectives[0].actual, a.objectives[0].verdict), (None, Verdict::Fail), "{:?}", a.objectives[0]);
    // One that missed it for certain decides, whatever is not known of the other.
    let mut b = seen(&[("near", &[(5_100, 11_000)]), ("edge", &[])]);
    b.record.ops.remove(&WorkloadName::from("page@edge"));
    let a = b.end().analyze();
    assert_eq!((a.objectives[0].actual, a.objectives[0].verdict), (None, Verdict::Fail), "{:?}", a.objectives[0]);
}

#[test]
fn a_place_of_which_nothing_is_known_decides_nothing() {
    let mut b = seen(&[("near", &[(5_100, 6_000)]), ("edge", &[])]);
    b.record.ops.remove(&WorkloadName::from("page@edge"));
    let a = b.end().analyze();
    assert_eq!((a.objectives[0].actual, a.objectives[0].verdict), (None, Verdict::Inconclusive));
}

#[test]
fn a_lost_vantage_is_a_reason_and_no_outage() {
    let mut b = seen(&[("near", &[]), ("edge", &[])]);
    let lost = What::VantageLost { vantage: "edge".to_owned(), at: at(20_000), why: "its process ended".to_owned() };
    let a = b.event(20_000, lost).end().analyze();
    assert_eq!((a.verdict, a.objectives[0].verdict), (Verdict::Inconclusive, Verdict::Pass));
    assert!(a.reasons[0].text.contains("`edge` was lost: its process ended"), "{:?}", a.reasons);
    assert!(a.workloads.iter().all(|w| w.outages.is_empty()));
}

#[test]
fn a_vantage_that_could_not_see_blinds_nobody_else() {
    let down: &[(i64, i64)] = &[(15_000, 17_000)];
    let mut b = seen(&[("near", down), ("edge", down)]);
    let stall = |workload: Option<&str>| What::VantageStalled {
        vantage: "edge".to_owned(),
        span: span(14_900, 17_100),
        cause: StallCause::Schedule,
        workload: workload.map(Into::into),
    };
    let mut another = seen(&[("near", down), ("edge", down)]);
    let a = another.event(17_100, stall(Some("api@edge"))).end().analyze();
    assert_eq!(a.workloads.iter().map(|w| w.outages.len()).collect::<Vec<_>>(), [1, 1], "another schedule there");
    let a = b.event(17_100, stall(None)).end().analyze();
    assert_eq!(a.workloads.iter().map(|w| w.outages.len()).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(a.stalls, []);
    assert!(a.notes.iter().any(|n| n.contains("`edge` could not see once, 2.20 s in all")), "{:?}", a.notes);
}

#[test]
fn among_several_runs_all_places_of_one_are_one_sample() {
    use crate::analysis::stats::{Measured, sample};
    let rto = |b: &mut Builder| {
        let sample = sample(&b.end().analyze(), &[]);
        let whole = sample.observations.iter().filter(|o| o.subject.workload.as_str() == "page").cloned();
        let whole: Vec<_> = whole.collect();
        assert_eq!(whole.len(), 1, "{:?}", sample.observations);
        (whole[0].measured, whole[0].attribution)
    };
    let mut b = seen(&[("near", &[]), ("edge", &[(5_100, 8_100)])]);
    let sustained = sustained(&b.end().analyze(), 1).unwrap();
    assert_eq!(rto(&mut b), (Measured::Within(sustained), Attribution::System));
    // It came back at the edge only when the fault was removed, and elsewhere it never did.
    let mut b = seen(&[("near", &[(5_100, 10_500)]), ("edge", &[(5_100, 8_100)])]);
    assert_eq!(rto(&mut b).1, Attribution::Heal);
    // A step had begun to restore when it came back elsewhere.
    let mut b = seen(&[("near", &[(5_100, 8_900)]), ("edge", &[(5_100, 8_100)])]);
    b.step_at(8_500, "s", "restore", Phase::Restore, StepOutcome::Passed { detail: String::new() });
    assert_eq!(rto(&mut b).1, Attribution::Restore);
    let mut b = seen(&[("near", &[(5_100, 30_000)]), ("edge", &[(5_100, 8_100)])]);
    assert!(matches!(rto(&mut b).0, Measured::AtLeast(least) if least > 20 * S));
}

/// A clock that is a second ahead, known to 40 ms: the same outage, wider by that error on both sides.
#[test]
fn another_clock_is_brought_to_ours_and_its_error_widens_what_is_counted_from_the_fault() {
    let down: &[(i64, i64)] = &[(5_100, 8_100)];
    let ours = seen(&[("near", down), ("edge", down)]).end().analyze();
    let mut b = seen(&[("near", down), ("edge", down)]);
    let vantage = b.start.workloads[1].vantage.as_mut().unwrap();
    (vantage.offset, vantage.offset_error) = (S, 40 * MS);
    let ops = b.record.ops.get_mut(&WorkloadName::from("page@edge")).unwrap();
    let ahead = |op: OpRecord| OpRecord { due: op.due + S, sent: op.sent + S, done: op.done + S, ..op };
    *ops = ops.iter().map(ahead).collect();
    let theirs = b.end().analyze();
    let (was, is) = (sustained(&ours, 1).unwrap(), sustained(&theirs, 1).unwrap());
    assert_eq!((is.low, is.high), (was.low - 40 * MS, was.high + 40 * MS));
    assert_eq!(theirs.workloads[1].outages, ours.workloads[1].outages);
    assert_eq!(sustained(&theirs, 0), sustained(&ours, 0));
}

/// The same from looks at the clock in the journal, one of which took long.
#[test]
fn what_is_known_of_another_clock_stands_in_the_journal() {
    let down: &[(i64, i64)] = &[(5_100, 8_100)];
    let mut b = seen(&[("near", down), ("edge", down)]);
    for (asked, took) in [(1_000, 10), (3_000, 400), (5_000, 10)] {
        let span = Span::new(at(asked), at(asked + took));
        b.event(asked + took, What::VantageClock { vantage: "edge".to_owned(), span, said: at(asked + 5) });
    }
    let placed = VantagePlaced {
        vantage: "edge".to_owned(),
        kubeconfig: None,
        context: None,
        server: "https://fra.example".to_owned(),
        namespace: "drills".to_owned(),
        job: "bs-1-edge".to_owned(),
    };
    b.event(900, What::VantagePlaced(Box::new(placed)));
    let analysis = b.end().analyze();
    let vantage = analysis.run.workloads[1].vantage.as_ref().unwrap();
    assert!(vantage.offset.abs() <= 2 * MS && (5 * MS..12 * MS).contains(&vantage.offset_error), "{vantage:?}");
    let (near, edge) = (sustained(&analysis, 0).unwrap(), sustained(&analysis, 1).unwrap());
    assert!(edge.low <= near.low - 3 * MS && edge.high >= near.high + 3 * MS, "{near:?} {edge:?}");
    let told = analysis.notes.iter().any(|note| note.contains("`edge` is known to ±") && note.contains("3 looks"));
    assert!(told, "{:?}", analysis.notes);
    let placed = "the vantage `edge` was a pod in drills of https://fra.example";
    assert!(analysis.notes.iter().any(|note| note == placed), "{:?}", analysis.notes);
}
