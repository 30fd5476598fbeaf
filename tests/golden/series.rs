//! Several runs, made by hand: what stats say of them in every format, against files that a person has read.

use crate::golden;
use blackstart::analysis::Attribution;
use blackstart::analysis::stats::{Claim, Measured, Observation, Sample, Statistics, Subject, statistics};
use blackstart::model::{ClockBasis, Interval, ObjectiveKind, RunId, RunState, Verdict};
use blackstart::report::stats::{self, Shown};
use blackstart::report::{Style, View};
use chrono::{DateTime, TimeDelta};

const MS: i64 = 1_000_000;

fn subject(kind: ObjectiveKind, workload: &str) -> Subject {
    Subject { kind, workload: workload.into(), basis: ClockBasis::Fault, fault: None }
}

fn within(low: i64, high: i64) -> Measured {
    Measured::Within(Interval::between(low, high).unwrap())
}

fn seen(subject: Subject, target: Option<i64>, measured: Measured) -> Observation {
    let back = subject.kind == ObjectiveKind::Rto && matches!(measured, Measured::Within(_));
    let attribution = if back { Attribution::System } else { Attribution::None };
    Observation { subject, target, measured, attribution, outages: u32::from(back) }
}

/// Run number `n`: a failover of about 20 s, a few writes lost, a page that has no objective.
fn run(n: i64) -> Sample {
    let rto = 19_000 * MS + n * 7_919 % 31 * 90 * MS;
    let observations = vec![
        seen(subject(ObjectiveKind::Rto, "orders"), Some(30_000 * MS), within(rto - 12 * MS, rto + 15 * MS)),
        seen(subject(ObjectiveKind::RpoWrites, "orders"), Some(10), within(n % 4, n % 4)),
        seen(subject(ObjectiveKind::Rto, "page"), None, within(rto + 200 * MS, rto + 240 * MS)),
    ];
    Sample {
        run: RunId(format!("20261120-12{:02}00", n % 60)),
        drill: "patroni-leader-loss".into(),
        environment: "staging".to_owned(),
        params: [("rate".to_owned(), "500/s".to_owned())].into(),
        resolved: "5d1f".to_owned(),
        head: format!("{n:064x}"),
        started: DateTime::UNIX_EPOCH + TimeDelta::minutes(29_891_000 + n),
        host: "drill-1".to_owned(),
        tool: "blackstart 0.1.0".to_owned(),
        expects_failover: true,
        state: RunState::Ended,
        verdict: Verdict::Pass,
        doubt: None,
        observations,
    }
}

/// Thirty runs, all clean.
fn clean() -> Vec<Sample> {
    (0..30).map(run).collect()
}

/// A matrix of two, with every way in which a run can be odd.
fn odd() -> Vec<Sample> {
    let mut runs: Vec<Sample> = (0..9).map(run).collect();
    runs[1].verdict = Verdict::Fail;
    runs[1].observations[0].measured = within(31_000 * MS, 31_020 * MS);
    runs[1].observations[0].attribution = Attribution::Heal;
    runs[1].observations[0].outages = 3;
    runs[2].verdict = Verdict::Fail;
    runs[2].observations[0].measured = Measured::AtLeast(44_444 * MS);
    runs[2].observations[0].attribution = Attribution::None;
    runs[2].observations[2].measured = Measured::AtLeast(44_000 * MS);
    runs[2].observations[2].attribution = Attribution::None;
    runs[3].verdict = Verdict::Inconclusive;
    runs[3].observations.iter_mut().for_each(|o| o.measured = Measured::Unknown);
    runs[4].doubt = Some("block 3 of the operations log of `orders` is damaged".to_owned());
    runs[4].observations.iter_mut().for_each(|o| o.measured = Measured::Unknown);
    runs[5].state = RunState::Aborted;
    runs[5].verdict = Verdict::Inconclusive;
    runs[5].observations.iter_mut().for_each(|o| o.measured = Measured::NotReached);
    runs[6].state = RunState::NotRun;
    runs[6].verdict = Verdict::Inconclusive;
    runs[6].observations.iter_mut().for_each(|o| o.measured = Measured::NotReached);
    runs[7].host = "drill-2".to_owned();
    runs[7].observations[0].measured = within(29_990 * MS, 30_020 * MS);
    runs[7].observations[2].attribution = Attribution::Restore;
    runs[7].verdict = Verdict::Inconclusive;
    runs[8].params.insert("rate".to_owned(), "1000/s".to_owned());
    runs[8].resolved = "77aa".to_owned();
    runs.push(runs[0].clone());
    runs
}

/// Name, figures, and folders that could not be read.
type Case = (&'static str, Statistics, Vec<(String, String)>);

fn cases() -> Vec<Case> {
    let claims: Vec<Claim> = [0.9, 0.95, 0.99].iter().map(|share| Claim::new(0.95, *share).unwrap()).collect();
    let unreadable = vec![("reports/d/broken".to_owned(), "the record has no start".to_owned())];
    vec![("clean", statistics(clean(), &claims), Vec::new()), ("odd", statistics(odd(), &claims), unreadable)]
}

#[test]
fn several_runs_are_shown_as_they_were_read() {
    let mut different = Vec::new();
    for (case, statistics, unreadable) in cases() {
        let shown = Shown { statistics: &statistics, unreadable: &unreadable };
        let view = |width| View { width, style: Style::Plain, folder: "" };
        for (file, text) in [
            (format!("{case}.json"), stats::json(shown)),
            (format!("{case}.md"), stats::markdown(shown)),
            (format!("{case}-140.txt"), stats::terminal(shown, view(140))),
            (format!("{case}-72.txt"), stats::terminal(shown, view(72))),
        ] {
            let path = golden("stats", &file);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            } else if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
                different.push(path);
            }
        }
    }
    assert!(different.is_empty(), "these differ; UPDATE_GOLDEN=1 writes them anew: {different:#?}");
}

#[test]
fn statistics_follow_their_schema() {
    let validator = jsonschema::validator_for(&stats::schema()).expect("the schema itself is valid");
    for (case, statistics, unreadable) in cases() {
        let shown = Shown { statistics: &statistics, unreadable: &unreadable };
        let value: serde_json::Value = serde_json::from_str(&stats::json(shown)).unwrap();
        assert_eq!(value["groups"].as_array().map(Vec::len), Some(statistics.groups.len()), "{case}");
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{case}: {errors:#?}");
        let mut bad = value.clone();
        bad["groups"][0]["measures"][0]["counts"]["runs"] = "many".into();
        assert!(!validator.is_valid(&bad), "{case}");
    }
}
