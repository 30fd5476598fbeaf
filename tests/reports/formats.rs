//! Every format of every kind of run, read by readers that are not ours: Prometheus' parsers, OpenTelemetry's own types,
//! NIST's schema, and Python for what has no reader. Needs what `tests/install.sh` installs, and says so when it is missing.

use crate::{analyses, pieces};
use blackstart::analysis::Analysis;
use blackstart::model::{RunState, Verdict};
use blackstart::report::{self, words};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

const PYTHON: &str = "/var/cache/blackstart-tests/formats/bin/python3";
const MANIFEST: &str = "aa11bb22cc33dd44ee55ff6600778899aa11bb22cc33dd44ee55ff6600778899";

/// All cases as the readers understood them, by case and format.
static READ: LazyLock<Value> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    for (case, exit_code, a) in analyses::all().into_iter().chain([("backslash", 0, backslash())]) {
        for (format, text) in [
            ("metrics.txt", report::metrics(&a, exit_code)),
            ("trace.json", report::trace(&a)),
            ("intoto.jsonl", report::intoto(&a, MANIFEST)),
        ] {
            std::fs::write(dir.path().join(format!("{case}.{format}")), text).unwrap();
        }
    }
    assert!(Path::new(PYTHON).exists(), "{PYTHON} is missing: run tests/install.sh");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/read_formats.py");
    let read = Command::new(PYTHON).arg(script).arg(dir.path()).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
});

/// What a label must escape, at its end, too.
const BACKSLASH: &str = "C:\\new \"x\" {y=\"z\"},\\";

fn backslash() -> Analysis {
    let mut a = pieces::pass_with_loss();
    a.workloads[0].name = BACKSLASH.into();
    a
}

fn read(case: &str, format: &str) -> &'static Value {
    &READ[case][format]
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The samples of a metric: labels to value.
fn samples(case: &str, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
    list(&read(case, "metrics.txt")["openmetrics"])
        .iter()
        .filter(|sample| text(&sample[0]) == format!("blackstart_{name}"))
        .map(|sample| (serde_json::from_value(sample[1].clone()).unwrap(), sample[2].as_f64().unwrap()))
        .collect()
}

/// The value of the only sample that has these labels.
#[track_caller]
fn value(case: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |of: &BTreeMap<String, String>| labels.iter().all(|(k, v)| of.get(*k).is_some_and(|is| is == v));
    let found: Vec<f64> = samples(case, name).into_iter().filter(|(of, _)| has(of)).map(|(_, value)| value).collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
    found.first().copied()
}

#[test]
fn metrics_are_read_alike_by_both_parsers() {
    for (case, _, a) in analyses::all() {
        let read = read(case, "metrics.txt");
        assert_eq!(read["openmetrics"], read["prometheus"], "{case}");
        assert_eq!(read["types"], serde_json::json!(["gauge"]), "{case}");
        assert!(list(&read["helpless"]).is_empty(), "{case}: {}", read["helpless"]);
        assert!(list(&read["odd"]).is_empty(), "{case}: {}", read["odd"]);
        for (name, unit) in read["units"].as_object().unwrap() {
            assert_eq!(name.ends_with("_seconds"), unit == "seconds", "{case}: {name}");
        }
        assert!(report::metrics(&a, 0).ends_with("\n# EOF\n"));
    }
}

