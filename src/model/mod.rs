//! The words of the field as types: moments and intervals, operations and outcomes, objectives, verdicts, targets.
//! No IO, no clock, nothing that runs.

mod backup;
mod features;
pub mod figure;
mod fingerprint;
mod glob;
mod id;
mod kubernetes;
mod objective;
mod operation;
mod ops;
mod period;
mod section;
pub mod selector;
mod signal;
mod spec;
mod stats;
mod tag;
mod target;
mod template;
mod time;
mod unit;
mod vantage;
mod verdict;

pub use backup::{Exposure, RestoreClaim, RestorePart, RestoreTime, Restored};
pub use features::{OPTIONAL, Optional};
pub use fingerprint::{Change, DataPart, Expectation, Fingerprint, Listing, Named, NamedChange, units};
pub use glob::{glob, left_out};
pub use id::{DrillName, FaultId, Owner, RunId, StepId, WorkloadName};
pub use kubernetes::{KubernetesTarget, ObjectRef, Resource, Right, TargetName};
pub use objective::{ClientBehaviour, ClockBasis, Objective, ObjectiveKind, RetryPolicy, Service};
pub use operation::{Action, Found, Key, OpRecord, Outcome};
pub use ops::Ops;
pub use period::{PERIODS, period};
pub use section::{
    AddressTarget, Addressing, ComposeService, ContainerTarget, CouchdbTarget, ElasticsearchTarget, EmbeddedStaging,
    EtcdTarget, FileLayout, Fsync, HostTarget, Manager, MongodbTarget, MysqlTarget, NetworkTarget, Orphaned,
    PathTarget, ProcessTarget, ProxyTarget, RabbitmqTarget, RedisTarget, Replication, ResolverTarget, S3Target,
    SecretSource, ServiceSpec, ServiceTarget, TargetSpec, UrlTarget,
};
pub use signal::SignalName;
pub use spec::{CommandSpec, Comparison, OutputSpec, RequestSpec, RunSpec, Scalar, TargetRef, WayBack};
pub use stats::WorkloadStats;
pub use tag::Tag;
pub use target::{PinnedTarget, ProcessIdentity};
pub use template::{Part, Reference, Template, TemplateError};
pub use time::{Interval, Mono, Span, Stamp};
pub use unit::{Bandwidth, Dur, Percent, Rate, Size, UnitError};
pub use vantage::{VantagePod, VantageSpec};
pub use verdict::{RunState, Verdict};
