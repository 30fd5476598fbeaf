//! Commands that outlive the runner that started them: found by a variable in their environment, ended with their
//! process group. Whose they are, and when they must end, is not known here.

use super::AdapterError;
use super::process::all_pids;
use crate::model::ProcessIdentity;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;

/// Ends every command that was started with `variable=value` and has not ended, with its process group. Says how many.
///
/// A command is the leader of a process group in the session of whoever started it. What it started and left behind when
/// it ended (a server, say) is none, and neither is what began a session of its own.
pub(super) fn end(variable: &str, value: &str) -> Result<usize, AdapterError> {
    let mark = format!("{variable}={value}");
    let mut ended = 0;
    for pid in all_pids()? {
        if is_command(pid) && is_marked(pid, mark.as_bytes()) {
            // It may have ended meanwhile; its pid names no other group as long as one of its children lives.
            ended += usize::from(killpg(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        }
    }
    Ok(ended)
}

/// Says of a tool of the system (`nft`, say) which process of ours started it.
pub const TOOL: &str = "BLACKSTART_TOOL_OF";

/// The environment of a tool that this process starts.
pub(super) fn tool() -> BTreeMap<String, String> {
    let own = super::process::own_identity().map(|who| whose(&who)).unwrap_or_default();
    BTreeMap::from([(TOOL.to_owned(), own)])
}

/// How tools name the process that started them.
#[must_use]
pub fn whose(who: &ProcessIdentity) -> String {
    format!("{}.{}.{}", who.boot, who.pid, who.started)
}

/// Fields 5 and 6 of proc_pid_stat(5), its process group and its session.
fn is_command(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<i32>().ok());
    number(2) == Some(pid) && number(3).is_some_and(|session| session != pid)
}

/// Only processes of the same user (or all, for root) can be looked into.
fn is_marked(pid: i32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    fn start(script: &str, mark: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("BLACKSTART_TEST_MARK", mark).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_command_under_way_is_ended_with_its_children_and_what_it_left_behind_is_not() {
        let mark = format!("r{}/f", std::process::id());
        let mut under_way = start("sleep 300; exit 0", &mark);
        let mut other = start("sleep 300; exit 0", &format!("{mark}2"));
        // A command that ended and left a server.
        let left = start("sleep 300 >/dev/null & echo $!", &mark).wait_with_output().unwrap();
        let left: i32 = String::from_utf8(left.stdout).unwrap().trim().parse().unwrap();
        // Until it has executed its program it still has its parent's environment.
        while end("BLACKSTART_TEST_MARK", &mark).unwrap() == 0 {
            std::thread::yield_now();
        }
        assert!(!under_way.wait().unwrap().success());
        assert_eq!(end("BLACKSTART_TEST_MARK", &mark).unwrap(), 0);
        assert!(other.try_wait().unwrap().is_none(), "somebody else's command was ended");
        assert!(nix::sys::signal::kill(Pid::from_raw(left), None).is_ok(), "what it left behind was ended");
        nix::sys::signal::kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
        killpg(Pid::from_raw(i32::try_from(other.id()).unwrap()), Signal::SIGKILL).unwrap();
        other.wait().unwrap();
    }
}
