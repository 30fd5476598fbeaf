//! What workloads drive, and how each is reached. How a client of it works is the business of its own adapter.

use super::{Command, DirectoryPlace, Line, RedisWait, Request, ServerPlace};
use super::{elasticsearch, s3};

/// How to reach what a workload drives, with everything filled in (secrets included: no `Debug`).
/// It can be told to a process of ours over a pipe; it is never written anywhere.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub enum Endpoint {
    /// The ledger protocol of the embedded staging, over HTTP.
    KvLedger {
        /// Base URL.
        url: String,
    },
    /// A ledger table in PostgreSQL.
    PostgresLedger {
        /// Connection URL.
        url: String,
        /// Table.
        table: String,
    },
    /// A page to visit.
    Http {
        /// What to send.
        request: Request,
        /// Statuses that count as ok.
        status: Vec<u16>,
        /// The body must contain this; `{nonce}` stands for the visit's number.
        contains: Option<String>,
        /// How it is reached.
        line: Line,
    },
    /// A port to talk to.
    Tcp {
        /// `HOST:PORT`.
        address: String,
        /// What is sent; `{nonce}` stands for the visit's number.
        send: Option<String>,
        /// What the answer must contain, `{nonce}` likewise; without it there is no answer to wait for.
        expect: Option<String>,
        /// `HOST:PORT` of a resolver that is asked for the name.
        resolver: Option<String>,
    },
    /// Connect (and for PostgreSQL: `select 1`) with a fresh connection; the probe that a ledger brings along.
    PostgresProbe {
        /// Connection URL.
        url: String,
    },
    /// A ledger's stream in Redis.
    RedisLedger {
        /// The server, or who knows it.
        place: ServerPlace,
        /// Its keys begin with this.
        prefix: String,
        /// How many replicas must confirm a record.
        wait: Option<RedisWait>,
    },
    /// Does the server take writes? With a fresh connection; the probe that a ledger brings along.
    RedisProbe {
        /// The server, or who knows it.
        place: ServerPlace,
        /// The ledger's keys begin with this.
        prefix: String,
    },
    /// A ledger's documents in CouchDB.
    CouchdbLedger {
        /// The database.
        place: ServerPlace,
        /// Their names begin with this.
        prefix: String,
    },
    /// Does the database take writes? With a fresh connection; the probe that a ledger brings along.
    CouchdbProbe {
        /// The database.
        place: ServerPlace,
        /// The names of the ledger's documents begin with this.
        prefix: String,
    },
    /// A ledger's keys in etcd.
    EtcdLedger {
        /// The members.
        place: ServerPlace,
        /// Its keys begin with this.
        prefix: String,
    },
    /// Does the cluster take writes? With a fresh connection; the probe that a ledger brings along.
    EtcdProbe {
        /// The members.
        place: ServerPlace,
        /// The ledger's keys begin with this.
        prefix: String,
    },
    /// A ledger table in MySQL or MariaDB.
    MysqlLedger {
        /// The servers.
        place: ServerPlace,
        /// Table.
        table: String,
    },
    /// Does the server take writes? With a fresh connection; the probe that a ledger brings along.
    MysqlProbe {
        /// The servers.
        place: ServerPlace,
    },
    /// A ledger's files in a directory.
    DirectoryLedger {
        /// The directory, and how records stand in it.
        place: DirectoryPlace,
    },
    /// Can files be written there? The probe that a ledger brings along.
    DirectoryProbe {
        /// As the ledger's.
        place: DirectoryPlace,
    },
    /// A ledger's objects in a bucket: where it is, and what its keys begin with.
    S3Ledger(s3::BucketPlace, String),
    /// Does the bucket take objects? With a fresh connection; the probe that a ledger brings along.
    S3Probe(s3::BucketPlace, String),
    /// A ledger's collection in MongoDB.
    MongodbLedger {
        /// The members.
        place: ServerPlace,
        /// Its collections' names begin with this.
        prefix: String,
    },
    /// Does the set take writes? With a fresh connection; the probe that a ledger brings along.
    MongodbProbe {
        /// The members.
        place: ServerPlace,
        /// The ledger's collections' names begin with this.
        prefix: String,
    },
    /// A ledger's queue in RabbitMQ.
    RabbitmqLedger {
        /// The nodes.
        place: ServerPlace,
        /// Its queues begin with this.
        prefix: String,
        /// What kind of queue.
        queue: crate::workloads::QueueSpec,
    },
    /// Does the cluster take messages? With a fresh connection; the probe that a ledger brings along.
    RabbitmqProbe {
        /// The nodes.
        place: ServerPlace,
        /// The ledger's queues begin with this.
        prefix: String,
        /// What kind of queue.
        queue: crate::workloads::QueueSpec,
    },
    /// A program that speaks the line-JSON protocol.
    Command {
        /// The program.
        command: Command,
    },
    /// A ledger's documents in Elasticsearch: where it is, and what its indices' names begin with.
    ElasticLedger(elasticsearch::SearchPlace, String),
    /// Does the cluster take documents? With a fresh connection; the probe that a ledger brings along.
    ElasticProbe(elasticsearch::SearchPlace, String),
}
