//! The ways a drill looks at the world: one file per kind, and their registry.

use crate::adapters::AdapterError;
use crate::faults::{Cx, FaultError, KindInfo, quote};
use crate::model::{Comparison, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::future::Future;
use thiserror::Error;

mod command;
mod compare;
mod couchdb;
mod directory;
mod elasticsearch;
mod etcd;
mod fingerprint;
mod fingerprint_at;
mod http;
mod json;
mod kubernetes;
mod mongodb;
mod mysql;
mod pgbackrest;
mod pod_http;
mod postgres;
mod process;
mod prometheus;
mod rabbitmq;
mod redis;
mod s3;
mod sql;
mod system;
mod tcp;

pub use command::CommandProbe;
pub use compare::{CompareError, compare};
pub use couchdb::CouchdbProbe;
pub use directory::DirectoryProbe;
pub use elasticsearch::ElasticsearchProbe;
pub use etcd::EtcdProbe;
pub use fingerprint::FingerprintProbe;
pub use fingerprint_at::FingerprintAtProbe;
pub use http::{HttpExpect, HttpProbe};
pub use json::{JsonPathError, json_path};
pub(crate) use kubernetes::readiness;
pub use kubernetes::{KubernetesAsk, KubernetesProbe};
pub use mongodb::MongodbProbe;
pub use mysql::MysqlProbe;
pub use pgbackrest::{Newest, PgbackrestProbe};
pub use pod_http::{InsidePod, PodHttpProbe, PodPort};
pub use postgres::PostgresProbe;
pub use process::{ProcessProbe, Wanted};
pub use prometheus::{PrometheusProbe, Several};
pub use rabbitmq::RabbitmqProbe;
pub use redis::RedisProbe;
pub use s3::{S3Probe, bucket};
pub use sql::SqlProbe;
pub use tcp::TcpProbe;

/// What one look saw. A false condition is data, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Does it hold?
    pub holds: bool,
    /// Actual above expected, in one or two short lines.
    pub detail: String,
    /// Text that declared outputs are taken from.
    pub answer: String,
    /// Fields besides (`status`, …).
    pub fields: BTreeMap<String, String>,
}

impl Sample {
    /// It does not hold; the words say what was seen above what was wanted.
    fn fail(&mut self, detail: String) {
        (self.holds, self.detail) = (false, detail);
    }

    /// As [`judged`] found.
    fn judge(&mut self, (holds, words): (bool, String)) {
        (self.holds, self.detail) = (holds, words);
    }
}

/// Why a look decided nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The outside world did not answer. For `expect` it counts as "not yet"; for `check` it is inconclusive.
    #[error(transparent)]
    World(#[from] AdapterError),
    /// A reference could not be filled in, or a comparison makes no sense for the value.
    #[error("{0}")]
    Undecided(String),
}

impl From<FaultError> for ProbeError {
    fn from(error: FaultError) -> Self {
        match error {
            FaultError::World(e) => Self::World(e),
            other => Self::Undecided(other.to_string()),
        }
    }
}

impl From<crate::adapters::kubernetes::ClusterError> for ProbeError {
    fn from(error: crate::adapters::kubernetes::ClusterError) -> Self {
        Self::World(error.into())
    }
}

/// Does the value fulfil the comparison? The words go below what was seen.
fn judged(wanted: &Comparison, value: &str, what: &str, cx: &Cx<'_>) -> Result<(bool, String), ProbeError> {
    let lookup = |r: &crate::model::Reference| cx.scope.lookup(r);
    let holds = compare(wanted, value, &lookup).map_err(|e| ProbeError::Undecided(e.to_string()))?;
    let value = value.trim();
    if holds {
        return Ok((true, format!("{what} is `{}`", quote(value, 80))));
    }
    Ok((false, format!("{what} is `{}`\nwanted: {}", quote(value, 400), wanted_words(wanted))))
}

