//! The staging of a primary and a standby, brought up for a test and down when it ends; and SQL by `psql`, which shares
//! no code with the crate.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One test at a time has PostgreSQL servers: two cores are shared. Held until dropped.
pub fn one_at_a_time() -> Flock<File> {
    let file = File::create(std::env::temp_dir().join("blackstart-tests-postgres.lock")).unwrap();
    Flock::lock(file, FlockArg::LockExclusive).unwrap()
}

/// Where tests keep servers' data: in memory if there is such a place, for a shared disk makes every wait longer.
pub fn ground() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let writable = nix::unistd::access(memory, nix::unistd::AccessFlags::W_OK).is_ok();
    if writable { memory.to_path_buf() } else { std::env::temp_dir() }
}

/// The folder of the stagings.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/staging")
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out.trim_end().to_owned()
}

/// A running pair.
pub struct Pair {
    dir: PathBuf,
    base: u16,
    _lock: Flock<File>,
}

impl Pair {
    /// Brings one up with its ports from `base` on.
    pub fn up(base: u16, flags: &[&str]) -> Self {
        let lock = one_at_a_time();
        let dir = ground().join(format!("blackstart-test-pair-{base}"));
        let pair = Self { dir, base, _lock: lock };
        output(pair.command("up.sh").args(["--base-port", &base.to_string()]).args(flags));
        pair
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(scripts().join("postgres-pair").join(script));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Runs one of the staging's scripts.
    pub fn run(&self, script: &str, args: &[&str]) -> String {
        output(self.command(script).args(args))
    }

    /// The last line of a script that prints pids.
    pub fn pid(&self, script: &str) -> i32 {
        self.run(script, &[]).lines().last().unwrap().parse().unwrap()
    }

    /// The postmaster of a node, as its own pid file says.
    pub fn postmaster(&self, node: &str) -> i32 {
        let text = std::fs::read_to_string(self.dir.join(node).join("data/postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// A file of the staging.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn password(&self) -> String {
        std::fs::read_to_string(self.dir.join("app.password")).unwrap().trim().to_owned()
    }

    /// The application's URL on the clients' port (0), or on that of node 1 or 2.
    pub fn url(&self, node: u16) -> String {
        let port = if node == 0 { self.base } else { self.base + 20 + node };
        format!("postgresql://app:{}@127.0.0.1:{port}/app", self.password())
    }

    /// What `psql` prints for a statement, as superuser on node 1 or 2.
    pub fn psql(&self, node: u16, database: &str, statement: &str) -> String {
        output(
            Command::new("psql")
                .env("PGPASSFILE", self.dir.join("pgpass"))
                .args(["-h", "127.0.0.1", "-U", "postgres", "-XqAt", "-v", "ON_ERROR_STOP=1"])
                .args(["-p", &(self.base + 20 + node).to_string(), "-d", database, "-c", statement]),
        )
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A failing test still leaves nothing running; its own panic is what counts.
        if let Err(e) = self.command("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}
