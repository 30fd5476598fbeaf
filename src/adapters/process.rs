//! Processes of this machine: who they are from /proc, signals through a pidfd. What a signal is for is not known here.

use super::usage::{self, FileLimit, Usage};
use super::{AdapterError, ProcessState, Processes};
use crate::model::{ProcessIdentity, SignalName};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// The processes of this machine.
pub(super) struct SystemProcesses {
    boot: String,
}

/// What /proc/PID/stat says.
struct Stat {
    name: String,
    state: char,
    parent: i32,
    started: u64,
    /// It is on its way out and runs no code of its own any more.
    exiting: bool,
    /// Of them all, those that have ended and are not forgotten yet included.
    threads: u32,
}

impl SystemProcesses {
    pub(super) fn new() -> Self {
        Self { boot: boot_id() }
    }

    fn identity(&self, pid: i32, stat: Stat) -> ProcessIdentity {
        ProcessIdentity { pid, started: stat.started, boot: self.boot.clone(), name: stat.name }
    }

    /// What /proc says about exactly this process, if it lives.
    fn stat_of(&self, who: &ProcessIdentity) -> Result<Option<Stat>, AdapterError> {
        if who.boot != self.boot {
            return Ok(None);
        }
        Ok(stat(who.pid)?.filter(|s| s.started == who.started))
    }
}

impl SystemProcesses {
    /// Is exactly this process there?
    fn there(&self, who: &ProcessIdentity) -> Result<(), AdapterError> {
        let gone = || AdapterError::Missing(format!("{} (pid {}) is gone", who.name, who.pid));
        self.stat_of(who)?.map(|_| ()).ok_or_else(gone)
    }
}

impl Processes for SystemProcesses {
    fn identify(&self, pid: i32) -> Result<Option<ProcessIdentity>, AdapterError> {
        let live = stat(pid)?.filter(|s| !s.exiting);
        // A process that was sent SIGKILL is seen running until it gets a core to die on; nothing can save it.
        Ok(live.filter(|_| !kill_pending(pid)).map(|s| self.identity(pid, s)))
    }

    fn state(&self, who: &ProcessIdentity) -> Result<ProcessState, AdapterError> {
        Ok(match self.stat_of(who)? {
            None => ProcessState::Gone,
            Some(s) if s.exiting || kill_pending(who.pid) => ProcessState::Dying,
            Some(s) if s.state == 'T' => ProcessState::Stopped,
            Some(_) => ProcessState::Running,
        })
    }

    fn signal(&self, who: &ProcessIdentity, signal: &str) -> Result<(), AdapterError> {
        let gone = || AdapterError::Missing(format!("{} (pid {}) is gone", who.name, who.pid));
        let number = named(signal).ok_or_else(|| AdapterError::Other(format!("`{signal}` is no signal")))?;
        let pid = Pid::from_raw(who.pid).filter(|_| who.pid > 0).ok_or_else(gone)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed(who, signal, e))?;
        // The handle was opened first: if the identity is right now, the handle can only be of this very process.
        if self.stat_of(who)?.is_none() {
            return Err(gone());
        }
        pidfd_send_signal(&handle, number).map_err(|e| failed(who, signal, e))
    }

    fn may_signal(&self, who: &ProcessIdentity) -> Result<(), AdapterError> {
        if let Some(why) = indispensable(who.pid)? {
            return Err(AdapterError::Refused(format!("{} (pid {}) is {why}: no drill touches it", who.name, who.pid)));
        }
        match Pid::from_raw(who.pid).filter(|_| who.pid > 0).map(test_kill_process) {
            Some(Err(rustix::io::Errno::PERM)) => Err(failed(who, "signals", rustix::io::Errno::PERM)),
            _ => Ok(()),
        }
    }

    fn has_loaded(&self, who: &ProcessIdentity, library: &str) -> Result<bool, AdapterError> {
        self.there(who)?;
        usage::has_loaded(who.pid, library)
    }

    fn variable(&self, who: &ProcessIdentity, name: &str) -> Result<Option<String>, AdapterError> {
        self.there(who)?;
        usage::variable(who.pid, name)
    }

    fn usage(&self, who: &ProcessIdentity) -> Result<Usage, AdapterError> {
        self.there(who)?;
        usage::usage(who.pid)
    }

    fn file_limit(&self, who: &ProcessIdentity) -> Result<FileLimit, AdapterError> {
        self.there(who)?;
        usage::file_limit(who.pid)
    }

    fn open_files(&self, who: &ProcessIdentity) -> Result<u64, AdapterError> {
        self.there(who)?;
        usage::open_files(who.pid)
    }

    fn set_file_limit(&self, who: &ProcessIdentity, limit: FileLimit) -> Result<(), AdapterError> {
        self.there(who)?;
        let before = usage::file_limit(who.pid)?;
        usage::set_file_limit(who.pid, limit)?;
        // prlimit(2) knows only the number. If it came to mean another process meanwhile, that one gets its own back.
        if self.stat_of(who)?.is_none() {
            drop(usage::set_file_limit(who.pid, before));
            return Err(AdapterError::Missing(format!("{} (pid {}) is gone", who.name, who.pid)));
        }
        Ok(())
    }

    fn end_commands(&self, variable: &str, value: &str) -> Result<usize, AdapterError> {
        super::under_way::end(variable, value)
    }

    fn descendants(&self, who: &ProcessIdentity) -> Result<Vec<ProcessIdentity>, AdapterError> {
        if self.stat_of(who)?.is_none() {
            return Ok(Vec::new());
        }
        let mut children: BTreeMap<i32, Vec<(i32, Stat)>> = BTreeMap::new();
        for pid in all_pids()? {
            if let Some(s) = stat(pid)? {
                children.entry(s.parent).or_default().push((pid, s));
            }
        }
        let (mut found, mut parents) = (Vec::new(), vec![who.pid]);
        while let Some(parent) = parents.pop() {
            for (pid, s) in children.remove(&parent).unwrap_or_default() {
                parents.push(pid);
                found.push(self.identity(pid, s));
            }
        }
        found.reverse();
        Ok(found)
    }
}

