//! A fault on several targets, or on some of a target's processes.

use crate::bench::{Bench, Ran};
use blackstart::adapters::{ProcessState, World};
use blackstart::event::{HealCause, StepOutcome, What};
use blackstart::model::{ProcessIdentity, RunState, StepId};
use std::process::{Child, Command, Stdio};

/// Processes whose pids stand in `pids`, and each in `p1`, `p2`, …; ended however a test ends.
struct Crew {
    children: Vec<Child>,
    world: World,
}

impl Crew {
    fn new(bench: &Bench, count: usize) -> Self {
        let sleeper = || Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let children: Vec<Child> = (0..count).map(|_| sleeper()).collect();
        let pids: Vec<String> = children.iter().map(|child| child.id().to_string()).collect();
        std::fs::write(bench.path("pids"), pids.join("\n")).unwrap();
        for (at, pid) in pids.iter().enumerate() {
            std::fs::write(bench.path(&format!("p{}", at + 1)), pid).unwrap();
        }
        Self { children, world: World::system() }
    }

    fn who(&self, at: usize) -> ProcessIdentity {
        self.world.processes.identify(i32::try_from(self.children[at].id()).unwrap()).unwrap().unwrap()
    }

    fn running(&self) -> usize {
        let state = |at| self.world.processes.state(&self.who(at)).unwrap();
        (0..self.children.len()).filter(|at| state(*at) == ProcessState::Running).count()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn drill(phases: &str) -> String {
    format!(
        "drill: crew\nenvironment: test\nbaseline: 100ms\ntargets:\n  crew: {{process: {{command: [cat, pids]}}}}\n  \
         one: {{process: {{pidfile: p1}}}}\n  two: {{process: {{pidfile: p2}}}}\n{phases}\n"
    )
}

fn intents(ran: &Ran) -> Vec<(String, usize)> {
    let intents = ran.events.iter().filter_map(|e| match &e.what {
        What::FaultIntent(intent) => Some((intent.fault.to_string(), intent.targets.len())),
        _ => None,
    });
    intents.collect()
}

#[tokio::test]
async fn a_share_of_a_targets_processes_is_picked_and_healed() {
    let bench = Bench::new();
    let crew = Crew::new(&bench, 3);
    let text = "outage: [{id: frozen, inject: {process_pause: {target: crew}}, pick: 67%, order: by_name, deadline: 1m}]\n\
                verify: [{id: seen, check: {command: [sh, -c, \"test $(cat $(sed 's,.*,/proc/&/status,' pids) | grep -c '^State:.T') = 2\"]}}]";
    let ran = bench.run(&drill(text)).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert_eq!(intents(&ran), [("frozen".to_owned(), 2)], "{}", ran.story());
    assert!(ran.passed("seen") && ran.healed("frozen") && crew.running() == 3, "{}", ran.story());
    assert!(
        ran.any(|w| matches!(w, What::Note { text } if text.contains("breaks 2 of 3 (by name)"))),
        "{}",
        ran.story()
    );
}

#[tokio::test]
async fn every_target_of_a_list_is_broken_and_one_heal_heals_them_all() {
    let bench = Bench::new();
    let crew = Crew::new(&bench, 2);
    let text = "outage: [{id: frozen, inject: {process_pause: {target: [one, two]}}, deadline: 1m}]\n\
                restore: [{id: thaw, heal: frozen}]";
    let ran = bench.run(&drill(text)).await;
    assert_eq!(intents(&ran), [("frozen".to_owned(), 1), ("frozen.2".to_owned(), 1)], "{}", ran.story());
    let by = |cause: &HealCause| *cause == HealCause::Step(StepId::from("thaw"));
    let healed = ran.events.iter().filter(|e| matches!(&e.what, What::HealStarted { by: cause, .. } if by(cause)));
    assert_eq!((healed.count(), crew.running()), (2, 2), "{}", ran.story());
}

#[tokio::test]
async fn a_set_that_was_broken_only_in_part_is_healed_as_a_whole() {
    let bench = Bench::new();
    let crew = Crew::new(&bench, 3);
    let text = "outage: [{id: frozen, inject: {process_pause: {target: crew}}, stagger: 20s, deadline: 1m}]";
    let ran = bench.run_and_stop(&drill(text), |w| matches!(w, What::FaultEffect { .. })).await;
    assert_eq!(ran.finished.state, RunState::Aborted, "{}", ran.story());
    assert_eq!(intents(&ran), [("frozen".to_owned(), 1)], "only the first: {}", ran.story());
    assert!(ran.healed("frozen") && crew.running() == 3, "{}", ran.story());
}

#[tokio::test]
async fn a_set_of_which_one_cannot_be_broken_is_not_touched_at_all() {
    let bench = Bench::new();
    let crew = Crew::new(&bench, 2);
    crew.world.processes.signal(&crew.who(1), "STOP").unwrap();
    let text = "outage: [{id: frozen, inject: {process_pause: {target: [one, two]}}, deadline: 1m}]";
    let ran = bench.run(&drill(text)).await;
    assert!(
        matches!(ran.outcome("frozen"), Some(StepOutcome::Errored { error }) if error.contains("already frozen")),
        "{}",
        ran.story()
    );
    assert!(intents(&ran).is_empty() && crew.running() == 1, "{}", ran.story());
}

#[tokio::test]
async fn more_than_the_limit_allows_or_than_there_are_is_not_injected() {
    let bench = Bench::new();
    let crew = Crew::new(&bench, 3);
    let text = "outage: [{id: frozen, inject: {process_pause: {target: crew}}, pick: 2, at_most: 33%, deadline: 1m}]";
    let ran = bench.run(&drill(text)).await;
    let why = |ran: &Ran, wanted: &str| matches!(ran.outcome("frozen"), Some(StepOutcome::Errored { error }) if error.contains(wanted));
    assert!(why(&ran, "it would touch 2 of 3, and `at_most` allows 0"), "{}", ran.story());
    let mut options = bench.options();
    options.run = blackstart::model::RunId::from("run-2");
    let text = drill(&text.replace("pick: 2, at_most: 33%", "pick: 4"));
    let ran = bench
        .run_with(&text, options, std::sync::Arc::new(blackstart::exec::Silent), blackstart::exec::StopSignal::new())
        .await;
    assert!(why(&ran, "`pick` wants 4, and there are 3") && crew.running() == 3, "{}", ran.story());
}
