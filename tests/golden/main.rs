//! Every format of every kind of run, against files that a person has read. `UPDATE_GOLDEN=1 cargo test --test golden`
//! writes them anew; then look at the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[cfg(test)]
mod analyses;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod series;

use blackstart::analysis::{self, Analysis, Attribution, Bucket, WorkloadResult};
use blackstart::journal;
use blackstart::model::{Interval, RunState, Verdict};
use blackstart::report::{self, Style, View, words};
use std::path::{Path, PathBuf};

const FOLDER: &str = "reports/patroni-leader-loss/20261120-120000-k3f9";

/// Files that are kept for these cases only, to spare the repository.
const LARGE: [&str; 2] = ["report.json", "report.html"];
const KEPT_WHOLE: [&str; 3] = ["fail", "dirty", "not-run"];
/// The same of formats that are made only where they are asked for.
const ASKED_FOR: [&str; 3] = ["oscal.json", "trace.json", "intoto.json"];
const KEPT_ASKED_FOR: [&str; 3] = ["fail", "not-run", "in-a-chain"];
/// SHA-256 of a manifest that nobody has.
const MANIFEST: &str = "1f8a2c0a3f5a4c4e7d1b0a9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b";

fn rendered(a: &Analysis, exit_code: u8) -> Vec<(&'static str, String)> {
    let view = |width, style| report::terminal(a, View { width, style, folder: FOLDER });
    vec![
        ("report.json", report::json(a, exit_code)),
        ("report.html", report::html(a)),
        ("report.md", report::markdown(a)),
        ("junit.xml", report::junit(a)),
        ("metrics.txt", report::metrics(a, exit_code)),
        ("oscal.json", report::oscal(a)),
        ("trace.json", indented(&report::trace(a))),
        ("intoto.json", indented(&report::statement(a, MANIFEST))),
        ("terminal-120.txt", view(120, Style::Plain)),
        ("terminal-72.txt", view(72, Style::Plain)),
        ("annotations.txt", report::annotations(a).join("\n") + "\n"),
    ]
}

/// For people to read: these formats have one line.
fn indented(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

fn golden(case: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case).join(file)
}

#[test]
fn every_format_is_as_it_was_read() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for (case, exit_code, analysis) in analyses::all() {
        for (file, text) in rendered(&analysis, exit_code) {
            if file == "report.html" && update {
                let shown = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{case}.html"));
                std::fs::write(&shown, &text).unwrap();
            }
            let of = |files: &[&str], kept: &[&str]| files.contains(&file) && !kept.contains(&case);
            if of(&LARGE, &KEPT_WHOLE) || of(&ASKED_FOR, &KEPT_ASKED_FOR) {
                continue;
            }
            let path = golden(case, file);
            if update {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            } else if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
                different.push(path);
            }
        }
    }
    assert!(different.is_empty(), "these differ; UPDATE_GOLDEN=1 writes them anew: {different:#?}");
}

/// A real run, kept in the repository: its reports follow from its record, byte for byte.
#[test]
fn the_sample_is_what_its_record_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    let stored = journal::read(&dir).expect("the sample has a record");
    assert_eq!((stored.cut.is_none(), stored.problems.is_empty()), (true, true), "the sample's record is whole");
    let analysis = analysis::analyze(&analysis::Record {
        events: stored.events,
        ops: stored.ops,
        read_backs: stored.read_backs,
        head: stored.head,
        lines: stored.lines,
        cut: None,
        problems: stored.problems,
    });
    assert_eq!((analysis.state, analysis.verdict), (RunState::Ended, Verdict::Pass));
    for (file, text) in rendered(&analysis, 0)
        .into_iter()
        .filter(|(file, _)| file.contains("report.") || ["junit.xml", "metrics.txt"].contains(file))
    {
        let path = dir.join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(std::fs::read_to_string(&path).ok() == Some(text), "{file} differs; UPDATE_GOLDEN=1 writes it anew");
    }
}

