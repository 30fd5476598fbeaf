//! A run that is larger than any: its page stays small, quick to make, and says what it leaves out.

use crate::{analyses, pieces};
use blackstart::analysis::{
    Analysis, Bucket, Class, FaultResult, LostRun, Mark, Outage, StallResult, StepResult, WorkloadResult,
};
use blackstart::event::{StallCause, VantageSeal, WorkloadSeal};
use blackstart::model::{Interval, RunId, WorkloadName};
use blackstart::report;
use std::time::{Duration, Instant};

const MS: i64 = pieces::MS;
const MEGABYTE: usize = 1_000_000;

/// Ten million operations over three hours: 500 workloads of which 40 look from ten places each, 10,000 outages each for
/// the first, 5,000 steps, 1,000 stalls, every series, strip and list as long as an analysis makes them.
pub fn large() -> Analysis {
    let mut a = analyses::fail();
    let (template, sealed) = (a.workloads[2].clone(), a.run.workloads[2].clone());
    let (ledger, sealed_ledger) = (a.workloads[0].clone(), a.run.workloads[0].clone());
    let named = |i: usize| match i {
        0..100 => (format!("workload-with-a-rather-long-name-{i}"), None),
        _ => (
            format!("page-{}@place-{}", i % 40, i / 40),
            Some((format!("page-{}", i % 40), format!("place-{}", i / 40))),
        ),
    };
    a.workloads = (0..500).map(|i| workload(if i < 20 { &ledger } else { &template }, i, named(i).0)).collect();
    a.run.workloads = (0..500).map(|i| seal(if i < 20 { &sealed_ledger } else { &sealed }, named(i))).collect();
    a.steps = (0..5_000).map(|i| step(&a.steps[i % a.steps.len()], i)).collect();
    a.faults = (0..50).map(|i| fault(&a.faults[0], i)).collect();
    a.stalls = (0..1_000).map(stall).collect();
    a.timeline = (0..3_000).map(|i| mark(&a.timeline[i % a.timeline.len()], i)).collect();
    a.notes = (0..2_000).map(|i| format!("note {i}: {}", "something of interest was seen ".repeat(9))).collect();
    a.run.waivers.clone_from(&a.notes);
    a.reasons = (0..500).map(|i| a.reasons[i % a.reasons.len()].clone()).collect();
    a.objectives = (0..200).map(|i| a.objectives[i % a.objectives.len()].clone()).collect();
    let prints: Vec<_> = (0..400).flat_map(|_| a.fingerprints.clone()).collect();
    a.fingerprints = prints;
    let restores: Vec<_> = (0..200).flat_map(|_| a.restores.clone()).collect();
    a.restores = restores;
    a.run.params = (0..500).map(|i| (format!("parameter_{i}"), "value ".repeat(50))).collect();
    a.run.metadata.extend((0..500).map(|i| (format!("x_{i}"), vec!["text ".repeat(200)])));
    a.run.metadata.insert("controls".to_owned(), (0..300).map(|i| format!("soc2/A1.{i}")).collect());
    a
}

fn workload(of: &WorkloadResult, i: usize, name: String) -> WorkloadResult {
    let mut w = WorkloadResult { name: WorkloadName(name), ..of.clone() };
    w.operations.due = 10_000_000;
    w.series.width = 200 * MS;
    w.series.buckets = (0..1_000).map(|b| bucket(b * 31 + i)).collect();
    let outages = if i < 10 { 10_000 } else { 40 };
    w.outages = (0..outages).map(|n| outage(&of.outages[0], n)).collect();
    w.downtime = Interval { low: 0, best: i as i64 * MS, high: i as i64 * 2 * MS };
    if let Some(l) = &mut w.ledger {
        let classes = [Class::Kept, Class::Lost, Class::Unknown, Class::Odd, Class::Failed];
        l.strip = (0..2_000).map(|n| (n as i64 * 7 * MS, classes[(n * 7 + i) % 5])).collect();
        let run = l.lost_runs.first().copied();
        l.lost_runs = (0..1_000).filter_map(|n| Some(LostRun { from: n, to: n + 7, ..run? })).collect();
        l.ages = (0..40).map(|n| (n * 50 * MS, n as u64 * 13 % 17)).collect();
        l.why = Some("something was not read back ".repeat(20));
    }
    w
}

