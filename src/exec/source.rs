//! Where a workload's operations come from: a sampler in this process, or one in a vantage. The rest of a run does not
//! see the difference.

use super::doors;
use super::drill::Drill;
use super::sampler::{self, Sampler};
use super::vantage::pod::{self, Pod};
use super::vantage::{Assignment, Link, Place, Seat};
use super::{clusters, objects};
use crate::adapters::{AdapterError, NamespaceIdentity, NetworkPlace};
use crate::event::{OpsMark, ReadBack, VantagePlaced, What};
use crate::journal::JournalError;
use crate::model::{Mono, Template, VantagePod, WorkloadName, WorkloadStats};
use crate::plan::{PodPlace, TargetSpec, VantagePlan, WorkloadPlan};
use crate::workloads::WorkloadSpec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The pod of a vantage is ended so long after the drill is over at the latest.
const POD_SPARE: Duration = Duration::from_secs(600);

const NO_IMAGE: &str = "which image has this program? write `image: REGISTRY/blackstart:TAG`, or set BLACKSTART_IMAGE";

/// A workload that is opened.
pub(super) enum Source {
    /// Driven by this process.
    Here(Box<Sampler>),
    /// Driven by a vantage.
    There(Seat),
}

impl Source {
    /// From now on operation k is due at `origin` + k/rate.
    pub fn start(&self, origin: Mono) -> Result<(), AdapterError> {
        match self {
            Self::Here(sampler) => sampler.start(origin),
            Self::There(seat) => {
                seat.start(origin);
                Ok(())
            }
        }
    }

    pub fn stats(&self) -> WorkloadStats {
        match self {
            Self::Here(sampler) => sampler.stats(),
            Self::There(seat) => seat.stats(),
        }
    }

    /// How far its log has got, if that is known.
    pub fn mark(&self) -> Result<Option<OpsMark>, JournalError> {
        match self {
            Self::Here(sampler) => sampler.mark().map(Some),
            Self::There(seat) => seat.mark(),
        }
    }

    /// Ends its schedule and completes its log; none if nobody can say whether it is complete.
    pub async fn stop(&self) -> Result<Option<OpsMark>, JournalError> {
        match self {
            Self::Here(sampler) => sampler.stop().await.map(Some),
            Self::There(seat) => seat.stop().await,
        }
    }

    /// Will nothing be known of it any more?
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::There(seat) if seat.is_lost())
    }

    pub fn is_ledger(&self) -> bool {
        matches!(self, Self::Here(sampler) if sampler.is_ledger())
    }

    pub async fn read_back(&self) -> Result<ReadBack, AdapterError> {
        match self {
            Self::Here(sampler) => sampler.read_back().await,
            Self::There(_) => Err(AdapterError::Missing("read back: a vantage holds no ledger".to_owned())),
        }
    }
}

/// The vantages that are opened, and what each workload in them is driven by.
pub(super) type Opened = (Vec<Arc<Link>>, BTreeMap<WorkloadName, Seat>);

