//! The faults a drill can inject: one file per kind, and their registry.
//! The struct that deserializes a fault's YAML parameters *is* the fault.

use crate::adapters::{AdapterError, World};
use crate::model::{Right, TargetRef};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::future::Future;
use thiserror::Error;

mod certificate_expired;
mod clock_skew;
mod command;
pub mod container;
mod container_disconnect;
mod container_kill;
mod container_pause;
mod container_restart;
mod container_stop;
mod cpu_pressure;
mod cx;
mod descriptor_pressure;
mod disk_fill;
mod disk_io;
mod disk_read_only;
mod dns_answer;
mod dns_fail;
mod dns_slow;
mod file_corrupt;
mod file_remove;
mod file_truncate;
pub mod kubernetes;
mod left;
mod line;
mod memory_pressure;
mod names;
mod network;
mod network_drop;
mod network_netem;
mod network_partition;
mod network_rate;
mod network_reject;
mod postgres_corrupt_pages;
mod postgres_drop_table;
mod postgres_pause_replay;
mod postgres_stop;
mod postgres_terminate;
mod pressure;
mod process_kill;
mod process_pause;
mod process_storm;
pub(crate) mod service;
mod service_stop;
pub(crate) mod swap;
mod tcp_bandwidth;
mod tcp_black_hole;
mod tcp_half_open;
mod tcp_latency;
mod tcp_limit;
mod tcp_refuse;
mod tcp_reset;
mod tcp_slow_close;
#[cfg(test)]
mod tests;

pub use certificate_expired::CertificateExpired;
pub use clock_skew::{ClockSkew, Way};
pub use command::CommandFault;
pub use container_disconnect::ContainerDisconnect;
pub use container_kill::ContainerKill;
pub use container_pause::ContainerPause;
pub use container_restart::ContainerRestart;
pub use container_stop::ContainerStop;
pub use cpu_pressure::CpuPressure;
pub(crate) use cx::quote;
use cx::word;
pub use cx::{Cx, Done, OWNER, Scope, journaled, shell};
pub use descriptor_pressure::DescriptorPressure;
pub use disk_fill::DiskFill;
pub use disk_io::DiskIo;
pub use disk_read_only::DiskReadOnly;
pub use dns_answer::DnsAnswer;
pub use dns_fail::DnsFail;
pub use dns_slow::DnsSlow;
pub use file_corrupt::FileCorrupt;
pub use file_remove::FileRemove;
pub use file_truncate::FileTruncate;
pub use kubernetes::{Held, Home};
pub use memory_pressure::MemoryPressure;
pub use network::cut::{Acknowledged, Attempt, Side};
pub use network::rules::{Direction, Protocol};
pub use network_drop::NetworkDrop;
pub use network_netem::NetworkNetem;
pub use network_partition::NetworkPartition;
pub use network_rate::NetworkRate;
pub use network_reject::NetworkReject;
pub use postgres_corrupt_pages::PostgresCorruptPages;
pub use postgres_drop_table::PostgresDropTable;
pub use postgres_pause_replay::PostgresPauseReplay;
pub use postgres_stop::{PostgresStop, StopMode};
pub use postgres_terminate::{Again, PostgresTerminate};
pub use process_kill::ProcessKill;
pub use process_pause::ProcessPause;
pub use process_storm::ProcessStorm;
pub use service_stop::ServiceStop;
pub use tcp_bandwidth::TcpBandwidth;
pub use tcp_black_hole::TcpBlackHole;
pub use tcp_half_open::TcpHalfOpen;
pub use tcp_latency::TcpLatency;
pub use tcp_limit::TcpLimit;
pub use tcp_refuse::TcpRefuse;
pub use tcp_reset::TcpReset;
pub use tcp_slow_close::TcpSlowClose;

/// Whether and how the state before a fault comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversibility {
    /// Heal brings it back.
    Reversible,
    /// It comes back by itself.
    SelfHealing,
    /// It does not; needs `acknowledge: irreversible` and a way back.
    Irreversible,
}

