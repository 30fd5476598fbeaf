//! Runs the real binary with a state directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
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

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.blackstart().args(arguments).spawn().unwrap()
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
