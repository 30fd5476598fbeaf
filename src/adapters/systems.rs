//! What data systems say about themselves: roles, lag, who leads. One question has one answer, as text; what it must be is
//! the playbook's business, and how it is asked is the business of the system's own adapter.

use super::data::Bucket;
use super::elasticsearch::SearchPlace;
use super::{AdapterError, Fut, ServerPlace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is asked of a Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedisAsk {
    /// `master` or `replica`.
    Role,
    /// `HOST:PORT` of the primary, which was asked itself.
    Primary,
    /// How many servers say that they are the primary: of those that the URL names, or that any Sentinel knows.
    Primaries,
    /// How many replicas the primary sees online.
    Replicas,
    /// Bytes that the primary has written and its furthest replica has not confirmed.
    Lag,
    /// How many Sentinels name the same primary.
    Sentinels,
    /// Could Sentinel fail over now: `yes` or `no`.
    Quorum,
    /// A field of `INFO`.
    Info(String),
}

/// What is asked of a database of a CouchDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CouchdbAsk {
    /// How many documents there are.
    Documents,
    /// How many of them have revisions that conflict.
    Conflicts,
    /// How many continuous replications of the database work, by their own words.
    Replications,
    /// How many do not.
    Broken,
    /// How many of the 500 documents that were changed last the other region lacks.
    Lag,
    /// How many of all documents the other region lacks.
    Missing,
    /// Does a document that is written here arrive in the other region: `arrived` or `missing`.
    Canary,
}

impl CouchdbAsk {
    /// Is it about two regions?
    #[must_use]
    pub fn needs_another(self) -> bool {
        matches!(self, Self::Lag | Self::Missing | Self::Canary)
    }
}

/// A question to a database of a CouchDB, with everything filled in.
#[derive(Clone)]
pub struct CouchdbQuestion {
    /// Where it is.
    pub place: ServerPlace,
    /// The other region, for questions about two.
    pub to: Option<ServerPlace>,
    /// What is asked.
    pub ask: CouchdbAsk,
    /// The run's name, part of what is written for a look.
    pub run: String,
}

/// What is asked of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EtcdAsk {
    /// `HOST:PORT` of the member that says itself that it leads.
    Leader,
    /// How many members say of themselves that they lead.
    Leaders,
    /// How many members answer a read that a majority has to agree to.
    Serving,
    /// Entries that the furthest member has not applied and another one has.
    Lag,
    /// How many members hold the same data, by their own hashes.
    Same,
    /// The latest revision.
    Revision,
    /// How many alarms there are (no space left, corruption).
    Alarms,
    /// How many keys begin with this.
    Keys(String),
}

/// What is asked of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostgresAsk {
    /// `primary` or `standby`, of the server that clients of the URL come to.
    Role,
    /// `true` or `false`, of the server that clients of the URL come to.
    InRecovery,
    /// `HOST:PORT` of the only server that is a primary.
    Primary,
    /// How many servers are primaries that take writes, at one and the same moment.
    Primaries,
    /// Are there two of them: `true`, `false`, or `unknown` because a server that may be one does not answer.
    SplitBrain,
    /// How many standbys stream from the server (from the primary, if one is among several).
    Standbys,
    /// How many of them a commit may wait for.
    SyncStandbys,
    /// Bytes of WAL that the furthest standby has not saved: lost if the primary were gone now.
    LagBytes,
    /// The same in seconds, with a fraction; at most so much.
    Lag,
    /// Bytes of WAL that the furthest standby has not replayed: not to be read there.
    ReplayLagBytes,
    /// The same in seconds, with a fraction; at most so much.
    ReplayLag,
    /// Is replay paused on a standby: `true` or `false`.
    ReplayPaused,
    /// The number of the timeline.
    Timeline,
    /// State of a standby's WAL receiver, `streaming` when all is well; `none` if it has none.
    WalReceiver,
}

impl PostgresAsk {
    /// Is it answered by one server alone?
    #[must_use]
    pub fn is_of_one(self) -> bool {
        matches!(self, Self::Role | Self::InRecovery | Self::ReplayPaused | Self::Timeline | Self::WalReceiver)
    }

