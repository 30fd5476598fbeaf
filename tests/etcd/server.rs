//! etcd servers for tests: a single member, or the staging of three; brought up for a test and down when it ends, also when
//! it fails. And `etcdctl`, which shares no code with the crate.

use crate::common::{ground, one_at_a_time, output, scripts, until};
use nix::fcntl::Flock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What `etcdctl` prints.
pub fn ctl(endpoints: &str, words: &[&str]) -> String {
    output(Command::new("etcdctl").env("ETCDCTL_API", "3").args(["--endpoints", endpoints]).args(words))
}

/// A single member; its peers' port is the next one.
pub struct Single {
    dir: TempDir,
    server: Child,
    pub port: u16,
    options: Vec<String>,
}

impl Single {
    /// With options as on its command line.
    pub fn up(port: u16, options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-etcd-").tempdir_in(ground()).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = start(&dir, "http", port, &options);
        let single = Self { dir, server, port, options };
        single.answers();
        single
    }

    /// One that speaks TLS with clients.
    pub fn up_by_tls(port: u16, cert: &str, key: &str, more: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-etcd-").tempdir_in(ground()).unwrap();
        let options = [&["--cert-file", cert, "--key-file", key], more].concat();
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        let server = start(&dir, "https", port, &options);
        let single = Self { dir, server, port, options };
        let at = format!("https://127.0.0.1:{port}");
        until("it answers", || {
            let mut status = Command::new("etcdctl");
            status.env("ETCDCTL_API", "3").args(["--endpoints", &at, "--cacert", cert]);
            status.args(["--cert", cert, "--key", key, "endpoint", "status"]);
            status.stdin(Stdio::null()).output().is_ok_and(|done| done.status.success())
        });
        single
    }

    fn answers(&self) {
        until("it answers", || {
            let mut health = Command::new("etcdctl");
            health.env("ETCDCTL_API", "3").args(["--endpoints", &self.at(), "endpoint", "status"]);
            health.stdin(Stdio::null()).output().is_ok_and(|done| done.status.success())
        });
    }

    fn at(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("etcd://127.0.0.1:{}", self.port)
    }

    /// What `etcdctl` prints for a command.
    pub fn ctl(&self, words: &[&str]) -> String {
        ctl(&self.at(), words)
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again with the data that it has.
    pub fn start_again(&mut self) {
        self.server = start(&self.dir, "http", self.port, &self.options);
        self.answers();
    }

    pub fn signal(&self, signal: Signal) {
        crate::common::signal(self.server.id(), signal);
    }
}

fn start(dir: &TempDir, scheme: &str, port: u16, options: &[String]) -> Child {
    let (clients, peers) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    let log = File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
    Command::new("etcd")
        .args(["--name", "only", "--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("only={peers}")])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Single {
    fn drop(&mut self) {
        // Its own child: the pid cannot be another's.
        if let Err(e) = self.server.kill().and_then(|()| self.server.wait().map(|_| ())) {
            eprintln!("etcd: {e}");
        }
    }
}

/// The staging of three.
pub struct Three {
    dir: PathBuf,
    base: u16,
    _lock: Flock<File>,
}

impl Three {
    pub fn up(base: u16) -> Self {
        let lock = one_at_a_time("etcd");
        let three = Self { dir: ground().join(format!("blackstart-test-etcd-{base}")), base, _lock: lock };
        output(three.command("up.sh").args(["--base-port", &base.to_string()]));
        three
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(scripts().join("etcd").join(script));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Runs one of the staging's scripts.
    pub fn run(&self, script: &str, words: &[&str]) -> String {
        output(self.command(script).args(words))
    }

    /// Kills what a script names by pids, one a line.
    pub fn kill(&self, role: &str) -> Vec<String> {
        let said = self.run("role-pids.sh", &[role]);
        for pid in said.lines().filter_map(|line| line.parse().ok()) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        let names = said.lines().find_map(|line| line.strip_prefix("names=")).unwrap();
        names.split(' ').map(str::to_owned).collect()
    }

    /// Of all members, or of one.
    pub fn url(&self, member: Option<u16>) -> String {
        let at = |member| format!("127.0.0.1:{}", self.base + member);
        let list: Vec<String> = member.map_or_else(|| (1..=3).map(at).collect(), |member| vec![at(member)]);
        format!("etcd://{}", list.join(","))
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        // A failing test still leaves nothing running; its own panic is what counts.
        if let Err(e) = self.command("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}