/// No two neighbours are alike.
fn bucket(n: usize) -> Bucket {
    let odd = |factor: usize, below: usize| (n * factor % below) as u32;
    Bucket {
        due: 1_000,
        served: 900 - odd(37, 300),
        fail: odd(41, 50),
        unknown: odd(43, 40),
        other: odd(47, 30),
        worst_share: odd(7_919, 10_000) as u16,
        p50: i64::from(odd(104_729, 1_000)) * 10_000 + 1_000,
        p95: i64::from(odd(1_299_709, 1_000)) * 100_000 + 2_000,
        p99: i64::from(odd(15_485_863, 1_000)) * 1_000_000 + 3_000,
    }
}

fn outage(of: &Outage, n: i64) -> Outage {
    let moved = |at: blackstart::analysis::At| pieces::at(at.best % (5_000 * MS) + n * 19 * MS, MS);
    Outage { from: moved(of.from), to: of.to.map(moved), ..of.clone() }
}

fn seal(of: &WorkloadSeal, (name, place): (String, Option<(String, String)>)) -> WorkloadSeal {
    let vantage =
        place.map(|(of, name)| VantageSeal { name, of: WorkloadName(of), namespace: None, offset: 0, offset_error: 0 });
    WorkloadSeal { name: WorkloadName(name), vantage, ..of.clone() }
}

fn step(of: &StepResult, i: usize) -> StepResult {
    let from = i as i64 * 15 * MS;
    StepResult { name: format!("{}, number {i} of many", of.name), from, to: Some(from + 12 * MS), ..of.clone() }
}

fn fault(of: &FaultResult, i: usize) -> FaultResult {
    let targets = (0..400).map(|n| format!("host-{i}-{n}")).collect();
    FaultResult { name: format!("{} ({i})", of.name), targets, ..of.clone() }
}

fn stall(i: i64) -> StallResult {
    StallResult { from: i * 77 * MS, to: i * 77 * MS + 30 * MS, cause: StallCause::Schedule, workload: None }
}

fn mark(of: &Mark, i: usize) -> Mark {
    Mark { at: pieces::at(i as i64 * 26 * MS, MS), name: format!("{}_{}", of.name, i % 40), ..of.clone() }
}

/// Section by section, how many bytes.
fn sections(page: &str) -> Vec<(&str, usize)> {
    page.split("<h2>").skip(1).map(|part| (part.split('<').next().unwrap_or(""), part.len())).collect()
}

#[test]
fn the_largest_run_has_a_page_below_a_megabyte_made_in_no_time() {
    let a = large();
    let begun = Instant::now();
    let page = report::html(&a);
    let took = begun.elapsed();
    assert!(page.len() < MEGABYTE, "{} bytes: {:?}", page.len(), sections(&page));
    assert!(took < Duration::from_secs(20), "{took:?} in a build without optimisation");
    assert!(page.matches("more, in report.json").count() > 10, "it says what it leaves out");
    assert!(page == report::html(&a.clone()), "it is the same again");
}

#[test]
fn how_long_a_run_was_does_not_make_its_page_larger() {
    let mut short = analyses::fail();
    let mut long = short.clone();
    for w in &mut long.workloads {
        w.operations.due *= 1_000;
        w.outages = w.outages.iter().cycle().take(20_000).cloned().collect();
    }
    long.notes = short.notes.iter().cycle().take(50_000).cloned().collect();
    short.run.run = RunId::from("20261120-120000-k3f9");
    let (one, other) = (report::html(&short).len(), report::html(&long).len());
    assert!(other < one + 120_000, "{one} grew to {other}");
}
