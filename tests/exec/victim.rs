//! Drills on one plain process with a start script: fast, so that every way to end can be tried.

use crate::bench::{Bench, Ran};
use blackstart::event::{AbortCause, HealCause, Phase, StepOutcome, What};
use blackstart::exec::{Answer, AnswerFile, Answers, RunError, Silent, StopSignal};
use blackstart::model::{FaultId, RunId, RunState, StepId};
use std::sync::Arc;

const START: &str = "sleep 600 >/dev/null 2>&1 & echo $! > pid; echo x >> starts";

/// Ends what a test started, also when it fails.
struct Victim<'a>(&'a Bench);

impl<'a> Victim<'a> {
    fn new(bench: &'a Bench) -> Self {
        bench.script("start.sh", START);
        let victim = Self(bench);
        victim.start();
        victim
    }

    fn start(&self) {
        assert!(std::process::Command::new(self.0.path("start.sh")).status().unwrap().success());
    }

    fn kill(&self) {
        let world = blackstart::adapters::World::system();
        let pid = std::fs::read_to_string(self.0.path("pid")).unwrap().trim().parse().unwrap();
        if let Some(who) = world.processes.identify(pid).unwrap() {
            world.processes.signal(&who, "KILL").unwrap();
        }
    }
}

impl Drop for Victim<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A drill around these phases; the victim is the target.
fn drill(phases: &str) -> String {
    format!(
        "drill: victim\nenvironment: test\ntargets:\n  victim: {{process: {{pidfile: pid}}}}\nbaseline: 100ms\n{phases}\n"
    )
}

const KILL: &str =
    "outage:\n  - {id: dies, inject: {process_kill: {target: victim, back: {command: [./start.sh]}}}, deadline: 1m}\n";
const PAUSE: &str = "outage:\n  - {id: frozen, inject: {process_pause: {target: victim}}, deadline: 1m}\n";

fn restarts(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.path("starts")).unwrap().lines().count() - 1
}

fn healed_by(ran: &Ran, fault: &str) -> Vec<HealCause> {
    let causes = ran.events.iter().filter_map(|e| match &e.what {
        What::HealStarted { fault: f, by } if f.as_str() == fault => Some(by.clone()),
        _ => None,
    });
    causes.collect()
}

#[tokio::test]
async fn what_is_left_open_is_healed_at_the_end() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let ran = bench.run(&drill(KILL)).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert!(ran.passed("dies") && ran.healed("dies") && bench.alive("pid") && !bench.listed(), "{}", ran.story());
    assert_eq!((healed_by(&ran, "dies"), restarts(&bench)), (vec![HealCause::Unwind], 1));
    let injected = ran.at(|w| matches!(w, What::FaultInjected { .. }));
    assert!(ran.at(|w| matches!(w, What::FaultIntent(_))) <= injected && injected.is_some());
}

#[tokio::test]
async fn several_faults_are_healed_newest_first() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let ran = bench.run(&drill(&format!("{PAUSE}{}", KILL.replace("outage:\n", "")))).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    let order: Vec<_> = ran
        .events
        .iter()
        .filter_map(|e| match &e.what {
            What::Healed { fault, .. } => Some(fault.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["dies", "frozen"], "{}", ran.story());
}

#[tokio::test]
async fn a_heal_step_and_a_closing_step_take_the_heal_over() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let ran = bench.run(&drill(&format!("{PAUSE}restore: [{{id: thaw, heal: frozen}}]"))).await;
    assert_eq!(healed_by(&ran, "frozen"), [HealCause::Step(StepId::from("thaw"))], "{}", ran.story());
    let mut options = bench.options();
    options.run = RunId::from("run-2");
    let closing =
        drill(&format!("{KILL}restore: [{{id: back, run: {{command: [./start.sh]}}, within: 20s, closes: dies}}]"));
    let ran = bench.run_with(&closing, options, Arc::new(Silent), StopSignal::new()).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert_eq!(healed_by(&ran, "dies"), [HealCause::Closes(StepId::from("back"))], "{}", ran.story());
    assert_eq!(restarts(&bench), 1);
}

