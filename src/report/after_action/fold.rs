//! From runs to what they come to together.

use super::{
    ActionInput, AfterAction, Asks, ControlRow, Counts, Decision, Done, Drill, Input, NoteRow, Point, ReviewRow,
    RunInput, RunRow, Sealed, Standing, SystemKind, SystemRow, Trend, VERSION,
};
use crate::controls::{self, FRAMEWORKS, Found};
use crate::model::{RunState, Verdict, period};
use crate::report::words;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// What the runs come to together. Runs after `until` are not looked at; those before `from` count for what is due and for what
/// is open, and for nothing else.
#[must_use]
pub fn fold(input: &Input) -> AfterAction {
    let mut runs: Vec<&RunInput> =
        input.runs.iter().filter(|run| input.until.is_none_or(|day| began(run) <= day)).collect();
    runs.sort_by(|a, b| (a.told.run.started, &a.told.run.id).cmp(&(b.told.run.started, &b.told.run.id)));
    let told: Vec<&RunInput> =
        runs.iter().copied().filter(|run| input.from.is_none_or(|day| began(run) >= day)).collect();
    let actions = actions(input, &runs, &told);
    let (controls, not_named) = controls_of(&told);
    let mut report = AfterAction {
        schema: VERSION,
        title: input.title.clone(),
        from: input.from,
        until: input.until,
        as_of: input.as_of,
        summary: Vec::new(),
        counts: counts(&told),
        drills: drills(input.as_of, &runs, &told),
        runs: told.iter().map(|run| row(run)).collect(),
        actions,
        reviews: told.iter().flat_map(|run| reviews(run)).collect(),
        notes: told.iter().flat_map(|run| notes(run)).collect(),
        controls,
        not_named,
        systems: systems(&runs, &told),
        doubts: input.doubts.clone(),
    };
    report.summary = summary(&report);
    report
}

fn began(run: &RunInput) -> NaiveDate {
    run.told.run.started.date_naive()
}

/// It ran through and met everything. One that somebody rejected is no evidence.
fn passed(run: &RunInput) -> bool {
    let r = &run.told.run;
    r.exit_code == 0
        && (r.state, r.verdict) == (RunState::Ended, Verdict::Pass)
        && decision(run) != Some(Decision::Rejected)
}

fn decision(run: &RunInput) -> Option<Decision> {
    run.reviews.iter().rev().find_map(|review| review.decision)
}

fn count(n: usize) -> u64 {
    n as u64
}

fn counts(runs: &[&RunInput]) -> Counts {
    let mut counts = Counts { runs: count(runs.len()), ..Counts::default() };
    for run in runs {
        let r = &run.told.run;
        let of = match (r.state, r.verdict) {
            (RunState::Dirty, _) => &mut counts.not_healed,
            (RunState::NotRun | RunState::Held, _) => &mut counts.not_run,
            (RunState::Aborted, _) => &mut counts.aborted,
            (RunState::Ended, Verdict::Pass) => &mut counts.passed,
            (RunState::Ended, Verdict::Inconclusive) => &mut counts.inconclusive,
            (RunState::Ended, Verdict::Fail) => &mut counts.failed,
        };
        *of += 1;
    }
    counts
}

