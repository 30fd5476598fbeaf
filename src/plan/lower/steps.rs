//! Steps: verbs, modifiers, and what they refer to.

use super::Cx;
use super::acknowledge;
use super::expressions;
use super::load::{probe_target, target_of_kind};
use super::order::{Index, Info};
use super::references::{self, OutputsOf, Stage};
use super::spread;
use crate::event::Phase;
use crate::faults::FaultSpec;
use crate::model::{Dur, FaultId, OutputSpec, RunSpec, StepId};
use crate::plan::{InjectPlan, OnFail, Repeat, Since, StepPlan, Verb};
use crate::playbook::ast::{DrillAst, StepAst, Word};
use crate::playbook::tree::Node;
use crate::playbook::{is_snake, suggest};
use crate::probes::ProbeSpec;
use crate::restores::RestoreSpec;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// In the order of the playbook's sections.
const PHASES: [Phase; 5] = [Phase::Steady, Phase::Outage, Phase::Failover, Phase::Restore, Phase::Verify];
const DEADLINE: Duration = Duration::from_secs(600);
const MOST_REPEATS: u32 = 100_000;

/// All steps of a drill.
pub(super) struct Steps {
    pub phases: [Vec<StepPlan>; 5],
    /// Ids of the steps that inject.
    pub faults: Vec<String>,
}

pub(super) fn lower(cx: &Cx<'_>, sections: &DrillAst<'_>) -> Steps {
    let index = Index::of(cx, sections);
    let steps = Lower { cx, index: &index };
    let mut phases: [Vec<StepPlan>; 5] = Default::default();
    for (plans, asts) in phases.iter_mut().zip(&sections.phases) {
        *plans = asts.iter().filter_map(|ast| steps.step(ast)).collect();
    }
    steps.milestones_once(sections);
    Steps { phases, faults: index.faults().into_iter().map(str::to_owned).collect() }
}

struct Lower<'a> {
    cx: &'a Cx<'a>,
    index: &'a Index,
}

