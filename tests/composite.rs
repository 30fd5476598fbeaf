//! A service with two stores, PostgreSQL and etcd, for real: the drill under `drills/composite/` with the built binary, and its
//! loss counted again by `psql` and `etcdctl`. Needs the servers that `tests/install.sh` installs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
#[expect(dead_code, reason = "shared by all data systems; one drill needs little of it")]
mod common;
#[path = "data/drill.rs"]
#[expect(dead_code, reason = "shared by all data systems; one drill needs little of it")]
mod drill;

use common::{one_at_a_time, output};
use drill::{Ran, drill};
use std::collections::BTreeSet;
use std::process::Command;

const BASE: u16 = 14400;

fn pair(mut words: std::str::Split<'_, char>) -> Option<(u16, u64)> {
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The records whose row is there, by `psql` on the port that the service uses.
fn rows(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let query = format!("select writer || '/' || seq from records where run = '{}'", ran.id());
    let address = format!("host=127.0.0.1 port={} user=app dbname=app", ran.base);
    let mut psql = Command::new("psql");
    psql.env("PGPASSFILE", ran.dir.join("postgres/pgpass")).args(["-XqAt", "-d", &address, "-c", &query]);
    output(&mut psql).lines().filter_map(|line| pair(line.split('/'))).collect()
}

/// The records whose key is there, by `etcdctl`.
fn keys(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let members = (101..=103).map(|n| format!("127.0.0.1:{}", ran.base + n)).collect::<Vec<_>>().join(",");
    let prefix = format!("index/{}/", ran.id());
    let mut etcdctl = Command::new("etcdctl");
    etcdctl.env("ETCDCTL_API", "3").args(["--endpoints", &members, "get", &prefix, "--prefix", "--keys-only"]);
    output(&mut etcdctl).lines().filter_map(|line| pair(line.strip_prefix(&prefix)?.split('/'))).collect()
}

/// Both stores go back to one point: what is there is there in both, and what is gone was acknowledged after the point.
#[test]
fn both_stores_come_back_and_fit_together() {
    let lock = one_at_a_time("composite");
    let ran = drill("composite", "service-restore", "composite", BASE);
    ran.passed();
    let (rows, keys) = (rows(&ran), keys(&ran));
    let alone: Vec<_> = rows.symmetric_difference(&keys).collect();
    assert!(alone.is_empty(), "in one store only: {alone:?}");
    assert!(ran.ledger("lost") > 0, "what came after the last recovery point: {}", ran.said);
    ran.loses_what_is_not(&rows);
    a_missing_key_is_found(&ran);
    drop(lock);
}

/// The check that the drill relies on does not believe: one key less, one too many, one that says something else.
fn a_missing_key_is_found(ran: &Ran) {
    let members = (101..=103).map(|n| format!("127.0.0.1:{}", ran.base + n)).collect::<Vec<_>>().join(",");
    let ctl = |words: &[&str]| {
        let mut etcdctl = Command::new("etcdctl");
        output(etcdctl.env("ETCDCTL_API", "3").args(["--endpoints", &members]).args(words))
    };
    let complaint = || {
        let done = ran.script("consistent.sh").output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let prefix = format!("index/{}/", ran.id());
    let key = ctl(&["get", &prefix, "--prefix", "--keys-only", "--limit", "1"]).trim().to_owned();
    let hash = ctl(&["get", &key, "--print-value-only"]);
    ctl(&["put", &key, "something else"]);
    assert!(complaint().contains("0 keys without a row, 1 that differ"));
    ctl(&["put", &key, &hash]);
    let stray = format!("{prefix}0/999999/1");
    ctl(&["put", &stray, &hash]);
    assert!(complaint().contains("1 keys without a row, 0 that differ"));
    ctl(&["del", &stray]);
    ctl(&["del", &key]);
    assert!(complaint().contains("1 rows without a key"));
    assert!(output(&mut ran.script("reconcile.sh")).contains("made=1"));
    output(&mut ran.script("consistent.sh"));
}
