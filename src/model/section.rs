//! Parameters that stand in sections of a playbook and are no kinds of a registry: targets, secrets, staging, service.

use super::{CommandSpec, Dur, KubernetesTarget, Percent, RunSpec, Template};
use core::net::IpAddr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; its final line break is cut off.
    File(Template),
    /// A command's standard output; its final line break is cut off.
    Command(CommandSpec),
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetSpec {
    /// Processes of this machine. Fields: `pid`, `pids`, `name`, and what the command prints.
    Process(ProcessTarget),
    /// An HTTP service. Fields: `url`, `host`, `port`.
    Http(UrlTarget),
    /// A store that speaks the ledger protocol of the embedded staging. Fields: `url`.
    Kv(UrlTarget),
    /// A PostgreSQL database. Fields: `host`, `port`, `database`, `user`.
    Postgres(UrlTarget),
    /// A MySQL or MariaDB database. Fields: `host`, `port` (of the first that the URL names), `database`, `user`.
    Mysql(MysqlTarget),
    /// A Redis, or the Sentinels that know its primary. Fields: `url`, `host`, `port` (of the first that the URL names).
    Redis(RedisTarget),
    /// An etcd cluster. Fields: `url`, `host`, `port` (of the first member that the URL names).
    Etcd(EtcdTarget),
    /// A database of a CouchDB. Fields: `url`, `host`, `port`, `database`.
    Couchdb(CouchdbTarget),
    /// A MongoDB. Fields: `url`, `host`, `port` (of the first member that the URL names).
    Mongodb(MongodbTarget),
    /// A RabbitMQ cluster. Fields: `url`, `host`, `port` (of the first node that the URL names).
    Rabbitmq(RabbitmqTarget),
    /// An Elasticsearch cluster. Fields: `url`, `host`, `port` (of the first node that the URL names).
    Elasticsearch(ElasticsearchTarget),
    /// A TCP port. Fields: `address`, `host`, `port`.
    Tcp(AddressTarget),
    /// A service of this machine. Fields: `unit` or `pidfile`, `pid`, `name`.
    Service(ServiceTarget),
    /// A regular file. Fields: `path`, `name`, `folder`.
    File(PathTarget),
    /// A directory, and with it the file system it is on. Fields: `path`, `name`.
    Directory(PathTarget),
    /// Containers of a Docker Engine or Podman. Fields: `id`, `ids`, `name`, `names`, `image`, `pid`, `address`, `engine`.
    Container(ContainerTarget),
    /// A network namespace of this machine, or an interface in it. Fields: `namespace`, `interface`, `inode`.
    Network(NetworkTarget),
    /// This machine. Fields: `name`.
    Host(HostTarget),
    /// A TCP proxy of ours in front of something. Fields: `address`, `host`, `port`, `upstream`, `control`.
    Proxy(ProxyTarget),
    /// A name server of ours that something is pointed at. Fields: `address`, `host`, `port`, `control`.
    Resolver(ResolverTarget),
    /// A bucket of a service that speaks the S3 protocol. Fields: `url`, `host`, `port`, `bucket`.
    S3(S3Target),
    /// Objects of a Kubernetes cluster. Fields: `name`, `names`, `namespace`, `kind`, `count`, `context`, `server`; for pods
    /// `node` and `address`; for nodes and their pods `zone`.
    Kubernetes(KubernetesTarget),
}

impl TargetSpec {
    /// The key in a playbook.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Http(_) => "http",
            Self::Kv(_) => "kv",
            Self::Postgres(_) => "postgres",
            Self::Mysql(_) => "mysql",
            Self::Redis(_) => "redis",
            Self::Etcd(_) => "etcd",
            Self::Couchdb(_) => "couchdb",
            Self::Mongodb(_) => "mongodb",
            Self::Rabbitmq(_) => "rabbitmq",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Tcp(_) => "tcp",
            Self::Service(_) => "service",
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Container(_) => "container",
            Self::Network(_) => "network",
            Self::Host(_) => "host",
            Self::Proxy(_) => "proxy",
            Self::Resolver(_) => "resolver",
            Self::S3(_) => "s3",
            Self::Kubernetes(_) => "kubernetes",
        }
    }
}

