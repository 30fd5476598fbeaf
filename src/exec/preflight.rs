//! What must be right before anything is touched. All reasons are found, not only the first.

use super::drill::{Broken, Drill};
use super::options::{RunError, RunOptions};
use super::residue::left_behind;
use super::{sampler, secrets};
use crate::adapters::{self, World, host};
use crate::clock::Clock;
use crate::faults::{Cx, Residue};
use crate::journal::{self, state::Index};
use crate::plan::{GuardCheck, Plan, StagingPlan, StepPlan, Verb};
use crate::probes::ProbeSpec;
use crate::redact::Forms;
use chrono::Datelike;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// A run writes less than this in an hour at a thousand operations a second.
const ROOM: u64 = 64 << 20;
/// Descriptors that are not the workloads'.
const OTHER_DESCRIPTORS: u64 = 128;

/// Is a fault of an earlier run still open? Entries of runs that are over or alive do not count.
pub(super) fn open_fault(index: &Index) -> Result<(), RunError> {
    let broken = |e: journal::JournalError| RunError::Preflight(vec![e.to_string()]);
    for entry in index.list().map_err(broken)? {
        let run = entry.run.clone();
        if journal::alive(&entry.dir) {
            let healing = journal::read_events(&entry.dir).is_ok_and(|stored| journal::being_healed(&stored.events));
            if healing {
                return Err(RunError::BeingHealed { run });
            }
            continue;
        }
        let unreadable = |why: String| RunError::Unreadable { run: run.clone(), why };
        let stored = journal::read_events(&entry.dir).map_err(|e| {
            unreadable(format!(
                "{e}; see for yourself whether all is well, then remove `{run}` from the state directory"
            ))
        })?;
        if let Some(why) = damaged(&stored) {
            return Err(unreadable(format!(
                "{why}; see for yourself whether all is well, then remove `{run}` from the state directory"
            )));
        }
        if let Some(open) = journal::open_faults(&stored.events).pop() {
            return Err(RunError::OpenFault { run, fault: open.fault, by_hand: open.by_hand });
        }
        if journal::left_up(&stored.events).is_some() {
            return Err(RunError::StagingUp { run });
        }
        index.remove(&entry.run).map_err(broken)?;
    }
    Ok(())
}

/// Why a record may be without what was written to it, if so. A torn end is what a dead runner leaves.
fn damaged(stored: &journal::Stored) -> Option<String> {
    match &stored.cut {
        Some(cut) if !cut.torn => Some(format!("its record is damaged: {cut}")),
        _ => stored.events.is_empty().then(|| "its record is empty".to_owned()),
    }
}

/// Is something of ours on this host that no run accounts for? Nothing may be broken on top of it.
pub(super) async fn residue(state_dir: &Path, world: &World) -> Result<(), RunError> {
    if !matches!(world.clock, Clock::System) {
        return Ok(());
    }
    let broken = |e: journal::JournalError| RunError::Preflight(vec![e.to_string()]);
    let (left, _) = left_behind(state_dir, world).await.map_err(broken)?;
    let nobodys: Vec<Residue> = left.into_iter().filter(|l| l.perhaps.is_empty()).map(|l| l.residue).collect();
    if nobodys.is_empty() { Ok(()) } else { Err(RunError::Residue(nobodys)) }
}

/// Can the reports folder and the state directory be written, and is there room?
pub(super) fn room(options: &RunOptions) -> Vec<String> {
    let mut reasons = Vec::new();
    for (dir, what) in [(&options.reports_dir, "the reports folder"), (&options.state_dir, "the state directory")] {
        if let Err(why) = host::writable(dir) {
            reasons.push(format!("{what} {} cannot be written: {why}", dir.display()));
            continue;
        }
        if let Some(ground) = host::ground(dir).ok().filter(|ground| ground.free < ROOM) {
            let left = ground.free >> 20;
            reasons.push(format!("{what} {} has {left} MiB left; a run needs {}", dir.display(), ROOM >> 20));
        }
    }
    reasons
}

