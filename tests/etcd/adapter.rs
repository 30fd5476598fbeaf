//! The adapter against real members: every outcome by the cause that makes it, the read-back, questions, and bad input.

use crate::common::{certificate, until};
use crate::server::{Single, Three};
use blackstart::adapters::etcd::{open_copy, open_ledger, open_probe};
use blackstart::adapters::systems::{EtcdAsk, Question, Seen};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, ServerPlace, World,
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
    pub client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(url: &str, settings: &ClientSettings) -> Self {
        let opened = open_ledger(&Clock::System, &place(url), "blackstart_ledger", settings).unwrap();
        Self { client: opened.client, store: opened.store.unwrap() }
    }

    async fn act(&self, act: Act) -> (Outcome, Option<Found>) {
        let due = Clock::System.mono();
        let done = self.client.operate(Operation { due, act }).await;
        assert!(due <= done.sent && done.sent <= done.done, "{done:?}");
        (done.outcome, done.found)
    }

    pub async fn write(&self, writer: u16, seq: u64) -> Outcome {
        self.act(Act::Write(Key { writer, seq })).await.0
    }

    pub async fn rows(&self) -> Vec<Row> {
        rows(&*self.store).await
    }
}

async fn rows(store: &dyn LedgerStore) -> Vec<Row> {
    let mut rows = Vec::new();
    store.read_back(&mut |row| rows.push(row)).await.unwrap();
    rows
}

