//! The adapter against real servers: every outcome by the cause that makes it, the read-back in levels, several servers, and
//! questions.

use crate::common::until;
use crate::planted::{levels_find_the_same, planted};
use crate::server::Maria;
use blackstart::adapters::mysql::{open_ledger, open_probe};
use blackstart::adapters::systems::{MysqlAsk, Question, Seen};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, ServerPlace, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Found, Key, Outcome, RetryPolicy, RunId};
use blackstart::workloads::payload;
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

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
    ServerPlace { url: url.to_owned(), connect_timeout: Some(Duration::from_secs(2)), response_timeout: None }
}

pub struct Ledger {
    client: Arc<dyn Client>,
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
        let mut rows = Vec::new();
        self.store.read_back(&mut |row| rows.push(row)).await.unwrap();
        rows
    }
}

pub async fn visit(url: &str) -> Outcome {
    let probe = open_probe(&Clock::System, &place(url), &settings("run-1")).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

pub async fn ask(url: &str, ask: MysqlAsk) -> Result<Seen, AdapterError> {
    World::system().systems.look(&Question::Mysql(place(url), ask), LIMIT).await
}

async fn value(url: &str, question: MysqlAsk) -> String {
    ask(url, question).await.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_and_nothing_is_hidden() {
    let server = Maria::up(14801, &["--skip-log-bin"]).with_app();
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url("app"), &settings);
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
    let tally = ledger.store.tally(Some(&[(1, 9), (3, 100)].into())).await.unwrap();
    let figures: Vec<(u16, u64, u64, u128)> = tally.iter().map(|(w, t)| (*w, t.count, t.highest, t.sum)).collect();
    assert_eq!(figures, [(1, 10, 9, 45), (3, 50, 49, 1225)]);
    assert_eq!(ledger.store.tally(None).await.unwrap()[&2].count, 51);

    let read = async |writer, seq| ledger.act(Act::Read(Key { writer, seq })).await;
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    server.sql("update app.blackstart_ledger set payload = 'x' where writer = 1 and seq = 3");
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Corrupted)));

    // The next run clears what the last one left, and its own rows survive a second preparation.
    let next = Ledger::open(&server.url("app"), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    assert_eq!(server.sql("select count(*) from app.blackstart_ledger"), "1");
    sums(&server).await;
}

/// The read-back in levels.
async fn sums(server: &Maria) {
    let settings = crate::planted::settings();
    let opened = open_ledger(&Clock::System, &place(&server.url("app")), "planted_ledger", &settings).unwrap();
    let store = opened.store.unwrap();
    store.prepare().await.unwrap();
    let (ledger, rows) = planted();
    for part in rows.chunks(2_000) {
        let values = part.iter().map(|row| {
            let key = row.key.clone().unwrap();
            let hex: String = row.payload.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("('planted', {}, {}, {}, x'{hex}')", key.writer, key.seq, row.attempt)
        });
        let values = values.collect::<Vec<_>>().join(",");
        let columns = "planted_ledger (run, writer, seq, attempt, payload)";
        server.pipe(&format!("use app; insert into {columns} values {values};"));
    }
    levels_find_the_same(&*store, ledger, rows.len()).await;
    // A number below zero is nobody's.
    server.sql(
        "insert into app.planted_ledger (run, writer, seq, attempt, payload)
         values ('planted', 0, -5, 1, 'x'), ('other', 0, 1, 1, 'x')",
    );
    let (ledger, _) = planted();
    let (found, _) = blackstart::exec::sampler::levels::read_back(&*store, &settings, ledger, 0).await.unwrap();
    assert_eq!((found.phantom_count, found.phantoms[1].as_str()), (2, "writer 0, seq -5"), "another run's is not read");
    assert_eq!(found, crate::planted::every_row(&*store).await);
}

