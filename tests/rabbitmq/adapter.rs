//! The adapter against a real node: every outcome by the cause that makes it, the read-back, questions, and bad input. One node
//! for all, because a node takes seconds to start; each part has queues of its own.

use crate::common::certificate;
use crate::server::Staging;
use crate::{conformance, double};
use blackstart::adapters::rabbitmq::{open_ledger, open_probe};
use blackstart::adapters::systems::{Question, RabbitmqAsk};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, ServerPlace, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy, RunId};
use blackstart::workloads::{Delivery, QueueArgument, QueueKind, QueueSpec, payload};
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

fn place(url: &str) -> ServerPlace {
    ServerPlace { url: url.to_owned(), connect_timeout: Some(Duration::from_secs(2)), response_timeout: None }
}

pub struct Ledger {
    pub client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(url: &str, prefix: &str, settings: &ClientSettings) -> Self {
        Self::of(url, prefix, &QueueSpec::default(), settings)
    }

    fn of(url: &str, prefix: &str, queue: &QueueSpec, settings: &ClientSettings) -> Self {
        let opened = open_ledger(&Clock::System, &place(url), prefix, queue, settings).unwrap();
        Self { client: opened.client, store: opened.store.unwrap() }
    }

    pub async fn write(&self, writer: u16, seq: u64) -> Outcome {
        let due = Clock::System.mono();
        let done = self.client.operate(Operation { due, act: Act::Write(Key { writer, seq }) }).await;
        assert!(due <= done.sent && done.sent <= done.done, "{done:?}");
        done.outcome
    }

