//! Commands of this machine: each in a process group of its own, ended as a group, output bounded. What a command's end
//! means is not known here.

use super::{AdapterError, Command, CommandOutput, Commands, Fut, Held, HeldProcess, host};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinHandle;

/// Output beyond this is read and thrown away.
const KEEP: usize = 1 << 20;
/// After its end, what a command wrote is read for so long: a daemon that it started may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(250);

/// The commands of this machine.
pub(super) struct SystemCommands;

/// Ends a process group when it is dropped, unless it ended by itself.
pub(super) struct Group(Option<Pid>);

impl Group {
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended meanwhile; then there is nothing to end.
            let _gone = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// What a pipe said so far; a task of its own reads on to its end, so that a daemon is never stopped by a full pipe.
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Tail {
    pub(super) fn of(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            let mut buffer = [0_u8; 8192];
            while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
                let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
                let room = KEEP.saturating_sub(kept.len()).min(n);
                kept.extend_from_slice(&buffer[..room]);
            }
        });
        Self { kept, task }
    }

    pub(super) async fn text(mut self) -> String {
        // Not aborted when the limit passes: dropping the handle lets the task read on.
        let _open = tokio::time::timeout(DRAIN, &mut self.task).await;
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

pub(super) fn start(command: &Command, stdin: Stdio) -> Result<(Child, Group), AdapterError> {
    let (program, arguments) =
        command.argv.split_first().ok_or_else(|| AdapterError::Other("a command without a program".to_owned()))?;
    let mut builder = tokio::process::Command::new(program);
    builder.args(arguments).envs(&command.env).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    builder.process_group(0).kill_on_drop(true);
    if let Some(cwd) = &command.cwd {
        builder.current_dir(cwd);
    }
    let child = builder.spawn().map_err(|e| not_started(command, program, &e))?;
    let group = Group::of(&child);
    Ok((child, group))
}

fn not_started(command: &Command, program: &str, cause: &std::io::Error) -> AdapterError {
    match &command.cwd {
        Some(cwd) if !cwd.is_dir() => {
            AdapterError::Missing(format!("cannot run `{program}`: no folder {}", cwd.display()))
        }
        _ if cause.kind() == std::io::ErrorKind::NotFound => {
            AdapterError::Missing(format!("cannot run `{program}`: it is not there"))
        }
        _ => AdapterError::Other(format!("cannot run `{program}`: {cause}")),
    }
}

async fn feed(stdin: Option<ChildStdin>, text: Option<&str>) {
    if let (Some(mut stdin), Some(text)) = (stdin, text) {
        // It need not read what it is given.
        let _unread = stdin.write_all(text.as_bytes()).await;
    }
}

async fn run(command: &Command) -> Result<CommandOutput, AdapterError> {
    let stdin = if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    let (child, group) = start(command, stdin)?;
    to_its_end(command, child, group).await
}

/// Feeds a started command and waits for its end.
pub(super) async fn to_its_end(
    command: &Command,
    mut child: Child,
    mut group: Group,
) -> Result<CommandOutput, AdapterError> {
    let (out, err) = (Tail::of(child.stdout.take()), Tail::of(child.stderr.take()));
    let pipe = child.stdin.take();
    let ended = tokio::time::timeout(command.timeout, async {
        tokio::join!(feed(pipe, command.stdin.as_deref()), child.wait()).1
    });
    let Ok(ended) = ended.await else {
        drop(group);
        let said = [out.text().await, err.text().await].concat();
        return Err(AdapterError::TimedOut(timed_out(command, &said)));
    };
    // Its children may live on: a command that starts a server ends, the server stays.
    group.0 = None;
    let status = ended.map_err(|e| AdapterError::Other(format!("cannot wait for `{}`: {e}", command.argv[0])))?;
    Ok(CommandOutput { status: status.code(), stdout: out.text().await, stderr: err.text().await })
}

fn timed_out(command: &Command, said: &str) -> String {
    let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing");
    format!("`{}` did not end within {:?}; it last said: {last}", command.argv.join(" "), command.timeout)
}

impl Commands for SystemCommands {
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(run(command))
    }

    fn find(&self, program: &str) -> Result<(), AdapterError> {
        let there = if program.contains('/') { Path::new(program).exists() } else { host::tool(program).is_some() };
        if there { Ok(()) } else { Err(AdapterError::Missing(format!("the program `{program}` is not there"))) }
    }

    fn hold<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<Held, AdapterError>> {
        Box::pin(hold(command))
    }
}

/// A program that lives until its standard input is closed.
struct HeldChild {
    child: Child,
    group: Group,
    stdin: Option<ChildStdin>,
}

