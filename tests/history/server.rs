//! A PostgreSQL server of the tests' own: made in memory, on a fixed port of loopback, gone with the value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PORT: u16 = 16300;
const BIN: &str = "/usr/lib/postgresql/15/bin";
pub const PASSWORD: &str = "p@ss/w:rd";

pub struct Server {
    child: Child,
    _dir: TempDir,
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &str) -> Command {
    let program = format!("{BIN}/{program}");
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--pdeathsig", "KILL", &program]);
        command
    } else {
        Command::new(program)
    }
}

fn ground() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if nix::unistd::access(memory, nix::unistd::AccessFlags::W_OK).is_ok() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-index.").tempdir_in(ground()).unwrap();
        let (data, password) = (dir.path().join("data"), dir.path().join("password"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&password, PASSWORD).unwrap();
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").unwrap().expect("Debian's postgresql makes this user");
            for path in [dir.path(), &data, &password] {
                nix::unistd::chown(path, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let made = as_postgres("initdb")
            .args(["-U", "me", "-A", "scram-sha-256", "-N", "-E", "UTF8", "--locale", "C.UTF-8", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let child = as_postgres("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &PORT.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "max_connections=20"])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, _dir: dir };
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.ask("postgres", "select 1").as_deref() != Some("1") {
            assert!(Instant::now() < deadline, "PostgreSQL did not come up on port {PORT}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The URL of a database without the password, as a user may write it on a command line.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://me@127.0.0.1:{PORT}/{database}?sslmode=disable")
    }

    /// With it.
    pub fn whole_url(&self, database: &str) -> String {
        self.url(database).replacen("me@", "me:p%40ss%2Fw%3Ard@", 1)
    }

    /// Says something by psql; none if it could not be said.
    pub fn ask(&self, database: &str, sql: &str) -> Option<String> {
        let asked = Command::new(format!("{BIN}/psql"))
            .args(["-XAtq", "-h", "127.0.0.1", "-p", &PORT.to_string(), "-U", "me", "-d", database, "-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        asked.status.success().then(|| String::from_utf8(asked.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown takes its children along.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT).ok();
        self.child.wait().ok();
    }
}
