//! The drills under `drills/etcd/` for real, with the built binary: their verdict, and their loss counted again by `etcdctl`.

use crate::common::{one_at_a_time, output};
use crate::drill::{Ran, drill};
use crate::server::ctl;
use blackstart::model::Outcome;
use std::collections::BTreeSet;

const BASE: u16 = 18900;

/// The records that are there, by `etcdctl` at any member.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let endpoints = (1..=3).map(|member| format!("127.0.0.1:{}", ran.base + member)).collect::<Vec<_>>().join(",");
    let prefix = format!("blackstart_ledger/{}/", ran.id());
    let lines = ctl(&endpoints, &["get", &prefix, "--prefix", "--keys-only"]);
    let pair = |line: &str| {
        let mut words = line.strip_prefix(&prefix)?.split('/');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// Drills one after another.
type Lane = &'static [fn(u16)];

/// Three at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_etcdctl_says() {
    let lock = one_at_a_time("etcd");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 3] = [
            (BASE, &[leader_loss, move_leader]),
            (BASE + 20, &[quorum_loss]),
            (BASE + 40, &[restore_snapshot, member_loss]),
        ];
        for (base, drills) in lanes {
            scope.spawn(move || drills.iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

fn passed(name: &str, base: u16) -> Ran {
    let ran = drill("etcd", name, "etcd", base);
    ran.passed();
    ran.loses_what_is_not(&there(&ran));
    ran
}

fn leader_loss(base: u16) {
    let ran = passed("leader-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
    let (low, high) = ran.actual("rto");
    assert!(low > 0.2 && high < 5.0, "an election after a second of silence: {low} to {high} s");
}

fn member_loss(base: u16) {
    let ran = passed("member-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
}

/// What was sent while there was no majority is in doubt, and never acknowledged.
fn quorum_loss(base: u16) {
    let ran = passed("quorum-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
    assert!(ran.operations("unknown") > 0, "{}", ran.said);
    let doubtful = ran.told(Outcome::Unknown);
    let present = there(&ran).intersection(&doubtful).count() as u64;
    assert_eq!(present, ran.ledger("unknown_present"));
}

fn move_leader(base: u16) {
    let ran = passed("move-leader", base);
    assert_eq!(ran.ledger("lost"), 0);
}

fn restore_snapshot(base: u16) {
    let ran = passed("restore-snapshot", base);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "what came after the snapshot: {low} to {high} s");
    output(&mut ran.script("is-whole.sh"));
}
