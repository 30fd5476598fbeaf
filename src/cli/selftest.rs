//! `blackstart selftest`: how right this program's numbers are on this machine. Runs real drills against a service that
//! plays outages whose moments it knows, and holds each report against that service's own log. The outages, the truth
//! and the judge are in [`crate::rig`]; here they are run side by side and shown.

use super::{Complaint, Exit, Output, Terminal};
use crate::clock::Clock;
use crate::journal;
use crate::model::{Action, Mono, OpRecord, Ops, Outcome, WorkloadName};
use crate::rig::judge::{Judged, Op, judge};
use crate::rig::table::{Finding, Table};
use crate::rig::{Drill, Host, RigError, known};
use serde_json::json;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A drill takes so much longer than what it plays: baseline, sustained service, draining, and starting processes.
const AROUND: Duration = Duration::from_millis(6_500);
/// Side by side at most so many.
const WIDEST: usize = 8;
/// Later than this in one of a hundred operations, the machine is too busy to judge how wide intervals are.
const LATE: i64 = 5_000_000;
/// So many complaints are shown.
const SHOWN: usize = 12;

/// For how long, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin no drill that would end later than this many seconds from now
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(10..=3600))]
    seconds: u64,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let home = Home::make()?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let beside = (2 * cores).clamp(2, WIDEST);
    if args.output == Output::Human {
        terminal.warn(&format!("running drills against known outages, {beside} at a time, for {} s", args.seconds));
    }
    let work = Work {
        waiting: Mutex::new(known().into()),
        table: Mutex::default(),
        failed: Mutex::default(),
        until: Clock::System.mono().after(Duration::from_secs(args.seconds)),
    };
    let begun = Clock::System.mono();
    std::thread::scope(|scope| {
        for _ in 0..beside {
            scope.spawn(|| work.go_on(&home.0));
        }
    });
    let took = Clock::System.mono().since(begun);
    let failed = work.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = failed {
        return Err(Complaint::new(Exit::Preflight, format!("selftest: {why}")));
    }
    let table = work.table.into_inner().unwrap_or_else(PoisonError::into_inner);
    let told = Told { exit: exit(&table), beside, took, cores, clock: clock_cost() };
    match args.output {
        Output::Json => terminal.say(&told.json(&table)),
        Output::Human | Output::Plain => terminal.say(&told.text(&table)),
    }
    Ok(told.exit)
}

/// A folder for all that the drills leave; gone with this.
struct Home(PathBuf);

