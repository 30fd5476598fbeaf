//! What the tool itself costs: the start of `validate`, and a drill in which nothing happens. Figures are printed with
//! `--nocapture`; `src/docs/performance.md` holds one run of them. Processor time, not wall time: other programs on the
//! machine do not count.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::BufRead;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Processor time of all children that have ended.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn blackstart(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The cheapest of several batches: what it costs when nothing disturbs it.
fn cost(batches: u32, each: u32, mut once: impl FnMut()) -> Duration {
    let batch = |once: &mut dyn FnMut()| {
        let before = children();
        (0..each).for_each(|_| once());
        (children() - before) / each
    };
    (0..batches).map(|_| batch(&mut once)).min().unwrap()
}

#[test]
fn validate_starts_in_under_10_ms_of_cpu() {
    let took = cost(5, 20, || {
        assert!(blackstart(&["validate", "drills/quickstart.yaml"]).status().unwrap().success());
    });
    println!("validate drills/quickstart.yaml: {:.2} ms of CPU", took.as_secs_f64() * 1e3);
    // A build without optimisation may take longer, the more so where many share a processor; the promise is for the one
    // that users run.
    let limit = if cfg!(debug_assertions) { 100 } else { 10 };
    assert!(took < Duration::from_millis(limit), "{took:?}, at most {limit} ms");
}

#[test]
fn a_thousand_playbooks_validate_in_one_pass() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/drills/quickstart.yaml")).unwrap();
    for n in 0..1000 {
        let one = text.replace("drill: quickstart", &format!("drill: quickstart-{n}"));
        std::fs::write(dir.path().join(format!("{n}.yaml")), one).unwrap();
    }
    let one = cost(3, 10, || {
        assert!(blackstart(&["validate", "drills/quickstart.yaml"]).status().unwrap().success());
    });
    let all = cost(1, 1, || {
        assert!(blackstart(&["validate", dir.path().to_str().unwrap()]).status().unwrap().success());
    });
    println!("validate of 1,000 playbooks: {:.0} ms of CPU", all.as_secs_f64() * 1e3);
    assert!(all < one * 1000, "{all:?} for a thousand, {one:?} for one");
}

/// A store that somebody else runs, so that its cost is not counted; down with the value.
struct Store(std::process::Child);

impl Store {
    fn start(dir: &std::path::Path, port: u16) -> Self {
        let port = port.to_string();
        let arguments = ["kv", "cluster", "--dir", dir.to_str().unwrap(), "--port", &port];
        let mut child = blackstart(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("ready"), "{ready}");
        Self(child)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It ends when its standard input ends.
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

const QUIET: &str = r#"
drill: quiet
environment: embedded
workload:
  page:
    http: {url: "http://127.0.0.1:17950/", rate: 4/s}
    service: {stable: 5s}
baseline: 5s
outage:
  - wait: 56s
"#;

#[test]
fn a_drill_in_which_nothing_happens_costs_less_than_2_percent_of_a_core() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let _store = Store::start(&dir.path().join("store"), 17_950);
    let playbook = dir.path().join("quiet.yaml");
    std::fs::write(&playbook, QUIET).unwrap();
    let began = std::time::Instant::now();
    let before = children();
    let mut command = blackstart(&["run", playbook.to_str().unwrap(), "--output", "json", "--reports"]);
    let status = command
        .arg(dir.path().join("out"))
        .env("BLACKSTART_STATE_DIR", dir.path().join("state"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let (cost, took) = (children() - before, began.elapsed());
    // Nothing was broken, so nothing is proven: what counts here is that it ran through.
    assert!([Some(0), Some(2)].contains(&status.code()), "{status}");
    assert!(took >= Duration::from_secs(60), "{took:?}");
    let share = cost.as_secs_f64() / took.as_secs_f64();
    println!("a quiet drill of {took:.0?}: {cost:.0?} of CPU, {:.2} % of a core", share * 100.0);
    let limit = if cfg!(debug_assertions) { 0.06 } else { 0.02 };
    assert!(share < limit, "{share}");
}
