//! Sums over what a store hands out: golden figures, prefixes, and a scan that fails.

use super::*;
use crate::model::DataPart;

/// Hands out what it has, in its order; fails after that if told to.
struct Memory(Vec<(Vec<u8>, Vec<u8>)>, Option<AdapterError>);

impl KeyStore for Memory {
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        each: &'a mut (dyn FnMut(&[u8], &[u8]) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            let fitting = self.0.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
            fitting.for_each(|(key, value)| each(key, value));
            self.1.clone().map_or(Ok(()), Err)
        })
    }
}

fn memory(keys: &[(&[u8], &[u8])]) -> Memory {
    Memory(keys.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect(), None)
}

fn selection(prefixes: &[&str]) -> Selection {
    Selection { prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(), ..Selection::default() }
}

#[tokio::test]
async fn golden() {
    let store = memory(&[(b"b/2", b"\xff\0"), (b"a/1", b"one"), (b"b/1", b"")]);
    let taken = sums(&store, &selection(&["a/", "b/"])).await.unwrap();
    let part = |count, sum: &str| DataPart { count, sum: sum.to_owned(), shape: "key, value".to_owned() };
    assert_eq!(taken.print.parts["a/"], part(1, "99ddc485d34572f2"));
    assert_eq!(taken.print.parts["b/"], part(2, "4b04f42e1a6a294e"));
    let all = sums(&store, &selection(&[])).await.unwrap();
    assert_eq!(all.print.parts["every key"], part(3, "e4e2b8b3edaf9c40"));
    assert_eq!(all.listing.unwrap().0.len(), 3);
}

#[tokio::test]
async fn keys_that_are_no_text_count_by_their_bytes() {
    let one = sums(&memory(&[(b"\xff", b"v"), (b"\xfe", b"v")]), &selection(&[])).await.unwrap();
    let other = sums(&memory(&[(b"\xff", b"v"), (b"\xfd", b"v")]), &selection(&[])).await.unwrap();
    assert_eq!(one.print.differences(&other.print).len(), 1);
}

#[tokio::test]
async fn a_scan_that_fails_at_its_end_is_no_fingerprint() {
    let Memory(keys, _) = memory(&[(b"a", b"1")]);
    let error = AdapterError::Other("cut off".to_owned());
    let store = Memory(keys, Some(error.clone()));
    assert_eq!(sums(&store, &selection(&[])).await, Err(error));
}
