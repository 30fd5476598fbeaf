//! One node as its supervisor holds it: starting its process, hearing that it is up, its pid files, and its end.

use super::StagingError;
use super::cluster::ClusterSettings;
use super::node::Role;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

const START_LIMIT: Duration = Duration::from_secs(20);

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub name: &'static str,
    pub http: SocketAddr,
    pub replication: SocketAddr,
}

/// The places of both nodes, five ports from the router's on.
pub(super) fn places(port: u16) -> Result<[Place; 2], StagingError> {
    let last = port.checked_add(4).filter(|_| port > 0).ok_or(StagingError::PortRange(port))?;
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Ok([
        Place { name: "a", http: at(last - 3), replication: at(last - 1) },
        Place { name: "b", http: at(last - 2), replication: at(last) },
    ])
}

/// A node's process that has said that it is up.
#[derive(Debug)]
pub(super) struct Process {
    pub pid: u32,
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Ends its standard input, which ends it unless it is frozen; says which process that was.
    pub fn dismiss(&mut self) -> u32 {
        self.stdin = None;
        self.pid
    }
}

/// Starts a node and waits until it says that it is up. The `Child` is for whoever waits for its end.
pub(super) async fn start(
    settings: &ClusterSettings,
    own: Place,
    peer: Place,
    role: Role,
    term: u64,
) -> Result<(Process, Child), StagingError> {
    let failed = |reason: String| StagingError::NodeFailed { node: own.name, reason };
    let log = settings.dir.join(format!("{}.log", own.name));
    let complaints = std::fs::File::create(&log).map_err(|cause| StagingError::file("cannot write", &log, cause))?;
    let mut child = Command::new(program())
        .args(arguments(settings, own, peer, role, term))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(complaints)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| failed(cause.to_string()))?;
    let (Some(pid), Some(stdin), Some(stdout)) = (child.id(), child.stdin.take(), child.stdout.take()) else {
        return Err(failed("it ended at once".to_owned()));
    };
    let mut line = String::new();
    let said = tokio::time::timeout(START_LIMIT, BufReader::new(stdout).read_line(&mut line)).await;
    match said {
        Ok(Ok(count)) if count > 0 => Ok((Process { pid, stdin: Some(stdin) }, child)),
        Ok(_) => Err(failed(last_words(&log))),
        Err(_) => Err(failed(format!("it said nothing within {} s", START_LIMIT.as_secs()))),
    }
}

fn arguments(settings: &ClusterSettings, own: Place, peer: Place, role: Role, term: u64) -> Vec<String> {
    let mut words = vec!["kv".to_owned(), "node".to_owned()];
    let mut put = |name: &str, value: String| words.extend([name.to_owned(), value]);
    put("--name", own.name.to_owned());
    put("--dir", settings.dir.display().to_string());
    put("--port", own.http.port().to_string());
    put("--replication-port", own.replication.port().to_string());
    put("--peer", peer.replication.to_string());
    put("--role", role.word().to_owned());
    put("--term", term.to_string());
    put("--replication", settings.replication.word().to_owned());
    put("--lag", format!("{}us", settings.lag.as_micros()));
    put("--parent", std::process::id().to_string());
    if let Some(limit) = settings.degrade_after {
        put("--degrade-after", format!("{}us", limit.as_micros()));
    }
    words.extend(settings.violations.arguments());
    words
}

/// This program, also when its file was replaced while it runs.
fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).map_or_else(|| "it ended at once".to_owned(), str::to_owned)
}

/// Writes a pid file so that a reader sees the old pid or the new one, never half of one.
pub(super) fn write_pid(dir: &Path, name: &str, pid: u32) -> Result<(), StagingError> {
    let (path, draft) = (dir.join(format!("{name}.pid")), dir.join(format!(".{name}.pid.new")));
    std::fs::write(&draft, format!("{pid}\n"))
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|cause| StagingError::file("cannot write", &path, cause))
}

/// How a process ended, in words.
pub(super) fn ending(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|cause| format!("not known: {cause}"), |status| status.to_string())
}
