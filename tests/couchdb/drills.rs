//! The drills under `drills/couchdb/` for real, with the built binary: their verdict, and their loss counted again by `curl`.

use crate::common::{one_at_a_time, output, until};
use crate::drill::{Ran, drill};
use crate::server::names_in;
use blackstart::journal::ops;
use blackstart::model::{Action, Outcome};
use std::collections::BTreeSet;

const BASE: u16 = 19000;

type Records = BTreeSet<(u16, u64)>;

/// The records that are in a region.
fn there(ran: &Ran, region: u16) -> Records {
    let prefix = format!("blackstart_ledger:{}:", ran.id());
    let pair = |name: &String| {
        let (writer, seq) = name.strip_prefix(&prefix)?.split_once(':')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    names_in(&ran.dir, ran.base + region, &prefix).iter().filter_map(pair).collect()
}

/// Drills one after another.
type Lane = &'static [fn(u16)];

/// Two at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_curl_says() {
    let lock = one_at_a_time("couchdb");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 2] =
            [(BASE, &[region_loss, switchover]), (BASE + 20, &[restore_backup, replication_stopped, active_active])];
        for (base, drills) in lanes {
            scope.spawn(move || drills.iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

/// It passed, and what was acknowledged and is not in the region is what it says is lost.
fn passed(name: &str, base: u16, region: u16) -> Ran {
    let mut ran = drill("couchdb", name, "couchdb-regions", base);
    ran.least = 100;
    ran.passed();
    ran.loses_what_is_not(&there(&ran, region));
    ran
}

fn region_loss(base: u16) {
    let ran = passed("region-loss", base, 1);
    until("what is lost is lost in both", || there(&ran, 1) == there(&ran, 2));
    assert!(ran.operations("unknown") > 0, "the entry had nobody to send clients to");
    let (low, high) = ran.actual("rto");
    assert!(low > 0.9 && high < 15.0, "people took a second to decide: {low} to {high} s");
}

fn switchover(base: u16) {
    let ran = passed("switchover", base, 2);
    assert_eq!(ran.ledger("lost"), 0);
}

fn replication_stopped(base: u16) {
    let ran = passed("replication-stopped", base, 1);
    assert_eq!(ran.ledger("lost"), 0);
    let steps = ran.report["steps"].as_array().unwrap();
    let moment = |id: &str| steps.iter().find(|step| step["id"] == id).unwrap()["ended"].as_f64().unwrap();
    let took = moment("detected") - moment("silence");
    assert!(took > 1.0 && took < 10.5, "a look waits 2.4 s, and has ten: {took} s");
}

fn restore_backup(base: u16) {
    let ran = passed("restore-backup", base, 2);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "what came after the dump: {low} to {high} s");
    output(&mut ran.script("is-whole.sh"));
}

/// Each region has its own log; at the end both hold whatever either acknowledged.
fn active_active(base: u16) {
    let ran = drill("couchdb", "active-active", "couchdb-regions", base);
    ran.passed();
    let acked = |site: &str| -> Records {
        let log = ops::read(&ran.folder.join(ops::file_name(&format!("orders@{site}").as_str().into()))).unwrap();
        let acked = log.records.iter().filter(|r| r.action == Action::Write && r.outcome == Outcome::Ok);
        acked.filter_map(|r| r.key.map(|k| (k.writer, k.seq))).collect()
    };
    let all: Records = acked("a").union(&acked("b")).copied().collect();
    for (place, region) in [1, 2].into_iter().enumerate() {
        let site = &ran.report["sites"][0]["sites"][place];
        let lost = all.difference(&there(&ran, region)).count();
        assert_eq!((lost, &site["lost"]), (0, &serde_json::json!(0)), "{}", ran.said);
        assert!(
            site["lacked"].as_u64().is_none_or(|lacked| lacked > 0),
            "each went on by itself: {site}\n{}",
            ran.said
        );
    }
    assert!(all.len() > 100, "clients worked: {}", all.len());
}
