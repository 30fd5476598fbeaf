//! What checking a folder of many runs costs: `cargo bench --bench verify` makes the record of one run of about 1 MB, copies
//! it a thousand times, each under a name of its own and chained to the one before, seals and signs each, and times
//! `blackstart verify` on all of them. An argument is another number of runs (`cargo bench --bench verify -- 100`).

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "analysis/record.rs"]
mod record;

#[path = "../evidence/forge.rs"]
#[expect(dead_code, reason = "shared with the tests of evidence")]
mod forge;

use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// About 1 MB with its reports.
const OPERATIONS: u64 = 60_000;
/// What a thousand runs of 1 MB may take on two cores.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let count = std::env::args().skip(1).find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(1000);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let began = Instant::now();
    let (base, runs) = (dir.path().join("base"), dir.path().join("runs"));
    first(&base);
    all(&base, &runs, count);
    let bytes: u64 = forge::files(&runs).iter().map(|file| fs::metadata(runs.join(file)).unwrap().len()).sum();
    println!(
        "{count} runs, {:.2} MB each, made in {:.0} s",
        bytes as f64 / 1e6 / count as f64,
        began.elapsed().as_secs_f64()
    );
    println!("{:>34} {:>9} {:>14} {:>10}", "", "took", "CPU", "a run");
    let took = measure("verify", &runs, count, &[]);
    measure("verify --no-recompute", &runs, count, &["--no-recompute"]);
    assert!(count != 1000 || took < LIMIT, "{took:?}, at most {LIMIT:?}");
    if std::env::var_os("BLACKSTART_BENCH_KEEP").is_some() {
        println!("kept in {}", dir.keep().display());
    }
}

/// The record that all runs are copies of.
fn first(dir: &Path) {
    fs::create_dir_all(dir.join("ops")).unwrap();
    record::fill(dir, OPERATIONS);
    let playbook = "drill: bench\n";
    for file in ["playbook.yaml", "playbook.resolved.yaml"] {
        fs::write(dir.join(file), playbook).unwrap();
    }
    let digest = forge::sha256(playbook.as_bytes());
    forge::start(dir, |start| {
        (start["playbook_digest"], start["resolved_digest"]) = (json!(digest), json!(digest));
        start["host"]["tool"] = json!(concat!("blackstart ", env!("CARGO_PKG_VERSION")));
    });
    fs::write(dir.join("VERIFY.md"), "# How to check this run\n").unwrap();
}

fn all(base: &Path, runs: &Path, count: u64) {
    let mut chain = json!({"counter": 1});
    for number in 1..=count {
        let name = format!("20261121T041443Z-{number:06}");
        let run = runs.join(&name);
        forge::copy(base, &run);
        forge::place(&run, &name, &chain);
        forge::render(&run);
        forge::seal(&run, "team");
        let manifest = forge::sha256(&fs::read(run.join("MANIFEST.json")).unwrap());
        chain = json!({"counter": number + 1, "previous": {"run": name, "manifest": manifest}});
    }
}

fn measure(what: &str, runs: &Path, count: u64, options: &[&str]) -> Duration {
    let before = children();
    let began = Instant::now();
    let out = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("verify")
        .arg(runs)
        .arg("--allowed-signers")
        .arg(forge::shop().allowed())
        .args(["--require", "signed,chained", "--output", "plain"])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", text.lines().rev().take(30).collect::<Vec<_>>().join("\n"));
    let (cpu, each) = ((children() - before).as_secs_f64(), took.as_secs_f64() / count as f64);
    println!("{what:>34} {:>7.1} s {cpu:>12.1} s {:>7.1} ms", took.as_secs_f64(), each * 1e3);
    took
}

/// Processor time of all children that have ended.
fn children() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}