impl Drill<'_> {
    /// Everything that can be known before the staging is up.
    pub async fn preflight(&self) -> Result<(), Broken> {
        let mut reasons = missing_programs(self.plan, &self.scene.cx());
        if matches!(self.world.clock, Clock::System) {
            reasons.extend(descriptors(self.plan));
            let wrong = self.world.clock.stamp().wall.year() < 2024;
            reasons.extend(wrong.then(|| "the wall clock is wrong: it stands before 2024".to_owned()));
        }
        reasons.extend(unavailable(self.plan, self.world).await);
        if let Err(unread) = self.unless_stopped(secrets::read(&self.scene, &self.record.redactor)).await? {
            // One that the staging writes is read once it is up.
            let later = |name: &str| self.scene.sources().get(name).is_some_and(secrets::needs_staging);
            let of = |why: &String| why.split('`').nth(1).is_some_and(later);
            reasons.extend(unread.into_iter().filter(|why| self.plan.staging.is_none() || !of(why)));
        }
        secrets::weak(&self.record.redactor).into_iter().for_each(|weak| self.say(weak));
        if reasons.is_empty() { Ok(()) } else { Err(Broken::Preflight(reasons)) }
    }
}

/// Secrets that stand in what is kept as it is: the playbook as written, and as run. Where each stands, and what to write.
pub(super) fn written_down(plan: &Plan, secrets: &Forms) -> Vec<String> {
    let path = plan.source.path.display();
    let mut reasons: Vec<String> = Vec::new();
    for hit in secrets.find(plan.source.text.as_bytes()) {
        let before = &plan.source.text.as_bytes()[..hit.at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        reasons.push(format!(
            "{path}:{line}:{column}: {} stands in the playbook, which is kept with the run; {BY_NAME}",
            hit.what
        ));
    }
    for (name, value) in &plan.params {
        let held = secrets.find(value.as_bytes());
        reasons.extend(held.into_iter().map(|hit| {
            format!(
                "{path}: the parameter `{name}` holds {}, and parameters are kept with the run; {BY_NAME}",
                hit.what
            )
        }));
    }
    if reasons.is_empty() {
        let held = secrets.find(plan.source.resolved.as_bytes());
        reasons.extend(held.into_iter().map(|hit| {
            format!("{path}: as run, with `include` and `${{env.NAME}}` filled in, it holds {}; {BY_NAME}", hit.what)
        }));
    }
    reasons
}

const BY_NAME: &str = "say under `secrets:` where it comes from, and write `${secrets.NAME}` in its place";

/// Between two looks at what may still change, like a standby that is about to connect.
const HINDERED_AGAIN: Duration = Duration::from_millis(500);

impl Drill<'_> {
    /// What the steady state and the guards ask, and nobody can answer as things are: it would be found out only when their
    /// time is up. What later steps ask may still come to be.
    pub async fn hindered(&self) -> Vec<String> {
        let steady = self.plan.steady.iter().filter_map(|step| match &step.verb {
            Verb::Expect { probe, .. } | Verb::Check(probe) => Some((format!("steady state `{}`", step.name), probe)),
            _ => None,
        });
        let guards = self.plan.guards.iter().filter_map(|guard| match &guard.check {
            GuardCheck::Probe(probe) => Some((format!("guard `{}`", guard.name), &**probe)),
            GuardCheck::Budget(_) => None,
        });
        let asked: Vec<(String, &ProbeSpec)> = steady.chain(guards).collect();
        let until = self.now().after(self.options.limits.reach);
        loop {
            let mut reasons = Vec::new();
            for (name, probe) in &asked {
                let why = probe.hindrance(&self.scene.cx()).await;
                reasons.extend(why.map(|why| format!("{name}: {why}")));
            }
            if reasons.is_empty() || self.now() >= until {
                return reasons;
            }
            self.world.clock.sleep_until(self.now().after(HINDERED_AGAIN)).await;
        }
    }
}