#[test]
fn requests_that_waited_did_notice_something() {
    let told = |gap: i64| {
        let mut a = analyses::fail();
        for recovery in a.workloads.iter_mut().flat_map(|w| &mut w.recoveries) {
            recovery.unnoticed = true;
            recovery.sustained = Some(Interval { low: 0, best: gap / 2, high: gap });
        }
        report::markdown(&a)
    };
    let (short, long) = (told(20_000_000), told(3_000_000_000));
    assert!(short.contains("noticed nothing") && !short.contains("waited"), "{short}");
    assert!(!long.contains("noticed nothing"), "{long}");
    assert!(long.contains("requests waited: for up to 3 s no answer came"), "{long}");
    assert!(long.contains("and were tried again where they were refused"), "{long}");
}

#[test]
fn what_the_drill_restored_did_not_come_back_without_our_help() {
    let validator = jsonschema::validator_for(&report::schema()).unwrap();
    let told = |who| {
        let mut a = pieces::pass_with_loss();
        for recovery in a.workloads.iter_mut().flat_map(|w| &mut w.recoveries) {
            recovery.attribution = who;
        }
        let value: serde_json::Value = serde_json::from_str(&report::json(&a, 0)).unwrap();
        assert!(validator.is_valid(&value), "{who:?}");
        let by = value["workloads"]["orders"]["recoveries"][0]["restored_by"].clone();
        let html = report::html(&a);
        let elsewhere = ["on what took over, before", "on what the drill restored, before"].map(|on| html.contains(on));
        assert_eq!(elsewhere, [who == Attribution::System, who == Attribution::Restore]);
        (report::markdown(&a) + &report::terminal(&a, View { width: 200, style: Style::Plain, folder: FOLDER }), by)
    };
    let ours = (", by what the drill restored.", "our restore");
    let itself = (", without our help.", "the system");
    let healed = (", once the fault was removed.", "our heal");
    for (who, by, says) in [
        (Attribution::System, "system", itself),
        (Attribution::Restore, "restore", ours),
        (Attribution::Heal, "heal", healed),
    ] {
        let (text, value) = told(who);
        assert_eq!(value, by);
        for (sentence, word) in [ours, itself, healed] {
            let said = (sentence, word) == says;
            assert_eq!((text.contains(sentence), text.contains(word)), (said, said), "{by}: {text}");
        }
    }
}

#[test]
fn rendering_is_deterministic() {
    for (case, exit_code, a) in analyses::all() {
        assert_eq!(rendered(&a, exit_code), rendered(&a.clone(), exit_code), "{case}");
    }
}

