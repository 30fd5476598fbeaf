//! The gate: by its rules alone, with properties, and with the built binary on bundles.

use crate::support::{Ended, Made, Place, ago, copy, day, entry, seal};
use blackstart::analysis::stats::Claim;
use blackstart::event::Subject;
use blackstart::history::entry::Entry;
use blackstart::history::gate::{
    Asked, Evidence, Grade, Integrity, Judged, Need, Pinned, Regression, Rules, Runs, Seal, Standing, Unreadable, judge,
};
use blackstart::model::{RunState, Verdict};
use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

fn good(why: &str) -> Standing {
    Standing::Good(why.to_owned())
}

fn sound(entry: Entry) -> Evidence {
    let seal = Seal { integrity: Integrity::Intact, signature: good("x"), chain: good("x"), stamp: good("x") };
    Evidence { entry, seal }
}

/// A run with this RTO in both workloads, ± a tenth.
fn run(on: i64, rto: f64) -> Evidence {
    let mut entry = entry("alpha", &format!("run-{on:02}"), day(on));
    for figure in entry.figures.iter_mut().filter(|f| f.objective == "rto") {
        (figure.low, figure.best, figure.high) = (Some(rto - 0.1), Some(rto), Some(rto + 0.1));
    }
    sound(entry)
}

fn asked() -> Asked {
    Asked { drill: "alpha".to_owned(), environment: Some("embedded".to_owned()), playbook: None, every: None }
}

fn rules() -> Rules {
    Rules {
        now: day(20),
        max_age: Some(TimeDelta::days(30)),
        require: BTreeSet::from([Need::Passed]),
        subjects: Vec::new(),
        tolerance: 0.2,
        least: 3,
        regression: Regression::Advisory,
        allowed: |runs| Claim::new(0.95, 0.9)?.allowed(runs),
    }
}

fn ask(runs: &[Evidence], rules: &Rules) -> Judged {
    judge(&asked(), Runs { evidence: runs, unreadable: &[], baseline: None }, rules)
}

fn codes(judged: &Judged) -> Vec<&'static str> {
    judged.reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn the_last_run_decides_and_what_is_missing_is_not_good() {
    assert_eq!(codes(&ask(&[], &rules())), ["missing"]);
    assert_eq!(ask(&[run(1, 2.0)], &rules()).grade, Grade::Good);
    let mut failed = run(2, 11.0);
    failed.entry.verdict = Verdict::Fail;
    let judged = ask(&[failed.clone(), run(1, 2.0)], &rules());
    assert_eq!((judged.grade, codes(&judged)), (Grade::Bad, vec!["objective"]));
    assert!(judged.reasons[0].text.contains("rto of orders 11 s, target 10 s"), "{judged:?}");
    assert_eq!(ask(&[failed, run(3, 2.0)], &rules()).grade, Grade::Good);

    // What touched nothing does not count, and is noted; what was stopped is no pass.
    let mut idle = run(4, 2.0);
    (idle.entry.state, idle.entry.verdict) = (RunState::NotRun, Verdict::Inconclusive);
    let judged = ask(&[run(3, 2.0), idle.clone()], &rules());
    assert!(judged.grade == Grade::Good && judged.notes.iter().any(|n| n.contains("touched nothing")), "{judged:?}");
    assert_eq!(codes(&ask(&[idle], &rules())), ["missing"]);
    let mut stopped = run(4, 2.0);
    (stopped.entry.state, stopped.entry.verdict) = (RunState::Aborted, Verdict::Inconclusive);
    assert_eq!(codes(&ask(&[run(3, 2.0), stopped], &rules())), ["not_passed"]);

    // Another environment's run is another drill's.
    let mut other = run(5, 2.0);
    other.entry.environment = "staging".to_owned();
    assert_eq!(codes(&ask(&[other], &rules())), ["missing"]);
}

