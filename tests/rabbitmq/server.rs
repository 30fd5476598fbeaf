//! A RabbitMQ for tests: the staging of one node, brought up for a test and down when it ends, also when it fails. And pika,
//! a client that shares no code with the crate.

use crate::common::{ground, one_at_a_time, output, scripts, until};
use nix::fcntl::Flock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What pika's script prints, for a node of a staging.
pub fn pika(dir: &Path, port: u16, words: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rabbitmq/client.py");
    // Debian's own, which has Debian's pika.
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).arg(port.to_string()).arg(dir.join("app.password"));
    output(command.args(words))
}

/// The staging of one node, or of three.
pub struct Staging {
    pub dir: PathBuf,
    pub base: u16,
    _lock: Flock<File>,
}

impl Staging {
    /// One node, with lines of configuration besides its own.
    pub fn single(base: u16, more: &Path) -> Self {
        let lock = one_at_a_time("rabbitmq");
        let staging = Self { dir: ground().join(format!("blackstart-test-rabbitmq-{base}")), base, _lock: lock };
        let mut up = staging.command("up.sh");
        output(up.args(["--base-port", &base.to_string(), "--single", "--no-copies", "--more"]).arg(more));
        staging
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(scripts().join("rabbitmq").join(script));
        command.arg("--dir").arg(&self.dir);
        command
    }

    pub fn password(&self) -> String {
        std::fs::read_to_string(self.dir.join("app.password")).unwrap().trim().to_owned()
    }

    /// As the application's user.
    pub fn url(&self) -> String {
        format!("amqp://app:{}@127.0.0.1:{}", self.password(), self.base + 1)
    }

    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + 4)
    }

    /// What management answers.
    pub fn api(&self, path: &str, options: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-f", "-H", "content-type: application/json", "-K"]).arg(self.dir.join("curlrc"));
        output(command.args(options).arg(format!("{}/api{path}", self.management())))
    }

    /// What pika's script prints.
    pub fn pika(&self, words: &[&str]) -> String {
        pika(&self.dir, self.base + 1, words)
    }

    fn pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.dir.join("pids/r1")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        crate::common::signal(self.pid().try_into().unwrap(), signal);
    }

    pub fn kill(&self) {
        let pid = self.pid();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        // All of its threads: the last one closes its connections.
        until("it is gone", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])) && threads <= 1
        });
    }

    /// Starts it again with the data that it has.
    pub fn start_again(&self) {
        output(self.command("start.sh").arg("r1"));
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A failing test still leaves nothing running; its own panic is what counts.
        if let Err(e) = self.command("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}
