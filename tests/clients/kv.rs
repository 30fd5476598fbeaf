//! The client of the embedded staging's ledger, against the real processes.

use super::{PATIENCE, act, key, settings};
use crate::cluster::Cluster;
use blackstart::adapters::{Act, AdapterError, Endpoint, Opened, Row, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

impl Cluster {
    fn pid(&self, role: &str) -> Pid {
        let text = std::fs::read_to_string(self.dir.as_ref().unwrap().path().join(role)).unwrap();
        Pid::from_raw(text.trim().parse().unwrap())
    }

    async fn open(&self, behaviour: ClientBehaviour, timeout: Duration) -> Opened {
        let endpoint = Endpoint::KvLedger { url: format!("http://127.0.0.1:{}", self.port) };
        World::system().clients.open(&Clock::System, &endpoint, &settings(behaviour, timeout)).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_read_back() {
    let cluster = Cluster::up();
    for behaviour in [ClientBehaviour::Pooled, ClientBehaviour::Fresh] {
        let Opened { client, store } = cluster.open(behaviour.clone(), PATIENCE).await;
        let store = store.unwrap();
        store.prepare().await.unwrap();
        let from = if behaviour == ClientBehaviour::Pooled { 0 } else { 10 };
        for seq in from..from + 10 {
            assert_eq!(act(&*client, Act::Write(key(1, seq))).await.outcome, Outcome::Ok);
        }
        let read = act(&*client, Act::Read(key(1, from + 3))).await;
        assert_eq!((read.outcome, read.found), (Outcome::Ok, Some(Found::Intact)));
        let read = act(&*client, Act::Read(key(0, 3))).await;
        assert_eq!((read.outcome, read.found), (Outcome::Ok, Some(Found::Absent)));
        let mut keys = Vec::new();
        store.read_back(&mut |row| keys.push(row.key.unwrap())).await.unwrap();
        assert_eq!(keys, (0..from + 10).map(|seq| key(1, seq)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_frozen_primary_is_unknown_and_a_dead_service_is_a_failure() {
    let cluster = Cluster::up();
    let opened = cluster.open(ClientBehaviour::Pooled, Duration::from_millis(150)).await;
    let (client, store) = (opened.client, opened.store.unwrap());
    assert_eq!(act(&*client, Act::Write(key(0, 0))).await.outcome, Outcome::Ok);
    let primary = cluster.pid("primary.pid");
    kill(primary, Signal::SIGSTOP).unwrap();
    let done = act(&*client, Act::Write(key(0, 1))).await;
    assert_eq!(done.outcome, Outcome::Unknown);
    assert!(done.done - done.sent >= 150_000_000, "{done:?}");
    kill(primary, Signal::SIGCONT).unwrap();
    drop(cluster);
    assert_eq!(act(&*client, Act::Write(key(0, 2))).await.outcome, Outcome::Fail);
    let cut = store.read_back(&mut |_| ()).await.unwrap_err();
    assert!(matches!(cut, AdapterError::Unreachable(_)), "{cut}");
}

#[tokio::test]
async fn a_retrying_writer_gets_through_a_failover() {
    let cluster = Cluster::up();
    let policy = RetryPolicy {
        attempts: 500,
        backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(50),
        attempt_timeout: Duration::from_secs(2),
    };
    let client = cluster.open(ClientBehaviour::Retrying(policy), PATIENCE).await.client;
    assert_eq!(act(&*client, Act::Write(key(0, 0))).await.outcome, Outcome::Ok);
    kill(cluster.pid("primary.pid"), Signal::SIGKILL).unwrap();
    assert_eq!(act(&*client, Act::Write(key(0, 1))).await.outcome, Outcome::Ok);
}

/// Plants rows as they are, many on the way at once but in their order.
fn plant(port: u16, rows: &[Row]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for rows in rows.chunks(64) {
        let mut requests = Vec::new();
        for row in rows {
            let Key { writer, seq } = row.key.clone().unwrap();
            let (attempt, length) = (row.attempt, row.payload.len());
            let head =
                format!("PUT /ledger/planted/{writer}/{seq} HTTP/1.1\r\nhost: kv\r\nx-blackstart-attempt: {attempt}");
            requests.extend(format!("{head}\r\ncontent-length: {length}\r\n\r\n").into_bytes());
            requests.extend(&row.payload);
        }
        stream.write_all(&requests).unwrap();
        for _ in rows {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(answers.read_line(&mut head).unwrap() > 0, "{head}");
            }
            assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 0"), "{head}");
        }
    }
}

#[tokio::test]
async fn sums_and_a_few_rows_find_what_all_rows_say() {
    let cluster = Cluster::up();
    let endpoint = Endpoint::KvLedger { url: format!("http://127.0.0.1:{}", cluster.port) };
    let opened = World::system().clients.open(&Clock::System, &endpoint, &crate::planted::settings()).await.unwrap();
    let (ledger, rows) = crate::planted::planted();
    plant(cluster.port, &rows);
    crate::planted::levels_find_the_same(&*opened.store.unwrap(), ledger, rows.len()).await;
}
