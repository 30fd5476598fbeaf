//! Sites of a ledger on real servers: a primary and its standby are counted and read back each by itself.

use crate::pair::Pair;
use blackstart::adapters::postgres::open_ledger;
use blackstart::adapters::tally::{Frontier, Tally};
use blackstart::adapters::{Act, ClientSettings, Endpoint, LedgerStore, Operation, World};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Key, Outcome, RunId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn settings() -> ClientSettings {
    ClientSettings {
        run: RunId::from("run-1"),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(5),
        writers: 2,
        payload: 64,
        rate: 100.0,
    }
}

async fn site(url: String) -> Arc<dyn LedgerStore> {
    let endpoint = Endpoint::PostgresLedger { url, table: "blackstart_ledger".to_owned() };
    World::system().clients.site(&Clock::System, &endpoint, &settings()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_and_its_standby_are_counted_each_by_itself() {
    let pair = Pair::up(15440, &[]);
    let ledger = open_ledger(&Clock::System, &pair.url(0), "blackstart_ledger", &settings()).unwrap();
    ledger.store.unwrap().prepare().await.unwrap();
    for seq in 0..10 {
        for writer in 0..2 {
            let act = Act::Write(Key { writer, seq });
            let done = ledger.client.operate(Operation { due: Clock::System.mono(), act }).await;
            assert_eq!(done.outcome, Outcome::Ok);
        }
    }
    let (one, two) = (site(pair.url(1)).await, site(pair.url(2)).await);
    let whole = BTreeMap::from([0, 1].map(|writer| (writer, Tally { count: 10, highest: 9, sum: 45 })));
    assert_eq!(one.tally(None).await, Ok(whole.clone()));
    let upto = Frontier::from([(1, 3)]);
    assert_eq!(one.tally(Some(&upto)).await, Ok(BTreeMap::from([(1, Tally { count: 4, highest: 3, sum: 6 })])));
    let deadline = Instant::now() + Duration::from_secs(60);
    while two.tally(None).await != Ok(whole.clone()) {
        assert!(Instant::now() < deadline, "the standby does not catch up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut rows = 0;
    two.read_back(&mut |_| rows += 1).await.unwrap();
    assert_eq!(rows, 20);
}
