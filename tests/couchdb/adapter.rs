//! The adapter against a real server: every outcome by the cause that makes it, the read-back, questions, fingerprints, and
//! bad input.

use crate::common::{certificate, until};
use crate::double::Silencer;
use crate::server::Single;
use blackstart::adapters::couchdb::{open_ledger, open_probe};
use blackstart::adapters::data::{Counts, Documents, Selection, Store, Taken};
use blackstart::adapters::systems::{CouchdbAsk, CouchdbQuestion, Question, Seen};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, ServerPlace, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::Signal;
use serde_json::json;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(20);

pub fn settings(run: &str) -> ClientSettings {
    ClientSettings {
        run: RunId::from(run),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(10),
        writers: 4,
        payload: 100,
        rate: 100.0,
    }
}

pub fn place(url: &str) -> ServerPlace {
    ServerPlace { url: url.to_owned(), connect_timeout: None, response_timeout: None }
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
        rows(&*self.store).await
    }
}

pub async fn rows(store: &dyn LedgerStore) -> Vec<Row> {
    let mut rows = Vec::new();
    store.read_back(&mut |row| rows.push(row)).await.unwrap();
    rows
}

pub async fn visit(url: &str, settings: &ClientSettings) -> Outcome {
    let probe = open_probe(&Clock::System, &place(url), "blackstart_ledger", settings).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

pub async fn ask(url: &str, to: Option<&str>, ask: CouchdbAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let question = CouchdbQuestion { place: place(url), to: to.map(place), ask, run: "run-1".to_owned() };
    World::system().systems.look(&Question::Couchdb(question), limit).await
}

pub async fn value(url: &str, question: CouchdbAsk) -> String {
    ask(url, None, question, LIMIT).await.unwrap().value
}

pub async fn print(url: &str, prefix: &str, revisions: Counts) -> Result<Taken, AdapterError> {
    let own = vec!["blackstart_ledger:".to_owned(), "blackstart_ledger.runs:".to_owned()];
    let selection = Selection { prefixes: vec![prefix.to_owned()], exclude: Vec::new(), own };
    let documents = Store::Documents(Documents { url: url.to_owned(), revisions, selection });
    World::system().data.fingerprint(&documents, LIMIT).await
}

pub fn name(writer: u16, seq: u64) -> String {
    format!("blackstart_ledger:run-1:{writer:05}:{seq:012}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden() {
    let server = Single::up(14351);
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..120 {
        assert_eq!(ledger.write((seq % 4) as u16, seq / 4).await, Outcome::Ok);
    }
    // The name is taken: nobody's doubtful attempt, so nobody knows whose it is.
    assert_eq!(ledger.write(2, 7).await, Outcome::Unknown);
    let rows = ledger.rows().await;
    let keys: Vec<Key> = rows.iter().map(|row| row.key.clone().unwrap()).collect();
    let whole: Vec<Key> = (0..4).flat_map(|writer| (0..30).map(move |seq| Key { writer, seq })).collect();
    assert_eq!(keys, whole);
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
        assert_eq!(row.attempt, 1);
    }
    assert_eq!(server.names("blackstart_ledger:run-1:").len(), 120, "anybody can count");
    let tally = ledger.store.tally(None).await.unwrap();
    assert_eq!((tally.len(), tally[&3].count, tally[&3].highest, tally[&3].sum), (4, 30, 29, 435));

    // A revision beside it is a second record, and a document in conflict.
    assert_eq!(value(&server.url(), CouchdbAsk::Conflicts).await, "0");
    server.conflict(&name(0, 0), json!({"a": 2, "p": "AAAA"}));
    let twice = ledger.rows().await;
    let first = Ok(Key { writer: 0, seq: 0 });
    assert_eq!((twice.len(), &twice[0].key, &twice[1].key), (121, &first, &first));
    let conflicts = ask(&server.url(), None, CouchdbAsk::Conflicts, LIMIT).await.unwrap();
    assert_eq!((conflicts.value.as_str(), conflicts.fields["names"].as_str()), ("1", name(0, 0).as_str()));

    let read = async |writer, seq| ledger.act(Act::Read(Key { writer, seq })).await;
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    server.change(&name(1, 3), json!({"a": 1, "p": "dG9ybg=="}));
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Corrupted)));
    assert_eq!(value(&server.url(), CouchdbAsk::Conflicts).await, "1", "a change is none");

    // The next run clears what the last one left and nothing else, and its own rows survive a second preparation.
    server.put("shop/blackstart_ledger:mine", json!({"precious": true}));
    server.put("shop/_design/orders", json!({"views": {}}));
    let next = Ledger::open(&server.url(), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    let left = ["blackstart_ledger.runs:run-2", "blackstart_ledger:mine", "blackstart_ledger:run-2:00000:000000000000"];
    assert_eq!(server.names("blackstart"), left);
    assert_eq!(server.get("shop/_design/orders").0, 200);
    assert_eq!(value(&server.url(), CouchdbAsk::Documents).await, "4");
    // A run whose name begins with another's.
    let longer = Ledger::open(&server.url(), &self::settings("run-20"));
    assert_eq!(longer.write(0, 0).await, Outcome::Ok);
    server.put("shop/blackstart_ledger.runs:run-20", json!({}));
    longer.store.prepare().await.unwrap();
    let left =
        ["blackstart_ledger.runs:run-20", "blackstart_ledger:mine", "blackstart_ledger:run-20:00000:000000000000"];
    assert_eq!(server.names("blackstart"), left);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_doubt_and_a_conflict_after_it_is_the_records_own() {
    let mut server = Single::up(14353);
    let patient = ClientSettings { timeout: Duration::from_secs(3), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &patient);
    ledger.store.prepare().await.unwrap();
    let long = settings("run-1");
    assert_eq!((ledger.write(0, 0).await, visit(&server.url(), &long).await), (Outcome::Ok, Outcome::Ok));
    assert_eq!(server.names("blackstart_ledger.nobody"), Vec::<String>::new(), "a probe leaves nothing");
    // No answer: it may have been carried out.
    server.signal(Signal::SIGSTOP);
    assert_eq!((ledger.write(0, 1).await, visit(&server.url(), &patient).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    // Carried out, and the answer lost: the same client knows that what it meets may be its own, another does not.
    let silencer = Silencer::new(server.port);
    let url = server.url().replace(&server.port.to_string(), &silencer.port.to_string());
    let cut_off = Ledger::open(&url, &patient);
    silencer.be_silent(true);
    assert_eq!(cut_off.write(2, 0).await, Outcome::Unknown);
    until("it is carried out", || server.get(&format!("shop/{}", name(2, 0))).0 == 200);
    silencer.be_silent(false);
    assert_eq!((cut_off.write(2, 0).await, ledger.write(2, 0).await), (Outcome::Ok, Outcome::Unknown));
    // A client that tries again: its first attempt is given up and carried out, the second meets it.
    let policy = RetryPolicy {
        attempts: 50,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(2),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let retrying = Arc::new(Ledger::open(&url, &ClientSettings { behaviour, timeout: LIMIT, ..settings("run-1") }));
    assert_eq!(retrying.write(1, 0).await, Outcome::Ok);
    silencer.be_silent(true);
    let own = Arc::clone(&retrying);
    let waiting = tokio::spawn(async move { own.write(1, 1).await });
    until("it is carried out", || server.get(&format!("shop/{}", name(1, 1))).0 == 200);
    silencer.be_silent(false);
    assert_eq!(waiting.await.unwrap(), Outcome::Ok);
    let rows = ledger.rows().await;
    let one = rows.iter().filter(|row| row.key == Ok(Key { writer: 1, seq: 1 })).map(|row| row.attempt);
    assert_eq!(one.collect::<Vec<_>>(), [1], "what the first attempt wrote, once");
    let before = rows.len();
    // Nobody listens: a failure.
    server.kill();
    assert_eq!((ledger.write(1, 2).await, visit(&server.url(), &long).await), (Outcome::Fail, Outcome::Fail));
    let (outcome, server) = tokio::join!(retrying.write(1, 3), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let again = tokio::task::spawn_blocking(move || {
            server.start();
            server
        });
        again.await.unwrap()
    });
    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(server.names("blackstart_ledger:run-1:").len(), before + 1, "what was refused left nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_no_password_is_shown() {
    let server = Single::up(14355);
    let said = async |url: &str| {
        let ledger = Ledger::open(url, &settings("run-1"));
        let why = ledger.store.prepare().await.unwrap_err();
        assert!(!why.to_string().contains("hunter2"), "{why}");
        why
    };
    let refused = |why: AdapterError, words: &str| {
        assert!(matches!(&why, AdapterError::Refused(text) if text.contains(words)), "{why:?}");
    };
    refused(said(&server.url().replace("hunter2@", "hunter22@")).await, "is the password right");
    refused(said(&server.url().replace("app:hunter2@", "")).await, "(its `_security`)");
    refused(said(&server.url().replace("app:", "nobody:")).await, "(its `_security`)");
    refused(said(&server.admin().replace("/shop", "/nowhere")).await, "is there such a database?");
    assert!(matches!(said("http://app:hunter2@127.0.0.1:1/shop").await, AdapterError::Unreachable(_)));
    let nobody = server.url().replace("app:", "nobody:");
    assert_eq!(Ledger::open(&nobody, &settings("run-1")).write(0, 0).await, Outcome::Fail);
    assert_eq!(visit(&nobody, &settings("run-1")).await, Outcome::Fail);
    // Not replicated at all: the drill is told what is missing.
    let none = ask(&server.admin(), None, CouchdbAsk::Replications, LIMIT).await.unwrap();
    assert_eq!(none.value, "0");
    assert!(none.fields["missing"].contains("no continuous replication"), "{none:?}");
    // A question about two regions that names one.
    assert!(matches!(ask(&server.url(), None, CouchdbAsk::Lag, LIMIT).await, Err(AdapterError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_sees_content_and_revisions_if_they_count() {
    let server = Single::up(14357);
    for n in 0..450 {
        if n % 150 == 0 {
            let docs: Vec<_> = (n..n + 150)
                .map(|n| json!({"_id": format!("item:{n}"), "count": n, "of": {"b": 1, "a": [n]}}))
                .collect();
            assert_eq!(server.ask("POST", "shop/_bulk_docs", Some(&json!({"docs": docs}))).0, 201);
        }
    }
    server.put("shop/blackstart_ledger:x", json!({}));
    let take = async |counts| print(&server.url(), "item:", counts).await.unwrap().print;
    let (before, exact) = (take(Counts::No).await, take(Counts::Yes).await);
    assert_eq!((before.parts["item:"].count, before.unit.as_str()), (450, "document"));
    // The same content with another revision.
    server.change("item:7", json!({"of": {"a": [7], "b": 1}, "count": 7}));
    assert_eq!(take(Counts::No).await, before);
    assert_ne!(take(Counts::Yes).await, exact);
    server.change("item:7", json!({"of": {"a": [7], "b": 1}, "count": 8}));
    assert_ne!(take(Counts::No).await, before);
    server.change("item:7", json!({"of": {"a": [7], "b": 1}, "count": 7}));
    server.delete("item:8");
    assert_eq!(take(Counts::No).await.parts["item:"].count, 449);
    assert_eq!(print(&server.url(), "none:", Counts::No).await.unwrap().absent.len(), 1);
    assert!(print(&server.url().replace("hunter2@", "x@"), "", Counts::No).await.is_err());
}

/// A server that has no TLS of its own stands behind HAProxy, as CouchDB often does.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let server = Single::up(14359);
    let (cert, key) = certificate(server.folder());
    let both = server.folder().join("both.pem");
    std::fs::write(&both, [std::fs::read(&cert).unwrap(), std::fs::read(&key).unwrap()].concat()).unwrap();
    let config = server.folder().join("haproxy.cfg");
    let text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 20s\n timeout server 20s\nlisten tls\n \
         bind 127.0.0.1:{} ssl crt {}\n server one 127.0.0.1:{}\n",
        server.port + 1,
        both.display(),
        server.port
    );
    std::fs::write(&config, text).unwrap();
    let mut haproxy = Command::new("haproxy");
    let mut haproxy = haproxy.arg("-db").arg("-f").arg(&config).stdin(Stdio::null()).spawn().unwrap();
    let at = |host: &str, query: &str| format!("https://app:hunter2@{host}:{}/shop{query}", server.port + 1);
    let trusting = at("127.0.0.1", &format!("?ca={}", cert.display().to_string().replace('/', "%2F")));
    let end = Clock::System.mono().after(LIMIT);
    let mut seen = ask(&trusting, None, CouchdbAsk::Documents, LIMIT).await;
    while seen.is_err() && Clock::System.mono() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = ask(&trusting, None, CouchdbAsk::Documents, LIMIT).await;
    }
    let written = Ledger::open(&trusting, &settings("run-1")).write(0, 0).await;
    let untrusted = ask(&at("127.0.0.1", ""), None, CouchdbAsk::Documents, LIMIT).await;
    let misnamed = ask(&trusting.replace("127.0.0.1", "localhost"), None, CouchdbAsk::Documents, LIMIT).await;
    haproxy.kill().unwrap();
    haproxy.wait().unwrap();
    assert_eq!((seen.unwrap().value, written), ("0".to_owned(), Outcome::Ok));
    for refused in [untrusted.unwrap_err(), misnamed.unwrap_err()] {
        assert!(matches!(refused, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{refused:?}");
    }
}
