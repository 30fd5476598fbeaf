//! The drills under `drills/rabbitmq/` for real, with the built binary: their verdict, and their loss counted again by pika.

use crate::common::{one_at_a_time, output};
use crate::drill::{Ran, drill};
use crate::server::pika;
use blackstart::model::Outcome;
use std::collections::BTreeSet;

const BASE: u16 = 14040;

/// The records that are there, by pika at the first node.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let queue = format!("blackstart_ledger.{}", ran.id());
    let lines = pika(&ran.dir, ran.base + 1, &["list", &queue]);
    let pair = |line: &str| {
        let (run, id) = line.split_once(' ')?;
        let mut words = id.split('/');
        assert_eq!(run, ran.id());
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// A drill, and that its loss is what pika says. Whoever keeps what it returns keeps its servers: the next drill of the same
/// place finds them up.
fn ran(name: &str, base: u16) -> Ran {
    let ran = drill("rabbitmq", name, "rabbitmq", base);
    assert!([Some(0), Some(1)].contains(&ran.exit), "{}", ran.said);
    ran.loses_what_is_not(&there(&ran));
    ran
}

fn passed(name: &str, base: u16) -> Ran {
    let ran = ran(name, base);
    ran.passed();
    ran
}

/// Two lanes: three nodes for the drills of a cluster, one after another, and one node for those that lose it.
#[test]
fn the_drills_hold_and_their_loss_is_what_pika_says() {
    let lock = one_at_a_time("rabbitmq");
    std::thread::scope(|scope| {
        scope.spawn(|| drop([switchover(BASE), leader_loss(BASE), node_loss(BASE), classic_queue_loss(BASE)]));
        scope.spawn(|| drop([restore_disk(BASE + 15), restore_definitions(BASE + 15)]));
    });
    drop(lock);
}

fn leader_loss(base: u16) -> Ran {
    let ran = passed("leader-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
    let (low, high) = ran.actual("rto");
    assert!(low >= 0.0 && high < 10.0, "an election: {low} to {high} s");
    let doubtful = ran.told(Outcome::Unknown);
    let present = there(&ran).intersection(&doubtful).count() as u64;
    assert_eq!(present, ran.ledger("unknown_present"));
    ran
}

fn node_loss(base: u16) -> Ran {
    let ran = passed("node-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
    ran
}

fn switchover(base: u16) -> Ran {
    let ran = passed("switchover", base);
    assert_eq!(ran.ledger("lost"), 0);
    ran
}

/// Confirmed, and in memory only: it fails as it says.
fn classic_queue_loss(base: u16) -> Ran {
    let ran = ran("classic-queue-loss", base);
    assert_eq!((ran.exit, ran.report["run"]["verdict"].as_str()), (Some(1), Some("fail")), "{}", ran.said);
    assert!(ran.ledger("lost") > 100, "all that was confirmed before: {}", ran.said);
    assert!(ran.operations("fail") > 0, "and nobody takes more meanwhile: {}", ran.said);
    ran
}

fn restore_disk(base: u16) -> Ran {
    let ran = passed("restore-disk", base);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "what came after the copy: {low} to {high} s");
    output(&mut ran.script("is-whole.sh"));
    ran
}

/// Queues without what was in them: it fails as it says.
fn restore_definitions(base: u16) -> Ran {
    let ran = ran("restore-definitions", base);
    assert_eq!((ran.exit, ran.report["run"]["verdict"].as_str()), (Some(1), Some("fail")), "{}", ran.said);
    assert!(ran.ledger("lost") > 100, "all that was confirmed before: {}", ran.said);
    output(ran.script("is-whole.sh").arg("--definitions-only"));
    ran
}
