//! The quickstart's drill on the embedded staging.

use crate::bench::Bench;
use blackstart::event::{Phase, ReadBackStage, What};
use blackstart::model::RunState;

/// The quickstart, a little shorter.
pub fn drill(port: u16) -> String {
    format!(
        r#"
drill: embedded
environment: test
objectives: {{rto: 20s, rpo: {{time: 5s, writes: 5000}}}}
staging: {{embedded: {{replication: async, lag: 200ms, port: {port}}}}}
targets:
  store:   {{kv: {{url: "http://127.0.0.1:{port}"}}}}
  primary: {{process: {{pidfile: "${{staging.dir}}/primary.pid"}}}}
  standby: {{process: {{pidfile: "${{staging.dir}}/standby.pid"}}}}
workload:
  orders:
    ledger: {{target: store, rate: 200/s, writers: 4, payload: 64B, timeout: 2s}}
    service: {{availability: 100%, deadline: 1s, stable: 2s}}
guards: [{{max_duration: 2m}}]
baseline: 2s
steady:
  - id: follows
    expect: {{http: {{url: "http://127.0.0.1:{port}/cluster", value: {{cel: "value.primaries == 1 && value.streaming"}}}}}}
    within: 20s
outage:
  - id: dies
    inject:
      process_kill:
        target: primary
        back: {{request: {{method: POST, url: "http://127.0.0.1:{port}/cluster/start", timeout: 40s}}}}
        alive: standby
    deadline: 1m
failover:
  - {{id: promoted, expect: {{http: {{url: "http://127.0.0.1:{port}/cluster", json: "$.leader", value: {{equals: b}}}}}}, within: 20s, milestone: promoted}}
restore:
  - {{id: rejoin, run: {{request: {{method: POST, url: "http://127.0.0.1:{port}/cluster/start", timeout: 40s}}}}, within: 40s, closes: dies}}
verify:
  - {{id: one, check: {{http: {{url: "http://127.0.0.1:{port}/cluster", json: "$.primaries", value: {{equals: 1}}}}}}}}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_runs_end_to_end() {
    let bench = Bench::new();
    let ran = bench.run(&drill(18100)).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    for step in ["follows", "dies", "promoted", "rejoin", "one"] {
        assert!(ran.passed(step), "{step}: {}", ran.story());
    }
    assert!(ran.healed("dies") && !bench.listed(), "{}", ran.story());
    let all = [
        Phase::Preflight,
        Phase::StagingUp,
        Phase::Baseline,
        Phase::Outage,
        Phase::Failover,
        Phase::Restore,
        Phase::Verify,
        Phase::Converge,
        Phase::Steady,
        Phase::Drain,
        Phase::ReadBack,
        Phase::StagingDown,
    ];
    assert_eq!(ran.phases(), all);
    let read = |wanted| {
        ran.any(|w| matches!(w, What::ReadBack(done) if done.stage == wanted && done.error.is_none() && done.file.is_some()))
    };
    assert!(read(ReadBackStage::Final), "{}", ran.story());
    assert!(ran.any(|w| matches!(w, What::StagingDown { error: None })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_nothing_is_left() {
    let bench = Bench::new();
    let _taken = std::net::TcpListener::bind("127.0.0.1:18110").unwrap();
    let ran = bench.run(&drill(18110)).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("18110"), "{}", ran.error());
    assert!(!bench.alive("reports/embedded/run-1/staging/a.pid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_not_healthy_at_baseline_is_not_broken_further() {
    let mut bench = Bench::new();
    bench.limits.warm_up = std::time::Duration::from_secs(2);
    // Nobody answers within a deadline of a microsecond.
    let ran = bench.run(&drill(18120).replace("deadline: 1s, stable", "deadline: 1us, stable")).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("workload `orders`"), "{}", ran.error());
    assert!(!ran.phases().contains(&Phase::Outage));
    assert!(ran.any(|w| matches!(w, What::StagingDown { error: None })), "{}", ran.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_under_load_leaves_nothing_behind() {
    type Fits = fn(&What) -> bool;
    let cases: [(u16, Fits); 5] = [
        (18130, |w| matches!(w, What::PhaseStarted { phase: Phase::StagingUp })),
        (18140, |w| matches!(w, What::WorkloadStarted { .. })),
        (18150, |w| matches!(w, What::FaultInjected { .. })),
        (18160, |w| matches!(w, What::PhaseStarted { phase: Phase::Steady })),
        (18170, |w| matches!(w, What::PhaseStarted { phase: Phase::ReadBack })),
    ];
    for (port, fits) in cases {
        let bench = Bench::new();
        let ran = bench.run_and_stop(&drill(port), fits).await;
        assert_eq!(ran.finished.state, RunState::Aborted, "{port}: {}", ran.story());
        assert_eq!(ran.any(|w| matches!(w, What::FaultIntent(_))), ran.healed("dies"), "{port}: {}", ran.story());
        assert!(!bench.listed());
        for name in ["a", "b", "cluster"] {
            assert!(!bench.alive(&format!("reports/embedded/run-1/staging/{name}.pid")), "{port}: {name} lives");
        }
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "{port} is still taken");
        let (started, stopped) = (ran.events.iter(), ran.events.iter());
        let started = started.filter(|e| matches!(e.what, What::WorkloadStarted { .. })).count();
        let stopped = stopped.filter(|e| matches!(e.what, What::WorkloadStopped(_))).count();
        assert_eq!(started, stopped, "{port}: {}", ran.story());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_cannot_be_opened_is_named_and_the_others_are_let_go() {
    let bench = Bench::new();
    let more = "workload:\n  broken: {command: {argv: [\"false\"], rate: 10/s}}\n";
    let ran = bench.run(&drill(18180).replace("workload:\n", more)).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("workload `broken`"), "{}", ran.error());
    assert!(!ran.any(|w| matches!(w, What::AbortRequested { .. } | What::WorkloadStarted { .. })), "{}", ran.story());
    assert!(ran.any(|w| matches!(w, What::StagingDown { error: None })), "{}", ran.story());
}