#[test]
fn metrics_say_what_was_measured_with_its_error() {
    let rto =
        |bound| value("fail", "rto_seconds", &[("workload", "orders"), ("basis", "fault"), ("bound", bound)]).unwrap();
    let a = analyses::fail();
    let took = a.workloads[0].recoveries[0].sustained.unwrap();
    assert_eq!([rto("low"), rto("best"), rto("high")], [took.low, took.best, took.high].map(words::seconds));
    assert_eq!(value("pass-with-loss", "lost_writes", &[("workload", "orders"), ("bound", "best")]), Some(136.0));
    assert_eq!(value("fail", "run_exit_code", &[]), Some(1.0));
    let results = samples("fail", "run_result");
    assert_eq!(
        results.iter().filter(|(_, is)| *is == 1.0).map(|(of, _)| of["result"].as_str()).collect::<Vec<_>>(),
        ["fail"]
    );
    assert_eq!(value("pass-with-loss", "objective_target_writes", &[("workload", "orders")]), Some(1000.0));
    let failback =
        |fault, bound| value("failback", "lost_writes", &[("workload", "orders"), ("fault", fault), ("bound", bound)]);
    assert_eq!([failback("leader_dies", "best"), failback("failback", "best")], [Some(136.0), Some(0.0)]);
    let of = |outcome| value("no-ledger", "operations", &[("workload", "page-fresh"), ("outcome", outcome)]).unwrap();
    let counted = ["ok", "late", "fail", "unknown", "missed", "unsent"].map(of).iter().sum::<f64>();
    assert_eq!(counted, analyses::no_ledger().workloads[0].operations.due as f64);
}

#[test]
fn metrics_have_no_sample_for_what_is_not_known() {
    for bound in ["low", "best", "high"] {
        assert_eq!(value("inconclusive", "lost_writes", &[("workload", "orders"), ("bound", bound)]), None);
        assert_eq!(value("inconclusive", "rpo_seconds", &[("workload", "orders"), ("bound", bound)]), None);
        assert_eq!(value("dirty", "longest_outage_seconds", &[("workload", "orders"), ("bound", bound)]), None);
    }
    // It takes at least so long, and nobody knows how much longer.
    let late = |bound| {
        let labels = [("workload", "page-retrying"), ("fault", "failback"), ("basis", "fault"), ("bound", bound)];
        value("failback", "rto_seconds", &labels)
    };
    assert_eq!([late("low"), late("best"), late("high")], [Some(12.0), None, None]);
    assert!(samples("not-run", "operations").is_empty());
}

#[test]
fn the_last_success_is_of_a_run_that_passed() {
    let last = |case| value(case, "last_success_timestamp_seconds", &[]);
    let at = |a: &Analysis| a.started.timestamp() as f64;
    assert_eq!(last("pass-with-loss"), Some(at(&pieces::pass_with_loss())));
    for case in ["fail", "inconclusive", "dirty", "aborted", "not-run"] {
        assert_eq!(last(case), None, "{case}");
    }
    let mut a = analyses::in_a_chain();
    a.verdict = Verdict::Fail;
    let passed = a.run.lineage.as_ref().unwrap().earlier[3].started.timestamp();
    let line = format!(
        "blackstart_last_success_timestamp_seconds{{drill=\"{}\",environment=\"staging\"}} {passed}\n",
        a.run.drill
    );
    assert!(report::metrics(&a, 1).contains(&line));
    // A pass by its record alone is none if the program broke.
    assert!(!report::metrics(&pieces::pass_with_loss(), 70).contains("last_success"));
}

/// Names from outside are what they are in every format: nothing is cut short, nothing breaks out.
#[test]
fn hostile_names_stay_names() {
    let a = analyses::hostile();
    let name = words::clean(a.workloads[0].name.as_str());
    assert!(name.contains('"') && name.contains("<script>"));
    let workloads: BTreeSet<String> =
        samples("hostile", "outages").into_iter().map(|(mut of, _)| of.remove("workload").unwrap()).collect();
    assert!(workloads.contains(&name), "{workloads:?}");
    assert!(samples("backslash", "outages").iter().any(|(of, _)| of["workload"] == BACKSLASH));
    let spans = list(&read("hostile", "trace.json")["spans"]);
    assert!(spans.iter().any(|span| span["name"] == format!("workload {name}")));
    let predicate = &read("hostile", "intoto.jsonl")["statement"]["predicate"];
    let failed = list(&predicate["failedTests"]);
    assert!(failed.iter().any(|test| text(test).contains("<script>alert(1)</script>|`*\"'&]]>")), "{failed:?}");
    // OSCAL's titles and descriptions are markup, its other texts are not.
    let (value, mut markup) = (oscal(&a), Vec::new());
    ["title", "description", "statement"].into_iter().for_each(|key| all(&value, key, &mut markup));
    assert!(markup.iter().any(|text| text.contains("&lt;script&gt;")), "{markup:#?}");
    assert!(!markup.iter().any(|text| text.contains("<script")), "{markup:#?}");
    let junit = quick_junit::Report::deserialize_from_str(&report::junit(&a)).unwrap();
    let cases = junit.test_suites.iter().flat_map(|suite| &suite.test_cases);
    assert!(cases.into_iter().any(|case| case.name.as_str().contains("<script>alert(1)</script>")));
}

