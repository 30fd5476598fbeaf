//! What a plan will do, in the words of a person who has to approve it: phases, targets, blast radius, permissions, and
//! what heals each fault. Data and its text; resolving targets and printing are not here.

use super::{
    AtMost, FingerprintPlan, InjectPlan, Order, Plan, Since, Spread, StagingPlan, StepPlan, Verb, WorkloadPlan,
};
use crate::event::Phase;
use crate::model::{
    ClientBehaviour, ClockBasis, Dur, Expectation, Objective, ObjectiveKind, PinnedTarget, Replication, Template,
    VantagePod,
};
use crate::workloads::WorkloadSpec;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Targets by name, as resolved now, or why not.
pub type Resolved = BTreeMap<String, Result<PinnedTarget, String>>;

/// What a plan will do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The drill's name.
    pub drill: String,
    /// Its title.
    pub title: String,
    /// Where it runs.
    pub environment: String,
    /// The playbook's path.
    pub playbook: String,
    /// Parameters as run.
    pub params: BTreeMap<String, String>,
    /// It is ended after this, in seconds.
    pub max_seconds: f64,
    /// Its own staging, in words.
    pub staging: Option<String>,
    /// Judged by these.
    pub objectives: Vec<String>,
    /// What clients do.
    pub workloads: Vec<String>,
    /// The user's own data that is compared before and after.
    pub data: Vec<String>,
    /// What stops it.
    pub guards: Vec<String>,
    /// Guards that do not count, who waived them and why.
    pub waived: Vec<String>,
    /// What may be touched.
    pub targets: Vec<TargetLine>,
    /// What happens, in order.
    pub phases: Vec<PhaseLine>,
    /// What is broken, in the order of injection.
    pub faults: Vec<FaultLine>,
    /// What the runner must be allowed to do.
    pub permissions: Vec<String>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetLine {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The identities it stands for now.
    pub found: Vec<String>,
    /// Why it cannot be resolved now.
    pub missing: Option<String>,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseLine {
    /// Which.
    pub phase: Phase,
    /// What the drill itself does in it.
    pub note: String,
    /// Its steps.
    pub steps: Vec<StepLine>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Verb and kind.
    pub does: String,
    /// Its limits and conditions, in words.
    pub limits: Vec<String>,
    /// `FILE:LINE`
    pub place: String,
    /// Steps at the same time.
    pub parallel: Vec<StepLine>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultLine {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The targets it touches, by name.
    pub targets: Vec<String>,
    /// The identities it would touch now.
    pub blast_radius: Vec<String>,
    /// How much of them at most.
    pub at_most: Option<String>,
    /// How many of them are chosen, in which order, how far apart; none if all at once.
    pub spread: Option<String>,
    /// What heals it, in the order in which it is tried.
    pub healed_by: Vec<String>,
    /// It cannot be undone by the drill.
    pub irreversible: bool,
    /// What the runner needs.
    pub permissions: Vec<String>,
}

/// Explains a plan with its targets as they are now.
#[must_use]
pub fn explain(plan: &Plan, resolved: &Resolved) -> Explanation {
    let mut injections = Vec::new();
    let all = [&plan.outage, &plan.failover, &plan.restore, &plan.verify];
    all.iter().for_each(|steps| each(steps, &mut |step| injections.extend(injection(step))));
    let faults: Vec<FaultLine> = injections.iter().map(|(step, inject)| fault(plan, step, inject, resolved)).collect();
    let mut permissions: Vec<String> = faults.iter().flat_map(|f| f.permissions.clone()).collect();
    permissions.sort();
    permissions.dedup();
    Explanation {
        drill: plan.name.to_string(),
        title: plan.title.clone(),
        environment: plan.environment.clone(),
        playbook: plan.source.path.display().to_string(),
        params: plan.params.clone(),
        max_seconds: plan.max_duration.as_secs_f64(),
        staging: plan.staging.as_ref().map(staging),
        objectives: plan.objectives.iter().map(objective).collect(),
        workloads: plan.workloads.iter().map(workload).collect(),
        data: plan.fingerprints.iter().map(fingerprint).collect(),
        guards: plan
            .guards
            .iter()
            .map(|g| {
                format!("{} ({} every {}, {} broken looks tolerated)", g.name, g.check.kind(), Dur(g.every), g.tolerate)
            })
            .collect(),
        waived: plan.waivers.iter().map(|w| format!("{}: {} ({})", w.guard, w.reason, w.by)).collect(),
        targets: plan.targets.keys().map(|name| target(plan, name, resolved)).collect(),
        phases: phases(plan),
        faults,
        permissions,
    }
}

fn each<'a>(steps: &'a [StepPlan], visit: &mut impl FnMut(&'a StepPlan)) {
    for step in steps {
        visit(step);
        if let Verb::Parallel(inner) = &step.verb {
            each(inner, visit);
        }
    }
}

fn injection(step: &StepPlan) -> Option<(&StepPlan, &InjectPlan)> {
    if let Verb::Inject(inject) = &step.verb { Some((step, inject)) } else { None }
}

fn staging(staging: &StagingPlan) -> String {
    match staging {
        StagingPlan::Embedded(e) => {
            let replication = match e.replication {
                Replication::Async => "asynchronous replication",
                Replication::Sync => "synchronous replication",
            };
            format!("embedded key-value service on port {}, {replication}", e.port)
        }
        StagingPlan::Commands { up, down } => {
            let words = |c: &crate::model::CommandSpec| crate::model::RunSpec::Command(c.clone()).to_string();
            format!("up by {}, down by {}", words(up), words(down))
        }
    }
}

fn objective(o: &Objective) -> String {
    let time = || Dur(Duration::from_nanos(o.target.unsigned_abs()));
    let what = match o.kind {
        ObjectiveKind::Rto if o.basis == ClockBasis::Declared => {
            format!("works again {} after the declaration", time())
        }
        ObjectiveKind::Rto => format!("works again {} after the fault", time()),
        ObjectiveKind::RpoTime => format!("loses at most the last {}", time()),
        ObjectiveKind::RpoWrites => format!("loses at most {} acknowledged writes", o.target),
        ObjectiveKind::Detect => format!("somebody notices {} after the fault", time()),
    };
    let fault = o.fault.as_ref().map(|f| format!(" ({f})")).unwrap_or_default();
    if o.kind.is_of_the_drill() { format!("{what}{fault}") } else { format!("{} {what}{fault}", o.workload) }
}

fn workload(w: &WorkloadPlan) -> String {
    let what = match (&w.probe_of, &w.spec) {
        (Some(ledger), _) => format!("availability probe of {ledger}"),
        (None, WorkloadSpec::Ledger(l)) if w.site.is_some() => {
            let of = w.site.as_ref().map_or(1, |site| site.sites);
            format!("ledger at one of {of} sites, in {}, with {} writers", l.target, w.writers)
        }
        (None, WorkloadSpec::Ledger(l)) => format!("ledger in {} with {} writers", l.target, l.writers),
        (None, WorkloadSpec::Http(h)) => format!("{} {}", h.method, h.url),
        (None, WorkloadSpec::Tcp(t)) => format!("talk to {}", t.address),
        (None, WorkloadSpec::Command(c)) => format!("command {}", crate::model::RunSpec::Command(c.command())),
    };
    let client = match w.client {
        ClientBehaviour::Fresh => "fresh connections",
        ClientBehaviour::Pooled => "pooled connections",
        ClientBehaviour::Retrying(_) => "retrying",
    };
    let s = &w.service;
    let from = w.vantage.as_ref().map_or_else(String::new, |vantage| {
        let inside = vantage.namespace.as_ref().map_or_else(String::new, |n| format!(" in the network namespace {n}"));
        match &vantage.pod {
            Some(pod) => format!(", from {}", pod_of(pod)),
            None => format!(", from a process of its own{inside}"),
        }
    });
    format!(
        "{}: {what}, {}/s, {client}{from}; served = ok within {}, works = {}% served for {}",
        w.name,
        w.rate,
        Dur(s.deadline),
        s.availability * 100.0,
        Dur(s.stable)
    )
}

fn pod_of(pod: &VantagePod) -> String {
    let said = |text: &Option<Template>, before: &str| {
        text.as_ref().map_or_else(String::new, |text| format!(" {before} {text}"))
    };
    format!("a pod{}{}", said(&pod.namespace, "in namespace"), said(&pod.context, "of the cluster"))
}

fn fingerprint(f: &FingerprintPlan) -> String {
    let expect = match f.expect {
        Expectation::Same => "the same before and after",
        Expectation::Any => "before and after are recorded",
    };
    format!("{}: {}; {expect}", f.name, f.spec.words())
}

/// So many of a target's objects are named.
const NAMED: usize = 5;

fn identities(target: &PinnedTarget) -> Vec<String> {
    if let [first, ..] = target.objects.as_slice() {
        let (count, kind) = (target.objects.len(), first.kind.to_lowercase());
        let cluster = ["context", "server"].into_iter().filter_map(|field| target.fields.get(field));
        let cluster = cluster.filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(", ");
        let names = target.objects.iter().take(NAMED).map(ToString::to_string);
        let more = count.checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("{more} more"));
        let all = format!("{count} of kind {kind} in {cluster}");
        return std::iter::once(all).chain(names).chain(more).collect();
    }
    if target.processes.is_empty() {
        return target.fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
    }
    target.processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid)).collect()
}

