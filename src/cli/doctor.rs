//! `blackstart doctor`: what this machine can and cannot do, with the mend. It looks and changes nothing.
//! How it looks is in `adapters::host`; what the looks mean is here.

use super::{Exit, Output, Terminal};
use crate::adapters::host::{self, Durability, Tried};
use crate::clock::Clock;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that runs would be written to
    #[arg(long, default_value = "reports")]
    reports: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It can.
    Good,
    /// It can do without; some drills cannot.
    Lacking,
    /// No drill can run like this.
    Bad,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Lacking => "lacking",
            Self::Bad => "bad",
        }
    }
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    area: &'static str,
    state: State,
    seen: String,
    mend: Option<String>,
}

fn good(area: &'static str, seen: impl Into<String>) -> Finding {
    Finding { area, state: State::Good, seen: seen.into(), mend: None }
}

fn lacking(area: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { area, state: State::Lacking, seen: seen.into(), mend: Some(mend.into()) }
}

fn bad(area: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { area, state: State::Bad, seen: seen.into(), mend: Some(mend.into()) }
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let findings = look(&args.reports);
    match args.output {
        Output::Json => terminal.say(&as_json(&findings)),
        Output::Human | Output::Plain => terminal.say(&as_text(&findings)),
    }
    if findings.iter().any(|f| f.state == State::Bad) { Exit::Preflight } else { Exit::Pass }
}

fn look(reports: &Path) -> Vec<Finding> {
    let clock = Clock::System;
    let mut findings = vec![
        kernel(),
        user(),
        timer(&clock),
        clock_source(),
        descriptors(),
        folder("reports folder", reports),
        state_folder(),
        staging_ports(),
        netem(&clock),
        tbf(&clock),
        nftables(&clock),
        docker(),
        cgroups(),
    ];
    findings.extend(TOOLS.iter().map(|tool| tool.look()));
    findings
}

fn kernel() -> Finding {
    match host::kernel() {
        Some((release, version)) if version >= (5, 3) => good("kernel", format!("Linux {release}")),
        Some((release, _)) => bad(
            "kernel",
            format!("Linux {release} has no pidfd"),
            "a kernel of 5.3 or later: signals must reach exactly the process that was meant",
        ),
        None => bad("kernel", "no /proc/sys/kernel/osrelease", "Linux with /proc mounted"),
    }
}

fn user() -> Finding {
    if host::is_root() {
        return good("user", "root");
    }
    lacking(
        "user",
        "not root: processes of your own user can be killed and paused, those of others cannot",
        "sudo blackstart run …, where a drill must touch what others own",
    )
}

fn timer(clock: &Clock) -> Finding {
    let late = host::lateness(clock, 200);
    let at = |share: usize| late.get(late.len() * share / 100).copied().unwrap_or_default();
    let (median, tail) = (at(50), at(99));
    let seen = format!("a thread wakes {median:.0?} late (p50), {tail:.0?} (p99)");
    if tail < Duration::from_millis(5) {
        return good("timer", seen);
    }
    lacking("timer", seen, "a less busy machine: what the runner cannot see itself is reported as unknown")
}

fn clock_source() -> Finding {
    let current = host::line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    match current.as_deref() {
        Some(slow @ ("hpet" | "acpi_pm" | "jiffies")) => lacking(
            "clock source",
            format!("{slow}: reading the time is slow"),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, if the machine offers it",
        ),
        Some(name) => good("clock source", name),
        None => lacking("clock source", "unknown", "mount /sys"),
    }
}

fn descriptors() -> Finding {
    match host::descriptors() {
        Some((now, _)) if now >= 4096 => good("descriptors", format!("{now} open files a process")),
        Some((now, most)) => lacking(
            "descriptors",
            format!("{now} open files a process"),
            format!("ulimit -n {}: fast workloads keep rate × time-out connections open", most.min(65_536)),
        ),
        None => lacking("descriptors", "unknown", "ulimit -n 65536"),
    }
}

fn folder(area: &'static str, folder: &Path) -> Finding {
    let shown = folder.display();
    if let Err(error) = host::writable(folder) {
        return bad(
            area,
            format!("cannot write to {shown}: {error}"),
            "another folder (--reports DIR), or the right to write there",
        );
    }
    match host::ground(folder) {
        Ok(ground) if ground.free < 256 << 20 => bad(
            area,
            format!("{shown}: {} MiB left", ground.free >> 20),
            "256 MiB or more: every operation of every workload is recorded",
        ),
        Ok(ground) => good(area, format!("{shown}: {} MiB left", ground.free >> 20)),
        Err(error) => bad(area, format!("{shown}: {error}"), "a folder that can be looked at"),
    }
}

fn state_folder() -> Finding {
    let mend = "BLACKSTART_STATE_DIR=/a/folder/you/own/on/a/disk";
    let Some(folder) = super::state_dir() else {
        return bad("state folder", "there is neither a home nor BLACKSTART_STATE_DIR", mend);
    };
    let shown = folder.display();
    let finding = self::folder("state folder", &folder);
    if finding.state == State::Bad {
        return Finding { mend: Some(mend.to_owned()), ..finding };
    }
    match host::ground(&folder) {
        Ok(ground) if ground.durable == Durability::Volatile => {
            bad("state folder", format!("{shown} is in memory: open faults would be forgotten at a reboot"), mend)
        }
        _ => good("state folder", format!("{shown} is on a disk")),
    }
}

fn staging_ports() -> Finding {
    let taken = host::taken(17_400..=17_404);
    if taken.is_empty() {
        return good("ports", "17400–17404 are free for the embedded staging");
    }
    let taken: Vec<String> = taken.iter().map(u16::to_string).collect();
    lacking("ports", format!("in use: {}", taken.join(", ")), "staging: {embedded: {port: …}} with another port")
}

