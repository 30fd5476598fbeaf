//! What follows from several runs, without any folder.

use crate::support::{Made, day, entry};
use blackstart::history::compare::{Differ, compare};
use blackstart::history::coverage::{Planned, Standing, coverage};
use blackstart::history::entry::{Entry, in_order};
use blackstart::history::report::Report;
use blackstart::history::trend::{sparkline, trend};
use blackstart::model::{RunState, Verdict};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

fn with_rto(run: &str, on: i64, rto: f64) -> Entry {
    let mut entry = entry("alpha", run, day(on));
    for figure in entry.figures.iter_mut().filter(|f| f.objective == "rto") {
        (figure.low, figure.best, figure.high) = (Some(rto - 0.1), Some(rto), Some(rto + 0.1));
    }
    entry
}

#[test]
fn a_trend_holds_each_run_against_comparable_ones_before_it() {
    let mut runs: Vec<Entry> =
        [2.0, 4.0, 3.0, 6.0].iter().enumerate().map(|(n, x)| with_rto(&n.to_string(), n as i64, *x)).collect();
    let mut other = with_rto("other", 10, 60.0);
    other.class = "another".to_owned();
    let mut idle = with_rto("idle", 11, 9.0);
    idle.state = RunState::NotRun;
    runs.insert(2, other);
    runs.push(idle);
    let runs = in_order(runs);
    let series = trend(&runs, 3);
    assert_eq!(series.len(), 4, "four objectives");
    let rto = series.iter().find(|s| s.objective == "rto" && s.workload == "orders").unwrap();
    let changes: Vec<Option<f64>> = rto.points.iter().map(|p| p.change.map(|c| (c * 100.0).round())).collect();
    assert_eq!(changes, [None, Some(100.0), Some(0.0), Some(100.0), None], "the last stands alone in its class");
    assert_eq!((rto.comparable, rto.median), (1, Some(60.0)));
    let without: Vec<Entry> = runs.into_iter().filter(|e| e.class != "another").collect();
    let rto = trend(&without, 3).into_iter().find(|s| s.workload == "orders" && s.objective == "rto").unwrap();
    assert_eq!((rto.median, rto.worst), (Some(3.5), Some(6.1)));
    assert!(rto.points.iter().all(|p| p.comparable));
}

#[test]
fn what_was_not_measured_stands_in_no_median_and_shows() {
    let mut runs = vec![with_rto("a", 0, 2.0), with_rto("b", 1, 4.0)];
    for figure in &mut runs[1].figures {
        (figure.low, figure.best, figure.high) = (None, None, None);
    }
    let series = trend(&runs, 5);
    let rto = series.iter().find(|s| s.workload == "orders" && s.objective == "rto").unwrap();
    assert_eq!((rto.median, rto.points[1].best, rto.points[1].change), (Some(2.0), None, None));
    assert_eq!(sparkline(&[Some(1.0), None, Some(8.0), Some(0.0)]), "▂·█▁");
    assert_eq!(sparkline(&[]), "");
}

#[test]
fn coverage_says_what_is_due_overdue_and_never_ran() {
    let metadata = |every: &str| BTreeMap::from([("every".to_owned(), vec![every.to_owned()])]);
    let mut runs = vec![entry("alpha", "a", day(0)), entry("beta", "b", day(0)), entry("gamma", "c", day(5))];
    runs[0].metadata = metadata("30d");
    runs[1].metadata = metadata("7d");
    runs[2].verdict = Verdict::Fail;
    let mut odd = entry("delta", "d", day(1));
    odd.metadata = metadata("often");
    runs.push(odd);
    let planned = Planned {
        drill: "omega".to_owned(),
        environment: "embedded".to_owned(),
        path: "drills/omega.yaml".to_owned(),
        metadata: BTreeMap::from([("controls".to_owned(), vec!["nist-800-53/CP-4".to_owned()])]),
    };
    let covered = coverage(&runs, &[planned], day(10));
    let of = |name: &str| covered.drills.iter().find(|row| row.drill == name).unwrap();
    assert_eq!((of("alpha").standing, of("alpha").due), (Standing::InTime, Some(day(30))));
    assert_eq!((of("beta").standing, of("beta").overdue_days), (Standing::Overdue, Some(3)));
    assert_eq!((of("gamma").standing, of("delta").standing), (Standing::NeverPassed, Standing::NoFrequency));
    assert_eq!((of("omega").standing, of("omega").playbook.as_deref()), (Standing::Never, Some("drills/omega.yaml")));
    assert_eq!(covered.drills[0].drill, "omega", "what is worst stands first");
    let control = &covered.controls[0];
    assert_eq!(
        (control.name.as_str(), control.last.is_none(), control.passed.is_none()),
        ("nist-800-53/CP-4", true, true)
    );
}

fn report(made: Made) -> Report {
    Report::parse(&made.report.to_string()).unwrap()
}

#[test]
fn runs_that_are_no_match_say_why_and_figures_differ_beyond_their_errors_only() {
    let first = report(Made::new("alpha", "a", day(0)).rto(0.30));
    let near = compare(&first, &report(Made::new("alpha", "b", day(1)).rto(0.31)));
    assert!(near.not_comparable.is_empty() && near.facts.is_empty(), "{near:?}");
    assert_eq!(near.objectives[0].differ, Differ::Within);
    let far = compare(&first, &report(Made::new("alpha", "b", day(1)).rto(0.2)));
    assert_eq!(far.objectives[0].differ, Differ::Lower);

    let mut other = Made::new("alpha", "c", day(2)).environment("staging").verdict("fail", 1);
    other.report["run"]["playbook"]["digest"] = json!("ab".repeat(32));
    other.report["run"]["params"]["rate"] = json!("900/s");
    other.report["run"]["host"]["tool"] = json!("blackstart 0.2.0");
    other.report["workloads"]["orders"]["rate"] = json!(900.0);
    other.report["workloads"]["orders"]["ledger"]["lost"] = json!(7);
    other.report["objectives"][0]["actual"] = json!(null);
    let c = compare(&first, &report(other));
    let why = c.not_comparable.join("\n");
    for word in ["environments", "playbooks", "parameter rate", "load of orders"] {
        assert!(why.contains(word), "{word}: {why}");
    }
    assert_eq!(c.objectives[0].differ, Differ::Unknown);
    assert!(c.facts.iter().any(|f| f.what == "tool") && c.facts.iter().any(|f| f.what == "verdict"));
    let lost = c.counts.iter().find(|row| row.what == "writes lost").unwrap();
    assert_eq!((lost.first, lost.second), (Some(150), Some(7)));
}

proptest! {
    /// The order in which runs are found says nothing, and no run is counted twice.
    #[test]
    fn order_and_repetition_say_nothing(days in proptest::collection::vec(0_i64..30, 1..8), shift in 0_usize..8) {
        let runs: Vec<Entry> =
            days.iter().enumerate().map(|(n, on)| with_rto(&n.to_string(), *on, 1.0 + n as f64)).collect();
        let mut turned = runs.clone();
        turned.rotate_left(shift % runs.len());
        turned.extend(runs.clone());
        let (a, b) = (in_order(runs), in_order(turned));
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(trend(&a, 3), trend(&b, 3));
    }
}
