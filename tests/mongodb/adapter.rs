//! The adapter against doubles: every outcome by the cause that makes it, the read-back, discovery, questions, fingerprints.

use crate::common::until;
use crate::server::{PASSWORD, Single, Three, pymongo};
use blackstart::adapters::data::{Collections, Store};
use blackstart::adapters::mongodb::{open_copy, open_ledger, open_probe};
use blackstart::adapters::systems::{MongodbAsk, Question, Seen};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, LedgerStore, Operation, Row, ServerPlace, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Fingerprint, Found, Key, Outcome, RetryPolicy, RunId};
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
    ServerPlace { url: url.to_owned(), connect_timeout: Some(Duration::from_secs(1)), response_timeout: None }
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

pub async fn visit(url: &str) -> Outcome {
    let settings = ClientSettings { timeout: Duration::from_secs(2), ..settings("run-1") };
    let probe = open_probe(&Clock::System, &place(url), "blackstart_ledger", &settings).unwrap();
    probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(0) }).await.outcome
}

pub async fn ask(url: &str, ask: MongodbAsk) -> Result<Seen, AdapterError> {
    World::system().systems.look(&Question::Mongodb(place(url), ask), LIMIT).await
}

async fn value(url: &str, question: MongodbAsk) -> Result<String, AdapterError> {
    ask(url, question).await.map(|seen| seen.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_and_nothing_is_hidden() {
    let server = Single::up(19601);
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    for seq in 0..30 {
        for writer in 0..4 {
            assert_eq!(ledger.write(writer, seq).await, Outcome::Ok);
        }
    }
    assert_eq!(ledger.write(2, 7).await, Outcome::Fail, "this identifier is there: nothing was written");
    let rows = ledger.rows().await;
    assert_eq!(rows.len(), 120);
    for row in &rows {
        assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
    }
    let count = "print(db['blackstart_ledger.run-1'].count_documents({}))";
    assert_eq!(server.say(count), "120", "anybody can count");

    let read = async |writer, seq| ledger.act(Act::Read(Key { writer, seq })).await;
    assert_eq!(read(1, 3).await, (Outcome::Ok, Some(Found::Intact)));
    assert_eq!(read(1, 999).await, (Outcome::Ok, Some(Found::Absent)));
    // What is there twice, what is no record, and what has an identifier of another kind, is all handed over.
    server.say(
        "c = db['blackstart_ledger.run-1']; d = c.find_one({'w': 3, 's': 5}); d['_id'] = bson.ObjectId()
c.insert_one(d); c.insert_one({'hello': 'world'}); c.update_one({'w': 1, 's': 3}, {'$set': {'p': b'torn'}})",
    );
    let rows = ledger.rows().await;
    assert_eq!(rows.iter().filter(|row| row.key == Ok(Key { writer: 3, seq: 5 })).count(), 2);
    assert_eq!((rows.len(), rows.iter().filter(|row| row.key.is_err()).count()), (122, 1));
    assert_eq!(read(1, 3).await.1, Some(Found::Corrupted));

    // The next run clears what the last one left and nothing else, and its own rows survive a second preparation.
    server.say("db['blackstart_ledger.mine'].insert_one({'_id': 'precious'})");
    let next = Ledger::open(&server.url(), &self::settings("run-2"));
    next.store.prepare().await.unwrap();
    assert_eq!(next.write(0, 0).await, Outcome::Ok);
    next.store.prepare().await.unwrap();
    assert_eq!(next.rows().await.len(), 1);
    let left = "print(sorted(db.list_collection_names()), [d['_id'] for d in db.blackstart_ledger.find()])";
    assert_eq!(
        server.say(left),
        "['blackstart_ledger', 'blackstart_ledger.mine', 'blackstart_ledger.run-2'] ['run-2']"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_failure_and_silence_is_doubt() {
    let mut server = Single::up(19602);
    let settings = ClientSettings { timeout: Duration::from_millis(900), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(&server.url()).await), (Outcome::Ok, Outcome::Ok));
    // Not allowed, and not let in.
    server.say("mongo.admin.command('createUser', 'reader', pwd='word', roles=[{'role': 'read', 'db': 'shop'}])");
    for url in [server.url_of("reader", "word", ""), server.url_of("root", "wrong", "")] {
        assert_eq!(
            (Ledger::open(&url, &settings).write(0, 1).await, visit(&url).await),
            (Outcome::Fail, Outcome::Fail)
        );
    }
    let reader = Ledger::open(&server.url_of("reader", "word", ""), &settings);
    assert_eq!(reader.rows().await.len(), 1, "who may only read can read back");
    // No answer: it may have been carried out, and was.
    server.signal(Signal::SIGSTOP);
    assert_eq!((ledger.write(0, 3).await, visit(&server.url()).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    until("what was sent is carried out", || {
        server.say("print(db['blackstart_ledger.run-1'].count_documents({}))") == "2"
    });
    // Killed while a write waits in it: unknown. Then nobody listens: a failure. A connection that died between two writes
    // costs nothing: it is found dead and another is opened.
    let ledger = Arc::new(ledger);
    assert_eq!(ledger.write(1, 0).await, Outcome::Ok);
    server.signal(Signal::SIGSTOP);
    let own = Arc::clone(&ledger);
    let waiting = tokio::spawn(async move { own.write(2, 1).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill();
    assert!(matches!(waiting.await.unwrap(), Outcome::Unknown | Outcome::Fail));
    assert_eq!((ledger.write(1, 2).await, visit(&server.url()).await), (Outcome::Fail, Outcome::Fail));
    server.start_again();
    assert_eq!(ledger.write(1, 3).await, Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retrying_client_is_served_by_whoever_comes_back() {
    let mut server = Single::up(19603);
    let policy = RetryPolicy {
        attempts: 100,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(1),
    };
    let behaviour = ClientBehaviour::Retrying(policy);
    let settings = ClientSettings { behaviour, timeout: Duration::from_secs(20), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    server.kill();
    let (outcome, server) = tokio::join!(ledger.write(0, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(move || {
            server.start_again();
            server
        })
        .await
        .unwrap()
    });
    assert_eq!(outcome, Outcome::Ok);
    let attempts = server.say("print(db['blackstart_ledger.run-1'].distinct('s'))");
    assert_eq!(attempts, "[0, 1]");
}

pub async fn three_members_one_primary_and_what_a_majority_has(three: &Three) {
    let set = three.url("");
    let settings = ClientSettings { timeout: Duration::from_secs(3), ..settings("run-1") };
    let [one, majority, hasty] =
        ["&w=1", "&w=majority", "&w=majority&wtimeoutMS=300"].map(|w| Ledger::open(&three.url(w), &settings));
    one.store.prepare().await.unwrap();
    for (seq, ledger) in [&one, &majority, &hasty].into_iter().enumerate() {
        assert_eq!(ledger.write(0, seq as u64).await, Outcome::Ok);
    }
    questions(three, &set).await;
    copies(three, &one, &settings).await;
    secondaries_that_stand_still(three, &one, &majority, &hasty).await;
    // A planned step-down: connections stay open, and writers go on to the new primary by themselves.
    let old = value(&set, MongodbAsk::Primary).await.unwrap();
    three.run("step-down.sh", &[]);
    let outcomes = [majority.write(0, 10).await, majority.write(0, 11).await];
    assert!(!outcomes.contains(&Outcome::Unknown) && outcomes[1] == Outcome::Ok, "{outcomes:?}");
    assert_ne!(value(&set, MongodbAsk::Primary).await.unwrap(), old);
    three.run("wait-ready.sh", &[]);
    rolled_back(three, &one, &majority).await;
}

async fn questions(three: &Three, set: &str) {
    assert_eq!(value(set, MongodbAsk::Primaries).await, Ok("1".to_owned()));
    assert_eq!(value(set, MongodbAsk::Secondaries).await, Ok("2".to_owned()));
    assert_eq!(value(set, MongodbAsk::Members).await, Ok("3".to_owned()));
    assert_eq!(value(set, MongodbAsk::Role).await, Ok("primary".to_owned()));
    let (_, names) = three.role("secondaries");
    let secondary = three.member("app", names[0].strip_prefix('m').unwrap().parse().unwrap());
    assert_eq!(value(&secondary, MongodbAsk::Role).await, Ok("secondary".to_owned()));
    assert_eq!(value(&secondary, MongodbAsk::Documents("stock".to_owned())).await, Ok("2000".to_owned()));
    assert_eq!(value(set, MongodbAsk::Documents("stock".to_owned())).await, Ok("2000".to_owned()));
    let seconds = async |question| value(set, question).await.unwrap().parse::<f64>().unwrap();
    assert!(seconds(MongodbAsk::Lag).await < 60.0 && seconds(MongodbAsk::Majority).await < 60.0);
    // One member is enough to find the primary, and one that is no primary is not it.
    let seed = secondary.replace("directConnection=true", "replicaSet=rs0");
    let primary = value(set, MongodbAsk::Primary).await.unwrap();
    assert!(!secondary.contains(&primary), "{primary}");
    assert_eq!(value(&seed, MongodbAsk::Primary).await, Ok(primary));
    assert!(value(&secondary, MongodbAsk::Primary).await.is_err());
    assert_eq!((visit(set).await, visit(&secondary).await), (Outcome::Ok, Outcome::Fail));
}

async fn copies(three: &Three, one: &Ledger, settings: &ClientSettings) {
    let whole = one.rows().await;
    assert_eq!(whole.len(), 3);
    for member in 1..=3 {
        let place = place(&three.member("app", member));
        let copy = open_copy(&Clock::System, &place, "blackstart_ledger", settings).unwrap();
        assert_eq!(rows(&*copy).await, whole, "member {member}");
    }
}

/// The primary alone acknowledges `w: 1`; a majority cannot.
async fn secondaries_that_stand_still(three: &Three, one: &Ledger, majority: &Ledger, hasty: &Ledger) {
    let (pids, _) = three.role("secondaries");
    let freeze = |signal| pids.iter().for_each(|pid| crate::common::signal(*pid, signal));
    freeze(Signal::SIGSTOP);
    let outcomes = tokio::join!(one.write(1, 0), hasty.write(2, 0));
    freeze(Signal::SIGCONT);
    assert_eq!(outcomes, (Outcome::Ok, Outcome::OkLocal), "by the primary alone");
    three.run("wait-ready.sh", &[]);
    // Without a time limit of its own the answer never comes, or the primary is one no more: nobody knows.
    freeze(Signal::SIGSTOP);
    let outcome = majority.write(3, 0).await;
    freeze(Signal::SIGCONT);
    assert_eq!(outcome, Outcome::Unknown);
    three.run("wait-ready.sh", &[]);
}

/// What only a primary had that died is rolled back when it returns, and kept in a file beside.
async fn rolled_back(three: &Three, one: &Ledger, majority: &Ledger) {
    // Its connection is to the new primary then, and not to one that is about to stand still.
    while one.write(1, 99).await != Outcome::Ok {}
    let (primary, names) = three.role("primary");
    let (pids, _) = three.role("secondaries");
    pids.iter().for_each(|pid| crate::common::signal(*pid, Signal::SIGSTOP));
    let mut acked = 0;
    for seq in 100..120 {
        acked += u32::from(one.write(1, seq).await == Outcome::Ok);
    }
    assert!(acked > 10, "{acked}");
    // Its journal is flushed every 50 ms, and only what is in it can come back to be rolled back.
    tokio::time::sleep(Duration::from_millis(200)).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(primary[0]).unwrap()), Signal::SIGKILL).unwrap();
    pids.iter().for_each(|pid| crate::common::signal(*pid, Signal::SIGCONT));
    three.elects_another_than(&names[0]);
    three.run("start.sh", &[&names[0]]);
    let kept = one.rows().await.iter().filter(|row| row.key.as_ref().is_ok_and(|key| key.seq >= 100)).count();
    assert!(kept < 5, "{kept} of {acked}");
    let code = format!(
        "import glob; print(sum(len(bson.decode_all(open(f, 'rb').read())) for f in glob.glob('{}/rollback/*')))",
        three.dir.join(&names[0]).join("data").display()
    );
    let saved: usize = pymongo(&three.url(""), &code).parse().unwrap();
    assert!(saved + kept >= acked as usize, "{saved} in the file, {kept} there, of {acked}");
    assert_eq!(majority.write(0, 200).await, Outcome::Ok);
}

async fn print(url: &str, collections: &[&str], exclude: &[&str]) -> (Fingerprint, Vec<String>) {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let store = Store::Collections(Collections {
        place: place(url),
        collections: texts(collections),
        exclude: texts(exclude),
        own: texts(&["blackstart_ledger"]),
    });
    let taken = World::system().data.fingerprint(&store, LIMIT).await.unwrap();
    (taken.print, taken.absent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_of_every_byte_and_of_the_indexes() {
    let (one, two) = (Single::up(19604), Single::with(19605, &[], ""));
    let fill = "db.items.insert_many([{'_id': n, 'pieces': n % 7, 'name': f'item {n}'} for n in range(2500)])
db.items.create_index('pieces'); db.notes.insert_one({'_id': bson.ObjectId('0123456789abcdef01234567'), 'a': [1, {'b': None}]})";
    for server in [&one, &two] {
        server.say(fill);
    }
    one.say("db['blackstart_ledger.run-1'].insert_one({'_id': 'x'})");
    let (before, absent) = print(&one.url(), &[], &[]).await;
    assert_eq!((before.parts["items"].count, before.parts["notes"].count, before.parts.len()), (2_500, 1, 2));
    assert!(absent.is_empty() && before.parts["items"].shape.contains("pieces"), "{before:?}");
    assert_eq!(print(&two.url(), &["*"], &[]).await.0, before, "the same, wherever it is");
    let (some, absent) = print(&one.url(), &["it*", "nobody"], &["notes"]).await;
    assert_eq!((some.parts.len(), absent), (1, vec!["the collection `nobody`".to_owned()]));
    for change in [
        "db.items.update_one({'_id': 7}, {'$set': {'pieces': 0.0}})",
        "db.items.delete_one({'_id': 7}); db.items.insert_one({'_id': 7, 'name': 'item 7', 'pieces': 0})",
        "db.items.delete_one({'_id': 7}); db.items.insert_one({'_id': 7, 'pieces': 0, 'name': 'item 7'}); db.items.drop_index('pieces_1')",
    ] {
        two.say(change);
        let (after, _) = print(&two.url(), &[], &[]).await;
        assert_ne!(after.parts["items"], before.parts["items"], "{change}");
        assert_eq!(after.parts["notes"], before.parts["notes"]);
    }
    let wrong = place(&one.url().replace(PASSWORD, "wrong"));
    let collections = Collections { place: wrong, collections: vec![], exclude: vec![], own: vec![] };
    let refused = World::system().data.fingerprint(&Store::Collections(collections), LIMIT).await.unwrap_err();
    assert!(matches!(&refused, AdapterError::Refused(why) if why.contains("is the password right")), "{refused:?}");
}
