//! Processes, threads and folders that end with the test: ended when what holds them is dropped, and by the kernel when
//! the test's process dies.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;

type Asked = (Command, Sender<std::io::Result<Child>>);

/// Starts processes from one thread: the kernel ends a child when the *thread* that started it is gone, and threads of
/// tests come and go.
pub struct Processes(Sender<Asked>);

impl Processes {
    pub fn start() -> Self {
        let (ask, asked) = channel::<Asked>();
        std::thread::spawn(move || {
            for (mut command, answer) in asked {
                // Whoever asked waits for it.
                let _gone = answer.send(command.spawn());
            }
        });
        Self(ask)
    }

    /// Starts what [`bound`] has made.
    pub fn spawn(&self, command: Command) -> Process {
        let (answer, answered) = channel();
        self.0.send((command, answer)).unwrap();
        Process(answered.recv().unwrap().unwrap())
    }
}

/// A command that the kernel kills when the thread that starts it is gone.
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A process, killed when it is dropped.
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Its own child: the pid cannot be another's.
        if let Err(e) = self.0.kill().and_then(|()| self.0.wait().map(|_| ())) {
            eprintln!("process {}: {e}", self.0.id());
        }
    }
}

/// A folder that goes with the test. Those of tests that were killed, and could not take theirs with them, go now.
pub fn folder(what: &str) -> TempDir {
    let (ground, prefix) = (crate::common::ground(), format!("blackstart-test-{what}-"));
    for entry in std::fs::read_dir(&ground).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of = name.strip_prefix(&prefix).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if of.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
            && let Err(e) = std::fs::remove_dir_all(entry.path())
        {
            eprintln!("{name}: {e}");
        }
    }
    tempfile::Builder::new().prefix(&format!("{prefix}{}-", std::process::id())).tempdir_in(ground).unwrap()
}

/// Something that goes on beside a test, on a thread and a runtime of its own, until it is dropped.
pub struct Beside {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// `make` is called on the new thread; its future is to end soon after its argument does.
    pub fn run<F: Future<Output = ()>>(make: impl FnOnce(oneshot::Receiver<()>) -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(make(stopped));
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("what went on beside the test has panicked");
        }
    }
}
