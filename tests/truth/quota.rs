//! A runner in a cgroup whose processor time is used up: a container with a limit, in the middle of a drill.

use super::known::run_beside;
use super::runner::{drill, right};
use super::support::until;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cgroup of its own with a limit on processor time, in either version; gone with this, its processes where they were.
struct Limited {
    dir: PathBuf,
    /// Where its processes were.
    before: PathBuf,
    limit: &'static str,
}

/// Version, and where the hierarchy with the cpu controller is.
fn hierarchy() -> (u8, PathBuf) {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mut mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    mounts.sort_by_key(|mount| mount[2] != "cgroup");
    let fits = |mount: &Vec<&str>| match mount[2] {
        "cgroup" => mount[3].split(',').any(|option| option == "cpu").then_some((1, PathBuf::from(mount[1]))),
        "cgroup2" => {
            let handed_on = std::fs::read_to_string(Path::new(mount[1]).join("cgroup.subtree_control")).ok()?;
            handed_on.split_whitespace().any(|c| c == "cpu").then_some((2, PathBuf::from(mount[1])))
        }
        _ => None,
    };
    mounts.iter().find_map(fits).expect("no cgroup hierarchy here limits processor time")
}

impl Limited {
    /// Puts a process there, with so much of a hundred milliseconds for it, as each version writes that down.
    fn put(pid: u32, [one, two]: [&str; 2]) -> Self {
        let (version, root) = hierarchy();
        let of_process = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let mut own = of_process.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
        let own = own.find(|own| match version {
            1 => own[1].split(',').any(|controller| controller == "cpu"),
            _ => own[0] == "0",
        });
        let before = root.join(own.unwrap()[2].trim_start_matches('/'));
        let dir = root.join(format!("bst-rig-{pid}"));
        std::fs::create_dir(&dir).unwrap();
        let (limit, quota) = if version == 1 { ("cpu.cfs_quota_us", one) } else { ("cpu.max", two) };
        let limited = Self { dir, before, limit };
        std::fs::write(limited.dir.join("cgroup.procs"), pid.to_string()).unwrap();
        limited.set(quota);
        limited
    }

    fn set(&self, quota: &str) {
        std::fs::write(self.dir.join(self.limit), quota).unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let gone = || {
            let inside = std::fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
            for pid in inside.lines() {
                // One that has ended is no longer there either.
                drop(std::fs::write(self.before.join("cgroup.procs"), pid));
            }
            drop(std::fs::remove_dir(&self.dir));
            (!self.dir.exists()).then_some(())
        };
        until("the cgroup is gone", gone);
    }
}

/// How long the runner could not see what this workload does, in seconds; what is told twice counts twice.
fn unseen_by(report: &Value, name: &str) -> f64 {
    let stalls = report["stalls"].as_array().unwrap().iter();
    let own = stalls.filter(|stall| stall["workload"].as_str().is_none_or(|of| of == name));
    own.map(|stall| stall["to"].as_f64().unwrap() - stall["from"].as_f64().unwrap()).sum()
}

/// From the middle of the outage until after its end, three milliseconds of a hundred.
fn starve(pid: u32, rig: &Path) {
    until("the outage begins", || rig.join("begun").exists().then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    let limited = Limited::put(pid, ["3000", "3000 100000"]);
    std::thread::sleep(Duration::from_millis(900));
    drop(limited);
}

#[test]
fn a_runner_that_has_used_up_its_quota_knows_it_and_stays_right() {
    let known = run_beside(drill("refuse:800ms"), starve);
    right(&known);
    // Which of its threads still gets something is chance, so each workload tells it of itself, too.
    for name in ["page", "kept"] {
        let unseen = unseen_by(&known.report, name);
        assert!(unseen > 0.3, "{name}: {unseen}: {}", known.report["stalls"]);
    }
}
