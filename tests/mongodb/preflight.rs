//! Bad input and what is missing: each has an error that says what to write or to grant.

use crate::adapter::{Ledger, ask, place, settings};
use crate::common::certificate;
use crate::server::Single;
use blackstart::adapters::AdapterError;
use blackstart::adapters::mongodb::open_ledger;
use blackstart::adapters::systems::MongodbAsk;
use blackstart::clock::Clock;
use blackstart::model::Outcome;

async fn refused(url: &str) -> String {
    match Ledger::open(url, &settings("run-1")).store.prepare().await {
        Err(AdapterError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_what_to_grant() {
    let server = Single::up(19611);
    let why = refused(&server.url_of("root", "wrong", "")).await;
    assert!(why.contains("Authentication failed") && why.contains("`root`") && why.contains("authSource"), "{why}");
    assert!(!why.contains("wrong"), "{why}");
    server.say("mongo.admin.command('createUser', 'reader', pwd='word', roles=[{'role': 'read', 'db': 'shop'}])");
    let reader = server.url_of("reader", "word", "");
    let why = refused(&reader).await;
    let grant = "db.getSiblingDB(\"admin\").grantRolesToUser(\"reader\", [{role: \"readWrite\", db: \"shop\"}])";
    assert!(why.contains("trying to write to the ledger `shop.blackstart_ledger`") && why.contains(grant), "{why}");
    let lag = ask(&reader, MongodbAsk::Lag).await.unwrap_err().to_string();
    assert!(lag.contains("[{role: \"clusterMonitor\", db: \"admin\"}]"), "{lag}");
    // What was said to be granted is granted, and then it goes.
    server.say(
        "mongo.admin.command('grantRolesToUser', 'reader', roles=[{'role': 'readWrite', 'db': 'shop'}, \
         {'role': 'clusterMonitor', 'db': 'admin'}])",
    );
    let ledger = Ledger::open(&reader, &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    assert_eq!(ask(&reader, MongodbAsk::Members).await.unwrap().value, "1");
    // More members than there are, another set, and nobody in particular.
    let why = refused(&server.url_of("reader", "word", "&w=2")).await;
    assert!(why.contains("w=2 asks for 2 members, and 1 hold data here"), "{why}");
    let why = refused(&server.url_of("reader", "word", "&replicaSet=other")).await;
    assert!(why.contains("a member of the replica set `one`, and not of `other`"), "{why}");
    let why = refused(&format!("mongodb://127.0.0.1:{}/shop?replicaSet=one", server.port)).await;
    assert!(why.contains("name a user in the URL"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_alone_too_old_or_not_there_is_said() {
    let alone = Single::with(19612, &[], "");
    let why = refused(&alone.url_of("root", "s3cret", "&replicaSet=rs0")).await;
    assert!(why.contains("no member of a replica set") && why.contains("--replSet rs0"), "{why}");
    let lag = ask(&alone.url(), MongodbAsk::Lag).await.unwrap_err();
    assert!(matches!(&lag, AdapterError::Refused(why) if why.contains("rs.initiate()")), "{lag:?}");
    // By itself it can be used.
    let ledger = Ledger::open(&alone.url(), &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, ledger.rows().await.len()), (Outcome::Ok, 1));
    assert_eq!(ask(&alone.url(), MongodbAsk::Role).await.unwrap().value, "standalone");
    let old = Single::bare(19613, &["--replSet", "one", "--wire", "8"]);
    let why = refused(&old.url()).await;
    assert!(why.contains("speaks version 8") && why.contains("MongoDB 4.4"), "{why}");
    let nobody = Ledger::open("mongodb://u:p@127.0.0.1:19619/shop?replicaSet=one", &settings("run-1"));
    let gone = nobody.store.prepare().await.unwrap_err();
    assert!(matches!(&gone, AdapterError::Unreachable(why) if why.contains("127.0.0.1:19619")), "{gone:?}");
    let wrong = open_ledger(&Clock::System, &place("mongodb://u:hunter2@h"), "blackstart_ledger", &settings("run-1"));
    assert!(wrong.err().is_some_and(|e| !e.to_string().contains("hunter2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let both = folder.path().join("both.pem");
    std::fs::write(&both, [std::fs::read(&key).unwrap(), std::fs::read(&cert).unwrap()].concat()).unwrap();
    let both = both.display().to_string();
    let escaped = cert.display().to_string().replace('/', "%2F");
    let options = format!("&tls=true&tlsCAFile={escaped}");
    let server = Single::with(19614, &["--replSet", "one", "--tlsCertificateKeyFile", &both], &options);
    let trusting = server.url_of("root", "s3cret", &options);
    let ledger = Ledger::open(&trusting, &settings("run-1"));
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, ledger.rows().await.len()), (Outcome::Ok, 1));
    let anyone = server.url_of("root", "s3cret", "&tls=true&tlsAllowInvalidCertificates=true");
    assert_eq!(ask(&anyone, MongodbAsk::Primaries).await.unwrap().value, "1");
    let (untrusted, elsewhere) =
        (server.url_of("root", "s3cret", "&tls=true"), trusting.replace("@127.0.0.1", "@localhost"));
    for wrong in [untrusted, elsewhere, server.url()] {
        let refused = ask(&wrong, MongodbAsk::Role).await.unwrap_err();
        let fits = match &refused {
            AdapterError::Unreachable(why) => !wrong.contains("tls=true") || why.contains("TLS with"),
            AdapterError::Missing(_) => true,
            _ => false,
        };
        assert!(fits, "{refused:?}");
    }
}