    async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

async fn visit(url: &str, prefix: &str) -> Outcome {
    let queue = QueueSpec::default();
    let probe = open_probe(&Clock::System, &place(url), prefix, &queue, &settings("run-1")).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

async fn ask(server: &Staging, queue: &str, ask: RabbitmqAsk) -> Result<String, AdapterError> {
    let (place, management) = (place(&server.url()), Some(server.management()));
    let question = Question::Rabbitmq { place, management, queue: queue.to_owned(), ask };
    World::system().systems.look(&question, LIMIT).await.map(|seen| seen.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_holds_against_a_real_node() {
    let files = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(files.path());
    let base = 14000;
    let more = files.path().join("more.conf");
    let (cert, key) = (cert.display(), key.display());
    let lines = format!(
        "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.certfile = {cert}\nssl_options.keyfile = {key}\n",
        base + 11
    );
    std::fs::write(&more, lines).unwrap();
    // The server's user reads it too.
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(files.path(), open(0o755)).unwrap();
    std::fs::set_permissions(files.path().join("server.key"), open(0o644)).unwrap();
    let server = Staging::single(base, &more);
    what_is_written_is_read_back_in_order_and_nothing_is_hidden(&server).await;
    tls_is_spoken_and_the_certificate_looked_at(&server, &cert.to_string()).await;
    what_is_wrong_is_said_and_no_password_is_shown(&server).await;
    a_refusal_is_a_failure_and_silence_is_doubt(&server).await;
    conformance::every_class(&server).await;
    a_retrying_client_is_served_by_whoever_comes_back(&server).await;
}

async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden(server: &Staging) {
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), "kept", &settings);
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
        assert_eq!(seqs.is_sorted(), writer != 2, "in the order of the queue");
    }
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    assert_eq!(ledger.rows().await, rows, "whoever reads takes nothing away and changes no order");
    let listed = server.pika(&["list", "kept.run-1"]);
    assert_eq!(listed.lines().count(), 601, "anybody can count");
    assert_eq!(listed.lines().nth(4), Some("run-1 0/1/1"));
    assert_eq!(ask(server, "kept.run-1", RabbitmqAsk::Messages).await, Ok("601".to_owned()));
    assert_eq!((visit(&server.url(), "kept").await, visit(&server.url(), "kept").await), (Outcome::Ok, Outcome::Ok));
    assert_eq!(ask(server, "kept.run-1.probe", RabbitmqAsk::Messages).await, Ok("1".to_owned()), "the last one only");

    // The next run clears what the last one left and nothing else, and its own rows survive a second preparation.
    server.api("/queues/%2F/kept.mine", &["-X", "PUT", "-d", r#"{"durable":true}"#]);
    let next = Ledger::open(&server.url(), "kept", &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    let queues: Vec<serde_json::Value> = serde_json::from_str(&server.api("/queues/%2F?columns=name", &[])).unwrap();
    let mut names: Vec<&str> = queues.iter().filter_map(|queue| queue["name"].as_str()).collect();
    names.retain(|name| name.starts_with("kept"));
    names.sort_unstable();
    assert_eq!(names, ["kept.mine", "kept.run-2", "kept.run-2.probe", "kept.runs"]);
    questions(server).await;
}

async fn questions(server: &Staging) {
    let ask = async |question| ask(server, "kept.run-2", question).await;
    let one = Ok("1".to_owned());
    assert_eq!((ask(RabbitmqAsk::Running).await, ask(RabbitmqAsk::Members).await), (one.clone(), one.clone()));
    assert_eq!(ask(RabbitmqAsk::Online).await, one, "one member: nothing is replicated here");
    assert_eq!(ask(RabbitmqAsk::Leader).await, Ok("r1@localhost".to_owned()));
    assert_eq!(ask(RabbitmqAsk::Quorum).await, Ok("yes".to_owned()));
    let none = Ok("0".to_owned());
    assert_eq!((ask(RabbitmqAsk::Partitions).await, ask(RabbitmqAsk::Alarms).await), (none.clone(), none));
    assert!(matches!(self::ask(server, "nobody", RabbitmqAsk::Leader).await, Err(AdapterError::Missing(_))));
    assert_eq!(self::ask(server, "nobody", RabbitmqAsk::Quorum).await, Ok("no".to_owned()));
    assert!(matches!(self::ask(server, "nobody", RabbitmqAsk::Messages).await, Err(AdapterError::Refused(_))));
    let systems = World::system().systems;
    let mut question = Question::Rabbitmq {
        place: place(&server.url()),
        management: None,
        queue: "kept.run-2".to_owned(),
        ask: RabbitmqAsk::Leader,
    };
    let lacking = systems.look(&question, LIMIT).await.unwrap_err().to_string();
    assert!(lacking.contains("add `management:"), "{lacking}");
    if let Question::Rabbitmq { place, management, .. } = &mut question {
        place.url = format!("amqp://app:hunter2@127.0.0.1:{}", server.base + 1);
        *management = Some(format!("http://127.0.0.1:1,127.0.0.1:{}", server.base + 4));
    }
    let refused = systems.look(&question, LIMIT).await.unwrap_err().to_string();
    assert!(refused.contains("set_user_tags") && !refused.contains("hunter2"), "{refused}");
}

async fn a_refusal_is_a_failure_and_silence_is_doubt(server: &Staging) {
    let url = server.url();
    let short = ClientSettings { timeout: Duration::from_secs(2), ..settings("run-1") };
    let ledger = Ledger::open(&url, "told", &short);
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&url, "told").await), (Outcome::Ok, Outcome::Ok));
    // A full queue refuses by a nack, and so does a queue whose process has ended: which it is nobody knows.
    let full = ("x-max-length".to_owned(), QueueArgument::Number(2));
    let arguments = [full, ("x-overflow".to_owned(), QueueArgument::Text("reject-publish".to_owned()))].into();
    let bounded = QueueSpec { kind: QueueKind::Classic, delivery: Delivery::Transient, arguments };
    let bounded = Ledger::of(&url, "full", &bounded, &short);
    bounded.store.prepare().await.unwrap();
    let mut outcomes = Vec::new();
    for seq in 0..6 {
        outcomes.push(bounded.write(0, seq).await);
    }
    assert_eq!((outcomes[0], outcomes[5]), (Outcome::Ok, Outcome::Unknown), "{outcomes:?}");
    assert!(!outcomes.contains(&Outcome::Fail), "{outcomes:?}");
    // No queue: it comes back.
    server.api("/queues/%2F/full.run-1", &["-X", "DELETE"]);
    assert_eq!(bounded.write(1, 0).await, Outcome::Fail);
    // A record cannot be looked up, and nothing is said of it.
    let read = Operation { due: Clock::System.mono(), act: Act::Read(Key { writer: 0, seq: 0 }) };
    assert_eq!(ledger.client.operate(read).await.outcome, Outcome::Unsent);
    // No answer: it may be there.
    server.signal(Signal::SIGSTOP);
    assert_eq!(ledger.write(0, 1).await, Outcome::Unknown);
    let ledger = Arc::new(ledger);
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(0, 2).await });
    server.signal(Signal::SIGCONT);
    assert!(matches!(waiting.await.unwrap(), Outcome::Ok | Outcome::Fail), "it goes on, or no connection was made");
    assert_eq!(ledger.write(1, 0).await, Outcome::Ok);
    // Killed with a write in it: unknown. Then nobody listens: a failure.
    server.signal(Signal::SIGSTOP);
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(1, 1).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill();
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    assert_eq!((ledger.write(1, 2).await, visit(&url, "told").await), (Outcome::Fail, Outcome::Fail));
    server.start_again();
    let rows = ledger.rows().await;
    let there = |writer, seq| rows.iter().any(|row| row.key == Ok(Key { writer, seq }));
    assert!(there(0, 0) && there(1, 0) && !there(1, 2), "{rows:?}");
}

