//! All IO with the outside world; the only place that names a client crate.
//! [`World`] is the seam: real adapters here, simulated ones in `sim`, and `exec` cannot tell them apart.

use crate::clock::Clock;
use crate::model::{Key, Mono, OpRecord, Outcome, ProcessIdentity};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

pub mod backups;
pub mod certificate;
pub mod chain;
pub mod containers;
pub mod couchdb;
pub mod data;
pub mod directory;
pub mod disk;
pub mod elasticsearch;
pub mod etcd;
pub mod guardian;
pub mod host;
pub mod http_over;
pub mod index;
pub mod kubernetes;
pub mod manifests;
pub mod mongodb;
pub mod mysql;
pub mod openssl;
pub mod postgres;
pub mod pressure;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod resolver;
pub mod row_hash;
pub mod snapshot;
pub mod ssh_keygen;
pub mod systems;
pub mod tally;
pub mod timestamp;
pub mod usage;

mod absent;
mod base64;
mod docker;
mod files;
mod helpers;
pub mod network;
mod vault;

mod caller;
mod clients;
mod command;
mod command_client;
mod connection;
mod control;
mod endpoint;
mod expectation;
mod flights;
mod http;
mod http2;
mod kv;
mod names;
mod places;
mod process;
mod record_keys;
pub mod s3;
mod system;
mod tcp;
mod tls;
pub mod under_way;
mod visit;
mod writes;

pub use absent::{Absent, absent};
pub use containers::Containers;
pub use endpoint::Endpoint;
pub use files::{FileState, Files};
pub use flights::{Ended, Flights, Waker};
pub use helpers::{Attached, AttachedProcess, Helpers};
pub use http::install_tls;
pub use network::{NamespaceIdentity, Network, NetworkPlace};
pub use system::allow_descriptors;
pub use vault::Vault;