    /// Does it make sense only where something is replicated?
    #[must_use]
    pub fn needs_standby(self) -> bool {
        matches!(
            self,
            Self::Standbys | Self::SyncStandbys | Self::LagBytes | Self::Lag | Self::ReplayLagBytes | Self::ReplayLag
        )
    }
}

/// What is asked of MySQL or MariaDB servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MysqlAsk {
    /// `primary`, or `replica` if the first server of the URL follows another one.
    Role,
    /// Is the first server of the URL read-only: `yes` or `no`.
    ReadOnly,
    /// `HOST:PORT` of the server that takes writes, of those that the URL names.
    Primary,
    /// How many of them take writes.
    Primaries,
    /// How many replicas are connected to the primary.
    Replicas,
    /// How many of them follow another one, and have nothing to complain about.
    Replicating,
    /// Seconds that the furthest replica is behind, by its own word.
    Lag,
    /// Transactions that the primary has and the furthest replica has not.
    LagTransactions,
    /// Does a commit wait for a replica now: `on` or `off`.
    SemiSync,
    /// A global variable.
    Variable(String),
    /// A figure of the server's status.
    Status(String),
}

/// What is asked of a directory, and the file system it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryAsk {
    /// Bytes that ordinary users can still have.
    Free,
    /// Is the file system, or this mount of it, read-only: `yes` or `no`.
    ReadOnly,
    /// Is something mounted right there: `yes` or `no`.
    Mounted,
    /// The kind of file system: `ext4`, `btrfs`, `nfs4` …
    Kind,
    /// What is mounted: a device, an export, and which folder of it: `/dev/sdb1[/data]`.
    Source,
    /// Seconds since the newest read-only snapshot directly in it was made (btrfs, by root).
    SnapshotAge,
    /// The generation of a btrfs subvolume: grows with every change (by root).
    Generation,
}

/// What is asked of an Elasticsearch cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElasticAsk {
    /// `green`, `yellow` (copies are missing) or `red` (primaries are).
    Status,
    /// How many nodes the cluster has, as its master sees it.
    Nodes,
    /// How many of the nodes that the URL names answer by themselves.
    Answering,
    /// The name of the node that is the master.
    Master,
    /// How many primaries are active.
    Primaries,
    /// How many copies, primaries among them, are on no node.
    Unassigned,
    /// The node that holds the primary of this index; several, with spaces, if it has several shards.
    Primary(String),
    /// How many copies of this index are active: of the shard that has the fewest.
    Copies(String),
    /// How many documents this index has.
    Docs(String),
}

/// What is asked of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BucketAsk {
    /// Are older versions kept: `enabled`, `suspended` or `off`.
    Versioning,
    /// How many objects begin with this.
    Objects(String),
    /// How many versions there are of objects that begin with this, marks of deletion left aside.
    Versions(String),
    /// How many objects that begin with this are deleted, and could be had back from a version.
    Deleted(String),
    /// How this object is locked: `compliance`, `governance`, `hold` or `no`.
    Locked(String),
    /// How many objects that begin with this the other bucket lacks, or has another one of.
    Behind(String),
}

/// A question to a bucket, with everything filled in (secrets included: no `Debug`).
#[derive(Clone)]
pub struct BucketQuestion {
    /// Who is asked.
    pub bucket: Bucket,
    /// Who is compared with it, for `behind`.
    pub other: Option<Bucket>,
    /// The question.
    pub ask: BucketAsk,
}

/// What is asked of a MongoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MongodbAsk {
    /// `primary`, `secondary`, `standalone`, … of whom the URL means.
    Role,
    /// `HOST:PORT` of the member that says itself that it is the primary.
    Primary,
    /// How many members say of themselves that they are the primary.
    Primaries,
    /// How many members say of themselves that they are secondaries.
    Secondaries,
    /// How many members are in order, as one of them sees all.
    Members,
    /// Seconds by which the secondary that is furthest behind is behind the primary.
    Lag,
    /// Seconds by which what a majority has is behind the primary.
    Majority,
    /// How many documents a collection has.
    Documents(String),
}