/// Why a fault could not be prepared, injected, looked at or healed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum FaultError {
    /// The target is already as the fault would make it, or not there.
    #[error("{0}")]
    NothingToBreak(String),
    /// The outside world said no.
    #[error(transparent)]
    World(#[from] crate::adapters::AdapterError),
    /// A reference could not be filled in.
    #[error("{0}")]
    Reference(String),
    /// The drill was stopped in the middle of it.
    #[error("it was broken off: the drill shall stop")]
    Stopped,
    /// The journaled undo or parameters cannot be read.
    #[error("cannot read the journaled fault: {0}")]
    Journal(String),
}

/// What an independent look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Is it as asked (effective, or healed)?
    pub holds: bool,
    /// What was seen.
    pub detail: String,
}

/// Something of ours that is on this host, found by its owner's tag, with no record needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Residue {
    /// The owner's tag.
    pub tag: String,
    /// What is there, for people.
    pub what: String,
    /// The command that removes it.
    pub by_hand: String,
}

/// What looking for residue came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// What is there.
    pub found: Vec<Residue>,
    /// Where something might be, and nobody can say.
    pub unseen: Vec<Unseen>,
}

/// A place that could not be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Unseen {
    /// What was to be looked at, for people.
    pub place: String,
    /// Why it could not be.
    pub error: AdapterError,
}

impl Search {
    /// What a look saw; nothing, and the note of why, if it could not be taken.
    pub fn look<T: Default>(&mut self, place: &str, seen: Result<T, AdapterError>) -> T {
        seen.unwrap_or_else(|error| {
            self.unseen.push(Unseen { place: place.to_owned(), error });
            T::default()
        })
    }

    /// This and what another look came to.
    pub fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unseen.extend(other.unseen);
    }
}