#[test]
fn age_playbook_and_subject_are_held_against_the_run() {
    let rules = rules();
    assert_eq!(codes(&ask(&[run(-20, 2.0)], &rules)), ["stale"]);
    assert_eq!(codes(&ask(&[run(21, 2.0)], &rules)), ["future"]);
    let by_playbook = Asked { every: Some(TimeDelta::days(7)), ..asked() };
    let open = Rules { max_age: None, ..rules.clone() };
    let one = [run(1, 2.0)];
    let runs = Runs { evidence: &one, unreadable: &[], baseline: None };
    assert_eq!(codes(&judge(&by_playbook, runs, &open)), ["stale"]);
    assert!(judge(&asked(), runs, &open).notes.iter().any(|note| note.contains("no age limit")));

    let entry = &one[0].entry;
    let pinned = Pinned {
        path: "a.yaml".to_owned(),
        written: entry.playbook.clone(),
        params: entry.params.clone(),
        resolved: entry.resolved.clone(),
    };
    let with = |pinned: &Pinned| judge(&Asked { playbook: Some(pinned.clone()), ..asked() }, runs, &rules);
    assert_eq!(with(&pinned).grade, Grade::Good);
    assert_eq!(codes(&with(&Pinned { written: "ab".to_owned(), ..pinned.clone() })), ["playbook"]);
    assert_eq!(codes(&with(&Pinned { resolved: "ab".to_owned(), ..pinned.clone() })), ["playbook"]);
    let params = BTreeMap::from([("rate".to_owned(), "9/s".to_owned())]);
    let other = with(&Pinned { resolved: "ab".to_owned(), params, ..pinned });
    assert!(other.grade == Grade::Good && other.notes.iter().any(|n| n.contains("other parameters")), "{other:?}");

    let subject = Rules { subjects: vec!["sha256:AB".to_owned()], ..rules };
    assert_eq!(codes(&ask(&one, &subject)), ["subject"]);
    let mut tested = run(1, 2.0);
    tested.entry.subjects = vec![Subject { name: "app".to_owned(), digest: "sha256:ab".to_owned() }];
    assert_eq!(
        ask(&[tested, run(2, 99.0)], &subject).grade,
        Grade::Good,
        "a later run of another release says nothing"
    );
}

#[test]
fn a_seal_that_is_broken_unknown_or_lacking_is_told_apart() {
    let with = |seal: fn(&mut Seal), needs: &[Need]| {
        let mut last = run(5, 2.0);
        seal(&mut last.seal);
        let mut rules = rules();
        rules.require.extend(needs);
        let judged = ask(&[run(1, 2.0), last], &rules);
        (judged.grade, codes(&judged))
    };
    let missing = || Standing::Missing("none".to_owned());
    assert_eq!(with(|_| {}, &[Need::Signed, Need::Chained, Need::Stamped]), (Grade::Good, vec![]));
    assert_eq!(with(|s| s.integrity = Integrity::Broken(vec!["x".into()]), &[]), (Grade::Bad, vec!["tampered"]));
    assert_eq!(with(|s| s.integrity = Integrity::Unknown("x".into()), &[]), (Grade::Unverified, vec!["unsealed"]));
    assert_eq!(with(|s| s.signature = Standing::Bad("stranger".into()), &[]), (Grade::Bad, vec!["signature"]));
    let unsigned: fn(&mut Seal) = |s| s.signature = Standing::Missing("none".to_owned());
    assert_eq!(with(unsigned, &[]), (Grade::Good, vec![]));
    assert_eq!(with(unsigned, &[Need::Signed]), (Grade::Bad, vec!["signature"]));
    let whose: fn(&mut Seal) = |s| s.signature = Standing::Unknown("whose?".to_owned());
    assert_eq!(with(whose, &[Need::Signed]), (Grade::Unverified, vec!["signature"]));
    assert_eq!(with(|s| s.chain = Standing::Missing("starts".into()), &[Need::Chained]), (Grade::Bad, vec!["chain"]));

    // An earlier run that was tampered with is told, too.
    let mut earlier = run(1, 2.0);
    earlier.seal.integrity = Integrity::Broken(vec!["report.json was changed".to_owned()]);
    assert_eq!(codes(&ask(&[earlier, run(5, 2.0)], &rules())), ["tampered"]);
    let mut nothing = run(5, 2.0);
    nothing.seal.stamp = missing();
    assert_eq!(ask(&[nothing], &rules()).grade, Grade::Good);

    // A folder that cannot be read hides a run, unless it is older than the last one that can.
    let folder =
        |started| Unreadable { folder: "alpha/x".to_owned(), started, why: "no report".to_owned(), broken: vec![] };
    let of = |folder: Unreadable| {
        let runs = [run(5, 2.0)];
        judge(&asked(), Runs { evidence: &runs, unreadable: &[folder], baseline: None }, &rules()).grade
    };
    assert_eq!(
        (of(folder(None)), of(folder(Some(day(6)))), of(folder(Some(day(4))))),
        (Grade::Unverified, Grade::Unverified, Grade::Good)
    );
    let broken = Unreadable { broken: vec!["x".to_owned()], ..folder(Some(day(4))) };
    assert_eq!(of(broken), Grade::Bad);
}