/// A boxed future, as the seams return it.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the outside world did not answer. The text names the object and the operation and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
pub enum AdapterError {
    /// Nobody listens there, or the name does not resolve: it definitely did not happen.
    #[error("{0}")]
    Unreachable(String),
    /// No answer within the limit.
    #[error("{0}")]
    TimedOut(String),
    /// It answered, and said no.
    #[error("{0}")]
    Refused(String),
    /// The tool or file is not there.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Everything a drill can reach.
#[derive(Clone)]
pub struct World {
    /// Its time.
    pub clock: Clock,
    /// Its processes.
    pub processes: Arc<dyn Processes>,
    /// Its commands.
    pub commands: Arc<dyn Commands>,
    /// Its HTTP services.
    pub http: Arc<dyn Http>,
    /// Its TCP ports.
    pub tcp: Arc<dyn Tcp>,
    /// Its SQL databases.
    pub sql: Arc<dyn Sql>,
    /// Its data systems, as they see themselves.
    pub systems: Arc<dyn systems::Systems>,
    /// Opens the clients that workloads drive.
    pub clients: Arc<dyn Clients>,
    /// Its files.
    pub files: Arc<dyn Files>,
    /// Its file systems.
    pub disks: Arc<dyn disk::Disks>,
    /// Helper processes of ours.
    pub helpers: Arc<dyn Helpers>,
    /// Its network: packet filter, queues, namespaces.
    pub network: Arc<dyn Network>,
    /// Its containers.
    pub containers: Arc<dyn Containers>,
    /// Its Kubernetes clusters.
    pub clusters: Arc<dyn kubernetes::Clusters>,
    /// Its TCP proxies of ours.
    pub proxies: Arc<dyn proxy::Proxies>,
    /// Its users' own data.
    pub data: Arc<dyn data::Data>,
    /// Its resolvers of ours.
    pub resolvers: Arc<dyn resolver::Resolvers>,
}

/// Processes of this machine.
pub trait Processes: Send + Sync {
    /// The identity of a live process; `None` if there is none (a zombie counts as none).
    fn identify(&self, pid: i32) -> Result<Option<ProcessIdentity>, AdapterError>;
    /// Is exactly this process alive, and is it stopped (state T)?
    fn state(&self, who: &ProcessIdentity) -> Result<ProcessState, AdapterError>;
    /// Sends a signal through a pidfd to exactly this process.
    ///
    /// # Errors
    /// `Missing` if it is gone.
    fn signal(&self, who: &ProcessIdentity, signal: &str) -> Result<(), AdapterError>;
    /// May this runner signal it? Nothing is sent.
    ///
    /// # Errors
    /// `Refused` if not.
    fn may_signal(&self, who: &ProcessIdentity) -> Result<(), AdapterError> {
        self.state(who).map(|_| ())
    }
    /// Has it loaded a library of such a name?
    ///
    /// # Errors
    /// `Missing` if it is gone; `Refused` if we may not look.
    fn has_loaded(&self, who: &ProcessIdentity, library: &str) -> Result<bool, AdapterError> {
        Err(AdapterError::Missing(format!("nobody knows whether pid {} has loaded {library}", who.pid)))
    }
    /// A variable of the environment that it was started with.
    ///
    /// # Errors
    /// `Missing` if it is gone; `Refused` if we may not look.
    fn variable(&self, who: &ProcessIdentity, name: &str) -> Result<Option<String>, AdapterError> {
        Err(AdapterError::Missing(format!("nobody knows {name} of pid {}", who.pid)))
    }
    /// What it uses now. Worlds whose processes use nothing need not say so.
    ///
    /// # Errors
    /// `Missing` if it is gone.
    fn usage(&self, who: &ProcessIdentity) -> Result<usage::Usage, AdapterError> {
        Err(AdapterError::Missing(format!("nobody knows what pid {} uses", who.pid)))
    }
    /// How many open files it may have.
    ///
    /// # Errors
    /// `Missing` if it is gone.
    fn file_limit(&self, who: &ProcessIdentity) -> Result<usage::FileLimit, AdapterError> {
        Err(AdapterError::Missing(format!("nobody knows the limits of pid {}", who.pid)))
    }
    /// How many files it has open.
    ///
    /// # Errors
    /// `Missing` if it is gone; `Refused` if we may not look.
    fn open_files(&self, who: &ProcessIdentity) -> Result<u64, AdapterError> {
        Err(AdapterError::Missing(format!("nobody knows the files of pid {}", who.pid)))
    }
    /// Sets how many open files it may have.
    ///
    /// # Errors
    /// `Missing` if it is gone; `Refused` if we may not.
    fn set_file_limit(&self, who: &ProcessIdentity, limit: usage::FileLimit) -> Result<(), AdapterError> {
        Err(AdapterError::Missing(format!("the limit of pid {} cannot be {}", who.pid, limit.soft)))
    }
    /// Ends every command that a runner started with this variable in its environment and that has not ended, with its
    /// process group; what it left behind when it ended lives on. Says how many. Worlds without such commands need not say so.
    ///
    /// # Errors
    /// When nobody can say which these are.
    fn end_commands(&self, variable: &str, value: &str) -> Result<usize, AdapterError> {
        let _ = (variable, value);
        Ok(0)
    }
    /// Its live descendants, children first.
    fn descendants(&self, who: &ProcessIdentity) -> Result<Vec<ProcessIdentity>, AdapterError>;
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs or sleeps.
    Running,
    /// It is stopped.
    Stopped,
    /// It was sent SIGKILL, or is ending, and has not been seen dead yet: nothing can save it.
    Dying,
    /// It is gone (or a zombie, or another process has its pid).
    Gone,
}

/// A command with everything filled in. Its `Debug` form hides the environment's values and standard input.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment variables besides the runner's.
    pub env: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Option<String>,
    /// Working directory.
    pub cwd: Option<std::path::PathBuf>,
    /// Ended with its process group after this.
    pub timeout: Duration,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("argv", &self.argv).field("env", &self.env.keys()).finish_non_exhaustive()
    }
}

/// How a command ended. Output is kept up to 1 MiB each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// Standard output, lossy UTF-8.
    pub stdout: String,
    /// Standard error, lossy UTF-8.
    pub stderr: String,
}

/// Commands of this machine.
pub trait Commands: Send + Sync {
    /// Runs it to its end.
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>>;
    /// Is this program there? One with a `/` in it is a path; others are searched.
    ///
    /// Worlds whose programs are made up need not say so.
    ///
    /// # Errors
    /// `Missing` if not.
    fn find(&self, program: &str) -> Result<(), AdapterError> {
        let _ = program;
        Ok(())
    }
    /// Starts a program that lives until it is told to end or dropped; ready when it has written its first line, within
    /// the command's time-out. Worlds that cannot hold programs need not say so.
    fn hold<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<Held, AdapterError>> {
        Box::pin(async move { Err(AdapterError::Missing(format!("`{:?}` cannot be held here", command.argv.first()))) })
    }
}

