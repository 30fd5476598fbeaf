//! What tests of data systems share: where their servers live, one at a time, commands and waiting.

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One test at a time has stagings of this system: two cores are shared. Held until dropped.
pub fn one_at_a_time(system: &str) -> Flock<File> {
    let file = File::create(std::env::temp_dir().join(format!("blackstart-tests-{system}.lock"))).unwrap();
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

/// Looks again and again until it holds; says what it waited for if it never does.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Sends a signal to a process that a test started; one that stops it has taken effect on all its threads at return.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    let stopped = |task: &Path| {
        // After the name, which may hold anything, stands the state.
        let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    };
    if signal == Signal::SIGSTOP {
        until("all its threads stand still", || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            tasks.flatten().all(|task| stopped(&task.path()))
        });
    }
}

/// A certificate of its own for 127.0.0.1, and its key, in a folder that a server can read.
pub fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("server.crt"), folder.join("server.key"));
    output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert),
    );
    (cert, key)
}
