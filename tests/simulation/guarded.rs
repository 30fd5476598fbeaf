//! The runner is gone at every event of its record, and its guardian, in the same simulated world, heals: whatever the
//! moment, nothing is left open, and the record is whole.

use super::drill::{analyze, folder, options, plan, simulated};
use super::scenario::{Fault, Scenario};
use blackstart::adapters::World;
use blackstart::clock::Clock;
use blackstart::event::{Event, HealCause, What};
use blackstart::exec::guardian::{Served, pipes, serve};
use blackstart::exec::{self, Guarding, Observer, RunOptions, Silent, StopSignal};
use blackstart::journal;
use blackstart::model::{RunState, Verdict, WorkloadStats};
use blackstart::sim::Cluster;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

fn scenario(fault: Fault) -> Scenario {
    let mut scenario = Scenario::of(1);
    scenario.fault = fault;
    scenario.settings.failures = Some(3);
    scenario.settings.disturbances.clear();
    (scenario.orders, scenario.page) = (20, 20);
    scenario
}

/// Tells when so many events were noted.
struct After {
    left: AtomicUsize,
    reached: Notify,
}

impl Observer for After {
    fn event(&self, _: &Event) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.reached.notify_one();
        }
    }
    fn stats(&self, _: &[WorkloadStats]) {}
}

type Serving = Mutex<Option<tokio::task::JoinHandle<Served>>>;

/// A guardian in this world; `serving` is how it ends.
fn guarded(options: &mut RunOptions, world: &World, serving: &Arc<Serving>) {
    let (world, serving) = (world.clone(), Arc::clone(serving));
    options.guardian = Guarding::Within(Arc::new(move || {
        let (runner, guardian) = pipes();
        let world = world.clone();
        let task = tokio::spawn(async move { serve(guardian, &world, Arc::new(Silent)).await });
        *serving.lock().unwrap() = Some(task);
        runner
    }));
}

/// A drill whose runner is dropped after so many events; what its guardian did, and whether all processes run again.
fn cut_after(scenario: &Scenario, folder: &Path, events: usize) -> (Option<Served>, bool) {
    let mut options = options(folder, "run-1");
    let plan = plan(&scenario.playbook());
    simulated(async {
        let cluster = Cluster::new(Clock::simulated(), scenario.settings.clone());
        let (world, serving) = (cluster.world(), Arc::new(Serving::default()));
        guarded(&mut options, &world, &serving);
        let after = Arc::new(After { left: AtomicUsize::new(events), reached: Notify::new() });
        tokio::select! {
            biased;
            () = after.reached.notified() => {}
            finished = exec::run(&plan, &world, &options, after.clone(), StopSignal::new()) => drop(finished),
        }
        let task = serving.lock().unwrap().take();
        let served = match task {
            None => None,
            Some(task) => {
                Some(tokio::time::timeout(Duration::from_secs(600), task).await.expect("it never ends").unwrap())
            }
        };
        let whole = ["leader", "standby"].iter().all(|role| runs(&world, role));
        (served, whole)
    })
}

fn runs(world: &World, role: &str) -> bool {
    let argv = vec!["pid".to_owned(), role.to_owned()];
    let timeout = Duration::from_secs(1);
    let command =
        blackstart::adapters::Command { argv, env: std::collections::BTreeMap::new(), stdin: None, cwd: None, timeout };
    let said = futures_util::FutureExt::now_or_never(world.commands.run(&command)).unwrap().unwrap();
    let who = world.processes.identify(said.stdout.trim().parse().unwrap()).unwrap();
    who.is_some_and(|who| world.processes.state(&who) == Ok(blackstart::adapters::ProcessState::Running))
}

#[test]
fn at_every_event_a_guardian_leaves_nothing_open_and_a_whole_record() {
    for fault in [Fault::Kill, Fault::Pause(Duration::from_secs(2))] {
        let scenario = scenario(fault);
        let (mut taken, mut healed, mut events) = (0, 0, 1);
        loop {
            let folder = folder();
            let (served, whole) = cut_after(&scenario, folder.path(), events);
            let stored = journal::read(&folder.path().join("reports/simulated/run-1")).unwrap();
            let say = || format!("{fault:?} after {events} events: {served:?}\n{:?}", stored.events.last());
            assert!(stored.cut.is_none(), "{}", say());
            assert!(journal::open_faults(&stored.events).is_empty() && whole, "{}", say());
            let unmended = std::fs::read_dir(folder.path().join("state/open")).is_ok_and(|list| list.count() > 0);
            match &served {
                Some(Served::TookOver(recovered)) => {
                    assert!(recovered.open.is_empty() && recovered.error.is_none() && !unmended, "{}", say());
                    taken += 1;
                    let by = |e: &&Event| matches!(e.what, What::HealStarted { by: HealCause::Guardian, .. });
                    healed += stored.events.iter().filter(by).count();
                    let problems = stored.problems.clone();
                    let ended = stored.events.iter().any(|e| matches!(e.what, What::RunEnded { .. }));
                    let analysis = analyze(stored);
                    assert!(ended && problems.is_empty(), "{fault:?} after {events} events: {problems:?}");
                    let over = analysis.state == RunState::Ended;
                    assert!(over || (analysis.state == RunState::Aborted && analysis.verdict != Verdict::Pass));
                }
                // It went before there was anything to guard.
                None => assert!(events < 10, "{}", say()),
                Some(Served::Unused) => {}
                Some(Served::Released) => break,
            }
            events += 1;
            assert!(events < 2_000, "it never comes to its end");
        }
        assert!(taken > 20 && healed > 5, "{fault:?}: {taken} times taken over, {healed} heals");
    }
}
