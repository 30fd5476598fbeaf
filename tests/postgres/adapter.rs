//! The adapter against real servers: every outcome by the cause that makes it, the read-back, queries, TLS.

use crate::pair::{Pair, output};
use blackstart::adapters::postgres::{Databases, open_ledger, open_probe};
use blackstart::adapters::{Act, AdapterError, Client, ClientSettings, LedgerStore, Opened, Operation, Row, Sql};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

fn settings(run: &str) -> ClientSettings {
    ClientSettings {
        run: RunId::from(run),
        behaviour: ClientBehaviour::Pooled,
        timeout: LIMIT,
        writers: 4,
        payload: 100,
        rate: 100.0,
    }
}

struct Ledger {
    client: Arc<dyn Client>,
    store: Arc<dyn LedgerStore>,
}

impl Ledger {
    fn open(url: &str, settings: &ClientSettings) -> Self {
        let Opened { client, store } = open_ledger(&Clock::System, url, "blackstart_ledger", settings).unwrap();
        Self { client, store: store.unwrap() }
    }

    async fn act(&self, act: Act) -> (Outcome, Option<Found>) {
        let due = Clock::System.mono();
        let done = self.client.operate(Operation { due, act }).await;
        assert!(due <= done.sent && done.sent <= done.done, "{done:?}");
        (done.outcome, done.found)
    }

    async fn write(&self, writer: u16, seq: u64) -> Outcome {
        self.act(Act::Write(Key { writer, seq })).await.0
    }

