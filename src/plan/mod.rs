//! A drill that is known to be right: what the executor carries out.
//! Only `lower` makes a [`Plan`]; the executor reads it and cannot change it.

use crate::config::Environment;
use crate::event::Phase;
use crate::faults::FaultSpec;
use crate::fingerprints::FingerprintSpec;
use crate::model::{
    ClientBehaviour, CommandSpec, DrillName, Dur, Expectation, FaultId, Objective, OutputSpec, Percent, RunSpec,
    Service, StepId, WorkloadName,
};
use crate::playbook::Diagnostic;
use crate::probes::ProbeSpec;
use crate::restores::RestoreSpec;
use crate::workloads::WorkloadSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

mod allow;
mod explain;
mod lower;
mod role;
mod vantage;

pub use crate::model::{
    AddressTarget, ComposeService, ContainerTarget, CouchdbTarget, ElasticsearchTarget, EmbeddedStaging, EtcdTarget,
    HostTarget, KubernetesTarget, MongodbTarget, MysqlTarget, NetworkTarget, PathTarget, ProcessTarget, ProxyTarget,
    RabbitmqTarget, RedisTarget, Replication, ResolverTarget, S3Target, SecretSource, ServiceSpec, ServiceTarget,
    TargetSpec, UrlTarget,
};
pub use explain::{Explanation, FaultLine, PhaseLine, StepLine, TargetLine, explain};
pub use lower::{Inputs, compile, lower};
pub use role::{Grant, Where, bound, roles, yaml};
pub use vantage::{PodPlace, VantagePlan};

/// A checked drill. It can be read as a [`Drill`]; it can only be made by lowering a playbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan(Drill);

impl Deref for Plan {
    type Target = Drill;

    fn deref(&self) -> &Drill {
        &self.0
    }
}

/// Everything a drill is, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// Its name.
    pub name: DrillName,
    /// Its title; the name if not given.
    pub title: String,
    /// The environment it runs in; the configuration allows it.
    pub environment: String,
    /// What the configuration allows in that environment.
    pub allowed: Environment,
    /// Where it was written.
    pub source: Source,
    /// Parameters as run.
    pub params: BTreeMap<String, String>,
    /// `metadata:` flattened to lists of text.
    pub metadata: BTreeMap<String, Vec<String>>,
    /// One per workload and kind.
    pub objectives: Vec<Objective>,
    /// Where secrets come from; their values are read by the executor's preflight.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What may be touched.
    pub targets: BTreeMap<String, TargetPlan>,
    /// A staging of its own.
    pub staging: Option<StagingPlan>,
    /// What clients do.
    pub workloads: Vec<WorkloadPlan>,
    /// The user's own data that is compared before and after.
    pub fingerprints: Vec<FingerprintPlan>,
    /// What stops the drill when broken.
    pub guards: Vec<GuardPlan>,
    /// The drill may not take longer than this, staging included.
    pub max_duration: Duration,
    /// How long the steady state must hold before the outage.
    pub baseline: Duration,
    /// What holds before and after.
    pub steady: Vec<StepPlan>,
    /// What is broken.
    pub outage: Vec<StepPlan>,
    /// How the system should save itself.
    pub failover: Vec<StepPlan>,
    /// How people bring it back.
    pub restore: Vec<StepPlan>,
    /// How we know.
    pub verify: Vec<StepPlan>,
    /// Waived guards: name, reason, person.
    pub waivers: Vec<Waiver>,
    /// What probably is not meant, but possible.
    pub warnings: Vec<Diagnostic>,
}

impl Drill {
    /// Its steps, those within `parallel` too, in no order.
    #[must_use]
    pub fn every_step(&self) -> Vec<&StepPlan> {
        let lists = [&self.steady, &self.outage, &self.failover, &self.restore, &self.verify];
        let mut todo: Vec<&StepPlan> = lists.into_iter().flatten().collect();
        let mut all = Vec::new();
        while let Some(step) = todo.pop() {
            if let Verb::Parallel(steps) = &step.verb {
                todo.extend(steps);
            }
            all.push(step);
        }
        all
    }

    /// Does any of its faults reach what outlives the runner's machine, and is no object of a cluster?
    #[must_use]
    pub fn reaches_out(&self) -> bool {
        self.every_step().into_iter().any(|step| match &step.verb {
            Verb::Inject(inject) => inject.faults().any(FaultSpec::reaches_out),
            _ => false,
        })
    }
}

