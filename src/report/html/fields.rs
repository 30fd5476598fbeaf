//! What this run holds for each of the fields E1 to E32. What stands in a chart or a table above is only pointed at.

use super::follow_up;
use super::integrity;
use super::trend;
use crate::analysis::{Analysis, Attribution, LedgerResult, ObjectiveResult, WorkloadResult};
use crate::controls;
use crate::event::{Phase, StallCause};
use crate::model::{ClockBasis, Interval, ObjectiveKind, RunState, Verdict, period};
use crate::report::{tables, words};
use chrono::TimeDelta;

/// Keys of `metadata:` that a field shows.
pub(super) const KEYS: [&str; 25] = [
    "owner",
    "approver",
    "approval",
    "plan",
    "criticality",
    "kind",
    "every",
    "systems",
    "sites",
    "scope",
    "exclusions",
    "third_parties",
    "scenario",
    "why",
    "participants",
    "absent",
    "load",
    "communication",
    "security",
    "budget",
    "conditions",
    "controls",
    "classification",
    "retention",
    "next",
];

/// Of things that can be many, so many are told here.
const MOST: usize = 8;

/// A field as this run fills it.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Its number.
    pub(super) number: u8,
    /// What it holds, sentence by sentence.
    pub(super) lines: Vec<String>,
    /// The section that shows it.
    pub(super) see: Option<&'static str>,
}

impl Filled {
    /// Is there anything?
    pub(super) fn is_given(&self) -> bool {
        // Actions of earlier runs are shown, but they are not what follows from this one.
        self.number != 24 && (!self.lines.is_empty() || self.see.is_some())
    }
}

/// All fields, by number.
pub(super) fn all(a: &Analysis) -> Vec<Filled> {
    controls::FIELDS.iter().map(|field| filled(a, field.number)).collect()
}

fn filled(a: &Analysis, number: u8) -> Filled {
    let (lines, see) = match number {
        1..=10 => before(a, number),
        11..=19 => measured(a, number),
        _ => after(a, number),
    };
    Filled { number, lines: lines.into_iter().filter(|line| !line.is_empty()).collect(), see }
}

type Lines = (Vec<String>, Option<&'static str>);

/// What was settled before the fault: E1 to E10.
fn before(a: &Analysis, number: u8) -> Lines {
    let r = &a.run;
    let lines = match number {
        1 => vec![
            format!("`{}` of drill `{}`", r.run, r.drill),
            format!("revision: the record whose last line has SHA-256 `{}`", a.journal_head),
        ],
        2 => playbook(a),
        3 => {
            let mut lines: Vec<String> = a.objectives.iter().take(MOST).map(|o| objective(a, o)).collect();
            lines.push(more(a.objectives.len()));
            if !lines.iter().all(String::is_empty) {
                lines.push("Sealed in the start record, before the fault.".to_owned());
            }
            lines
        }
        4 => vec![meta(a, "", "kind"), format!("run automatically by {} in `{}`", r.host.tool, r.environment)],
        5 => ["scope", "systems", "sites", "exclusions", "criticality", "plan", "owner"]
            .map(|key| meta(a, key, key))
            .into(),
        6 => vec![r.title.clone(), meta(a, "scenario", "scenario"), meta(a, "why", "why")],
        7 => vec![meta(a, "", "third_parties")],
        8 => vec![meta(a, "", "participants"), meta(a, "absent", "absent")],
        9 => vec![meta(a, "approved before by", "approver"), meta(a, "to be read in", "approval")],
        _ => vec![
            format!("started {}", words::wall(a.started)),
            a.ended.map_or_else(|| "no end is recorded".to_owned(), |at| format!("ended {}", words::wall(at))),
            format!("started by {}", r.host.trigger),
        ],
    };
    (lines, None)
}

fn playbook(a: &Analysis) -> Vec<String> {
    let r = &a.run;
    let commits = r.lineage.iter().flat_map(|lineage| &lineage.subjects);
    let commits = commits.filter_map(|s| s.digest.strip_prefix("gitCommit:"));
    let params: Vec<String> = r.params.iter().take(MOST).map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        format!("`{}`, SHA-256 `{}`", r.playbook, r.playbook_digest),
        format!("as run, `playbook.resolved.yaml`, SHA-256 `{}`", r.resolved_digest),
        list("commit ", commits.map(str::to_owned).collect()),
        list("parameters: ", params),
    ]
}