    async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden() {
    let pair = Pair::up(15400, &[]);
    let settings = settings("run-1");
    let ledger = Ledger::open(&pair.url(0), &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..50 {
        for writer in 0..4 {
            assert_eq!(ledger.write(writer, seq).await, Outcome::Ok);
        }
    }
    assert_eq!(ledger.write(2, 7).await, Outcome::Ok, "a duplicate is not refused: it is to be counted");

    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 201);
    for writer in 0..4 {
        let seqs: Vec<u64> =
            rows.iter().filter_map(|r| r.key.clone().ok()).filter(|k| k.writer == writer).map(|k| k.seq).collect();
        assert!(seqs[..50].is_sorted(), "in the server's order");
    }
    for row in &rows {
        let key = row.key.clone().unwrap();
        assert_eq!(payload::check(&settings.run, key, 100, &row.payload), Found::Intact);
    }

    assert_eq!(ledger.act(Act::Read(Key { writer: 1, seq: 3 })).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(ledger.act(Act::Read(Key { writer: 1, seq: 999 })).await, (Outcome::Ok, Some(Found::Absent)));
    pair.psql(1, "app", "update blackstart_ledger set payload = 'x' where writer = 1 and seq = 3");
    assert_eq!(ledger.act(Act::Read(Key { writer: 1, seq: 3 })).await, (Outcome::Ok, Some(Found::Corrupted)));

    // The next run clears what the last one left, and its own rows survive a second preparation.
    let next = Ledger::open(&pair.url(0), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    assert_eq!(pair.psql(1, "app", "select count(*) from blackstart_ledger"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejections_are_failures_and_a_standby_does_not_take_writes() {
    let pair = Pair::up(15400, &[]);
    let settings = settings("run-1");
    let primary = Ledger::open(&pair.url(0), &settings);
    primary.store.prepare().await.unwrap();
    assert_eq!(primary.write(0, 0).await, Outcome::Ok);

    let standby = Ledger::open(&pair.url(2), &settings);
    assert_eq!(standby.write(0, 1).await, Outcome::Fail, "25006: read-only");
    assert!(standby.store.prepare().await.is_err());
    let probe = |node| open_probe(&Clock::System, &pair.url(node), &settings).unwrap().client;
    let visit = async |client: Arc<dyn Client>| {
        client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
    };
    assert_eq!(visit(probe(1)).await, Outcome::Ok);
    assert_eq!(visit(probe(2)).await, Outcome::Fail);

    // A connection that dies between two statements costs nothing: the next write finds it dead and opens another.
    pair.psql(
        1,
        "postgres",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'blackstart'",
    );
    let end = Clock::System.mono().after(LIMIT);
    while primary.write(0, 2).await != Outcome::Ok {
        assert!(Clock::System.mono() < end);
    }
    // Refused: nobody listens.
    signal(pair.postmaster("pg1"), Signal::SIGKILL);
    while primary.write(0, 3).await != Outcome::Fail {
        assert!(Clock::System.mono() < end);
    }
}

/// A commit that waits for a dead standby: cancelled by an operator it is acknowledged with a warning, terminated or
/// given up it is in doubt, and in all three cases the row is there (the last one only once a standby is back: it shows
/// why an absent record in doubt is no loss).
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_confirmed_is_local_or_in_doubt() {
    let pair = Pair::up(15400, &["--sync"]);
    let ledger = Arc::new(Ledger::open(&pair.url(0), &settings("run-1")));
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    signal(pair.postmaster("pg2"), Signal::SIGKILL);
    // Its walreceiver outlives the postmaster for a moment, and could still confirm a commit.
    let end = Clock::System.mono().after(LIMIT);
    while pair.psql(1, "postgres", "select count(*) from pg_stat_replication") != "0" {
        assert!(Clock::System.mono() < end, "the standby's connection never closed");
    }

    let waiting = async |seq: u64, sql: &str| {
        let (own, ask) =
            (Arc::clone(&ledger), format!("select {sql}(pid) from pg_stat_activity where wait_event = 'SyncRep'"));
        let write = tokio::spawn(async move { own.write(0, seq).await });
        let end = Clock::System.mono().after(LIMIT);
        while pair.psql(1, "postgres", &ask).is_empty() {
            assert!(Clock::System.mono() < end, "the commit never waited for the standby");
        }
        write.await.unwrap()
    };
    assert_eq!(waiting(1, "pg_cancel_backend").await, Outcome::OkLocal);
    assert_eq!(waiting(2, "pg_terminate_backend").await, Outcome::Unknown);
    assert_eq!(ledger.write(1, 3).await, Outcome::Unknown, "given up after the time-out");
    let present = async || ledger.rows().await.into_iter().map(|r| r.key.unwrap().seq).collect::<BTreeSet<u64>>();
    assert_eq!(present().await, BTreeSet::from([0, 1, 2]), "what still waits is not visible yet");
    pair.run("start.sh", &["pg2"]);
    let end = Clock::System.mono().after(LIMIT);
    while present().await != BTreeSet::from([0, 1, 2, 3]) {
        assert!(Clock::System.mono() < end, "the commit that waited never became visible");
    }
}

/// Four writers while the primary dies behind a paused walsender: the ledger's loss is what psql finds missing.
#[tokio::test(flavor = "multi_thread")]
async fn the_loss_after_a_promotion_is_what_psql_says() {
    let pair = Pair::up(15400, &[]);
    let ledger = Arc::new(Ledger::open(&pair.url(0), &settings("run-1")));
    ledger.store.prepare().await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (ledger, stopped) = (Arc::clone(&ledger), stopped.clone());
            tokio::spawn(async move {
                let mut outcomes: BTreeMap<(u16, u64), Outcome> = BTreeMap::new();
                for seq in 0..1_000_000 {
                    if stopped.has_changed().unwrap_or(true) {
                        break;
                    }
                    outcomes.insert((writer, seq), ledger.write(writer, seq).await);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                outcomes
            })
        })
        .collect();
    let soon = || tokio::time::sleep(Duration::from_millis(500));
    soon().await;
    let walsender = pair.pid("walsender-pids.sh");
    signal(walsender, Signal::SIGSTOP);
    soon().await;
    signal(pair.pid("primary-pids.sh"), Signal::SIGKILL);
    soon().await;
    pair.run("promote.sh", &["pg2"]);
    signal(walsender, Signal::SIGCONT);
    soon().await;
    drop(stop);

    let mut acked = BTreeSet::new();
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    for writer in writers {
        for (key, outcome) in writer.await.unwrap() {
            *counts.entry(outcome).or_default() += 1;
            if outcome == Outcome::Ok {
                acked.insert(key);
            }
        }
    }
    assert!(counts.contains_key(&Outcome::Fail), "refused while nobody was primary: {counts:?}");
    let present: BTreeSet<_> =
        ledger.rows().await.into_iter().map(|r| r.key.unwrap()).map(|k| (k.writer, k.seq)).collect();
    let lost = acked.difference(&present).count();
    assert!(lost > 0, "a paused walsender loses writes: {counts:?}");

    let list: Vec<String> = acked.iter().map(|(writer, seq)| format!("({writer},{seq})")).collect();
    let missing = format!(
        "select count(*) from (values {}) as acked (writer, seq) left join blackstart_ledger l
         on l.run = 'run-1' and l.writer = acked.writer and l.seq = acked.seq where l.pos is null",
        list.join(",")
    );
    assert_eq!(pair.psql(2, "app", &missing), lost.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_gives_its_first_value_as_text() {
    let pair = Pair::up(15400, &[]);
    let url = pair.url(1);
    let ask = async |query: &str, args: &[&str]| {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        Databases.scalar(&url, query, &args, LIMIT).await
    };
    let text = |s: &str| Ok(Some(s.to_owned()));
    assert_eq!(ask("select sum(n) from (values (1::bigint), (2)) as v (n)", &[]).await, text("3"));
    assert_eq!(ask("select 1.50::numeric; ", &[]).await, text("1.50"));
    assert_eq!(ask("select true", &[]).await, text("true"));
    assert_eq!(ask("select null", &[]).await, Ok(None));
    assert_eq!(ask("select 1 where false", &[]).await, Ok(None));
    assert_eq!(ask("show transaction_read_only", &[]).await, text("off"));
    assert_eq!(ask("select $1::int + 1 -- one more", &["41"]).await, text("42"));
    assert_eq!(ask("select length($1) > 3", &[r"it's \ ${"]).await, text("true"));
    assert_eq!(ask("select $1 || '|'", &[r"'); drop table entries; --\"]).await, text(r"'); drop table entries; --\|"));

    let refused = ask("select $1::int", &["hunter2"]).await.unwrap_err();
    assert!(
        matches!(&refused, AdapterError::Refused(m) if m.contains("22P02") && !m.contains("hunter2")),
        "{refused:?}"
    );
    let refused = ask("select no_such_column", &[]).await.unwrap_err();
    assert!(refused.to_string().contains("no_such_column"), "{refused}");
    assert!(ask("select $1", &[]).await.unwrap_err().to_string().contains("1 parameters"));
    let slow = Databases.scalar(&url, "select pg_sleep(20)", &[], Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(slow, AdapterError::TimedOut(_)), "{slow:?}");

    let wrong = url.replace("app:", "app:wrong");
    let refused = Databases.scalar(&wrong, "select 1", &[], LIMIT).await.unwrap_err();
    assert!(matches!(&refused, AdapterError::Refused(m) if m.contains("28P01") && !m.contains("wrong")), "{refused:?}");
    let nobody = Databases.scalar("postgresql://app@127.0.0.1:1/app", "select 1", &[], LIMIT).await.unwrap_err();
    assert!(matches!(nobody, AdapterError::Unreachable(_)), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_verified_as_the_url_asks() {
    let pair = Pair::up(15400, &[]);
    let data = pair.file("pg1/data");
    let (cert, key) = (data.join("server.crt"), data.join("server.key"));
    output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pg1"])
            .args([
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
            ])
            .arg(&key)
            .arg("-out")
            .arg(&cert),
    );
    output(Command::new("chmod").arg("600").arg(&key));
    output(Command::new("chown").arg("--reference").arg(&data).arg(&key).arg(&cert));
    pair.psql(1, "postgres", "alter system set ssl = on");
    pair.psql(1, "postgres", "select pg_reload_conf()");

    let ask = async |suffix: &str| {
        let url = format!("{}{suffix}", pair.url(1));
        Databases.scalar(&url, "select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[], LIMIT).await
    };
    let end = Clock::System.mono().after(LIMIT);
    while ask("?sslmode=require").await != Ok(Some("true".to_owned())) {
        assert!(Clock::System.mono() < end, "the server never spoke TLS: {:?}", ask("?sslmode=require").await);
    }
    assert_eq!(ask("").await, Ok(Some("true".to_owned())), "prefer");
    assert_eq!(ask("?sslmode=disable").await, Ok(Some("false".to_owned())));
    let full = format!("?sslmode=verify-full&sslrootcert={}", cert.display());
    assert_eq!(ask(&full).await, Ok(Some("true".to_owned())));
    let untrusted = ask("?sslmode=verify-full").await.unwrap_err();
    assert!(matches!(untrusted, AdapterError::Unreachable(_) | AdapterError::Missing(_)), "{untrusted:?}");
    let other_name = pair.url(1).replace("127.0.0.1", "localhost") + &full;
    let refused = Databases.scalar(&other_name, "select 1", &[], LIMIT).await.unwrap_err();
    assert!(matches!(refused, AdapterError::Unreachable(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ledger_may_not_do_is_said_and_somebody_elses_table_is_left_alone() {
    let pair = Pair::up(15400, &[]);
    let refusal = async |url: &str, table: &str| {
        let opened = open_ledger(&Clock::System, url, table, &settings("run-1")).unwrap();
        match opened.store.unwrap().prepare().await {
            Err(AdapterError::Refused(why) | AdapterError::Unreachable(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let port = |node: u16| 15400 + 20 + node;
    pair.psql(1, "postgres", "create role guest login password 'word'");
    let guest = format!("postgresql://guest:word@127.0.0.1:{}/app", port(1));
    // No right to make it; then somebody makes it, and gives no right to use it; then he does.
    let why = refusal(&guest, "blackstart_ledger").await;
    assert!(why.contains("42501") && why.contains("GRANT CREATE ON SCHEMA public TO guest"), "{why}");
    assert_eq!(
        Ledger::open(&guest, &settings("run-1")).write(0, 0).await,
        Outcome::Fail,
        "a table that is not there: nothing was sent"
    );
    Ledger::open(&pair.url(1), &settings("run-0")).store.prepare().await.unwrap();
    let why = refusal(&guest, "blackstart_ledger").await;
    assert!(why.contains("GRANT SELECT, INSERT, DELETE ON \"blackstart_ledger\" TO guest"), "{why}");
    pair.psql(1, "app", "grant select, insert, delete on blackstart_ledger to guest");
    pair.psql(1, "app", "grant usage on sequence blackstart_ledger_pos_seq to guest");
    let ledger = Ledger::open(&guest, &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, ledger.rows().await.len()), (Outcome::Ok, 1));
    // Somebody else's table, which happens to have such a column.
    pair.psql(1, "app", "create table trips (run text, km int); insert into trips values ('monday', 7)");
    pair.psql(1, "app", "grant all on trips to app");
    let why = refusal(&pair.url(1), "trips").await;
    assert!(why.contains("somebody else's table") && why.contains("run text, km integer"), "{why}");
    assert_eq!(pair.psql(1, "app", "select count(*) from trips"), "1");
    assert!(refusal(&pair.url(2), "blackstart_ledger").await.contains("25006"), "a standby");
    // Wrong password, no such database, nobody there; no password in what is said.
    let why = refusal(&guest.replace("word@", "guess@"), "blackstart_ledger").await;
    assert!(why.contains("28P01") && !why.contains("guess"), "{why}");
    assert!(refusal(&format!("{}/nothing", guest.trim_end_matches("/app")), "x").await.contains("3D000"));
    let nobody = format!("postgresql://guest:word@127.0.0.1:{}/app", port(1) + 8);
    assert!(refusal(&nobody, "x").await.contains("Connection refused"));
}