/// The playbook as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path as given.
    pub path: PathBuf,
    /// The bytes as written.
    pub text: String,
    /// The text as run: parameters and environment replaced, secrets by name.
    pub resolved: String,
}

/// A place in a playbook, for messages at run time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// A target as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetPlan {
    /// What it is.
    pub spec: TargetSpec,
    /// Where it stands.
    pub place: Place,
}

/// All kinds of targets, in the order of [`TargetSpec`].
pub const TARGET_KINDS: &[crate::faults::KindInfo] = &[
    crate::faults::KindInfo {
        kind: "process",
        summary: "processes of this machine, by pid, pidfile or a command that prints pids",
        note: "",
        schema: || schemars::schema_for!(ProcessTarget),
    },
    crate::faults::KindInfo {
        kind: "http",
        summary: "an HTTP service, by URL",
        note: "",
        schema: || schemars::schema_for!(UrlTarget),
    },
    crate::faults::KindInfo {
        kind: "kv",
        summary: "a store that speaks the ledger protocol of the embedded staging, by URL",
        note: "",
        schema: || schemars::schema_for!(UrlTarget),
    },
    crate::faults::KindInfo {
        kind: "postgres",
        summary: "a PostgreSQL database, by URL",
        note: "",
        schema: || schemars::schema_for!(UrlTarget),
    },
    crate::faults::KindInfo {
        kind: "mysql",
        summary: "a MySQL or MariaDB database, by URL: a server, or the one of several that takes writes",
        note: "",
        schema: || schemars::schema_for!(MysqlTarget),
    },
    crate::faults::KindInfo {
        kind: "redis",
        summary: "a Redis, by URL: a server, or the primary that Sentinel names",
        note: "",
        schema: || schemars::schema_for!(RedisTarget),
    },
    crate::faults::KindInfo {
        kind: "etcd",
        summary: "an etcd cluster, by the URL of its members",
        note: "",
        schema: || schemars::schema_for!(EtcdTarget),
    },
    crate::faults::KindInfo {
        kind: "couchdb",
        summary: "a database of a CouchDB, by URL",
        note: "",
        schema: || schemars::schema_for!(CouchdbTarget),
    },
    crate::faults::KindInfo {
        kind: "mongodb",
        summary: "a MongoDB, by the URL of its members: the primary of the set, or one server",
        note: "",
        schema: || schemars::schema_for!(MongodbTarget),
    },
    crate::faults::KindInfo {
        kind: "rabbitmq",
        summary: "a RabbitMQ cluster, by the URL of its nodes",
        note: "",
        schema: || schemars::schema_for!(RabbitmqTarget),
    },
    crate::faults::KindInfo {
        kind: "elasticsearch",
        summary: "an Elasticsearch cluster, by the URL of its nodes",
        note: "",
        schema: || schemars::schema_for!(ElasticsearchTarget),
    },
    crate::faults::KindInfo {
        kind: "tcp",
        summary: "a TCP port, by address",
        note: "",
        schema: || schemars::schema_for!(AddressTarget),
    },
    crate::faults::KindInfo {
        kind: "service",
        summary: "a service of this machine: a systemd unit, or a pidfile with what starts it",
        note: "",
        schema: || schemars::schema_for!(ServiceTarget),
    },
    crate::faults::KindInfo {
        kind: "file",
        summary: "a file, by path",
        note: "",
        schema: || schemars::schema_for!(PathTarget),
    },
    crate::faults::KindInfo {
        kind: "directory",
        summary: "a directory and the file system it is on, by path",
        note: "",
        schema: || schemars::schema_for!(PathTarget),
    },
    crate::faults::KindInfo {
        kind: "network",
        summary: "a network namespace of this machine, or an interface in it",
        note: "",
        schema: || schemars::schema_for!(NetworkTarget),
    },
    crate::faults::KindInfo {
        kind: "host",
        summary: "this machine: `{host: {}}`",
        note: "",
        schema: || schemars::schema_for!(HostTarget),
    },
    crate::faults::KindInfo {
        kind: "container",
        summary: "containers of a Docker Engine or Podman, by name, by labels, or a Compose service",
        note: "",
        schema: || schemars::schema_for!(ContainerTarget),
    },
    crate::faults::KindInfo {
        kind: "proxy",
        summary: "a TCP proxy of ours in front of something: clients connect to it, and faults act on their connections",
        note: "",
        schema: || schemars::schema_for!(ProxyTarget),
    },
    crate::faults::KindInfo {
        kind: "resolver",
        summary: "a name server of ours that something is pointed at: faults act on its answers",
        note: "",
        schema: || schemars::schema_for!(ResolverTarget),
    },
    crate::faults::KindInfo {
        kind: "s3",
        summary: "a bucket of a service that speaks the S3 protocol",
        note: "",
        schema: || schemars::schema_for!(S3Target),
    },
    crate::faults::KindInfo {
        kind: "kubernetes",
        summary: "objects of a Kubernetes cluster, by name, selectors, owner, zone or region",
        note: "",
        schema: || schemars::schema_for!(KubernetesTarget),
    },
];

