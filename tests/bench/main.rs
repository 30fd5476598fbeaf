//! What the tool itself costs: the start of `validate`, and a drill in which nothing happens. Figures are printed with
//! `--nocapture`; `src/docs/performance.md` holds one run of them. Processor time, not wall time: other programs on the
//! machine do not count.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
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
    // A build without optimisation may take longer; the promise is for the one that users run.
    let limit = if cfg!(debug_assertions) { 60 } else { 10 };
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
