//! Objects of a real S3 server: the suite, pages, odd keys, versions, uploads in parts, TLS.

use crate::moto::{KEY, Moto, REGION, SECRET};
use crate::suite::{Ground, Thing, holds};
use blackstart::adapters::data::{Bucket, Content, Login, Objects, Selection, Store, Taken, Versions};
use blackstart::adapters::{AdapterError, World};
use blackstart::model::Addressing;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn asked(endpoint: String) -> Objects {
    let login = Some(Login { key: KEY.to_owned(), secret: SECRET.to_owned(), token: None });
    let (name, region) = ("data".to_owned(), REGION.to_owned());
    let bucket = Bucket { endpoint, name, region, addressing: Addressing::Path, login, ca: None };
    let selection = Selection { prefixes: vec!["in/".to_owned()], ..Selection::default() };
    Objects { bucket, selection, content: Content::Read, versions: Versions::Current, page: 1_000 }
}

async fn take(moto: &Moto, change: impl FnOnce(&mut Objects)) -> Result<Taken, AdapterError> {
    let mut asked = asked(format!("http://127.0.0.1:{}", moto.port));
    change(&mut asked);
    World::system().data.fingerprint(&Store::Objects(asked), LIMIT).await
}

/// A server that is emptied for each state.
struct Ours(Option<Moto>);

impl Ground for Ours {
    async fn of(&mut self, things: &[Thing]) -> Taken {
        let moto = self.0.get_or_insert_with(Moto::up);
        moto.send("POST", "moto-api/reset", b"").await;
        moto.send("PUT", "data", b"").await;
        let mut names: Vec<String> = Vec::new();
        for (number, content) in things {
            let again = names.contains(&number.to_string());
            let name = if again { format!("{number}-again") } else { number.to_string() };
            moto.send("PUT", &format!("data/in/{name}"), content.as_bytes()).await;
            names.push(name);
        }
        moto.send("PUT", "data/out/1", format!("{things:?}").as_bytes()).await;
        take(moto, |asked| asked.selection.exclude = vec!["in/9?".to_owned()]).await.unwrap()
    }