/// What is asked of a RabbitMQ cluster, or of a queue in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RabbitmqAsk {
    /// How many nodes run.
    Running,
    /// How many nodes have lost sight of others since they started.
    Partitions,
    /// How many alarms there are (memory, disk): publishers are held up then.
    Alarms,
    /// The node that leads the queue, or has it if it is not replicated.
    Leader,
    /// How many members the queue has.
    Members,
    /// How many of them are online.
    Online,
    /// Has the queue a leader, and a majority online: `yes` or `no`.
    Quorum,
    /// How many messages wait in the queue.
    Messages,
}

/// A question, with everything filled in (secrets included: no `Debug`).
#[derive(Clone)]
pub enum Question {
    /// To a Redis.
    Redis(ServerPlace, RedisAsk),
    /// To a database of a CouchDB.
    Couchdb(CouchdbQuestion),
    /// To an etcd cluster.
    Etcd(ServerPlace, EtcdAsk),
    /// To the PostgreSQL servers that these URLs name.
    Postgres(Vec<String>, PostgresAsk),
    /// To MySQL or MariaDB servers.
    Mysql(ServerPlace, MysqlAsk),
    /// About a directory.
    Directory(std::path::PathBuf, DirectoryAsk),
    /// To an Elasticsearch cluster.
    Elasticsearch(Box<SearchPlace>, ElasticAsk),
    /// To a bucket.
    S3(Box<BucketQuestion>),
    /// To a MongoDB.
    Mongodb(ServerPlace, MongodbAsk),
    /// To a RabbitMQ cluster.
    Rabbitmq {
        /// The nodes.
        place: ServerPlace,
        /// Their management.
        management: Option<String>,
        /// The queue that is meant.
        queue: String,
        /// What is asked.
        ask: RabbitmqAsk,
    },
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The answer.
    pub value: String,
    /// What else was seen, by name.
    pub fields: BTreeMap<String, String>,
}

/// Data systems that can be asked about themselves.
pub trait Systems: Send + Sync {
    /// One look, on connections of its own.
    fn look<'a>(&'a self, question: &'a Question, limit: Duration) -> Fut<'a, Result<Seen, AdapterError>>;

    /// Why the question can never be answered there as things are, with what to grant or configure; none if it can, or if
    /// only time will tell (a server that does not answer now). Systems that find out when they are asked need not say so.
    fn hindrance<'a>(&'a self, question: &'a Question, limit: Duration) -> Fut<'a, Option<String>> {
        let _asked = (question, limit);
        Box::pin(std::future::ready(None))
    }
}

/// Those that this machine can reach.
pub(super) struct SystemSystems {
    /// The program whose processes look at directories; the one that runs if none is given.
    pub program: Option<std::path::PathBuf>,
}

impl Systems for SystemSystems {
    fn look<'a>(&'a self, question: &'a Question, limit: Duration) -> Fut<'a, Result<Seen, AdapterError>> {
        Box::pin(async move {
            match question {
                Question::Directory(path, ask) => {
                    super::directory::look(self.program.as_deref(), path, ask, limit).await
                }
                Question::Couchdb(question) => super::couchdb::look(question, limit).await,
                Question::Etcd(place, ask) => super::etcd::look(place, ask, limit).await,
                Question::Mysql(place, ask) => super::mysql::look(place, ask, limit).await,
                Question::Mongodb(place, ask) => super::mongodb::look(place, ask, limit).await,
                Question::Rabbitmq { place, management, queue, ask } => {
                    super::rabbitmq::look(place, management.as_deref(), queue, *ask, limit).await
                }
                Question::Redis(place, ask) => super::redis::look(place, ask, limit).await,
                Question::Postgres(urls, ask) => super::postgres::look(urls, *ask, limit).await,
                Question::Elasticsearch(place, ask) => super::elasticsearch::look(place, ask, limit).await,
                Question::S3(question) => super::s3::look(question, limit).await,
            }
        })
    }

    fn hindrance<'a>(&'a self, question: &'a Question, limit: Duration) -> Fut<'a, Option<String>> {
        Box::pin(async move {
            match question {
                Question::Postgres(urls, ask) => super::postgres::hindrance(urls, *ask, limit).await,
                _ => None,
            }
        })
    }
}