fn objective(a: &Analysis, o: &ObjectiveResult) -> String {
    let clock = match (o.objective.kind, o.objective.basis) {
        (ObjectiveKind::Rto, ClockBasis::Declared) => ", from the declaration",
        (ObjectiveKind::Rto, ClockBasis::Fault) => ", from the fault",
        _ => "",
    };
    format!("{}: at most {}{clock}", tables::objective(a, o), words::target(o.objective.kind, o.objective.target))
}

/// What the tool did and measured: E11 to E19.
fn measured(a: &Analysis, number: u8) -> Lines {
    match number {
        11 => (steady(a), None),
        12 => {
            let failed = a.steps.iter().filter(|s| s.verdict != Verdict::Pass).count();
            let ended = if failed == 0 { "all as expected".to_owned() } else { format!("{failed} not as expected") };
            let lines = format!("{}, {ended}", words::plural(a.steps.len() as u64, "step"));
            if a.steps.is_empty() { (Vec::new(), None) } else { (vec![lines], Some("Steps")) }
        }
        13 => recovery(a),
        14 => loss(a),
        15 => (Vec::new(), (!a.workloads.is_empty()).then_some("Availability")),
        16 => (elsewhere(a), None),
        17 => {
            let told = |r: &crate::analysis::RestoreResult| {
                let backup = if r.claim.backup.is_empty() { "backup not named" } else { &r.claim.backup };
                let taken = r.claim.taken.map_or_else(String::new, |at| format!(", complete at {}", words::wall(at)));
                let age = r.claim.taken.map_or_else(String::new, |at| format!(", {} old then", age(a, at)));
                let error = r.error.as_ref().map_or_else(String::new, |e| format!("; not restored: {e}"));
                format!("{} ({}): `{backup}`{taken}{age}; took {}{error}", r.name, r.kind, words::duration(r.took()))
            };
            let lines: Vec<String> = a.restores.iter().take(MOST).map(told).collect();
            let see = (!lines.is_empty()).then_some("Restores");
            (lines, see)
        }
        18 => integrity(a),
        _ => way_back(a),
    }
}

fn age(a: &Analysis, at: chrono::DateTime<chrono::Utc>) -> String {
    words::duration(a.started.signed_duration_since(at).num_nanoseconds().unwrap_or(i64::MAX).max(0))
}

/// How much was served before the fault and at the end, and what was looked at there.
fn steady(a: &Analysis) -> Vec<String> {
    let served = |phase: Phase| {
        let each = a.workloads.iter().filter(|w| w.probe_of.is_none()).take(MOST).filter_map(|w| {
            let b = super::series::in_phase(a, w, phase)?;
            let p99 = if b.p99 > 0 { format!(", p99 at most {}", words::duration(b.p99)) } else { String::new() };
            Some(format!("{} {} served{p99}", w.name, words::share(b.served.into(), b.due.into())))
        });
        each.collect::<Vec<_>>().join("; ")
    };
    let looked = |phases: &[Phase]| {
        let of: Vec<_> = a.steps.iter().filter(|s| phases.contains(&s.phase)).collect();
        let good = of.iter().filter(|s| s.verdict == Verdict::Pass).count();
        if of.is_empty() { String::new() } else { format!("; {good} of {} checks as expected", of.len()) }
    };
    let line = |name: &str, phase: Phase, phases: &[Phase]| {
        let (served, looked) = (served(phase), looked(phases));
        if served.is_empty() && looked.is_empty() { String::new() } else { format!("{name}: {served}{looked}") }
    };
    vec![
        line("before (baseline)", Phase::Baseline, &[Phase::Baseline]),
        line("after (steady)", Phase::Steady, &[Phase::Converge, Phase::Steady]),
    ]
}

