//! The user's own data across a drill: the same, damaged, damaged and restored, and not to be read.

use crate::bench::{Bench, Ran};
use blackstart::analysis::{self, Analysis, Record};
use blackstart::event::{Moment, What};
use blackstart::model::{RunState, Verdict};

/// A fault of our own that damages one file, and what happens after it.
fn drill(expect: &str, after: &str) -> String {
    format!(
        r#"
drill: books
environment: test
baseline: 50ms
fingerprints:
  files: {{directory: {{path: ./data, exclude: ["*.tmp"]}}{expect}}}
outage:
  - id: damage
    inject: {{command: {{inject: [sh, -c, "echo bad > data/a; echo x > data/new; rm -f data/b"], effective: [test, -e, data/new], heal: [rm, -f, data/new], healed: [sh, -c, "test ! -e data/new"]}}}}
    deadline: 1m
{after}
"#
    )
}

fn bench() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    for name in ["a", "b", "c", "d.tmp"] {
        std::fs::write(bench.path("data").join(name), "good\n").unwrap();
    }
    bench
}

fn analysis(ran: &Ran) -> Analysis {
    analysis::analyze(&Record { events: ran.events.clone(), ..Record::default() })
}

fn moments(ran: &Ran) -> Vec<Moment> {
    let taken = ran.events.iter().filter_map(|e| match &e.what {
        What::Fingerprint(taken) => Some(taken.moment),
        _ => None,
    });
    taken.collect()
}

#[tokio::test]
async fn damage_that_nobody_repairs_fails_the_drill_and_is_named() {
    let ran = bench().run(&drill("", "")).await;
    assert_eq!((ran.finished.state, moments(&ran)), (RunState::Ended, vec![Moment::Before, Moment::After]));
    let found = analysis(&ran);
    let print = &found.fingerprints[0];
    assert_eq!(print.verdict, Verdict::Fail, "{print:?}");
    assert_eq!(
        print.why,
        "`./data`: 3 entries before and 2 entries after: at least 1 missing; 1 missing, 1 changed (`a` changed, `b` missing)"
            .replace("2 entries after", "2 after")
    );
    assert!(
        found.verdict == Verdict::Fail && found.reasons[0].text.contains("`files` is not what it was"),
        "{found:?}"
    );
    assert_eq!(found.reasons[0].place.as_deref().map(|p| p.ends_with("drill.yaml:6")), Some(true), "{found:?}");
}

#[tokio::test]
async fn what_is_restored_passes_and_steps_can_wait_for_it() {
    let steps = r#"failover:
  - {id: damaged, expect: {fingerprint: files}, within: 300ms}
restore:
  - {id: back, run: {command: [sh, -c, "echo good > data/a; echo good > data/b; echo other > data/d.tmp"]}}
  - {id: gone, heal: damage}
verify:
  - {id: whole, check: {fingerprint: files}}
"#;
    let ran = bench().run(&drill("", steps)).await;
    assert!(!ran.passed("damaged") && ran.passed("whole"), "{}", ran.story());
    assert!(ran.story().contains("`b` missing"), "{}", ran.story());
    let found = analysis(&ran);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Pass, "{found:?}");
}

#[tokio::test]
async fn any_only_records() {
    let ran = bench().run(&drill(", expect: any", "")).await;
    let found = analysis(&ran);
    assert_eq!((found.fingerprints[0].verdict, found.verdict), (Verdict::Pass, Verdict::Pass), "{found:?}");
    assert!(found.fingerprints[0].why.contains("`b` missing"), "{found:?}");
}

#[tokio::test]
async fn what_cannot_be_read_before_is_named_before_anything_is_touched() {
    let bench = bench();
    std::fs::remove_dir_all(bench.path("data")).unwrap();
    let ran = bench.run(&drill("", "")).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("`files`") && ran.error().contains("there is no such thing"), "{}", ran.error());
    assert!(!ran.any(|w| matches!(w, What::FaultIntent(_))));
}

#[tokio::test]
async fn what_is_gone_afterwards_fails_and_what_cannot_be_read_is_inconclusive() {
    let gone = "verify:\n  - {id: away, run: {command: [rm, -rf, data]}}\n";
    let found = analysis(&bench().run(&drill("", gone)).await);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Fail, "{found:?}");
    assert!(found.fingerprints[0].why.contains("`./data` is gone; it had 3 entries"), "{found:?}");
    let other = "verify:\n  - {id: away, run: {command: [sh, -c, \"rm -rf data; echo > data\"]}}\n";
    let found = analysis(&bench().run(&drill("", other)).await);
    assert_eq!(found.fingerprints[0].verdict, Verdict::Inconclusive, "{found:?}");
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
}
