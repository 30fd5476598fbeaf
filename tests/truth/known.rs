//! Known outages: real drills against the rig that plays them, several side by side, each held against the rig's own
//! log. What is printed is coverage (how often the truth lies inside) and width.
//!
//! `BLACKSTART_SOAK=1` runs 500 instead, `BLACKSTART_RIG_ONLY=NAME,NAME` only those, `BLACKSTART_RIG_RUNS=N` so many,
//! `BLACKSTART_RIG_BESIDE=N` so many at a time. The last line that it prints can be pasted into `docs/timing.md`.

use super::clocks;
use super::seeded::{BUGS, BUGS_IN_STAMPS};
use super::steal::undisturbed;
use super::support::{binary, parallel};
use blackstart::analysis::{Record, analyze};
use blackstart::event::What;
use blackstart::model::{Action, Ops, Outcome, WorkloadName};
use blackstart::rig::judge::{Judged, Op, judge};
use blackstart::rig::table::Table;
use blackstart::rig::{Drill, Host, Ran, endless, known};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Beyond so many drills it is a soak.
const FEW: usize = 100;

/// How many run at a time. They mostly wait; two processors carry six of them without being late.
fn beside(drills: usize) -> usize {
    let told = std::env::var("BLACKSTART_RIG_BESIDE").ok().and_then(|n| n.parse().ok());
    told.unwrap_or(if drills > FEW { 6 } else { 4 })
}

/// When and where, for the line that is kept.
fn occasion(beside: usize, began: Instant) -> String {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let (date, took) = (chrono::Utc::now().format("%-d %B %Y"), began.elapsed().as_secs());
    format!("{date}, {build} build, {cores} cores, {beside} at a time, {took} s, load average {}", load.join(" "))
}

fn chosen() -> Vec<Drill> {
    let read = |name: &str| std::env::var(name).ok();
    if let Some(names) = read("BLACKSTART_RIG_ONLY") {
        return known().into_iter().filter(|d| names.split(',').any(|name| name == d.name)).collect();
    }
    let runs = read("BLACKSTART_RIG_RUNS").and_then(|n| n.parse().ok());
    let mut drills: Vec<Drill> = match runs.or_else(|| read("BLACKSTART_SOAK").map(|_| 500)) {
        Some(runs) => (0..runs).map(endless).collect(),
        None => known(),
    };
    // The long ones first: they run beside all the others.
    drills.sort_by_key(|drill| drill.script.lasting() < Duration::from_secs(30));
    drills
}

/// A drill that has run, with all that is needed to judge it again.
pub struct Known {
    pub drill: Drill,
    pub ran: Ran,
    pub record: Record,
    pub report: Value,
    _home: tempfile::TempDir,
}

fn run(drill: Drill, setting: Setting) -> Result<Known, String> {
    let home = tempfile::tempdir().unwrap();
    let variables = setting.clocks.map(|library| clocks::variables(&library, home.path())).unwrap_or_default();
    let host = Host { program: Some(binary()), home: home.path().to_path_buf(), beside: setting.beside, variables };
    let ran = drill.run(&host).map_err(|e| e.to_string())?;
    let folder = ran.folder.clone().ok_or_else(|| format!("no run: {}", ran.said))?;
    let report = std::fs::read_to_string(folder.join("report.json")).map_err(|e| format!("{e}: {}", ran.said))?;
    let report = serde_json::from_str(&report).map_err(|e| e.to_string())?;
    let record = super::drill::record(&folder);
    Ok(Known { drill, ran, record, report, _home: home })
}

/// What is done to a runner.
#[derive(Default)]
pub struct Setting {
    /// Called beside it with its pid and the rig's folder.
    pub beside: Option<fn(u32, &Path)>,
    /// The library that moves its clocks.
    pub clocks: Option<PathBuf>,
}

/// Runs it while something is done to the runner.
pub fn run_in(drill: Drill, setting: Setting) -> Known {
    let name = drill.name.clone();
    run(drill, setting).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Runs it while something is done to the runner, whose pid it gets.
pub fn run_beside(drill: Drill, beside: fn(u32, &Path)) -> Known {
    run_in(drill, Setting { beside: Some(beside), ..Setting::default() })
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
    let (beside, began) = (beside(drills.len()), Instant::now());
    let (table, done) = (Mutex::new(Table::default()), Mutex::new(Vec::new()));
    parallel(drills, beside, |drill: Drill| {
        let name = drill.name.clone();
        let agrees =
            |came: &Result<(Known, Judged), String>| came.as_ref().is_ok_and(|(_, j)| j.complaints().is_empty());
        let came = undisturbed(&name, agrees, || {
            let known = run(drill.clone(), Setting::default())?;
            let judged = known.judged(&known.record, &known.report);
            Ok((known, judged))
        });
        let (known, judged) = match came {
            Ok(came) => came,
            // The others go on, and all of it is told at the end.
            Err(why) => {
                println!("{name}: DID NOT RUN: {why}");
                return table.lock().unwrap().add(&name, &Judged { broken: vec![why], ..Judged::default() });
            }
        };
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
    println!("{}\n{}", table.text(), table.overhead());
    println!("{}: {}", occasion(beside, began), table.line());
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