#[test]
fn a_regression_is_worse_than_the_median_and_than_all_before() {
    let earlier = || vec![run(1, 2.0), run(2, 3.0), run(3, 2.5)];
    let with = |rto: f64| {
        let runs = [earlier(), vec![run(5, rto)]].concat();
        let decides = Rules { regression: Regression::Decides, ..rules() };
        let (told, decided) = (ask(&runs, &rules()), ask(&runs, &decides));
        assert_eq!(told.grade, Grade::Good, "it is advisory");
        (told.regression.figures.iter().any(|f| f.worse), codes(&decided))
    };
    assert_eq!(with(2.9), (false, vec![]));
    assert_eq!(with(3.15), (false, vec![]), "within the errors of the worst one");
    let (worse, codes) = with(3.3);
    assert!(worse && codes == ["regression", "regression"], "{codes:?}");

    // Too few, or of another class: nothing is compared, and it is said.
    let two = [earlier()[..2].to_vec(), vec![run(5, 9.0)]].concat();
    let judged = ask(&two, &Rules { regression: Regression::Decides, ..rules() });
    assert_eq!((judged.grade, judged.regression.figures.len()), (Grade::Good, 0));
    assert!(judged.regression.not_comparable.unwrap().contains("2 comparable runs that passed, 3 are needed"));
    let mut other = earlier();
    other.iter_mut().for_each(|run| run.entry.class = "another".to_owned());
    let judged = ask(&[other, vec![run(5, 9.0)]].concat(), &rules());
    assert!(judged.regression.not_comparable.unwrap().contains("3 have another playbook"));

    // What failed, or does not verify, is nothing to be held against.
    let mut unsound = earlier();
    unsound[0].entry.verdict = Verdict::Fail;
    unsound[1].seal.integrity = Integrity::Unknown("unsealed".to_owned());
    let judged = ask(&[unsound, vec![run(5, 9.0)]].concat(), &rules());
    assert!(judged.regression.not_comparable.unwrap().starts_with("1 comparable"));
}

#[test]
fn with_enough_runs_a_bound_is_told_and_not_before() {
    let runs = |n: i64| (0..n).map(|on| run(on, 2.0 + on as f64 / 100.0)).collect::<Vec<_>>();
    let rules = Rules { now: day(40), max_age: None, ..rules() };
    assert!(ask(&runs(28), &rules).regression.bounds.is_empty());
    let bounds = ask(&runs(29), &rules).regression.bounds;
    let rto = bounds.iter().find(|b| b.objective == "rto" && b.workload == "orders").unwrap();
    assert!(rto.runs == 29 && (rto.within - 2.38).abs() < 1e-9, "{rto:?}");
    // One that was not measured took for ever: no bound is left.
    let mut one = runs(29);
    one[3].entry.figures.iter_mut().for_each(|f| (f.low, f.best, f.high) = (None, None, None));
    assert!(ask(&one, &rules).regression.bounds.is_empty());
}

/// The last run of some, made worse in one thing.
#[derive(Debug, Clone)]
enum Worse {
    Figure(f64),
    Unmeasured,
    Verdict(Verdict),
    State(RunState),
    Older(i64),
    Broken,
    Unsealed,
    Stranger,
    Unsigned,
    OtherPlaybook,
    Chain,
}