async fn hold(command: &Command) -> Result<Held, AdapterError> {
    let (mut child, group) = start(command, Stdio::piped())?;
    let (stdin, err) = (child.stdin.take(), Tail::of(child.stderr.take()));
    let mut lines = BufReader::new(child.stdout.take().ok_or_else(|| AdapterError::Other("no output".into()))?).lines();
    let first = tokio::time::timeout(command.timeout, lines.next_line()).await;
    let program = &command.argv[0];
    let why = match first {
        Ok(Ok(Some(first_line))) => {
            drop(Tail::of(Some(lines.into_inner())));
            return Ok(Held { first_line, process: Box::new(HeldChild { child, group, stdin }) });
        }
        Ok(Ok(None)) => format!("`{program}` ended at once"),
        Ok(Err(e)) => format!("cannot read what `{program}` says: {e}"),
        Err(_) => format!("`{program}` was not ready within {:?}", command.timeout),
    };
    drop(stdin);
    // It has been told to end and may still have something to say.
    let _late = tokio::time::timeout(DRAIN, child.wait()).await;
    drop(group);
    let said = err.text().await;
    Err(AdapterError::Refused(if said.trim().is_empty() { why } else { format!("{why}: {}", said.trim()) }))
}

impl HeldProcess for HeldChild {
    fn end(mut self: Box<Self>, limit: Duration) -> Fut<'static, Result<(), AdapterError>> {
        Box::pin(async move {
            drop(self.stdin.take());
            if tokio::time::timeout(limit, self.child.wait()).await.is_ok() {
                self.group.0 = None;
                return Ok(());
            }
            self.group.signal(Signal::SIGKILL);
            Err(AdapterError::TimedOut(format!("it did not end within {limit:?} and was killed")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProcessState, Processes};
    use super::*;
    use std::collections::BTreeMap;

    fn sh(script: &str, timeout: Duration) -> Command {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        Command { argv, env: BTreeMap::new(), stdin: None, cwd: None, timeout }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn status_output_input_and_environment_go_through() {
        let mut command = sh("cat; echo \"$WORD\" >&2; exit 3", LONG);
        command.stdin = Some("hello".into());
        command.env.insert("WORD".into(), "there".into());
        let out = SystemCommands.run(&command).await.unwrap();
        assert_eq!((out.status, out.stdout.as_str(), out.stderr.as_str()), (Some(3), "hello", "there\n"));
        assert!(!format!("{command:?}").contains("there"));
    }

    #[tokio::test]
    async fn output_is_bounded_and_never_blocks_the_command() {
        let out = SystemCommands.run(&sh("head -c 3000000 /dev/zero | tr '\\0' x", LONG)).await.unwrap();
        assert_eq!((out.status, out.stdout.len()), (Some(0), KEEP));
    }

    #[tokio::test]
    async fn a_daemon_that_holds_the_pipe_does_not_hold_the_runner() {
        let out = SystemCommands.run(&sh("sleep 600 & echo $!", LONG)).await.unwrap();
        let world = super::super::process::SystemProcesses::new();
        let who = world.identify(out.stdout.trim().parse().unwrap()).unwrap().expect("it lives on");
        world.signal(&who, "KILL").unwrap();
    }

    async fn gone(pid: &str) {
        let world = super::super::process::SystemProcesses::new();
        let Some(who) = world.identify(pid.trim().parse().unwrap()).unwrap() else { return };
        for _ in 0..500 {
            if world.state(&who).unwrap() == ProcessState::Gone {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("pid {pid} lives on");
    }

    #[tokio::test]
    async fn a_timeout_and_a_drop_end_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; echo waiting; wait", file.display());
        let error = SystemCommands.run(&sh(&script, Duration::from_millis(700))).await.unwrap_err();
        assert!(matches!(&error, AdapterError::TimedOut(m) if m.contains("it last said: waiting")), "{error}");
        gone(&std::fs::read_to_string(&file).unwrap()).await;
        std::fs::remove_file(&file).unwrap();
        let command = sh(&script, LONG);
        let running = SystemCommands.run(&command);
        let seen = async {
            while !std::fs::read_to_string(&file).is_ok_and(|t| t.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! { _ = running => panic!("ended"), () = seen => {} }
        gone(&std::fs::read_to_string(&file).unwrap()).await;
    }

    #[tokio::test]
    async fn a_missing_program_or_folder_is_named() {
        let mut command = sh("true", LONG);
        command.cwd = Some("/nowhere/at/all".into());
        let text = SystemCommands.run(&command).await.unwrap_err().to_string();
        assert!(text.contains("/nowhere/at/all"), "{text}");
        command.cwd = None;
        command.argv = vec!["blackstart-no-such-tool".into()];
        assert!(
            matches!(SystemCommands.run(&command).await, Err(AdapterError::Missing(m)) if m.contains("no-such-tool"))
        );
    }

    #[tokio::test]
    async fn a_held_program_says_it_is_ready_and_ends_with_its_input() {
        let held = SystemCommands.hold(&sh("echo ready; cat", LONG)).await.unwrap();
        assert_eq!(held.first_line, "ready");
        held.process.end(LONG).await.unwrap();
        let error = SystemCommands.hold(&sh("echo port 1 is taken >&2; exit 69", LONG)).await.err().unwrap();
        assert!(matches!(&error, AdapterError::Refused(m) if m.contains("port 1 is taken")), "{error}");
        let stubborn = SystemCommands.hold(&sh("echo ready; sleep 600", LONG)).await.unwrap();
        assert!(stubborn.process.end(Duration::from_millis(50)).await.is_err());
    }
}
