//! Helper processes: detached children of our own program that hold a fault while the runner may die. They are found by
//! their command line, `blackstart helper --owner TAG KIND PARAMETERS`, with no record at all. What they do is in `helpers`.

use super::guardian::Ends;
use super::process::SystemProcesses;
use super::{AdapterError, Fut, ProcessState, Processes};
use crate::model::{Owner, ProcessIdentity};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// The word after the program's name.
const COMMAND: &str = "helper";
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Helper processes.
pub trait Helpers: Send + Sync {
    /// Starts one in a session of its own; its first line when it is ready. It outlives the runner.
    fn start<'a>(
        &'a self,
        owner: &'a Owner,
        kind: &'a str,
        parameters: &'a serde_json::Value,
        limit: Duration,
    ) -> Fut<'a, Result<String, AdapterError>>;
    /// Starts one that lives only as long as its runner, with a pipe in each direction; `name` is for whoever looks at
    /// the list of processes. Worlds without processes have none.
    ///
    /// # Errors
    /// When it cannot be started.
    fn attach(&self, owner: &Owner, kind: &str, name: &str) -> Result<Attached, AdapterError> {
        Err(AdapterError::Missing(format!("no process `{kind}` {name} of {owner} can be started here")))
    }
    /// All live helpers that we may end, with their owners' tags, whoever started them.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    fn all(&self) -> Result<Vec<(String, ProcessIdentity)>, AdapterError>;
    /// The names of runs whose guardians live, whoever started them.
    ///
    /// # Errors
    /// As `all`.
    fn guardians(&self) -> Result<Vec<String>, AdapterError> {
        Ok(Vec::new())
    }
    /// Those of this owner.
    ///
    /// # Errors
    /// As `all`.
    fn find(&self, owner: &Owner) -> Result<Vec<ProcessIdentity>, AdapterError> {
        let tag = owner.tag();
        Ok(self.all()?.into_iter().filter(|(of, _)| *of == tag).map(|(_, process)| process).collect())
    }
    /// Ends all of this owner: SIGTERM, after half of the limit SIGKILL; returns when they are gone.
    fn end<'a>(&'a self, owner: &'a Owner, limit: Duration) -> Fut<'a, Result<(), AdapterError>>;
}

/// A helper that lives only as long as its runner.
pub struct Attached {
    /// What it says, and where it is told.
    pub ends: Ends,
    /// Its process.
    pub process: AttachedProcess,
}

/// Its process, which is killed when this is dropped.
pub struct AttachedProcess(tokio::process::Child);

impl AttachedProcess {
    /// Waits until it has ended, the pipe to it being closed; kills it after the limit.
    pub async fn end(mut self, limit: Duration) {
        if tokio::time::timeout(limit, self.0.wait()).await.is_err() {
            // One that is gone already is what was wanted.
            let _gone = self.0.kill().await;
        }
    }
}

/// Helpers of this machine.
pub(super) struct SystemHelpers {
    program: Option<PathBuf>,
    processes: SystemProcesses,
}

impl SystemHelpers {
    /// Of this program; of the one that runs if none is given.
    pub(super) fn of(program: Option<PathBuf>) -> Self {
        Self { program, processes: SystemProcesses::new() }
    }