fn worse() -> impl Strategy<Value = Worse> {
    prop_oneof![
        (0.0..20.0_f64).prop_map(Worse::Figure),
        Just(Worse::Unmeasured),
        prop_oneof![Just(Verdict::Inconclusive), Just(Verdict::Fail)].prop_map(Worse::Verdict),
        prop_oneof![Just(RunState::Aborted), Just(RunState::Dirty)].prop_map(Worse::State),
        (1_i64..3).prop_map(Worse::Older),
        Just(Worse::Broken),
        Just(Worse::Unsealed),
        Just(Worse::Stranger),
        Just(Worse::Unsigned),
        Just(Worse::OtherPlaybook),
        Just(Worse::Chain),
    ]
}

impl Worse {
    fn of(&self, run: &Evidence) -> Evidence {
        let mut run = run.clone();
        let (entry, seal) = (&mut run.entry, &mut run.seal);
        match self {
            Self::Figure(by) => {
                for f in &mut entry.figures {
                    (f.low, f.best, f.high) = (f.low.map(|x| x + by), f.best.map(|x| x + by), f.high.map(|x| x + by));
                }
            }
            // Nobody would call a run that did not measure a pass.
            Self::Unmeasured => {
                entry.figures.iter_mut().for_each(|f| (f.low, f.best, f.high) = (None, None, None));
                entry.verdict = entry.verdict.max(Verdict::Inconclusive);
            }
            Self::Verdict(verdict) => entry.verdict = entry.verdict.max(*verdict),
            Self::State(state) if entry.state != RunState::Dirty => {
                (entry.state, entry.verdict) = (*state, entry.verdict.max(Verdict::Inconclusive));
            }
            Self::State(_) => {}
            Self::Older(days) => entry.started -= TimeDelta::days(*days),
            Self::Broken => seal.integrity = Integrity::Broken(vec!["a file was changed".to_owned()]),
            Self::Unsealed if seal.integrity == Integrity::Intact => {
                seal.integrity = Integrity::Unknown("it is not sealed".to_owned());
            }
            Self::Unsealed => {}
            Self::Stranger => seal.signature = Standing::Bad("by a stranger".to_owned()),
            Self::Unsigned if !matches!(seal.signature, Standing::Bad(_)) => {
                seal.signature = Standing::Missing("unsigned".to_owned());
            }
            Self::Unsigned => {}
            Self::OtherPlaybook => entry.resolved = "other".to_owned(),
            Self::Chain => seal.chain = Standing::Bad("cut".to_owned()),
        }
        run
    }
}

proptest! {
    /// A last run that is worse in anything never makes the answer better.
    #[test]
    fn worse_never_turns_bad_into_good(
        figures in proptest::collection::vec(0.5..12.0_f64, 1..7),
        first in worse(), second in worse(), third in worse(),
        needs in proptest::collection::btree_set(
            prop_oneof![Just(Need::Passed), Just(Need::Signed), Just(Need::Chained)], 0..4),
        decides in any::<bool>(), age in 1_i64..40,
    ) {
        let mut runs: Vec<Evidence> = figures.iter().enumerate().map(|(n, x)| run(n as i64, *x)).collect();
        let last = runs.len() - 1;
        let rules = Rules {
            require: needs,
            max_age: Some(TimeDelta::days(age)),
            regression: if decides { Regression::Decides } else { Regression::Advisory },
            ..rules()
        };
        let entry = runs[last].entry.clone();
        // Its place as the last one stays.
        runs[last].entry.started += TimeDelta::days(10);
        let pinned = Pinned { path: "a".to_owned(), written: entry.playbook, params: entry.params, resolved: entry.resolved };
        let asked = Asked { playbook: Some(pinned), ..asked() };
        let mut before: Option<Grade> = None;
        for step in [None, Some(first), Some(second), Some(third)] {
            if let Some(step) = &step {
                runs[last] = step.of(&runs[last]);
            }
            let grade = judge(&asked, Runs { evidence: &runs, unreadable: &[], baseline: None }, &rules).grade;
            prop_assert!(before.is_none_or(|before| grade >= before), "{step:?}: {before:?} became {grade:?}");
            before = Some(grade);
        }
    }
}

/// A workspace with sealed runs of the sample's drill.
struct Bundles {
    at: Place,
    playbook: PathBuf,
}