async fn a_retrying_client_is_served_by_whoever_comes_back(server: &Staging) {
    let policy = RetryPolicy {
        attempts: 500,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(2),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let settings = ClientSettings { behaviour, timeout: Duration::from_secs(50), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), "again", &settings);
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    server.kill();
    let (outcome, ()) = tokio::join!(ledger.write(0, 1), async {
        tokio::task::block_in_place(|| server.start_again());
    });
    assert_eq!(outcome, Outcome::Ok);
    let rows = ledger.rows().await;
    assert!(rows.len() >= 2 && rows[1].attempt > 1, "{rows:?}");
}

async fn what_is_wrong_is_said_and_no_password_is_shown(server: &Staging) {
    let said = async |url: &str| {
        let ledger = Ledger::open(url, "wrong", &settings("run-1"));
        let why = ledger.store.prepare().await.unwrap_err();
        assert!(!why.to_string().contains("hunter2"), "{why}");
        why
    };
    let at = format!("127.0.0.1:{}", server.base + 1);
    let put = |path: &str, body: &str| drop(server.api(path, &["-X", "PUT", "-d", body]));
    put("/users/drill", r#"{"password":"hunter2","tags":""}"#);
    let refused = |why: AdapterError, words: &str| {
        assert!(matches!(&why, AdapterError::Refused(text) if text.contains(words)), "{words}: {why:?}");
    };
    refused(said(&format!("amqp://drill:hunter22@{at}")).await, "the password of the user `drill` is wrong");
    let drill = format!("amqp://drill:hunter2@{at}");
    refused(said(&drill).await, "is there a vhost `/`, and may the user `drill` enter it?");
    refused(said(&format!("{drill}/nowhere")).await, "is there a vhost `nowhere`");
    // One right after the other: what is missing is named each time, until it is what the message says.
    let all = ["^wrong\\\\.", "^(amq\\\\.default|wrong\\\\..*)$", "^wrong\\\\."];
    for given in 0..=3 {
        let right = |number: usize| if number < given { all[number] } else { "^$" };
        let body = format!(r#"{{"configure":"{}","write":"{}","read":"{}"}}"#, right(0), right(1), right(2));
        put("/permissions/%2F/drill", &body);
        if given < 3 {
            let grant = r"set_permissions -p '/' 'drill' '^wrong\.' '^(amq\.default|wrong\..*)$' '^wrong\.'";
            refused(said(&drill).await, grant);
        }
    }
    // Also when the first of the nodes that are named is not there.
    let url = format!("amqp://drill:hunter2@127.0.0.1:1,{at}");
    let ledger = Ledger::open(&url, "wrong", &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&url, "wrong").await), (Outcome::Ok, Outcome::Ok));
    assert_eq!(ledger.rows().await.len(), 1);
    put("/permissions/%2F/drill", r#"{"configure":"","write":"","read":""}"#);
    let stranger = Ledger::open(&drill, "wrong", &settings("run-1"));
    assert_eq!(stranger.write(0, 1).await, Outcome::Fail);

    assert!(matches!(said("amqp://drill:hunter2@127.0.0.1:1").await, AdapterError::Unreachable(_)));
    let (port, old) = double::broker("3.7.28");
    let why = said(&format!("amqp://drill:hunter2@127.0.0.1:{port}")).await.to_string();
    assert!(why.contains("this is RabbitMQ 3.7.28: quorum queues, and this ledger, need 3.8"), "{why}");
    old.join().unwrap();
    // Something else listens: the nodes' management, say.
    let why = said(&format!("amqp://drill:hunter2@127.0.0.1:{}", server.base + 4)).await;
    assert!(matches!(why, AdapterError::Unreachable(_) | AdapterError::TimedOut(_)), "{why:?}");
}

async fn tls_is_spoken_and_the_certificate_looked_at(server: &Staging, cert: &str) {
    let login = format!("app:{}", server.password());
    let url = |host: &str, query: &str| format!("amqps://{login}@{host}:{}/{query}", server.base + 11);
    let trusting = url("127.0.0.1", &format!("?ca={}", cert.replace('/', "%2F")));
    let write = async |url: &str| Ledger::open(url, "kept", &settings("run-2")).write(3, 0).await;
    assert_eq!((write(&trusting).await, write(&url("localhost", "?verify=no")).await), (Outcome::Ok, Outcome::Ok));
    assert_eq!(write(&trusting.replace("127.0.0.1", "localhost")).await, Outcome::Fail);
    let untrusted = Ledger::open(&url("127.0.0.1", ""), "kept", &settings("run-2")).store.prepare().await.unwrap_err();
    assert!(matches!(untrusted, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{untrusted:?}");
    let clear = format!("amqp://{login}@127.0.0.1:{}", server.base + 11);
    assert_eq!(write(&clear).await, Outcome::Fail, "in the clear it is not spoken to");
}