fn oscal(a: &Analysis) -> Value {
    serde_json::from_str(&report::oscal(a)).unwrap()
}

#[test]
fn oscal_follows_its_schema() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/data/oscal_assessment-results_schema.v1.2.1.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (case, _, a) in analyses::all() {
        let value = oscal(&a);
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {}", e.instance_path, e.instance)).collect();
        assert!(errors.is_empty(), "{case}: {errors:#?}");
    }
    // It does refuse what is wrong.
    let good = oscal(&analyses::fail());
    for (pointer, wrong) in [
        ("/assessment-results/uuid", serde_json::json!("1b4e28ba-2fa1-11d2-883f-0016d3cca427")),
        ("/assessment-results/results/0/findings", serde_json::json!([])),
        ("/assessment-results/results/0/findings/0/target/target-id", serde_json::json!("8.5")),
        ("/assessment-results/metadata/last-modified", serde_json::json!("2026-11-20T12:00:00")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}

/// Every text under a key, wherever it stands.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, child)| match child {
            Value::String(text) if name == key => found.push(text),
            _ => all(child, key, found),
        }),
        Value::Array(list) => list.iter().for_each(|child| all(child, key, found)),
        _ => {}
    }
}

#[test]
fn oscal_points_only_at_what_is_there() {
    for (case, _, a) in analyses::all() {
        let value = oscal(&a);
        let of = |key: &str| {
            let mut found = Vec::new();
            all(&value, key, &mut found);
            found
        };
        let ids: BTreeSet<&str> = of("uuid").into_iter().collect();
        assert_eq!(ids.len(), of("uuid").len(), "{case}: an id twice");
        for key in ["observation-uuid", "risk-uuid"] {
            assert!(of(key).iter().all(|id| ids.contains(id)), "{case}: {key}");
        }
        let plan = text(&value["assessment-results"]["import-ap"]["href"]).strip_prefix('#').unwrap();
        assert!(ids.contains(plan), "{case}");
        for key in ["start", "end", "collected", "last-modified", "deadline"] {
            assert!(of(key).iter().all(|time| time.ends_with('Z')), "{case}: {key}");
        }
    }
}

#[test]
fn oscal_says_what_was_missed_and_never_that_a_control_is_met() {
    let value = oscal(&analyses::fail());
    let result = &value["assessment-results"]["results"][0];
    let states = |reason: &str| {
        let of = |f: &&Value| f["target"]["status"]["reason"] == reason;
        list(&result["findings"]).iter().filter(of).count()
    };
    assert!(states("fail") >= 4 && states("pass") >= 1, "{result:#}");
    assert_eq!(list(&result["risks"]).len(), states("fail") - 1, "each but the run as a whole");
    let controls = &result["reviewed-controls"]["control-selections"][0]["include-controls"];
    let ids: Vec<&str> = list(controls).iter().map(|control| text(&control["control-id"])).collect();
    assert_eq!(ids, ["cp-4", "iso-27001-a.5.30", "soc2-a1.3"]);
    let targets: Vec<&str> = list(&result["findings"]).iter().map(|f| text(&f["target"]["target-id"])).collect();
    assert!(ids.iter().all(|id| !targets.contains(id)), "{targets:?}");
    // What was not measured has no figures, and is not satisfied for another reason than a miss.
    let value = oscal(&analyses::inconclusive());
    let result = &value["assessment-results"]["results"][0];
    let rto = &result["observations"][0];
    let names: Vec<&str> = list(&rto["props"]).iter().map(|prop| text(&prop["name"])).collect();
    assert_eq!(names, ["verdict", "unit", "target"]);
    assert_eq!(
        result["findings"][1]["target"]["status"],
        serde_json::json!({"state": "not-satisfied", "reason": "other"})
    );
    assert!(result.get("risks").is_none());
    // What earlier runs left to do is a risk with a deadline.
    let value = oscal(&analyses::in_a_chain());
    let risks = &value["assessment-results"]["results"][0]["risks"];
    assert_eq!(risks[0]["deadline"], "2026-12-01T00:00:00Z");
}

