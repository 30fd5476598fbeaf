//! The conformance suite of ledgers, against an S3 server whose objects are broken on purpose by boto3. (The simulation goes
//! through the same suite in the tests of Redis.)

use crate::adapter::{Ledger, settings};
use crate::server::Server;
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Lost seven, torn three, and two that nobody here wrote.
const BREAK: &str = "
def name(writer, seq): return f'blackstart_ledger/run-1/{writer:05}/{seq:012}/00001'
for seq in range(10, 17): s3.delete_object(Bucket=bucket, Key=name(0, seq))
for seq in range(30, 33):
  for v in s3.list_object_versions(Bucket=bucket, Prefix=name(2, seq))['Versions']:
    s3.delete_object(Bucket=bucket, Key=name(2, seq), VersionId=v['VersionId'])
  s3.put_object(Bucket=bucket, Key=name(2, seq), Body=b'torn' if seq == 30 else b'x' * 100)
s3.put_object(Bucket=bucket, Key=name(9, 0), Body=b'x')
s3.put_object(Bucket=bucket, Key='blackstart_ledger/run-1/hello', Body=b'world')
";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_broken_on_purpose_shows_every_class() {
    let server = Server::up(&["versioned", "plain"]);
    for (bucket, doubled) in [("versioned", 6), ("plain", 0)] {
        let settings = ClientSettings { timeout: Duration::from_millis(1_500), ..settings("run-1") };
        let ledger = Ledger::open(server.bucket(bucket), &settings);
        ledger.store.prepare().await.unwrap();
        // A second client that writes what the first has written: each of its objects is one too many.
        let other = Ledger::open(server.bucket(bucket), &settings);
        let mut clerk = Clerk::new(ledger.client, Clock::System);
        for seq in 0..40 {
            for writer in 0..4 {
                assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
            }
        }
        for seq in 20..26 {
            assert_eq!(other.write(1, seq).await, Outcome::Ok);
        }
        // Refused, and there all the same.
        server.allow(&["PutObject"]);
        assert_eq!((clerk.write(3, 40).await, clerk.write(3, 41).await), (Outcome::Fail, Outcome::Fail));
        server.allow(&[]);
        assert_eq!(other.write(3, 41).await, Outcome::Ok);
        // Sent, and never answered.
        server.signal(Signal::SIGSTOP);
        assert_eq!((clerk.write(0, 41).await, clerk.write(1, 41).await), (Outcome::Unknown, Outcome::Unknown));
        server.signal(Signal::SIGCONT);
        server.boto(&format!("bucket = '{bucket}'\n{BREAK}"));

        let verified = clerk.settle(&*ledger.store, &settings).await;
        let found = books(&verified);
        assert_eq!(found.unknown_present + found.unknown_absent, 2, "{found:?}");
        let expected = Books {
            acked: 160,
            kept: 160 - 7 - 3,
            lost: 7,
            unknown_present: found.unknown_present,
            unknown_absent: found.unknown_absent,
            resurrected: 1,
            // Without versions the second object takes the first one's place, and nobody can tell.
            duplicated: doubled,
            corrupted: 3,
        };
        assert_eq!(found, expected, "{bucket}");
        assert_eq!((verified.phantom, verified.duplicated_by_server), (2, doubled));
        assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
    }
}
