//! What clients do while a drill runs: one file per kind, and their registry.
//! A spec says what; `adapters` opens the client; `exec::sampler` drives it on an open-loop schedule.

use crate::faults::KindInfo;
use crate::model::{CommandSpec, Dur, FileLayout, Fsync, Rate, Size, Template};
use crate::probes::HttpExpect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub mod payload;

/// How a client behaves, as written: `fresh`, `pooled` or `retrying: {…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSpec {
    /// A new connection for each operation.
    Fresh,
    /// Keeps its connections.
    Pooled,
    /// Tries again.
    Retrying(RetrySpec),
}

/// When a retrying client tries again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// Attempts in all; 5 if not given.
    #[serde(default = "five")]
    pub attempts: u32,
    /// Wait before the second attempt, doubles each time; 100ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Dur>,
    /// The wait never exceeds this; 1s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<Dur>,
    /// Limit of one attempt; a quarter of the time-out if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Dur>,
}

fn five() -> u32 {
    5
}

/// Writes numbered records, remembers which were acknowledged, and reads them back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// A target of kind `kv`, `postgres`, `mysql`, `redis`, `etcd`, `couchdb`, `mongodb`,
    /// `rabbitmq`, `s3`, `elasticsearch` or `directory`; needed unless `write: each`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Writes a second, of all writers together.
    pub rate: Rate,
    /// Writers, each with a connection of its own; 8 if not given.
    #[serde(default = "eight")]
    pub writers: u16,
    /// Payload of a record; 128B if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Size>,
    /// Reads a second of recently acknowledged records; none if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_rate: Option<Rate>,
    /// Visits a second of the availability probe that the ledger brings along; 20/s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_rate: Option<Rate>,
    /// A write is given up after this; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// The table, for SQL, what its keys or collections begin with, for Redis, etcd, CouchDB, MongoDB, S3 and
    /// Elasticsearch, its queues, for RabbitMQ, or the folder in a directory; `blackstart_ledger` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// For Redis: how many replicas must confirm a write (`WAIT`); one that fewer confirm is acknowledged by the primary
    /// alone. None if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitSpec>,
    /// For a directory: when a record counts as written; `each` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsync: Option<Fsync>,
    /// For a directory: how records stand in files; `segments` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<FileLayout>,
    /// For RabbitMQ: the queue that the records go to; a quorum queue and persistent messages if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSpec>,
    /// How its client behaves; `pooled` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSpec>,
    /// Replicas or sites, by name, that hold a copy each and are read back too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<String, LedgerSite>,
    /// Where its writers write; all through `target` if not given.
    #[serde(default, skip_serializing_if = "WriteAt::is_target")]
    pub write: WriteAt,
    /// All sites must hold the same so soon after the heal; it is only shown if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converge: Option<Dur>,
}

/// Where the writers of a ledger write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteAt {
    /// All through its `target`.
    #[default]
    Target,
    /// Writer w at site w mod n, of n sites in the order of their names.
    Each,
}

impl WriteAt {
    fn is_target(&self) -> bool {
        *self == Self::Target
    }
}

/// What a ledger's client waits for after each write.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitSpec {
    /// So many replicas have it.
    pub replicas: u32,
    /// It waits at most so long; must be shorter than the write's own time-out.
    pub timeout: Dur,
}

/// A ledger's queue, as it is declared, and how records are delivered to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    /// `quorum` is replicated, `classic` is not; quorum if not given.
    #[serde(default, rename = "type")]
    pub kind: QueueKind,
    /// Do records survive a restart of their node? `persistent` if not given; `transient` makes no difference in a quorum queue.
    #[serde(default)]
    pub delivery: Delivery,
    /// The queue's other arguments, like `x-max-length`; none if not given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, QueueArgument>,
}

/// A type of queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Replicated by Raft.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

/// How messages are delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// They are written to disk.
    #[default]
    Persistent,
    /// They may be kept in memory only.
    Transient,
}

/// A value of a queue's argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum QueueArgument {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A replica or site of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerSite {
    /// A target of kind `kv`, `postgres`, `mysql`, `redis`, `etcd`, `couchdb`, `mongodb`,
    /// `rabbitmq`, `s3`, `elasticsearch` or `directory`: this site itself, not what stands in front of it.
    pub target: String,
}

/// The table of a ledger whose playbook names none.
pub const LEDGER_TABLE: &str = "blackstart_ledger";

fn eight() -> u16 {
    8
}

/// The keys that every workload has which sends requests: its own come first. Not by `flatten`, which would lose the
/// places of mistakes in a playbook.
macro_rules! requests {
    ($(#[$about:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// `ADDRESS:PORT` of a resolver that is asked for the host; as the machine does it if not given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub resolver: Option<Template>,
            /// Operations a second.
            pub rate: Rate,
            /// An operation is given up after this; 5s if not given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub timeout: Option<Dur>,
            /// How its client behaves; `fresh` if not given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub client: Option<ClientSpec>,
        }
    };
}