/// An insert of writer 3 takes two seconds in the server.
pub const SLOW: &str = "create trigger app.slow before insert on app.blackstart_ledger for each row
     set new.attempt = if(new.writer = 3, new.attempt + sleep(2), new.attempt)";

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_failure_and_silence_is_doubt() {
    let server = Maria::up(14802, &["--skip-log-bin", "--innodb-lock-wait-timeout=1"]).with_app();
    let ledger = Ledger::open(&server.url("app"), &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    refusals(&server, &ledger).await;
    silence(&server, &ledger).await;
    an_end(server, ledger).await;
}

async fn refusals(server: &Maria, ledger: &Ledger) {
    let url = server.url("app");
    assert_eq!((ledger.write(0, 0).await, visit(&url).await), (Outcome::Ok, Outcome::Ok));
    // 1290
    server.sql("set global read_only = 1");
    assert_eq!((ledger.write(0, 1).await, visit(&url).await), (Outcome::Fail, Outcome::Fail));
    assert!(matches!(ledger.store.prepare().await, Err(AdapterError::Refused(why)) if why.contains("1290")));
    assert_eq!(ledger.rows().await.len(), 1, "a read-only server's own copy can be read");
    server.sql("set global read_only = 0");
    // 1146, 1142 on a connection that was open before, 1040, and 1045 before anything is sent.
    server.sql("rename table app.blackstart_ledger to app.away");
    assert_eq!(ledger.write(0, 1).await, Outcome::Fail);
    server.sql("rename table app.away to app.blackstart_ledger; revoke insert on app.* from app@'127.0.0.1'");
    assert_eq!(ledger.write(1, 1).await, Outcome::Fail);
    server.sql("grant insert on app.* to app@'127.0.0.1'; set global max_connections = 10");
    let many: Vec<Ledger> = (0..12).map(|_| Ledger::open(&url, &settings("run-1"))).collect();
    let mut told = Vec::new();
    for ledger in &many {
        told.push(ledger.write(2, 0).await);
    }
    assert!(told.contains(&Outcome::Ok) && told.contains(&Outcome::Fail), "{told:?}");
    assert!(!told.contains(&Outcome::Unknown), "{told:?}");
    drop(many);
    server.sql("set global max_connections = 100");
    let wrong = url.replace(crate::server::PASSWORD, "wrong");
    let stranger = Ledger::open(&wrong, &settings("run-1"));
    assert_eq!((stranger.write(0, 1).await, visit(&wrong).await), (Outcome::Fail, Outcome::Fail));

    // A connection that dies between two writes costs nothing: the next one finds it dead and opens another.
    until("there is none left", || {
        let all = server.sql("select concat('kill ', id) from information_schema.processlist where user = 'app'");
        // One that has gone meanwhile is as good.
        all.lines().for_each(|kill| server.try_sql(kill));
        all.is_empty()
    });
    assert_eq!(ledger.write(0, 2).await, Outcome::Ok);
}

async fn silence(server: &Maria, ledger: &Ledger) {
    let url = server.url("app");
    let hasty = ClientSettings { timeout: Duration::from_millis(700), ..settings("run-1") };
    let impatient = Ledger::open(&url, &hasty);
    // No answer in time: it may have been carried out, and was.
    server.sql(SLOW);
    let there = |writer: u16, seq: u64| {
        let which = format!("writer = {writer} and seq = {seq}");
        server.sql(&format!("select count(*) from app.blackstart_ledger where {which}")) == "1"
    };
    assert_eq!(impatient.write(3, 0).await, Outcome::Unknown);
    until("what was sent is carried out", || there(3, 0));
    assert_eq!(ledger.write(3, 1).await, Outcome::Ok, "who waits is told");
    // A server that stands still was sent nothing: the connection is asked first.
    assert_eq!(impatient.write(0, 3).await, Outcome::Ok);
    server.signal(Signal::SIGSTOP);
    assert_eq!((impatient.write(0, 4).await, visit(&url).await), (Outcome::Fail, Outcome::Fail));
    server.signal(Signal::SIGCONT);
    until("it goes on", || server.sql("select 1") == "1");
    assert!(!there(0, 4));
}

async fn an_end(mut server: Maria, ledger: Ledger) {
    // Killed while a write is in it: unknown. Then nobody listens: a failure.
    let (url, ledger) = (server.url("app"), Arc::new(ledger));
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(3, 2).await });
    until("it is in the server", || {
        // Its user is whoever made the trigger.
        server.sql("select count(*) from information_schema.processlist where state = 'User sleep'") == "1"
    });
    server.kill();
    assert_eq!(waiting.await.unwrap(), Outcome::Unknown);
    assert_eq!((ledger.write(1, 2).await, visit(&url).await), (Outcome::Fail, Outcome::Fail));
    // Whoever tries again is served by the server that comes back.
    let policy = RetryPolicy {
        attempts: 100,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(2),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let retrying = ClientSettings { behaviour, timeout: Duration::from_secs(30), ..settings("run-1") };
    let retrying = Ledger::open(&url, &retrying);
    let again = tokio::task::spawn_blocking(move || {
        server.again();
        server
    });
    let (outcome, server) = tokio::join!(retrying.write(1, 3), again);
    assert_eq!(outcome, Outcome::Ok);
    let there = server.unwrap().sql("select count(*) from app.blackstart_ledger where writer = 1 and seq = 3");
    assert_eq!(there, "1");
}