fn target(plan: &Plan, name: &str, resolved: &Resolved) -> TargetLine {
    let kind = plan.targets.get(name).map(|t| t.spec.kind()).unwrap_or_default().to_owned();
    let (found, missing) = match resolved.get(name) {
        Some(Ok(target)) => (identities(target), None),
        Some(Err(why)) => (Vec::new(), Some(why.clone())),
        None if plan.staging.is_some() => (Vec::new(), Some("known when the staging is up".to_owned())),
        None => (Vec::new(), Some("not looked at".to_owned())),
    };
    TargetLine { name: name.to_owned(), kind, found, missing }
}

fn fault(plan: &Plan, step: &StepPlan, inject: &InjectPlan, resolved: &Resolved) -> FaultLine {
    let targets: Vec<String> =
        inject.faults().flat_map(crate::faults::FaultSpec::targets).map(|t| t.name().to_owned()).collect();
    let found = targets.iter().filter_map(|t| resolved.get(t)?.as_ref().ok());
    let mut healed_by = Vec::new();
    for steps in [&plan.outage, &plan.failover, &plan.restore, &plan.verify] {
        each(steps, &mut |other| {
            let closes = other.closes.as_ref().is_some_and(|f| f.as_str() == step.id.as_str());
            let heals = matches!(&other.verb, Verb::Heal(f) if f.as_str() == step.id.as_str());
            if closes || heals {
                healed_by.push(format!("step {} ({})", other.id, other.name));
            }
        });
    }
    let irreversible = inject.fault.irreversible();
    if !irreversible {
        healed_by.push(format!("at the end, or when the drill is stopped: {}", inject.fault.way_back()));
        healed_by.push(format!("at the latest {} after the injection", Dur(inject.deadline)));
    }
    if let Some(way) = &inject.way_back {
        healed_by.push(format!("by people: {way}"));
    }
    FaultLine {
        id: step.id.to_string(),
        kind: inject.fault.kind().to_owned(),
        blast_radius: found.flat_map(identities).collect(),
        targets,
        at_most: inject.at_most.map(|limit| match limit {
            AtMost::Count(n) => format!("{n} of them"),
            AtMost::Share(share) => format!("{}% of them", share * 100.0),
        }),
        spread: spread(inject),
        healed_by,
        irreversible,
        permissions: inject.fault.permissions(),
    }
}