/// A comparison as a person would say it; references stay by name.
fn wanted_words(wanted: &Comparison) -> String {
    match wanted {
        Comparison::Equals(s) => format!("`{}`", s.0),
        Comparison::NotEquals(s) => format!("not `{}`", s.0),
        Comparison::AtLeast(s) => format!("at least {}", s.0),
        Comparison::AtMost(s) => format!("at most {}", s.0),
        Comparison::Between(a, b) => format!("between {} and {}", a.0, b.0),
        Comparison::Matches(re) => format!("a match of `{re}`"),
        Comparison::Contains(s) => format!("something with `{}` in it", s.0),
        Comparison::OneOf(list) => {
            let words: Vec<String> = list.iter().map(|s| format!("`{}`", s.0)).collect();
            format!("one of {}", words.join(", "))
        }
        Comparison::Cel(source) => format!("`{source}` to be true"),
    }
}

/// A probe.
pub trait Probe: Serialize + DeserializeOwned + JsonSchema + Send + Sync {
    /// The key in a playbook.
    const KIND: &'static str;
    /// One line for `list` and the reference.
    const SUMMARY: &'static str;

    /// The target it looks at, if it names one.
    fn target(&self) -> Option<&TargetRef> {
        None
    }
    /// The targets it looks at.
    fn targets(&self) -> Vec<&TargetRef> {
        self.target().into_iter().collect()
    }
    /// What it needs to be allowed on the clusters of its targets.
    fn rights(&self) -> Vec<Right> {
        Vec::new()
    }
    /// Why it can never be answered as things are, with what to write, grant or configure; none if only a look can tell.
    fn hindrance(&self, cx: &Cx<'_>) -> impl Future<Output = Option<String>> + Send {
        let _asked = cx;
        std::future::ready(None)
    }
    /// One look, within its own time-out.
    fn sample(&self, cx: &Cx<'_>) -> impl Future<Output = Result<Sample, ProbeError>> + Send;
}

macro_rules! probes {
    ($($variant:ident($ty:ty) = $key:literal),+ $(,)?) => {
        /// A probe of any kind.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum ProbeSpec {
            $(#[doc = $key] #[serde(rename = $key)] $variant($ty)),+
        }

        /// All kinds, in the order of the registry.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: $key,
            summary: <$ty as Probe>::SUMMARY,
            note: "",
            schema: || schemars::schema_for!($ty),
        }),+];

        impl ProbeSpec {
            /// The key in a playbook.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$ty as Probe>::KIND),+ }
            }
            /// The targets it looks at.
            #[must_use]
            pub fn targets(&self) -> Vec<&TargetRef> {
                match self { $(Self::$variant(p) => p.targets()),+ }
            }
            /// See [`Probe::rights`].
            #[must_use]
            pub fn rights(&self) -> Vec<Right> {
                match self { $(Self::$variant(p) => p.rights()),+ }
            }
            /// See [`Probe::hindrance`].
            pub async fn hindrance(&self, cx: &Cx<'_>) -> Option<String> {
                match self { $(Self::$variant(p) => p.hindrance(cx).await),+ }
            }
            /// One look.
            ///
            /// # Errors
            /// When the look decides nothing.
            pub async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
                match self { $(Self::$variant(p) => p.sample(cx).await),+ }
            }
        }
    };
}

probes! {
    Http(HttpProbe) = "http",
    Tcp(TcpProbe) = "tcp",
    Command(CommandProbe) = "command",
    Sql(SqlProbe) = "sql",
    Postgres(PostgresProbe) = "postgres",
    Redis(RedisProbe) = "redis",
    Etcd(EtcdProbe) = "etcd",
    Mysql(MysqlProbe) = "mysql",
    Directory(DirectoryProbe) = "directory",
    Couchdb(CouchdbProbe) = "couchdb",
    Elasticsearch(ElasticsearchProbe) = "elasticsearch",
    S3(S3Probe) = "s3",
    Mongodb(MongodbProbe) = "mongodb",
    Rabbitmq(RabbitmqProbe) = "rabbitmq",
    Process(ProcessProbe) = "process",
    Pgbackrest(PgbackrestProbe) = "pgbackrest",
    Fingerprint(FingerprintProbe) = "fingerprint",
    FingerprintAt(FingerprintAtProbe) = "fingerprint_at",
    Kubernetes(KubernetesProbe) = "kubernetes",
    PodHttp(PodHttpProbe) = "pod_http",
    Prometheus(PrometheusProbe) = "prometheus",
}