fn drills(as_of: DateTime<Utc>, all: &[&RunInput], told: &[&RunInput]) -> Vec<Drill> {
    let key = |run: &RunInput| (run.told.run.drill.clone(), run.told.run.environment.clone());
    let keys: BTreeSet<_> = all.iter().map(|run| key(run)).collect();
    let drill = |(name, environment): (String, String)| {
        let of = |runs: &[&RunInput]| -> Vec<usize> {
            (0..runs.len()).filter(|i| key(runs[*i]) == (name.clone(), environment.clone())).collect()
        };
        let mine: Vec<&RunInput> = of(all).into_iter().map(|i| all[i]).collect();
        let shown: Vec<&RunInput> = of(told).into_iter().map(|i| told[i]).collect();
        let last = mine.last()?;
        let last_passed = mine.iter().rev().find(|run| passed(run)).map(|run| run.told.run.started);
        let every = last.told.metadata("every").first().cloned();
        let span = every.as_deref().and_then(period).and_then(|span| TimeDelta::from_std(span).ok());
        let next = last_passed.zip(span).and_then(|(at, span)| at.checked_add_signed(span));
        let standing = match (span, last_passed, next) {
            (None, _, _) => Standing::NoFrequency,
            (_, None, _) => Standing::NeverPassed,
            (_, _, Some(next)) if next < as_of => Standing::Overdue,
            _ => Standing::InTime,
        };
        Some(Drill {
            title: last.told.run.title.clone(),
            owner: last.told.metadata("owner").to_vec(),
            every,
            runs: count(shown.len()),
            passed: count(shown.iter().filter(|run| passed(run)).count()),
            last: last.told.run.started,
            last_passed,
            next_due: next.map(|at| at.date_naive()),
            standing,
            objectives: trends(&shown),
            drill: name,
            environment,
        })
    };
    keys.into_iter().filter_map(drill).collect()
}

/// Objectives of a drill's runs, in the order in which they first stand there.
fn trends(runs: &[&RunInput]) -> Vec<Trend> {
    let mut trends: Vec<Trend> = Vec::new();
    for run in runs {
        for o in &run.told.objectives {
            let same =
                |t: &&mut Trend| t.name == o.name && t.workload == o.workload && t.fault == o.fault && t.unit == o.unit;
            let point = Point {
                run: run.told.run.id.clone(),
                started: run.told.run.started,
                target: o.target,
                low: o.actual.map(|bar| bar.low),
                best: o.actual.map(|bar| bar.best),
                high: o.actual.map(|bar| bar.high),
                verdict: o.verdict,
            };
            let trend = match trends.iter_mut().find(same) {
                Some(trend) => trend,
                None => {
                    let (name, workload, unit) = (o.name.clone(), o.workload.clone(), o.unit.clone());
                    let (met, missed, not_decided) = (0, 0, 0);
                    trends.push(Trend {
                        name,
                        workload,
                        fault: o.fault.clone(),
                        unit,
                        met,
                        missed,
                        not_decided,
                        points: Vec::new(),
                    });
                    let last = trends.len() - 1;
                    &mut trends[last]
                }
            };
            match o.verdict {
                Verdict::Pass => trend.met += 1,
                Verdict::Fail => trend.missed += 1,
                Verdict::Inconclusive => trend.not_decided += 1,
            }
            trend.points.push(point);
        }
    }
    trends
}

fn row(run: &RunInput) -> RunRow {
    let r = &run.told.run;
    let met = run.told.objectives.iter().filter(|o| o.verdict == Verdict::Pass).count();
    RunRow {
        run: r.id.clone(),
        drill: r.drill.clone(),
        environment: r.environment.clone(),
        started: r.started,
        seconds: r.seconds,
        state: r.state,
        verdict: r.verdict,
        exit_code: r.exit_code,
        reasons: r.reasons.clone(),
        met: count(met),
        objectives: count(run.told.objectives.len()),
        decision: decision(run),
        sealed: run.sealed,
        signer: run.signer.clone(),
        filled: filled(run),
        folder: run.folder.clone(),
    }
}

/// Fields that a run fills together with its reviews.
fn filled(run: &RunInput) -> BTreeSet<u8> {
    let mut filled = run.told.filled();
    if run.sealed != Sealed::No {
        filled.insert(29);
    }
    for (field, _) in run.reviews.iter().flat_map(|review| &review.notes) {
        filled.extend(match field.as_str() {
            "participant" => Some(8),
            "security" => Some(20),
            "communication" => Some(21),
            "deviation" => Some(22),
            "root_cause" => Some(23),
            "lesson" => Some(25),
            _ => None,
        });
    }
    let accepted = matches!(decision(run), Some(Decision::Accepted | Decision::AcceptedWithActions));
    let approved = !run.told.metadata("approver").is_empty() || !run.told.metadata("approval").is_empty();
    if accepted && approved {
        filled.insert(9);
    }
    let asks = |wanted: Asks| run.reviews.iter().any(|review| review.asks == wanted);
    let nothing_to_do = decision(run) == Some(Decision::Accepted) && !asks(Asks::Undated);
    if !asks(Asks::Undated) && asks(Asks::Dated) || nothing_to_do {
        filled.insert(24);
    }
    filled
}