/// Faults that this machine cannot inject at all, each with its step and why. Changes nothing.
pub async fn unavailable(plan: &Plan, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let steps = [&plan.steady, &plan.outage, &plan.failover, &plan.restore, &plan.verify];
    let mut todo: Vec<&StepPlan> = steps.into_iter().flatten().collect();
    while let Some(step) = todo.pop() {
        match &step.verb {
            Verb::Inject(inject) => {
                let why = inject.fault.unavailable(world).await;
                found.extend(why.map(|why| format!("`{}`: {} is {why}", step.id, inject.fault.kind())));
            }
            Verb::Parallel(steps) => todo.extend(steps),
            _ => {}
        }
    }
    found.sort();
    found
}

fn descriptors(plan: &Plan) -> Option<String> {
    let each = plan.workloads.iter().map(|w| match w.writers {
        0 => sampler::capacity(w.rate, w.timeout),
        writers => usize::from(writers),
    });
    let needed = each.sum::<usize>() as u64 + OTHER_DESCRIPTORS;
    adapters::allow_descriptors(needed).err().map(|why| format!("the workloads: {why}"))
}

/// Programs that the plan runs and that are not there.
fn missing_programs(plan: &Plan, cx: &Cx<'_>) -> Vec<String> {
    let mut programs = BTreeSet::new();
    let mut add = |value: Result<Value, serde_json::Error>| {
        if let Ok(value) = value {
            find_programs(&value, &mut programs);
        }
    };
    plan.targets.values().for_each(|t| add(serde_json::to_value(&t.spec)));
    plan.workloads.iter().for_each(|w| add(serde_json::to_value(&w.spec)));
    plan.guards.iter().for_each(|g| {
        if let GuardCheck::Probe(probe) = &g.check {
            add(serde_json::to_value(probe));
        }
    });
    plan.secrets.values().for_each(|s| add(serde_json::to_value(s)));
    if let Some(StagingPlan::Commands { up, down }) = &plan.staging {
        add(serde_json::to_value(up));
        add(serde_json::to_value(down));
    }
    for steps in [&plan.steady, &plan.outage, &plan.failover, &plan.restore, &plan.verify] {
        steps.iter().for_each(|step| step_values(step, &mut add));
    }
    // A program with a `/` in it is relative to the playbook, the others are searched.
    let place = |p: String| if p.contains('/') { cx.scope.base().join(p).to_string_lossy().into_owned() } else { p };
    let known = programs.into_iter().filter(|p| !p.contains("${"));
    known.filter_map(|p| cx.world.commands.find(&place(p)).err()).map(|e| e.to_string()).collect()
}

fn step_values(step: &StepPlan, add: &mut impl FnMut(Result<Value, serde_json::Error>)) {
    match &step.verb {
        Verb::Inject(inject) => inject.faults().for_each(|fault| add(serde_json::to_value(fault))),
        Verb::Expect { probe, .. } | Verb::Check(probe) => add(serde_json::to_value(probe)),
        Verb::Restore(restore) => {
            add(serde_json::to_value(restore));
            restore.programs().into_iter().for_each(|program| add(Ok(serde_json::json!({"argv": [program]}))));
        }
        Verb::Run(run) => add(serde_json::to_value(run)),
        Verb::Parallel(steps) => {
            for step in steps {
                step_values(step, add);
            }
        }
        Verb::Heal(_) | Verb::Wait(_) | Verb::Ask(_) => {}
    }
}

/// Every command, wherever it stands, is an `argv` whose first word is its program.
fn find_programs(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| find_programs(v, into)),
        Value::Object(map) => {
            if let Some(program) = map.get("argv").and_then(|argv| argv.get(0)).and_then(Value::as_str) {
                into.insert(program.to_owned());
            }
            map.values().for_each(|v| find_programs(v, into));
        }
        _ => {}
    }
}