/// A Redis, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisTarget {
    /// `redis://USER:PASSWORD@HOST:PORT/DB`, or `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB` (of Sentinels,
    /// and what they call it); `rediss` and `rediss+sentinel` with TLS. Secrets in it stay by reference.
    pub url: Template,
    /// Connecting to one server may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// A MySQL or MariaDB database, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlTarget {
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, or several `HOST:PORT,HOST:PORT`: then the first that takes writes is meant.
    /// `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE` is TLS. Secrets in it stay by reference.
    pub url: Template,
    /// Connecting to one server may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// A MongoDB, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MongodbTarget {
    /// `mongodb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?replicaSet=NAME&authSource=admin&w=majority`: the primary of the
    /// set that these are members of; without `replicaSet`, one server. Secrets in it stay by reference.
    pub url: Template,
    /// Connecting to one member, and logging in there, may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// An etcd cluster, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EtcdTarget {
    /// `etcd://USER:PASSWORD@HOST:PORT,HOST:PORT`, the members' addresses for clients; `etcds` with TLS, and
    /// `?ca=FILE&cert=FILE&key=FILE`.
    /// Secrets in it stay by reference.
    pub url: Template,
    /// Connecting to one member may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// When a record in a file counts as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// When it is on the disk: an fdatasync(2) for each record.
    #[default]
    Each,
    /// When it is on the disk: one fdatasync(2) for all records that wait for it. Needs `layout: segments`.
    Group,
    /// When the kernel has taken it, on the disk or not.
    None,
}

/// How records stand in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileLayout {
    /// One after the other, in a file for each writer (for all writers with `fsync: group`).
    #[default]
    Segments,
    /// Each in a file of its own: written under another name, synced, renamed, its folder synced.
    Files,
}

/// A database of a CouchDB, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouchdbTarget {
    /// `http://USER:PASSWORD@HOST:5984/DATABASE`; `https` with TLS, and `?ca=FILE`. Secrets in it stay by reference.
    pub url: Template,
    /// Connecting may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// A RabbitMQ cluster, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqTarget {
    /// `amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST`; `amqps` with TLS, and `?ca=FILE&cert=FILE&key=FILE`.
    /// Secrets in it stay by reference.
    pub url: Template,
    /// The nodes' management, `http://HOST:PORT,HOST:PORT`, which probes ask; the user is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Template>,
    /// Connecting to one node may take so long, login included; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// An Elasticsearch cluster, and how patient its clients are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchTarget {
    /// `elasticsearch://USER:PASSWORD@HOST:PORT,HOST:PORT`, the nodes' addresses for clients; `elasticsearchs` with TLS, and
    /// `?ca=FILE`. Secrets in it stay by reference.
    pub url: Template,
    /// An API key in place of user and password, encoded as Elasticsearch shows it, by reference: `${secrets.NAME}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Template>,
    /// A ledger's write asks for so many active copies (`wait_for_active_shards`), the primary among them; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_shards: Option<u32>,
    /// Connecting to one node may take so long; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// One answer may take so long; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// Processes, by exactly one of these.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessTarget {
    /// A pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Template>,
    /// A file with a pid in its first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pidfile: Option<Template>,
    /// A command that prints a pid per line; lines like `name=pg1` become fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandSpec>,
}

/// A service of this machine: a systemd unit, or a pidfile with what starts it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTarget {
    /// A systemd unit, like `nginx.service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<Template>,
    /// Which systemd: the machine's or the user's; `system` if not given.
    #[serde(default)]
    pub manager: Manager,
    /// Without systemd: a file with the service's pid in its first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pidfile: Option<Template>,
    /// Starts it; needed with `pidfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<RunSpec>,
    /// Stops it; TERM to the pid if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<RunSpec>,
    /// It is killed when it has not stopped after this; 10s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<Dur>,
}

/// This machine: nothing needs to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostTarget {}

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// The machine's.
    #[default]
    System,
    /// The user's own.
    User,
}

/// Something with a URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UrlTarget {
    /// The URL; secrets in it stay by reference.
    pub url: Template,
}

/// Something with an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressTarget {
    /// `host:port`
    pub address: Template,
}

/// Something with a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathTarget {
    /// The path; a relative one starts from the playbook's folder. Symbolic links are followed.
    pub path: Template,
}

/// A network namespace of this machine, or an interface in it. With neither `namespace` nor `pid` it is the one that the
/// runner is in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkTarget {
    /// Its name, as `ip netns` lists it, or the path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Template>,
    /// The pid of a process that is in it; for a container, say: `${targets.app.pid}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Template>,
    /// Only what goes through this interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Template>,
}