/// A fault: read-only `prepare`, repeatable `inject`, independent looks, idempotent `heal`.
/// `heal` and `healed` also run in another process, from the journaled undo alone.
pub trait Fault: Serialize + DeserializeOwned + schemars::JsonSchema + Send + Sync {
    /// The key in a playbook.
    const KIND: &'static str;
    /// One line for `list` and the reference.
    const SUMMARY: &'static str;
    /// Whether the state before comes back.
    const REVERSIBILITY: Reversibility;
    /// The kinds of targets that it can act on; any if empty.
    const TARGETS: &'static [&'static str] = &[];
    /// May its injection be broken off between any two of its steps when the drill shall stop? What is healed then is as
    /// after a crash.
    const BREAKS_OFF: bool = false;
    /// Can each process of its target be broken alone?
    const SPLITS: bool = false;
    /// All that heal needs; journaled before injection, so it holds no secret.
    type Undo: Serialize + DeserializeOwned + Send + Sync;

    /// The targets it touches, by name.
    fn targets(&self) -> Vec<&TargetRef>;
    /// What it needs: permissions and tools, for `plan`.
    fn permissions(&self) -> Vec<String>;
    /// What brings the state before back, for `plan`.
    fn way_back(&self) -> String;
    /// Resolves the targets and saves their state. Read-only.
    fn prepare(&self, cx: &Cx<'_>) -> impl Future<Output = Result<Self::Undo, FaultError>> + Send;
    /// Injects; safe to repeat.
    fn inject(&self, undo: &Self::Undo, cx: &Cx<'_>) -> impl Future<Output = Result<(), FaultError>> + Send;
    /// An independent look: did it bite?
    fn effective(&self, undo: &Self::Undo, cx: &Cx<'_>) -> impl Future<Output = Result<Look, FaultError>> + Send;
    /// Heals; idempotent.
    fn heal(&self, undo: &Self::Undo, cx: &Cx<'_>) -> impl Future<Output = Result<(), FaultError>> + Send;
    /// An independent look: is the state before the fault back?
    fn healed(&self, undo: &Self::Undo, cx: &Cx<'_>) -> impl Future<Output = Result<Look, FaultError>> + Send;
    /// The command that a person can run to heal it.
    fn by_hand(&self, undo: &Self::Undo) -> String;
    /// The identities it touches, for people.
    fn touched(&self, undo: &Self::Undo) -> Vec<String>;
    /// The drill heals it at the latest after this; for what must end by itself.
    fn bound(&mut self, deadline: std::time::Duration) {
        let _healed_in_time = deadline;
    }
    /// Does this one, with these parameters, need `acknowledge: irreversible`?
    fn irreversible(&self) -> bool {
        matches!(Self::REVERSIBILITY, Reversibility::Irreversible)
    }
    /// Why this machine cannot inject it at all; none if it can, or if only the injection can tell. Changes nothing.
    fn unavailable(&self, world: &World) -> impl Future<Output = Option<String>> + Send {
        let _able = world;
        std::future::ready(None)
    }
    /// What it needs to be allowed on the clusters of its targets.
    fn rights(&self) -> Vec<Right> {
        Vec::new()
    }
    /// Does it reach what outlives the runner's machine, and is no object of a cluster? Whoever runs inside a cluster then
    /// keeps its intent there, too.
    const REACHES_OUT: bool = false;
    /// Where on a cluster the intent is kept beside the journal, if it is done to a cluster.
    fn home(undo: &Self::Undo) -> Option<&Home> {
        let _not_there = undo;
        None
    }
    /// Has everything that it would change tried where that changes nothing (`Write::Dry`, `dryRun=All` of a cluster), in
    /// preflight, with what was just prepared. What is refused here is refused before anything is touched.
    fn rehearse(&self, undo: &Self::Undo, cx: &Cx<'_>) -> impl Future<Output = Result<(), FaultError>> + Send {
        let _nothing_to_try = (undo, cx);
        std::future::ready(Ok(()))
    }
    /// What faults of this kind have left on this host, whoever injected them, with no record needed.
    fn residue(world: &World) -> impl Future<Output = Search> + Send {
        let _nothing = world;
        std::future::ready(Search::default())
    }
}

/// What `list` and the reference say about a kind.
pub struct KindInfo {
    /// The key in a playbook.
    pub kind: &'static str,
    /// One line.
    pub summary: &'static str,
    /// `reversible`, `self-healing`, `irreversible`; empty for what is no fault.
    pub note: &'static str,
    /// The JSON Schema of its parameters.
    pub schema: fn() -> schemars::Schema,
}

macro_rules! faults {
    ($($variant:ident($ty:ty) = $key:literal),+ $(,)?) => {
        /// A fault of any kind: closed, so every match is exhaustive.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum FaultSpec {
            $(#[doc = $key] #[serde(rename = $key)] $variant($ty)),+
        }

        /// All kinds, in the order of the registry.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: $key,
            summary: <$ty as Fault>::SUMMARY,
            note: match <$ty as Fault>::REVERSIBILITY {
                Reversibility::Reversible => "reversible",
                Reversibility::SelfHealing => "self-healing",
                Reversibility::Irreversible => "irreversible",
            },
            schema: || schemars::schema_for!($ty),
        }),+];

        impl FaultSpec {
            /// The key in a playbook.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$ty as Fault>::KIND),+ }
            }
            /// The targets it touches.
            #[must_use]
            pub fn targets(&self) -> Vec<&TargetRef> {
                match self { $(Self::$variant(f) => f.targets()),+ }
            }
            /// The kinds of targets that it can act on; any if empty.
            #[must_use]
            pub fn target_kinds(&self) -> &'static [&'static str] {
                match self { $(Self::$variant(_) => <$ty as Fault>::TARGETS),+ }
            }
            /// See [`Fault::SPLITS`].
            #[must_use]
            pub fn splits(&self) -> bool {
                match self { $(Self::$variant(_) => <$ty as Fault>::SPLITS),+ }
            }
            /// What it needs.
            #[must_use]
            pub fn permissions(&self) -> Vec<String> {
                match self { $(Self::$variant(f) => f.permissions()),+ }
            }
            /// See [`Fault::rights`].
            #[must_use]
            pub fn rights(&self) -> Vec<Right> {
                match self { $(Self::$variant(f) => f.rights()),+ }
            }
            /// See [`Fault::REACHES_OUT`].
            #[must_use]
            pub fn reaches_out(&self) -> bool {
                match self { $(Self::$variant(_) => <$ty as Fault>::REACHES_OUT),+ }
            }
            /// What brings the state before back.
            #[must_use]
            pub fn way_back(&self) -> String {
                match self { $(Self::$variant(f) => f.way_back()),+ }
            }
            /// Needs `acknowledge: irreversible`?
            #[must_use]
            pub fn irreversible(&self) -> bool {
                match self { $(Self::$variant(f) => f.irreversible()),+ }
            }
            /// See [`Fault::bound`].
            pub fn bound(&mut self, deadline: std::time::Duration) {
                match self { $(Self::$variant(f) => f.bound(deadline)),+ }
            }
            /// The kind's default reversibility.
            #[must_use]
            pub fn reversibility(&self) -> Reversibility {
                match self { $(Self::$variant(_) => <$ty as Fault>::REVERSIBILITY),+ }
            }
            /// See [`Fault::unavailable`].
            pub async fn unavailable(&self, world: &World) -> Option<String> {
                match self { $(Self::$variant(f) => f.unavailable(world).await),+ }
            }
            /// See [`Fault::prepare`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn prepare(&self, cx: &Cx<'_>) -> Result<FaultUndo, FaultError> {
                match self { $(Self::$variant(f) => f.prepare(cx).await.map(FaultUndo::$variant)),+ }
            }
        }

        async fn residue_of_kinds(world: &World) -> Search {
            let mut search = Search::default();
            $(search.add(<$ty as Fault>::residue(world).await);)+
            search
        }

        /// What heals a fault of any kind.
        #[derive(Serialize, Deserialize)]
        pub enum FaultUndo {
            $(#[doc = $key] #[serde(rename = $key)] $variant(<$ty as Fault>::Undo)),+
        }

        /// A fault together with its undo: what the journal's intent holds.
        pub struct PreparedFault {
            /// Its parameters.
            pub spec: FaultSpec,
            /// What heals it.
            pub undo: FaultUndo,
        }

        impl PreparedFault {
            /// See [`Fault::inject`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn inject(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.inject(u, cx).await,)+
                    _ => Err(mismatch()),
                }
            }
            /// See [`Fault::rehearse`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn rehearse(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.rehearse(u, cx).await,)+
                    _ => Err(mismatch()),
                }
            }
            /// See [`Fault::BREAKS_OFF`].
            #[must_use]
            pub fn breaks_off(&self) -> bool {
                match &self.spec { $(FaultSpec::$variant(_) => <$ty as Fault>::BREAKS_OFF),+ }
            }
            /// See [`Fault::effective`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn effective(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.effective(u, cx).await,)+
                    _ => Err(mismatch()),
                }
            }
            /// See [`Fault::heal`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn heal(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.heal(u, cx).await,)+
                    _ => Err(mismatch()),
                }
            }
            /// See [`Fault::healed`].
            ///
            /// # Errors
            /// As the fault's.
            pub async fn healed(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.healed(u, cx).await,)+
                    _ => Err(mismatch()),
                }
            }
            /// See [`Fault::by_hand`].
            #[must_use]
            pub fn by_hand(&self) -> String {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.by_hand(u),)+
                    _ => String::new(),
                }
            }
            /// See [`Fault::home`].
            #[must_use]
            pub fn home(&self) -> Option<&Home> {
                match &self.undo { $(FaultUndo::$variant(u) => <$ty as Fault>::home(u)),+ }
            }
            /// See [`Fault::touched`].
            #[must_use]
            pub fn touched(&self) -> Vec<String> {
                match (&self.spec, &self.undo) {
                    $((FaultSpec::$variant(f), FaultUndo::$variant(u)) => f.touched(u),)+
                    _ => Vec::new(),
                }
            }
        }
    };
}

