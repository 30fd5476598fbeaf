//! Runs the real binary with a state directory of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder to work in: `state/` for the tool, everything else for the test.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// A new one on a disk (a state directory in memory is refused).
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("blackstart-cli.").tempdir_in("/var/tmp").unwrap() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file with this content.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary, ready to be given arguments.
    pub fn blackstart(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .current_dir(self.path())
            .env("BLACKSTART_STATE_DIR", self.path().join("state"))
            .env_remove("NO_COLOR")
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.blackstart().args(arguments).output().unwrap())
    }

    /// The folder of the only run of a drill.
    #[track_caller]
    pub fn only_run(&self, drill: &str) -> PathBuf {
        let mut runs: Vec<PathBuf> = std::fs::read_dir(self.path().join(drill))
            .unwrap_or_else(|e| panic!("{drill}: {e}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// The events of a run's journal.
    pub fn events(&self, dir: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Nobody listens on a staging's ports, and no process of a staging below this folder lives.
    #[track_caller]
    pub fn nothing_left(&self, port: u16) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.left(port);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn left(&self, port: u16) -> Vec<String> {
        let listening = |port: &u16| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok();
        let mut left: Vec<String> = (port..port + 5).filter(listening).map(|port| format!("port {port}")).collect();
        let here = self.path().to_string_lossy().into_owned();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(" kv ") && line.contains(&here) {
                left.push(line);
            }
        }
        left
    }

    /// A process that does nothing, its pid in a file; gone with the value.
    pub fn sleeper(&self, file: &str) -> Sleeper {
        let none = Stdio::null;
        let child = Command::new("sleep").arg("300").stdin(none()).stdout(none()).stderr(none()).spawn().unwrap();
        self.file(file, &child.id().to_string());
        Sleeper(child)
    }

    /// Its state letter in /proc; `-` if it is gone.
    pub fn state_of(&self, pid: u32) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('-')
    }

    /// Ends the process whose pid is in a file.
    pub fn end_pid(&self, file: &str) {
        let pid = std::fs::read_to_string(self.path().join(file)).unwrap().trim().parse().unwrap();
        // It may be gone already.
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.blackstart().args(arguments).spawn().unwrap()
    }
}

/// A process that does nothing.
pub struct Sleeper(pub Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How it ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// From a process's output.
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It ended with this code; says everything if not.
    #[track_caller]
    pub fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "\n── out\n{}\n── err\n{}", self.out, self.err);
        self
    }
}