requests! {
    /// Visits a page.
    HttpVisits {
        /// The URL; `{nonce}` in it is replaced by a number that is different for each visit.
        pub url: Template,
        /// The method; GET if not given.
        #[serde(default = "get")]
        pub method: String,
        /// Headers.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, Template>,
        /// The body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub body: Option<Template>,
        /// What counts as ok; any 2xx if not given. A body comparison may only be `contains`.
        #[serde(default)]
        pub expect: HttpExpect,
        /// 1 or 2; 1 if not given. With https the server must agree to it, with http it must speak it from the
        /// beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub version: Option<u8>,
        /// A PEM file with the certificates that are trusted; those of the machine if not given. A relative path is
        /// relative to the playbook.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca: Option<Template>,
        /// The name that the certificate must have; the host of the URL if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub server_name: Option<Template>,
    }
}

requests! {
    /// Talks to a TCP port.
    TcpTalks {
        /// `HOST:PORT`.
        pub address: Template,
        /// What is sent; `{nonce}` in it is replaced by a number that is different for each operation. Nothing if not
        /// given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub send: Option<Template>,
        /// What the answer must contain, `{nonce}` likewise; if not given, connecting and sending is enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expect: Option<Template>,
    }
}

fn get() -> String {
    "GET".to_owned()
}

/// Drives a program that speaks the line-JSON protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandClient {
    /// Program and arguments; a relative program path is relative to the playbook.
    pub argv: Vec<Template>,
    /// Environment variables besides those of the runner. Secrets belong here, never into `argv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Working directory; the playbook's folder if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Template>,
    /// Operations a second.
    pub rate: Rate,
    /// An operation is given up after this; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// Does it write ledger records (`write`, `read_back`) or only visit? Writers of the ledger; 0 means visits.
    #[serde(default)]
    pub writers: u16,
}

impl CommandClient {
    /// The program alone; it has no time-out of its own, since it lives as long as the workload.
    #[must_use]
    pub fn command(&self) -> CommandSpec {
        CommandSpec {
            argv: self.argv.clone(),
            env: self.env.clone(),
            stdin: None,
            cwd: self.cwd.clone(),
            timeout: None,
        }
    }
}

/// A workload of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadSpec {
    /// `ledger`
    Ledger(Ledger),
    /// `http`
    Http(HttpVisits),
    /// `tcp`
    Tcp(TcpTalks),
    /// `command`
    Command(CommandClient),
}

impl WorkloadSpec {
    /// The key in a playbook.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Command(_) => "command",
        }
    }

    /// Operations a second.
    #[must_use]
    pub fn rate(&self) -> Rate {
        match self {
            Self::Ledger(l) => l.rate,
            Self::Http(h) => h.rate,
            Self::Tcp(t) => t.rate,
            Self::Command(c) => c.rate,
        }
    }

    /// How long until an operation is given up, if it says so.
    #[must_use]
    pub fn timeout(&self) -> Option<Dur> {
        match self {
            Self::Ledger(l) => l.timeout,
            Self::Http(h) => h.timeout,
            Self::Tcp(t) => t.timeout,
            Self::Command(c) => c.timeout,
        }
    }

    /// How its client behaves, if it says so; a program's is its own business.
    #[must_use]
    pub fn client(&self) -> Option<&ClientSpec> {
        match self {
            Self::Ledger(l) => l.client.as_ref(),
            Self::Http(h) => h.client.as_ref(),
            Self::Tcp(t) => t.client.as_ref(),
            Self::Command(_) => None,
        }
    }

    /// Writers of a ledger; none where it only visits.
    #[must_use]
    pub fn writers(&self) -> u16 {
        match self {
            Self::Ledger(l) => l.writers,
            Self::Http(_) | Self::Tcp(_) => 0,
            Self::Command(c) => c.writers,
        }
    }
}

/// All kinds, in the order of the registry.
pub const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: "ledger",
        summary: "writes numbered records, remembers which were acknowledged, reads all back",
        note: "",
        schema: || schemars::schema_for!(Ledger),
    },
    KindInfo { kind: "http", summary: "visits a page", note: "", schema: || schemars::schema_for!(HttpVisits) },
    KindInfo {
        kind: "tcp",
        summary: "talks to a TCP port: connects, sends, expects",
        note: "",
        schema: || schemars::schema_for!(TcpTalks),
    },
    KindInfo {
        kind: "command",
        summary: "drives a program of yours over a line-JSON protocol",
        note: "",
        schema: || schemars::schema_for!(CommandClient),
    },
];
