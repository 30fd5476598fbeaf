//! The adapter against the double: every outcome by the cause that makes it, the read-back, questions, documents, and bad input.

use crate::server::{KEY, PASSWORD, Three, place};
use blackstart::adapters::data::{Indices, Selection, Store};
use blackstart::adapters::elasticsearch::{SearchPlace, open_ledger, open_probe};
use blackstart::adapters::systems::{ElasticAsk, Question};
use blackstart::adapters::{Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

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

pub struct Ledger {
    pub client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(place: SearchPlace, settings: &ClientSettings) -> Self {
        let opened = open_ledger(&Clock::System, &place, "blackstart_ledger", settings).unwrap();
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

    pub async fn read(&self, writer: u16, seq: u64) -> (Outcome, Option<Found>) {
        self.act(Act::Read(Key { writer, seq })).await
    }

    async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

async fn visit(place: SearchPlace, settings: &ClientSettings) -> Outcome {
    let probe = open_probe(&Clock::System, &place, "blackstart_ledger", settings).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

async fn value(place: SearchPlace, ask: ElasticAsk) -> Result<String, AdapterError> {
    World::system().systems.look(&Question::Elasticsearch(Box::new(place), ask), LIMIT).await.map(|seen| seen.value)
}

fn named(name: &str) -> String {
    name.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_and_the_next_run_clears_it_and_nothing_else() {
    let mut three = Three::up();
    let run = settings("run-1");
    let ledger = Ledger::open(three.place(), &run);
    ledger.store.prepare().await.unwrap();
    three.green();
    for seq in 0..400 {
        assert_eq!(ledger.write((seq % 4) as u16, seq / 4).await, Outcome::Ok);
    }
    assert_eq!(visit(three.place(), &run).await, Outcome::Ok);
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 400);
    assert!(rows.is_sorted_by_key(|row| row.key.clone().unwrap()), "in the order of their names");
    for row in &rows {
        assert_eq!(payload::check(&run.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    assert_eq!(ledger.read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(ledger.read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    three.ask("PUT", "/blackstart_ledger-run-1/_doc/00001-000000000003-00001", &json!({"payload": "dG9ybg=="}));
    assert_eq!(ledger.read(1, 3).await, (Outcome::Ok, Some(Found::Corrupted)));

    let index = || named("blackstart_ledger-run-1");
    let at = async |ask| value(three.place(), ask).await.unwrap();
    assert_eq!(at(ElasticAsk::Docs(index())).await, "400");
    assert_eq!((at(ElasticAsk::Status).await, at(ElasticAsk::Nodes).await), (named("green"), named("3")));
    assert_eq!((at(ElasticAsk::Primaries).await, at(ElasticAsk::Unassigned).await), (named("1"), named("0")));
    assert_eq!((at(ElasticAsk::Answering).await, at(ElasticAsk::Copies(index())).await), (named("3"), named("2")));
    assert_eq!(at(ElasticAsk::Master).await, "e1");
    assert_eq!(at(ElasticAsk::Primary(index())).await, format!("e{}", three.primary(&index()) + 1));

    // A copy takes over, and nothing is lost; with fewer copies than are asked for, it is said.
    let node = three.primary(&index());
    three.kill(node);
    let more = SearchPlace { active_shards: Some(1), ..three.place() };
    assert_eq!(Ledger::open(more, &run).write(2, 500).await, Outcome::Ok);
    assert_ne!(value(three.place(), ElasticAsk::Primary(index())).await, Ok(format!("e{}", node + 1)));
    assert_eq!(value(three.place(), ElasticAsk::Answering).await, Ok(named("2")));
    assert_eq!(ledger.rows().await.len(), 401);
    three.start_again(node);

    // The next run clears what the last one left and nothing else, and its own index survives a second preparation.
    three.ask("PUT", "/blackstart_ledger-mine", &json!({}));
    three.ask("PUT", "/blackstart_ledger-mine/_doc/1?refresh=true", &json!({"a": 1}));
    let next = Ledger::open(three.place(), &settings("Run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    assert_eq!(ledger.rows().await.len(), 0, "an index that is gone has nothing");
    assert_eq!(ledger.write(0, 999).await, Outcome::Fail, "and is not made anew by a write");
    let all = three.ask("GET", "/blackstart_ledger-*/_mapping", &json!({}));
    assert_eq!(
        all.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["blackstart_ledger-mine", "blackstart_ledger-run-2"]
    );
    assert_eq!(value(three.place(), ElasticAsk::Docs(named("blackstart_ledger-mine"))).await, Ok(named("1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_failures_silence_is_doubt_and_missing_copies_are_said() {
    let mut three = Three::up();
    let run = ClientSettings { timeout: Duration::from_millis(1_500), ..settings("run-1") };
    let ledger = Ledger::open(three.place(), &run);
    ledger.store.prepare().await.unwrap();
    three.green();
    let both = async |ledger: &Ledger, seq| (ledger.write(0, seq).await, visit(three.place(), &run).await);
    assert_eq!(both(&ledger, 0).await, (Outcome::Ok, Outcome::Ok));
    three.deny(&["index", "delete"]);
    assert_eq!(both(&ledger, 1).await, (Outcome::Fail, Outcome::Fail));
    three.deny(&[]);
    // Three copies are more than there are: the server waits as long as the client does, and says 503.
    let greedy = Ledger::open(SearchPlace { active_shards: Some(3), ..three.place() }, &run);
    assert_eq!(greedy.write(1, 0).await, Outcome::Unknown);
    three.signal(Signal::SIGSTOP);
    assert_eq!(both(&ledger, 2).await, (Outcome::Unknown, Outcome::Unknown));
    three.signal(Signal::SIGCONT);
    three.green();
    (0..3).for_each(|node| three.kill(node));
    let gone = (ledger.write(1, 2).await, visit(three.place(), &run).await, ledger.read(0, 0).await.0);
    assert_eq!(gone, (Outcome::Fail, Outcome::Fail, Outcome::Fail));
}

async fn said(place: SearchPlace) -> String {
    let ledger = Ledger::open(place, &settings("run-1"));
    let why = ledger.store.prepare().await.unwrap_err().to_string();
    assert!(!why.contains(PASSWORD) && !why.contains(KEY), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_no_secret_is_shown() {
    let three = Three::up();
    let hosts = three.hosts();
    assert!(said(place(&format!("elasticsearch://drill:hunter22@{hosts}"))).await.contains("is wrong: status 401"));
    assert!(said(place(&format!("elasticsearch://{hosts}"))).await.contains("is wrong: status 401"));
    for (denied, right) in [
        ("monitor", "monitor"),
        ("view_index_metadata", "view_index_metadata"),
        ("create_index", "create_index"),
        ("index", "index"),
        ("read", "read"),
        ("delete", "delete"),
        ("maintenance", "maintenance"),
    ] {
        three.deny(&[denied]);
        let why = said(three.place()).await;
        assert!(
            why.contains(&format!("the user needs the privilege {right}: status 403 (security_exception)")),
            "{why}"
        );
    }
    three.deny(&["delete_index"]);
    let next = Ledger::open(three.place(), &settings("run-2"));
    let why = next.store.prepare().await.unwrap_err().to_string();
    assert!(why.contains("clear `blackstart_ledger-run-1`: the user needs the privilege delete_index"), "{why}");
    three.deny(&[]);
    next.store.prepare().await.unwrap();
    // By an API key; also when the first of the nodes that are named is not there.
    let by_key =
        SearchPlace { api_key: Some(KEY.to_owned()), ..place(&format!("elasticsearch://127.0.0.1:1,{hosts}")) };
    assert_eq!(value(by_key.clone(), ElasticAsk::Nodes).await, Ok(named("3")));
    assert_eq!(Ledger::open(by_key, &settings("run-2")).write(0, 0).await, Outcome::Ok);
    assert!(matches!(
        value(place("elasticsearch://127.0.0.1:1"), ElasticAsk::Status).await,
        Err(AdapterError::Unreachable(_))
    ));
    // Something else listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    });
    let why = said(place(&format!("elasticsearch://127.0.0.1:{port}"))).await;
    assert!(why.contains("no answer of Elasticsearch 7.14 or later"), "{why}");
    web.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_servers_are_refused_and_documents_summed_up() {
    let three = Three::with(|_| json!({"version": "7.13.4"}));
    assert!(said(three.place()).await.contains("version 7.13.4 is too old: 7.14 or later is needed"));
    three.ask("PUT", "/shop", &json!({}));
    for number in 0..1_200 {
        if number % 400 == 0 {
            let lines = (number..number + 400)
                .map(|n| format!("{{\"create\":{{\"_id\":\"{n}\"}}}}\n{{\"b\":{n},\"a\":\"x\"}}\n"));
            let file = three.folder.path().join("lines");
            std::fs::write(&file, lines.collect::<String>()).unwrap();
            bulk(&three, &file);
        }
    }
    let selection = Selection { prefixes: vec![named("shop")], ..Selection::default() };
    let url = three.place().server.url;
    let asked = Store::Indices(Indices { url, api_key: None, selection });
    let take = async || World::system().data.fingerprint(&asked, LIMIT).await.unwrap();
    let before = take().await;
    assert_eq!(before.print.parts["shop"].count, 1_200);
    three.ask("PUT", "/shop/_doc/7", &json!({"a": "x", "b": 7}));
    assert_eq!(take().await, before, "the same in another order is the same");
    three.ask("PUT", "/shop/_doc/7", &json!({"a": "y", "b": 7}));
    let after = take().await;
    assert_eq!(before.listing.unwrap().compare(&after.listing.unwrap()).words(), "1 changed (`shop/7` changed)");
    three.ask("DELETE", "/shop", &json!({}));
    assert_eq!(take().await.absent.len(), 1, "gone is gone, and no error");
}

fn bulk(three: &Three, file: &std::path::Path) {
    let url = format!("http://127.0.0.1:{}/shop/_bulk", three.base);
    let mut curl = std::process::Command::new("curl");
    let login = format!("drill:{PASSWORD}");
    curl.args(["-sf", "-u", &login, "-X", "POST", "--data-binary", &format!("@{}", file.display()), &url]);
    assert!(crate::common::output(&mut curl).contains("\"errors\":false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let (three, cert) = Three::by_tls();
    let url = |host: &str, query: &str| format!("elasticsearchs://drill:{PASSWORD}@{host}:{}{query}", three.base);
    let trusting = url("127.0.0.1", &format!("?ca={}", cert.replace('/', "%2F")));
    let ask = async |url: &str| value(place(url), ElasticAsk::Status).await;
    let end = Clock::System.mono().after(LIMIT);
    // Nodes speak plainly among each other here, so that none ever finds a master; who asks is still answered.
    while !matches!(ask(&trusting).await, Err(AdapterError::Refused(_))) {
        assert!(Clock::System.mono() < end, "{:?}", ask(&trusting).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(said(place(&trusting)).await.contains("status 503 (master_not_discovered_exception)"));
    for wrong in [url("127.0.0.1", ""), trusting.replace("127.0.0.1", "localhost")] {
        let refused = value(place(&wrong), ElasticAsk::Status).await.unwrap_err();
        assert!(matches!(refused, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{refused:?}");
    }
}