fn recovery(a: &Analysis) -> Lines {
    let rto = a.objectives.iter().filter(|o| o.objective.kind == ObjectiveKind::Rto);
    let judged = |o: &ObjectiveResult| {
        let target = words::target(o.objective.kind, o.objective.target);
        let clock = if o.objective.basis == ClockBasis::Declared { "the declaration" } else { "the fault" };
        let (name, actual) = (tables::objective(a, o), words::actual(o));
        format!("{name}: {actual} from {clock}, target {target}: {}", words::judged(o.verdict))
    };
    let mut lines: Vec<String> = rto.take(MOST).map(judged).collect();
    let declared = a.workloads.iter().find_map(|w| w.recoveries.first()?.sustained_from_declared.map(|i| (w, i)));
    lines.extend(declared.map(|(w, i)| format!("{}: {} from the declaration", w.name, words::about(i))));
    lines.push(split(a));
    let measured = a.workloads.iter().any(|w| !w.recoveries.is_empty());
    (lines, measured.then_some("Outages and recovery"))
}

/// The moments on the way, from the first fault.
fn split(a: &Analysis) -> String {
    let Some(fault) = a.faults.iter().filter_map(|f| f.at).map(|at| at.best).min() else { return String::new() };
    let headline = a.workloads.iter().find(|w| w.probe_of.is_none()).map_or("", |w| w.name.as_str());
    let of_others = |of: &str| of != headline && a.workloads.iter().any(|w| w.name.as_str() == of);
    let verified = a.phases.iter().find(|p| p.phase == Phase::Verify).map(|p| ("verified".to_owned(), p.to));
    let marks = a.timeline.iter().filter(|m| m.name != "fault" && m.at.best >= fault && !of_others(&m.of));
    let mut moments: Vec<(String, i64)> =
        marks.map(|m| (m.name.replace('_', " "), m.at.best)).chain(verified).collect();
    moments.sort_by_key(|(_, at)| *at);
    moments.truncate(2 * MOST);
    let each = moments.iter().map(|(name, at)| format!("{name} after {}", words::duration(at - fault)));
    list("on the way, from the fault: ", each.collect())
}

fn loss(a: &Analysis) -> Lines {
    let ledgers: Vec<(&WorkloadResult, &LedgerResult)> =
        a.workloads.iter().filter_map(|w| Some((w, w.ledger.as_ref()?))).collect();
    let told = |(w, l): &(&WorkloadResult, &LedgerResult)| {
        let count = words::maybe_count;
        let window = l.rpo_time.map_or_else(|| "not known".to_owned(), window);
        format!(
            "{}: {} acknowledged, {} lost, {} duplicated, {} corrupted; loss window {window}",
            w.name,
            words::count(l.acked),
            count(l.lost),
            count(l.duplicated),
            count(l.corrupted)
        )
    };
    let mut lines: Vec<String> = ledgers.iter().take(MOST).map(told).collect();
    lines.push(more(ledgers.len()));
    if !ledgers.is_empty() {
        lines.push("method: what clients were told of each write, against a read-back of all at the end".to_owned());
    }
    (lines, (!ledgers.is_empty()).then_some("Writes"))
}

fn window(age: Interval) -> String {
    if age.high == 0 { "none".to_owned() } else { words::about(age) }
}

/// How long clients worked on what took over, or on what the drill restored, while the fault was still there.
fn elsewhere(a: &Analysis) -> Vec<String> {
    let each = a.workloads.iter().filter(|w| w.probe_of.is_none()).filter_map(|w| {
        let recovery = w.recoveries.first()?;
        let on = match recovery.attribution {
            Attribution::System => "what took over",
            Attribution::Restore => "what the drill restored",
            Attribution::Heal | Attribution::None => return None,
        };
        let fault = a.faults.iter().find(|f| f.id == recovery.fault)?;
        let from = fault.at?.best.saturating_add(recovery.sustained?.best);
        let until = fault.healed_at.map_or(a.length, |at| at.low).min(w.measured?.1);
        let rate = super::groups::seal(a, w)?.rate;
        let took = words::duration(until.saturating_sub(from));
        (until > from)
            .then(|| format!("{}: {took} on {on}, before the fault was removed, at {rate} operations/s", w.name))
    });
    let mut lines: Vec<String> = each.take(MOST).collect();
    if !lines.is_empty() {
        lines.push(meta(a, "load", "load"));
    }
    lines
}

