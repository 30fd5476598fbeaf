//! The embedded staging's store as real processes, for tests that bring clients of their own.

use crate::ports::five_free;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A real cluster that outlives the runner; it ends with its standard input.
pub struct Cluster {
    child: Child,
    pub dir: Option<tempfile::TempDir>,
    pub port: u16,
}

impl Cluster {
    /// One that answers. A port may be taken by others before it is used: then with other ports.
    pub fn up() -> Self {
        for _ in 0..20 {
            let (dir, port) = (tempfile::tempdir().unwrap(), five_free());
            let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
            command.args(["kv", "cluster", "--lag", "0ms", "--port", &port.to_string(), "--dir"]).arg(dir.path());
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            if BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap() > 0 {
                return Self { child, dir: Some(dir), port };
            }
            let _taken = child.wait();
        }
        panic!("no cluster came up");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
        // Last, for its processes write there.
        drop(self.dir.take());
    }
}
