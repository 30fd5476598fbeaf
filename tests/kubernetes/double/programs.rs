//! What containers do: programs that a test scripts, for `exec` and for pods that run to an end, and ports that lead
//! to a socket of the test.

use super::json::{at, items, name, namespace, text};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// A program that is started in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    pub image: String,
    pub argv: Vec<String>,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub then: Then,
}

/// What becomes of the container, or of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// The container is started anew.
    Restart,
    /// The program does not end.
    Hang,
}

impl Ran {
    /// It wrote this and ended well.
    pub fn ok(stdout: &str) -> Self {
        Self { code: 0, stdout: stdout.to_owned(), stderr: String::new(), then: Then::Nothing }
    }

    /// It wrote this to its standard error and ended with a code.
    pub fn failed(code: i32, stderr: &str) -> Self {
        Self { code, stdout: String::new(), stderr: stderr.to_owned(), then: Then::Nothing }
    }

    /// It killed its own container.
    pub fn killed() -> Self {
        Self { then: Then::Restart, ..Self::failed(137, "") }
    }

    /// It runs for ever.
    pub fn hangs() -> Self {
        Self { then: Then::Hang, ..Self::ok("") }
    }
}

/// A script of a test; none if it knows nothing of the program. It must not use the double.
pub type Program = Arc<dyn Fn(&Run) -> Option<Ran> + Send + Sync>;

/// Where a port of pods leads; namespace and pod may be empty for all.
#[derive(Debug, Clone)]
pub struct Port {
    pub namespace: String,
    pub pod: String,
    pub port: u16,
    pub to: SocketAddr,
}

impl Port {
    pub fn fits(&self, namespace: &str, pod: &str, port: u16) -> bool {
        let one = |own: &str, asked: &str| own.is_empty() || own == asked;
        one(&self.namespace, namespace) && one(&self.pod, pod) && self.port == port
    }
}

/// The container of a pod as a program to run.
pub fn main_of(pod: &Value) -> Run {
    let container = at(pod, "/spec/containers/0");
    let words = |field: &str| items(container, field).iter().filter_map(Value::as_str).map(str::to_owned);
    Run {
        namespace: namespace(pod).to_owned(),
        pod: name(pod).to_owned(),
        container: text(container, "/name").to_owned(),
        image: text(container, "/image").to_owned(),
        argv: words("/command").chain(words("/args")).collect(),
    }
}

/// What a script says, the newest first.
pub fn scripted(programs: &[Program], run: &Run) -> Option<Ran> {
    programs.iter().rev().find_map(|program| program(run))
}

/// What a program does that no script knows: `kill` ends the container, `true` and `echo` do what they do.
pub fn plain(run: &Run) -> Ran {
    let words: Vec<&str> = run.argv.iter().flat_map(|a| a.split_whitespace()).collect();
    match words.first().copied() {
        _ if words.iter().any(|w| *w == "kill" || w.ends_with("/kill")) => Ran::killed(),
        Some("true") => Ran::ok(""),
        Some("echo") => Ran::ok(&format!("{}\n", words[1..].join(" "))),
        other => Ran::failed(127, &format!("{}: not found\n", other.unwrap_or_default())),
    }
}