fn integrity(a: &Analysis) -> Lines {
    let checks: Vec<_> = a.steps.iter().filter(|s| s.phase == Phase::Verify).collect();
    let good = checks.iter().filter(|s| s.verdict == Verdict::Pass).count();
    let same = a.fingerprints.iter().filter(|f| f.verdict == Verdict::Pass).count();
    let line = |n: usize, text: String| if n == 0 { String::new() } else { text };
    let ledgers = a.workloads.iter().filter_map(|w| Some((w, w.ledger.as_ref()?))).take(MOST);
    let odd = |(w, l): (&WorkloadResult, &LedgerResult)| {
        let count = words::maybe_count;
        format!(
            "{}: {} of {} kept intact, {} corrupted",
            w.name,
            count(l.kept),
            words::count(l.acked),
            count(l.corrupted)
        )
    };
    let prints = format!("{same} of {} fingerprints of the user's own data as expected", a.fingerprints.len());
    let mut lines = vec![
        line(checks.len(), format!("{good} of {} checks under `verify:` as expected", checks.len())),
        line(a.fingerprints.len(), prints),
    ];
    lines.extend(ledgers.map(odd));
    (lines, (!a.fingerprints.is_empty()).then_some("Data"))
}

fn way_back(a: &Analysis) -> Lines {
    let open = a.faults.iter().filter(|f| !f.healed).count();
    let healed = match (a.faults.len(), open) {
        (0, _) => return (Vec::new(), None),
        (n, 0) => format!("{} removed; nothing is left broken", words::plural(n as u64, "fault")),
        (n, open) => format!("{open} of {} NOT removed", words::plural(n as u64, "fault")),
    };
    let clean = if a.state == RunState::Dirty { "the environment is not clean" } else { "the environment is clean" };
    (vec![healed, clean.to_owned()], Some("Faults"))
}

/// What is said afterwards: E20 to E32.
fn after(a: &Analysis, number: u8) -> Lines {
    let plain = |lines: Vec<String>| (lines, None);
    match number {
        20 => plain(vec![meta(a, "", "security")]),
        21 => plain(detection(a)),
        22 => {
            let n = follow_up::deviations(a).len() as u64;
            if n == 0 {
                plain(Vec::new())
            } else {
                (vec![format!("{} by the tool", words::plural(n, "note"))], Some(FOLLOW_UP))
            }
        }
        24 => match follow_up::open(a).len() as u64 {
            0 => plain(Vec::new()),
            n => (vec![format!("{} of earlier runs open", words::plural(n, "action"))], Some(FOLLOW_UP)),
        },
        26 => {
            let met = a.objectives.iter().filter(|o| o.verdict == Verdict::Pass).count();
            (
                vec![format!(
                    "{met} of {} met; limits: see “Environment and method”",
                    words::plural(a.objectives.len() as u64, "objective")
                )],
                Some("Objectives"),
            )
        }
        27 => plain(frequency(a)),
        28 => plain(runner(a)),
        29 => (sealed(a), None),
        30 => plain(vec![
            meta(a, "classification", "classification"),
            meta(a, "kept for", "retention"),
            "secrets stand here by name only; what they resolve to is taken out before anything is hashed".to_owned(),
        ]),
        31 => blast(a),
        32 => plain(vec![meta(a, "", "controls")]),
        _ => plain(Vec::new()),
    }
}

const FOLLOW_UP: &str = "Deviations, actions and sign-off";

fn detection(a: &Analysis) -> Vec<String> {
    let fault = a.faults.iter().filter_map(|f| f.at).map(|at| at.best).min();
    let seen = a.timeline.iter().find(|m| m.name == "detected").zip(fault);
    let seen = seen.map(|(m, fault)| format!("detected {} after the fault", words::duration(m.at.best - fault)));
    vec![seen.unwrap_or_default(), meta(a, "communication", "communication")]
}