/// Why a drill must not signal this one, if so: without the runner nobody heals, and whoever started it may take it along.
fn indispensable(pid: i32) -> Result<Option<&'static str>, AdapterError> {
    if pid == 1 {
        return Ok(Some("the first process of this machine"));
    }
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    if pid == own {
        return Ok(Some("the runner itself"));
    }
    let mut above = own;
    // Bounded: a parent may end while it is looked at, and its number be given to a child.
    for _ in 0..MOST_ANCESTORS {
        let Some(stat) = stat(above)? else { break };
        if stat.parent == pid {
            return Ok(Some("what started the runner"));
        }
        above = stat.parent;
    }
    Ok(None)
}

const MOST_ANCESTORS: usize = 256;

fn failed(who: &ProcessIdentity, signal: &str, cause: rustix::io::Errno) -> AdapterError {
    let text = format!("cannot send {signal} to {} (pid {}): {cause}", who.name, who.pid);
    match cause {
        rustix::io::Errno::SRCH => AdapterError::Missing(text),
        rustix::io::Errno::PERM => AdapterError::Refused(format!("{text}; it needs the same user, or CAP_KILL")),
        _ => AdapterError::Other(text),
    }
}

/// The signal of that name or number, as the kernel knows it.
fn named(name: &str) -> Option<Signal> {
    Signal::from_named_raw(name.parse::<SignalName>().ok()?.number())
}

/// Who this process is.
pub(super) fn own_identity() -> Option<ProcessIdentity> {
    let pid = i32::try_from(std::process::id()).ok()?;
    stat(pid).ok().flatten().map(|s| ProcessIdentity { pid, started: s.started, boot: boot_id(), name: s.name })
}

/// The boot id of this machine; start times repeat after a reboot, this does not.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When the process of that pid started, in clock ticks since boot.
pub(super) fn started(pid: i32) -> Option<u64> {
    stat(pid).ok()?.map(|s| s.started)
}

/// What /proc says of a live process; a zombie is none, unless it is only the first of several threads: as long as the
/// others live, the process has its files and ports.
fn stat(pid: i32) -> Result<Option<Stat>, AdapterError> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse(&text).filter(|s| s.threads > 1 || !matches!(s.state, 'Z' | 'X' | 'x'))),
        // ESRCH: it ended between open and read.
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(3) => Ok(None),
        Err(e) => Err(AdapterError::Other(format!("cannot read /proc/{pid}/stat: {e}"))),
    }
}

/// The fields of proc_pid_stat(5); the name may hold anything, also `) R 1`, so the last `)` ends it.
fn parse(text: &str) -> Option<Stat> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let rest: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
    Some(Stat {
        name: text.get(open + 1..close)?.to_owned(),
        state: rest.first()?.chars().next()?,
        parent: rest.get(1)?.parse().ok()?,
        started: rest.get(19)?.parse().ok()?,
        threads: rest.get(17)?.parse().ok()?,
        exiting: rest.get(6)?.parse::<u64>().ok()? & PF_EXITING != 0,
    })
}

/// The flag of a process that is ending, as in the kernel's `include/linux/sched.h`.
const PF_EXITING: u64 = 0x4;

