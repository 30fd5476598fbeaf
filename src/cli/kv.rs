//! `blackstart kv …`: the processes of the embedded staging (hidden: the runner starts them, people need not).
//! What they do is in [`crate::staging`].

use super::Exit;
use crate::staging::cluster::{self, ClusterSettings};
use crate::staging::node::{self, NodeSettings, Role};
use crate::staging::{Failover, Replication, StagingError, Violations};
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A process of the embedded staging.
#[derive(Debug, Args)]
pub struct Kv {
    #[command(subcommand)]
    process: Process,
}

#[derive(Debug, Subcommand)]
enum Process {
    /// Both nodes and the router in front; ends when its standard input ends.
    Cluster(ClusterArgs),
    /// One node; started by the cluster.
    Node(NodeArgs),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReplicationWord {
    Async,
    Sync,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleWord {
    Primary,
    Standby,
}

#[derive(Debug, Args)]
struct Common {
    /// Where its files are
    #[arg(long)]
    dir: PathBuf,
    /// When writes are acknowledged
    #[arg(long, value_enum, default_value = "async")]
    replication: ReplicationWord,
    /// How much later the standby gets a write
    #[arg(long, default_value = "0ms", value_parser = duration)]
    lag: Duration,
    /// sync: acknowledge alone once the standby is gone this long; refuse if not given
    #[arg(long, value_parser = duration)]
    degrade_after: Option<Duration>,
    #[command(flatten)]
    lies: Lies,
}

/// Violations for tests: what a store must never do.
#[derive(Debug, Args)]
struct Lies {
    #[arg(long, hide = true)]
    drop_prefix: Option<u64>,
    #[arg(long, hide = true)]
    duplicate_every: Option<u64>,
    #[arg(long, hide = true)]
    corrupt_every: Option<u64>,
    #[arg(long, hide = true)]
    holes_every: Option<u64>,
    #[arg(long, hide = true)]
    phantom_every: Option<u64>,
    #[arg(long, hide = true)]
    resurrect_every: Option<u64>,
    #[arg(long, hide = true)]
    reorder_every: Option<u64>,
    #[arg(long, hide = true)]
    stale_every: Option<u64>,
}

#[derive(Debug, Args)]
struct ClusterArgs {
    #[command(flatten)]
    common: Common,
    /// The router's port, the first of five
    #[arg(long)]
    port: u16,
    /// Time between two health checks
    #[arg(long, default_value = "100ms", value_parser = duration)]
    check_every: Duration,
    /// A health check that takes longer has failed
    #[arg(long, default_value = "500ms", value_parser = duration)]
    check_timeout: Duration,
    /// Failed checks in a row that lead to a failover
    #[arg(long, default_value_t = 3)]
    failures: u32,
    /// Never promote the standby
    #[arg(long)]
    no_failover: bool,
    /// How long a request may wait for the leader
    #[arg(long, default_value = "30s", value_parser = duration)]
    proxy_timeout: Duration,
}

#[derive(Debug, Args)]
struct NodeArgs {
    #[command(flatten)]
    common: Common,
    #[arg(long)]
    name: String,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    replication_port: u16,
    /// The other node's replication address
    #[arg(long)]
    peer: SocketAddr,
    #[arg(long, value_enum)]
    role: RoleWord,
    #[arg(long, default_value_t = 1)]
    term: u64,
    /// Die with this process
    #[arg(long)]
    parent: Option<i32>,
}

/// Runs a process of the staging until it is told to end.
#[must_use]
pub fn run(kv: Kv) -> Exit {
    // One thread: the system kills a node with the thread that started it, and one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(process(kv)),
        Err(cause) => Err(StagingError::Stopped("the runtime", cause)),
    };
    match ended {
        Ok(()) => Exit::Pass,
        Err(why) => {
            eprintln!("{why}");
            Exit::Preflight
        }
    }
}

async fn process(kv: Kv) -> Result<(), StagingError> {
    match kv.process {
        Process::Cluster(args) => cluster::run(args.settings(), |ready| say(&serde_json::json!(ready))).await,
        Process::Node(args) => node::run(args.settings(), || say(&serde_json::json!({"ready": true}))).await,
    }
}

/// One line for whoever waits for it; nobody may be reading any more.
fn say(line: &serde_json::Value) {
    let mut out = io::stdout().lock();
    let _unheard = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let count = count.parse().map_err(|_| format!("`{text}` is not a duration; write 300ms, 5s or 250us"))?;
    match unit {
        "us" => Ok(Duration::from_micros(count)),
        "ms" => Ok(Duration::from_millis(count)),
        "s" => Ok(Duration::from_secs(count)),
        _ => Err(format!("`{text}` has no unit I know; write 300ms, 5s or 250us")),
    }
}

impl From<ReplicationWord> for Replication {
    fn from(word: ReplicationWord) -> Self {
        match word {
            ReplicationWord::Async => Self::Async,
            ReplicationWord::Sync => Self::Sync,
        }
    }
}

impl From<Lies> for Violations {
    fn from(lies: Lies) -> Self {
        Self {
            drop_prefix: lies.drop_prefix,
            duplicate_every: lies.duplicate_every,
            corrupt_every: lies.corrupt_every,
            holes_every: lies.holes_every,
            phantom_every: lies.phantom_every,
            resurrect_every: lies.resurrect_every,
            reorder_every: lies.reorder_every,
            stale_every: lies.stale_every,
        }
    }
}

impl ClusterArgs {
    fn settings(self) -> ClusterSettings {
        ClusterSettings {
            dir: self.common.dir,
            port: self.port,
            replication: self.common.replication.into(),
            lag: self.common.lag,
            degrade_after: self.common.degrade_after,
            check_every: self.check_every.max(Duration::from_millis(1)),
            check_timeout: self.check_timeout,
            failures: self.failures.max(1),
            failover: if self.no_failover { Failover::Off } else { Failover::Automatic },
            proxy_timeout: self.proxy_timeout,
            violations: self.common.lies.into(),
        }
    }
}

impl NodeArgs {
    fn settings(self) -> NodeSettings {
        NodeSettings {
            name: self.name,
            dir: self.common.dir,
            port: self.port,
            replication_port: self.replication_port,
            peer: self.peer,
            role: match self.role {
                RoleWord::Primary => Role::Primary,
                RoleWord::Standby => Role::Standby,
            },
            term: self.term,
            replication: self.common.replication.into(),
            lag: self.common.lag,
            degrade_after: self.common.degrade_after,
            violations: self.common.lies.into(),
            parent: self.parent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        for bad in ["", "5", "ms", "-5s", "5 s", "5m", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[derive(Debug, clap::Parser)]
    struct Whole {
        #[command(subcommand)]
        command: Word,
    }

    #[derive(Debug, Subcommand)]
    enum Word {
        Kv(Kv),
    }

    #[test]
    fn what_a_playbook_asks_is_understood() {
        let asked = crate::staging::Embedded {
            replication: Replication::Sync,
            lag: Duration::from_micros(1500),
            port: 17_400,
            failover: Failover::Off,
            degrade_after: Some(Duration::from_secs(1)),
            check_every: Some(Duration::from_millis(50)),
            failures: Some(5),
        };
        let words = std::iter::once("blackstart".to_owned()).chain(asked.arguments(std::path::Path::new("/tmp/x y")));
        let Word::Kv(kv) = <Whole as clap::Parser>::parse_from(words).command;
        let Process::Cluster(args) = kv.process else { panic!("not a cluster") };
        let settings = args.settings();
        assert_eq!(settings.dir, PathBuf::from("/tmp/x y"));
        assert_eq!(
            (settings.replication, settings.failover, settings.port),
            (asked.replication, asked.failover, 17_400)
        );
        assert_eq!((settings.lag, settings.degrade_after), (asked.lag, asked.degrade_after));
        assert_eq!((Some(settings.check_every), Some(settings.failures)), (asked.check_every, asked.failures));
    }
}