impl Home {
    fn make() -> Result<Self, Complaint> {
        let path = std::env::temp_dir().join(format!("blackstart-selftest-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|e| Complaint::new(Exit::Preflight, format!("cannot make {}: {e}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What stays is only in the way of the disk's room.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

struct Work {
    waiting: Mutex<VecDeque<Drill>>,
    table: Mutex<Table>,
    /// Why a drill could not be run at all: the first time.
    failed: Mutex<Option<RigError>>,
    until: Mono,
}

impl Work {
    /// Runs one drill after another, as long as there is time.
    fn go_on(&self, home: &Path) {
        while let Some(drill) = self.next() {
            match one(&drill, &home.join(&drill.name)) {
                Ok(judged) => self.table.lock().unwrap_or_else(PoisonError::into_inner).add(&drill.name, &judged),
                Err(why) => {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                    return;
                }
            }
        }
    }

    /// The next one that there is time for; nothing once a drill could not be run.
    fn next(&self) -> Option<Drill> {
        if self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return None;
        }
        let left = self.until.since(Clock::System.mono());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.iter().position(|drill| drill.script.lasting() + AROUND <= left)?;
        waiting.remove(place)
    }
}

/// Runs a drill and judges it by what it left in its folder, as any other program would.
fn one(drill: &Drill, home: &Path) -> Result<Judged, RigError> {
    let ran = drill.run(&Host { program: None, home: home.to_path_buf(), beside: None, variables: Vec::new() })?;
    let broken = |why: String| Judged { broken: vec![why], ..Judged::default() };
    let Some(folder) = &ran.folder else { return Ok(broken(format!("it left no record: {}", ran.said.trim()))) };
    let report = std::fs::read_to_string(folder.join("report.json")).ok();
    let report = report.and_then(|text| serde_json::from_str(&text).ok());
    let (Some(report), Ok(stored)) = (report, journal::read(folder)) else {
        return Ok(broken(format!("its record cannot be read: {}", ran.said.trim())));
    };
    let zero = stored.events.first().map_or(0, |event| event.at.mono.0);
    let clients = drill.clients(|name| stored.ops.get(&WorkloadName::from(name)).map(operations).unwrap_or_default());
    let judged = judge(&ran.truth, &report, zero, &clients);
    // Gigabytes of them would be left otherwise.
    drop(std::fs::remove_dir_all(home));
    Ok(judged)
}

/// The operations that decide, in order of their due time.
fn operations(ops: &Ops) -> Vec<Op> {
    let op = |op: OpRecord| Op {
        due: op.due.0,
        sent: op.sent.0,
        done: op.done.0,
        ok: op.outcome == Outcome::Ok,
        key: op.key.map(|key| (key.writer, key.seq)),
    };
    let mut list: Vec<Op> = ops.iter().filter(|op| op.action != Action::Read).map(op).collect();
    list.sort_by_key(|op| op.due);
    list
}

fn exit(table: &Table) -> Exit {
    match table.finding(LATE) {
        Finding::Right => Exit::Pass,
        Finding::Busy => Exit::Inconclusive,
        Finding::Wrong => Exit::Fail,
    }
}

/// What reading the clock twice costs, in nanoseconds: a stamp's own share of a service time.
fn clock_cost() -> i64 {
    const READINGS: i64 = 10_000;
    let start = Clock::System.mono();
    for _ in 0..READINGS {
        std::hint::black_box(Clock::System.mono());
    }
    (Clock::System.mono() - start) / READINGS
}

/// What a selftest says, apart from the table.
#[derive(Debug)]
struct Told {
    exit: Exit,
    beside: usize,
    took: Duration,
    cores: usize,
    clock: i64,
}

impl Told {
    fn text(&self, table: &Table) -> String {
        let Self { beside, cores, clock, .. } = self;
        let mut text = format!(
            "{} drills against known outages, {beside} at a time, {:.0} s, {cores} cores\n\n{}\n{}reading the clock: \
             {clock} ns\n",
            table.runs,
            self.took.as_secs_f64(),
            table.text(),
            table.overhead()
        );
        if table.blind > 0 {
            text.push_str(&format!(
                "in {} of {} drills the runner could not see for a while ({}); their intervals are wider by that\n",
                table.blind,
                table.runs,
                crate::rig::table::time(table.stalled)
            ));
        }
        for complaint in table.complaints.iter().take(SHOWN) {
            text.push_str(&format!("✗ {complaint}\n"));
        }
        text.push('\n');
        text.push_str(&self.verdict(table));
        text
    }

    /// One plain line.
    fn verdict(&self, table: &Table) -> String {
        let (inside, all) = table.coverage();
        match self.exit {
            Exit::Pass => format!(
                "✓ right: all {all} truths lie inside what was reported, and no interval is wider than it may be"
            ),
            Exit::Inconclusive => format!(
                "? inconclusive: this machine is too busy to say; {inside} of {all} truths lie inside. Try again when it \
                 is quiet"
            ),
            _ => format!(
                "✗ wrong: {inside} of {all} truths lie inside what was reported; do not trust times measured on this \
                 machine"
            ),
        }
    }

    fn json(&self, table: &Table) -> String {
        let (inside, all) = table.coverage();
        json!({"selftest": {
            "exit_code": self.exit.code(), "word": self.exit.word(), "drills": table.runs,
            "seconds": self.took.as_secs_f64(), "cores": self.cores, "truths": all, "inside": inside,
            "measures": table.json(), "clock_ns": self.clock, "blind_drills": table.blind,
            "complaints": table.complaints,
        }})
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::judge::{Check, Gaps, Measure, Width};

    fn table(inside: bool, is: i64, stalled: i64) -> Table {
        let width = Some(Width { is, usual: 25_000_000, limit: 31_000_000 });
        let check = |measure, inside, width| Check {
            of: "page".to_owned(),
            measure,
            inside,
            width,
            said: "reported [1, 2], true is 3".to_owned(),
        };
        let checks = vec![check(Measure::Restored, inside, width), check(Measure::Stamps, true, None)];
        let gaps = Gaps { late: vec![20_000, 183_500], out: vec![35_500, 159_800], back: vec![20_800, 77_500] };
        let mut table = Table::default();
        table.add("refuse-150ms", &Judged { checks, gaps, stalled, ..Judged::default() });
        table
    }

    fn said(table: &Table) -> (u8, String) {
        let told = Told { exit: exit(table), beside: 4, took: Duration::from_secs(39), cores: 2, clock: 25 };
        (told.exit.code(), told.text(table))
    }

    #[test]
    fn what_it_says_of_a_machine_whose_numbers_are_right() {
        let golden = "\
1 drills against known outages, 4 at a time, 39 s, 2 cores

what                       checks    inside    width p50    width max   as usual     within
first restored (hard)           1   100.0 %      11.5 ms      11.5 ms    100.0 %    100.0 %
stamps of each operation        1   100.0 %            -            -          -          -

of 2 quiet operations                                       p50        p95        p99        max
lateness: from due to sent                              20.0 µs   183.5 µs   183.5 µs   183.5 µs
from our `sent` to the server having read it            35.5 µs   159.8 µs   159.8 µs   159.8 µs
from the server's answer to our `done`                  20.8 µs    77.5 µs    77.5 µs    77.5 µs
reading the clock: 25 ns

✓ right: all 2 truths lie inside what was reported, and no interval is wider than it may be";
        assert_eq!(said(&table(true, 11_500_000, 0)), (0, golden.to_owned()));
    }

    #[test]
    fn a_truth_outside_is_1_and_a_busy_machine_is_2() {
        let (code, text) = said(&table(false, 11_500_000, 0));
        assert_eq!(code, 1);
        assert!(text.contains("✗ refuse-150ms: page: first restored (hard): reported [1, 2], true is 3"), "{text}");
        assert!(text.ends_with(
            "✗ wrong: 1 of 2 truths lie inside what was reported; do not trust times measured on this machine"
        ));
        let (code, text) = said(&table(true, 60_000_000, 7_000_000));
        assert_eq!(code, 2);
        assert!(text.contains("in 1 of 1 drills the runner could not see for a while (7.0 ms)"), "{text}");
        assert!(text.ends_with(
            "? inconclusive: this machine is too busy to say; 2 of 2 truths lie inside. Try again when it is quiet"
        ));
        assert_eq!(said(&Table::default()).0, 2, "nothing was looked at");
    }

    #[test]
    fn programs_get_the_same_as_json() {
        let table = table(true, 11_500_000, 0);
        let told = Told { exit: exit(&table), beside: 4, took: Duration::from_secs(39), cores: 2, clock: 25 };
        let json: serde_json::Value = serde_json::from_str(&told.json(&table)).unwrap();
        let of = &json["selftest"];
        assert_eq!((&of["exit_code"], &of["truths"], &of["inside"]), (&0.into(), &2.into(), &2.into()));
        assert_eq!(of["measures"][0]["width_max_ns"], 11_500_000);
    }
}