/// A staging of the drill's own.
#[derive(Debug, Clone, PartialEq)]
pub enum StagingPlan {
    /// The embedded replicated key-value service.
    Embedded(EmbeddedStaging),
    /// Scripts. `up` may print `name=value` lines that become `${staging.name}`.
    Commands {
        /// Brings it up.
        up: CommandSpec,
        /// Brings it down.
        down: CommandSpec,
    },
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadPlan {
    /// Its name.
    pub name: WorkloadName,
    /// Its parameters.
    pub spec: WorkloadSpec,
    /// What counts as working.
    pub service: Service,
    /// Operations a second.
    pub rate: f64,
    /// An operation is given up after this.
    pub timeout: Duration,
    /// How its client behaves.
    pub client: ClientBehaviour,
    /// Writers of a ledger; 0 otherwise.
    pub writers: u16,
    /// For the availability probe that lowering adds to a ledger: that ledger.
    pub probe_of: Option<WorkloadName>,
    /// Where its clients are, if not in the runner.
    pub vantage: Option<VantagePlan>,
    /// The site that it writes at, if its ledger is written at each.
    pub site: Option<SitePlan>,
    /// Where it stands.
    pub place: Place,
}

/// One of the sites at which a ledger is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePlan {
    /// Its name.
    pub name: String,
    /// The ledger as the playbook calls it.
    pub of: WorkloadName,
    /// Its place in the order of names, from 0.
    pub place: u16,
    /// Of so many sites.
    pub sites: u16,
}

impl WorkloadPlan {
    /// The workload as the playbook calls it: that of all places that look, or of all sites that are written at.
    #[must_use]
    pub fn whole(&self) -> &WorkloadName {
        let vantage = self.vantage.as_ref().map(|vantage| &vantage.of);
        vantage.or(self.site.as_ref().map(|site| &site.of)).unwrap_or(&self.name)
    }

    /// The numbers of its own writers: at a site those that have its place when they are dealt out.
    pub fn writer_ids(&self) -> impl Iterator<Item = u16> {
        let (place, sites) = self.site.as_ref().map_or((0, 1), |site| (site.place, site.sites.max(1)));
        (0..self.writers).map(move |nth| nth.saturating_mul(sites).saturating_add(place))
    }
}

/// A fingerprint of the user's own data.
#[derive(Debug, Clone, PartialEq)]
pub struct FingerprintPlan {
    /// Its name.
    pub name: String,
    /// What is read.
    pub spec: FingerprintSpec,
    /// What is expected of it at the end.
    pub expect: Expectation,
    /// It is given up after this.
    pub within: Duration,
    /// Tables of the drill's own ledgers: they are never part of it.
    pub own: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// A guard.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardPlan {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub check: GuardCheck,
    /// How often it is looked at.
    pub every: Duration,
    /// So many broken looks in a row are tolerated.
    pub tolerate: u32,
    /// Where it stands.
    pub place: Place,
}

/// What a guard looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum GuardCheck {
    /// The condition must hold.
    Probe(Box<ProbeSpec>),
    /// A workload must not lose more than this.
    Budget(Budget),
}

impl GuardCheck {
    /// The key in a playbook.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Probe(probe) => probe.kind(),
            Self::Budget(_) => "budget",
        }
    }
}

