//! The sites of a ledger: `sites:`, `converge:`, and `write:`. A ledger that is written at each of them becomes a workload
//! of its own for each, and the worst of them decides.

use super::Cx;
use super::load::{find_key, target_of_kind};
use crate::model::{Rate, WorkloadName};
use crate::plan::{SitePlan, WorkloadPlan};
use crate::playbook::is_snake;
use crate::playbook::tree::Node;
use crate::workloads::{Ledger, WorkloadSpec, WriteAt};
use std::collections::BTreeMap;

/// At how many places a workload works: a ledger that is written at each of its sites at all of them.
pub(super) fn count(spec: &WorkloadSpec) -> u16 {
    match spec {
        WorkloadSpec::Ledger(ledger) if ledger.write == WriteAt::Each => of(ledger),
        _ => 1,
    }
}

fn of(ledger: &Ledger) -> u16 {
    u16::try_from(ledger.sites.len()).unwrap_or(u16::MAX).max(1)
}

/// The targets that it writes to.
pub(super) fn written(ledger: &Ledger) -> impl Iterator<Item = &str> {
    let sites = ledger.sites.values().filter(|_| ledger.write == WriteAt::Each).map(|site| site.target.as_str());
    std::iter::once(ledger.target.as_str()).filter(|_| ledger.write == WriteAt::Target).chain(sites)
}

/// The workload at each site, if it is a ledger that is written at each; as it is otherwise. Its rate is that of one site
/// already.
pub(super) fn spread(plan: WorkloadPlan) -> Vec<WorkloadPlan> {
    let WorkloadSpec::Ledger(ledger) = &plan.spec else { return vec![plan] };
    let sites = of(ledger);
    if ledger.write == WriteAt::Target || ledger.sites.is_empty() {
        return vec![plan];
    }
    let part = |(place, (name, site)): (u16, (&String, &crate::workloads::LedgerSite))| {
        let target = site.target.clone();
        let read_rate = ledger.read_rate.map(|rate| Rate(rate.0 / f64::from(sites)));
        WorkloadPlan {
            name: WorkloadName(format!("{}@{name}", plan.name)),
            spec: WorkloadSpec::Ledger(Ledger { target, read_rate, ..ledger.clone() }),
            writers: (ledger.writers.saturating_sub(place)).div_ceil(sites),
            site: Some(SitePlan { name: name.clone(), of: plan.name.clone(), place, sites }),
            ..plan.clone()
        }
    };
    (0..sites).zip(&ledger.sites).map(part).collect()
}

pub(super) fn check(cx: &Cx<'_>, ledger: &Ledger, kind: &Node) {
    let key = |key: &str| kind.entries().iter().find_map(|(_, ledger)| ledger.get(key));
    match (ledger.write, key("target")) {
        (WriteAt::Target, None) => {
            cx.wrong(kind.region, "a ledger needs `target`: what its clients write to", "write `target: NAME`");
        }
        (WriteAt::Target, Some(node)) => {
            target_of_kind(cx, &ledger.target, node.region, super::load::LEDGERS, "a ledger writes to");
        }
        (WriteAt::Each, Some(node)) => {
            let message = "with `write: each` its writers write at the sites, and nothing goes through `target`";
            cx.wrong(node.region, message, "take `target` out, or `write: each`");
        }
        (WriteAt::Each, None) => {}
    }
    check_sites(cx, ledger, kind);
    if ledger.write == WriteAt::Each {
        check_each(cx, ledger, kind);
    }
}

fn check_each(cx: &Cx<'_>, ledger: &Ledger, kind: &Node) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    if ledger.sites.is_empty() {
        let help = "add `sites: {a: {target: NAME}, b: {target: NAME}}`";
        return cx.wrong(at("write"), "`write: each` is about several sites, and there are none", help);
    }
    let sites = of(ledger);
    if ledger.writers < sites {
        let message = format!("{sites} sites are written at by {} writers: each needs one", ledger.writers);
        cx.wrong(at("writers"), message, format!("write `writers: {sites}`, or more"));
    }
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, site) in &ledger.sites {
        if let Some(other) = first.insert(&site.target, name) {
            let message = format!("`{other}` and `{name}` are the same target: they are one site");
            cx.wrong(at("sites"), message, "give each site a target of its own, or take one out");
        }
    }
}

fn check_sites(cx: &Cx<'_>, ledger: &Ledger, kind: &Node) {
    let Some(sites) = kind.entries().iter().find_map(|(_, ledger)| ledger.get("sites")) else {
        if ledger.converge.is_some() {
            let at = find_key(kind, "converge").unwrap_or(kind.region);
            cx.wrong(
                at,
                "`converge` is about several sites, and there are none",
                "add `sites: {a: {target: NAME}, …}`",
            );
        }
        return;
    };
    for (name, node) in sites.entries() {
        if name.text == "service" {
            let message = "`service` stands for what clients see: it cannot name a site";
            cx.wrong(name.region, message, "name the site as people do");
        } else if !is_snake(&name.text) {
            let message = format!("`{}` cannot name a site: lower-case letters, digits and `_` can", name.text);
            cx.wrong(
                name.region,
                message,
                format!("write `{}`", name.text.to_lowercase().replace(['-', '.', ' '], "_")),
            );
        }
        let target = ledger.sites.get(&name.text).map_or("", |site| &site.target);
        let at = node.find_text(target).unwrap_or(node.region);
        target_of_kind(cx, target, at, super::load::LEDGERS, "a site's copy is read from");
    }
    if sites.entries().len() < 2 {
        let help = "name every site: `sites: {a: {target: NAME}, b: {target: NAME}}`";
        cx.wrong(sites.region, "one site alone differs from nothing", help);
    }
}