#[tokio::test]
async fn a_step_that_closes_nothing_fails_and_the_end_heals() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let text =
        drill(&format!("{KILL}restore: [{{id: back, run: {{command: [\"true\"]}}, within: 20s, closes: dies}}]"));
    let ran = bench.run(&text).await;
    assert!(matches!(ran.outcome("back"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
    let causes = [HealCause::Closes(StepId::from("back")), HealCause::Unwind];
    assert_eq!(healed_by(&ran, "dies"), causes, "{}", ran.story());
    assert!(ran.healed("dies") && bench.alive("pid"));
}

#[tokio::test]
async fn a_target_that_died_before_the_fault_decides_nothing() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let first = "  - {id: before, run: {command: [sh, -c, 'kill -9 $(cat pid)']}, within: 10s}\n  - {id: gone, expect: {process: {target: victim, state: gone}}, within: 10s}\n";
    let restore = "restore: [{id: again, run: {command: [./start.sh]}, within: 10s}]";
    let text = drill(&format!("{}{restore}", KILL.replace("outage:\n", &format!("outage:\n{first}"))));
    let ran = bench.run(&text).await;
    assert!(
        matches!(ran.outcome("dies"), Some(StepOutcome::Errored { error }) if error.contains("nothing to break")),
        "{}",
        ran.story()
    );
    assert!(!ran.any(|w| matches!(w, What::FaultIntent(_))) && ran.passed("again"), "{}", ran.story());
}

#[tokio::test]
async fn a_target_that_resolves_to_nothing_is_a_preflight_failure() {
    let bench = Bench::new();
    let victim = Victim::new(&bench);
    victim.kill();
    std::fs::write(bench.path("pid"), "999999999\n").unwrap();
    let ran = bench.run(&drill(KILL)).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("target `victim`: pid 999999999 is not alive"), "{}", ran.error());
    assert!(ran.any(|w| matches!(w, What::PreflightFailed { .. })));
    std::fs::write(bench.path("pid"), "1\n").unwrap();
    let mut options = bench.options();
    options.run = RunId::from("run-2");
    let text = drill(KILL).replace("pidfile: pid", "pidfile: nowhere.pid");
    let ran = bench.run_with(&text, options, Arc::new(Silent), StopSignal::new()).await;
    assert!(ran.error().contains("nowhere.pid"), "{}", ran.error());
    // Nothing of ours to end.
    std::fs::write(bench.path("pid"), "999999999\n").unwrap();
}

#[tokio::test]
async fn what_is_missing_is_found_before_anything_is_touched() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = drill(KILL).replace("targets:\n", &format!("targets:\n  gone: {{tcp: {{address: '{free}'}}}}\n"));
    let ran = bench.run(&unreachable).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("target `gone` cannot be reached"), "{}", ran.error());
    let mut options = bench.options();
    options.run = RunId::from("run-2");
    let two = drill(&KILL.replace("./start.sh", "./no-such.sh"))
        .replace("baseline:", "secrets: {pw: {env: BS_NO_SUCH}}\nbaseline:");
    let ran = bench.run_with(&two, options, Arc::new(Silent), StopSignal::new()).await;
    assert!(ran.error().contains("no-such.sh") && ran.error().contains("BS_NO_SUCH"), "{}", ran.error());
    assert!(bench.alive("pid") && restarts(&bench) == 0);
}

#[tokio::test]
async fn a_steady_state_that_does_not_hold_is_not_broken_further() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let steady = "steady: [{id: calm, expect: {process: {target: victim, state: stopped}}, within: 300ms}]\n";
    let ran = bench.run(&drill(&format!("{steady}{KILL}"))).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("steady state"), "{}", ran.error());
    assert!(bench.alive("pid") && !ran.phases().contains(&Phase::Outage));
}

#[tokio::test]
async fn ctrl_c_in_every_phase_heals_and_ends_aborted() {
    let long = "- {id: NAME, wait: 30s}";
    let phase = |name: &str, key: &str| format!("{key}: [{}]\n", long.replace("NAME", name).trim_start_matches("- "));
    let cases = [
        (
            "calm",
            format!(
                "steady: [{{id: calm, expect: {{process: {{target: victim, state: gone}}}}, within: 30s}}]\n{KILL}"
            ),
        ),
        ("dies", KILL.to_owned()),
        ("w1", format!("{KILL}  {}\n", long.replace("NAME", "w1"))),
        ("w2", format!("{KILL}{}", phase("w2", "failover"))),
        ("w3", format!("{KILL}{}", phase("w3", "restore"))),
        ("w4", format!("{KILL}{}", phase("w4", "verify"))),
    ];
    for (step, phases) in cases {
        let bench = Bench::new();
        let _victim = Victim::new(&bench);
        let id = StepId::from(step);
        let fits = move |w: &What| matches!(w, What::StepStarted { step, .. } if *step == id);
        let ran = bench.run_and_stop(&drill(&phases), fits).await;
        assert_eq!(ran.finished.state, RunState::Aborted, "{step}: {}", ran.story());
        assert!(bench.alive("pid") && !bench.listed(), "{step}: {}", ran.story());
        assert_eq!(ran.any(|w| matches!(w, What::FaultIntent(_))), ran.healed("dies"), "{step}: {}", ran.story());
        let aborts = ran.events.iter().filter(|e| matches!(e.what, What::AbortRequested { .. })).count();
        assert_eq!(aborts, 1, "{step}: {}", ran.story());
    }
}