fn spread(inject: &InjectPlan) -> Option<String> {
    let Spread { pick, order, seed, stagger } = inject.spread;
    if inject.is_one() {
        return None;
    }
    let pick = match pick {
        None => "all of them".to_owned(),
        Some(AtMost::Count(n)) => format!("{n} of them"),
        Some(AtMost::Share(share)) => format!("{}% of them, rounded down, at least one", share * 100.0),
    };
    let order = match (order, seed) {
        (Order::Listed, _) => "as listed".to_owned(),
        (Order::ByName, _) => "by name".to_owned(),
        (Order::Random, Some(seed)) => format!("in random order, seed {seed}"),
        (Order::Random, None) => "in random order, the seed is recorded".to_owned(),
    };
    let apart = if stagger.is_zero() { "at once".to_owned() } else { format!("{} apart", Dur(stagger)) };
    Some(format!("{pick}, {order}, {apart}"))
}

fn phases(plan: &Plan) -> Vec<PhaseLine> {
    let mut phases = Vec::new();
    let mut add = |phase, note: String, steps: &[StepPlan]| {
        phases.push(PhaseLine { phase, note, steps: steps.iter().map(step).collect() });
    };
    add(
        Phase::Preflight,
        "targets, permissions, tools and open faults are looked at; nothing is touched".to_owned(),
        &[],
    );
    if plan.staging.is_some() {
        add(Phase::StagingUp, "the staging comes up".to_owned(), &[]);
    }
    add(Phase::Baseline, format!("clients work, and this holds for {}", Dur(plan.baseline)), &plan.steady);
    add(Phase::Outage, "targets are pinned, then broken".to_owned(), &plan.outage);
    add(Phase::Failover, "the system saves itself".to_owned(), &plan.failover);
    add(Phase::Restore, "people bring it back".to_owned(), &plan.restore);
    add(Phase::Verify, "how we know".to_owned(), &plan.verify);
    add(Phase::Unwind, "faults that are still open are healed, newest first".to_owned(), &[]);
    add(Phase::Converge, "redundancy comes back".to_owned(), &[]);
    add(Phase::Steady, "the steady state holds again, under load".to_owned(), &[]);
    add(Phase::Drain, "clients stop; operations in flight end".to_owned(), &[]);
    add(Phase::ReadBack, "everything that was acknowledged is looked for".to_owned(), &[]);
    if plan.staging.is_some() {
        add(Phase::StagingDown, "the staging goes down".to_owned(), &[]);
    }
    phases
}

