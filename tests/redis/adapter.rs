//! The adapter against real servers: every outcome by the cause that makes it, discovery by Sentinel, questions, and bad input.

use crate::common::{certificate, until};
use crate::server::{PASSWORD, Single};
use blackstart::adapters::redis::{open_ledger, open_probe};
use blackstart::adapters::systems::{Question, RedisAsk, Seen};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, RedisWait, Row, ServerPlace, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3);

pub fn settings(run: &str) -> ClientSettings {
    ClientSettings {
        run: RunId::from(run),
        behaviour: ClientBehaviour::Pooled,
        timeout: LIMIT,
        writers: 4,
        payload: 100,
        rate: 100.0,
    }
}

pub fn place(url: &str) -> ServerPlace {
    ServerPlace { url: url.to_owned(), connect_timeout: Some(Duration::from_millis(500)), response_timeout: None }
}

pub struct Ledger {
    client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(url: &str, settings: &ClientSettings, wait: Option<RedisWait>) -> Self {
        let opened = open_ledger(&Clock::System, &place(url), "blackstart_ledger", wait, settings).unwrap();
        Self { client: opened.client, store: opened.store.unwrap() }
    }

    pub async fn act(&self, act: Act) -> (Outcome, Option<Found>) {
        let due = Clock::System.mono();
        let done = self.client.operate(Operation { due, act }).await;
        assert!(due <= done.sent && done.sent <= done.done, "{done:?}");
        (done.outcome, done.found)
    }

    pub async fn write(&self, writer: u16, seq: u64) -> Outcome {
        self.act(Act::Write(Key { writer, seq })).await.0
    }