#[test]
fn an_attestation_says_what_was_tested_and_what_it_came_to() {
    let expected = |a: &Analysis| if a.verdict == Verdict::Fail { "FAILED" } else { "WARNED" };
    for (case, exit_code, a) in analyses::all() {
        let read = read(case, "intoto.jsonl");
        let statement = &read["statement"];
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
        assert_eq!(read["signatures"], serde_json::json!([]));
        let payload = report::statement(&a, MANIFEST);
        assert_eq!(text(&read["signed"]).as_bytes(), report::pae(report::PAYLOAD_TYPE, payload.as_bytes()), "{case}");
        let wanted = match case {
            "dirty" => "FAILED",
            _ if exit_code == 0 => "PASSED",
            _ => expected(&a),
        };
        assert_eq!(statement["predicate"]["result"], wanted, "{case}");
        let digests = &statement["predicate"]["configuration"][0]["digest"];
        assert_eq!(digests["sha256"], a.run.playbook_digest);
        let last = list(&statement["subject"]).last().unwrap();
        assert_eq!((&last["name"], &last["digest"]["sha256"]), (&"MANIFEST.json".into(), &MANIFEST.into()));
    }
    let statement = &read("in-a-chain", "intoto.jsonl")["statement"];
    assert_eq!(statement["subject"][0]["digest"]["sha256"], "ab".repeat(32));
    assert_eq!(statement["subject"][1]["digest"]["gitCommit"], "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b");
    assert!(statement["subject"][1].get("name").is_none());
    let tests = &read("fail", "intoto.jsonl")["statement"]["predicate"];
    assert!(list(&tests["failedTests"]).contains(&"RTO of orders".into()), "{tests:#}");
    assert!(list(&tests["passedTests"]).iter().any(|test| text(test).starts_with("baseline: ")), "{tests:#}");
}

#[test]
fn a_trace_is_one_tree_with_times_that_fit() {
    for (case, _, a) in analyses::all() {
        let read = read(case, "trace.json");
        assert_eq!((&read["lines"], &read["service"]), (&1.into(), &serde_json::json!(["blackstart"])), "{case}");
        let spans = list(&read["spans"]);
        let ids: BTreeSet<&str> = spans.iter().map(|span| text(&span["id"])).collect();
        assert_eq!(ids.len(), spans.len(), "{case}: an id twice");
        assert!(
            spans[0]["parent"] == "" && spans[1..].iter().all(|span| ids.contains(text(&span["parent"]))),
            "{case}"
        );
        for span in spans {
            assert_eq!((&span["trace"], text(&span["trace"]).len()), (&spans[0]["trace"], 32), "{case}");
            let time = |key: &str| text(&span[key]).parse::<u64>().unwrap();
            assert!(time("from") <= time("to"), "{case}: {span}");
        }
        let started = a.started.timestamp_nanos_opt().unwrap();
        assert_eq!(text(&spans[0]["from"]), started.to_string(), "{case}");
        assert_eq!(text(&spans[0]["to"]), (started + a.length).to_string(), "{case}");
        let passed = spans[0]["status"] == 1;
        assert_eq!(passed, words::headline(&a).verdict == Verdict::Pass, "{case}");
    }
}

