//! The drills under `drills/s3/` for real, with the built binary: their verdict, and their loss counted again by boto3.

use crate::common::{one_at_a_time, output};
use crate::drill::{Ran, drill};
use crate::server::listed;
use std::collections::BTreeSet;

const BASE: u16 = 17400;

/// The records that are there, by boto3 in the region that clients are led to.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let active = std::fs::read_to_string(ran.dir.join("active")).unwrap();
    let port = ran.base + if active.trim() == "a" { 11 } else { 12 };
    let prefix = format!("blackstart_ledger/{}/", ran.id());
    let pair = |name: &String| {
        let mut words = name.strip_prefix(&prefix)?.split('/');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    listed(&ran.dir.join("keys.json"), port, &prefix).iter().filter_map(pair).collect()
}

/// Two at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_boto3_says() {
    let lock = one_at_a_time("s3");
    std::thread::scope(|scope| {
        scope.spawn(|| region_loss(BASE));
        scope.spawn(|| {
            restore_versions(BASE + 20);
            region_switchover(BASE + 20);
        });
    });
    drop(lock);
}

fn passed(name: &str, base: u16) -> Ran {
    let mut ran = drill("s3", name, "s3-regions", base);
    // Few and slow, as such writes are.
    ran.least = 200;
    ran.passed();
    ran.loses_what_is_not(&there(&ran));
    let secret = std::fs::read_to_string(ran.dir.join("drill.secret")).unwrap();
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap() + &ran.said;
    assert!(!text.contains(secret.trim()), "the secret is in the journal or in the output");
    ran
}

/// What was not copied in time is gone.
fn region_loss(base: u16) {
    let ran = passed("region-loss", base);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "what was not copied: {low} to {high} s");
    assert!(
        ran.operations("unknown") > 0,
        "a front that takes a connection and has nowhere to lead it to: {}",
        ran.said
    );
    output(ran.script("is-active.sh").arg("b"));
}

fn restore_versions(base: u16) {
    let ran = passed("restore-versions", base);
    assert_eq!(ran.ledger("lost"), 0);
    output(ran.script("is-whole.sh").arg("a"));
}

fn region_switchover(base: u16) {
    let ran = passed("region-switchover", base);
    assert_eq!(ran.ledger("lost"), 0);
    output(ran.script("is-active.sh").arg("b"));
}
