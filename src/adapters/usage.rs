//! What processes of this machine use and may use: processor time, memory, open files; and how much memory is left. From
//! /proc and the control groups; what is too much is decided elsewhere.

use super::AdapterError;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a process uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time that its threads had a core, or waited for one, all together: what they ask of the machine.
    pub wanted: Duration,
    /// Bytes of its memory that are resident or swapped out.
    pub memory: u64,
}

/// How many open files a process may have; `u64::MAX` where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLimit {
    /// The limit that counts.
    pub soft: u64,
    /// As far as the process may raise it by itself.
    pub hard: u64,
}

/// Memory of this machine, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What can still be had before something must be swapped out or killed; also by our control group's limits.
    pub available: u64,
}

fn unreadable(path: &str) -> impl FnOnce(std::io::Error) -> AdapterError {
    let path = path.to_owned();
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => AdapterError::Missing(format!("{path} is gone")),
        std::io::ErrorKind::PermissionDenied => AdapterError::Refused(format!("cannot read {path}: {error}")),
        _ => AdapterError::Other(format!("cannot read {path}: {error}")),
    }
}

fn read(path: &str) -> Result<String, AdapterError> {
    fs::read_to_string(path).map_err(unreadable(path))
}

/// What a process uses.
pub(super) fn usage(pid: i32) -> Result<Usage, AdapterError> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let tasks = format!("/proc/{pid}/task");
    let mut wanted = Duration::ZERO;
    for task in fs::read_dir(&tasks).map_err(unreadable(&tasks))?.flatten() {
        // A thread that ends meanwhile does not count any more.
        wanted += scheduled(&fs::read_to_string(task.path().join("schedstat")).unwrap_or_default());
    }
    Ok(Usage { wanted, memory: kilobytes(&status, "VmRSS:") + kilobytes(&status, "VmSwap:") })
}

/// Nanoseconds on a core and waiting for one: the first two numbers (Documentation/scheduler/sched-stats).
fn scheduled(schedstat: &str) -> Duration {
    let numbers = schedstat.split_ascii_whitespace().take(2).filter_map(|n| n.parse::<u64>().ok());
    Duration::from_nanos(numbers.sum())
}

/// The value of a line like `VmRSS:  12 kB`, in bytes.
fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// The line `Max open files` of /proc/PID/limits: an independent look.
pub(super) fn file_limit(pid: i32) -> Result<FileLimit, AdapterError> {
    let text = read(&format!("/proc/{pid}/limits"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Max open files")).unwrap_or_default();
    let mut numbers = line.split_ascii_whitespace().map(|n| n.parse::<u64>().unwrap_or(u64::MAX));
    match (numbers.next(), numbers.next()) {
        (Some(soft), Some(hard)) => Ok(FileLimit { soft, hard }),
        _ => Err(AdapterError::Other(format!("/proc/{pid}/limits says nothing about open files"))),
    }
}

/// Sets it by prlimit(2).
pub(super) fn set_file_limit(pid: i32, limit: FileLimit) -> Result<(), AdapterError> {
    let who = Pid::from_raw(pid).filter(|_| pid > 0);
    let who = who.ok_or_else(|| AdapterError::Missing(format!("pid {pid} is none")))?;
    let finite = |n: u64| (n != u64::MAX).then_some(n);
    let wanted = Rlimit { current: finite(limit.soft), maximum: finite(limit.hard) };
    prlimit(Some(who), Resource::Nofile, wanted).map(|_| ()).map_err(|cause| {
        let text = format!("cannot set the limit of open files of pid {pid}: {cause}");
        match cause {
            rustix::io::Errno::SRCH => AdapterError::Missing(text),
            rustix::io::Errno::PERM => {
                AdapterError::Refused(format!("{text}; it needs the same user, or CAP_SYS_RESOURCE"))
            }
            _ => AdapterError::Other(text),
        }
    })
}

/// Does the file name of something that it has mapped begin with this?
pub(super) fn has_loaded(pid: i32, library: &str) -> Result<bool, AdapterError> {
    let maps = read(&format!("/proc/{pid}/maps"))?;
    let files = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)?.rsplit('/').next());
    Ok(files.into_iter().any(|file| file.starts_with(library)))
}

/// A variable of the environment that it was started with.
pub(super) fn variable(pid: i32, name: &str) -> Result<Option<String>, AdapterError> {
    let path = format!("/proc/{pid}/environ");
    let bytes = fs::read(&path).map_err(unreadable(&path))?;
    let words = bytes.split(|b| *b == 0).map(String::from_utf8_lossy);
    Ok(words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)).next())
}

/// How many files a process has open.
pub(super) fn open_files(pid: i32) -> Result<u64, AdapterError> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).map_err(unreadable(&path))?.count() as u64)
}

/// Memory of this machine, as far as our control group may use it.
///
/// # Errors
/// When /proc does not say.
pub fn memory() -> Result<Memory, AdapterError> {
    let text = read("/proc/meminfo")?;
    let (total, available) = (kilobytes(&text, "MemTotal:"), kilobytes(&text, "MemAvailable:"));
    if total == 0 || available == 0 {
        return Err(AdapterError::Other("/proc/meminfo does not say how much memory is available".to_owned()));
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = own.lines().find_map(|l| l.strip_prefix("0::/")).map(|path| Path::new("/sys/fs/cgroup").join(path));
    let room = group.as_deref().and_then(room);
    Ok(Memory { total, available: room.map_or(available, |room| room.min(available)) })
}

/// The least that the limits of a control group (v2) and of those above it leave: `memory.max` less what is used and
/// cannot be given back at once.
fn room(group: &Path) -> Option<u64> {
    let number = |folder: &Path, file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let left = |folder: PathBuf| {
        let (most, used) = (number(&folder, "memory.max")?, number(&folder, "memory.current")?);
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cache = stat.lines().find_map(|l| l.strip_prefix("inactive_file ")?.parse::<u64>().ok());
        Some(most.saturating_sub(used.saturating_sub(cache.unwrap_or_default())))
    };
    group
        .ancestors()
        .take_while(|folder| folder.starts_with("/sys/fs/cgroup"))
        .map(Path::to_path_buf)
        .filter_map(left)
        .min()
}

/// Lets the kernel take this process first when memory runs out.
///
/// # Errors
/// When /proc cannot be written.
pub fn be_killed_first() -> Result<(), AdapterError> {
    let path = "/proc/self/oom_score_adj";
    fs::write(path, "1000").map_err(|e| AdapterError::Refused(format!("cannot write {path}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n", "VmRSS:"), 12 << 10);
        assert_eq!(kilobytes("", "VmRSS:"), 0);
        assert_eq!(scheduled("1500 500 7\n"), Duration::from_nanos(2000));
        assert_eq!(scheduled(""), Duration::ZERO);
    }

    #[test]
    fn this_process_uses_something_and_may_have_files() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(usage(own).unwrap().memory > 1 << 20);
        let limit = file_limit(own).unwrap();
        assert!(open_files(own).unwrap() > 2 && limit.soft <= limit.hard);
        set_file_limit(own, limit).unwrap();
        assert_eq!(file_limit(own).unwrap(), limit);
        let memory = memory().unwrap();
        assert!(memory.available <= memory.total);
        assert!(matches!(usage(i32::MAX), Err(AdapterError::Missing(_))));
    }
}
