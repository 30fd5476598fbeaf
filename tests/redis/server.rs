//! Redis servers for tests: a single one, or the staging of three with Sentinels; brought up for a test and down when it
//! ends, also when it fails. And `redis-cli`, which shares no code with the crate.

use crate::common::{ground, output, until};
use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The password of single servers.
pub const PASSWORD: &str = "s3cret";

/// A command, as `redis-cli` with commands on its standard input: what it prints, a line each.
pub fn pipe(port: u16, password: &str, commands: &str) -> String {
    let mut cli = Command::new("redis-cli")
        .env("REDISCLI_AUTH", password)
        .args(["--no-auth-warning", "-h", "127.0.0.1", "-p", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    cli.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let out = cli.wait_with_output().unwrap();
    assert!(out.status.success(), "redis-cli: {}", out.status);
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}

/// A single server.
pub struct Single {
    _dir: TempDir,
    server: Child,
    pub port: u16,
}

impl Single {
    /// With options as on its command line.
    pub fn up(port: u16, options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-redis-").tempdir_in(ground()).unwrap();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD])
            .args(["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0", "--enable-debug-command", "local"])
            .arg("--dir")
            .arg(dir.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let single = Self { _dir: dir, server, port };
        until("it answers", || {
            let pong = Command::new("redis-cli")
                .env("REDISCLI_AUTH", PASSWORD)
                .args(["--no-auth-warning", "-h", "127.0.0.1", "-p", &port.to_string(), "ping"])
                .output();
            pong.is_ok_and(|pong| !pong.stdout.is_empty())
        });
        single
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, words: &[&str]) -> String {
        output(
            Command::new("redis-cli")
                .env("REDISCLI_AUTH", PASSWORD)
                .args(["--no-auth-warning", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .args(words),
        )
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        crate::common::signal(self.server.id(), signal);
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        // Its own child: the pid cannot be another's.
        if let Err(e) = self.server.kill().and_then(|()| self.server.wait().map(|_| ())) {
            eprintln!("redis-server: {e}");
        }
    }
}
