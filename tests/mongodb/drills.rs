//! The drills under `drills/mongodb/` for real, with the built binary, against doubles: their verdict, and their loss counted
//! again by pymongo.

use crate::common::{one_at_a_time, output, scripts};
use crate::drill::{Ran, drill, run};
use crate::server::pymongo;
use blackstart::model::Outcome;
use std::collections::BTreeSet;
use std::net::TcpListener;

/// Of the first staging; drills that run side by side have others.
const BASE: u16 = 19500;

fn password(ran: &Ran) -> String {
    std::fs::read_to_string(ran.dir.join("app.password")).unwrap().trim().to_owned()
}

/// The records that are there, by pymongo.
fn there(ran: &Ran) -> BTreeSet<(u16, u64)> {
    let hosts: Vec<String> = (1..=3).map(|member| format!("127.0.0.1:{}", ran.base + member)).collect();
    let url = format!("mongodb://app:{}@{}/shop?replicaSet=rs0&authSource=admin", password(ran), hosts.join(","));
    let code = format!(
        "c = db.get_collection('blackstart_ledger.{}', read_concern=ReadConcern('majority'))
print('\\n'.join(f\"{{d['w']}} {{d['s']}}\" for d in c.find({{}}, {{'w': 1, 's': 1}})))",
        ran.id()
    );
    let pair = |line: &str| {
        let (writer, seq) = line.split_once(' ')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    pymongo(&url, &code).lines().filter_map(pair).collect()
}

fn passed(name: &str, base: u16) -> Ran {
    let ran = drill("mongodb", name, "mongodb-double", base);
    ran.passed();
    ran.loses_what_is_not(&there(&ran));
    let text = std::fs::read_to_string(ran.folder.join("journal.jsonl")).unwrap() + &ran.said;
    assert!(!text.contains(&password(&ran)), "the password is in the journal or in the output");
    ran
}

/// Drills one after another.
type Lane = [fn(u16); 2];

/// Two at a time: they wait more than they do.
#[test]
fn the_drills_hold_and_their_loss_is_what_pymongo_says() {
    let lock = one_at_a_time("mongodb");
    std::thread::scope(|scope| {
        let lanes: [(u16, Lane); 2] =
            [(BASE, [primary_loss, step_down]), (BASE + 10, [primary_loss_majority, restore_dump])];
        for (base, drills) in lanes {
            scope.spawn(move || drills.into_iter().for_each(|drill| drill(base)));
        }
    });
    drop(lock);
}

/// What the primary alone had acknowledged is rolled back.
fn primary_loss(base: u16) {
    let ran = passed("primary-loss", base);
    assert!(ran.ledger("lost") > 10, "a second of lag: {}", ran.ledger("lost"));
    let (low, high) = ran.actual("rto");
    assert!(low > 0.5 && high < 20.0, "an election after 2.5 s of silence: {low} to {high} s");
}

/// The same outage, and nothing is lost that a majority was promised to have.
fn primary_loss_majority(base: u16) {
    let ran = passed("primary-loss-majority", base);
    assert_eq!((ran.ledger("lost"), ran.actual("rpo_writes")), (0, (0.0, 0.0)));
    let doubtful = ran.told(Outcome::Unknown).len() + ran.told(Outcome::OkLocal).len();
    assert_eq!(ran.told(Outcome::Unknown).len() as u64, ran.operations("unknown"));
    assert!(doubtful > 0, "who waited for a majority that stood still was not told that it has it");
}

fn step_down(base: u16) {
    let ran = passed("step-down", base);
    assert_eq!(ran.ledger("lost"), 0);
}

fn restore_dump(base: u16) {
    let ran = passed("restore-dump", base);
    let (low, high) = ran.actual("rpo_time");
    assert!(ran.ledger("lost") > 0 && low > 0.0 && high < 20.0, "what came after the dump: {low} to {high} s");
    output(&mut ran.script("is-whole.sh"));
}

#[test]
fn a_staging_that_cannot_come_up_is_said_and_nothing_is_left() {
    let lock = one_at_a_time("mongodb");
    let temporary = tempfile::Builder::new().prefix("blackstart-test-drill-").tempdir().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", BASE + 42)).unwrap();
    let dir = temporary.path().join("staging");
    let playbook = scripts().parent().unwrap().join("mongodb/primary-loss.yaml");
    let ran = run(&playbook, &temporary.path().join("reports"), &dir, BASE + 40);
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(69), "{said}");
    assert!(said.contains("port 19542 is in use"), "{said}");
    assert!(!dir.exists());
    drop(lock);
}
