//! The drills under `drills/files/` for real, with the built binary: their verdict, and their loss counted again by awk.

use crate::common::{ground, one_at_a_time, output, scripts};
use crate::drill::{Ran, drill};
use crate::ports::five_free;
use crate::volume::lines;
use blackstart::model::Outcome;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The records that are there, by `awk`: a whole line each.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    // Of an export, what the server has.
    let top = ran.dir.join(if ran.dir.join("export").is_dir() { "export" } else { "service" });
    let folder = top.join("blackstart_ledger").join(ran.id());
    let found = lines(&folder, "cat [wg]*.* | awk 'NF == 5 && length($5) == 16 { print $1, $2 }'");
    let pair = |line: &String| {
        let (writer, seq) = line.split_once(' ')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    found.iter().filter_map(pair).collect()
}

/// Drills one after another.
type Lane = &'static [fn(u16)];

/// Several at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_awk_says() {
    let lock = one_at_a_time("files");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 3] = [
            (1, &[volume_failover, switchover]),
            (five_free(), &[nfs_export_lost, volume_failback]),
            (3, &[restore_snapshot, block_restore]),
        ];
        for (base, drills) in lanes {
            scope.spawn(move || drills.iter().for_each(|drill| drill(base)));
        }
    });
    leftovers_of_a_killed_staging_are_taken_away();
    drop(lock);
}

fn passed(name: &str, staging: &str, base: u16) -> Ran {
    let ran = drill("files", name, staging, base);
    ran.passed();
    ran.loses_what_is_not(&there(&ran));
    ran
}

/// Something was lost, and no more than what came after the last snapshot.
fn loses_some(ran: &Ran) {
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "{low} to {high} s\n{}", ran.said);
}

fn volume_failover(base: u16) {
    let ran = passed("volume-failover", "btrfs-pair", base);
    loses_some(&ran);
    output(ran.script("is-primary.sh").arg("b"));
}

fn volume_failback(base: u16) {
    let ran = passed("volume-failback", "btrfs-pair", base);
    loses_some(&ran);
    output(ran.script("is-primary.sh").arg("a"));
    // All at once, at the failover: the way back loses nothing.
    let (acked, there) = (ran.told(Outcome::Ok), there(&ran));
    for writer in 0..4 {
        let own: Vec<bool> = acked.range((writer, 0)..=(writer, u64::MAX)).map(|key| there.contains(key)).collect();
        let turns = own.windows(2).filter(|two| two[0] != two[1]).count();
        assert_eq!(turns, 2, "writer {writer}: there, lost, there");
    }
}

fn switchover(base: u16) {
    let ran = passed("switchover", "btrfs-pair", base);
    assert_eq!(ran.ledger("lost"), 0);
}

fn restore_snapshot(base: u16) {
    let ran = passed("restore-snapshot", "btrfs-pair", base);
    loses_some(&ran);
}

fn block_restore(base: u16) {
    let ran = passed("block-restore", "block", base);
    loses_some(&ran);
}

/// Nothing that was acknowledged is lost, and what was in doubt is at the server or is not.
fn nfs_export_lost(base: u16) {
    let ran = passed("nfs-export-lost", "nfs", base);
    assert_eq!(ran.ledger("lost"), 0);
    let doubtful = ran.told(Outcome::Unknown);
    assert!(!doubtful.is_empty(), "{}", ran.said);
    assert_eq!(there(&ran).intersection(&doubtful).count() as u64, ran.ledger("unknown_present"));
}

/// Whoever was killed in the middle leaves mounts and loop devices; the next one of the same folder begins with these.
fn leftovers_of_a_killed_staging_are_taken_away() {
    let dir = ground().join("blackstart-test-btrfs-pair-left");
    let script = |name: &str| {
        let mut command = Command::new(scripts().join("btrfs-pair").join(name));
        command.arg("--dir").arg(&dir);
        command
    };
    output(&mut script("up.sh"));
    output(&mut script("lose.sh"));
    let pids = lines(&dir, "cut -d' ' -f1 pids/replicator");
    output(Command::new("kill").arg("-KILL").args(pids));
    let fields = output(&mut script("up.sh"));
    assert!(fields.contains("service="), "{fields}");
    output(script("is-primary.sh").arg("a"));
    output(&mut script("down.sh"));
    let name = dir.display().to_string();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let devices = output(Command::new("losetup").args(["-nO", "BACK-FILE"]));
    assert!(!mounts.contains(&name) && !devices.contains(&name) && !Path::new(&dir).exists());
}