/// Is SIGKILL on its way to it (proc_pid_status(5): `SigPnd`, `ShdPnd`)?
fn kill_pending(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let masks = status.lines().filter_map(|l| l.strip_prefix("SigPnd:").or_else(|| l.strip_prefix("ShdPnd:")));
    masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & (1 << 8) != 0)
}

pub(super) fn all_pids() -> Result<Vec<i32>, AdapterError> {
    let listing =
        std::fs::read_dir(Path::new("/proc")).map_err(|e| AdapterError::Other(format!("cannot list /proc: {e}")))?;
    Ok(listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap()
    }

    fn until(mut holds: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if holds() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("never held");
    }

    #[test]
    fn a_name_may_hold_anything() {
        let s = parse("77 (a) R 1 (b)) T 12 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0").unwrap();
        assert_eq!((s.name.as_str(), s.state, s.parent, s.started), ("a) R 1 (b)", 'T', 12, 4711));
        assert!(parse("77 (cut").is_none() && parse("").is_none() && parse("1 (x) R").is_none());
    }

    #[test]
    fn a_process_is_stopped_resumed_killed_and_its_zombie_counts_as_gone() {
        let (world, mut child) = (SystemProcesses::new(), sleeper());
        let pid = i32::try_from(child.id()).unwrap();
        let who = world.identify(pid).unwrap().unwrap();
        assert_eq!(who.pid, pid);
        world.signal(&who, "SIGSTOP").unwrap();
        until(|| world.state(&who).unwrap() == ProcessState::Stopped);
        world.signal(&who, "cont").unwrap();
        until(|| world.state(&who).unwrap() == ProcessState::Running);
        world.signal(&who, "KILL").unwrap();
        // Not reaped yet: a zombie.
        until(|| world.state(&who).unwrap() == ProcessState::Gone);
        assert!(world.identify(pid).unwrap().is_none());
        assert!(matches!(world.signal(&who, "KILL"), Err(AdapterError::Missing(_))));
        child.wait().unwrap();
        assert!(matches!(world.signal(&who, "KILL"), Err(AdapterError::Missing(_))));
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives_as_long_as_the_others() {
        let world = SystemProcesses::new();
        let ends = "import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)";
        let mut child = Command::new("python3").args(["-c", ends]).stdin(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let who = world.identify(pid).unwrap().unwrap();
        let first = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        until(|| parse(&first()).unwrap().state == 'Z');
        assert_eq!(world.state(&who).unwrap(), ProcessState::Dying);
        world.signal(&who, "KILL").unwrap();
        until(|| world.state(&who).unwrap() == ProcessState::Gone);
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_was_killed_cannot_be_resolved_although_it_has_not_died_yet() {
        let world = SystemProcesses::new();
        for _ in 0..20 {
            let mut child = sleeper();
            let pid = i32::try_from(child.id()).unwrap();
            let who = world.identify(pid).unwrap().unwrap();
            world.signal(&who, "KILL").unwrap();
            assert_eq!(world.identify(pid).unwrap(), None);
            child.wait().unwrap();
        }
    }

    #[test]
    fn another_process_with_the_same_pid_is_never_signalled() {
        let (world, mut child) = (SystemProcesses::new(), sleeper());
        let who = world.identify(i32::try_from(child.id()).unwrap()).unwrap().unwrap();
        let earlier = ProcessIdentity { started: who.started - 1, ..who.clone() };
        let other_boot = ProcessIdentity { boot: "00000000-0000-0000-0000-000000000000".into(), ..who.clone() };
        for wrong in [earlier, other_boot] {
            assert_eq!(world.state(&wrong).unwrap(), ProcessState::Gone);
            assert!(matches!(world.signal(&wrong, "KILL"), Err(AdapterError::Missing(_))));
        }
        assert!(matches!(world.signal(&who, "NOPE"), Err(AdapterError::Other(_))));
        assert_eq!(world.state(&who).unwrap(), ProcessState::Running);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn descendants_come_before_their_parents() {
        let world = SystemProcesses::new();
        let script = "sh -c 'sleep 600 & wait' & wait";
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let who = world.identify(i32::try_from(child.id()).unwrap()).unwrap().unwrap();
        until(|| world.descendants(&who).unwrap().len() == 2);
        let found = world.descendants(&who).unwrap();
        assert_eq!(found[0].name, "sleep", "{found:?}");
        for each in found.iter().rev() {
            world.signal(each, "KILL").unwrap();
        }
        child.wait().unwrap();
        assert_eq!(world.descendants(&who).unwrap(), vec![]);
    }
}