fn step(step: &StepPlan) -> StepLine {
    let does = match &step.verb {
        Verb::Inject(inject) => format!("inject {}", inject.fault.kind()),
        Verb::Heal(fault) => format!("heal {fault}"),
        Verb::Expect { probe, .. } => format!("expect {}", probe.kind()),
        Verb::Check(probe) => format!("check {}", probe.kind()),
        Verb::Restore(restore) => format!("restore {}", restore.kind()),
        Verb::Run(run) => format!("run {run}"),
        Verb::Wait(time) => format!("wait {}", Dur(*time)),
        Verb::Ask(_) => "ask a person".to_owned(),
        Verb::Parallel(_) => "at the same time".to_owned(),
    };
    let parallel =
        if let Verb::Parallel(inner) = &step.verb { inner.iter().map(self::step).collect() } else { Vec::new() };
    StepLine {
        id: step.id.to_string(),
        name: step.name.clone(),
        does,
        limits: limits(step),
        place: format!("{}:{}", step.place.file, step.place.line),
        parallel,
    }
}

fn limits(step: &StepPlan) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(within) = step.within {
        let since = match &step.since {
            Since::Start => String::new(),
            Since::Fault => " of the fault".to_owned(),
            Since::Declared => " of the declaration".to_owned(),
            Since::Step(id) => format!(" of {id}"),
        };
        limits.push(format!("within {}{since}", Dur(within)));
    }
    if let Verb::Expect { hold: Some(hold), .. } = &step.verb {
        limits.push(format!("for {}", Dur(*hold)));
    }
    if let Some(when) = &step.when {
        limits.push(format!("when {when}"));
    }
    if let Some(repeat) = step.repeat {
        limits.push(format!("{} times, {} apart", repeat.times, Dur(repeat.every)));
    }
    if let Some(milestone) = &step.milestone {
        limits.push(format!("milestone {milestone}"));
    }
    if let Some(fault) = &step.closes {
        limits.push(format!("closes {fault}"));
    }
    limits
}