async fn visit(url: &str) -> Outcome {
    let probe = open_probe(&Clock::System, &place(url), "blackstart_ledger", &settings("run-1")).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

async fn ask(url: &str, ask: EtcdAsk) -> Result<Seen, AdapterError> {
    World::system().systems.look(&Question::Etcd(place(url), ask), LIMIT).await
}

async fn value(url: &str, question: EtcdAsk) -> Result<String, AdapterError> {
    ask(url, question).await.map(|seen| seen.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden() {
    let server = Single::up(18841, &[]);
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..600 {
        assert_eq!(ledger.write((seq % 4) as u16, seq / 4).await, Outcome::Ok);
    }
    assert_eq!(ledger.write(2, 7).await, Outcome::Ok, "a duplicate is not refused: it is to be counted");
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 601, "the one that came twice, twice");
    for writer in 0..4 {
        let seqs: Vec<u64> =
            rows.iter().filter_map(|r| r.key.clone().ok()).filter(|k| k.writer == writer).map(|k| k.seq).collect();
        // The second time it came after all others.
        assert_eq!(seqs.is_sorted(), writer != 2, "in the order of revisions");
    }
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    let count = ["get", "blackstart_ledger/run-1/", "--prefix", "--keys-only"];
    let shown = server.ctl(&count);
    assert_eq!(shown.lines().filter(|line| !line.is_empty()).count(), 600, "anybody can count");

    let read = async |writer, seq| ledger.act(Act::Read(Key { writer, seq })).await;
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    server.ctl(&["put", "blackstart_ledger/run-1/00001/000000000003/00001", "torn"]);
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Corrupted)));

    // The next run clears what the last one left and nothing else, and its own rows survive a second preparation.
    server.ctl(&["put", "blackstart_ledger/mine", "precious"]);
    let next = Ledger::open(&server.url(), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    assert_eq!(server.ctl(&count), "");
    assert_eq!(server.ctl(&["get", "blackstart_ledger/mine", "--print-value-only"]), "precious");
    assert_eq!(
        server.ctl(&["get", "blackstart_ledger.runs/", "--prefix", "--keys-only"]),
        "blackstart_ledger.runs/run-2"
    );
    assert_eq!(value(&server.url(), EtcdAsk::Keys("blackstart_ledger/".to_owned())).await, Ok("2".to_owned()));
    assert_eq!(value(&server.url(), EtcdAsk::Keys(String::new())).await, Ok("3".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_failure_and_silence_is_doubt() {
    let mut server = Single::up(18843, &["--quota-backend-bytes", "200000"]);
    let ledger = Ledger::open(&server.url(), &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&server.url()).await), (Outcome::Ok, Outcome::Ok));
    // No answer: it may have been carried out.
    server.signal(Signal::SIGSTOP);
    assert_eq!((ledger.write(0, 1).await, visit(&server.url()).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    until("it goes on", || server.ctl(&["get", "x"]).is_empty());
    // No space left: a definite refusal, by an alarm.
    let big = ClientSettings { payload: 50_000, ..settings("run-1") };
    let filler = Ledger::open(&server.url(), &big);
    let mut outcomes = Vec::new();
    for seq in 0..40 {
        outcomes.push(filler.write(3, seq).await);
    }
    assert_eq!(outcomes.last(), Some(&Outcome::Fail), "{outcomes:?}");
    assert!(!outcomes.contains(&Outcome::Unknown), "{outcomes:?}");
    let alarms = ask(&server.url(), EtcdAsk::Alarms).await.unwrap();
    assert_eq!((alarms.value.as_str(), alarms.fields["names"].as_str()), ("1", "NOSPACE"));
    // Killed with a write in it: unknown. Then nobody listens: a failure.
    let ledger = Arc::new(Ledger::open(&server.url(), &settings("run-1")));
    assert_eq!(ledger.act(Act::Read(Key { writer: 0, seq: 0 })).await.0, Outcome::Ok);
    assert_eq!(ledger.write(1, 0).await, Outcome::Fail, "still no space, on a connection that is kept");
    server.signal(Signal::SIGSTOP);
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(1, 1).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill();
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    assert_eq!((ledger.write(1, 2).await, visit(&server.url()).await), (Outcome::Fail, Outcome::Fail));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retrying_client_is_served_by_whoever_comes_back_and_each_attempt_has_a_key() {
    let mut server = Single::up(18845, &[]);
    let policy = RetryPolicy {
        attempts: 50,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_millis(500),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let settings = ClientSettings { behaviour, timeout: Duration::from_secs(25), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    server.kill();
    let (outcome, server) = tokio::join!(ledger.write(0, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let again = tokio::task::spawn_blocking(move || {
            server.start_again();
            server
        });
        again.await.unwrap()
    });
    assert_eq!(outcome, Outcome::Ok);
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 2, "what was refused left nothing: {rows:?}");
    assert!(rows[1].attempt > 1, "{rows:?}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_no_password_is_shown() {
    let server = Single::up(18847, &[]);
    let said = async |url: &str| {
        let ledger = Ledger::open(url, &settings("run-1"));
        let why = ledger.store.prepare().await.unwrap_err();
        assert!(!why.to_string().contains("hunter2"), "{why}");
        why
    };
    for words in [
        &["user", "add", "root:hunter2"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "ledger"],
        &["role", "grant-permission", "ledger", "--prefix=true", "readwrite", "blackstart_ledger"],
        &["user", "add", "app:hunter2"],
        &["user", "grant-role", "app", "ledger"],
        &["user", "add", "nobody:hunter2"],
        &["auth", "enable"],
    ] {
        server.ctl(words);
    }
    let at = format!("127.0.0.1:{}", server.port);
    assert!(matches!(said(&format!("etcd://app:hunter22@{at}")).await, AdapterError::Refused(_)), "wrong password");
    assert!(matches!(said(&format!("etcd://{at}")).await, AdapterError::Refused(_)), "no login at all");
    assert!(
        matches!(said(&format!("etcd://nobody:hunter2@{at}")).await, AdapterError::Refused(why) if why.contains("code 7"))
    );
    assert!(matches!(said("etcd://127.0.0.1:1").await, AdapterError::Unreachable(_)));
    // One that may: also when the first of the members that are named is not there.
    let url = format!("etcd://app:hunter2@127.0.0.1:1,{at}");
    let ledger = Ledger::open(&url, &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&url).await), (Outcome::Ok, Outcome::Ok));
    let nobody = Ledger::open(&format!("etcd://nobody:hunter2@{at}"), &settings("run-1"));
    assert_eq!(nobody.write(0, 1).await, Outcome::Fail);
    assert_eq!(ledger.rows().await.len(), 1);
    // Something else listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found").unwrap();
    });
    assert!(said(&format!("etcd://127.0.0.1:{port}")).await.to_string().contains("no answer of etcd's v3 API"));
    web.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_acknowledged_and_members_hold_the_same_when_it_is_back() {
    let three = Three::up(18860);
    let all = three.url(None);
    let settings = ClientSettings { timeout: Duration::from_secs(2), ..settings("run-1") };
    let ledger = Ledger::open(&all, &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..40 {
        assert_eq!(ledger.write((seq % 4) as u16, seq / 4).await, Outcome::Ok);
    }
    let leader = value(&all, EtcdAsk::Leader).await.unwrap();
    assert_eq!(
        (value(&all, EtcdAsk::Leaders).await, value(&all, EtcdAsk::Serving).await),
        (Ok("1".to_owned()), Ok("3".to_owned()))
    );
    let dead = three.kill("majority");
    assert_eq!(dead.len(), 2);
    for seq in 10..12 {
        let outcomes = [ledger.write(0, seq).await, ledger.write(1, seq).await];
        assert!(!outcomes.contains(&Outcome::Ok), "{outcomes:?}");
    }
    assert_eq!(value(&all, EtcdAsk::Serving).await, Ok("0".to_owned()));
    assert_ne!(value(&all, EtcdAsk::Leader).await, Ok(leader), "who led is dead");
    three.run("start.sh", &[&dead.join(" ")]);
    assert_eq!(ledger.write(2, 10).await, Outcome::Ok);
    let end = Clock::System.mono().after(Duration::from_secs(20));
    while value(&all, EtcdAsk::Same).await != Ok("3".to_owned()) {
        assert!(Clock::System.mono() < end, "{:?}", ask(&all, EtcdAsk::Same).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(value(&all, EtcdAsk::Lag).await, Ok("0".to_owned()));
    let whole = ledger.rows().await;
    assert!(whole.len() >= 41, "{}", whole.len());
    for member in 1..=3 {
        let copy = open_copy(&place(&three.url(Some(member))), "blackstart_ledger", &settings).unwrap();
        assert_eq!(rows(&*copy).await, whole, "member {member}");
        assert_eq!(copy.tally(None).await, ledger.store.tally(None).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let place = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(place.path());
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let _server = Single::up_by_tls(18851, &cert, &key, &[]);
    let url = |host: &str, query: &str| format!("etcds://{host}:18851{query}");
    let trusting = url("127.0.0.1", &format!("?ca={}", cert.replace('/', "%2F")));
    assert_eq!(value(&trusting, EtcdAsk::Leaders).await, Ok("1".to_owned()));
    for wrong in [url("127.0.0.1", ""), trusting.replace("127.0.0.1", "localhost")] {
        let refused = value(&wrong, EtcdAsk::Revision).await.unwrap_err();
        assert!(matches!(refused, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{refused:?}");
    }
    // One that asks for a certificate of its clients, and is shown the one that it has itself.
    let picky = Single::up_by_tls(18853, &cert, &key, &["--client-cert-auth", "--trusted-ca-file", &cert]);
    let nobody = trusting.replace("18851", "18853");
    let escaped = |file: &str| file.replace('/', "%2F");
    let shown = format!("{nobody}&cert={}&key={}", escaped(&cert), escaped(&key));
    assert_eq!(value(&shown, EtcdAsk::Leaders).await, Ok("1".to_owned()));
    assert_eq!(Ledger::open(&shown, &settings("run-1")).write(0, 0).await, Outcome::Ok);
    assert!(value(&nobody, EtcdAsk::Revision).await.is_err());
    drop(picky);
    assert!(value("etcd://127.0.0.1:18851", EtcdAsk::Revision).await.is_err(), "in the clear it is not spoken to");
}
