//! The drills under `drills/elasticsearch/` for real, with the built binary and the double: their verdict, and their loss counted
//! again by the vendor's own client.

use crate::common::{one_at_a_time, output};
use crate::drill::{Ran, drill};
use crate::server::listed;
use std::collections::BTreeSet;

const BASE: u16 = 17700;

fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let ports = (1..=3).map(|node| (ran.base + node).to_string()).collect::<Vec<_>>().join(",");
    let index = format!("blackstart_ledger-{}", ran.id().to_ascii_lowercase());
    let pair = |name: &String| {
        let mut words = name.split('-');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    listed(&ports, &ran.dir.join("drill.password"), &index).iter().filter_map(pair).collect()
}

/// Side by side: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_the_vendors_client_says() {
    let lock = one_at_a_time("elasticsearch");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            node_loss(BASE);
            node_drain(BASE);
        });
        scope.spawn(|| index_deleted(BASE + 20));
    });
    drop(lock);
}

fn passed(name: &str, base: u16) -> Ran {
    let mut ran = drill("elasticsearch", name, "elasticsearch", base);
    // Few and slow, as such writes are.
    ran.least = 200;
    ran.passed();
    ran.loses_what_is_not(&there(&ran));
    let password = std::fs::read_to_string(ran.dir.join("drill.password")).unwrap();
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap() + &ran.said;
    assert!(!text.contains(password.trim()), "the password is in the journal or in the output");
    ran
}

fn node_loss(base: u16) {
    let ran = passed("node-loss", base);
    assert_eq!(ran.ledger("lost"), 0);
}

fn node_drain(base: u16) {
    let ran = passed("node-drain", base);
    assert_eq!(ran.ledger("lost"), 0);
}

fn index_deleted(base: u16) {
    let ran = passed("index-deleted-restore", base);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 30.0, "what came after the snapshot: {low} to {high} s");
    assert!(ran.operations("fail") > 0, "a write that finds no alias is refused: {}", ran.said);
    output(&mut ran.script("is-whole.sh"));
}