    fn command(&self, owner: &Owner, kind: &str, parameters: &str) -> std::process::Command {
        use std::os::unix::process::CommandExt;
        // The file behind it stays the one that runs, also when an upgrade has replaced it.
        let program = self.program.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let mut command = std::process::Command::new(program);
        command.arg0("blackstart").args([COMMAND, "--owner", &owner.tag(), kind, parameters]);
        command.current_dir("/").env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn started(
        &self,
        command: std::process::Command,
        kind: &str,
        limit: Duration,
    ) -> Result<String, AdapterError> {
        let cannot = |why: String| AdapterError::Other(format!("cannot start the helper `{kind}`: {why}"));
        let mut child = tokio::process::Command::from(command).spawn().map_err(|e| cannot(e.to_string()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut lines = BufReader::new(out.ok_or_else(|| cannot("it has no output".to_owned()))?).lines();
        match tokio::time::timeout(limit, lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(_) => {
                let mut said = String::new();
                if let Some(err) = err {
                    let _late = tokio::time::timeout(limit, err.take(4096).read_to_string(&mut said)).await;
                }
                Err(AdapterError::Refused(format!("the helper `{kind}` does not start: {}", said.trim())))
            }
            Err(_) => {
                drop(child.start_kill());
                Err(AdapterError::TimedOut(format!("the helper `{kind}` was not ready within {limit:?}")))
            }
        }
    }

    fn signal(&self, owner: &Owner, signal: &str) -> Result<(), AdapterError> {
        for process in self.find(owner)? {
            match self.processes.signal(&process, signal) {
                Err(AdapterError::Missing(_)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The command lines of all processes that we may end.
fn command_lines() -> Result<Vec<(i32, Vec<u8>)>, AdapterError> {
    let me = nix::unistd::geteuid();
    let ours = |pid: &i32| {
        let of = std::fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
        of.is_ok_and(|user| me.is_root() || user == me.as_raw())
    };
    let line = |pid: i32| Some((pid, std::fs::read(format!("/proc/{pid}/cmdline")).ok()?));
    Ok(super::process::all_pids()?.into_iter().filter(ours).filter_map(line).collect())
}

/// The run's name, if these are the words of its guardian.
fn guarded(command_line: &[u8]) -> Option<String> {
    let words: Vec<&str> =
        command_line.split(|b| *b == 0).map(|w| std::str::from_utf8(w).unwrap_or_default()).collect();
    let own = words.first()?.rsplit('/').next() == Some("blackstart") && *words.get(1)? == "guardian";
    words.get(2).filter(|run| own && !run.is_empty()).map(|run| (*run).to_owned())
}

/// The owner's tag, if these are the words of a helper of ours.
fn tag_of(command_line: &[u8]) -> Option<String> {
    let words: Vec<&str> =
        command_line.split(|b| *b == 0).map(|w| std::str::from_utf8(w).unwrap_or_default()).collect();
    let own = words.first()?.rsplit('/').next() == Some("blackstart") && words.get(1..3)? == [COMMAND, "--owner"];
    words.get(3).filter(|tag| own && Owner::is_tag(tag)).map(|tag| (*tag).to_owned())
}

impl Helpers for SystemHelpers {
    fn start<'a>(
        &'a self,
        owner: &'a Owner,
        kind: &'a str,
        parameters: &'a serde_json::Value,
        limit: Duration,
    ) -> Fut<'a, Result<String, AdapterError>> {
        Box::pin(self.started(self.command(owner, kind, &parameters.to_string()), kind, limit))
    }

    fn attach(&self, owner: &Owner, kind: &str, name: &str) -> Result<Attached, AdapterError> {
        let failed = |e: String| AdapterError::Other(format!("cannot start the process `{kind}` {name}: {e}"));
        let mut command = self.command(owner, kind, name);
        // What it has to say to people goes where this process's own messages go; paths mean what they mean here.
        command.stdin(Stdio::piped()).stderr(Stdio::inherit());
        command.current_dir(std::env::current_dir().map_err(|e| failed(e.to_string()))?);
        let kept = ["SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"];
        command.envs(kept.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        let mut builder = tokio::process::Command::from(command);
        let mut child = builder.kill_on_drop(true).spawn().map_err(|e| failed(e.to_string()))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let ends = Ends { from: Box::new(from), to: Box::new(to) };
        Ok(Attached { ends, process: AttachedProcess(child) })
    }

    fn all(&self) -> Result<Vec<(String, ProcessIdentity)>, AdapterError> {
        let mut found = Vec::new();
        for (pid, line) in command_lines()? {
            let Some(tag) = tag_of(&line) else { continue };
            found.extend(self.processes.identify(pid)?.map(|process| (tag, process)));
        }
        Ok(found)
    }

    fn guardians(&self) -> Result<Vec<String>, AdapterError> {
        Ok(command_lines()?.iter().filter_map(|(_, line)| guarded(line)).collect())
    }

    fn end<'a>(&'a self, owner: &'a Owner, limit: Duration) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            for (signal, last) in [("TERM", false), ("KILL", true)] {
                self.signal(owner, signal)?;
                let mut waited = Duration::ZERO;
                loop {
                    let mut left = self.find(owner)?;
                    left.retain(|p| self.processes.state(p).is_ok_and(|state| state != ProcessState::Gone));
                    if left.is_empty() {
                        return Ok(());
                    }
                    if waited >= limit / 2 {
                        break;
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                    waited += LOOK_EVERY;
                }
                if last {
                    return Err(AdapterError::TimedOut(format!("the helpers of {owner} do not end")));
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_known_by_its_command_line() {
        let line = |words: &[&str]| words.join("\0").into_bytes();
        let tag = Owner { run: "r1".into(), fault: "f1".into() }.tag();
        assert_eq!(tag_of(&line(&["blackstart", "helper", "--owner", &tag, "proxy", "{}"])), Some(tag.clone()));
        assert_eq!(tag_of(&line(&["/usr/bin/blackstart", "helper", "--owner", &tag])), Some(tag.clone()));
        assert_eq!(guarded(&line(&["blackstart", "guardian", "r1"])), Some("r1".to_owned()));
        assert_eq!(guarded(&line(&["vi", "guardian", "r1"])), None);
        for other in [
            line(&["vi", "helper", "--owner", &tag]),
            line(&["blackstart", "run", "--owner", &tag]),
            line(&["blackstart", "helper", "--owner", "x"]),
            line(&["blackstart", "helper"]),
            Vec::new(),
        ] {
            assert_eq!(tag_of(&other), None);
        }
    }
}
