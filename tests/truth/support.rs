//! What the tests need around a staging: starting it, its pids, its dump, signals, and waiting for conditions.

use super::http::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("BLACKSTART_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_blackstart")), PathBuf::from)
}

/// Does `work` with each of `list`, so many at a time, in order.
pub fn parallel<T: Send>(list: Vec<T>, threads: usize, work: impl Fn(T) + Sync) {
    let waiting = Mutex::new(VecDeque::from(list));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(next) = waiting.lock().unwrap().pop_front() else { return };
                    work(next);
                }
            });
        }
    });
}

/// Waits until `condition` gives something; panics with `what` when it takes too long.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// Whether there is such a process that is not just waiting to be reaped.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A running staging.
pub struct Staging {
    child: Child,
    pub port: u16,
    pub dir: tempfile::TempDir,
}

impl Staging {
    /// Starts one and waits until it is ready.
    pub fn start(more: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), super::ports::five_free());
        let mut child = Self::spawn(dir.path(), port, more);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"ready\":true"), "{line:?}");
        Self { child, port, dir }
    }

    /// Starts one without waiting.
    pub fn spawn(dir: &Path, port: u16, more: &[&str]) -> Child {
        Command::new(binary())
            .args(["kv", "cluster", "--dir"])
            .arg(dir)
            .args(["--port", &port.to_string()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// A client of one node itself, past the router.
    pub fn node(&self, index: u16) -> Client {
        Client::new(self.port + 1 + index)
    }

    pub fn pid(&self, name: &str) -> i32 {
        let path = self.dir.path().join(format!("{name}.pid"));
        std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    pub fn cluster(&self) -> serde_json::Value {
        self.client().get("/cluster").unwrap().json()
    }

    /// Waits until the router leads to that node.
    pub fn until_led_by(&self, name: &str) {
        until(&format!("{name} leads"), || (self.cluster()["leader"] == name).then_some(()));
    }

    /// Waits until nothing is on its way to the standby.
    pub fn until_caught_up(&self) {
        until("the standby has everything", || {
            let view = self.cluster();
            (view["streaming"] == true && view["lag_records"] == 0).then_some(())
        });
    }

    /// The sequence numbers of writer 0 in the dump, in its order.
    pub fn stored(&self) -> Vec<u64> {
        self.rows("run").into_iter().map(|(_, seq)| seq).collect()
    }

    /// Writer and sequence number of each row of that run; panics if the dump is cut off.
    pub fn rows(&self, run: &str) -> Vec<(u64, u64)> {
        let answer = self.client().get(&format!("/ledger/{run}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let (rows, end) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
        let word = |line: &str, n| line.split(' ').nth(n).unwrap().parse().unwrap();
        let keys: Vec<(u64, u64)> = rows.lines().map(|l| (word(l, 0), word(l, 1))).collect();
        assert_eq!(end, format!("end {}", keys.len()));
        keys
    }

    /// What a process wrote into its truth log.
    pub fn truth(&self, name: &str) -> Vec<serde_json::Value> {
        let path = self.dir.path().join("truth").join(format!("{name}.jsonl"));
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// The sequence numbers in that node's truth log with that event.
    pub fn seqs(&self, name: &str, event: &str) -> BTreeSet<u64> {
        let lines = self.truth(name);
        lines.iter().filter(|l| l["event"] == event).map(|l| l["seq"].as_u64().unwrap()).collect()
    }

    /// The pids of the supervisor and both nodes.
    pub fn pids(&self) -> Vec<i32> {
        ["cluster", "a", "b"].iter().map(|name| self.pid(name)).collect()
    }

    /// How the supervisor ended, if it did.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Closes the supervisor's standard input.
    pub fn close(&mut self) {
        self.child.stdin = None;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.close();
        // It ends by itself; if not, the nodes end with it.
        for _ in 0..1000 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
