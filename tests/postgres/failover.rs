//! The drills of the pair that change or lose roles, for real, with the built binary; their loss counted again by `psql`. What
//! was acknowledged comes from the operations log.

use crate::drill::{Ran, drill};
use crate::pair::{one_at_a_time, output};
use std::collections::BTreeSet;
use std::process::Command;

/// Of the first staging; drills that run side by side have others.
const BASE: u16 = 16100;
const STAGING: &str = "postgres-pair";

/// The records that are there, by `psql` on the clients' port.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let query = format!("select writer, seq from blackstart_ledger where run = '{}'", ran.id());
    let lines = output(
        Command::new("psql")
            .env("PGPASSFILE", ran.dir.join("pgpass"))
            .args(["-h", "127.0.0.1", "-p", &ran.base.to_string(), "-U", "app", "-d", "app"])
            .args(["-XqAt", "-F", " ", "-v", "ON_ERROR_STOP=1", "-c", &query]),
    );
    let pair = |line: &str| {
        let (writer, seq) = line.split_once(' ')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// It passed, its loss is what the database says, nobody saw two primaries, and no password is shown.
fn true_to_the_server(ran: &Ran) {
    ran.passed();
    ran.loses_what_is_not(&there(ran));
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap();
    assert!(text.contains("guard `never two primaries` held in"), "{}", ran.said);
    let password = std::fs::read_to_string(ran.dir.join("app.password")).unwrap();
    assert!(!(text + &ran.said).contains(password.trim()), "the password is in the journal or in the output");
}

/// What a step of the drill saw.
fn saw(ran: &Ran, step: &str) -> String {
    let steps = ran.report["steps"].as_array().unwrap();
    let found = steps.iter().find(|s| s["step"] == step || s["id"] == step);
    found.unwrap_or_else(|| panic!("no step {step} in {steps:#?}")).to_string()
}

/// Drills one after another.
type Lane = &'static [fn(u16)];

/// Three at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_psql_says() {
    let lock = one_at_a_time();
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 3] = [
            (BASE, &[switchover, replica_lost]),
            (BASE + 30, &[failback, sessions_terminated]),
            (BASE + 60, &[pgbouncer, replay_paused]),
        ];
        for (base, drills) in lanes {
            scope.spawn(move || drills.iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

fn switchover(base: u16) {
    let ran = drill("postgres", "switchover", STAGING, base);
    true_to_the_server(&ran);
    assert_eq!((ran.ledger("lost"), ran.actual("rpo_writes")), (0, (0.0, 0.0)));
    assert!(output(&mut ran.script("primary-pids.sh")).contains("name=pg2"));
}

fn replica_lost(base: u16) {
    let ran = drill("postgres", "replica-lost", STAGING, base);
    true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
    assert!(output(&mut ran.script("primary-pids.sh")).contains("name=pg1"));
}

/// What was lost is on the old primary until it is rewound, and the way back loses nothing.
fn failback(base: u16) {
    let ran = drill("postgres", "failback", STAGING, base);
    true_to_the_server(&ran);
    assert!(ran.ledger("lost") > 20, "half a second of lag: {}", ran.ledger("lost"));
    let all = ran.report["objectives"].as_array().unwrap();
    let back = all.iter().find(|o| o["name"] == "rpo_writes" && o["fault"] == "failback").unwrap();
    assert_eq!(back["actual"]["high"].as_f64(), Some(0.0), "{back}");
    assert!(saw(&ran, "rejoin").contains("diverged"), "{}", saw(&ran, "rejoin"));
    assert!(saw(&ran, "lag_bytes_at_the_fault").contains("the lag in bytes is"));
    assert!(output(&mut ran.script("primary-pids.sh")).contains("name=pg1"));
}

fn pgbouncer(base: u16) {
    let ran = drill("postgres", "primary-loss-pgbouncer", STAGING, base);
    true_to_the_server(&ran);
    let (low, high) = ran.actual("rto");
    assert!(low > 0.9 && high < 20.0, "a second of deciding and a promotion: {low} to {high} s");
    assert!(ran.operations("fail") + ran.operations("unknown") > 4, "{}", ran.said);
}

/// Seconds that were not replayed, and next to nothing is lost.
fn replay_paused(base: u16) {
    let ran = drill("postgres", "primary-loss-replay-paused", STAGING, base);
    true_to_the_server(&ran);
    assert!(ran.ledger("lost") < 50, "what it had saved is not lost: {}", ran.ledger("lost"));
    assert!(saw(&ran, "replay_lag_at_the_fault").contains("the lag of replay in seconds is"));
}

/// Nothing that was acknowledged is lost, whatever became of the sessions.
fn sessions_terminated(base: u16) {
    let ran = drill("postgres", "sessions-terminated", STAGING, base);
    true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
}
