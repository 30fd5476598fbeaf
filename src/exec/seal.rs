//! The start record: everything that is sealed before anything is touched. Pure.

use super::options::RunOptions;
use crate::event::{FingerprintSeal, Lineage, RunStarted, SiteSeal, SitesSeal, StepSeal, VantageSeal, WorkloadSeal};
use crate::journal;
use crate::plan::{FingerprintPlan, Plan, StepPlan, Verb, WorkloadPlan};
use crate::workloads::WorkloadSpec;

/// The start record of a plan.
pub(super) fn start_record(plan: &Plan, options: &RunOptions) -> RunStarted {
    let mut steps = Vec::new();
    for list in [&plan.steady, &plan.outage, &plan.failover, &plan.restore, &plan.verify] {
        list.iter().for_each(|step| seal(step, &mut steps));
    }
    RunStarted {
        run: options.run.clone(),
        drill: plan.name.clone(),
        title: plan.title.clone(),
        environment: plan.environment.clone(),
        playbook: plan.source.path.to_string_lossy().into_owned(),
        playbook_digest: journal::digest(plan.source.text.as_bytes()),
        resolved_digest: journal::digest(plan.source.resolved.as_bytes()),
        params: plan.params.clone(),
        metadata: plan.metadata.clone(),
        objectives: plan.objectives.clone(),
        workloads: plan.workloads.iter().map(workload).collect(),
        steps,
        sites: plan.workloads.iter().filter_map(sites).collect(),
        fingerprints: plan.fingerprints.iter().map(fingerprint).collect(),
        waivers: plan.waivers.iter().map(|w| format!("{}: {} ({})", w.guard, w.reason, w.by)).collect(),
        expects_failover: !plan.failover.is_empty(),
        host: options.host.clone(),
        lineage: (options.lineage != Lineage::default()).then(|| Box::new(options.lineage.clone())),
    }
}

fn sites(plan: &WorkloadPlan) -> Option<SitesSeal> {
    let WorkloadSpec::Ledger(ledger) = &plan.spec else { return None };
    let seal = SitesSeal {
        workload: plan.whole().clone(),
        sites: ledger.sites.keys().cloned().collect(),
        within: ledger.converge.map(|d| d.0),
        file: plan.place.file.clone(),
        line: plan.place.line,
    };
    // A ledger that is written at each site is several workloads, and has its sites once.
    let first = plan.site.as_ref().is_none_or(|site| site.place == 0);
    (first && plan.probe_of.is_none() && !seal.sites.is_empty()).then_some(seal)
}

fn fingerprint(plan: &FingerprintPlan) -> FingerprintSeal {
    FingerprintSeal {
        name: plan.name.clone(),
        kind: plan.spec.kind().to_owned(),
        expect: plan.expect,
        file: plan.place.file.clone(),
        line: plan.place.line,
    }
}

fn workload(plan: &WorkloadPlan) -> WorkloadSeal {
    WorkloadSeal {
        name: plan.name.clone(),
        kind: plan.spec.kind().to_owned(),
        rate: plan.rate,
        timeout: plan.timeout,
        service: plan.service.clone(),
        client: plan.client.clone(),
        writers: plan.writers,
        probe_of: plan.probe_of.clone(),
        ops: journal::ops::file_name(&plan.name),
        vantage: plan.vantage.as_ref().map(|vantage| VantageSeal {
            name: vantage.name.clone(),
            of: vantage.of.clone(),
            namespace: vantage.namespace.as_ref().map(ToString::to_string),
            // A process of this machine reads the same clock.
            offset: 0,
            offset_error: 0,
        }),
        site: plan.site.as_ref().map(|site| SiteSeal { name: site.name.clone(), of: site.of.clone() }),
    }
}

fn seal(step: &StepPlan, into: &mut Vec<StepSeal>) {
    let (verb, kind) = words(&step.verb);
    into.push(StepSeal {
        id: step.id.clone(),
        name: step.name.clone(),
        phase: step.phase,
        verb: verb.to_owned(),
        kind: kind.to_owned(),
        file: step.place.file.clone(),
        line: step.place.line,
    });
    if let Verb::Parallel(steps) = &step.verb {
        steps.iter().for_each(|inner| seal(inner, into));
    }
}

/// Verb and kind as the playbook writes them.
pub(super) fn words(verb: &Verb) -> (&'static str, &'static str) {
    use crate::model::RunSpec;
    match verb {
        Verb::Inject(inject) => ("inject", inject.fault.kind()),
        Verb::Heal(_) => ("heal", ""),
        Verb::Expect { probe, .. } => ("expect", probe.kind()),
        Verb::Check(probe) => ("check", probe.kind()),
        Verb::Restore(restore) => ("restore", restore.kind()),
        Verb::Run(RunSpec::Command(_)) => ("run", "command"),
        Verb::Run(RunSpec::Request(_)) => ("run", "request"),
        Verb::Wait(_) => ("wait", ""),
        Verb::Ask(_) => ("ask", ""),
        Verb::Parallel(_) => ("parallel", ""),
    }
}
