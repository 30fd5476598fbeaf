//! Doubles of mongod for tests: a single one, or the staging of three; brought up for a test and down when it ends, also when
//! it fails. And pymongo, which shares no code with the crate.

use crate::common::{ground, one_at_a_time, output, scripts, until};
use nix::fcntl::Flock;
use nix::sys::signal::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Of the only user of single servers.
pub const PASSWORD: &str = "s3cret";
const PYTHON: &str = "/var/cache/blackstart-tests/pymongo/bin/python3";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mongodb")
}

/// Python with pymongo.
pub fn python(script: &str) -> Command {
    assert!(Path::new(PYTHON).exists(), "{PYTHON} is not there: run tests/install.sh");
    let mut command = Command::new(PYTHON);
    command.arg("-B").arg(here().join(script));
    command
}

/// What a few lines of pymongo print.
pub fn pymongo(url: &str, code: &str) -> String {
    output(python("client.py").args([url, code]))
}

/// A single server.
pub struct Single {
    dir: TempDir,
    server: Child,
    pub port: u16,
    options: Vec<String>,
}

impl Single {
    /// A set of one, with a user `root`.
    pub fn up(port: u16) -> Self {
        Self::with(port, &["--replSet", "one"], "")
    }

    /// With options as on its command line; `tls` are options of the URL.
    pub fn with(port: u16, options: &[&str], tls: &str) -> Self {
        let single = Self::bare(port, options);
        let nobody = format!("mongodb://127.0.0.1:{port}/admin?directConnection=true{tls}");
        until("it has a user", || {
            let code = format!("db.command('createUser', 'root', pwd='{PASSWORD}', roles=['root'])");
            let made = python("client.py").args([&nobody, &code]).stdin(Stdio::null()).output();
            made.is_ok_and(|made| made.status.success())
        });
        single
    }

    /// Without users.
    pub fn bare(port: u16, options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-mongodb-").tempdir_in(ground()).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = start(&dir, port, &options);
        let single = Self { dir, server, port, options };
        until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        single
    }

    pub fn url(&self) -> String {
        self.url_of("root", PASSWORD, "")
    }

    /// With options behind.
    pub fn url_of(&self, user: &str, password: &str, options: &str) -> String {
        format!("mongodb://{user}:{password}@127.0.0.1:{}/shop?authSource=admin{options}", self.port)
    }

    /// What a few lines of pymongo print.
    pub fn say(&self, code: &str) -> String {
        pymongo(&self.url(), code)
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again with the data that it has.
    pub fn start_again(&mut self) {
        self.server = start(&self.dir, self.port, &self.options);
        until("it answers", || {
            let ping = python("client.py").args([&self.url(), "db.whole.delete_one({'_id': 0})"]).output();
            ping.is_ok_and(|ping| ping.status.success())
        });
    }

    pub fn signal(&self, signal: Signal) {
        crate::common::signal(self.server.id(), signal);
    }
}

fn start(dir: &TempDir, port: u16, options: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
    python("double/mongod_double.py")
        .args(["--port", &port.to_string()])
        .arg("--dbpath")
        .arg(dir.path())
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
            eprintln!("mongod double: {e}");
        }
    }
}

/// The staging of three.
pub struct Three {
    pub dir: PathBuf,
    base: u16,
    _lock: Flock<File>,
}

impl Three {
    pub fn up(base: u16) -> Self {
        let lock = one_at_a_time("mongodb");
        let three = Self { dir: ground().join(format!("blackstart-test-mongodb-{base}")), base, _lock: lock };
        output(three.command("up.sh").args(["--base-port", &base.to_string()]));
        three
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(scripts().join("mongodb-double").join(script));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Runs one of the staging's scripts.
    pub fn run(&self, script: &str, words: &[&str]) -> String {
        output(self.command(script).args(words))
    }

    /// Pids of whoever has this role now, and the names.
    pub fn role(&self, role: &str) -> (Vec<u32>, Vec<String>) {
        let said = self.run("role-pids.sh", &[role]);
        let names = said.lines().find_map(|line| line.strip_prefix("names=")).unwrap();
        let pids = said.lines().filter_map(|line| line.parse().ok()).collect();
        (pids, names.split(' ').map(str::to_owned).collect())
    }

    /// Waits until another member is primary than this one.
    pub fn elects_another_than(&self, name: &str) {
        until("another member is primary", || {
            self.command("is-primary.sh").args(["--not", name]).output().is_ok_and(|done| done.status.success())
        });
    }

    fn password(&self, user: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("{user}.password"))).unwrap().trim().to_owned()
    }

    /// Of the set, with options behind.
    pub fn url(&self, options: &str) -> String {
        let hosts: Vec<String> = (1..=3).map(|member| format!("127.0.0.1:{}", self.base + member)).collect();
        let password = self.password("app");
        format!("mongodb://app:{password}@{}/shop?replicaSet=rs0&authSource=admin{options}", hosts.join(","))
    }

    /// Of one member by itself.
    pub fn member(&self, user: &str, number: u16) -> String {
        let (password, port) = (self.password(user), self.base + number);
        format!("mongodb://{user}:{password}@127.0.0.1:{port}/shop?authSource=admin&directConnection=true")
    }

    /// Tells all members to lie in this way.
    pub fn violate(&self, violation: &str) {
        for member in 1..=3 {
            let code = format!("mongo.admin.command('doubleViolate', '{violation}')");
            pymongo(&self.member("root", member), &code);
        }
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