impl Bundles {
    fn new(days: &[i64]) -> Self {
        let at = Place::new();
        let drills = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills");
        for name in ["quickstart.yaml", "blackstart.yaml"] {
            at.file(&format!("drills/{name}"), &std::fs::read_to_string(drills.join(name)).unwrap());
        }
        let bundles = Self { at, playbook: "drills/quickstart.yaml".into() };
        days.iter().for_each(|days| drop(bundles.add(*days, None, |made| made)));
        bundles
    }

    fn add(&self, days: i64, key: Option<&Path>, change: impl FnOnce(Made) -> Made) -> PathBuf {
        let made = change(Made::new("quickstart", &format!("run-{days:03}-days-ago"), ago(days)));
        let dir = made.write(&self.at.reports());
        seal(&dir, key);
        dir
    }

    fn gate(&self, more: &[&str]) -> Ended {
        let playbook = self.playbook.display().to_string();
        self.at.run(&[&["gate", &playbook], more].concat())
    }
}

#[test]
fn a_gate_of_bundles_is_good_stale_changed_or_not_there() {
    let bundles = Bundles::new(&[40, 20, 1]);
    let began = Instant::now();
    let ended = bundles.gate(&["--max-age", "90d"]);
    let took = began.elapsed();
    assert!(ended.code == 0 && ended.out.contains("good: 1 drill") && ended.out.contains("unsigned"), "{ended:?}");
    // In milliseconds when it is optimised; this is a debug build on a busy machine.
    assert!(took.as_secs() < 5, "{took:?}");
    assert_eq!(bundles.gate(&["--max-age", "12h"]).code, 1);
    let json = bundles.gate(&["--max-age", "12h", "--output", "json"]).json();
    assert_eq!((&json["drills"][0]["reasons"][0]["code"], &json["exit_code"]), (&json!("stale"), &json!(1)));
    assert_eq!(bundles.at.run(&["gate", "quickstart"]).code, 0, "by its name");
    assert_eq!(bundles.at.run(&["gate"]).code, 0, "all that have runs");
    assert_eq!(bundles.at.run(&["gate", "quickstart", "--environment", "staging"]).code, 1);
    let never = bundles.at.run(&["gate", "another-drill"]);
    assert!(never.code == 1 && never.out.contains("no run of it"), "{never:?}");
    assert_eq!(bundles.at.run(&["gate", "--reports", "nowhere"]).code, 2);
    assert_eq!(bundles.gate(&["--subject", "sha256:1234"]).code, 64);
    assert_eq!(bundles.gate(&["--subject", &format!("gitCommit:{}", "ab".repeat(20))]).code, 1);

    let text = std::fs::read_to_string(bundles.at.path().join("drills/quickstart.yaml")).unwrap();
    bundles.at.file("drills/quickstart.yaml", &text.replace("rto: 10s", "rto: 20s"));
    let changed = bundles.gate(&[]);
    assert!(changed.code == 1 && changed.out.contains("the playbook changed since"), "{changed:?}");
}

#[test]
fn what_was_changed_after_sealing_is_tampered_with_and_what_was_never_sealed_cannot_be_verified() {
    let bundles = Bundles::new(&[20]);
    let last = bundles.add(1, None, |made| made.rto(11.0).verdict("fail", 1));
    assert_eq!(bundles.gate(&[]).code, 1);
    // The number is mended by hand; then the manifest, too.
    let report = std::fs::read_to_string(last.join("report.json")).unwrap();
    let mended = report.replace("\"best\": 11.0", "\"best\": 1.0").replace("\"low\": 10.99", "\"low\": 0.99");
    let mended = mended.replace("\"high\": 11.01", "\"high\": 1.01");
    std::fs::write(last.join("report.json"), mended.replace("\"verdict\": \"fail\"", "\"verdict\": \"pass\"")).unwrap();
    let ended = bundles.gate(&["--output", "json"]);
    assert_eq!((ended.code, &ended.json()["drills"][0]["reasons"][0]["code"]), (1, &json!("tampered")), "{ended:?}");
    std::fs::remove_file(last.join("MANIFEST.json")).unwrap();
    std::fs::remove_file(last.join("SHA256SUMS")).unwrap();
    let unsealed = bundles.gate(&[]);
    assert!(unsealed.code == 2 && unsealed.out.contains("not sealed"), "{unsealed:?}");
    // A later folder without a report may hide a failed run.
    std::fs::remove_file(last.join("report.json")).unwrap();
    assert_eq!(bundles.gate(&[]).code, 2);
    std::fs::remove_dir_all(&last).unwrap();
    assert_eq!(bundles.gate(&[]).code, 0);

    // Computed again, the sample's figures are its own; a sealed lie is found.
    let lie = bundles.add(0, None, |made| made.rto(0.001));
    assert_eq!(bundles.gate(&[]).code, 0, "its digests are right");
    let found = bundles.gate(&["--recompute", "--output", "json"]);
    let text = found.out.clone();
    assert!(found.code == 1 && text.contains("tampered") && text.contains("report.json"), "{found:?}");
    drop(lie);
}