    async fn unreadable(&mut self) -> Result<Taken, AdapterError> {
        let gone = asked(self.0.take().map(|moto| format!("http://127.0.0.1:{}", moto.port)).unwrap());
        World::system().data.fingerprint(&Store::Objects(gone), LIMIT).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server() {
    holds(&mut Ours(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_odd_keys_and_uploads_in_parts_change_nothing() {
    let moto = Moto::up();
    moto.send("PUT", "data", b"").await;
    for number in 0..20 {
        moto.send("PUT", &format!("data/in/{number}"), format!("{number}").as_bytes()).await;
    }
    for odd in ["a%20b", "a%2Bb", "%C3%A4%26%3C%3E%22", "%2541", "deep//er/"] {
        moto.send("PUT", &format!("data/in/{odd}"), b"odd").await;
    }
    let whole = take(&moto, |_| {}).await.unwrap();
    assert_eq!(whole.print.parts["in/"].count, 25);
    let names = whole.listing.as_ref().unwrap().0.keys().map(String::as_str);
    let odd: Vec<&str> = names.filter(|name| name[3..].parse::<u32>().is_err()).collect();
    assert_eq!(odd, ["in/%41", "in/a b", "in/a+b", "in/deep//er/", "in/ä&<>\""]);
    for page in [1, 7, 25] {
        assert_eq!(take(&moto, |asked| asked.page = page).await.unwrap(), whole, "{page} at once");
    }
    // The same bytes, uploaded in parts: another ETag, the same content.
    let tags = take(&moto, |asked| asked.content = Content::Etag).await.unwrap();
    let said = moto.send("POST", "data/in/7?uploads", b"").await;
    let upload = said.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    moto.send("PUT", &format!("data/in/7?partNumber=1&uploadId={upload}"), b"7").await;
    let parts = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>8f14e45fceea167a5a36dedd4bea2543</ETag></Part></CompleteMultipartUpload>";
    moto.send("POST", &format!("data/in/7?uploadId={upload}"), parts.as_bytes()).await;
    assert_eq!(take(&moto, |_| {}).await.unwrap(), whole);
    let others = take(&moto, |asked| asked.content = Content::Etag).await.unwrap();
    assert_eq!(tags.print.differences(&others.print).len(), 1, "what the documentation says of ETags");
    // Who signs with another secret.
    let secret = "another".to_owned();
    let wrong = Some(Login { key: KEY.to_owned(), secret, token: None });
    let refused = take(&moto, |asked| asked.bucket.login = wrong).await.unwrap_err().to_string();
    assert!(refused.ends_with("status 403 (SignatureDoesNotMatch)"), "{refused}");
    // A bucket and a prefix that are not there.
    let none = take(&moto, |asked| asked.bucket.name = "nothing".to_owned()).await.unwrap();
    assert_eq!((none.print.parts.len(), none.absent), (0, vec!["the bucket `nothing`".to_owned()]));
    let none = take(&moto, |asked| asked.selection.prefixes = vec!["on/".to_owned()]).await.unwrap();
    assert_eq!(none.absent, ["any object that begins with `on/`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_count_if_asked_for() {
    let moto = Moto::up();
    moto.send("PUT", "data", b"").await;
    let enable = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    moto.send("PUT", "data?versioning", enable).await;
    for (key, content) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "3"), ("a", "3")] {
        moto.send("PUT", &format!("data/in/{key}"), content.as_bytes()).await;
    }
    moto.send("DELETE", "data/in/c", b"").await;
    let all = |page: u16| take(&moto, move |asked| (asked.versions, asked.page) = (Versions::All, page));
    let (current, before) = (take(&moto, |_| {}).await.unwrap(), all(1_000).await.unwrap());
    assert_eq!((current.print.parts["in/"].count, before.print.parts["in/"].count), (2, 6));
    for page in [1, 2, 5] {
        assert_eq!(all(page).await.unwrap(), before, "{page} at once");
    }
    moto.send("PUT", "data/in/b", b"1").await;
    assert_eq!(take(&moto, |_| {}).await.unwrap(), current, "what is there is the same");
    let after = all(1_000).await.unwrap();
    assert_eq!(before.print.differences(&after.print), ["`in/`: 6 objects before and 7 after: at least 1 added"]);
    assert_eq!(before.listing.unwrap().compare(&after.listing.unwrap()).words(), "1 changed (`in/b` changed)");
    moto.send("DELETE", "data/in/c", b"").await;
    assert_eq!(take(&moto, |_| {}).await.unwrap(), current, "gone is gone");
    assert_eq!(all(1_000).await.unwrap().print.parts["in/"].count, 8, "a mark is a version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_signed_and_tls_trusts_whom_it_is_told_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let arguments = ["--ssl", "--ssl-cert", certificate.to_str().unwrap(), "--ssl-key", key.to_str().unwrap()];
    let moto = Moto::with("a/token+", &arguments);
    let mut asked = asked(format!("https://127.0.0.1:{}", moto.port));
    asked.bucket.ca = Some(certificate.display().to_string());
    let refused = World::system().data.fingerprint(&Store::Objects(asked.clone()), LIMIT).await.unwrap_err();
    assert!(refused.to_string().ends_with("status 403 (SignatureDoesNotMatch)"), "no token yet: {refused}");
    let token = Some("a/token+".to_owned());
    asked.bucket.login = Some(Login { key: KEY.to_owned(), secret: SECRET.to_owned(), token });
    let taken = World::system().data.fingerprint(&Store::Objects(asked.clone()), LIMIT).await.unwrap();
    assert_eq!(taken.absent, ["the bucket `data`"], "it was asked");
    // Somebody else's certificate.
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, other.cert.pem()).unwrap();
    let refused = World::system().data.fingerprint(&Store::Objects(asked), LIMIT).await;
    assert!(matches!(refused, Err(AdapterError::Unreachable(_))), "{refused:?}");
}