/// A replica of `one`, as people set it up.
fn replicated(one: &Maria, two: &Maria) {
    one.sql("create user replicator@'127.0.0.1' identified by 'word'; grant replication slave on *.* to replicator@'127.0.0.1'");
    for server in [one, two] {
        server.sql("set sql_log_bin = 0; grant replica monitor on *.* to app@'127.0.0.1'; reset master");
    }
    two.sql(&format!(
        "set global read_only = 1; set global gtid_slave_pos = ''; change master to master_host = '127.0.0.1',
         master_port = {}, master_user = 'replicator', master_password = 'word', master_use_gtid = slave_pos,
         master_connect_retry = 1; start slave",
        one.port
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_one_that_takes_writes_is_meant_and_two_are_one_too_many() {
    let log = ["--log-bin", "--gtid-strict-mode", "--server-id=1"];
    let one = Maria::up(14803, &log).with_app();
    // Without a replica, and before there is a right to ask.
    let alone = ask(&one.url("app"), MysqlAsk::Replicas).await.unwrap();
    assert_eq!(alone.value, "0");
    assert!(alone.fields["missing"].contains("change master to"), "{alone:?}");
    let refused = ask(&one.url("app"), MysqlAsk::Lag).await.unwrap_err();
    assert!(matches!(&refused, AdapterError::Refused(why) if why.contains("grant replica monitor")), "{refused}");

    let two = Maria::up(14804, &["--log-bin", "--log-slave-updates", "--gtid-strict-mode", "--server-id=2"]).with_app();
    replicated(&one, &two);
    until("it follows", || one.sql("show global status like 'slaves_connected'").ends_with('1'));
    let lonely = ask(&one.url("app"), MysqlAsk::Lag).await.unwrap_err().to_string();
    assert!(lonely.contains("follows nobody"), "{lonely}");
    let both = format!("mysql://app:{}@127.0.0.1:14804,127.0.0.1:14803/app", crate::server::PASSWORD);
    let ledger = Ledger::open(&both, &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&both).await), (Outcome::Ok, Outcome::Ok));
    assert_eq!(value(&both, MysqlAsk::Primary).await, "127.0.0.1:14803");
    assert_eq!(value(&both, MysqlAsk::Primaries).await, "1");
    assert_eq!(value(&both, MysqlAsk::Replicating).await, "1");
    assert_eq!(value(&both, MysqlAsk::Replicas).await, "1");
    assert_eq!(value(&one.url("app"), MysqlAsk::Role).await, "primary");
    assert_eq!(value(&one.url("app"), MysqlAsk::ReadOnly).await, "no");
    let role = ask(&two.url("app"), MysqlAsk::Role).await.unwrap();
    assert_eq!((role.value.as_str(), role.fields["follows"].as_str()), ("replica", "127.0.0.1:14803"));
    assert_eq!(value(&two.url("app"), MysqlAsk::ReadOnly).await, "yes");
    assert_eq!(value(&both, MysqlAsk::Variable("server_id".to_owned())).await, "1");
    assert_eq!(value(&both, MysqlAsk::Status("slaves_connected".to_owned())).await, "1");
    assert!(ask(&both, MysqlAsk::Variable("no_such_thing".to_owned())).await.is_err());
    assert!(ask(&both, MysqlAsk::Status("a' or '1'='1".to_owned())).await.is_err());

    // Behind by transactions, and by seconds once it may go on.
    let copy = Ledger::open(&two.url("app"), &settings("run-1"));
    until("it has the first", || two.sql("select count(*) from app.blackstart_ledger") == "1");
    assert_eq!(value(&both, MysqlAsk::LagTransactions).await, "0");
    two.sql("stop slave sql_thread");
    for seq in 1..20 {
        assert_eq!(ledger.write(0, seq).await, Outcome::Ok);
    }
    assert_eq!(value(&both, MysqlAsk::LagTransactions).await, "19");
    assert_eq!(copy.rows().await.len(), 1, "a replica's own copy can be read");
    let stopped = ask(&both, MysqlAsk::Lag).await.unwrap_err().to_string();
    assert!(stopped.contains("14804 does not apply what 127.0.0.1:14803 logs"), "{stopped}");
    assert_eq!(value(&both, MysqlAsk::Replicating).await, "0");
    two.sql("start slave sql_thread");
    until("it has caught up", || two.sql("select count(*) from app.blackstart_ledger") == "20");
    assert!(value(&both, MysqlAsk::Lag).await.parse::<u64>().is_ok());
    semi_sync(&one, &two, &both).await;

    // A split brain: both of them take writes.
    two.sql("set global read_only = 0");
    let seen = ask(&both, MysqlAsk::Primaries).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["names"].as_str()), ("2", "127.0.0.1:14804 127.0.0.1:14803"));
    two.sql("set global read_only = 1");
    one.sql("set global read_only = 1");
    assert_eq!((ledger.write(0, 30).await, visit(&both).await), (Outcome::Fail, Outcome::Fail));
    assert_eq!(value(&both, MysqlAsk::Primaries).await, "0");
    // The other one is promoted: clients find it by themselves.
    two.sql("set global read_only = 0");
    assert_eq!(ledger.write(0, 30).await, Outcome::Ok);
}

async fn semi_sync(one: &Maria, two: &Maria, both: &str) {
    assert_eq!(value(both, MysqlAsk::SemiSync).await, "off");
    two.sql("set global rpl_semi_sync_slave_enabled = 1; stop slave io_thread; start slave io_thread");
    one.sql("set global rpl_semi_sync_master_enabled = 1");
    until("its replica confirms", || one.sql("show global status like 'rpl_semi_sync_master_clients'").ends_with('1'));
    let seen = ask(both, MysqlAsk::SemiSync).await.unwrap();
    assert_eq!((seen.value.as_str(), seen.fields["replicas"].as_str()), ("on", "1"));
    one.sql("set global rpl_semi_sync_master_enabled = 0");
}