#[test]
fn a_trace_shows_outages_faults_and_milestones_where_they_were() {
    let a = analyses::fail();
    let spans = list(&read("fail", "trace.json")["spans"]);
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let origin = a.started.timestamp_nanos_opt().unwrap();
    let fault = named("fault the leader's host dies")[0];
    assert_eq!(text(&fault["from"]), (origin + a.faults[0].at.unwrap().best).to_string());
    assert_eq!(text(&fault["to"]), (origin + a.faults[0].healed_at.unwrap().best).to_string());
    let outages = spans.iter().filter(|span| text(&span["name"]).starts_with("outage of ")).count();
    assert_eq!(outages, a.workloads.iter().map(|w| w.outages.len()).sum::<usize>());
    let events: Vec<&str> = list(&spans[0]["events"]).iter().map(text).collect();
    assert_eq!(events, a.timeline.iter().map(|mark| mark.name.as_str()).collect::<Vec<_>>());
    // A step is in the phase in which it was done.
    let parent = |span: &Value| spans.iter().find(|other| other["id"] == span["parent"]).unwrap()["name"].clone();
    assert_eq!(parent(named("a standby is promoted")[0]), "failover");
    // A fault that is open lasts until the record ends, and is an error.
    let dirty = list(&read("dirty", "trace.json")["spans"]);
    let fault = dirty.iter().find(|span| text(&span["name"]).starts_with("fault ")).unwrap();
    assert_eq!((&fault["to"], &fault["status"]), (&dirty[0]["to"], &2.into()));
}

#[test]
fn a_run_that_was_held_is_a_report_too() {
    let mut a = analyses::not_run();
    a.state = RunState::Held;
    let schema = jsonschema::validator_for(&report::schema()).unwrap();
    let value: Value = serde_json::from_str(&report::json(&a, 5)).unwrap();
    let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty() && value["run"]["state"] == "held", "{errors:#?}");
}

#[test]
fn the_run_among_others_is_in_the_report() {
    let value: Value = serde_json::from_str(&report::json(&analyses::in_a_chain(), 0)).unwrap();
    let lineage = &value["lineage"];
    assert_eq!(
        (&lineage["chain"]["counter"], &lineage["chain"]["previous"]["run"]),
        (&5.into(), &"20261020-120000-aaaa".into())
    );
    assert_eq!(lineage["chain"]["name"], "patroni-leader-loss@staging@runner-3");
    assert_eq!(lineage["subjects"][0]["name"], "registry.example.com/orders");
    assert!(text(&lineage["signer"]).starts_with("SHA256:"));
    assert_eq!(lineage["earlier"][2]["figures"][0]["best"], 31.25);
    assert!(lineage["earlier"][1]["figures"][0]["best"].is_null(), "not measured");
    assert_eq!(
        (&lineage["actions"][0]["owner"], &lineage["actions"][0]["due"]),
        (&"mira".into(), &"2026-12-01".into())
    );
    let alone: Value = serde_json::from_str(&report::json(&pieces::pass_with_loss(), 0)).unwrap();
    assert!(alone.get("lineage").is_none());
    // What no number can be is not known; and a stranger's record makes no report that breaks its schema.
    let mut a = analyses::in_a_chain();
    let figure = &mut a.run.lineage.as_mut().unwrap().earlier[0].figures[0];
    (figure.target, figure.best) = (f64::INFINITY, Some(f64::NAN));
    let value: Value = serde_json::from_str(&report::json(&a, 0)).unwrap();
    assert!(value["lineage"]["earlier"][0]["figures"][0]["target"].is_null());
    assert!(jsonschema::validator_for(&report::schema()).unwrap().is_valid(&value));
}

/// GitLab shows what stands in a failure, Jenkins its message; both need names and classes.
#[test]
fn junit_has_what_its_readers_show() {
    for (case, _, a) in analyses::all() {
        let xml = report::junit(&a);
        let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        for test in report.test_suites.iter().flat_map(|suite| &suite.test_cases) {
            assert!(
                !test.name.is_empty() && test.classname.as_ref().is_some_and(|c| c.starts_with(a.run.drill.as_str()))
            );
            if let quick_junit::TestCaseStatus::NonSuccess { message, description, .. } = &test.status {
                assert!(message.is_some() && message == description, "{case}: {:?}", test.name);
            }
        }
    }
    let xml = report::junit(&analyses::fail());
    assert!(xml.contains(" file=\"drills/postgres/patroni-leader-loss.yaml\" line=\"58\""), "{xml}");
}
