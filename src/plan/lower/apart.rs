//! Ledgers must be apart: two that write the same numbered records into the same place could not tell a lost record of
//! one from a kept record of the other.

use super::{Cx, sites};
use crate::model::Template;
use crate::plan::{TargetPlan, TargetSpec, WorkloadPlan};
use crate::playbook::ast::DrillAst;
use crate::workloads::{LEDGER_TABLE, WorkloadSpec};
use std::collections::BTreeMap;

/// Says of every ledger that another one before it writes into its place.
pub(super) fn check(
    cx: &Cx<'_>,
    sections: &DrillAst<'_>,
    targets: &BTreeMap<String, TargetPlan>,
    workloads: &[WorkloadPlan],
) {
    let mut taken: Vec<(String, &WorkloadPlan)> = Vec::new();
    for plan in workloads.iter().filter(|plan| plan.probe_of.is_none()) {
        let WorkloadSpec::Ledger(ledger) = &plan.spec else { continue };
        let table = ledger.table.as_deref().unwrap_or(LEDGER_TABLE);
        let written = sites::written(ledger).filter_map(|name| targets.get(name)).filter_map(|t| place(&t.spec));
        for place in written.map(|place| format!("{place}\n{table}")) {
            let other = taken.iter().find(|(own, by)| *own == place && by.whole() != plan.whole());
            if let Some((_, other)) = other
                && let Some((name, _)) = sections.workloads.iter().find(|(name, _)| name.text == plan.whole().as_str())
            {
                let (other, own) = (other.whole(), &name.text);
                let message = format!("`{own}` writes its records where `{other}` writes its own");
                return cx.wrong(name.region, message, format!("give one of them a table: `table: {own}_ledger`"));
            }
            taken.push((place, plan));
        }
    }
}

/// Where a target keeps records that a table sets apart.
fn place(spec: &TargetSpec) -> Option<String> {
    match spec {
        TargetSpec::Couchdb(target) => Some(server(&target.url)),
        TargetSpec::Directory(target) => Some(target.path.to_string()),
        TargetSpec::Elasticsearch(target) => Some(server(&target.url)),
        TargetSpec::Etcd(target) => Some(server(&target.url)),
        TargetSpec::Mongodb(target) => Some(server(&target.url)),
        TargetSpec::Mysql(target) => Some(server(&target.url)),
        TargetSpec::Postgres(target) => Some(server(&target.url)),
        TargetSpec::Rabbitmq(target) => Some(server(&target.url)),
        TargetSpec::Redis(target) => Some(server(&target.url)),
        TargetSpec::S3(target) => Some(format!("{}\n{}", server(&target.endpoint), target.bucket)),
        _ => None,
    }
}

/// The URL without login and settings: what two sessions of the same database have in common.
fn server(url: &Template) -> String {
    let text = url.to_string();
    let plain = text.split(['?', '#']).next().unwrap_or_default();
    plain.rsplit('@').next().unwrap_or_default().trim_end_matches('/').to_owned()
}