/// A program that lives as long as this.
pub struct Held {
    /// The first line it wrote.
    pub first_line: String,
    /// Ends it.
    pub process: Box<dyn HeldProcess>,
}

/// A held program.
pub trait HeldProcess: Send + Sync {
    /// Closes its standard input and waits for its end; kills it with its process group after the limit.
    fn end(self: Box<Self>, limit: Duration) -> Fut<'static, Result<(), AdapterError>>;
}

/// An HTTP request with everything filled in.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Limit of the whole exchange.
    pub timeout: Duration,
}

/// An HTTP answer; the body is kept up to 1 MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, lossy UTF-8.
    pub body: String,
}

/// HTTP services, for probes and requests (not for workloads).
pub trait Http: Send + Sync {
    /// Sends a request on a connection of its own.
    fn send<'a>(&'a self, request: &'a Request) -> Fut<'a, Result<Answer, AdapterError>>;
    /// The bytes at a URL, up to 1 MiB, if the status is 200; the URL may be a secret. Worlds that only talk need not have any.
    fn fetch<'a>(&'a self, url: &'a str, timeout: Duration) -> Fut<'a, Result<Vec<u8>, AdapterError>> {
        let _asked = (url, timeout);
        Box::pin(std::future::ready(Err(AdapterError::Missing("nothing can be fetched here".to_owned()))))
    }
}

/// TCP ports.
pub trait Tcp: Send + Sync {
    /// Connects and closes.
    fn connect<'a>(&'a self, address: &'a str, timeout: Duration) -> Fut<'a, Result<(), AdapterError>>;
}

/// SQL databases, for probes and checks (not for workloads).
pub trait Sql: Send + Sync {
    /// The first column of the first row as text; `None` for NULL or no row.
    fn scalar<'a>(
        &'a self,
        url: &'a str,
        query: &'a str,
        args: &'a [String],
        timeout: Duration,
    ) -> Fut<'a, Result<Option<String>, AdapterError>>;
}

/// What a schedule asks a client to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// When it was due.
    pub due: Mono,
    /// What to do.
    pub act: Act,
}

/// The act itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Write this record (the payload follows from run and key).
    Write(Key),
    /// Read this record back.
    Read(Key),
    /// Visit the service; the number makes each visit distinct.
    Visit(u64),
}

impl Act {
    /// What a client that only visits tells this act from others by.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Visit(number) => number,
            Self::Write(key) | Self::Read(key) => key.seq,
        }
    }
}

/// What a client says became of an operation. `sent` is stamped right before the call, `done` right after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Right before the first byte.
    pub sent: Mono,
    /// Right after the answer, or when it was given up.
    pub done: Mono,
    /// What became of it; never `Missed`, that is the schedule's word.
    pub outcome: Outcome,
    /// What a read found.
    pub found: Option<crate::model::Found>,
}

impl Done {
    /// The record for the operations log.
    #[must_use]
    pub fn record(self, operation: Operation) -> OpRecord {
        use crate::model::Action;
        let (action, key) = match operation.act {
            Act::Write(key) => (Action::Write, Some(key)),
            Act::Read(key) => (Action::Read, Some(key)),
            Act::Visit(_) => (Action::Visit, None),
        };
        let Self { sent, done, outcome, found } = self;
        OpRecord { due: operation.due, sent, done, action, outcome, key, found }
    }
}

/// A client that a schedule drives. It ends every operation itself within the workload's time-out.
pub trait Client: Send + Sync {
    /// Carries out one operation. For a connection-bound ledger it is called with at most one write per writer at a time.
    fn operate(&self, operation: Operation) -> Fut<'_, Done>;
}

/// A ledger's other half: preparing the store, and reading everything back.
pub trait LedgerStore: Send + Sync {
    /// Creates what the ledger needs (a table, a prefix).
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>>;
    /// Reads every record of this run in the server's order and hands each to `row`.
    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>>;
    /// Counts what is there of each writer, up to the frontier if there is one.
    fn tally<'a>(
        &'a self,
        upto: Option<&'a tally::Frontier>,
    ) -> Fut<'a, Result<BTreeMap<u16, tally::Tally>, AdapterError>> {
        Box::pin(tally::by_reading(self, upto))
    }
    /// The store as it is now, if it can sum rows up by itself; none if everything has to be read.
    fn snapshot(&self) -> Fut<'_, Result<Option<Box<dyn snapshot::Snapshot + '_>>, AdapterError>> {
        Box::pin(async { Ok(None) })
    }
}

