//! Answers that the real server of these tests never gives and CouchDB and what stands before it do, by a double that says
//! what it is told to: a quorum that was not met, a scheduler, a server in trouble, something that is no CouchDB.

use crate::adapter::{LIMIT, Ledger, ask, settings, visit};
use blackstart::adapters::systems::CouchdbAsk;
use blackstart::model::Outcome;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Answers each connection once, in the order given.
struct Double {
    port: u16,
    thread: JoinHandle<Vec<String>>,
}

impl Double {
    fn new(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let serve = |(status, body): &(u16, String)| {
                let (mut stream, _) = listener.accept().unwrap();
                let head = request(&mut stream);
                let length = body.len();
                let close = "connection: close";
                write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{close}\r\n\r\n{body}").unwrap();
                head
            };
            answers.iter().map(serve).collect()
        });
        Self { port, thread }
    }

    fn url(&self) -> String {
        format!("http://app:hunter2@127.0.0.1:{}/shop", self.port)
    }

    /// The first lines of what it was asked.
    fn heard(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// Reads a request to its end; its first line.
fn request(stream: &mut TcpStream) -> String {
    let text = message(stream).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Reads a request or an answer to its end; none if the other side has closed before.
fn message(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

/// Stands before a server, and keeps answers to itself while it is told to: what was asked is carried out all the same.
pub struct Silencer {
    pub port: u16,
    silent: Arc<AtomicBool>,
}

impl Silencer {
    pub fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silencer = Self { port: listener.local_addr().unwrap().port(), silent: Arc::default() };
        let silent = Arc::clone(&silencer.silent);
        // Both end with the test's process; a connection ends when either side closes it.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let silent = Arc::clone(&silent);
                std::thread::spawn(move || relay(client, server, &silent));
            }
        });
        silencer
    }

    pub fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}

fn relay(mut client: TcpStream, server: u16, silent: &AtomicBool) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    while let Some(asked) = message(&mut client) {
        if server.write_all(asked.as_bytes()).is_err() {
            return;
        }
        let Some(answer) = message(&mut server) else { return };
        if !silent.load(Ordering::SeqCst) && client.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_to_a_write_has_its_outcome() {
    let id = |seq: u64| format!("blackstart_ledger:run-1:00000:{seq:012}");
    let own = |status: u16, seq: u64| (status, format!(r#"{{"ok":true,"id":"{}","rev":"1-a"}}"#, id(seq)));
    let no = |status: u16, code: &str| (status, format!(r#"{{"error":"{code}","reason":"because"}}"#));
    let cases = vec![
        (own(201, 0), Outcome::Ok),
        (own(202, 1), Outcome::OkLocal),
        (own(201, 99), Outcome::Unknown),
        ((201, "<html>welcome</html>".to_owned()), Outcome::Unknown),
        (no(401, "unauthorized"), Outcome::Fail),
        (no(413, "document_too_large"), Outcome::Fail),
        (no(429, "too_many_requests"), Outcome::Fail),
        (no(409, "conflict"), Outcome::Unknown),
        (no(500, "timeout"), Outcome::Unknown),
        ((503, "<html>no server is available</html>".to_owned()), Outcome::Unknown),
        ((302, String::new()), Outcome::Unknown),
    ];
    let double = Double::new(cases.iter().map(|(answer, _)| answer.clone()).collect());
    let ledger = Ledger::open(&double.url(), &settings("run-1"));
    for (seq, (answer, wanted)) in cases.iter().enumerate() {
        assert_eq!(ledger.write(0, seq as u64).await, *wanted, "{answer:?}");
    }
    let heard = double.heard();
    assert_eq!(heard[3], format!("PUT /shop/{} HTTP/1.1", id(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_says_which_replications_work() {
    let docs = r#"{"total_rows":4,"offset":0,"docs":[
        {"doc_id":"a","state":"running","source":"http://h/shop","target":"http://o/shop","error_count":0},
        {"doc_id":"b","state":"crashing","source":"http://o/shop/","target":"http://h/shop","error_count":3},
        {"doc_id":"c","state":"failed","source":"http://h/shop","target":"http://p/shop"},
        {"doc_id":"d","state":"running","source":"http://h/else","target":"http://p/else"}]}"#;
    let double = Double::new(vec![(200, docs.to_owned()); 2]);
    let works = ask(&double.url(), None, CouchdbAsk::Replications, LIMIT).await.unwrap();
    let broken = ask(&double.url(), None, CouchdbAsk::Broken, LIMIT).await.unwrap();
    assert_eq!((works.value.as_str(), works.fields["names"].as_str()), ("1", "a (running)"));
    assert_eq!((broken.value.as_str(), broken.fields["names"].as_str()), ("2", "b (crashing) c (failed)"));
    assert!(double.heard()[0].starts_with("GET /_scheduler/docs?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_couchdb_is_not_taken_for_one() {
    let page = (200, "<html>welcome</html>".to_owned());
    let double = Double::new(vec![page.clone(), (200, "{}".to_owned()), (404, "not found".to_owned()), page]);
    let ledger = Ledger::open(&double.url(), &settings("run-1"));
    for wanted in ["no answer of CouchDB", "no database of CouchDB", "no answer of CouchDB"] {
        let why = ledger.store.prepare().await.unwrap_err().to_string();
        assert!(why.contains(wanted) && !why.contains("hunter2"), "{why}");
    }
    assert_eq!(visit(&double.url(), &settings("run-1")).await, Outcome::Unknown);
    double.heard();
}
