//! Objectives: the short form means every workload, the long form one; each becomes one limit per workload and kind.

use super::Cx;
use crate::model::{ClockBasis, Dur, FaultId, Objective, ObjectiveKind, WorkloadName};
use crate::plan::WorkloadPlan;
use crate::playbook::Region;
use crate::playbook::ast::DrillAst;
use crate::playbook::suggest;
use crate::playbook::tree::{Name, Node, Value};
use serde::Deserialize;
use std::time::Duration;

/// The long form of an RTO.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rto {
    target: Dur,
    workload: Option<String>,
    #[serde(default)]
    basis: ClockBasis,
    fault: Option<String>,
}

/// An RPO, short and long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rpo {
    time: Option<Dur>,
    writes: Option<u64>,
    workload: Option<String>,
    fault: Option<String>,
}

/// The long form of a time to detect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detect {
    target: Dur,
    fault: Option<String>,
}

struct Limits<'a> {
    cx: &'a Cx<'a>,
    workloads: &'a [WorkloadPlan],
    faults: &'a [String],
    declared: bool,
    detected: bool,
    found: Vec<Objective>,
}

pub(super) fn lower(
    cx: &Cx<'_>,
    sections: &DrillAst<'_>,
    workloads: &[WorkloadPlan],
    faults: &[String],
) -> Vec<Objective> {
    let marked = |name: &str| sections.phases.iter().flatten().any(|step| is_milestone(step, name));
    let (declared, detected) = (marked("declared"), marked("detected"));
    let mut limits = Limits { cx, workloads, faults, declared, detected, found: Vec::new() };
    for (name, node) in sections.objectives {
        let forms: Vec<&Node> =
            if let Value::Sequence(items) = &node.value { items.iter().collect() } else { vec![node] };
        for form in forms {
            match name.text.as_str() {
                "rto" => limits.rto(form),
                "rpo" => limits.rpo(form),
                "detect" => limits.detect(form),
                other => {
                    cx.wrong(
                        name.region,
                        format!("there is no objective `{other}`"),
                        suggest::help(other, &["rto", "rpo", "detect"], "objectives"),
                    );
                }
            }
        }
    }
    let of_clients = sections.objectives.iter().find(|(name, _)| name.text != "detect");
    if let Some((Name { region, .. }, _)) = of_clients
        && sections.workloads.is_empty()
    {
        cx.wrong(
            *region,
            "objectives need a workload: it is clients that are measured",
            "add `workload:` with a `ledger` or `http`",
        );
    }
    limits.found
}

fn is_milestone(step: &crate::playbook::ast::StepAst<'_>, name: &str) -> bool {
    step.get("milestone").and_then(Node::text) == Some(name)
        || step.parallel.iter().any(|inner| is_milestone(inner, name))
}

