//! The line-JSON protocol, with the example program and with programs that break it.

use super::{PATIENCE, act, key, settings};
use blackstart::adapters::{Act, AdapterError, Command, Endpoint, Opened, Row, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

async fn open(argv: &[&str], timeout: Duration) -> Result<Opened, AdapterError> {
    let command = Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: BTreeMap::new(),
        stdin: None,
        cwd: Some(env!("CARGO_MANIFEST_DIR").into()),
        timeout,
    };
    let settings = settings(ClientBehaviour::Pooled, timeout);
    World::system().clients.open(&Clock::System, &Endpoint::Command { command }, &settings).await
}

/// A program in Python whose `act(ask)` is given; it returns the answer's fields, or none for silence.
fn script(act: &str) -> String {
    format!(
        "import json, sys, os\n{act}\nfor line in sys.stdin:\n    ask = json.loads(line)\n    answer = {{'outcome': 'ok', 'protocol': 1}} if ask['op'] == 'hello' else act(ask)\n    if answer: print(json.dumps({{'id': ask['id'], **answer}}), flush=True)\n"
    )
}

#[tokio::test]
async fn the_example_program_is_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.db");
    let opened =
        open(&["python3", "drills/examples/sqlite_client.py", file.to_str().unwrap()], PATIENCE).await.unwrap();
    let (client, store) = (opened.client, opened.store.unwrap());
    store.prepare().await.unwrap();
    assert_eq!(act(&*client, Act::Visit(7)).await.outcome, Outcome::Ok);
    for seq in 0..20 {
        assert_eq!(act(&*client, Act::Write(key((seq % 2) as u16, seq / 2))).await.outcome, Outcome::Ok);
    }
    let read = act(&*client, Act::Read(key(1, 9))).await;
    assert_eq!((read.outcome, read.found), (Outcome::Ok, Some(Found::Intact)));
    let read = act(&*client, Act::Read(key(1, 10))).await;
    assert_eq!((read.outcome, read.found), (Outcome::Ok, Some(Found::Absent)));
    let mut rows: Vec<Row> = Vec::new();
    store.read_back(&mut |row| rows.push(row)).await.unwrap();
    let keys: Vec<_> = rows.iter().map(|row| row.key.clone().unwrap()).collect();
    assert_eq!(keys, (0..20).map(|seq| key((seq % 2) as u16, seq / 2)).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.payload.len() == 32 && row.attempt == 1));
}

#[tokio::test]
async fn a_definite_no_and_a_doubt_stay_what_they_are() {
    let answers = script("def act(ask): return {'outcome': ['fail', 'unknown', 'ok_local'][int(ask['nonce'])]}");
    let client = open(&["python3", "-c", &answers], PATIENCE).await.unwrap().client;
    for (number, outcome) in [(0, Outcome::Fail), (1, Outcome::Unknown), (2, Outcome::OkLocal)] {
        assert_eq!(act(&*client, Act::Visit(number)).await.outcome, outcome);
    }
}

#[tokio::test]
async fn a_late_answer_reaches_nobody() {
    // The first request is answered only together with the second.
    let late = script(
        "held = []\ndef act(ask):\n    held.append(ask['id'])\n    if len(held) == 2: print(json.dumps({'id': held[0], 'outcome': 'fail'}), flush=True)\n    return {'outcome': 'ok'} if len(held) == 2 else None",
    );
    let client = open(&["python3", "-c", &late], Duration::from_secs(2)).await.unwrap().client;
    assert_eq!(act(&*client, Act::Visit(0)).await.outcome, Outcome::Unknown);
    assert_eq!(act(&*client, Act::Visit(1)).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_program_that_ends_leaves_doubt_once_and_is_started_again() {
    let mortal = script("def act(ask): return os._exit(1) if ask['nonce'] == '13' else {'outcome': 'ok'}");
    let client = open(&["python3", "-c", &mortal], PATIENCE).await.unwrap().client;
    assert_eq!(act(&*client, Act::Visit(1)).await.outcome, Outcome::Ok);
    assert_eq!(act(&*client, Act::Visit(13)).await.outcome, Outcome::Unknown);
    let back = async {
        loop {
            match act(&*client, Act::Visit(2)).await.outcome {
                Outcome::Ok => return,
                outcome => assert_eq!(outcome, Outcome::Unsent),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test]
async fn a_read_back_that_is_cut_off_is_an_error() {
    let short = script(
        "def act(ask):\n    if ask['op'] == 'prepare': return {'outcome': 'ok'}\n    print(json.dumps({'id': ask['id'], 'row': {'writer': 0, 'seq': 0}}), flush=True)\n    return {'outcome': 'ok', 'rows': 2}",
    );
    let store = open(&["python3", "-c", &short], PATIENCE).await.unwrap().store.unwrap();
    store.prepare().await.unwrap();
    assert!(matches!(store.read_back(&mut |_| ()).await, Err(AdapterError::Other(_))));
}

#[tokio::test]
async fn a_program_that_does_not_start_says_why() {
    let error = open(&["no-such-program-here"], PATIENCE).await.err().unwrap();
    assert!(matches!(error, AdapterError::Missing(_)), "{error}");
    let complaint = "import sys; sys.exit('no database today')";
    let error = open(&["python3", "-c", complaint], PATIENCE).await.err().unwrap();
    assert!(error.to_string().contains("no database today"), "{error}");
    let mute = open(&["echo", r#"{"id":1,"outcome":"ok"}"#], PATIENCE).await.err().unwrap();
    assert!(mute.to_string().contains("protocol"), "{mute}");
}
