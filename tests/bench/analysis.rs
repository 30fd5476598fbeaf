//! What reading, checking, analysing and reporting a long run costs: `cargo bench --bench analysis` makes the record of
//! one with ten million operations (a ledger's writes and reads, and visits; a fault, an outage with time-outs, losses,
//! holes, read-backs), through the writers that a run uses, and times `blackstart analyze` and `export` on it. Arguments:
//! numbers of operations, in millions (`cargo bench --bench analysis -- 1 10 100`).

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "analysis/record.rs"]
mod record;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names the folder that a child of this program is to fill.
const FILL: &str = "BLACKSTART_BENCH_FILL";
const MAKES: &str = "BLACKSTART_BENCH_MILLIONS";

fn main() {
    let millions = |text: &str| text.parse::<f64>().ok();
    if let Ok(folder) = std::env::var(FILL) {
        let operations = millions(&std::env::var(MAKES).unwrap()).unwrap() * 1e6;
        return record::fill(Path::new(&folder), operations as u64);
    }
    let mut sizes: Vec<f64> = std::env::args().skip(1).filter_map(|arg| millions(&arg)).collect();
    if sizes.is_empty() {
        sizes = vec![1.0, 10.0];
    }
    println!(
        "{:>16} {:>9} {:>10} {:>10} {:>10} {:>12} {:>10}",
        "operations", "size", "B/op", "took", "peak RSS", "RSS/op", "page"
    );
    sizes.iter().for_each(|size| measure(*size));
}

fn measure(millions: f64) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // A process of its own: the peak of a child counts that of the process it was started from.
    let filled =
        Command::new(std::env::current_exe().unwrap()).env(FILL, dir.path()).env(MAKES, millions.to_string()).status();
    assert!(filled.unwrap().success());
    let operations = millions * 1e6;
    let log: u64 = record::NAMES.iter().map(|name| size(&dir.path().join(format!("ops/{name}.ops")))).sum();
    // Twice: the first one writes the reports, the second one compares them.
    let (first, second) = (analyze(dir.path()), analyze(dir.path()));
    let took = first.took.min(second.took);
    let peak = first.peak.max(second.peak);
    println!(
        "{operations:>16.0} {:>6.0} MB {:>10.1} {:>8.2} s {:>6.0} MiB {:>10.1} B {:>7.0} kB",
        log as f64 / 1e6,
        log as f64 / operations,
        took.as_secs_f64(),
        peak as f64 / 1048576.0,
        peak as f64 / operations,
        size(&dir.path().join("report.html")) as f64 / 1e3,
    );
    for format in ["--csv", "--parquet"] {
        let (Cost { took, peak }, bytes) = export(dir.path(), format);
        let (took, peak) = (took.as_secs_f64(), peak as f64 / 1048576.0);
        println!(
            "{:>16} {:>6.0} MB {:>10.1} {took:>8.2} s {peak:>6.0} MiB",
            format!("export {format}"),
            bytes as f64 / 1e6,
            bytes as f64 / operations
        );
    }
    if std::env::var_os("BLACKSTART_BENCH_KEEP").is_some() {
        println!("kept in {}", dir.keep().display());
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len()
}

struct Cost {
    took: Duration,
    peak: u64,
}

fn analyze(dir: &Path) -> Cost {
    // The drill misses an objective; a short one ends before that is certain.
    cost(&["analyze", dir.to_str().unwrap(), "--output", "json"], &[1, 2])
}

fn export(dir: &Path, format: &str) -> (Cost, u64) {
    let table = dir.join("table");
    let cost = cost(&["export", dir.to_str().unwrap(), format, "--output", table.to_str().unwrap()], &[0]);
    (cost, size(&table))
}

fn cost(arguments: &[&str], codes: &[i32]) -> Cost {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let peak = watch(&mut child);
    let took = begun.elapsed();
    let code = child.wait().unwrap().code().unwrap();
    assert!(codes.contains(&code), "{arguments:?}: {code}");
    Cost { took, peak }
}

/// The largest resident set of a child, waited for until it ends: the kernel's own figure, read every few milliseconds.
fn watch(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}