fn reviews(run: &RunInput) -> Vec<ReviewRow> {
    let row = |review: &super::ReviewInput| ReviewRow {
        run: run.told.run.id.clone(),
        at: review.at,
        by: review.by.clone(),
        role: review.role.clone(),
        decision: review.decision,
        signature: review.signature,
        signer: review.signer.clone(),
        key_of_the_run: review.signer.is_some() && review.signer == run.signer,
    };
    run.reviews.iter().map(row).collect()
}

fn notes(run: &RunInput) -> Vec<NoteRow> {
    let of = |review: &super::ReviewInput| {
        let (id, by) = (run.told.run.id.clone(), review.by.clone());
        let row = move |(field, text): &(String, String)| NoteRow {
            run: id.clone(),
            field: field.clone(),
            text: text.clone(),
            by: by.clone(),
        };
        review.notes.iter().map(row).collect::<Vec<_>>()
    };
    run.reviews.iter().flat_map(of).collect()
}

/// Open ones of all runs, and whatever became of those that runs of the period asked for; open ones first, what is due first first.
fn actions(input: &Input, all: &[&RunInput], told: &[&RunInput]) -> Vec<ActionInput> {
    let of = |runs: &[&RunInput]| runs.iter().map(|run| run.told.run.id.clone()).collect::<BTreeSet<_>>();
    let (all, told) = (of(all), of(told));
    let shown = |action: &&ActionInput| {
        told.contains(&action.run) || (action.standing == Done::Open && all.contains(&action.run))
    };
    let mut actions: Vec<ActionInput> = input.actions.iter().filter(shown).cloned().collect();
    actions.sort_by_key(|a| (a.standing != Done::Open, a.due.is_none(), a.due, a.run.clone(), a.number));
    actions
}

fn controls_of(runs: &[&RunInput]) -> (Vec<ControlRow>, Vec<String>) {
    let mut by_name: BTreeMap<&str, Vec<&RunInput>> = BTreeMap::new();
    for run in runs {
        let names: BTreeSet<&str> = run.told.metadata("controls").iter().map(String::as_str).collect();
        names.into_iter().for_each(|name| by_name.entry(name).or_default().push(run));
    }
    let rows = by_name.iter().map(|(name, runs)| control(name, runs)).collect();
    let named = |framework: &&controls::Framework| {
        by_name.keys().any(|name| name.split_once('/').is_some_and(|(id, _)| id == framework.id))
    };
    let not_named = FRAMEWORKS
        .iter()
        .filter(named)
        .flat_map(|framework| framework.controls.iter().map(move |control| format!("{}/{}", framework.id, control.id)));
    let not_named = not_named.filter(|name| !by_name.contains_key(name.as_str())).collect();
    (rows, not_named)
}

fn control(name: &str, runs: &[&RunInput]) -> ControlRow {
    let good: Vec<&&RunInput> = runs.iter().filter(|run| passed(run)).collect();
    let together: BTreeSet<u8> = runs.iter().flat_map(|run| filled(run)).collect();
    let (framework, title, coverage) = match controls::find(name) {
        Found::Known(framework, control) => {
            (framework.title, control.title, Some(controls::coverage(control, &together)))
        }
        Found::Open(framework) | Found::NotIn(framework, _) => (framework.title, "", None),
        Found::NoControl | Found::NoFramework(_) => ("", "", None),
    };
    let listed = coverage.is_some();
    let (filled, missing) = coverage.map_or_else(Default::default, |found| (found.filled, found.missing));
    ControlRow {
        control: name.to_owned(),
        framework: framework.to_owned(),
        title: title.to_owned(),
        runs: count(runs.len()),
        passed: count(good.len()),
        last_passed: good.last().map(|run| run.told.run.started),
        filled,
        missing,
        listed,
    }
}

