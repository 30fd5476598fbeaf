//! Bad input and servers that cannot be used: each is said, with what to write or grant, and no password is shown.

use crate::adapter::{Ledger, ask, place, settings, visit};
use crate::server::{Maria, PASSWORD};
use blackstart::adapters::AdapterError;
use blackstart::adapters::mysql::open_ledger;
use blackstart::adapters::systems::MysqlAsk;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Why a ledger cannot be prepared.
async fn said(url: &str) -> AdapterError {
    let why = Ledger::open(url, &settings("run-1")).store.prepare().await.unwrap_err();
    assert!(!why.to_string().contains(PASSWORD) && !why.to_string().contains("hunter2"), "{why}");
    why
}

fn refused(why: &AdapterError, words: &[&str]) {
    assert!(matches!(why, AdapterError::Refused(_)), "{why:?}");
    let text = why.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do_about_it() {
    let server = Maria::up(14805, &["--skip-log-bin"]).with_app();
    let url = server.url("app");
    refused(&said(&url.replace(PASSWORD, "hunter2")).await, &["1045", "password in the URL is wrong"]);
    refused(&said(&server.url("nowhere")).await, &["1044", "nowhere"]);
    server.sql("grant select on *.* to app@'127.0.0.1'");
    refused(&said(&server.url("nowhere")).await, &["1049", "create database"]);
    // No right to make the table, and none to write to one that is there.
    server.sql("revoke create on app.* from app@'127.0.0.1'");
    let grant = "grant create, select, insert, delete on `app`.* to 'app'@'127.0.0.1'";
    refused(&said(&url).await, &["1142", grant]);
    server.sql("grant create on app.* to app@'127.0.0.1'");
    Ledger::open(&url, &settings("run-1")).store.prepare().await.unwrap();
    server.sql("revoke insert on app.* from app@'127.0.0.1'");
    refused(&said(&url).await, &["1142", grant]);
    server.sql("grant insert on app.* to app@'127.0.0.1'; revoke delete on app.* from app@'127.0.0.1'");
    refused(&said(&url).await, &["1142", grant]);
    server.sql("grant delete on app.* to app@'127.0.0.1'");

    // A table that somebody made for something else is never touched, and neither is one without transactions.
    server.sql("create table app.orders (id int primary key, run varchar(9)); insert into app.orders values (1, 'x')");
    let other = open_ledger(&Clock::System, &place(&url), "orders", &settings("run-1")).unwrap().store.unwrap();
    refused(&other.prepare().await.unwrap_err(), &["`orders` is not a ledger's table", "`table:`"]);
    assert_eq!(server.sql("select count(*) from app.orders"), "1");
    server.sql("alter table app.blackstart_ledger engine = Aria");
    refused(&said(&url).await, &["Aria", "no transactions"]);
    for name in ["a b", "a;drop", ""] {
        assert!(open_ledger(&Clock::System, &place(&url), name, &settings("run-1")).is_err(), "{name}");
    }
    let nowhere = format!("mysql://app:hunter2@127.0.0.1:{}", server.port);
    let none = open_ledger(&Clock::System, &place(&nowhere), "ledger", &settings("run-1")).err().unwrap().to_string();
    assert!(none.contains("in no database") && !none.contains("hunter2"), "{none}");

    // Nobody listens, and somebody else does.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("mysql://app:hunter2@127.0.0.1:{free}/app");
    assert!(matches!(said(&url).await, AdapterError::Unreachable(why) if why.contains("refused")));
    let both = format!("mysql://app:hunter2@127.0.0.1:{free},127.0.0.1:{free}/app");
    assert!(matches!(said(&both).await, AdapterError::Unreachable(why) if why.contains("none of these servers")));
    assert_eq!(visit(&url).await, Outcome::Fail);
    let web = double(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
    assert!(matches!(said(&format!("mysql://app@127.0.0.1:{web}/app")).await, AdapterError::Unreachable(_)));
}

/// Answers one connection.
fn double(answer: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || answer(listener.accept().unwrap().0));
    port
}

fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], content].concat()
}

/// A server of long ago: it lets everybody in, and answers every query with its version.
fn ancient(mut stream: TcpStream) {
    const VERSION: &[u8] = b"5.5.62-log";
    let mut hello = vec![10];
    hello.extend_from_slice(VERSION);
    hello.extend_from_slice(&[0, 1, 0, 0, 0]);
    hello.extend_from_slice(b"12345678\0");
    // Capabilities (protocol 4.1, secure connection, database, plugin names), character set, status, their upper half.
    hello.extend_from_slice(&[0x0f, 0xa2, 33, 2, 0, 0x08, 0, 21]);
    hello.extend_from_slice(&[0; 10]);
    hello.extend_from_slice(b"123456789012\0mysql_native_password\0");
    stream.write_all(&packet(0, &hello)).unwrap();
    let mut bytes = [0; 4096];
    let _login = stream.read(&mut bytes).unwrap();
    stream.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0])).unwrap();
    while let Ok(1..) = stream.read(&mut bytes) {
        let mut column = b"\x03def\0\0\0\x01v\0\x0c".to_vec();
        column.extend_from_slice(&[33, 0, 64, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]);
        let mut row = vec![u8::try_from(VERSION.len()).unwrap()];
        row.extend_from_slice(VERSION);
        let end = [0xfe, 0, 0, 2, 0];
        let parts: [&[u8]; 5] = [&[1], &column, &end, &row, &end];
        let answer = parts.iter().zip(1..).flat_map(|(part, number)| packet(number, part));
        stream.write_all(&answer.collect::<Vec<u8>>()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_named() {
    let why = said(&format!("mysql://app@127.0.0.1:{}/app", double(ancient))).await;
    refused(&why, &["5.5.62-log is too old", "MySQL 5.6 is the first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let (server, _place, cert) = Maria::with_tls(14806);
    let server = server.with_app();
    server.sql("alter user app@'127.0.0.1' require ssl; create user other@localhost identified by 'word'");
    let of = |query: &str| format!("{}?{query}", server.url("app"));
    let cert = cert.replace('/', "%2F");
    let writable = async |url: String| ask(&url, MysqlAsk::ReadOnly).await.map(|seen| seen.value);
    assert_eq!(writable(of("ssl-mode=REQUIRED")).await, Ok("no".to_owned()));
    assert_eq!(writable(of(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}"))).await, Ok("no".to_owned()));
    let ledger = Ledger::open(&of(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}")), &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    // Somebody else's word for it, or another name; and in the clear it is not spoken to.
    let stranger = writable(of("ssl-mode=VERIFY_IDENTITY")).await.unwrap_err();
    assert!(matches!(&stranger, AdapterError::Unreachable(why) if why.contains("ssl-ca=FILE")), "{stranger:?}");
    let elsewhere = of(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}")).replace("127.0.0.1", "localhost");
    assert!(matches!(writable(elsewhere).await, Err(AdapterError::Unreachable(_))));
    refused(&writable(server.url("app")).await.unwrap_err(), &["1045"]);
    // A server that has no TLS, and is asked for it.
    let plain = Maria::up(14807, &["--skip-log-bin", "--skip-ssl"]).with_app();
    let why = writable(format!("{}?ssl-mode=REQUIRED", plain.url("app"))).await.unwrap_err();
    assert!(why.to_string().contains("does not speak TLS"), "{why}");
}
