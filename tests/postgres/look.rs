//! Questions of the `postgres` probe against the scripts' pair, each by the state that makes its answer; and what can never be
//! answered, said before anything is touched. The old server is a double: nobody packages one.

use crate::pair::Pair;
use blackstart::adapters::systems::{PostgresAsk, Question, Seen};
use blackstart::adapters::{AdapterError, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(4);
const BASE: u16 = 15400;

async fn ask(urls: &[&str], ask: PostgresAsk) -> Result<Seen, AdapterError> {
    let urls = urls.iter().map(|&url| url.to_owned()).collect();
    World::system().systems.look(&Question::Postgres(urls, ask), LIMIT).await
}

async fn value(urls: &[&str], what: PostgresAsk) -> String {
    ask(urls, what).await.unwrap_or_else(|e| panic!("{what:?}: {e}")).value
}

async fn number(urls: &[&str], what: PostgresAsk) -> f64 {
    value(urls, what).await.parse().unwrap()
}

async fn hindrance(url: &str, ask: PostgresAsk) -> Option<String> {
    World::system().systems.hindrance(&Question::Postgres(vec![url.to_owned()], ask), LIMIT).await
}

/// Looks again and again until it is so.
async fn until(urls: &[&str], what: PostgresAsk, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let now = ask(urls, what).await;
        if now.as_ref().is_ok_and(|seen| seen.value == wanted) {
            return;
        }
        assert!(Instant::now() < end, "{what:?} is never `{wanted}`: {now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn write(pair: &Pair) {
    pair.psql(1, "app", "insert into entries (visit, account, amount) select 1, 'a', 0 from generate_series(1, 200)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_says_who_is_what_and_how_far_behind() {
    let pair = Pair::up(BASE, &[]);
    let (one, two) = (pair.url(1), pair.url(2));
    let both = format!("{},127.0.0.1:{}/app", one.trim_end_matches("/app"), BASE + 22);
    roles(&one, &two, &both).await;
    lag(&pair, &one, &two, &both).await;
    rights(&pair, &one).await;
    two_primaries(&pair, &one, &two, &both).await;
}

async fn roles(one: &str, two: &str, both: &str) {
    use PostgresAsk as Ask;
    assert_eq!((value(&[one], Ask::Role).await, value(&[two], Ask::Role).await), ("primary".into(), "standby".into()));
    assert_eq!(value(&[two], Ask::InRecovery).await, "true");
    let standby = format!("{both}?target_session_attrs=standby");
    assert_eq!(value(&[&standby], Ask::Role).await, "standby", "the first server does not fit");
    let place = format!("127.0.0.1:{}", BASE + 21);
    assert_eq!(value(&[both], Ask::Primary).await, place);
    let seen = ask(&[one, two], Ask::Primaries).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["names"].as_str()), ("1", place.as_str()));
    assert_eq!(value(&[both], Ask::SplitBrain).await, "false");
    let seen = ask(&[both], Ask::Standbys).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["names"].as_str()), ("1", "pg2"));
    assert_eq!(value(&[one], Ask::SyncStandbys).await, "0", "asynchronous");
    assert_eq!((value(&[one], Ask::Timeline).await, value(&[two], Ask::Timeline).await), ("1".into(), "1".into()));
    assert_eq!(value(&[two], Ask::WalReceiver).await, "streaming");
    assert_eq!(value(&[one], Ask::WalReceiver).await, "none");
    assert_eq!(hindrance(both, Ask::Lag).await, None);
}

async fn lag(pair: &Pair, one: &str, two: &str, both: &str) {
    use PostgresAsk as Ask;
    write(pair);
    for urls in [[one].as_slice(), &[two], &[both], &[one, two]] {
        for what in [Ask::LagBytes, Ask::ReplayLagBytes] {
            // What a primary hears of replay may be ten seconds old.
            until(urls, what, "0").await;
        }
        assert_eq!(value(urls, Ask::Lag).await, "0.000", "nobody writes, and nothing is missing: {urls:?}");
    }
    // Nothing is sent: the standby does not know what it has not, and the primary does.
    let walsender = pair.pid("walsender-pids.sh");
    signal(walsender, Signal::SIGSTOP);
    write(pair);
    let (bytes, first) = (number(&[one], Ask::LagBytes).await, number(&[both], Ask::Lag).await);
    assert!(bytes > 1_000.0, "{bytes}");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = number(&[both], Ask::Lag).await;
    assert!(second > first + 0.5, "every second it is a second more: {first}, {second}");
    assert!(number(&[one, two], Ask::ReplayLagBytes).await > 1_000.0);
    signal(walsender, Signal::SIGCONT);
    until(&[both], Ask::LagBytes, "0").await;
    // Nothing is replayed: all is saved, and nothing of it can be read.
    pair.psql(2, "postgres", "select pg_wal_replay_pause()");
    until(&[two], Ask::ReplayPaused, "true").await;
    write(pair);
    until(&[both], Ask::LagBytes, "0").await;
    assert!(number(&[one, two], Ask::ReplayLagBytes).await > 1_000.0);
    assert!(number(&[two], Ask::ReplayLagBytes).await > 1_000.0, "by the standby's own word");
    assert!(number(&[two], Ask::ReplayLag).await > 0.0);
    pair.psql(2, "postgres", "select pg_wal_replay_resume()");
    until(&[two], Ask::ReplayPaused, "false").await;
    until(&[two], Ask::ReplayLag, "0.000").await;
}

