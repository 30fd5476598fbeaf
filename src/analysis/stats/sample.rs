//! One run as a sample: what it measured of each thing that is measured, and what nobody can say. A run is never left
//! out because of what it measured, only because it got nowhere near a fault.

use super::{Measured, Observation, Sample, Subject};
use crate::analysis::{Analysis, Attribution, FaultResult, Recovery, WorkloadResult, recovery_of};
use crate::model::{ClockBasis, FaultId, Interval, Objective, ObjectiveKind, RunState, Verdict};

/// The run as a sample. `problems` are what of its record does not verify.
#[must_use]
pub fn sample(a: &Analysis, problems: &[String]) -> Sample {
    let doubt = problems.first().cloned().or_else(|| a.journal_cut.clone());
    let mut observations: Vec<Observation> = a.objectives.iter().map(|o| objective(a, o)).collect();
    for workload in a.workloads.iter().filter(|w| w.probe_of.is_none()) {
        without_target(a, workload, &mut observations);
    }
    if doubt.is_some() {
        observations.iter_mut().for_each(|o| o.measured = Measured::Unknown);
    }
    Sample {
        run: a.run.run.clone(),
        drill: a.run.drill.clone(),
        environment: a.run.environment.clone(),
        params: a.run.params.clone(),
        resolved: a.run.resolved_digest.clone(),
        head: a.journal_head.clone(),
        started: a.started,
        host: a.run.host.host.clone(),
        tool: a.run.host.tool.clone(),
        expects_failover: a.run.expects_failover,
        state: a.state,
        verdict: a.verdict,
        doubt,
        observations,
    }
}

fn objective(a: &Analysis, result: &crate::analysis::ObjectiveResult) -> Observation {
    let objective = &result.objective;
    let views = views(a, objective);
    let recoveries: Vec<&Recovery> =
        result.fault.iter().flat_map(|id| views.iter().filter_map(|w| recovery_of(w, id))).collect();
    let measured = clock(a, result.fault.as_ref()).unwrap_or_else(|| match objective.kind {
        ObjectiveKind::Rto => time(result.actual, &recoveries, objective.basis),
        ObjectiveKind::RpoTime | ObjectiveKind::Detect => result.actual.map_or(Measured::Unknown, Measured::Within),
        ObjectiveKind::RpoWrites => writes(result.actual, &views),
    });
    let mut observation = Observation::new(subject(objective), measured);
    observation.target = Some(objective.target);
    if objective.kind == ObjectiveKind::Rto {
        observation.seen(&recoveries);
    }
    observation
}

/// The workload that an objective is about, from every place that it was seen from, or at every site of it.
fn views<'a>(a: &'a Analysis, objective: &Objective) -> Vec<&'a WorkloadResult> {
    let of = |w: &WorkloadResult| {
        let seal = a.run.workloads.iter().find(|seal| seal.name == w.name)?;
        Some(seal.whole())
    };
    let about = |w: &&WorkloadResult| w.name == objective.workload || of(w) == Some(&objective.workload);
    a.workloads.iter().filter(about).collect()
}

fn subject(objective: &Objective) -> Subject {
    let Objective { kind, workload, basis, fault, .. } = objective.clone();
    Subject { kind, workload, basis, fault }
}

/// What was measured though nobody set a target for it.
fn without_target(a: &Analysis, workload: &WorkloadResult, into: &mut Vec<Observation>) {
    let fault = a.faults.iter().find(|f| f.at.is_some()).or(a.faults.first()).map(|f| &f.id);
    let recovery: Vec<&Recovery> = fault.and_then(|id| recovery_of(workload, id)).into_iter().collect();
    let mut add = |kind: ObjectiveKind, measured: Measured, recovery: &[&Recovery]| {
        if into.iter().any(|o| o.subject.kind == kind && o.subject.workload == workload.name) {
            return;
        }
        let basis = ClockBasis::Fault;
        let subject = Subject { kind, workload: workload.name.clone(), basis, fault: None };
        let mut observation = Observation::new(subject, clock(a, fault).unwrap_or(measured));
        observation.seen(recovery);
        into.push(observation);
    };
    let sustained = recovery.first().and_then(|r| r.sustained);
    add(ObjectiveKind::Rto, time(sustained, &recovery, ClockBasis::Fault), &recovery);
    let Some(ledger) = &workload.ledger else { return };
    add(ObjectiveKind::RpoTime, ledger.rpo_time.map_or(Measured::Unknown, Measured::Within), &[]);
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let lost = ledger.lost.zip(ledger.lost_upper).map(|(lost, perhaps)| {
        let high = lost.saturating_add(perhaps);
        Interval { low: count(lost), best: count(lost), high: count(high) }
    });
    add(ObjectiveKind::RpoWrites, writes(lost, &[workload]), &[]);
}

/// Why no clock ran, if none did. A fault that was to come and never did is no sample; one that came and did not bite,
/// or that nobody looked at, is one of which nothing is known.
fn clock(a: &Analysis, fault: Option<&FaultId>) -> Option<Measured> {
    let fault: Option<&FaultResult> = fault.and_then(|id| a.faults.iter().find(|f| f.id == *id));
    match fault {
        None => Some(Measured::NotReached),
        Some(fault) if fault.at.is_none() || fault.effective != Some(true) => Some(Measured::Unknown),
        Some(_) => None,
    }
}

/// What is not known from one place took at least as long as it is known to have taken from any.
fn time(actual: Option<Interval>, recoveries: &[&Recovery], basis: ClockBasis) -> Measured {
    let known = recoveries.iter().filter(|_| basis == ClockBasis::Fault);
    let least = known.filter_map(|r| r.at_least.or(r.sustained.map(|sustained| sustained.low))).max();
    match (actual, least) {
        (Some(actual), _) => Measured::Within(actual),
        (None, Some(least)) => Measured::AtLeast(least),
        (None, None) => Measured::Unknown,
    }
}

/// Books that are not settled may miss more than they show.
fn writes(actual: Option<Interval>, views: &[&WorkloadResult]) -> Measured {
    let settled = |w: &&WorkloadResult| w.ledger.as_ref().is_some_and(|ledger| ledger.why.is_none());
    let settled = !views.is_empty() && views.iter().all(settled);
    match actual {
        Some(actual) if settled => Measured::Within(actual),
        Some(actual) => Measured::AtLeast(actual.low),
        None => Measured::Unknown,
    }
}

impl Observation {
    fn new(subject: Subject, measured: Measured) -> Self {
        Self { subject, target: None, measured, attribution: Attribution::None, outages: 0 }
    }

    /// From all places: it came back by itself only if it did so everywhere.
    fn seen(&mut self, recoveries: &[&Recovery]) {
        let by = |who| recoveries.iter().any(|r| r.attribution == who);
        let known = [Attribution::Heal, Attribution::Restore, Attribution::System];
        self.attribution = known.into_iter().find(|who| by(*who)).unwrap_or(Attribution::None);
        self.outages = recoveries.iter().map(|r| r.outages).max().unwrap_or(0);
    }

    /// Met, missed or not decided; nothing without a target.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let target = self.target?;
        Some(match self.measured {
            Measured::Within(i) if i.high <= target => Verdict::Pass,
            Measured::Within(i) if i.low > target => Verdict::Fail,
            Measured::AtLeast(least) if least > target => Verdict::Fail,
            _ => Verdict::Inconclusive,
        })
    }
}

impl Sample {
    /// Was anything touched?
    #[must_use]
    pub fn ran(&self) -> bool {
        !matches!(self.state, RunState::NotRun | RunState::Held)
    }
}