impl Explanation {
    /// The same as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.drill, self.title);
        let _ = writeln!(out, "  {} in the environment {}", self.playbook, self.environment);
        let _ = writeln!(out, "  ended after {} at the latest", Dur(Duration::from_secs_f64(self.max_seconds)));
        if let Some(staging) = &self.staging {
            let _ = writeln!(out, "  staging: {staging}");
        }
        let params: Vec<String> = self.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        section(&mut out, "parameters", &params);
        section(&mut out, "objectives", &self.objectives);
        section(&mut out, "workloads", &self.workloads);
        section(&mut out, "data", &self.data);
        section(&mut out, "guards", &self.guards);
        section(&mut out, "waived guards", &self.waived);
        section(&mut out, "targets", &self.targets.iter().map(TargetLine::text).collect::<Vec<_>>());
        out.push_str("\nphases\n");
        for phase in &self.phases {
            let _ = writeln!(out, "  {}: {}", word(phase.phase), phase.note);
            phase.steps.iter().for_each(|s| s.text(&mut out, 4));
        }
        out.push_str("\nfaults\n");
        self.faults.iter().for_each(|f| f.text(&mut out));
        if self.faults.is_empty() {
            out.push_str("  none\n");
        }
        section(&mut out, "permissions", &self.permissions);
        out
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Preflight => "preflight",
        Phase::StagingUp => "staging up",
        Phase::Baseline => "steady",
        Phase::Outage => "outage",
        Phase::Failover => "failover",
        Phase::Restore => "restore",
        Phase::Verify => "verify",
        Phase::Unwind => "unwind",
        Phase::Converge => "converge",
        Phase::Steady => "steady again",
        Phase::Drain => "drain",
        Phase::ReadBack => "read back",
        Phase::StagingDown => "staging down",
    }
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
}

impl TargetLine {
    fn text(&self) -> String {
        match &self.missing {
            Some(why) => format!("{} ({}): {why}", self.name, self.kind),
            None => format!("{} ({}): {}", self.name, self.kind, self.found.join(", ")),
        }
    }
}

impl StepLine {
    fn text(&self, out: &mut String, indent: usize) {
        let limits = if self.limits.is_empty() { String::new() } else { format!(" [{}]", self.limits.join("; ")) };
        let name = if self.name == self.does { String::new() } else { format!(" ({})", self.name) };
        let _ = writeln!(out, "{:indent$}{}: {}{name}{limits}", "", self.id, self.does);
        self.parallel.iter().for_each(|s| s.text(out, indent + 2));
    }
}

impl FaultLine {
    fn text(&self, out: &mut String) {
        let of = if self.targets.is_empty() { String::new() } else { format!(" of {}", self.targets.join(", ")) };
        let _ = writeln!(out, "  {}: {}{of}", self.id, self.kind);
        let radius = if self.targets.is_empty() {
            "whatever its commands touch".to_owned()
        } else if self.blast_radius.is_empty() {
            "known when its targets are".to_owned()
        } else {
            self.blast_radius.join(", ")
        };
        let limit = self.at_most.as_ref().map(|l| format!(", at most {l}")).unwrap_or_default();
        let _ = writeln!(out, "    blast radius: {radius}{limit}");
        self.spread.iter().for_each(|spread| out.push_str(&format!("    broken: {spread}\n")));
        if self.irreversible {
            out.push_str("    the drill cannot undo it\n");
        }
        self.healed_by.iter().for_each(|by| out.push_str(&format!("    healed: {by}\n")));
    }
}
