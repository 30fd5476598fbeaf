//! The adapter against a server: every outcome by the cause that makes it, the read-back, questions, and bad input.

use crate::common::certificate;
use crate::server::{SECRET, Server};
use blackstart::adapters::data::{Bucket, Login};
use blackstart::adapters::s3::{BucketPlace, open_ledger, open_probe};
use blackstart::adapters::systems::{BucketAsk, BucketQuestion, Question, Seen};
use blackstart::adapters::{Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpListener;
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

fn place(bucket: Bucket) -> BucketPlace {
    BucketPlace { bucket, connect_timeout: Some(Duration::from_millis(500)), response_timeout: None }
}

pub struct Ledger {
    pub client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(bucket: Bucket, settings: &ClientSettings) -> Self {
        let opened = open_ledger(&Clock::System, &place(bucket), "blackstart_ledger", settings).unwrap();
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

    async fn read(&self, writer: u16, seq: u64) -> (Outcome, Option<Found>) {
        self.act(Act::Read(Key { writer, seq })).await
    }

    async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

async fn visit(bucket: Bucket, settings: &ClientSettings) -> Outcome {
    let probe = open_probe(&Clock::System, &place(bucket), "blackstart_ledger", settings).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

async fn ask(bucket: Bucket, other: Option<Bucket>, ask: BucketAsk) -> Result<Seen, AdapterError> {
    let question = Question::S3(Box::new(BucketQuestion { bucket, other, ask }));
    World::system().systems.look(&question, LIMIT).await
}

async fn value(bucket: Bucket, question: BucketAsk) -> String {
    ask(bucket, None, question).await.unwrap().value
}

fn below(prefix: &str) -> String {
    prefix.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_and_the_next_run_clears_it_and_nothing_else() {
    let server = Server::up(&["versioned", "other"]);
    let bucket = || server.bucket("versioned");
    let settings = settings("run-1");
    let ledger = Ledger::open(bucket(), &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..80 {
        assert_eq!(ledger.write((seq % 4) as u16, seq / 4).await, Outcome::Ok);
    }
    assert_eq!(ledger.write(2, 7).await, Outcome::Ok, "a duplicate is not refused: it is to be counted");
    assert_eq!(visit(bucket(), &settings).await, Outcome::Ok);
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 81, "the one that came twice, twice");
    assert!(rows.is_sorted_by_key(|row| row.key.clone().unwrap()), "in the order of their names");
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    let tally = ledger.store.tally(None).await.unwrap();
    assert_eq!(tally.values().map(|of| of.count).collect::<Vec<_>>(), [20, 20, 21, 20]);
    assert_eq!(
        (ledger.read(1, 3).await, ledger.read(1, 999).await.1),
        ((Outcome::Ok, Some(Found::Intact)), Some(Found::Absent))
    );

    server.boto(
        "def name(writer, seq): return f'blackstart_ledger/run-1/{writer:05}/{seq:012}/00001'\n\
         s3.delete_object(Bucket='versioned', Key=name(0, 0))\n\
         s3.put_object(Bucket='versioned', Key=name(1, 3), Body=b'torn')\n\
         s3.put_object(Bucket='versioned', Key='blackstart_ledger/mine', Body=b'precious')\n\
         s3.put_object(Bucket='versioned', Key='blackstart_ledger/mine', Body=b'precious')\n\
         s3.put_object(Bucket='other', Key='blackstart_ledger/mine', Body=b'precious')\n",
    );
    assert_eq!((ledger.read(0, 0).await.1, ledger.read(1, 3).await.1), (Some(Found::Absent), Some(Found::Corrupted)));
    assert_eq!(ledger.rows().await.len(), 81, "one is gone, and one is there with the version over it");
    let at = |ask| value(bucket(), ask);
    let run = || below("blackstart_ledger/run-1/");
    assert_eq!((at(BucketAsk::Objects(run())).await, at(BucketAsk::Versions(run())).await), (below("79"), below("82")));
    let deleted = ask(bucket(), None, BucketAsk::Deleted(run())).await.unwrap();
    assert_eq!(deleted.value, "1");
    assert!(deleted.fields["names"].ends_with("/00000/000000000000/00001"), "{deleted:?}");
    assert_eq!(at(BucketAsk::Versioning).await, "enabled");
    assert_eq!(value(server.bucket("other"), BucketAsk::Versioning).await, "off");
    let all = below("blackstart_ledger/");
    let behind = ask(bucket(), Some(server.bucket("other")), BucketAsk::Behind(all.clone())).await.unwrap();
    assert_eq!(
        (behind.value.as_str(), behind.fields["missing"].as_str(), behind.fields["different"].as_str()),
        ("79", "79", "0")
    );
    let ahead = ask(server.bucket("other"), Some(bucket()), BucketAsk::Behind(all)).await.unwrap();
    assert_eq!((ahead.value.as_str(), ahead.fields["extra"].as_str()), ("0", "79"));

    let next = Ledger::open(bucket(), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1, "its own survive a second preparation");
    assert_eq!(at(BucketAsk::Versions(run())).await, "0", "no version is left");
    let left = ask(bucket(), None, BucketAsk::Versions(below("blackstart_ledger/"))).await.unwrap();
    assert_eq!((left.value.as_str(), left.fields["marks"].as_str()), ("3", "0"), "mine twice, and one of this run");
    assert_eq!(at(BucketAsk::Objects(below("blackstart_ledger.runs/"))).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_failure_and_silence_is_doubt() {
    let mut server = Server::up(&["plain"]);
    let settings = ClientSettings { timeout: Duration::from_millis(1_500), ..settings("run-1") };
    let ledger = Arc::new(Ledger::open(server.bucket("plain"), &settings));
    ledger.store.prepare().await.unwrap();
    let both =
        async |ledger: &Ledger, seq| (ledger.write(0, seq).await, visit(server.bucket("plain"), &settings).await);
    assert_eq!(both(&ledger, 0).await, (Outcome::Ok, Outcome::Ok));
    server.allow(&["PutObject"]);
    assert_eq!(both(&ledger, 1).await, (Outcome::Fail, Outcome::Fail));
    server.allow(&[]);
    server.signal(Signal::SIGSTOP);
    assert_eq!(both(&ledger, 2).await, (Outcome::Unknown, Outcome::Unknown));
    // Killed with a write in it: unknown. Then nobody listens: a failure.
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(1, 1).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill();
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    let gone = (ledger.write(1, 2).await, visit(server.bucket("plain"), &settings).await, ledger.read(0, 0).await.0);
    assert_eq!(gone, (Outcome::Fail, Outcome::Fail, Outcome::Fail));
}

#[tokio::test]
async fn what_a_server_may_have_done_is_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    let answers = [
        ("200 OK\r\netag: \"e\"", String::new(), Outcome::Ok),
        ("200 OK", String::new(), Outcome::Unknown),
        ("503 Slow Down", code("SlowDown"), Outcome::Fail),
        ("503 Service Unavailable", code("ServiceUnavailable"), Outcome::Unknown),
        ("503 Service Unavailable", "no server is available".to_owned(), Outcome::Unknown),
        ("500 Internal", code("InternalError"), Outcome::Unknown),
        ("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", code("TemporaryRedirect"), Outcome::Fail),
        ("400 Bad Request", code("BadDigest"), Outcome::Fail),
        ("", String::new(), Outcome::Unknown),
    ];
    let mut said: Vec<(&str, String)> = answers.iter().map(|(line, body, _)| (*line, body.clone())).collect();
    said.push(("200 OK\r\netag: \"e\"", String::new()));
    let serving = std::thread::spawn(move || {
        for (line, body) in said {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let mut seen = Vec::new();
            while !seen.windows(4).any(|end| end == b"\r\n\r\n") || seen.len() < 300 {
                let count = stream.read(&mut bytes).unwrap();
                seen.extend_from_slice(&bytes[..count]);
            }
            let text = String::from_utf8_lossy(&seen).into_owned();
            let empty = text.starts_with("PUT /data/blackstart_ledger.runs/run-1?");
            assert!(empty || text.starts_with("PUT /data/blackstart_ledger/run-1/00000/"), "{text}");
            let length = if empty { "content-length: 0\r" } else { "content-length: 100\r" };
            assert!(text.contains("x-amz-checksum-sha256: ") && text.contains(length), "{text}");
            if !line.is_empty() {
                let length = body.len();
                let head = format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body.as_bytes()).unwrap();
            }
        }
    });
    let login = Some(Login { key: "drill".to_owned(), secret: SECRET.to_owned(), token: None });
    let (name, region) = ("data".to_owned(), "us-east-1".to_owned());
    let addressing = blackstart::model::Addressing::Path;
    let bucket = Bucket { endpoint, name, region, addressing, login, ca: None };
    let ledger = Ledger::open(bucket.clone(), &settings("run-1"));
    for (seq, (line, body, outcome)) in (0..).zip(answers) {
        assert_eq!(ledger.write(0, seq).await, outcome, "{line} {body}");
    }
    assert_eq!(visit(bucket, &settings("run-1")).await, Outcome::Ok);
    serving.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_a_retrying_client_has_an_object() {
    let server = Server::up(&["plain"]);
    let policy = RetryPolicy {
        attempts: 50,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(5),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let settings = ClientSettings { behaviour, timeout: Duration::from_secs(25), ..settings("run-1") };
    let ledger = Ledger::open(server.bucket("plain"), &settings);
    ledger.store.prepare().await.unwrap();
    server.allow(&["PutObject"]);
    let (outcome, ()) = tokio::join!(ledger.write(0, 1), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.allow(&[]);
    });
    assert_eq!(outcome, Outcome::Ok);
    let rows = ledger.rows().await;
    assert!(rows.len() == 1 && rows[0].attempt > 1, "what was refused left nothing: {rows:?}");
    assert_eq!(ledger.read(0, 1).await, (Outcome::Ok, Some(Found::Intact)), "it is found by whichever attempt");
    assert_eq!(ledger.read(0, 2).await, (Outcome::Ok, Some(Found::Absent)));
}

async fn said(bucket: Bucket) -> String {
    let ledger = Ledger::open(bucket, &settings("run-1"));
    let why = ledger.store.prepare().await.unwrap_err().to_string();
    assert!(!why.contains("hunter2") && !why.contains("Signature="), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_no_secret_is_shown() {
    let server = Server::up(&["versioned", "locked"]);
    let bucket = || server.bucket("versioned");
    let login = |key: &str, secret: &str| Some(Login { key: key.to_owned(), secret: secret.to_owned(), token: None });
    for (wrong, wanted) in [
        (Bucket { login: login("nobody", SECRET), ..bucket() }, "the server does not know this access key"),
        (Bucket { login: login("drill", "hunter22"), ..bucket() }, "the secret does not belong to this access key"),
        (Bucket { login: None, ..bucket() }, "the access key needs s3:GetBucketVersioning"),
        (server.bucket("nothing"), "there is no such bucket"),
        (server.bucket("locked"), "this bucket locks every new object"),
    ] {
        let why = said(wrong).await;
        assert!(why.contains(wanted), "{why}");
    }
    for (denied, right) in [
        (
            "PutObject",
            "write s3://versioned/blackstart_ledger.runs/run-1 at 127.0.0.1:PORT: refused; the access key needs s3:PutObject: status 403 (AccessDenied)",
        ),
        ("GetObject", "the access key needs s3:GetObject: "),
        ("DeleteObject", "the access key needs s3:DeleteObject: "),
        ("ListBucketVersions", "the access key needs s3:ListBucketVersions: "),
        ("GetBucketVersioning", "the access key needs s3:GetBucketVersioning: "),
    ] {
        server.allow(&[denied]);
        let why = said(bucket()).await;
        assert!(why.contains(&right.replace("PORT", &server.port.to_string())), "{why}");
    }
    server.allow(&[]);
    // What an earlier run left, and may not be removed.
    let ledger = Ledger::open(bucket(), &settings("run-0"));
    ledger.store.prepare().await.unwrap();
    server.allow(&["DeleteObjectVersion"]);
    assert!(said(bucket()).await.contains("the access key needs s3:DeleteObjectVersion: "));
    server.allow(&[]);
    Ledger::open(bucket(), &settings("run-1")).store.prepare().await.unwrap();
    let gone = Bucket { endpoint: "http://127.0.0.1:1".to_owned(), ..bucket() };
    let question = ask(gone, None, BucketAsk::Versioning).await.unwrap_err();
    assert!(matches!(question, AdapterError::Unreachable(_)), "{question:?}");
    assert!(matches!(ask(bucket(), None, BucketAsk::Behind(below(""))).await, Err(AdapterError::Other(_))));
    assert!(matches!(ask(server.bucket("nothing"), None, BucketAsk::Versioning).await, Err(AdapterError::Missing(_))));
    // Something else listens.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let web = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found").unwrap();
    });
    assert!(said(Bucket { endpoint, ..bucket() }).await.contains("status 404"));
    web.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let server = Server::with(&[], |server| {
        let (cert, key) = certificate(server.folder.path());
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        ["--ssl", "--ssl-cert", &cert, "--ssl-key", &key].map(str::to_owned).to_vec()
    });
    let ca = server.folder.path().join("server.crt").display().to_string();
    let trusting =
        Bucket { endpoint: format!("https://127.0.0.1:{}", server.port), ca: Some(ca), ..server.bucket("nothing") };
    assert!(said(trusting.clone()).await.contains("there is no such bucket"), "it was asked");
    // Refused by the server: the client's own way of speaking TLS is good.
    assert_eq!(Ledger::open(trusting.clone(), &settings("run-1")).write(0, 0).await, Outcome::Fail);
    assert_eq!(visit(trusting.clone(), &settings("run-1")).await, Outcome::Fail);
    let stranger = Bucket { ca: None, ..trusting.clone() };
    let refused = ask(stranger, None, BucketAsk::Versioning).await.unwrap_err();
    assert!(matches!(&refused, AdapterError::Unreachable(why) if why.contains("certificate")), "{refused:?}");
    let other = Bucket { endpoint: trusting.endpoint.replace("127.0.0.1", "localhost"), ..trusting };
    assert!(ask(other, None, BucketAsk::Versioning).await.is_err(), "it is for another name");
}