fn systems(all: &[&RunInput], told: &[&RunInput]) -> Vec<SystemRow> {
    let kinds =
        [(SystemKind::System, "systems"), (SystemKind::Site, "sites"), (SystemKind::ThirdParty, "third_parties")];
    let mut rows: BTreeMap<(SystemKind, String), SystemRow> = BTreeMap::new();
    for run in all {
        for (kind, key) in kinds {
            let names: BTreeSet<&String> = run.told.metadata(key).iter().collect();
            for name in names {
                let row = rows.entry((kind, name.clone())).or_insert_with(|| SystemRow {
                    name: name.clone(),
                    kind,
                    drills: BTreeSet::new(),
                    runs: 0,
                    passed: 0,
                    last_passed: None,
                });
                row.drills.insert(run.told.run.drill.clone());
                let (shown, good) = (told.iter().any(|t| std::ptr::eq(*t, *run)), passed(run));
                row.runs += u64::from(shown);
                row.passed += u64::from(shown && good);
                row.last_passed = if good { Some(run.told.run.started) } else { row.last_passed };
            }
        }
    }
    rows.into_values().collect()
}

/// The report in a few sentences.
fn summary(report: &AfterAction) -> Vec<String> {
    let c = report.counts;
    let drilled = count(report.drills.iter().filter(|drill| drill.runs > 0).count());
    let ways = [
        (c.passed, "passed"),
        (c.failed, "failed"),
        (c.inconclusive, "not decided"),
        (c.aborted, "aborted"),
        (c.not_healed, "left a fault open"),
        (c.not_run, "not run"),
    ];
    let ways: Vec<String> = ways.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let mut lines = vec![match c.runs {
        0 => "No drill was run in this time.".to_owned(),
        n => format!("{} of {}: {}.", words::plural(n, "run"), words::plural(drilled, "drill"), ways.join(", ")),
    }];
    let late = |drill: &&Drill| matches!(drill.standing, Standing::Overdue | Standing::NeverPassed);
    let names: Vec<String> = report.drills.iter().filter(late).map(|d| format!("`{}`", d.drill)).collect();
    let timed = report.drills.iter().filter(|drill| drill.every.is_some()).count();
    lines.push(match (names.len(), timed) {
        (_, 0) => "No drill says how often it must pass.".to_owned(),
        (0, n) => format!("Of {} with a frequency, none is overdue.", words::plural(count(n), "drill")),
        (1, n) => {
            format!("1 of {} with a frequency is overdue: {}.", words::plural(count(n), "drill"), names.join(", "))
        }
        (late, n) => format!("{late} of {n} drills with a frequency are overdue: {}.", names.join(", ")),
    });
    let open: Vec<&ActionInput> = report.actions.iter().filter(|action| action.standing == Done::Open).collect();
    let today = report.as_of.date_naive();
    let past = open.iter().filter(|action| action.due.is_some_and(|due| due < today)).count();
    lines.push(match (open.len(), past) {
        (0, _) => "No action is open.".to_owned(),
        (1, past) => format!("1 action is open{}.", if past == 1 { ", and past its date" } else { "" }),
        (n, 0) => format!("{n} actions are open, none past its date."),
        (n, past) => format!("{n} actions are open, {past} of them past the date."),
    });
    if c.runs > 0 {
        let accepted = |run: &&RunRow| matches!(run.decision, Some(Decision::Accepted | Decision::AcceptedWithActions));
        let (accepted, sealed) = (
            report.runs.iter().filter(accepted).count(),
            report.runs.iter().filter(|run| run.sealed != Sealed::No).count(),
        );
        let of = words::plural(c.runs, "run");
        lines.push(format!("Of {of}, {accepted} accepted by a review, {sealed} sealed."));
    }
    if !report.doubts.is_empty() {
        let n = words::plural(count(report.doubts.len()), "folder");
        lines.push(format!("{n} cannot be relied on; what and why stands under “Not to be relied on”."));
    }
    lines
}