#[test]
fn a_baseline_is_named_and_a_chain_is_followed() {
    let bundles = Bundles::new(&[]);
    let first = |made: Made| made.lineage(json!({"chain": {"counter": 1}}));
    let before = bundles.add(9, None, first);
    let manifest = seal(&before, None);
    let chain = |manifest: &str| json!({"chain": {"counter": 2, "previous": {"run": "run-009-days-ago", "manifest": manifest}}});
    let last = bundles.add(1, None, |made| made.rto(0.9).lineage(chain(&manifest)));
    assert_eq!(bundles.gate(&["--require", "passed,chained"]).code, 0);
    let told = bundles.gate(&[]);
    assert!(told.code == 0 && told.out.contains("not comparable: 1 comparable"), "{told:?}");
    let elsewhere = bundles.at.path().join("baseline");
    copy(&before, &elsewhere);
    let told = bundles.gate(&["--baseline", "baseline"]);
    assert!(told.code == 0 && told.out.contains("worse"), "{told:?}");
    assert_eq!(bundles.gate(&["--baseline", "baseline", "--regression", "fail"]).code, 1);
    assert_eq!(bundles.gate(&["--baseline", "drills"]).code, 64);

    // The run before it is dropped, or is another one.
    let kept = bundles.at.path().join("kept");
    std::fs::rename(&before, &kept).unwrap();
    let dropped = bundles.gate(&["--require", "passed,chained"]);
    assert!(dropped.code == 1 && dropped.out.contains("run-009-days-ago"), "{dropped:?}");
    std::fs::rename(&kept, &before).unwrap();
    bundles.add(9, None, |made| first(made).rto(0.5));
    let swapped = bundles.gate(&[]);
    assert!(swapped.code == 1, "{swapped:?}");
    drop(last);
    let alone = Bundles::new(&[1]);
    assert_eq!(alone.gate(&["--require", "passed,chained"]).code, 1, "it is in no chain");
}

fn key(at: &Place, name: &str) -> PathBuf {
    let path = at.path().join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).output();
    assert!(made.unwrap().status.success());
    path
}

#[test]
fn a_signature_counts_if_it_is_by_somebody_who_may() {
    let bundles = Bundles::new(&[]);
    let (ours, strangers) = (key(&bundles.at, "ours"), key(&bundles.at, "strangers"));
    let public = std::fs::read_to_string(ours.with_extension("pub")).unwrap();
    bundles.at.file("allowed_signers", &format!("drills@example.org namespaces=\"drill-evidence\" {public}"));
    let allowed = ["--require", "passed,signed", "--allowed-signers", "allowed_signers"];
    let last = bundles.add(1, Some(&ours), |made| made);
    let good = bundles.gate(&allowed);
    assert!(good.code == 0 && !good.out.contains("unsigned"), "{good:?}");
    assert_eq!(bundles.gate(&["--require", "passed,signed"]).code, 2, "nobody says who may sign");
    // The configuration may say it.
    bundles.at.file("blackstart.yaml", "evidence: {allowed_signers: allowed_signers}\n");
    assert_eq!(bundles.gate(&["--require", "passed,signed"]).code, 0);
    seal(&last, Some(&strangers));
    let stranger = bundles.gate(&allowed);
    assert!(stranger.code == 1 && stranger.out.contains("allowed signers"), "{stranger:?}");
    std::fs::remove_file(last.join("SHA256SUMS.sig")).unwrap();
    assert_eq!(bundles.gate(&allowed).code, 1, "unsigned");
    assert_eq!(bundles.gate(&[&allowed[..], &["--require", "stamped"]].concat()).code, 1, "unstamped, too");
    assert_eq!(bundles.gate(&["--allowed-signers", "nowhere"]).code, 64);
}