impl Lower<'_> {
    fn step(&self, ast: &StepAst<'_>) -> Option<StepPlan> {
        let here = self.index.of_node(ast.node);
        let info = &self.index.steps[here];
        let phase = PHASES[info.phase];
        self.check_values(ast, here);
        if info.phase == 0 && !matches!(ast.word, Word::Expect | Word::Check | Word::Parallel | Word::Wait) {
            let message = format!("the steady state is only looked at, and `{}` changes something", ast.word.text());
            self.cx.wrong(ast.at, message, "write `expect` or `check` here; changes belong to the other phases");
        }
        let verb = self.verb(ast, here);
        let within = ast.get("within").map(|n| self.cx.some_time(n, "within"));
        self.needs_within(ast);
        let plan = StepPlan {
            id: StepId(info.id.clone()),
            name: String::new(),
            phase,
            after: info.after.iter().map(|(id, _)| StepId(id.clone())).collect(),
            milestone: self.milestone(ast),
            when: self.when(ast),
            repeat: self.repeat(ast),
            closes: self.closes(ast, here),
            output: self.outputs(ast),
            on_fail: self.on_fail(ast),
            since: self.since(ast, here),
            within: within.unwrap_or(None),
            verb: verb?,
            place: self.cx.place(ast.node.region),
        };
        let written = ast.get("name").and_then(|n| self.cx.decode::<String>(n, "name"));
        Some(StepPlan { name: written.unwrap_or_else(|| name_of(&plan.verb)), ..plan })
    }

    /// References and expressions in everything that is not a step of its own.
    fn check_values(&self, ast: &StepAst<'_>, here: usize) {
        let outputs = |id: &str| match self.index.find(id) {
            None => OutputsOf::NoStep(self.index.ids().into_iter().map(str::to_owned).collect()),
            Some((other, _)) if !self.index.before(other, here) => OutputsOf::NotYet,
            Some((_, info)) => OutputsOf::Names(info.outputs.clone()),
        };
        if ast.word != Word::Parallel {
            let members = if ast.word == Word::Inject { spread::members(self.cx, ast.value) } else { Vec::new() };
            let value = members.first().unwrap_or(ast.value);
            references::check(self.cx, value, Stage::Run, &outputs);
            expressions::check(self.cx, value);
        }
    }

    fn needs_within(&self, ast: &StepAst<'_>) {
        if ast.get("within").is_some() {
            return;
        }
        match ast.word {
            Word::Expect => self.cx.wrong(
                ast.at,
                "`expect` needs `within`: how long may it take to become true?",
                "add `within: 30s`; what must be true at once is a `check`",
            ),
            Word::Ask => self.cx.wrong(
                ast.at,
                "`ask` needs `within`: how long is a person waited for?",
                "add `within: 10m`; unanswered, the drill ends inconclusive, healed",
            ),
            _ => {
                if let Some(node) = ast.get("since") {
                    self.cx.wrong(
                        node.region,
                        "`since` says from when `within` counts, and there is none",
                        "add `within`, or take `since` out",
                    );
                }
            }
        }
    }

    fn verb(&self, ast: &StepAst<'_>, here: usize) -> Option<Verb> {
        let cx = self.cx;
        match ast.word {
            Word::Inject => self.inject(ast).map(|plan| Verb::Inject(Box::new(plan))),
            Word::Heal => self.fault(ast.value, "heal", here).map(Verb::Heal),
            Word::Expect => {
                let hold = ast.get("for").map(|n| cx.some_time(n, "for"));
                let probe = self.probe(ast, here, "expect");
                Some(Verb::Expect { probe: probe?, hold: hold.unwrap_or(None) })
            }
            Word::Check => self.probe(ast, here, "check").map(Verb::Check),
            Word::Restore => {
                let restore = cx.decode::<RestoreSpec>(ast.value, "restore")?;
                if let Some(target) = restore.target() {
                    let at = ast.value.find_text(target.name()).unwrap_or(ast.value.region);
                    target_of_kind(
                        cx,
                        target.name(),
                        at,
                        restore.targets(),
                        &format!("`{}` restores to", restore.kind()),
                    );
                }
                if let Some((what, help)) = restore.mistake() {
                    cx.wrong(ast.value.region, what, help);
                }
                probe_target(cx, restore.verify(), ast.value);
                Some(Verb::Restore(Box::new(restore)))
            }
            Word::Run => cx.decode::<RunSpec>(ast.value, "run").map(Verb::Run),
            Word::Wait => cx.some_time(ast.value, "wait").map(Verb::Wait),
            Word::Ask => cx.decode::<String>(ast.value, "ask").map(Verb::Ask),
            Word::Parallel => Some(Verb::Parallel(ast.parallel.iter().filter_map(|s| self.step(s)).collect())),
        }
    }

    fn probe(&self, ast: &StepAst<'_>, here: usize, label: &str) -> Option<ProbeSpec> {
        let node = ast.value;
        let probe = self.cx.decode::<ProbeSpec>(node, label)?;
        if let (ProbeSpec::Fingerprint(_) | ProbeSpec::FingerprintAt(_), 0) = (&probe, self.index.steps[here].phase) {
            let help = "take it out: a fingerprint is taken in the steady state by itself, and compared at the end";
            self.cx.wrong(node.region, "the steady state comes before there is anything to compare with", help);
        }
        probe_target(self.cx, &probe, node);
        Some(probe)
    }

    fn inject(&self, ast: &StepAst<'_>) -> Option<InjectPlan> {
        let cx = self.cx;
        let deadline = ast.get("deadline").map_or(Some(DEADLINE), |n| cx.some_time(n, "deadline"));
        let at_most = ast.get("at_most").map(|n| spread::amount(cx, n, "at_most"));
        let way_back = ast.get("way_back").map(|n| cx.decode::<String>(n, "way_back"));
        let mut faults = Vec::new();
        // A mistake in it is said once, not for each target.
        for member in spread::members(cx, ast.value) {
            let mut fault = cx.decode::<FaultSpec>(&member, "inject")?;
            if let Some(deadline) = deadline {
                fault.bound(deadline);
            }
            faults.push(fault);
        }
        let (spread, mut each) = (spread::spread(cx, ast, &faults), faults.into_iter());
        let (fault, more): (FaultSpec, Vec<FaultSpec>) = (each.next()?, each.collect());
        let others = more.iter().flat_map(FaultSpec::targets);
        for target in fault.targets().into_iter().chain(others) {
            let at = ast.value.find_text(target.name()).unwrap_or(ast.value.region);
            target_of_kind(cx, target.name(), at, fault.target_kinds(), &format!("`{}` acts on", fault.kind()));
        }
        if let FaultSpec::ProcessKill(kill) = &fault
            && let Some(alive) = &kill.alive
        {
            let at = ast.value.find_text(alive).unwrap_or(ast.value.region);
            target_of_kind(cx, alive, at, fault.target_kinds(), "`alive` looks at");
        }
        if let FaultSpec::CertificateExpired(certificate) = &fault
            && let Some(notify) = &certificate.notify
        {
            let at = ast.value.find_text(notify.name()).unwrap_or(ast.value.region);
            target_of_kind(cx, notify.name(), at, &["process", "service"], "`notify` signals");
        }
        let way_back = way_back.flatten();
        let acknowledged = acknowledge::check(cx, ast, &fault, way_back.as_deref());
        let at_most = at_most.flatten();
        Some(InjectPlan { fault, more, spread, deadline: deadline?, at_most, acknowledged, way_back })
    }

    /// The id of a fault that an earlier step injects.
    fn fault(&self, node: &Node, label: &str, here: usize) -> Option<FaultId> {
        let id = self.cx.decode::<String>(node, label)?;
        match self.index.find(&id) {
            Some((at, Info { word: Word::Inject, .. })) if self.index.before(at, here) => {}
            Some((_, Info { word: Word::Inject, .. })) => {
                self.cx.wrong(node.region, format!("the fault `{id}` is injected later"), "move one of the two steps");
            }
            Some(_) => {
                let help = suggest::help(&id, &self.index.faults(), "faults");
                self.cx.wrong(node.region, format!("the step `{id}` injects no fault"), help);
            }
            None => self.cx.unknown(node.region, "fault", &id, &self.index.faults()),
        }
        Some(FaultId(id))
    }

    fn closes(&self, ast: &StepAst<'_>, here: usize) -> Option<FaultId> {
        ast.get("closes").and_then(|node| self.fault(node, "closes", here))
    }

    fn milestone(&self, ast: &StepAst<'_>) -> Option<String> {
        let node = ast.get("milestone")?;
        let name = self.cx.decode::<String>(node, "milestone")?;
        if !is_snake(&name) {
            self.cx.wrong(
                node.region,
                format!("`{name}` cannot name a milestone"),
                "use lower-case letters, digits and `_`",
            );
        }
        Some(name)
    }

    fn milestones_once(&self, sections: &DrillAst<'_>) {
        let mut seen = BTreeMap::new();
        let mut open: Vec<&StepAst<'_>> = sections.phases.iter().flatten().rev().collect();
        while let Some(step) = open.pop() {
            open.extend(step.parallel.iter().rev());
            let Some(node) = step.get("milestone") else { continue };
            let Some(text) = node.text() else { continue };
            if let Some(line) = seen.insert(text.to_owned(), self.cx.place(node.region).line) {
                let error = self.cx.said.error(node.region, format!("the milestone `{text}` is marked twice"));
                self.cx.said.push(
                    error
                        .label(format!("it is marked in line {line} already"))
                        .help("give each milestone a name of its own"),
                );
            }
        }
    }

    fn when(&self, ast: &StepAst<'_>) -> Option<String> {
        let node = ast.get("when")?;
        let source = self.cx.decode::<String>(node, "when")?;
        expressions::cel(self.cx, &source, node.region, &["params", "targets", "steps"]);
        Some(source)
    }

    fn repeat(&self, ast: &StepAst<'_>) -> Option<Repeat> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            times: u32,
            every: Dur,
        }
        let node = ast.get("repeat")?;
        let Written { times, every } = self.cx.decode(node, "repeat")?;
        if !(1..=MOST_REPEATS).contains(&times) {
            let at = node.get("times").map_or(node.region, |n| n.region);
            self.cx.wrong(
                at,
                format!("a step is repeated 1 to {MOST_REPEATS} times"),
                "write `repeat: {times: 3, every: 10s}`",
            );
        }
        Some(Repeat { times, every: every.0 })
    }

    fn outputs(&self, ast: &StepAst<'_>) -> BTreeMap<String, OutputSpec> {
        let Some(node) = ast.get("output") else { return BTreeMap::new() };
        for (name, value) in node.entries() {
            if !is_snake(&name.text) {
                self.cx.wrong(
                    name.region,
                    format!("`{}` cannot name an output", name.text),
                    "use lower-case letters, digits and `_`",
                );
            }
            if let Some(pattern) = value.get("regex")
                && let Some(text) = pattern.text()
            {
                expressions::regex(self.cx, text, pattern.region);
            }
            if let Some(path) = value.get("json")
                && let Some(text) = path.text()
                && !text.starts_with('$')
            {
                self.cx.wrong(
                    path.region,
                    format!("`{text}` is not a JSON path"),
                    format!("a path begins at the whole answer: `$.{text}`"),
                );
            }
        }
        self.cx.decode(node, "output").unwrap_or_default()
    }

    fn on_fail(&self, ast: &StepAst<'_>) -> OnFail {
        let Some(node) = ast.get("on_fail") else { return OnFail::EndPhase };
        match node.text() {
            Some("abort") => OnFail::Abort,
            Some("end_phase") => OnFail::EndPhase,
            _ => {
                let text = node.text().unwrap_or_default();
                let help = suggest::help(text, &["abort", "end_phase"], "here");
                self.cx.wrong(node.region, format!("`on_fail` knows no `{text}`"), help);
                OnFail::EndPhase
            }
        }
    }

    fn since(&self, ast: &StepAst<'_>, here: usize) -> Since {
        let Some(node) = ast.get("since") else { return Since::Start };
        let text = self.cx.decode::<String>(node, "since").unwrap_or_default();
        match text.as_str() {
            "" => Since::Start,
            "fault" if self.index.faults().is_empty() => {
                self.cx.wrong(
                    node.region,
                    "this drill injects no fault",
                    "take `since` out: `within` then counts from the step's start",
                );
                Since::Fault
            }
            "fault" => Since::Fault,
            "declared" => Since::Declared,
            id => {
                let mut known = self.index.ids();
                known.extend(["fault", "declared"]);
                match self.index.find(id) {
                    None => self.cx.unknown(node.region, "step", id, &known),
                    Some((other, _)) if !self.index.before(other, here) => {
                        self.cx.wrong(
                            node.region,
                            format!("the step `{id}` has not ended when this one begins"),
                            "name a step that comes earlier",
                        );
                    }
                    Some(_) => {}
                }
                Since::Step(StepId(id.to_owned()))
            }
        }
    }
}

/// A name for a step that has none.
fn name_of(verb: &Verb) -> String {
    match verb {
        Verb::Inject(plan) => format!("inject {}", plan.fault.kind()),
        Verb::Heal(fault) => format!("heal {fault}"),
        Verb::Expect { probe, .. } => format!("expect {}", probe.kind()),
        Verb::Check(probe) => format!("check {}", probe.kind()),
        Verb::Restore(restore) => format!("restore {}", restore.kind()),
        Verb::Run(run) => format!("run {run}"),
        Verb::Wait(time) => format!("wait {}", Dur(*time)),
        Verb::Ask(question) => format!("ask: {question}"),
        Verb::Parallel(steps) => format!("{} steps at once", steps.len()),
    }
}