#[tokio::test]
async fn ctrl_c_in_preflight_and_while_healing_still_heals() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let ran = bench.run_and_stop(&drill(KILL), |w| matches!(w, What::RunStarted(_))).await;
    assert_eq!(ran.finished.state, RunState::Aborted, "{}", ran.story());
    assert!(!ran.any(|w| matches!(w, What::FaultIntent(_))));
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    bench.script("slow.sh", "sleep 1; ./start.sh");
    // Every event from the beginning of healing is another Ctrl-C.
    let ran = bench
        .run_and_stop(&drill(&KILL.replace("./start.sh", "./slow.sh")), |w| {
            matches!(w, What::HealStarted { .. } | What::AbortRequested { .. })
        })
        .await;
    assert!(ran.healed("dies") && bench.alive("pid"), "{}", ran.story());
    assert!(ran.any(|w| matches!(w, What::Note { text } if text.contains("kill -9"))), "{}", ran.story());
}

#[tokio::test]
async fn a_fault_that_cannot_be_healed_is_named_refused_over_and_recovered() {
    let mut bench = Bench::new();
    bench.limits.heal_look = std::time::Duration::from_millis(300);
    let victim = Victim::new(&bench);
    bench.script("back.sh", "test -e allowed || { echo not yet >&2; exit 1; }\n./start.sh");
    let text = drill(&KILL.replace("./start.sh", "./back.sh"));
    let ran = bench.run(&text).await;
    assert_eq!(ran.finished.state, RunState::Dirty, "{}", ran.story());
    let Some(RunError::NotHealed(open)) = &ran.finished.error else { panic!("{}", ran.story()) };
    assert!(open[0].0.as_str() == "dies" && open[0].1.contains("./back.sh"), "{open:?}");
    let attempts = ran.events.iter().filter(|e| matches!(e.what, What::HealFailed { .. })).count();
    assert_eq!(attempts, 3, "{}", ran.story());
    assert!(ran.any(|w| matches!(w, What::HealFailed { error, last: true, .. } if error.contains("not yet"))));
    assert!(bench.listed());

    let mut options = bench.options();
    options.run = RunId::from("run-2");
    let again = bench.run_with(&text, options.clone(), Arc::new(Silent), StopSignal::new()).await;
    assert_eq!((again.finished.state, again.finished.dir.clone()), (RunState::Dirty, None));
    assert!(again.error().contains("run-1") && again.error().contains("./back.sh"), "{}", again.error());

    let world = blackstart::adapters::World::system();
    let state = bench.path("state");
    let recover = || blackstart::exec::recover(&state, &world, &bench.limits, Arc::new(Silent));
    let left = recover().await.unwrap();
    assert_eq!((left[0].healed.len(), left[0].open.len()), (0, 1), "{left:?}");
    std::fs::write(bench.path("allowed"), "").unwrap();
    let left = recover().await.unwrap();
    assert_eq!(left[0].healed, [FaultId::from("dies")], "{left:?}");
    assert!(bench.alive("pid") && !bench.listed() && recover().await.unwrap().is_empty());
    victim.start();
    let ran = bench.run_with(&text, options, Arc::new(Silent), StopSignal::new()).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
}

