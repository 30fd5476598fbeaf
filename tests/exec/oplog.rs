//! The operations log from outside: a stranger's reader, written from the documentation alone, reads what ours reads;
//! and a writer that is killed leaves all but the last moments.

use blackstart::clock::Clock;
use blackstart::journal::ops::{self, OpsLog, OpsWriter};
use blackstart::model::{Action, Found, Key, Mono, OpRecord, Outcome, WorkloadName};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder in memory if there is one: a disk that is busy with other tests takes as long as it likes to sync.
fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    tempfile::tempdir_in(if shared.is_dir() { shared } else { Path::new("/var/tmp") }).unwrap()
}

/// What the reader in Python should print.
fn expected(log: &OpsLog) -> Vec<String> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let line = |op: OpRecord| {
        let action = word(serde_json::to_value(op.action).unwrap());
        let outcome = word(serde_json::to_value(op.outcome).unwrap());
        let found = word(serde_json::to_value(op.found).unwrap());
        let key = op.key.map_or(",".to_owned(), |key| format!("{},{}", key.writer, key.seq));
        format!("{action},{outcome},{found},{},{},{},{key}", op.due.0, op.sent.0, op.done.0)
    };
    let mark = log.mark().unwrap();
    let end = format!("end,{},{},{},{},{}", mark.workload, mark.blocks, mark.operations, mark.bytes, mark.head);
    log.records.iter().map(line).chain([end]).collect()
}

fn same(path: &Path) -> usize {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exec/read_ops.py");
    let printed = Command::new("python3").arg(reader).arg(path).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let log = ops::read(path).unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    for (theirs, ours) in text.lines().zip(expected(&log)) {
        assert_eq!(theirs, ours, "{}", path.display());
    }
    assert_eq!(text.lines().count(), log.records.len() + 1);
    log.records.len()
}

/// Every action, outcome and finding, with numbers from one end to the other.
fn odd(k: u64) -> OpRecord {
    use Outcome::{Fail, Missed, Ok, OkLocal, Unknown, Unsent};
    let wild = |salt: u64| {
        let number = (k + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        (number >> (number % 64)).cast_signed() * if number & 64 == 0 { 1 } else { -1 }
    };
    let pick = |salt: u64, of: usize| (wild(salt).unsigned_abs() % of as u64) as usize;
    let (due, sent, done) = match k {
        0 => (Mono(i64::MAX), Mono(i64::MIN), Mono(i64::MAX)),
        _ => (Mono(wild(1)), Mono(wild(2)), Mono(wild(3))),
    };
    OpRecord {
        due,
        sent,
        done,
        action: [Action::Write, Action::Read, Action::Visit][pick(4, 3)],
        outcome: [Ok, OkLocal, Fail, Unknown, Missed, Unsent][pick(5, 6)],
        key: (!k.is_multiple_of(3)).then(|| Key { writer: wild(6) as u16, seq: wild(7).cast_unsigned() }),
        found: [None, Some(Found::Intact), Some(Found::Corrupted), Some(Found::Absent)][pick(8, 4)],
    }
}

#[test]
fn a_reader_written_from_the_documentation_reads_the_same() {
    let dir = folder();
    let name = WorkloadName::from("größer");
    let writer = OpsWriter::create(dir.path(), &name).unwrap();
    for k in 0..600 {
        writer.push(odd(k));
        // Several blocks, so that what goes on from block to block is tested.
        if k % 200 == 0 {
            while writer.mark().unwrap().operations <= k {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    assert!(writer.finish().unwrap().blocks >= 3);
    assert_eq!(same(&dir.path().join(ops::file_name(&name))), 600);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample/ops");
    let read: usize =
        ["orders", "orders.probe", "page"].map(|name| same(&sample.join(format!("{name}.ops")))).iter().sum();
    assert!(read > 5_000, "{read}");
}

/// Names the folder that this process is to write to until it is killed.
const WRITE_TO: &str = "BLACKSTART_TEST_WRITES_TO";
const NAME: &str = "oplog::a_killed_writer_loses_at_most_a_quarter_of_a_second";

/// Ten operations every millisecond; after each ten, says how many it has handed over and when.
fn write_until_killed(dir: &Path) {
    let writer = OpsWriter::create(dir, &"w".into()).unwrap();
    let mut out = std::io::stdout().lock();
    for k in 0.. {
        let (due, outcome) = (Clock::System.mono(), Outcome::Ok);
        let op = OpRecord { due, sent: due, done: due, action: Action::Visit, outcome, key: None, found: None };
        writer.push(op);
        if k % 10 == 9 {
            writeln!(out, "pushed {} {}", k + 1, due.0).unwrap();
            out.flush().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How much of the end is gone, as time.
fn lost_by_a_kill(after: Duration) -> Duration {
    let dir = folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(WRITE_TO, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut pushed, mut first) = ((0_usize, Mono(0)), None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((_, rest)) = line.split_once("pushed ") else { continue };
        let (count, at) = rest.split_once(' ').unwrap();
        pushed = (count.parse().unwrap(), Mono(at.parse().unwrap()));
        let begun = *first.get_or_insert(pushed.1);
        if pushed.1.since(begun) > after {
            // What it says until it is gone is still read.
            drop(child.kill());
        }
    }
    child.wait().unwrap();
    let log = ops::read(&dir.path().join("ops/w.ops")).unwrap();
    assert!(log.cut.as_ref().is_none_or(|cut| cut.torn), "{:?}", log.cut);
    let kept = log.records.len();
    assert!(kept > 100 && kept <= pushed.0 + 10, "{kept} of {}", pushed.0);
    pushed.1.since(log.records.done(kept - 1))
}

#[test]
fn a_killed_writer_loses_at_most_a_quarter_of_a_second() {
    if let Some(dir) = std::env::var_os(WRITE_TO) {
        return write_until_killed(Path::new(&dir));
    }
    // Killed at different moments between two flushes.
    let mut lost: Vec<Duration> = [470, 510, 550, 590, 630].map(|ms| lost_by_a_kill(Duration::from_millis(ms))).into();
    lost.sort_unstable();
    println!("lost by a kill: {lost:?}");
    // On a machine that does not let the writing thread run for a while it can be more; usually it is not.
    assert!(lost[2] <= Duration::from_millis(250), "{lost:?}");
    assert!(lost[4] <= Duration::from_secs(2), "{lost:?}");
}