impl Drill<'_> {
    /// What a workload needs to be opened, references filled in.
    pub fn assignment(&self, plan: &WorkloadPlan) -> Result<Assignment, String> {
        let target = match &plan.spec {
            WorkloadSpec::Ledger(ledger) => self.plan.targets.get(&ledger.target).map(|t| &t.spec),
            _ => None::<&TargetSpec>,
        };
        let run = &self.options.run;
        let (endpoint, settings) = sampler::endpoint(plan, target, run, &self.scene.cx()).map_err(|e| e.to_string())?;
        let endpoint = sampler::demand(endpoint, plan, &settings, self.plan.max_duration);
        Ok(Assignment { plan: plan.clone(), endpoint, settings })
    }

    /// Starts every vantage that a workload names, each a process, and opens its workloads there.
    pub async fn open_vantages(&self) -> Result<Opened, Vec<String>> {
        let mut places: BTreeMap<&str, (&VantagePlan, Vec<&WorkloadPlan>)> = BTreeMap::new();
        for plan in &self.plan.workloads {
            if let Some(vantage) = &plan.vantage {
                places.entry(&vantage.name).or_insert((vantage, Vec::new())).1.push(plan);
            }
        }
        let (mut opened, mut reasons) = (Opened::default(), Vec::new());
        for (name, (vantage, plans)) in places {
            match self.open_vantage(vantage, &plans).await {
                Ok(link) => {
                    for plan in plans {
                        let limit = plan.timeout * 2 + plan.service.deadline;
                        opened.1.insert(plan.name.clone(), link.seat(&plan.name, limit));
                    }
                    opened.0.push(link);
                }
                Err(why) => reasons.push(format!("vantage `{name}`: {why}")),
            }
        }
        if reasons.is_empty() {
            return Ok(opened);
        }
        for link in &opened.0 {
            reasons.extend(link.end().await.err());
        }
        Err(reasons)
    }

    async fn open_vantage(&self, vantage: &VantagePlan, plans: &[&WorkloadPlan]) -> Result<Arc<Link>, String> {
        let namespace = self.namespace_of(vantage)?;
        let seats: Vec<Assignment> = plans.iter().map(|plan| self.assignment(plan)).collect::<Result<_, _>>()?;
        // Should it not end with its runner after all, a recovery finds it by this.
        self.index.add(&self.options.run, &self.dir).map_err(|e| e.to_string())?;
        let owner = doors::owner(&self.options.run, &self.dir);
        let recorder: Arc<dyn sampler::Recorder> = Arc::clone(&self.record) as _;
        let place = match &vantage.pod {
            None => Place::Beside,
            Some(pod) => Place::Pod(Box::new(self.pod_of(vantage, pod).await?)),
        };
        Link::open(self.world, &owner, &vantage.name, (place, &self.dir, namespace, seats), recorder).await
    }

    /// Makes the pod of a vantage, if it may be there.
    async fn pod_of(&self, vantage: &VantagePlan, spec: &VantagePod) -> Result<Pod, String> {
        let cx = self.scene.cx();
        let text = |template: &Template| cx.text(template).map_err(|e| e.to_string());
        let image = match &spec.image {
            Some(image) => text(image)?,
            None => self.options.image.clone().ok_or(NO_IMAGE)?,
        };
        let way = clusters::way_of(spec, &cx).await.map_err(|e| e.to_string())?;
        let namespace = way.namespace.clone().unwrap_or_default();
        let context = way.access.context.clone().or_else(|| way.cluster.context()).unwrap_or_default();
        let label = objects::said(&way).await.map_err(|e| e.to_string())?;
        let server = way.cluster.facts().server;
        let place = PodPlace { context: &context, server: &server, namespace: &namespace, label };
        self.plan.allows_pod(vantage, place)?;
        let tag = clusters::of_run(&self.options.run);
        let placed = VantagePlaced {
            vantage: vantage.name.clone(),
            kubeconfig: way.access.kubeconfig.clone(),
            context: way.access.context.clone(),
            server: server.clone(),
            namespace: namespace.clone(),
            job: pod::name(&tag, &vantage.name),
        };
        let nodes = spec.nodes.iter().map(|(label, value)| Ok((label.clone(), text(value)?)));
        let made = pod::Made {
            image,
            program: spec.program.as_ref().map_or_else(|| Ok("blackstart".to_owned()), text)?,
            nodes: nodes.collect::<Result<_, String>>()?,
            service_account: spec.service_account.as_ref().map(text).transpose()?,
            tag,
            lasts: self.plan.max_duration + POD_SPARE,
        };
        let note = |placed| self.note(What::VantagePlaced(Box::new(placed)));
        Pod::make(way.cluster, (self.world, &self.stop), (placed, &made), note).await
    }

    /// The namespace that a vantage is to be in, if it may be there; none for the runner's own.
    fn namespace_of(&self, vantage: &VantagePlan) -> Result<Option<NamespaceIdentity>, String> {
        let Some(written) = &vantage.namespace else { return Ok(None) };
        let cx = self.scene.cx();
        let named = super::targets::from_base(cx.text(written).map_err(|e| e.to_string())?, &cx);
        self.plan.allows_vantage(vantage, &named)?;
        let found = self.world.network.namespace(&NetworkPlace::named(&named)).map_err(|e| e.to_string())?;
        found.map(Some).ok_or_else(|| format!("there is no network namespace `{named}`"))
    }
}
