//! What the ledger costs for each write, in time and memory, against a hash set and a roaring bitmap that hold the same
//! acknowledged writes: `cargo bench --bench ledger`; the row of 10⁹ writes: `cargo bench --bench ledger -- --large`.
//! Each row is a process of its own, so that its peak of memory is its own. Figures: `src/docs/performance.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot go on says where, and prints")]

use blackstart::ledger::{Keep, Ledger, Log, Sight};
use blackstart::model::{Found, Key, Mono, Outcome};
use nix::sys::resource::{UsageWho, getrusage};
use roaring::RoaringTreemap;
use std::collections::HashSet;
use std::process::Command;

const WRITERS: u64 = 8;
/// Acknowledged writes that are not in the store any more.
const LOST: u64 = 1_000;

/// What one row measured.
struct Cost {
    record: f64,
    verify: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["row", case, count] => row(case, count.parse().unwrap()),
        ["--large"] => table(&[("ledger", 1_000_000_000)]),
        _ => table(&[
            ("ledger", 100_000_000),
            ("ledger without times", 100_000_000),
            ("ledger, in disorder", 100_000_000),
            ("roaring bitmap", 100_000_000),
            ("hash set", 100_000_000),
        ]),
    }
}

fn table(rows: &[(&str, u64)]) {
    println!("| what | writes | ns of CPU to record one | to verify one | peak RSS, MiB |");
    println!("|---|---:|---:|---:|---:|");
    for (case, count) in rows {
        let output = Command::new(std::env::current_exe().unwrap()).args(["row", case, &count.to_string()]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn row(case: &str, count: u64) {
    let Cost { record, verify } = match case {
        "ledger" => ledger(count, Keep::Times, &key, &|_| Outcome::Ok),
        "ledger without times" => ledger(count, Keep::Outcomes, &key, &|_| Outcome::Ok),
        "ledger, in disorder" => ledger(count, Keep::Times, &|k| disorder(k, count), &|key| match key.seq % 100 {
            7 => Outcome::Unknown,
            8 => Outcome::Fail,
            _ => Outcome::Ok,
        }),
        "roaring bitmap" => roaring(count),
        _ => hash_set(count),
    };
    let digits = count.to_string();
    println!("| {case} | 10^{} | {record:.1} | {verify:.1} | {:.0} |", digits.len() - 1, peak_rss());
}

/// The k-th write: eight writers take turns.
fn key(k: u64) -> Key {
    Key { writer: (k % WRITERS) as u16, seq: k / WRITERS }
}

/// The k-th write, in no order within every 2¹⁶ writes (an odd factor visits each once); what is left over is in order.
fn disorder(k: u64, count: u64) -> Key {
    let whole = (k | 0xFFFF) < count;
    key(if whole { (k & !0xFFFF) | (k & 0xFFFF).wrapping_mul(0x9E37) & 0xFFFF } else { k })
}

fn is_lost(k: u64, count: u64) -> bool {
    (count / 2..count / 2 + LOST).contains(&k)
}

/// Nanoseconds of processor time for each of `count` in what it does.
fn timed<T>(count: u64, work: impl FnOnce() -> T) -> (f64, T) {
    let began = cpu();
    let result = work();
    ((cpu() - began) / count as f64, result)
}

fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let nanos = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e9 + time.tv_usec() as f64 * 1e3;
    nanos(usage.user_time()) + nanos(usage.system_time())
}

/// Recorded in any order, read back in the server's.
fn ledger(count: u64, keep: Keep, order: &impl Fn(u64) -> Key, outcome: &impl Fn(Key) -> Outcome) -> Cost {
    let mut ledger = Ledger::new(keep);
    let (record, ()) = timed(count, || {
        for k in 0..count {
            let sent = k as i64 * 1_000;
            let key = order(k);
            ledger.record(key, outcome(key), Mono(sent), Mono(sent + 500));
        }
    });
    let (verify, (verified, expected)) = timed(count, || {
        let (mut sight, mut gone) = (Sight::new(WRITERS as u16), 0);
        for k in 0..count {
            if is_lost(k, count) {
                gone += u64::from(outcome(key(k)) == Outcome::Ok);
            } else {
                sight.row(key(k), 1, Found::Intact);
            }
        }
        (ledger.verify(&sight.finish(), Log::Whole), gone)
    });
    assert_eq!((verified.lost, verified.attempted), (expected, count));
    Cost { record, verify }
}

fn packed(k: u64) -> u64 {
    let Key { writer, seq } = key(k);
    u64::from(writer) << 48 | seq
}

fn roaring(count: u64) -> Cost {
    let mut set = RoaringTreemap::new();
    let (record, ()) = timed(count, || (0..count).for_each(|k| assert!(set.insert(packed(k)))));
    let (verify, kept) =
        timed(count, || (0..count).filter(|k| !is_lost(*k, count)).filter(|k| set.contains(packed(*k))).count() as u64);
    assert_eq!(set.len() - kept, LOST);
    Cost { record, verify }
}

fn hash_set(count: u64) -> Cost {
    let mut set = HashSet::new();
    let (record, ()) = timed(count, || (0..count).for_each(|k| assert!(set.insert(packed(k)))));
    let (verify, kept) = timed(count, || {
        (0..count).filter(|k| !is_lost(*k, count)).filter(|k| set.contains(&packed(*k))).count() as u64
    });
    assert_eq!(set.len() as u64 - kept, LOST);
    Cost { record, verify }
}

/// The most memory this process ever had resident, in MiB.
fn peak_rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
