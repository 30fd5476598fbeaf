//! The client against a service that throttles, cuts off, moves things and lies; a real server is asked elsewhere.

use super::super::data::{Content, Login, Objects, Selection, Taken};
use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::get;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "s3cret-s3cret";

/// What the service was asked, and what it answers first before it answers well.
#[derive(Clone, Default)]
struct Service {
    objects: Arc<BTreeMap<String, String>>,
    first: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn list(entries: &[(&str, usize)], more: &str) -> String {
    let entry = |(key, size): &(&str, usize)| {
        format!("<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"e{size}\"</ETag></Contents>")
    };
    format!("<ListBucketResult>{}{more}</ListBucketResult>", entries.iter().map(entry).collect::<String>())
}

fn end() -> &'static str {
    "<IsTruncated>false</IsTruncated>"
}

fn error(status: u16, code: &str) -> Answer {
    let text = format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// Two to a page, by the key that the last page ended with.
async fn listed(State(service): State<Service>, Query(query): Query<BTreeMap<String, String>>) -> Answer {
    let token = query.get("continuation-token").cloned().unwrap_or_default();
    service.asked.lock().unwrap().push(format!("list {token}"));
    if let Some(answer) = service.first.lock().unwrap().pop_front() {
        return answer;
    }
    let all = service.objects.iter().map(|(key, body)| (key.as_str(), body.len()));
    let rest: Vec<(&str, usize)> = all.filter(|(key, _)| **key > *token).collect();
    let page = &rest[..rest.len().min(2)];
    match page.last() {
        Some((last, _)) if rest.len() > page.len() => {
            let more = format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>");
            list(page, &more).into_response()
        }
        _ => list(page, end()).into_response(),
    }
}

async fn read(State(service): State<Service>, Path(key): Path<String>) -> Answer {
    service.asked.lock().unwrap().push(key.clone());
    if let Some(answer) = service.first.lock().unwrap().pop_front() {
        return answer;
    }
    match service.objects.get(&key) {
        Some(body) => ([("etag", format!("\"e{}\"", body.len()))], body.clone()).into_response(),
        None => error(404, "NoSuchKey"),
    }
}

impl Service {
    fn of(objects: &[(&str, &str)]) -> Self {
        let objects = objects.iter().map(|(key, body)| ((*key).to_owned(), (*body).to_owned())).collect();
        Self { objects: Arc::new(objects), ..Self::default() }
    }

    fn first(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.first.lock().unwrap().extend(answers);
        self
    }

    async fn take(&self, change: impl FnOnce(&mut Objects)) -> Result<Taken, AdapterError> {
        let app = Router::new().route("/bucket/", get(listed)).route("/bucket/{*key}", get(read));
        let app = app.with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut asked = asked(format!("http://{}", listener.local_addr().unwrap()));
        change(&mut asked);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let taken = fingerprint(&asked, LIMIT).await;
        serving.abort();
        taken
    }

    async fn fails(&self) -> String {
        let error = self.take(|_| {}).await.unwrap_err().to_string();
        assert!(!error.contains(SECRET) && !error.contains("Signature"), "{error}");
        error
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn asked(endpoint: String) -> Objects {
    let login = Some(Login { key: "key".to_owned(), secret: SECRET.to_owned(), token: None });
    let (name, region) = ("bucket".to_owned(), "us-east-1".to_owned());
    let bucket = Bucket { endpoint, name, region, addressing: Addressing::Path, login, ca: None };
    let (content, versions) = (Content::Read, Versions::Current);
    Objects { bucket, selection: Selection::default(), content, versions, page: 2 }
}

fn three() -> Service {
    Service::of(&[("a", "one"), ("b", ""), ("c", "three")])
}

#[tokio::test]
async fn golden() {
    let service = three();
    let taken = service.take(|_| {}).await.unwrap();
    let part = &taken.print.parts["every object"];
    assert_eq!((part.count, part.sum.as_str(), part.shape.as_str()), (3, "39bff989848c55c4", "key, size, content"));
    assert_eq!(service.asked().iter().filter(|asked| asked.starts_with("list")).count(), 2, "{:?}", service.asked());
    let service = three();
    let taken = service.take(|asked| asked.content = Content::Etag).await.unwrap();
    let part = &taken.print.parts["every object"];
    assert_eq!((part.count, part.sum.as_str(), part.shape.as_str()), (3, "52b0895ef1944f3c", "key, size, ETag"));
    assert_eq!(service.asked(), ["list ", "list b"], "nothing is read");
}

#[tokio::test]
async fn what_is_refused_for_now_is_asked_again_and_the_sums_stay_the_same() {
    let well = three().take(|_| {}).await.unwrap();
    let wait = (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
    let cut = axum::http::Response::builder().header("content-length", "3").body(Body::from_stream(
        futures_util::stream::iter([Ok::<_, std::io::Error>("on".to_owned()), Err(std::io::Error::other("gone"))]),
    ));
    let page = list(&[("a", 3)], "<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>");
    let answers = [wait, error(503, "SlowDown"), error(500, "InternalError"), page.into_response(), cut.unwrap()];
    let service = three().first(answers);
    assert_eq!(service.take(|_| {}).await, Ok(well));
    assert_eq!(service.asked()[..6], ["list ", "list ", "list ", "list ", "a", "a"]);
}

#[tokio::test]
async fn throttling_without_end_and_refusals_are_errors() {
    let always = || (0..100).map(|_| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response());
    let service = three().first(always());
    assert!(service.fails().await.ends_with("status 429"));
    assert_eq!(service.asked().len(), ATTEMPTS as usize);
    let service = three().first([error(403, "AccessDenied")]);
    let why = service.fails().await;
    assert!(why.starts_with("list s3://bucket/ at 127.0.0.1:") && why.ends_with("status 403 (AccessDenied)"), "{why}");
    assert_eq!(service.asked().len(), 1, "a refusal is final");
    for answer in [
        (StatusCode::NOT_FOUND, "nothing here").into_response(),
        (StatusCode::MOVED_PERMANENTLY, [("location", "http://elsewhere")]).into_response(),
        "<html></html>".into_response(),
        list(&[], "").into_response(),
    ] {
        three().first([answer]).fails().await;
    }
}

#[tokio::test]
async fn a_list_that_strays_or_goes_round_is_an_error() {
    let again = || list(&[("a", 3)], "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>");
    let body = || ([("etag", "\"e3\"")], "one").into_response();
    let service = three().first([again().into_response(), body(), again().into_response(), body()]);
    assert!(service.fails().await.ends_with("it goes round in circles"));
    let stray = three().take(|asked| asked.selection.prefixes = vec!["b".to_owned()]).await.unwrap_err();
    assert!(stray.to_string().ends_with("`a` was not asked for"), "{stray}");
}

#[tokio::test]
async fn what_changes_while_it_is_read_is_an_error() {
    let page = || list(&[("a", 3)], end()).into_response();
    for answer in [
        error(404, "NoSuchKey"),
        ([("etag", "\"e3\"")], "longer").into_response(),
        ([("etag", "\"other\"")], "two").into_response(),
    ] {
        let why = three().first([page(), answer]).fails().await;
        assert!(why.starts_with("read s3://bucket/a at ") && why.contains("changed since it was listed"), "{why}");
    }
    let why = Service::default().first([list(&[("a/../b", 3)], end()).into_response()]).fails().await;
    assert!(why.contains("no URL can name it"), "{why}");
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_absent_and_nobody_there_is_an_error() {
    let taken = three().first([error(404, "NoSuchBucket")]).take(|_| {}).await.unwrap();
    assert_eq!((taken.print.parts.len(), taken.absent), (0, vec!["the bucket `bucket`".to_owned()]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fingerprint(&asked(format!("http://{free}")), LIMIT).await.unwrap_err();
    assert!(matches!(&error, AdapterError::Unreachable(why) if !why.contains("Signature")), "{error}");
    for endpoint in ["nonsense", "ftp://127.0.0.1", "http://"] {
        assert!(fingerprint(&asked(endpoint.to_owned()), LIMIT).await.is_err(), "{endpoint}");
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let late = fingerprint(&asked(endpoint), Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(&late, AdapterError::TimedOut(why) if why.contains("no fingerprint within 100ms")), "{late}");
}

#[tokio::test]
async fn requests_are_signed_only_with_a_login() {
    let s3 = S3::new(&asked("http://127.0.0.1:9000".to_owned()).bucket).unwrap();
    let url = s3.url("a b/ä+", &[("versionId", "v 1")]);
    assert!(url.as_str().starts_with("http://127.0.0.1:9000/bucket/a%20b/%C3%A4%2B?"), "{url}");
    assert!(url.as_str().contains("X-Amz-Signature=") && url.as_str().contains("versionId=v%201"), "{url}");
    assert!(!url.as_str().contains(SECRET));
    let open = S3 { login: None, ..s3 };
    assert_eq!(open.url("", &[("versions", "")]).as_str(), "http://127.0.0.1:9000/bucket/?versions=");
    let wrong = Bucket { addressing: Addressing::Host, ..asked("http://127.0.0.1".to_owned()).bucket };
    assert!(S3::new(&wrong).is_err(), "an address has no names below it");
    let host = Bucket { endpoint: "http://s3.test:9000".to_owned(), addressing: Addressing::Host, ..wrong };
    assert!(S3::new(&host).unwrap().url("k", &[]).as_str().starts_with("http://bucket.s3.test:9000/k?"));
}