#[test]
fn copies_of_a_run_count_once() {
    let bundles = Bundles::new(&[]);
    let before = bundles.add(9, None, |made| made);
    bundles.add(1, None, |made| made.rto(0.9));
    for n in 0..3 {
        copy(&before, &bundles.at.reports().join(format!("artifact-{n}/quickstart/run-009-days-ago")));
    }
    let told = bundles.gate(&["--regression", "fail"]);
    assert!(told.code == 0 && told.out.contains("not comparable: 1 comparable"), "{told:?}");
}

#[test]
fn a_run_that_was_removed_on_purpose_hides_nothing_unless_it_was_the_last() {
    let bundles = Bundles::new(&[]);
    let made = |run: &str, days: i64, lineage: serde_json::Value| {
        let made = Made::new("quickstart", run, ago(days)).lineage(lineage);
        let dir = made.write(&bundles.at.reports());
        (seal(&dir, None), dir)
    };
    let (manifest, old) = made("20260101T000000Z-aaaaa", 9, json!({"chain": {"counter": 1}}));
    let previous = json!({"run": "20260101T000000Z-aaaaa", "manifest": manifest});
    let (_, last) = made("20260109T000000Z-bbbbb", 1, json!({"chain": {"counter": 2, "previous": previous}}));
    let bury = |dir: &Path| {
        let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let tombstone = json!({"schema": "blackstart/tombstone/v1", "run": value["run"], "drill": value["drill"],
            "environment": value["environment"], "chain": value["chain"], "exit_code": value["exit_code"],
            "started": "2026-01-01T00:00:00Z", "journal_head": value["journal_head"], "verdict": "pass",
            "by": "ops", "why": "older than a month", "manifest": blackstart::journal::digest(&manifest), "pruned_at": "2026-02-01T00:00:00Z"});
        for name in ["journal.jsonl", "report.json", "playbook.yaml", "playbook.resolved.yaml"] {
            std::fs::remove_file(dir.join(name)).unwrap();
        }
        std::fs::remove_dir_all(dir.join("ops")).unwrap();
        std::fs::write(dir.join("TOMBSTONE.json"), tombstone.to_string()).unwrap();
    };
    bury(&old);
    let good = bundles.gate(&["--require", "passed,chained"]);
    assert_eq!(good.code, 0, "its tombstone keeps the chain: {good:?}");
    let listed = bundles.at.run(&["history"]);
    assert!(listed.out.contains("a tombstone stands for it"), "{listed:?}");
    copy(&last, &bundles.at.path().join("kept"));
    bury(&last);
    assert_eq!(bundles.gate(&[]).code, 1, "no run is left");
    // An older one that passed does not stand in for it.
    made("20260105T000000Z-ccccc", 5, json!({}));
    let hidden = bundles.gate(&[]);
    assert!(hidden.code == 2 && hidden.out.contains("20260109T000000Z-bbbbb"), "{hidden:?}");
}

#[test]
fn coverage_knows_playbooks_that_never_ran() {
    let bundles = Bundles::new(&[3]);
    let covered = bundles.at.run(&["coverage", "drills/quickstart.yaml", "--output", "json"]);
    assert_eq!((covered.code, &covered.json()["drills"][0]["standing"]), (0, &json!("in_time")), "{covered:?}");
    let text = std::fs::read_to_string(bundles.at.path().join("drills/quickstart.yaml")).unwrap();
    bundles.at.file("drills/other.yaml", &text.replace("drill: quickstart", "drill: other"));
    let never = bundles.at.run(&["coverage", "drills"]);
    assert!(never.code == 1 && never.out.contains("never ran"), "{never:?}");
}