/// A row as a read-back finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key, or the text that is no key of this run.
    pub key: Result<Key, String>,
    /// Which attempt wrote it.
    pub attempt: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What a workload opens: a client, and for a ledger its store.
pub struct Opened {
    /// Carries out operations.
    pub client: Arc<dyn Client>,
    /// For ledgers.
    pub store: Option<Arc<dyn LedgerStore>>,
}

impl Opened {
    /// A site's own copy of a ledger, without its client.
    ///
    /// # Errors
    /// When it is no ledger's.
    pub fn copy(self) -> Result<Arc<dyn LedgerStore>, AdapterError> {
        self.store.ok_or_else(|| AdapterError::Missing("this site holds no ledger".to_owned()))
    }
}

/// Where a data system is, and how long its clients wait.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServerPlace {
    /// As the system's own page says.
    pub url: String,
    /// Of one connection; 900 ms if not given.
    pub connect_timeout: Option<Duration>,
    /// Of one answer; as long as the operation if not given.
    pub response_timeout: Option<Duration>,
}

/// A directory that holds a ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DirectoryPlace {
    /// The directory, from the root on; links in it are followed each time.
    pub path: std::path::PathBuf,
    /// The folder in it that ledgers are in.
    pub name: String,
    /// When a record counts as written.
    pub fsync: crate::model::Fsync,
    /// How records stand in files.
    pub layout: crate::model::FileLayout,
    /// So many bytes must be free before a run.
    pub need: Option<u64>,
}

/// What a client of Redis waits for after each write (`WAIT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RedisWait {
    /// So many replicas.
    pub replicas: u32,
    /// At most so long.
    pub timeout: Duration,
}

/// How an HTTP service is reached, apart from its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Which HTTP.
    pub version: HttpVersion,
    /// A PEM file with the certificates that are trusted; those of the machine if not given.
    pub ca: Option<String>,
    /// The name that the service's certificate must have; the URL's host if not given.
    pub server_name: Option<String>,
    /// `HOST:PORT` of a resolver that is asked for names; as the machine does it if not given.
    pub resolver: Option<String>,
    /// What the client shows of itself; nothing if not given.
    pub identity: Option<Identity>,
}

/// A client's own certificate, for services that ask for one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// A PEM file with the certificate, and what leads to who signed it.
    pub cert: String,
    /// A PEM file with its private key.
    pub key: String,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2: agreed by ALPN over TLS, agreed beforehand in the clear.
    Two,
}

/// What a client must know besides its endpoint.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClientSettings {
    /// The run, part of every record's name.
    pub run: crate::model::RunId,
    /// Its behaviour.
    pub behaviour: crate::model::ClientBehaviour,
    /// Limit of one operation.
    pub timeout: Duration,
    /// Writers (connections) of a ledger.
    pub writers: u16,
    /// Payload bytes of a record.
    pub payload: u64,
    /// Operations a second, for sizing pools.
    pub rate: f64,
}

/// Opens clients.
pub trait Clients: Send + Sync {
    /// Opens one; connections may still be made lazily.
    fn open<'a>(
        &'a self,
        clock: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>>;

    /// Opens a site's own copy of a ledger, for reading back; nothing is prepared there.
    fn site<'a>(
        &'a self,
        clock: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Arc<dyn LedgerStore>, AdapterError>> {
        Box::pin(async move { self.open(clock, endpoint, settings).await?.copy() })
    }

    /// The same client driven by the schedule's own thread, where there is such a one; then none needs to be opened.
    ///
    /// # Errors
    /// As [`Clients::open`].
    fn flights(
        &self,
        clock: &Clock,
        endpoint: &Endpoint,
        settings: &ClientSettings,
    ) -> Result<Option<Box<dyn Flights>>, AdapterError> {
        let _ = (clock, endpoint, settings);
        Ok(None)
    }
}

/// Bytes from hexadecimal digits; none if there is anything else.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(u32::from(n), 16)).collect()
}
