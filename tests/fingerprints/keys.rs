//! Key prefixes of the embedded staging's real processes: the suite, several prefixes, and what is no full answer.

use crate::cluster::Cluster;
use crate::suite::{Ground, Thing, holds};
use blackstart::adapters::data::{KeyService, Keys, Selection, Store, Taken};
use blackstart::adapters::{AdapterError, Request, World};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(60);

impl Cluster {
    async fn put(&self, key: &str, value: &str) {
        let url = format!("http://127.0.0.1:{}/ledger/{key}", self.port);
        let (headers, body) = (BTreeMap::new(), Some(value.as_bytes().to_vec()));
        let request = Request { method: "PUT".to_owned(), url, headers, body, timeout: LIMIT };
        let answer = World::system().http.send(&request).await.unwrap();
        assert_eq!(answer.status, 200, "{key}: {}", answer.body);
    }

    async fn take(&self, prefixes: &[&str], exclude: &[&str]) -> Result<Taken, AdapterError> {
        take(self.port, prefixes, exclude).await
    }
}

async fn take(port: u16, prefixes: &[&str], exclude: &[&str]) -> Result<Taken, AdapterError> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let selection = Selection { prefixes: texts(prefixes), exclude: texts(exclude), own: vec!["this-run/".to_owned()] };
    let url = format!("http://127.0.0.1:{port}");
    World::system().data.fingerprint(&Store::Keys(Keys { service: KeyService::Kv, url, selection }), LIMIT).await
}

/// A store in which nothing can be changed or taken out: every state is a store of its own.
struct States(Option<Cluster>);

impl Ground for States {
    async fn of(&mut self, things: &[Thing]) -> Taken {
        let cluster = self.0.insert(Cluster::up());
        for (number, content) in things {
            cluster.put(&format!("seed/{}/{number}", number / 90), content).await;
            cluster.put(&format!("this-run/0/{number}"), content).await;
        }
        cluster.put("other/0/1", &format!("{things:?}")).await;
        cluster.take(&["seed/"], &["seed/1/*"]).await.unwrap()
    }

    async fn unreadable(&mut self) -> Result<Taken, AdapterError> {
        let cluster = self.0.take().unwrap();
        let port = cluster.port;
        drop(cluster);
        take(port, &["seed/"], &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store() {
    holds(&mut States(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prefix_is_a_part_and_the_standby_is_not_asked() {
    let cluster = Cluster::up();
    for key in ["a/0/1", "a/0/2", "a/1/1", "b/0/1", "this-run/0/1"] {
        cluster.put(key, key).await;
    }
    let taken = cluster.take(&["a/0/", "b", "c/", "a/"], &[]).await.unwrap();
    let counts: Vec<(&str, u64)> = taken.print.parts.iter().map(|(name, part)| (name.as_str(), part.count)).collect();
    assert_eq!(counts, [("a/", 3), ("a/0/", 2), ("b", 1)]);
    assert_eq!(taken.absent, ["any key that begins with `c/`"]);
    let all = cluster.take(&[], &["b/**"]).await.unwrap();
    assert_eq!(all.print.parts["every key"].count, 3, "neither what is left out nor the run's own");
    assert_eq!(all.print.parts["every key"].sum, cluster.take(&["a/"], &[]).await.unwrap().print.parts["a/"].sum);
    let standby = take(cluster.port + 2, &["a/"], &[]).await;
    assert!(matches!(&standby, Err(AdapterError::Refused(why)) if why.contains("status 503")), "{standby:?}");
}

#[tokio::test]
async fn what_is_no_full_answer_is_an_error_that_says_where() {
    let line = "a/0/1 61\n";
    for (answer, wanted) in [
        (line.to_owned(), "cut off after 1 keys"),
        (format!("{line}end 2\n"), "cut off after 1 keys"),
        (format!("{line}{line}end 1\n"), "cut off after 2 keys"),
        (format!("{line}a/0/2 6\nend 1\n"), "cut off after 1 keys"),
        (format!("{line}end 1"), "in the middle of a line"),
        (format!("{line}end 1\n"), ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        let serve = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let _request = stream.read(&mut bytes).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            // Until the other side has read it.
            let _end = stream.read(&mut bytes).await;
        };
        let (taken, ()) = tokio::join!(take(port, &["a/"], &[]), serve);
        let said = taken.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(wanted) && said.is_empty() == wanted.is_empty(), "{answer}: {taken:?}");
        assert!(said.is_empty() || said.contains(&format!("list the keys of 127.0.0.1:{port}")), "{said}");
    }
}