/// Containers, by exactly one of `name`, `labels` and `compose`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerTarget {
    /// One, by its name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Template>,
    /// All that have each of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Template>,
    /// All of a service of a Compose project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<ComposeService>,
    /// The engine, `unix:///PATH` or `tcp://HOST:PORT`; `DOCKER_HOST`, or the socket that is there, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Template>,
}

/// A service of a Compose project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeService {
    /// The project's name.
    pub project: Template,
    /// The service's name in it.
    pub service: Template,
}

/// The embedded staging's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedStaging {
    /// Is a write acknowledged before or after the standby has it?
    pub replication: Replication,
    /// How long the standby lags under asynchronous replication; 300ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Dur>,
    /// The router's port; the nodes take the next four. 17400 if not given.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Does the router promote the standby when the primary is gone? true if not given.
    #[serde(default = "yes")]
    pub failover: bool,
    /// How often the router looks at the primary; 100ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_every: Option<Dur>,
    /// Failed looks in a row until it promotes; 3 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// Under synchronous replication: a primary whose standby is gone for this long acknowledges alone and says so; if
    /// not given, it refuses instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade_after: Option<Dur>,
}

fn default_port() -> u16 {
    17400
}

fn yes() -> bool {
    true
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// Before the standby has it.
    Async,
    /// After.
    Sync,
}

/// What counts as working, as written; what is left out has its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Share of operations that must be served in every window; 100% if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Percent>,
    /// p99 latency that a window may have; not limited if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Dur>,
    /// An answer later than this does not count; 1s if not given, never above the time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Dur>,
    /// How long service must hold to count as sustained; 10s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Dur>,
    /// Outages less than this apart are one; 1s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Dur>,
}

/// A TCP proxy of ours: one that the drill starts when its staging is up and ends when it goes down (`upstream`), or one
/// that runs already (`control`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyTarget {
    /// Where clients connect, `ADDRESS:PORT`; a free port of 127.0.0.1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Template>,
    /// Where they are led to, `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Template>,
    /// What it does when the drill's runner is gone: `open` forwards without faults, `closed` lets nobody through.
    #[serde(default)]
    pub orphaned: Orphaned,
    /// The control socket of one that runs already (`blackstart proxy --control FILE …`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Template>,
}

/// A bucket by the S3 protocol. Without `access_key` and `secret_key` requests are not signed, as for a public bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Target {
    /// The service's URL, like `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: Template,
    /// The bucket's name.
    pub bucket: Template,
    /// The region that requests are signed for; us-east-1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Template>,
    /// Does the bucket's name stand in the `path` or in the `host`? In the path if not given.
    #[serde(default)]
    pub addressing: Addressing,
    /// The access key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<Template>,
    /// Its secret, by reference: `${secrets.NAME}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Template>,
    /// The token of temporary credentials, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Template>,
    /// A PEM file with the certificates that are trusted; those of the machine if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Template>,
    /// A ledger's client connects within this; 900ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Dur>,
    /// A ledger's client waits so long for one answer; as long as the operation if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Dur>,
}

/// Where a bucket's name stands in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// In the path: `https://HOST/BUCKET/KEY`.
    #[default]
    Path,
    /// In the host: `https://BUCKET.HOST/KEY`.
    Host,
}

/// What a proxy or a resolver of a drill does when the drill's runner is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orphaned {
    /// It goes on without faults, for a bounded time.
    #[default]
    Open,
    /// It lets nobody through, for a bounded time.
    Closed,
}

/// A name server of ours: one that the drill starts when its staging is up and ends when it goes down, or one that runs
/// already (`control`). Whatever shall use it must be pointed at it: a `resolv.conf`, a `--dns` option, a client's setting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverTarget {
    /// Where it is asked, `ADDRESS:PORT`, by UDP and TCP; a free port of 127.0.0.1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Template>,
    /// The name server that it asks, `ADDRESS:PORT`; without one, names that it does not know do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Template>,
    /// Names that it knows itself, with their addresses; `*.example.com` is all below that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// What it knows itself is good for so long; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Dur>,
    /// What it does when the drill's runner is gone: `open` answers without faults, `closed` answers nobody.
    #[serde(default)]
    pub orphaned: Orphaned,
    /// The control socket of one that runs already (`blackstart resolver --control FILE …`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Template>,
}
