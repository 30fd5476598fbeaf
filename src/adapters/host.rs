//! Looks at this machine: kernel, user, files, ports, tools, clocks. Read-only; a network namespace that a look needs
//! is its own and gone when the look ends. What a look means is said by `cli::doctor`.

use crate::clock::Clock;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a tool said when it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It did it.
    Works,
    /// It is not there, or it said no.
    Fails(String),
}

/// The first line of a file of /proc or /sys, without its line break.
#[must_use]
pub fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(str::to_owned)
}

/// The kernel's release, and its first two numbers.
#[must_use]
pub fn kernel() -> Option<(String, (u32, u32))> {
    let release = line("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    let version = (numbers.next()?, numbers.next()?);
    Some((release, version))
}

/// The machine's name.
#[must_use]
pub fn name() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

/// Is it root?
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Open files that one process may have: now, and as far as it may raise that itself.
#[must_use]
pub fn descriptors() -> Option<(u64, u64)> {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).ok()
}

/// The program's path, searched as the shell does and then in Debian's usual places.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The ports of 127.0.0.1 among these on which somebody listens.
pub fn taken(ports: impl IntoIterator<Item = u16>) -> Vec<u16> {
    ports.into_iter().filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err()).collect()
}

/// Does something answer on this Unix socket?
#[must_use]
pub fn answers(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

/// When the process of that pid started, in clock ticks since boot: together they name it.
#[must_use]
pub fn started(pid: i32) -> Option<u64> {
    super::process::started(pid)
}

/// How long this thread has been ready to run and waited for a processor, in nanoseconds; nothing where the system does
/// not count it. The second number of Linux's `schedstat`.
#[must_use]
pub fn waited_for_a_processor() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

/// What a folder stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// Does it survive a reboot? False on tmpfs and ramfs.
    pub durable: Durability,
    /// Bytes left for us.
    pub free: u64,
}

/// Does a file system survive a reboot?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On a disk.
    Durable,
    /// In memory.
    Volatile,
}

/// What the folder stands on, or its nearest ancestor that exists.
///
/// # Errors
/// When not even the root can be looked at.
pub fn ground(folder: &Path) -> io::Result<Ground> {
    use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
    const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
    let stat = statfs(nearest(folder)).map_err(io::Error::from)?;
    let volatile = [TMPFS_MAGIC, RAMFS_MAGIC].contains(&stat.filesystem_type());
    let free = stat.blocks_available().saturating_mul(stat.block_size().unsigned_abs());
    Ok(Ground { durable: if volatile { Durability::Volatile } else { Durability::Durable }, free })
}

/// Can we make files in the folder, or make the folder?
///
/// # Errors
/// Why not.
pub fn writable(folder: &Path) -> io::Result<()> {
    use nix::unistd::{AccessFlags, access};
    access(nearest(folder), AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

/// The folder, or its nearest ancestor that exists.
fn nearest(folder: &Path) -> &Path {
    let mut at = folder;
    while !at.exists() {
        match at.parent() {
            Some(parent) if parent.as_os_str().is_empty() => return Path::new("."),
            Some(parent) => at = parent,
            None => return Path::new("/"),
        }
    }
    at
}

/// How late a dedicated thread wakes from `count` absolute sleeps of a millisecond, sorted.
#[must_use]
pub fn lateness(clock: &Clock, count: usize) -> Vec<Duration> {
    let start = clock.mono();
    let mut late: Vec<Duration> = (1..=count)
        .map(|n| {
            let due = start.after(Duration::from_millis(n as u64));
            clock.block_until(due);
            clock.mono().since(due)
        })
        .collect();
    late.sort_unstable();
    late
}

/// Runs a short command with no input; it is ended after `limit`.
#[must_use]
pub fn attempt(argv: &[&str], clock: &Clock, limit: Duration) -> Tried {
    let Some((program, args)) = argv.split_first() else {
        return Tried::Fails("no command".to_owned());
    };
    let Some(path) = tool(program) else {
        return Tried::Fails(format!("{program} is not installed"));
    };
    let started =
        Command::new(path).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    match started {
        Ok(child) => wait(child, clock, limit),
        Err(error) => Tried::Fails(format!("cannot start {program}: {error}")),
    }
}

fn wait(mut child: std::process::Child, clock: &Clock, limit: Duration) -> Tried {
    let deadline = clock.mono().after(limit);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Tried::Works,
            Ok(Some(_)) => return Tried::Fails(complaint(child)),
            Ok(None) if clock.mono() < deadline => clock.block_until(clock.mono().after(Duration::from_millis(2))),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Tried::Fails("no answer".to_owned());
            }
            Err(error) => return Tried::Fails(error.to_string()),
        }
    }
}

/// The last line that it complained with.
fn complaint(mut child: std::process::Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = child.stderr.as_mut() {
        drop(io::Read::read_to_string(&mut io::Read::take(stderr, 4096), &mut text));
    }
    text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said no").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_a_listener_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(taken([port]), [port]);
        drop(listener);
        assert!(taken([port]).is_empty());
    }

    #[test]
    fn shared_memory_is_volatile_and_a_folder_to_be_stands_on_its_parent() {
        assert_eq!(ground(Path::new("/dev/shm")).unwrap().durable, Durability::Volatile);
        assert_eq!(ground(Path::new("/dev/shm/not/there")).unwrap().durable, Durability::Volatile);
        assert!(ground(Path::new("not-there/at-all")).is_ok());
    }

    #[test]
    fn an_attempt_says_what_the_tool_said() {
        let clock = Clock::System;
        let limit = Duration::from_secs(20);
        assert_eq!(attempt(&["true"], &clock, limit), Tried::Works);
        let said = attempt(&["sh", "-c", "echo because >&2; exit 3"], &clock, limit);
        assert_eq!(said, Tried::Fails("because".to_owned()));
        let missing = attempt(&["no-such-tool-here"], &clock, limit);
        assert_eq!(missing, Tried::Fails("no-such-tool-here is not installed".to_owned()));
        let slow = attempt(&["sleep", "60"], &clock, Duration::from_millis(20));
        assert_eq!(slow, Tried::Fails("no answer".to_owned()));
    }

    #[test]
    fn lateness_is_sorted_and_complete() {
        let late = lateness(&Clock::System, 5);
        assert_eq!(late.len(), 5);
        assert!(late.is_sorted());
    }
}
