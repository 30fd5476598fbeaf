//! `junit.xml`: a suite for the drill, a case for each objective, then for each step.
//! A failure is a miss; an error is "could not be measured".

use super::{tables, words};
use crate::analysis::{Analysis, FingerprintResult, ObjectiveResult, StepResult};
use crate::event::StepOutcome;
use crate::model::{RunState, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The document.
#[must_use]
pub fn junit(a: &Analysis) -> String {
    let mut suite = TestSuite::new(a.run.drill.as_str());
    suite.set_timestamp(a.started).set_time(nanos(a.length));
    for (name, value) in [
        ("run", a.run.run.as_str()),
        ("environment", &a.run.environment),
        ("tool", &a.run.host.tool),
        ("journal_head", &a.journal_head),
    ] {
        suite.add_property((name, value));
    }
    suite.add_test_cases(a.objectives.iter().map(|o| objective(a, o)));
    suite.add_test_cases(a.steps.iter().map(|s| step(a, s)));
    suite.add_test_cases(a.fingerprints.iter().map(|f| fingerprint(a, f)));
    suite.add_test_cases(whole_run(a, suite.failures + suite.errors));
    let mut report = Report::new("blackstart");
    report.set_timestamp(a.started).set_time(nanos(a.length)).add_test_suite(suite);
    report.to_string().expect("a report of texts without control characters is XML in memory")
}

fn nanos(n: i64) -> Duration {
    Duration::from_nanos(n.max(0).unsigned_abs())
}

fn objective(a: &Analysis, o: &ObjectiveResult) -> TestCase {
    let name = tables::objective(a, o);
    let seen = words::seen(o);
    let mut case = TestCase::new(name, status(o.verdict, &seen, "objective"));
    case.set_classname(format!("{}.objectives", a.run.drill));
    if o.verdict == Verdict::Pass {
        case.set_system_out(seen);
    }
    case
}

/// Where it stands in the playbook: some readers link a case to its file.
fn at(case: &mut TestCase, place: &str) {
    if let Some((file, line)) = place.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok()) {
        case.extra.insert("file".into(), file.into());
        case.extra.insert("line".into(), line.into());
    }
}

fn fingerprint(a: &Analysis, f: &FingerprintResult) -> TestCase {
    let mut case = TestCase::new(&f.name, status(f.verdict, &format!("{} ({})", f.why, f.place), "fingerprint"));
    case.set_classname(format!("{}.data", a.run.drill));
    at(&mut case, &f.place);
    if f.verdict == Verdict::Pass {
        case.set_system_out(&f.why);
    }
    case
}

fn status(verdict: Verdict, message: &str, kind: &str) -> TestCaseStatus {
    let mut status = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    // One reader shows the message, another what stands below it.
    status.set_message(message).set_type(kind).set_description(message);
    status
}

fn step(a: &Analysis, s: &StepResult) -> TestCase {
    let round = if s.round == 0 { String::new() } else { format!(" (round {})", s.round + 1) };
    let detail = words::detail(s);
    let status = match &s.outcome {
        Some(StepOutcome::Skipped { reason, .. }) => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(reason.as_str());
            skipped
        }
        _ => {
            let seen = if detail.is_empty() { words::outcome(s) } else { detail };
            status(s.verdict, &format!("{seen} ({})", s.place), &s.verb)
        }
    };
    let mut case = TestCase::new(format!("{}: {}{round}", words::phase(s.phase), s.name), status);
    case.set_classname(format!("{}.{}", a.run.drill, words::phase(s.phase).replace(' ', "_")));
    at(&mut case, &s.place);
    if let Some(to) = s.to {
        case.set_time(nanos(to - s.from));
    }
    if s.verdict == Verdict::Pass && !detail.is_empty() {
        case.set_system_out(detail);
    }
    case
}

/// A run that is not a pass must not look green because no single case says why.
fn whole_run(a: &Analysis, told: usize) -> Option<TestCase> {
    let h = words::headline(a);
    let untold = h.verdict != Verdict::Pass && (told == 0 || a.state != RunState::Ended);
    untold.then(|| {
        let message = format!("{}: {}", h.word, h.reason);
        let mut case = TestCase::new("the run", status(h.verdict, &message, "run"));
        case.set_classname(format!("{}.run", a.run.drill));
        case
    })
}
