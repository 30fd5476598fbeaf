//! Modifiers of steps, outputs, references and secrets, on drills without any service.

use crate::bench::{Bench, Ran};
use blackstart::event::{StepOutcome, What};
use blackstart::model::{RunState, Span};

fn drill(phases: &str) -> String {
    format!("drill: steps\nenvironment: test\nbaseline: 50ms\n{phases}\n")
}

/// A fault of our own that makes a file.
const FLAG: &str = "outage:\n  - id: flag\n    inject: {command: {inject: [touch, flag], effective: [test, -e, flag], heal: [rm, -f, flag], healed: [sh, -c, 'test ! -e flag']}}\n    deadline: 1m\n";

fn rounds(ran: &Ran, id: &str) -> Vec<u32> {
    let ended = ran.events.iter().filter_map(|e| match &e.what {
        What::StepEnded { step, round, .. } if step.as_str() == id => Some(*round),
        _ => None,
    });
    ended.collect()
}

fn span(ran: &Ran, id: &str) -> Span {
    let found = ran.events.iter().find_map(|e| match &e.what {
        What::StepEnded { step, span, .. } if step.as_str() == id => Some(*span),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {id}: {}", ran.story()))
}

fn detail(ran: &Ran, id: &str) -> String {
    match ran.outcome(id) {
        Some(StepOutcome::Passed { detail } | StepOutcome::Failed { detail }) => detail.clone(),
        Some(StepOutcome::Errored { error }) => error.clone(),
        Some(StepOutcome::Skipped { reason, .. }) => reason.clone(),
        other => panic!("{id}: {other:?}: {}", ran.story()),
    }
}

#[tokio::test]
async fn outputs_feed_later_steps_and_conditions() {
    let bench = Bench::new();
    let text = drill(&format!(
        "{FLAG}{}",
        r#"failover:
  - {id: who, run: {command: [echo, '{"name": "pg2", "n": 3}']}, within: 9s, output: {name: {json: "$.name"}, n: {regex: 'n": (\d+)'}}}
  - {id: used, check: {command: [echo, "${steps.who.output.name}-${steps.who.output.n}"], stdout: {equals: pg2-3}}}
  - {id: yes, wait: 1ms, when: "steps.who.output.name == 'pg2'"}
  - {id: no, wait: 1ms, when: "steps.who.output.name == 'pg1'"}
  - {id: thrice, wait: 1ms, repeat: {times: 3, every: 20ms}}
  - {id: lost, run: {command: [echo, nothing]}, within: 9s, output: {name: {json: "$.name"}}}
  - {id: after_lost, wait: 1ms}
"#
    ));
    let ran = bench.run(&text).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    assert!(ran.passed("used") && ran.passed("yes"), "{}", ran.story());
    assert!(matches!(ran.outcome("no"), Some(StepOutcome::Skipped { by_when: true, .. })), "{}", ran.story());
    assert_eq!(rounds(&ran, "thrice"), [0, 1, 2]);
    assert!(matches!(ran.outcome("lost"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
    assert!(matches!(ran.outcome("after_lost"), Some(StepOutcome::Skipped { by_when: false, .. })), "{}", ran.story());
    assert!(ran.healed("flag"), "{}", ran.story());
}

#[tokio::test]
async fn parallel_steps_run_at_once_and_wait_for_each_other_by_after() {
    let bench = Bench::new();
    let text = drill(&format!(
        "{FLAG}{}",
        r#"failover:
  - id: both
    parallel:
      - {id: second, wait: 1ms, after: [first]}
      - {id: first, wait: 400ms}
      - {id: beside, wait: 400ms}
restore:
  - id: bad
    parallel:
      - {id: wrong, check: {command: ["false"]}}
      - {id: never, wait: 1ms, after: [wrong]}
verify:
  - {id: last, wait: 1ms}
"#
    ));
    let ran = bench.run(&text).await;
    assert!(ran.passed("both") && ran.passed("second") && ran.passed("last"), "{}", ran.story());
    assert!(span(&ran, "second").lo >= span(&ran, "first").hi, "{}", ran.story());
    let (first, beside) = (span(&ran, "first"), span(&ran, "beside"));
    assert!(first.lo < beside.hi && beside.lo < first.hi, "{}", ran.story());
    assert!(matches!(ran.outcome("bad"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
    assert!(detail(&ran, "never").contains("`wrong` must have passed"), "{}", ran.story());
}

#[tokio::test]
async fn a_condition_is_dated_between_the_last_false_and_the_first_true_look() {
    let bench = Bench::new();
    let text = drill(&format!(
        "{FLAG}{}",
        r#"failover:
  - id: at_once
    parallel:
      - {id: seen, expect: {command: [test, -e, sign]}, within: 20s, milestone: declared}
      - {id: make, run: {command: [sh, -c, 'sleep 0.5; touch sign']}, within: 20s}
  - {id: held, expect: {command: [test, -e, sign]}, for: 300ms, within: 5s, since: declared}
  - {id: late, expect: {command: [test, -e, never]}, within: 200ms}
verify:
  - {id: too_late, expect: {command: [test, -e, never]}, within: 1ms, since: flag}
"#
    ));
    let ran = bench.run(&text).await;
    let (seen, make) = (span(&ran, "seen"), span(&ran, "make"));
    assert!(make.lo < seen.lo && seen.lo < make.hi && seen.hi.0 - seen.lo.0 < 1_000_000_000, "{}", ran.story());
    let marked = ran.any(|w| matches!(w, What::Milestone { name, span, .. } if name == "declared" && *span == seen));
    assert!(marked && ran.passed("held"), "{}", ran.story());
    let held = ran.events.iter().find(|e| matches!(&e.what, What::StepEnded { step, .. } if step.as_str() == "held"));
    assert!(held.unwrap().at.mono.since(span(&ran, "held").hi).as_millis() >= 300, "{}", ran.story());
    assert!(matches!(ran.outcome("late"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
    assert!(matches!(ran.outcome("too_late"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
}

#[tokio::test]
async fn a_restore_verifies_itself_and_a_slow_command_is_ended_at_its_limit() {
    let bench = Bench::new();
    let text = drill(&format!(
        "{FLAG}{}",
        r#"restore:
  - {id: good, restore: {command: [touch, restored], verify: {command: {argv: [test, -e, restored]}}}, within: 9s}
  - {id: slow, run: {command: [sh, -c, 'sleep 600']}, within: 300ms}
verify:
  - {id: bad, restore: {command: ["true"], verify: {command: {argv: [test, -e, nothing]}}}, within: 300ms}
"#
    ));
    let ran = bench.run(&text).await;
    assert!(ran.passed("good"), "{}", ran.story());
    assert!(matches!(ran.outcome("slow"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
    assert!(matches!(ran.outcome("bad"), Some(StepOutcome::Failed { .. })), "{}", ran.story());
}

#[tokio::test]
async fn secrets_never_reach_the_record() {
    let bench = Bench::new();
    let secret = "s3cr\"et-Wort";
    std::fs::write(bench.path("pw"), format!("{secret}\n")).unwrap();
    let text = drill(&format!(
        "secrets: {{pw: {{file: pw}}}}\n{}{}",
        FLAG.replace(
            "heal: [rm, -f, flag]",
            "heal: {argv: [sh, -c, 'test \"$PW\" = \"$(cat pw)\" && rm -f flag'], env: {PW: '${secrets.pw}'}}"
        ),
        r#"failover:
  - {id: echo, run: {command: {argv: [sh, -c, 'echo "$PW"; echo -n "$PW" | base64'], env: {PW: "${secrets.pw}"}}}, within: 9s, output: {all: {regex: "(?s).*"}}}
  - {id: complains, check: {command: {argv: [sh, -c, 'echo "no $PW" >&2; exit 3'], env: {PW: "${secrets.pw}"}}}}
"#
    ));
    let ran = bench.run(&text).await;
    assert!(ran.passed("echo") && ran.healed("flag"), "{}", ran.story());
    assert!(detail(&ran, "complains").contains("no ${secrets.pw}"), "{}", ran.story());
    let record = bench.journal_text();
    for form in [secret, "s3cr\\\"et-Wort", "s3cr\\\\\\\"et-Wort", "czNjciJldC1Xb3J0"] {
        assert!(!record.contains(form), "{form}: {record}");
    }
}

#[tokio::test]
async fn a_staging_of_scripts_comes_up_gives_its_fields_and_goes_down_however_it_ends() {
    let bench = Bench::new();
    bench.script(
        "up.sh",
        "test ! -e broken || { echo the disk is gone >&2; exit 1; }; touch up; echo word=hello; echo dir=$PWD",
    );
    bench.script("down.sh", "rm -f up; echo down >> log");
    let text = drill(&format!(
        "staging: {{up: {{command: [./up.sh]}}, down: {{command: [./down.sh]}}}}\n{FLAG}{}",
        "verify: [{id: word, check: {command: [echo, '${staging.word}'], stdout: {equals: hello}}}]\n"
    ));
    let ran = bench.run(&text).await;
    assert!(ran.passed("word") && !bench.path("up").exists(), "{}", ran.story());
    std::fs::write(bench.path("broken"), "").unwrap();
    let mut options = bench.options();
    options.run = "run-2".into();
    let silent = std::sync::Arc::new(blackstart::exec::Silent);
    let ran = bench.run_with(&text, options, silent, blackstart::exec::StopSignal::new()).await;
    assert_eq!(ran.finished.state, RunState::NotRun, "{}", ran.story());
    assert!(ran.error().contains("the disk is gone"), "{}", ran.error());
    assert_eq!(std::fs::read_to_string(bench.path("log")).unwrap(), "down\ndown\n");
}

#[tokio::test]
async fn a_blast_radius_beyond_the_limit_is_not_injected() {
    let bench = Bench::new();
    let text = drill(&format!(
        "targets: {{me: {{process: {{command: [sh, -c, 'sleep 600 >/dev/null 2>&1 & echo $!; sleep 600 >/dev/null 2>&1 & echo $!']}}}}}}\n{}",
        "outage:\n  - {id: frozen, inject: {process_pause: {target: me}}, deadline: 1m, at_most: 1}\n"
    ));
    let ran = bench.run(&text).await;
    let world = blackstart::adapters::World::system();
    for event in &ran.events {
        if let What::TargetsResolved { targets, .. } = &event.what {
            targets[0].processes.iter().for_each(|p| world.processes.signal(p, "KILL").unwrap());
        }
    }
    assert!(detail(&ran, "frozen").contains("`at_most` allows 1"), "{}", ran.story());
    assert!(!ran.any(|w| matches!(w, What::FaultIntent(_))), "{}", ran.story());
}