    pub async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

async fn visit(url: &str) -> Outcome {
    let probe = open_probe(&Clock::System, &place(url), "blackstart_ledger", &settings("run-1")).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

async fn ask(url: &str, ask: RedisAsk) -> Result<Seen, AdapterError> {
    World::system().systems.look(&Question::Redis(place(url), ask), LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden() {
    let server = Single::up(18801, &[]);
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), &settings, None);
    ledger.store.prepare().await.unwrap();
    for seq in 0..50 {
        for writer in 0..4 {
            assert_eq!(ledger.write(writer, seq).await, Outcome::Ok);
        }
    }
    assert_eq!(ledger.write(2, 7).await, Outcome::Ok, "a duplicate is not refused: it is to be counted");
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 201);
    let keys: Vec<(u64, u16)> = rows[..200].iter().map(|r| r.key.clone().unwrap()).map(|k| (k.seq, k.writer)).collect();
    assert!(keys.is_sorted(), "in the server's order, across writers too");
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    assert_eq!(server.cli(&["xlen", "blackstart_ledger:run-1"]), "201", "anybody can count");

    let read = async |writer, seq| ledger.act(Act::Read(Key { writer, seq })).await;
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    let id = server.cli(&["xrevrange", "blackstart_ledger:run-1", "+", "-", "count", "1"]);
    server.cli(&["xdel", "blackstart_ledger:run-1", id.lines().next().unwrap()]);
    assert_eq!(read(2, 7).await.1, Some(Found::Absent), "the entry that the last acknowledgement named");

    // The next run clears what the last one left and nothing else, and its own rows survive a second preparation.
    server.cli(&["set", "blackstart_ledger:mine", "precious"]);
    let next = Ledger::open(&server.url(), &self::settings("run-2"), None);
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    assert_eq!(server.cli(&["exists", "blackstart_ledger:run-1"]), "0");
    assert_eq!(server.cli(&["get", "blackstart_ledger:mine"]), "precious");
    assert_eq!(server.cli(&["smembers", "blackstart_ledger"]), "run-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_failure_and_silence_is_doubt() {
    let mut server = Single::up(18802, &[]);
    let replica = Single::up(18803, &["--replicaof", "127.0.0.1 18802"]);
    let ledger = Ledger::open(&server.url(), &settings("run-1"), None);
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    assert_eq!(visit(&server.url()).await, Outcome::Ok);

    // READONLY
    until("the replica has it", || replica.cli(&["exists", "blackstart_ledger:run-1"]) == "1");
    let reader = Ledger::open(&replica.url(), &settings("run-1"), None);
    assert_eq!((reader.write(0, 1).await, visit(&replica.url()).await), (Outcome::Fail, Outcome::Fail));
    assert!(matches!(reader.store.prepare().await, Err(AdapterError::Refused(why)) if why.contains("READONLY")));
    assert_eq!(reader.rows().await.len(), 1, "a replica's own copy can be read");
    // MASTERDOWN
    replica.cli(&["config", "set", "replica-serve-stale-data", "no"]);
    replica.cli(&["replicaof", "127.0.0.1", "1"]);
    assert_eq!((reader.write(0, 1).await, visit(&replica.url()).await), (Outcome::Fail, Outcome::Fail));
    // NOREPLICAS
    server.cli(&["config", "set", "min-replicas-to-write", "1"]);
    assert_eq!((ledger.write(0, 1).await, visit(&server.url()).await), (Outcome::Fail, Outcome::Fail));
    server.cli(&["config", "set", "min-replicas-to-write", "0"]);
    // OOM: the probe's command needs no memory, so only the ledger sees it.
    server.cli(&["config", "set", "maxmemory", "1"]);
    assert_eq!(ledger.write(0, 1).await, Outcome::Fail);
    server.cli(&["config", "set", "maxmemory", "0"]);
    // NOPERM, and WRONGPASS before anything is sent.
    server.cli(&["acl", "setuser", "reader", "on", ">word", "~*", "+@read", "+select"]);
    let url = format!("redis://reader:word@127.0.0.1:{}", server.port);
    assert_eq!(Ledger::open(&url, &settings("run-1"), None).write(0, 1).await, Outcome::Fail);
    let wrong = server.url().replace(PASSWORD, "wrong");
    assert_eq!(
        (Ledger::open(&wrong, &settings("run-1"), None).write(0, 1).await, visit(&wrong).await),
        (Outcome::Fail, Outcome::Fail)
    );
    // An error that says nothing decides nothing.
    server.cli(&["acl", "setuser", "default", "-xadd"]);
    assert_eq!(ledger.write(0, 1).await, Outcome::Fail, "NOPERM on a connection that was open before");
    server.cli(&["acl", "setuser", "default", "+xadd"]);

    // A connection that dies between two writes costs nothing: the next one finds it dead and opens another.
    server.cli(&["client", "kill", "type", "normal", "skipme", "yes"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ledger.write(0, 2).await, Outcome::Ok);
    // No answer: it may have been carried out, and was.
    server.signal(Signal::SIGSTOP);
    assert_eq!((ledger.write(0, 3).await, visit(&server.url()).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    until("what was sent is carried out", || server.cli(&["xlen", "blackstart_ledger:run-1"]) == "3");
    // Killed while a write waits in it: unknown. Then nobody listens: a failure.
    let ledger = Arc::new(ledger);
    assert_eq!(ledger.write(1, 0).await, Outcome::Ok);
    server.signal(Signal::SIGSTOP);
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(1, 1).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill();
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    assert_eq!((ledger.write(1, 2).await, visit(&server.url()).await), (Outcome::Fail, Outcome::Fail));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_too_few_replicas_confirm_is_acknowledged_by_the_primary_alone() {
    let server = Single::up(18804, &[]);
    let replica = Single::up(18805, &["--replicaof", "127.0.0.1 18804"]);
    until("it follows", || server.cli(&["info", "replication"]).contains("state=online"));
    let wait = |replicas| Some(RedisWait { replicas, timeout: Duration::from_millis(1_500) });
    let (one, two) = (
        Ledger::open(&server.url(), &settings("run-1"), wait(1)),
        Ledger::open(&server.url(), &settings("run-1"), wait(2)),
    );
    one.store.prepare().await.unwrap();
    assert_eq!((one.write(0, 0).await, two.write(1, 0).await), (Outcome::Ok, Outcome::OkLocal));
    replica.signal(Signal::SIGSTOP);
    assert_eq!(one.write(0, 1).await, Outcome::OkLocal);
    replica.signal(Signal::SIGCONT);
    assert_eq!(one.write(0, 2).await, Outcome::Ok, "the same connection");
    assert_eq!(one.rows().await.len(), 4);
    // Refused before it waits for anybody.
    server.cli(&["config", "set", "min-replicas-to-write", "2"]);
    assert_eq!(one.write(0, 3).await, Outcome::Fail);
    server.cli(&["config", "set", "min-replicas-to-write", "0"]);
    assert_eq!(one.write(0, 4).await, Outcome::Ok);
    // The server dies while the client waits: whoever asked for replicas was not told that they have it.
    replica.signal(Signal::SIGSTOP);
    let waiting = tokio::spawn(async move {
        let slow = Some(RedisWait { replicas: 1, timeout: Duration::from_millis(1_500) });
        Ledger::open(&server.url(), &settings("run-1"), slow).write(2, 0).await;
        let ledger = Ledger::open(&server.url(), &settings("run-1"), slow);
        let (outcome, _killed) = tokio::join!(ledger.write(3, 0), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.signal(Signal::SIGKILL);
        });
        outcome
    });
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    replica.signal(Signal::SIGCONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retrying_client_is_served_by_whoever_comes_back() {
    let mut server = Single::up(18806, &[]);
    let policy = RetryPolicy {
        attempts: 50,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_millis(500),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let settings = ClientSettings { behaviour, timeout: Duration::from_secs(20), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings, None);
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    server.kill();
    let (outcome, again) = tokio::join!(ledger.write(0, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(|| Single::up(18806, &[])).await.unwrap()
    });
    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(again.cli(&["xlen", "blackstart_ledger:run-1"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_primary_is_meant_and_two_are_one_too_many() {
    let (one, two) = (Single::up(18807, &[]), Single::up(18808, &["--replicaof", "127.0.0.1 18807"]));
    until("it follows", || one.cli(&["info", "replication"]).contains("state=online"));
    let both = format!("redis://:{PASSWORD}@127.0.0.1:18808,127.0.0.1:18807");
    let ledger = Ledger::open(&both, &settings("run-1"), None);
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    let value = async |url: &str, question: RedisAsk| ask(url, question).await.map(|seen| seen.value);
    assert_eq!(value(&both, RedisAsk::Primary).await, Ok("127.0.0.1:18807".to_owned()));
    assert_eq!(value(&both, RedisAsk::Primaries).await, Ok("1".to_owned()));
    assert_eq!(value(&one.url(), RedisAsk::Role).await, Ok("master".to_owned()));
    assert_eq!(value(&two.url(), RedisAsk::Role).await, Ok("replica".to_owned()));
    assert_eq!(value(&one.url(), RedisAsk::Replicas).await, Ok("1".to_owned()));
    assert_eq!(value(&two.url(), RedisAsk::Info("slave_read_only".to_owned())).await, Ok("1".to_owned()));
    let lag = async || value(&one.url(), RedisAsk::Lag).await.unwrap().parse::<u64>().unwrap();
    two.signal(Signal::SIGSTOP);
    let before = lag().await;
    for seq in 1..20 {
        assert_eq!(ledger.write(0, seq).await, Outcome::Ok);
    }
    let behind = lag().await - before;
    assert!((19 * 100..19 * 400).contains(&behind), "19 records of 100 bytes: {behind}");
    two.signal(Signal::SIGCONT);
    // A split brain: each of them says that it is the primary.
    two.cli(&["replicaof", "no", "one"]);
    let seen = ask(&both, RedisAsk::Primaries).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["names"].as_str()), ("2", "127.0.0.1:18807 127.0.0.1:18808"));
    assert!(lag_is_unknown(&one.url()).await);
}

async fn lag_is_unknown(url: &str) -> bool {
    let end = Clock::System.mono().after(Duration::from_secs(10));
    while Clock::System.mono() < end {
        if let Err(AdapterError::Unreachable(why)) = ask(url, RedisAsk::Lag).await {
            return why.contains("no replica is connected");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_no_password_is_shown() {
    let server = Single::up(18809, &[]);
    let said = async |url: &str| {
        let ledger = Ledger::open(url, &settings("run-1"), None);
        let why = ledger.store.prepare().await.unwrap_err();
        assert!(!why.to_string().contains(PASSWORD) && !why.to_string().contains("hunter2"), "{why}");
        why
    };
    let wrong = server.url().replace(PASSWORD, "hunter2");
    assert!(matches!(said(&wrong).await, AdapterError::Refused(why) if why.contains("WRONGPASS")));
    let without = format!("redis://127.0.0.1:{}", server.port);
    assert!(matches!(said(&without).await, AdapterError::Refused(why) if why.contains("NOAUTH")));
    assert!(matches!(said(&format!("redis://:{PASSWORD}@127.0.0.1:1")).await, AdapterError::Unreachable(_)));
    assert!(matches!(said(&format!("{}/99", server.url())).await, AdapterError::Refused(_)), "no such database");
    // The key that shall name runs is somebody else's: it stays as it is.
    server.cli(&["set", "blackstart_ledger", "precious"]);
    assert!(matches!(said(&server.url()).await, AdapterError::Refused(why) if why.contains("WRONGTYPE")));
    assert_eq!(server.cli(&["get", "blackstart_ledger"]), "precious");
    server.cli(&["del", "blackstart_ledger"]);
    // May read, and not write.
    server.cli(&["acl", "setuser", "reader", "on", ">hunter2", "~*", "+@read", "+info"]);
    let reader = format!("redis://reader:hunter2@127.0.0.1:{}", server.port);
    assert!(matches!(said(&reader).await, AdapterError::Refused(why) if why.contains("NOPERM")));
    // No Sentinel, and no Redis.
    let sentinel =
        format!("redis+sentinel://:{PASSWORD}@127.0.0.1:{}/orders?sentinel_password={PASSWORD}", server.port);
    assert!(matches!(said(&sentinel).await, AdapterError::Refused(_)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    assert!(said(&format!("redis://:{PASSWORD}@127.0.0.1:{port}")).await.to_string().contains("this is not Redis"));
    web.join().unwrap();
    // A read-back that was cut off is an error, and one of nothing is nothing.
    let ledger = Ledger::open(&server.url(), &settings("run-1"), None);
    assert!(ledger.rows().await.is_empty());
}

/// Answers every connection like a server of long ago: it knows no streams.
fn ancient() -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let asked = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let answer: &[u8] = if asked.contains("INFO") {
                b"$34\r\n# Server\r\nredis_version:4.0.14\r\n\r\n\r\n"
            } else {
                b"-ERR unknown command\r\n"
            };
            stream.write_all(answer).unwrap();
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_named() {
    let ledger = Ledger::open(&format!("redis://127.0.0.1:{}", ancient()), &settings("run-1"), None);
    let why = ledger.store.prepare().await.unwrap_err();
    assert!(matches!(&why, AdapterError::Refused(why) if why.contains("4.0.14") && why.contains("5.0")), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let place = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(place.path());
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let options = ["--tls-port", "18811", "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let _server = Single::up(18810, &options);
    let url = |host: &str, query: &str| format!("rediss://:{PASSWORD}@{host}:18811?{query}");
    let trusting = url("127.0.0.1", &format!("ca={}", cert.replace('/', "%2F")));
    let role = async |url: &str| ask(url, RedisAsk::Role).await.map(|seen| seen.value);
    assert_eq!(role(&trusting).await, Ok("master".to_owned()));
    assert_eq!(role(&url("127.0.0.1", "verify=no")).await, Ok("master".to_owned()));
    for wrong in [url("127.0.0.1", ""), trusting.replace("127.0.0.1", "localhost")] {
        let refused = role(&wrong).await.unwrap_err();
        assert!(matches!(refused, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{refused:?}");
    }
    // In the clear it is not spoken to.
    assert!(role(&format!("redis://:{PASSWORD}@127.0.0.1:18811")).await.is_err());
}
