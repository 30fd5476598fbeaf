//! The user's own data that is compared before and after: its section, and the steps that look at it.

use super::references::{self, Stage, no_steps};
use super::{Cx, kind_of};
use crate::fingerprints::{self, FingerprintSpec};
use crate::model::Expectation;
use crate::plan::{FingerprintPlan, WorkloadPlan};
use crate::playbook::ast::DrillAst;
use crate::playbook::is_snake;
use crate::playbook::tree::{Name, Node};
use crate::workloads::{LEDGER_TABLE, WorkloadSpec};
use std::time::Duration;

/// Big tables take their time; a playbook that knows better says so.
const WITHIN: Duration = Duration::from_secs(300);

pub(super) fn lower(cx: &Cx<'_>, sections: &DrillAst<'_>, workloads: &[WorkloadPlan]) -> Vec<FingerprintPlan> {
    let own = own_tables(workloads);
    sections.fingerprints.iter().filter_map(|(name, node)| one(cx, name, node, &own)).collect()
}

/// A ledger writes all the while: its table never stays the same. The same database may have several targets, so a
/// ledger's table is left out of every fingerprint.
fn own_tables(workloads: &[WorkloadPlan]) -> Vec<String> {
    let table = |w: &WorkloadPlan| match &w.spec {
        WorkloadSpec::Ledger(ledger) => Some(ledger.table.clone().unwrap_or_else(|| LEDGER_TABLE.to_owned())),
        _ => None,
    };
    let mut own: Vec<String> = workloads.iter().filter_map(table).collect();
    own.sort();
    own.dedup();
    own
}

fn one(cx: &Cx<'_>, name: &Name, node: &Node, own: &[String]) -> Option<FingerprintPlan> {
    if !is_snake(&name.text) {
        let message = format!("`{}` cannot name a fingerprint: lower-case letters, digits and `_` can", name.text);
        cx.wrong(name.region, message, format!("write `{}`", name.text.to_lowercase().replace(['-', '.', ' '], "_")));
    }
    references::check(cx, node, Stage::Run, &no_steps);
    let kinds: Vec<&str> = fingerprints::KINDS.iter().map(|k| k.kind).collect();
    let expect = node.get("expect").map(|n| cx.decode::<Expectation>(n, "expect"));
    let within = node.get("within").map(|n| cx.some_time(n, "within"));
    let kind = kind_of(cx, node, &name.text, &kinds, &["expect", "within"])?;
    let spec = cx.decode::<FingerprintSpec>(&kind, &name.text)?;
    if let Some(target) = spec.target() {
        let at = node.find_text(target.name()).unwrap_or(node.region);
        super::load::target_of_kind(cx, target.name(), at, spec.target_kinds(), &format!("`{}` reads", spec.kind()));
    }
    Some(FingerprintPlan {
        name: name.text.clone(),
        spec,
        expect: expect.unwrap_or(Some(Expectation::default()))?,
        within: within.unwrap_or(Some(WITHIN))?,
        own: own.to_vec(),
        place: cx.place(name.region),
    })
}
