//! The drills under `drills/redis/` for real, with the built binary: their verdict, and their loss counted again by
//! `redis-cli`. What was acknowledged comes from the operations log; what is there is asked of the server that the Sentinels
//! name, by its own client.

use crate::common::{one_at_a_time, output, scripts};
use crate::drill::{Ran, drill, run};
use crate::server::pipe;
use blackstart::model::Outcome;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Of the first staging; drills that run side by side have others.
const BASE: u16 = 17000;

fn password(ran: &Ran) -> String {
    std::fs::read_to_string(ran.dir.join("app.password")).unwrap().trim().to_owned()
}

/// Where clients go now, as the Sentinels say, if there are any.
fn port(ran: &Ran) -> u16 {
    if !ran.dir.join("s1").exists() {
        return ran.base + 1;
    }
    let named = pipe(ran.base + 11, &password(ran), "SENTINEL GET-MASTER-ADDR-BY-NAME orders\n");
    named.lines().nth(1).unwrap().parse().unwrap()
}

/// The records that are there, by `redis-cli`, from a server that was the primary before and after they were read: on a busy
/// machine the Sentinels may change their mind once more when the drill is over, and who becomes a replica has nothing
/// until it has loaded everything.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let (asked, deadline) = (password(ran), Instant::now() + Duration::from_secs(60));
    loop {
        let port = port(ran);
        let is_primary = || pipe(port, &asked, "ROLE\n").lines().next() == Some("master");
        let read = if is_primary() { pages(port, &asked, ran.id()) } else { Err("no primary".to_owned()) };
        match read {
            Ok(there) if is_primary() && self::port(ran) == port => return there,
            read => assert!(Instant::now() < deadline, "port {port} is not the primary's, or says {:?}", read.err()),
        }
        std::thread::park_timeout(Duration::from_millis(500));
    }
}

/// Some hundred at a time, without the payload, which is not text; a line that is no record is an error of the server's.
fn pages(port: u16, password: &str, run: &str) -> Result<BTreeSet<(u16, u64)>, String> {
    let (mut all, mut from) = (BTreeSet::new(), "-".to_owned());
    loop {
        let script = format!(
            "EVAL \"local r = {{}} for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 500)) do \
             r[#r + 1] = e[1] .. ' ' .. e[2][2] .. ' ' .. e[2][4] end return r\" 1 blackstart_ledger:{run} {from}\n"
        );
        let said = pipe(port, password, &script);
        let mut last = None;
        for line in said.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, writer, seq] = words[..] else { return Err(line.to_owned()) };
            let (Ok(writer), Ok(seq)) = (writer.parse(), seq.parse()) else { return Err(line.to_owned()) };
            all.insert((writer, seq));
            last = Some(id);
        }
        match last {
            Some(id) => from = format!("({id}"),
            None => return Ok(all),
        }
    }
}

/// Whatever the verdict: the loss is what the server says, and no password is shown.
fn true_to_the_server(ran: &Ran) {
    ran.loses_what_is_not(&there(ran));
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap() + &ran.said;
    assert!(!text.contains(&password(ran)), "the password is in the journal or in the output");
}

/// Drills one after another.
type Lane = [fn(u16); 4];

/// Two at a time: six servers each, that write all they are told to a disk.
#[test]
fn the_drills_hold_and_their_loss_is_what_redis_says() {
    let lock = one_at_a_time("redis");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 2] = [
            (BASE, [primary_loss, switchover, wait, restore_backup]),
            (BASE + 20, [lagging, restore_flushed, min_replicas, plain_switchover]),
        ];
        for (base, drills) in lanes {
            scope.spawn(move || drills.into_iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

fn primary_loss(base: u16) {
    let ran = drill("redis", "sentinel-primary-loss", "redis-sentinel", base);
    ran.passed();
    true_to_the_server(&ran);
    let (low, high) = ran.actual("rto");
    assert!(low > 0.9 && high < 10.0, "a second until it counts as down, then a vote: {low} to {high} s");
    assert_ne!(output(&mut ran.script("primary-pids.sh")).lines().next(), Some("name=r1"));
}

fn lagging(base: u16) {
    let ran = drill("redis", "sentinel-primary-loss-lagging", "redis-sentinel", base);
    ran.passed();
    true_to_the_server(&ran);
    assert!(ran.ledger("lost") > 50, "three seconds of lag: {}", ran.ledger("lost"));
    assert!(ran.actual("rpo_time").0 > 0.2, "{:?}", ran.actual("rpo_time"));
}

/// Who waits for a replica loses nothing, and is told which writes only the primary had.
fn wait(base: u16) {
    let ran = drill("redis", "sentinel-primary-loss-wait", "redis-sentinel", base);
    ran.passed();
    true_to_the_server(&ran);
    assert_eq!((ran.ledger("lost"), ran.actual("rpo_writes")), (0, (0.0, 0.0)));
    let alone = ran.told(Outcome::OkLocal);
    assert_eq!(alone.len() as u64, ran.ledger("acked_local"));
    assert!(alone.len() > 10, "acknowledged by the primary alone while the replicas stood still: {}", alone.len());
}

/// A primary that needs replicas refuses, and loses less.
fn min_replicas(base: u16) {
    let ran = drill("redis", "sentinel-primary-loss-min-replicas", "redis-sentinel", base);
    ran.passed();
    true_to_the_server(&ran);
    assert!(ran.operations("fail") > 100, "refused: {}", ran.operations("fail"));
    assert!(ran.actual("rpo_time").1 < 5.0, "{:?}", ran.actual("rpo_time"));
}

fn switchover(base: u16) {
    let ran = drill("redis", "sentinel-switchover", "redis-sentinel", base);
    ran.passed();
    true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
    assert_ne!(output(&mut ran.script("primary-pids.sh")).lines().next(), Some("name=r1"));
}

/// Hardly anybody sees an error, and the writes of some ten seconds are gone: the drill fails, and says why.
fn plain_switchover(base: u16) {
    let ran = drill("redis", "sentinel-switchover-plain", "redis-sentinel", base);
    assert_eq!(ran.exit, Some(1), "{}", ran.said);
    true_to_the_server(&ran);
    assert!(ran.ledger("lost") > 300, "{}", ran.ledger("lost"));
    assert!(ran.actual("rpo_time").0 > 2.0, "{:?}", ran.actual("rpo_time"));
    // At most what was on its way when the old primary hung up.
    assert!(ran.operations("fail") + ran.operations("unknown") <= 8, "{}", ran.said);
}

fn restore_backup(base: u16) {
    let ran = drill("redis", "restore-backup", "redis-backup", base);
    ran.passed();
    true_to_the_server(&ran);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 15.0, "what came after the backup: {low} to {high} s");
    assert_eq!(pipe(base + 1, &password(&ran), "GET stock:1000\n"), "item-1000");
}

fn restore_flushed(base: u16) {
    let ran = drill("redis", "restore-flushed", "redis-backup", base);
    ran.passed();
    true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
    assert_eq!(pipe(base + 1, &password(&ran), "GET stock:1000\n"), "item-1000");
}

#[test]
fn a_staging_that_cannot_come_up_is_said_and_nothing_is_left() {
    let lock = one_at_a_time("redis");
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", BASE + 2)).unwrap();
    let dir = temporary.path().join("staging");
    let playbook = scripts().parent().unwrap().join("redis/sentinel-primary-loss.yaml");
    let ran = run(&playbook, &temporary.path().join("reports"), &dir, BASE);
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(69), "{said}");
    assert!(said.contains("port 17002 is in use"), "{said}");
    assert!(!dir.exists());
    drop(lock);
}