fn frequency(a: &Analysis) -> Vec<String> {
    let Some(every) = a.run.metadata.get("every").and_then(|values| values.first()) else { return Vec::new() };
    let passed = a.state == RunState::Ended && a.verdict == Verdict::Pass;
    let since = if passed { Some(a.started) } else { trend::last_pass(a).map(|run| run.started) };
    let due = since.zip(period(every)).and_then(|(since, period)| {
        since.checked_add_signed(TimeDelta::from_std(period).ok()?).map(|at| at.date_naive())
    });
    let due = due.map_or_else(String::new, |day| format!("next due by {day}"));
    let this = if passed { "this run passed" } else { "this run did not pass" };
    vec![
        format!("required: {every}"),
        format!("{this}; last pass before it: {}", trend::last_pass_words(a)),
        due,
        meta(a, "planned next", "next"),
    ]
}

fn runner(a: &Analysis) -> Vec<String> {
    let host = &a.run.host;
    let times = |cause: StallCause| a.stalls.iter().filter(|s| s.cause == cause).count();
    let clock = match (times(StallCause::ClockStep), times(StallCause::Suspend)) {
        (0, 0) => "the wall clock was not stepped, and the machine did not sleep".to_owned(),
        (steps, sleeps) => format!("the wall clock was stepped {steps} times; the machine slept {sleeps} times"),
    };
    let vantages = a.run.workloads.iter().filter_map(|s| s.vantage.as_ref().map(|v| v.name.clone()));
    let mut places: Vec<String> = vantages.collect();
    places.sort();
    places.dedup();
    places.truncate(2 * MOST);
    let places =
        if places.is_empty() { "clients ran in the runner".to_owned() } else { list("clients looked from ", places) };
    vec![format!("{} on {}, {}", host.tool, host.host, host.system), clock, places]
}

fn sealed(a: &Analysis) -> Vec<String> {
    let lineage = a.run.lineage.as_deref();
    let signer = lineage.and_then(|l| l.signer.as_ref());
    vec![
        format!("{} in the journal, each with the digest of the one before it", words::plural(a.journal_lines, "line")),
        signer.map_or_else(|| "UNSIGNED".to_owned(), |key| format!("will be signed by `{key}`")),
        format!("chain of runs: {}; see “Integrity”", integrity::chain(lineage.and_then(|l| l.chain.as_ref()))),
        a.journal_cut.as_ref().map_or_else(String::new, |cut| format!("cut: {cut}")),
    ]
}

fn blast(a: &Analysis) -> Lines {
    let told = |f: &crate::analysis::FaultResult| {
        let targets = words::shortened(&f.targets.join(", "), 160);
        format!("{} (`{}`) touched {targets}", words::shortened(&f.name, 120), f.kind)
    };
    let mut lines: Vec<String> = a.faults.iter().take(MOST).map(told).collect();
    lines.push(more(a.faults.len()));
    lines.push(meta(a, "budget", "budget"));
    lines.push(meta(a, "conditions", "conditions"));
    let waived = a.run.waivers.len();
    if waived > 0 {
        lines.push(format!("{} waived", words::plural(waived as u64, "guard")));
    }
    if a.state == RunState::Aborted {
        lines.push("the run was aborted".to_owned());
    }
    (lines, (!a.faults.is_empty()).then_some("Faults"))
}

/// What the playbook says under a key, after `name`; empty if it says nothing.
fn meta(a: &Analysis, name: &str, key: &str) -> String {
    let said = a.run.metadata.get(key).map(|values| values.join(", ")).unwrap_or_default();
    match (said.is_empty(), name.is_empty()) {
        (true, _) => String::new(),
        (_, true) => said,
        (_, false) => format!("{}: {said}", name.replace('_', " ")),
    }
}

fn list(lead: &str, items: Vec<String>) -> String {
    if items.is_empty() { String::new() } else { format!("{lead}{}", items.join(", ")) }
}

/// What `MOST` leaves out.
fn more(n: usize) -> String {
    if n > MOST { format!("and {} more, in report.json", words::count((n - MOST) as u64)) } else { String::new() }
}
