//! The runner is killed at any moment: whatever is left of its record is read to the cut, and the next run of the drill
//! refuses to start over a fault that is still open.

use super::drill::{folder, options, plan, record, run, simulated};
use super::scenario::{Fault, Scenario};
use blackstart::analysis;
use blackstart::clock::Clock;
use blackstart::exec::{self, RunError, Silent, StopSignal};
use blackstart::journal::{self, state::Index};
use blackstart::model::{RunState, Verdict};
use blackstart::sim::{Cluster, Rng};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A drill with an open fault in the middle of it, small enough to be analysed hundreds of times.
fn scenario() -> Scenario {
    let mut scenario = Scenario::of(1);
    scenario.fault = Fault::Kill;
    scenario.settings.failures = Some(3);
    scenario.settings.disturbances.clear();
    (scenario.orders, scenario.page) = (20, 20);
    scenario
}

/// Copies a run's folder with its journal cut to `length` bytes, and each operations log to what a killed runner could
/// have left of it.
fn cut(from: &Path, to: &Path, length: usize, rng: &mut Rng) {
    std::fs::create_dir_all(to.join("ops")).unwrap();
    let journal = std::fs::read(from.join("journal.jsonl")).unwrap();
    std::fs::write(to.join("journal.jsonl"), &journal[..length]).unwrap();
    for entry in std::fs::read_dir(from.join("ops")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let left = usize::try_from(rng.below(bytes.len() as u64 + 1)).unwrap();
        std::fs::write(to.join("ops").join(path.file_name().unwrap()), &bytes[..left]).unwrap();
    }
}

/// Every end of a line, every byte around it, and as many places in the middle of lines.
fn places(journal: &[u8], rng: &mut Rng) -> BTreeSet<usize> {
    let ends = journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let mut places: BTreeSet<usize> = ends.flat_map(|at| [at, at + 1]).chain([0]).collect();
    for _ in 0..places.len() {
        places.insert(usize::try_from(rng.below(journal.len() as u64)).unwrap());
    }
    places
}

#[test]
fn a_killed_runner_leaves_a_record_that_is_read_to_the_cut_and_a_drill_that_does_not_start_over_its_fault() {
    let scenario = scenario();
    let ran = run(&scenario);
    let dir = ran.finished.dir.clone().unwrap();
    let journal = std::fs::read(dir.join("journal.jsonl")).unwrap();
    let mut rng = Rng::new(7);
    let (mut refusals, mut tried) = (0, 0);
    for length in places(&journal, &mut rng) {
        let copy = folder();
        let run_dir = copy.path().join("reports/simulated/run-1");
        cut(&dir, &run_dir, length, &mut rng);
        let stored = journal::read(&run_dir).unwrap();
        let whole = journal[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(stored.lines, whole, "cut at {length}: every whole line is read");
        let open = journal::open_faults(&stored.events);
        if length < journal.len() && whole > 0 {
            let analysis = analysis::analyze(&record(stored));
            assert_ne!(analysis.verdict, Verdict::Pass, "cut at {length}");
            assert!(open.is_empty() || analysis.state == RunState::Dirty, "cut at {length}: {:?}", analysis.state);
        }
        if let Some(fault) = open.first() {
            assert!(!fault.by_hand.is_empty(), "cut at {length}: it says how to heal");
            assert!(refuses(&scenario, copy.path(), run_dir), "cut at {length}: it started over an open fault");
            refusals += 1;
        }
        tried += 1;
    }
    assert!(tried > 100 && refusals > 10 && refusals < tried / 2 * 2, "{refusals} of {tried}");
}

/// Does the next run of the drill refuse, with nothing touched?
fn refuses(scenario: &Scenario, folder: &Path, run_dir: PathBuf) -> bool {
    let options = options(folder, "run-2");
    Index::open(&options.state_dir).unwrap().add(&"run-1".into(), &run_dir).unwrap();
    let plan = plan(&scenario.playbook());
    let (finished, truth) = simulated(async {
        let cluster = Cluster::new(Clock::simulated(), scenario.settings.clone());
        let world = cluster.world();
        let finished = exec::run(&plan, &world, &options, Arc::new(Silent), StopSignal::new()).await;
        (finished, cluster.truth())
    });
    let refused = matches!(&finished.error, Some(RunError::OpenFault { fault, by_hand, .. })
        if fault.as_str() == "fault" && !by_hand.is_empty());
    refused && finished.state == RunState::Dirty && truth.conditions.len() == 1 && truth.told.is_empty()
}

#[test]
fn a_run_that_ended_healed_leaves_nothing_in_the_way() {
    let ran = run(&scenario());
    let options = options(ran.folder.path(), "run-2");
    let index = Index::open(&options.state_dir).unwrap();
    assert_eq!(index.list().unwrap().len(), 0);
    assert_eq!(ran.finished.state, RunState::Ended);
}