#[tokio::test]
async fn a_guard_a_limit_and_a_failed_step_stop_the_drill() {
    let cases = [
        (
            "guards: [{name: lives, every: 50ms, tolerate: 1, process: {target: victim}}]\n",
            "failover: [{id: w, wait: 30s}]\n",
            AbortCause::Guard("lives".into()),
        ),
        ("guards: [{max_duration: 2s}]\n", "failover: [{id: w, wait: 30s}]\n", AbortCause::MaxDuration),
        (
            "",
            "failover: [{id: w, run: {command: [\"false\"]}, within: 9s, on_fail: abort}]\nrestore: [{id: never, wait: 1ms}]\n",
            AbortCause::Step(StepId::from("w")),
        ),
    ];
    for (guards, more, cause) in cases {
        let bench = Bench::new();
        let _victim = Victim::new(&bench);
        let ran = bench.run(&drill(&format!("{guards}{KILL}{more}"))).await;
        assert_eq!(ran.finished.state, RunState::Aborted, "{cause:?}: {}", ran.story());
        assert!(ran.any(|w| *w == What::AbortRequested { cause: cause.clone() }), "{}", ran.story());
        assert!(ran.healed("dies") && bench.alive("pid") && ran.outcome("never").is_none(), "{}", ran.story());
    }
}

#[tokio::test]
async fn a_waived_guard_stops_nothing_and_is_sealed() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let guards = "guards: [{name: lives, every: 20ms, process: {target: victim}}]\nwaive: [{guard: lives, reason: we kill it, by: ann}]\n";
    let ran = bench.run(&drill(&format!("{guards}{KILL}failover: [{{id: w, wait: 300ms}}]\n"))).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    let sealed = |w: &What| matches!(w, What::RunStarted(start) if start.waivers == ["lives: we kill it (ann)"]);
    assert!(ran.any(sealed), "{}", ran.story());
}

#[tokio::test]
async fn a_deadline_heals_while_steps_go_on() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let outage = PAUSE.replace("deadline: 1m", "deadline: 500ms");
    let runs = "failover: [{id: runs, expect: {process: {target: victim, state: running}}, within: 20s}]\n";
    let ran = bench.run(&drill(&format!("{outage}{runs}"))).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert_eq!(healed_by(&ran, "frozen"), [HealCause::Deadline], "{}", ran.story());
    assert!(ran.passed("runs"));
}

/// Panics when it is asked.
struct Bug;

impl Answers for Bug {
    fn answer<'a>(
        &'a self,
        _: &'a StepId,
        _: &'a str,
        _: &'a blackstart::clock::Clock,
    ) -> blackstart::adapters::Fut<'a, Result<Answer, String>> {
        Box::pin(async { panic!("a bug of ours") })
    }
}

#[tokio::test]
async fn a_panic_is_caught_healed_and_named() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let mut options = bench.options();
    options.answers = Arc::new(Bug);
    let text = drill(&format!("{KILL}failover: [{{id: q, ask: all well?, within: 9s}}]\n"));
    let ran = bench.run_with(&text, options, Arc::new(Silent), StopSignal::new()).await;
    assert!(
        matches!(&ran.finished.error, Some(RunError::Internal(e)) if e.contains("a bug of ours")),
        "{}",
        ran.story()
    );
    assert_eq!(ran.finished.state, RunState::Aborted);
    assert!(ran.healed("dies") && bench.alive("pid") && !bench.listed(), "{}", ran.story());
}

#[tokio::test]
async fn people_answer_or_do_not() {
    let bench = Bench::new();
    let _victim = Victim::new(&bench);
    let answers = bench.path("answers");
    std::fs::write(
        &answers,
        "{\"step\": \"q1\", \"done\": true, \"by\": \"ann\"}\n{\"step\": \"q2\", \"done\": false, \"by\": \"bo\"}\n",
    )
    .unwrap();
    let mut options = bench.options();
    options.answers = Arc::new(AnswerFile::new(answers));
    let asks = |ids: &[&str], key: &str| {
        let list: Vec<String> = ids.iter().map(|id| format!("{{id: {id}, ask: well?, within: 1s}}")).collect();
        format!("{key}: [{}]\n", list.join(", "))
    };
    let phases = [asks(&["q1", "q2"], "failover"), asks(&["q3"], "restore")].concat();
    let ran = bench.run_with(&drill(&format!("{PAUSE}{phases}")), options, Arc::new(Silent), StopSignal::new()).await;
    assert!(
        matches!(ran.outcome("q1"), Some(StepOutcome::Passed { detail }) if detail.contains("ann")),
        "{}",
        ran.story()
    );
    assert!(
        matches!(ran.outcome("q2"), Some(StepOutcome::Failed { detail }) if detail.contains("bo")),
        "{}",
        ran.story()
    );
    assert!(matches!(ran.outcome("q3"), Some(StepOutcome::Errored { .. })), "{}", ran.story());
}