/// The error budget of a workload: operations that were not acknowledged, or could not be sent because the service held
/// all capacity, since the guards were armed (right before the outage).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Whose.
    pub workload: String,
    /// So many may be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// Such a share of the operations that became due within the last `over` may be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// 30s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Dur>,
}

/// A guard that is waived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The guard's name.
    pub guard: String,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    /// Its id: as written, or `PHASE_N`.
    pub id: StepId,
    /// Its name; made from verb and kind if not given.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub verb: Verb,
    /// Steps that must have passed before.
    pub after: Vec<StepId>,
    /// Reaching it marks this milestone.
    pub milestone: Option<String>,
    /// A CEL expression over `params`, `targets` and `steps`; false skips the step.
    pub when: Option<String>,
    /// Do it so often, so far apart.
    pub repeat: Option<Repeat>,
    /// It takes over the heal of this fault.
    pub closes: Option<FaultId>,
    /// Outputs to take from the answer.
    pub output: BTreeMap<String, OutputSpec>,
    /// What a failure means for the rest.
    pub on_fail: OnFail,
    /// Limit of the step, for `expect`, `run`, `restore` and `ask`.
    pub within: Option<Duration>,
    /// What `within` counts from.
    pub since: Since,
    /// Where it stands.
    pub place: Place,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Inject a fault; its id is the step's.
    Inject(Box<InjectPlan>),
    /// Heal a fault.
    Heal(FaultId),
    /// Wait until a condition holds (`within`), and holds for a time.
    Expect {
        /// The condition.
        probe: ProbeSpec,
        /// It must then hold for so long.
        hold: Option<Duration>,
    },
    /// A condition must hold now.
    Check(ProbeSpec),
    /// Restore, then verify.
    Restore(Box<RestoreSpec>),
    /// A command or a request.
    Run(RunSpec),
    /// Wait.
    Wait(Duration),
    /// A person says it is done.
    Ask(String),
    /// All at once; it ends when all have ended.
    Parallel(Vec<StepPlan>),
}

/// An injection.
#[derive(Debug, Clone, PartialEq)]
pub struct InjectPlan {
    /// The fault; on the first of its targets if there are several.
    pub fault: FaultSpec,
    /// The same on its other targets.
    pub more: Vec<FaultSpec>,
    /// How it is spread over them.
    pub spread: Spread,
    /// Healed at the latest after this; 10 minutes if not given.
    pub deadline: Duration,
    /// How much of the targets it may touch.
    pub at_most: Option<AtMost>,
    /// `acknowledge: irreversible` stands there.
    pub acknowledged: bool,
    /// The stated way back of an irreversible fault.
    pub way_back: Option<String>,
}

impl InjectPlan {
    /// Is it injected as one, on all that its target is?
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.more.is_empty() && self.spread == Spread::default()
    }

    /// The fault on each of its targets.
    pub fn faults(&self) -> impl Iterator<Item = &FaultSpec> {
        std::iter::once(&self.fault).chain(&self.more)
    }
}

/// How a fault is spread over what it can touch: its targets, or the processes of its target.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// So many are chosen; all if not given. A share is rounded down, and is at least one.
    pub pick: Option<AtMost>,
    /// In which order.
    pub order: Order,
    /// Of a random order; made from the run's name if not given.
    pub seed: Option<u64>,
    /// From one to the next; all at once if zero.
    pub stagger: Duration,
}

/// In which order targets are chosen and broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the playbook lists them, and as a target's command prints its pids.
    #[default]
    Listed,
    /// By their names.
    ByName,
    /// Drawn from a seed that is recorded.
    Random,
}

/// How much of the targets a fault may touch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AtMost {
    /// So many.
    Count(u32),
    /// Such a share.
    Share(f64),
}

/// Do something more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How often, at least 1.
    pub times: u32,
    /// So far apart.
    pub every: Duration,
}

/// What a limit counts from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Since {
    /// The step's own start.
    #[default]
    Start,
    /// The first fault.
    Fault,
    /// The `declared` milestone.
    Declared,
    /// The end of a step (or the injection of a fault).
    Step(StepId),
}

/// What a failed step means for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFail {
    /// The phase ends; restore and verify still run.
    #[default]
    EndPhase,
    /// The drill ends, healed.
    Abort,
}
