//! Known outages: real drills against the rig that plays them, several side by side, each held against the rig's own
//! log. What is printed is coverage (how often the truth lies inside) and width.
//!
//! `BLACKSTART_SOAK=1` runs 500 instead, `BLACKSTART_RIG_ONLY=NAME,NAME` only those, `BLACKSTART_RIG_RUNS=N` so many.

use super::seeded::{BUGS, BUGS_IN_STAMPS};
use super::support::{binary, parallel};
use blackstart::analysis::{Record, analyze};
use blackstart::event::What;
use blackstart::model::{Action, Ops, Outcome, WorkloadName};
use blackstart::rig::judge::{Judged, Op, judge};
use blackstart::rig::table::Table;
use blackstart::rig::{Drill, Host, Ran, endless, known};
use serde_json::Value;
use std::path::Path;
use std::sync::Mutex;

fn chosen() -> Vec<Drill> {
    let read = |name: &str| std::env::var(name).ok();
    if let Some(names) = read("BLACKSTART_RIG_ONLY") {
        return known().into_iter().filter(|d| names.split(',').any(|name| name == d.name)).collect();
    }
    let runs = read("BLACKSTART_RIG_RUNS").and_then(|n| n.parse().ok());
    match runs.or_else(|| read("BLACKSTART_SOAK").map(|_| 500)) {
        Some(runs) => (0..runs).map(endless).collect(),
        None => known(),
    }
}

/// A drill that has run, with all that is needed to judge it again.
pub struct Known {
    pub drill: Drill,
    pub ran: Ran,
    pub record: Record,
    pub report: Value,
    _home: tempfile::TempDir,
}

fn run(drill: Drill) -> Known {
    run_beside(drill, None)
}

/// Runs it while something is done to the runner, whose pid it gets.
pub fn run_beside(drill: Drill, beside: Option<fn(u32, &Path)>) -> Known {
    let home = tempfile::tempdir().unwrap();
    let host = Host { program: Some(binary()), home: home.path().to_path_buf(), beside };
    let ran = drill.run(&host).unwrap_or_else(|e| panic!("{}: {e}", drill.name));
    let folder = ran.folder.clone().unwrap_or_else(|| panic!("{}: no run: {}", drill.name, ran.said));
    let report = std::fs::read_to_string(folder.join("report.json")).unwrap_or_else(|e| panic!("{e}: {}", ran.said));
    let record = super::drill::record(&folder);
    Known { drill, ran, record, report: serde_json::from_str(&report).unwrap(), _home: home }
}

/// The operations that decide: a ledger's writes, anybody else's visits.
fn operations(record: &Record, name: &str) -> Vec<Op> {
    let all = record.ops.get(&WorkloadName::from(name)).map(Ops::to_vec).unwrap_or_default();
    let mut ops: Vec<Op> = all
        .iter()
        .filter(|op| op.action != Action::Read)
        .map(|op| Op {
            due: op.due.0,
            sent: op.sent.0,
            done: op.done.0,
            ok: op.outcome == Outcome::Ok,
            key: op.key.map(|key| (key.writer, key.seq)),
        })
        .collect();
    ops.sort_by_key(|op| op.due);
    ops
}

impl Known {
    /// What the judge says of a record and the report that was made of it.
    pub fn judged(&self, record: &Record, report: &Value) -> Judged {
        let zero = match record.events.first().map(|event| (&event.what, event.at.mono)) {
            Some((What::RunStarted(_), mono)) => mono.0,
            other => panic!("{other:?}"),
        };
        let clients = self.drill.clients(|name| operations(record, name));
        judge(&self.ran.truth, report, zero, &clients)
    }
}

#[test]
fn the_truth_of_every_known_outage_lies_inside_and_no_interval_is_too_wide() {
    let drills = chosen();
    let (table, done) = (Mutex::new(Table::default()), Mutex::new(Vec::new()));
    parallel(drills, 4, |drill: Drill| {
        let known = run(drill);
        let judged = known.judged(&known.record, &known.report);
        let wrong = judged.complaints();
        println!("{}: {}", known.drill.name, if wrong.is_empty() { "agrees" } else { "DISAGREES" });
        for complaint in &wrong {
            println!("    {complaint}");
        }
        table.lock().unwrap().add(&known.drill.name, &judged);
        // A soak would fill the memory; its bugs are planted in the usual ones.
        if wrong.is_empty() && done.lock().unwrap().len() < 40 {
            done.lock().unwrap().push(known);
        }
    });
    let table = table.into_inner().unwrap();
    let (inside, all) = table.coverage();
    println!("{} runs, {inside} of {all} truths inside, {} runs blind for a while", table.runs, table.blind);
    println!("{}\n{}", table.text(), table.overhead());
    assert!(table.complaints.is_empty() && table.is_narrow(), "{}\n{}", table.complaints.join("\n"), table.text());
    if std::env::var_os("BLACKSTART_RIG_ONLY").is_none() {
        let passing = bugs_that_pass(&done.into_inner().unwrap());
        assert!(passing.is_empty(), "{}", passing.join("\n"));
    }
}

/// Seeded bugs that turn no recorded drill red; and without a bug, each must be what it was.
fn bugs_that_pass(done: &[Known]) -> Vec<String> {
    let again = |known: &Known, record: &Record| {
        let report = blackstart::report::json(&analyze(record), 0);
        known.judged(record, &serde_json::from_str(&report).unwrap()).complaints().len()
    };
    let mut passing: Vec<String> = done
        .iter()
        .filter(|known| again(known, &known.record) > 0)
        .map(|known| format!("{}: analysed again it is another", known.drill.name))
        .collect();
    let silent = Mutex::new(Vec::new());
    parallel(BUGS.iter().chain(BUGS_IN_STAMPS).collect(), 2, |bug| {
        let seen = done.iter().position(|known| {
            let mut record = known.record.clone();
            (bug.plant)(&mut record);
            again(known, &record) > 0
        });
        println!("seeded bug: {}: seen after {seen:?} drills", bug.name);
        // The rig is one node, so it never acknowledges on one of two.
        if seen.is_none() && !bug.name.contains("by one node") {
            silent.lock().unwrap().push(format!("seeded bug not seen: {}", bug.name));
        }
    });
    passing.extend(silent.into_inner().unwrap());
    passing
}
