//! The drills under `drills/mariadb/` for real, with the built binary: their verdict, and their loss counted again by the
//! `mariadb` client. What was acknowledged comes from the operations log; what is there is asked of the server that clients'
//! port leads to.

use crate::common::{one_at_a_time, output, scripts};
use crate::drill::{Ran, drill, run};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

/// Of the first staging; drills that run side by side have others.
const BASE: u16 = 14700;

fn password(ran: &Ran) -> String {
    std::fs::read_to_string(ran.dir.join("app.password")).unwrap().trim().to_owned()
}

/// What the `mariadb` client prints, at the clients' port.
pub fn sql(ran: &Ran, query: &str) -> String {
    output(
        Command::new("mariadb")
            .env("MYSQL_PWD", password(ran))
            .args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", &ran.base.to_string(), "-u", "app"])
            .args(["-N", "-B", "app", "-e", query]),
    )
}

/// The records that are there.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let lines = sql(ran, &format!("select writer, seq from blackstart_ledger where run = '{}'", ran.id()));
    let pair = |line: &str| {
        let (writer, seq) = line.split_once('\t')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// Whatever the verdict: the loss is what the server says, and no password is shown.
pub fn true_to_the_server(ran: &Ran) {
    ran.loses_what_is_not(&there(ran));
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap() + &ran.said;
    assert!(!text.contains(&password(ran)), "the password is in the journal or in the output");
}

/// Drills one after another.
type Lane = &'static [fn(u16)];

/// Two at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_mariadb_says() {
    let lock = one_at_a_time("mariadb");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 2] = [(BASE, &[primary_loss, lagging]), (BASE + 40, &[semi_sync, switchover])];
        for (base, drills) in lanes {
            scope.spawn(move || drills.iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

fn primary_loss(base: u16) {
    let ran = drill("mariadb", "primary-loss", "mariadb-pair", base);
    ran.passed();
    true_to_the_server(&ran);
    let (low, high) = ran.actual("rto");
    assert!(low > 1.5 && high < 15.0, "people decide for two seconds: {low} to {high} s");
    assert_eq!(output(&mut ran.script("primary-pids.sh")).lines().next(), Some("other=m1"), "m2 is primary");
}

fn lagging(base: u16) {
    let ran = drill("mariadb", "primary-loss-lagging", "mariadb-pair", base);
    ran.passed();
    true_to_the_server(&ran);
    assert!(ran.ledger("lost") > 50, "a second of lag: {}", ran.ledger("lost"));
    assert!(ran.actual("rpo_time").0 > 0.5, "{:?}", ran.actual("rpo_time"));
}

/// Who waits for the replica loses nothing.
fn semi_sync(base: u16) {
    let ran = drill("mariadb", "primary-loss-semisync", "mariadb-pair", base);
    ran.passed();
    true_to_the_server(&ran);
    assert_eq!((ran.ledger("lost"), ran.actual("rpo_writes")), (0, (0.0, 0.0)));
    // At most what was on its way in each of the eight writers when the primary died.
    assert!(ran.operations("unknown") <= 8, "{}", ran.said);
}

fn switchover(base: u16) {
    let ran = drill("mariadb", "switchover", "mariadb-pair", base);
    ran.passed();
    true_to_the_server(&ran);
    assert_eq!(ran.ledger("lost"), 0);
    assert_eq!(output(&mut ran.script("primary-pids.sh")).lines().next(), Some("other=m1"), "m2 is primary");
}

#[test]
fn a_staging_that_cannot_come_up_is_said_and_nothing_is_left() {
    let lock = one_at_a_time("mariadb");
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", BASE + 22)).unwrap();
    let dir = temporary.path().join("staging");
    let playbook = scripts().parent().unwrap().join("mariadb/primary-loss.yaml");
    let ran = run(&playbook, &temporary.path().join("reports"), &dir, BASE);
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(69), "{said}");
    assert!(said.contains("port 14722 is in use"), "{said}");
    assert!(!dir.exists());
    drop(lock);
}