impl Limits<'_> {
    fn rto(&mut self, node: &Node) {
        let rto = if node.text().is_some() {
            self.cx.decode::<Dur>(node, "rto").map(|target| Rto {
                target,
                workload: None,
                basis: ClockBasis::Fault,
                fault: None,
            })
        } else {
            self.cx.decode::<Rto>(node, "rto")
        };
        let Some(rto) = rto else { return };
        let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
        if rto.target.0.is_zero() {
            self.cx.wrong(
                at("target"),
                "an outage of nothing cannot be measured",
                "write the longest outage that is acceptable, like 30s",
            );
        }
        if rto.basis == ClockBasis::Declared && !self.declared {
            self.cx.wrong(
                at("basis"),
                "no step of this drill is the milestone `declared`",
                "add `milestone: declared` to the step that declares the disaster",
            );
        }
        let fault = self.fault(rto.fault.as_deref(), at("fault"));
        let chosen = self.choose(rto.workload.as_deref(), at("workload"), |w| w.probe_of.is_none());
        for workload in chosen {
            self.add(ObjectiveKind::Rto, workload, nanos(rto.target.0), rto.basis, fault.clone(), node.region);
        }
    }

    fn rpo(&mut self, node: &Node) {
        let rpo = if node.text().is_some() {
            let time = self.cx.decode::<Dur>(node, "rpo");
            time.map(|time| Rpo { time: Some(time), writes: None, workload: None, fault: None })
        } else {
            self.cx.decode::<Rpo>(node, "rpo")
        };
        let Some(rpo) = rpo else { return };
        if rpo.time.is_none() && rpo.writes.is_none() {
            self.cx.wrong(
                node.region,
                "this RPO limits nothing",
                "write `rpo: {time: 1s, writes: 10}`, or one of the two",
            );
        }
        let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
        let fault = self.fault(rpo.fault.as_deref(), at("fault"));
        let is_ledger = |w: &WorkloadPlan| w.writers > 0;
        if let Some(named) = &rpo.workload
            && self.workloads.iter().any(|w| (w.name.as_str() == named || whole(w).as_str() == named) && !is_ledger(w))
        {
            let message = format!("`{named}` writes no records, so nothing of it can be lost");
            return self.cx.wrong(at("workload"), message, "name a workload of kind `ledger`");
        }
        if !self.workloads.iter().any(is_ledger) && !self.cx.said.failed() {
            let help = "add one: `workload: {NAME: {ledger: {target: NAME, rate: 100/s}}}`";
            return self.cx.wrong(node.region, "an RPO needs a ledger: nothing else knows which writes are lost", help);
        }
        let chosen = self.choose(rpo.workload.as_deref(), at("workload"), is_ledger);
        for workload in chosen {
            let basis = ClockBasis::Fault;
            if let Some(time) = rpo.time {
                self.add(ObjectiveKind::RpoTime, workload.clone(), nanos(time.0), basis, fault.clone(), node.region);
            }
            if let Some(writes) = rpo.writes {
                let writes = i64::try_from(writes).unwrap_or(i64::MAX);
                self.add(ObjectiveKind::RpoWrites, workload, writes, basis, fault.clone(), node.region);
            }
        }
    }

    fn detect(&mut self, node: &Node) {
        let detect = if node.text().is_some() {
            self.cx.decode::<Dur>(node, "detect").map(|target| Detect { target, fault: None })
        } else {
            self.cx.decode::<Detect>(node, "detect")
        };
        let Some(detect) = detect else { return };
        let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
        if detect.target.0.is_zero() {
            let help = "write the longest time that it may go unnoticed, like 10m";
            self.cx.wrong(at("target"), "nothing is detected in no time", help);
        }
        if !self.detected {
            let help = "add `milestone: detected` to the step that waits until somebody notices";
            self.cx.wrong(node.region, "no step of this drill is the milestone `detected`", help);
        }
        let fault = self.fault(detect.fault.as_deref(), at("fault"));
        let (whole, target) = (WorkloadName::from(""), nanos(detect.target.0));
        self.add(ObjectiveKind::Detect, whole, target, ClockBasis::Fault, fault, node.region);
    }

    fn fault(&self, name: Option<&str>, at: Region) -> Option<FaultId> {
        let name = name?;
        if !self.faults.iter().any(|f| f == name) {
            let known: Vec<&str> = self.faults.iter().map(String::as_str).collect();
            self.cx.unknown(at, "fault", name, &known);
        }
        Some(FaultId(name.to_owned()))
    }

    fn choose(&self, named: Option<&str>, at: Region, fits: impl Fn(&WorkloadPlan) -> bool) -> Vec<WorkloadName> {
        match named {
            None => {
                let mut all: Vec<WorkloadName> = self.workloads.iter().filter(|w| fits(w)).map(whole).collect();
                // One that is seen from several places has one objective: the worst place decides.
                all.dedup();
                all
            }
            Some(name) => {
                let found = self.workloads.iter().find(|w| w.name.as_str() == name).map(|w| w.name.clone());
                let found = found.or_else(|| self.workloads.iter().map(whole).find(|of| of.as_str() == name));
                if found.is_none() {
                    let mut known: Vec<WorkloadName> = self.workloads.iter().map(whole).collect();
                    known.dedup();
                    let known: Vec<&str> = known.iter().map(WorkloadName::as_str).collect();
                    self.cx.unknown(at, "workload", name, &known);
                }
                found.into_iter().collect()
            }
        }
    }

    fn add(
        &mut self,
        kind: ObjectiveKind,
        workload: WorkloadName,
        target: i64,
        basis: ClockBasis,
        fault: Option<FaultId>,
        at: Region,
    ) {
        let objective = Objective { kind, workload, target, basis, fault };
        let same = |o: &Objective| {
            (o.kind, &o.workload, o.basis, &o.fault) == (kind, &objective.workload, basis, &objective.fault)
        };
        if self.found.iter().any(same) {
            let whose =
                if kind.is_of_the_drill() { "the drill".to_owned() } else { format!("`{}`", objective.workload) };
            let message = format!("{whose} has this objective twice");
            return self.cx.wrong(at, message, "keep one of them, or name a `fault` in each");
        }
        self.found.push(objective);
    }
}

/// The workload as the playbook calls it.
fn whole(w: &WorkloadPlan) -> WorkloadName {
    w.whole().clone()
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