/// Everything of ours on this host: helper processes, and what each kind finds by its owner's tag.
pub async fn residue(world: &World) -> Search {
    let mut search = residue_of_kinds(world).await;
    for (tag, process) in search.look("helper processes", world.helpers.all()) {
        let (what, by_hand) = (format!("{} (pid {})", process.name, process.pid), format!("kill {}", process.pid));
        search.found.push(Residue { tag, what, by_hand });
    }
    search.found.sort();
    search.found.dedup();
    search.unseen.dedup();
    search
}

fn mismatch() -> FaultError {
    FaultError::Journal("the parameters are of one kind and the undo is of another".to_owned())
}

faults! {
    ProcessKill(ProcessKill) = "process_kill",
    ProcessPause(ProcessPause) = "process_pause",
    ServiceStop(ServiceStop) = "service_stop",
    ContainerKill(ContainerKill) = "container_kill",
    ContainerStop(ContainerStop) = "container_stop",
    ContainerPause(ContainerPause) = "container_pause",
    ContainerRestart(ContainerRestart) = "container_restart",
    ContainerDisconnect(ContainerDisconnect) = "container_disconnect",
    DiskFill(DiskFill) = "disk_fill",
    DiskReadOnly(DiskReadOnly) = "disk_read_only",
    DiskIo(DiskIo) = "disk_io",
    NetworkPartition(NetworkPartition) = "network_partition",
    NetworkDrop(NetworkDrop) = "network_drop",
    NetworkReject(NetworkReject) = "network_reject",
    NetworkRate(NetworkRate) = "network_rate",
    NetworkNetem(NetworkNetem) = "network_netem",
    FileRemove(FileRemove) = "file_remove",
    FileTruncate(FileTruncate) = "file_truncate",
    FileCorrupt(FileCorrupt) = "file_corrupt",
    ProcessStorm(ProcessStorm) = "process_storm",
    CpuPressure(CpuPressure) = "cpu_pressure",
    MemoryPressure(MemoryPressure) = "memory_pressure",
    DescriptorPressure(DescriptorPressure) = "descriptor_pressure",
    ClockSkew(ClockSkew) = "clock_skew",
    CertificateExpired(CertificateExpired) = "certificate_expired",
    TcpLatency(TcpLatency) = "tcp_latency",
    TcpBandwidth(TcpBandwidth) = "tcp_bandwidth",
    TcpBlackHole(TcpBlackHole) = "tcp_black_hole",
    TcpReset(TcpReset) = "tcp_reset",
    TcpSlowClose(TcpSlowClose) = "tcp_slow_close",
    TcpHalfOpen(TcpHalfOpen) = "tcp_half_open",
    TcpLimit(TcpLimit) = "tcp_limit",
    TcpRefuse(TcpRefuse) = "tcp_refuse",
    DnsFail(DnsFail) = "dns_fail",
    DnsSlow(DnsSlow) = "dns_slow",
    DnsAnswer(DnsAnswer) = "dns_answer",
    PostgresStop(PostgresStop) = "postgres_stop",
    PostgresPauseReplay(PostgresPauseReplay) = "postgres_pause_replay",
    PostgresTerminate(PostgresTerminate) = "postgres_terminate",
    PostgresDropTable(PostgresDropTable) = "postgres_drop_table",
    PostgresCorruptPages(PostgresCorruptPages) = "postgres_corrupt_pages",
    PodDelete(kubernetes::PodDelete) = "pod_delete",
    PodEvict(kubernetes::PodEvict) = "pod_evict",
    PodContainerKill(kubernetes::PodContainerKill) = "pod_container_kill",
    PodPressure(kubernetes::PodPressure) = "pod_pressure",
    WorkloadScale(kubernetes::WorkloadScale) = "workload_scale",
    WorkloadRestart(kubernetes::WorkloadRestart) = "workload_restart",
    WorkloadImage(kubernetes::WorkloadImage) = "workload_image",
    ImageUnavailable(kubernetes::ImageUnavailable) = "image_unavailable",
    NamespaceScaleDown(kubernetes::NamespaceScaleDown) = "namespace_scale_down",
    NodeCordon(kubernetes::NodeCordon) = "node_cordon",
    NodeDrain(kubernetes::NodeDrain) = "node_drain",
    NodeTaint(kubernetes::NodeTaint) = "node_taint",
    ZoneLoss(kubernetes::ZoneLoss) = "zone_loss",
    NetworkPolicy(kubernetes::NetworkPolicy) = "network_policy",
    ServiceSelector(kubernetes::ServiceSelector) = "service_selector",
    ConfigRemove(kubernetes::ConfigRemove) = "config_remove",
    ConfigReplace(kubernetes::ConfigReplace) = "config_replace",
    ConfigCorrupt(kubernetes::ConfigCorrupt) = "config_corrupt",
    ObjectRemove(kubernetes::ObjectRemove) = "object_remove",
    VolumeClaimDelete(kubernetes::VolumeClaimDelete) = "volume_claim_delete",
    Manifest(kubernetes::Manifest) = "manifest",
    Command(CommandFault) = "command",
}