async fn rights(pair: &Pair, one: &str) {
    use PostgresAsk as Ask;
    pair.psql(1, "postgres", "create role plain login password 'word'");
    let plain = format!("postgresql://plain:word@127.0.0.1:{}/app", BASE + 21);
    for what in [Ask::Lag, Ask::Standbys, Ask::Timeline] {
        let Err(AdapterError::Refused(why)) = ask(&[&plain], what).await else { panic!("{what:?} needs rights") };
        assert!(why.contains("GRANT pg_monitor TO plain"), "{why}");
        assert_eq!(hindrance(&plain, what).await, Some(why), "known before anything is touched");
    }
    assert_eq!(value(&[&plain], Ask::Primaries).await, "1", "a role needs no right");
    let wrong = plain.replace("word@", "guess@");
    let why = hindrance(&wrong, Ask::Lag).await.unwrap();
    assert!(why.contains("28P01") && !why.contains("guess"), "{why}");
    let nowhere = format!("{}/nothing", one.trim_end_matches("/app"));
    assert!(hindrance(&nowhere, Ask::Lag).await.unwrap().contains("3D000"));
    let silent = format!("postgresql://app@127.0.0.1:{}/app", BASE + 9);
    assert_eq!(hindrance(&silent, Ask::Lag).await, None, "it may come up");
    assert!(matches!(ask(&[&silent], Ask::Lag).await, Err(AdapterError::Unreachable(_))));
}

async fn two_primaries(pair: &Pair, one: &str, two: &str, both: &str) {
    use PostgresAsk as Ask;
    pair.psql(2, "postgres", "select pg_promote(true, 30)");
    let seen = ask(&[one, two], Ask::SplitBrain).await.unwrap();
    let names = format!("127.0.0.1:{} 127.0.0.1:{}", BASE + 21, BASE + 22);
    assert_eq!((seen.value.as_str(), seen.fields["names"].as_str()), ("true", names.as_str()));
    assert_eq!(value(&[both], Ask::Primaries).await, "2");
    let Err(AdapterError::Refused(why)) = ask(&[both], Ask::Primary).await else { panic!("there are two") };
    assert!(why.contains("2 primaries take writes"), "{why}");
    assert_eq!(value(&[two], Ask::Timeline).await, "2");
    let why = hindrance(two, Ask::LagBytes).await.unwrap();
    assert!(why.contains("it is not replicated") && why.contains("pg_basebackup -R"), "{why}");
    // A primary whose sessions are read-only takes no writes.
    pair.psql(2, "postgres", "alter role app set default_transaction_read_only = on");
    let seen = ask(&[both], Ask::Primaries).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["read_only"].as_str()), ("1", names.split(' ').nth(1).unwrap()));
    pair.psql(2, "postgres", "alter role app reset default_transaction_read_only");
    // One that is frozen may be one; one that is dead is none.
    let postmaster = pair.postmaster("pg1");
    signal(postmaster, Signal::SIGSTOP);
    let seen = ask(&[both], Ask::SplitBrain).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["silent"].as_str()), ("unknown", names.split(' ').next().unwrap()));
    // Clients are not held up by it longer than by their share of the time.
    assert_eq!(value(&[&format!("{both}?target_session_attrs=primary")], Ask::Role).await, "primary");
    signal(postmaster, Signal::SIGKILL);
    until(&[both], Ask::SplitBrain, "false").await;
    assert_eq!(ask(&[both], Ask::Primaries).await.unwrap().fields["down"], names.split(' ').next().unwrap());
}

/// A server of version 11, as far as it is asked: every query has one row, its version.
fn old_server(mut stream: TcpStream) -> Option<()> {
    let message = |stream: &mut TcpStream, tagged: usize| {
        let mut head = vec![0; tagged + 4];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes(head[tagged..].try_into().ok()?) as usize;
        let mut body = vec![0; length - 4];
        stream.read_exact(&mut body).ok()?;
        Some(head[0])
    };
    message(&mut stream, 0)?;
    let ready = b"Z\0\0\0\x05I";
    stream.write_all(b"R\0\0\0\x08\0\0\0\0").ok()?;
    stream.write_all(ready).ok()?;
    while message(&mut stream, 1)? == b'Q' {
        let mut answer = b"T\0\0\0\x32\0\x02".to_vec();
        for name in [b'a', b'b'] {
            answer.extend([name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
        let length = u32::try_from(answer.len() - 1).unwrap().to_be_bytes();
        answer[1..5].copy_from_slice(&length);
        answer.extend(b"D\0\0\0\x15\0\x02\0\0\0\x0211\0\0\0\x0511.22");
        answer.extend(b"C\0\0\0\x0dSELECT 1\0");
        answer.extend(ready);
        stream.write_all(&answer).ok()?;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_said_to_be() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        listener.incoming().take(2).flatten().for_each(|stream| {
            old_server(stream);
        });
    });
    let url = format!("postgresql://app@127.0.0.1:{port}/app?sslmode=disable");
    let why = hindrance(&url, PostgresAsk::Lag).await.unwrap();
    assert!(why.contains("version 11.22 is too old") && why.contains("PostgreSQL 12 or newer"), "{why}");
    assert!(matches!(ask(&[&url], PostgresAsk::Standbys).await, Err(AdapterError::Refused(again)) if again == why));
    server.join().unwrap();
}