#[test]
fn json_follows_its_schema() {
    let validator = jsonschema::validator_for(&report::schema()).expect("the schema itself is valid");
    for (case, exit_code, a) in analyses::all() {
        let value: serde_json::Value = serde_json::from_str(&report::json(&a, exit_code)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{case}: {errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let validator = jsonschema::validator_for(&report::schema()).unwrap();
    let good: serde_json::Value = serde_json::from_str(&report::json(&analyses::fail(), 1)).unwrap();
    for (pointer, wrong) in [
        ("/schema", serde_json::json!("blackstart/report/v2")),
        ("/run/verdict", serde_json::json!("passed")),
        ("/run/state", serde_json::json!("done")),
        ("/objectives/0/actual", serde_json::json!(3)),
        ("/workloads/orders/ledger/lost", serde_json::json!("none")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}

#[test]
fn the_core_names_are_there() {
    let value: serde_json::Value = serde_json::from_str(&report::json(&pieces::pass_with_loss(), 0)).unwrap();
    for pointer in [
        "/schema",
        "/run/id",
        "/run/drill",
        "/run/environment",
        "/run/started",
        "/run/state",
        "/run/verdict",
        "/run/exit_code",
        "/run/reasons",
        "/objectives/0/name",
        "/objectives/0/workload",
        "/objectives/0/target",
        "/objectives/0/unit",
        "/objectives/0/basis",
        "/objectives/0/actual/low",
        "/objectives/0/actual/best",
        "/objectives/0/actual/high",
        "/objectives/0/verdict",
        "/workloads/orders/operations/due",
        "/workloads/orders/operations/ok",
        "/workloads/orders/operations/late",
        "/workloads/orders/operations/fail",
        "/workloads/orders/operations/unknown",
        "/workloads/orders/operations/missed",
        "/workloads/orders/downtime/outages",
        "/workloads/orders/downtime/longest/best",
        "/workloads/orders/downtime/total/best",
        "/workloads/orders/ledger/acked",
        "/workloads/orders/ledger/kept",
        "/workloads/orders/ledger/lost",
        "/workloads/orders/ledger/corrupted",
        "/workloads/orders/ledger/duplicated",
        "/workloads/orders/ledger/resurrected",
        "/workloads/orders/ledger/unknown_present",
        "/workloads/orders/ledger/unknown_absent",
        "/workloads/orders/ledger/holes",
        "/timeline/0/mark",
        "/timeline/0/at/best",
        "/steps/0/name",
        "/steps/0/phase",
        "/steps/0/verdict",
        "/steps/0/started",
        "/steps/0/ended",
        "/faults/0/name",
        "/faults/0/kind",
        "/faults/0/effective",
        "/faults/0/healed",
    ] {
        assert!(value.pointer(pointer).is_some(), "{pointer} is missing");
    }
    assert_eq!(value.pointer("/objectives/2/unit").unwrap(), "writes");
    assert_eq!(value.pointer("/objectives/2/actual/best").unwrap(), 136.0);
    assert_eq!(value.pointer("/objectives/0/target").unwrap(), 30.0);
}

#[test]
fn what_is_unknown_is_null_and_never_zero() {
    let value: serde_json::Value = serde_json::from_str(&report::json(&analyses::inconclusive(), 2)).unwrap();
    for pointer in ["/objectives/0/actual", "/workloads/orders/ledger/lost", "/workloads/orders/ledger/kept"] {
        assert!(value.pointer(pointer).unwrap().is_null(), "{pointer}");
    }
    let text = report::terminal(&analyses::inconclusive(), View { width: 120, style: Style::Plain, folder: FOLDER });
    assert!(text.contains("not measured") && text.contains("final read-back failed"), "{text}");
}

#[test]
fn tables_keep_within_the_terminal() {
    for (case, _, a) in analyses::all() {
        for width in [60, 72, 80, 100, 120, 200] {
            let text = report::terminal(&a, View { width, style: Style::Plain, folder: "r" });
            let widest = text.lines().filter(|l| l.starts_with(['│', '╭', '╰'])).map(|l| l.chars().count()).max();
            assert!(widest.unwrap_or(0) <= width, "{case} at {width}: {widest:?}\n{text}");
        }
    }
}

#[test]
fn names_and_figures_are_never_cut_within_a_word() {
    for (case, _, a) in analyses::all().into_iter().filter(|(case, ..)| *case != "hostile") {
        let recovery = report::tables::recovery(&a);
        for width in [72, 80, 100, 120] {
            let text = report::terminal(&a, View { width, style: Style::Plain, folder: FOLDER });
            for head in recovery.head.iter().filter(|_| !recovery.is_empty()) {
                assert!(text.contains(head), "{case} at {width}: {head}\n{text}");
            }
            for cell in recovery.rows.iter().flatten().filter(|cell| cell.text.chars().count() <= 28) {
                assert!(text.contains(&cell.text), "{case} at {width}: {}\n{text}", cell.text);
            }
        }
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    for (case, _, a) in analyses::all().into_iter().filter(|(case, ..)| *case != "hostile") {
        let of = |style| report::terminal(&a, View { width: 120, style, folder: FOLDER });
        let mut plain = String::new();
        let coloured = of(Style::Colour);
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        assert_eq!(plain, of(Style::Plain), "{case}");
    }
}

#[test]
fn junit_counts_misses_as_failures_and_unknowns_as_errors() {
    let of = |a: &Analysis| quick_junit::Report::deserialize_from_str(&report::junit(a)).expect("it is JUnit");
    let pass = of(&pieces::pass_with_loss());
    assert_eq!((pass.failures, pass.errors), (0, 0));
    assert_eq!(pass.tests, 4 + 7);
    let fail = of(&analyses::fail());
    assert_eq!((fail.failures, fail.errors), (3 + 2, 1 + 2), "objectives and steps, and data");
    let dirty = of(&analyses::dirty());
    assert!(dirty.failures >= 1, "an open fault is a failure");
    for (case, exit_code, a) in analyses::all() {
        let report = of(&a);
        assert_eq!(exit_code == 0, report.failures + report.errors == 0, "{case}");
    }
}

#[test]
fn the_page_loads_nothing_runs_nothing_and_is_small() {
    for (case, _, a) in analyses::all() {
        let page = report::html(&a);
        assert!(page.len() < 1_000_000, "{case}: {}", page.len());
        for forbidden in [
            "<script",
            "<img",
            "<iframe",
            "<link",
            "href=",
            "src=",
            " style=",
            "url(",
            "@import",
            "http://",
            "https://",
            "javascript:",
        ] {
            assert!(!page.contains(forbidden), "{case}: {forbidden}");
        }
        for needed in
            ["<!DOCTYPE html>", "Content-Security-Policy", "default-src &#39;none&#39;", "lang=\"en\"", "<main>"]
        {
            assert!(page.contains(needed), "{case}: {needed}");
        }
        let text = words::headline(&a).word;
        assert!(page.contains(text), "{case}: {text}");
    }
}

/// The x and the width of the first element of a class in the page's chart of outages.
fn first_of(page: &str, class: &str) -> (f64, f64) {
    let chart = page.split("id=\"outages-t-wide\"").nth(1).expect("a chart of outages");
    let element = chart.split('<').find(|tag| tag.contains(&format!("class=\"{class}\""))).expect("one of that class");
    let number = |name: &str| element.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.parse::<f64>().ok();
    (number("x").expect("a place"), number("width").expect("a width"))
}

#[test]
fn what_nobody_measured_is_drawn_neither_as_served_nor_as_an_outage() {
    let mut a = analyses::fail();
    let (from, _) = a.workloads[0].measured.unwrap();
    let whole = first_of(&report::html(&a), "lane");
    // The record of its load ends in the middle of an outage that nobody saw the end of.
    let middle = a.workloads[0].outages[0].from.best + 1_000_000_000;
    a.workloads[0].measured = Some((from, middle));
    a.workloads[0].outages.truncate(1);
    a.workloads[0].outages[0].to = None;
    let page = report::html(&a);
    let (lane, bar) = (first_of(&page, "lane"), first_of(&page, "failed"));
    assert!(lane.0 == whole.0 && lane.1 < whole.1 / 2.0, "{lane:?} of {whole:?}");
    assert!((bar.0 + bar.1 - lane.0 - lane.1).abs() < 0.2, "the bar {bar:?} does not end with the lane {lane:?}");
}

#[test]
fn a_page_of_many_long_workloads_stays_under_a_megabyte() {
    let mut a = analyses::fail();
    let dense: Vec<_> = a.workloads[2].series.buckets.iter().cycle().copied().enumerate().take(1_000).collect();
    a.workloads[2].series.buckets = dense
        .into_iter()
        .map(|(i, b)| Bucket {
            fail: i as u32 % 7,
            worst_share: (i * 37 % 10_000) as u16,
            p99: b.p99 + i as i64 * 9_001,
            ..b
        })
        .collect();
    let template = a.workloads[2].clone();
    a.workloads =
        (0..20).map(|i| WorkloadResult { name: format!("client-{i}").as_str().into(), ..template.clone() }).collect();
    let size = report::html(&a).len();
    assert!(size < 1_000_000, "{size}");
}

#[test]
fn every_element_of_a_page_is_closed_in_order() {
    const VOID: [&str; 3] = ["meta", "br", "link"];
    for (case, _, a) in analyses::all() {
        let page = report::html(&a);
        let (mut open, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
        let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
        while let Some((_, after)) = rest.split_once('<') {
            let (tag, after) = after.split_once('>').expect("a tag ends");
            rest = after;
            if let Some((_, id)) = tag.split_once(" id=\"") {
                assert!(ids.insert(id.split_once('"').unwrap().0.to_owned()), "{case}: {tag} twice");
            }
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
            match tag {
                _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{case}"),
                _ if tag.ends_with('/') || VOID.contains(&name) => {}
                _ => open.push(name),
            }
        }
        assert!(open.is_empty(), "{case}: {open:?}");
    }
}

#[test]
fn nothing_from_outside_reaches_a_terminal_or_a_log_as_a_command() {
    let a = analyses::hostile();
    let text = report::terminal(&a, View { width: 100, style: Style::Plain, folder: "r" });
    assert!(!text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{202e}'));
    assert!(report::annotations(&a).iter().all(|line| !line.contains('\n')));
    assert!(!report::markdown(&a).contains("<script"));
}