fn netem(clock: &Clock) -> Finding {
    let try_it = ["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"];
    let mend = "apt-get install iproute2, and a kernel with sch_netem; until then the proxy makes delays";
    tried("tc netem", "bad lines (network_netem)", &try_it, clock, mend)
}

fn tbf(clock: &Clock) -> Finding {
    let rate = ["tbf", "rate", "1mbit", "burst", "16kb", "latency", "50ms"];
    let try_it = [&["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root"], &rate[..]].concat();
    let mend = "apt-get install iproute2, and a kernel with sch_tbf";
    tried("tc tbf", "bandwidth limits (network_rate)", &try_it, clock, mend)
}

fn nftables(clock: &Clock) -> Finding {
    let try_it = ["unshare", "-n", "nft", "add", "table", "inet", "blackstart_look"];
    tried(
        "nft",
        "cutting, dropping and refusing packets",
        &try_it,
        clock,
        "apt-get install nftables, and a kernel with nf_tables",
    )
}

/// Tries it in a network namespace of its own, so that nothing here changes.
fn tried(area: &'static str, what: &str, argv: &[&str], clock: &Clock, mend: &str) -> Finding {
    if !host::is_root() {
        return lacking(area, format!("{what}: only root can"), "sudo blackstart doctor, to see whether root could");
    }
    match host::attempt(argv, clock, Duration::from_secs(5)) {
        Tried::Works => good(area, format!("{what}: works")),
        Tried::Fails(why) => lacking(area, format!("{what}: {why}"), mend),
    }
}

fn docker() -> Finding {
    let socket = Path::new("/var/run/docker.sock");
    match (host::tool("docker"), host::answers(socket)) {
        (_, true) => good("docker", "the daemon answers"),
        (Some(_), false) => {
            lacking("docker", "installed, but the daemon does not answer", "systemctl start docker, or dockerd")
        }
        (None, false) => lacking("docker", "not installed", "apt-get install docker.io"),
    }
}

fn cgroups() -> Finding {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return good("cgroups", "version 2");
    }
    lacking("cgroups", "no version 2 hierarchy", "boot with systemd.unified_cgroup_hierarchy=1")
}

/// A program that some drills call.
struct Tool {
    name: &'static str,
    used_for: &'static str,
    package: &'static str,
}

const TOOLS: [Tool; 14] = [
    Tool { name: "psql", used_for: "drills/postgres", package: "postgresql" },
    Tool { name: "patroni", used_for: "drills/postgres/patroni-leader-loss.yaml", package: "patroni" },
    Tool { name: "etcd", used_for: "drills/etcd, drills/postgres/patroni-leader-loss.yaml", package: "etcd-server" },
    Tool { name: "haproxy", used_for: "drills/postgres/patroni-leader-loss.yaml", package: "haproxy" },
    Tool { name: "redis-server", used_for: "drills/redis", package: "redis-server" },
    Tool { name: "redis-sentinel", used_for: "drills/redis", package: "redis-sentinel" },
    Tool { name: "node", used_for: "drills/couchdb", package: "nodejs" },
    Tool { name: "etcdctl", used_for: "drills/etcd", package: "etcd-client" },
    Tool { name: "mariadbd", used_for: "drills/mariadb", package: "mariadb-server" },
    Tool { name: "ganesha.nfsd", used_for: "drills/files/nfs-export-lost.yaml", package: "nfs-ganesha" },
    Tool { name: "btrfs", used_for: "drills/files", package: "btrfs-progs" },
    Tool { name: "rabbitmqctl", used_for: "drills/rabbitmq", package: "rabbitmq-server" },
    Tool { name: "python3", used_for: "the page in front of the Patroni cluster", package: "python3" },
    Tool { name: "ssh", used_for: "commands on other hosts", package: "openssh-client" },
];

impl Tool {
    fn look(&self) -> Finding {
        match host::tool(self.name) {
            Some(path) => good(self.name, path.display().to_string()),
            None => lacking(
                self.name,
                format!("not installed; needed for {}", self.used_for),
                format!("apt-get install {}", self.package),
            ),
        }
    }
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("{:8} {:15} {}\n", finding.state.word(), finding.area, finding.seen));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("{:24} mend: {mend}\n", ""));
        }
    }
    let count = |state| findings.iter().filter(|f| f.state == state).count();
    let (bad, lacking) = (count(State::Bad), count(State::Lacking));
    text.push_str(&match (bad, lacking) {
        (0, 0) => "this machine can do everything\n".to_owned(),
        (0, n) => format!("drills can run here; {n} abilities are lacking\n"),
        (n, _) => format!("no drill can run here until {n} findings are mended\n"),
    });
    text
}

fn as_json(findings: &[Finding]) -> String {
    let all: Vec<_> = findings
        .iter()
        .map(|f| json!({"area": f.area, "state": f.state.word(), "seen": f.seen, "mend": f.mend}))
        .collect();
    format!("{:#}", json!({ "findings": all }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_good_comes_with_a_mend() {
        for finding in look(Path::new("reports")) {
            assert_eq!(finding.state == State::Good, finding.mend.is_none(), "{finding:?}");
        }
    }

    #[test]
    fn a_bad_finding_is_counted_in_the_last_line() {
        let text = as_text(&[good("user", "root"), bad("kernel", "too old", "a newer one")]);
        assert!(text.ends_with("no drill can run here until 1 findings are mended\n"), "{text}");
        assert!(text.contains("mend: a newer one"), "{text}");
    }

    #[test]
    fn a_folder_nobody_can_write_to_is_bad() {
        assert_eq!(folder("reports folder", Path::new("/proc/1")).state, State::Bad);
    }
}
