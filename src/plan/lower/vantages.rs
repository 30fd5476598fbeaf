//! Where clients stand: `vantages:`, and a workload's `from:`. A workload that is seen from several places becomes one of
//! its own for each, and the worst of them decides.

use super::Cx;
use super::references::{self, Stage, no_steps};
use crate::model::{VantageSpec, WorkloadName};
use crate::plan::{VantagePlan, WorkloadPlan};
use crate::playbook::ast::DrillAst;
use crate::playbook::is_snake;
use crate::playbook::tree::{Node, Value};
use crate::workloads::WorkloadSpec;
use std::collections::BTreeMap;

/// So many places are enough for anybody: each is a process.
const MOST: usize = 32;

pub(super) type Vantages = BTreeMap<String, VantageSpec>;

pub(super) fn lower(cx: &Cx<'_>, sections: &DrillAst<'_>) -> Vantages {
    let mut found = Vantages::new();
    for (name, node) in sections.vantages {
        if !is_snake(&name.text) {
            let message = format!("`{}` cannot name a vantage: lower-case letters, digits and `_` can", name.text);
            let fixed = name.text.to_lowercase().replace(['-', '.', ' ', '@'], "_");
            cx.wrong(name.region, message, format!("write `{fixed}`"));
        }
        if found.len() == MOST {
            cx.wrong(name.region, format!("a drill has at most {MOST} vantages"), "take some out");
            break;
        }
        references::check(cx, node, Stage::Run, &no_steps);
        let Some(spec) = cx.decode::<VantageSpec>(node, &name.text) else { continue };
        if spec.namespace.is_some() && spec.kubernetes.is_some() {
            let message = format!("`{}` cannot be in a network namespace of this machine and in a pod", name.text);
            cx.wrong(name.region, message, "for a pod's namespace write `kubernetes: {namespace: NAME}` alone");
        }
        found.insert(name.text.clone(), spec);
    }
    found
}

/// The workload from each place that its `from:` names; as it is if there is none.
pub(super) fn spread(cx: &Cx<'_>, node: &Node, plans: Vec<WorkloadPlan>, vantages: &Vantages) -> Vec<WorkloadPlan> {
    let Some(from) = node.get("from") else { return plans };
    let Some(plan) = plans.first() else { return plans };
    let alone = match &plan.spec {
        WorkloadSpec::Ledger(_) => Some("a ledger is written and read back by the runner itself"),
        WorkloadSpec::Command(_) => Some("a program of yours runs beside the runner"),
        _ => None,
    };
    if let Some(why) = alone {
        cx.wrong(from.region, format!("{why}: it cannot be seen from elsewhere"), "take `from` out, or visit a page");
        return plans;
    }
    let names: Vec<&Node> = if let Value::Sequence(items) = &from.value { items.iter().collect() } else { vec![from] };
    if names.is_empty() {
        cx.wrong(from.region, "from nowhere nothing is seen", "write `from: [NAME]`, or take it out");
    }
    let known: Vec<&str> = vantages.keys().map(String::as_str).collect();
    let mut seen: Vec<WorkloadPlan> = Vec::new();
    for node in names {
        let Some(name) = cx.decode::<String>(node, "from") else { continue };
        let Some(spec) = vantages.get(&name) else {
            cx.unknown(node.region, "vantage", &name, &known);
            continue;
        };
        if seen.iter().any(|w| w.vantage.as_ref().is_some_and(|v| v.name == name)) {
            cx.wrong(node.region, format!("`{name}` stands here twice"), "one client from each place is enough");
            continue;
        }
        let (namespace, pod) = (spec.namespace.clone(), spec.kubernetes.clone());
        let vantage = VantagePlan { name: name.clone(), of: plan.name.clone(), namespace, pod };
        let own = WorkloadName(format!("{}@{name}", plan.name));
        seen.push(WorkloadPlan { name: own, vantage: Some(vantage), ..plan.clone() });
    }
    seen
}

/// A place from which nobody looks.
pub(super) fn unused(cx: &Cx<'_>, sections: &DrillAst<'_>, workloads: &[WorkloadPlan]) {
    for (name, _) in sections.vantages {
        let used = workloads.iter().filter_map(|w| w.vantage.as_ref()).any(|v| v.name == name.text);
        if !used && !cx.said.failed() {
            let message = format!("nobody looks from the vantage `{}`", name.text);
            cx.warn(name.region, message, format!("add `from: [{}]` to a workload", name.text));
        }
    }
}
