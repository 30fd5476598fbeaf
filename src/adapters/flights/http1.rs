//! HTTP/1.1 as bytes: requests that are built once and carry only another number each time, and answers read to their
//! end (RFC 9112, section 6.3 says where that is). Pure.

use super::wire::{End, Heard, Talk};
use crate::adapters::connection::Message;
use crate::adapters::expectation::{Expectation, Numbered};
use crate::model::Outcome;
use hyper::Method;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue};

/// More than this before the body is no answer.
const HEAD: usize = 64 * 1024;
const HEADERS: usize = 100;
/// More of an answer's body is an error.
const BODY: u64 = 1 << 20;

/// So much memory for bodies stays with a connection.
const KEPT: usize = 4096;

/// Visits of one page.
pub(in crate::adapters) struct Http1 {
    request: Numbered,
    expectation: Expectation,
    has_body: bool,
}

impl Http1 {
    /// The request as bytes: the path with `{nonce}` in it, and the headers that say where and how long.
    pub fn new(host: &HeaderValue, path: &str, message: &Message, expectation: Expectation) -> Self {
        let mut after = b" HTTP/1.1\r\n".to_vec();
        let mut line = |name: &str, value: &[u8]| {
            [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|part| after.extend_from_slice(part));
        };
        if !message.headers.contains_key(HOST) {
            line("host", host.as_bytes());
        }
        message.headers.iter().for_each(|(name, value)| line(name.as_str(), value.as_bytes()));
        let says_length = [Method::POST, Method::PUT, Method::PATCH].contains(&message.method);
        if (says_length || !message.body.is_empty()) && !message.headers.contains_key(CONTENT_LENGTH) {
            line("content-length", message.body.len().to_string().as_bytes());
        }
        after.extend_from_slice(b"\r\n");
        after.extend_from_slice(&message.body);
        let before = format!("{} ", message.method);
        let request = Numbered::of(path).within(before.as_bytes(), &after);
        Self { request, expectation, has_body: message.method != Method::HEAD }
    }
}

/// How far an answer has been read.
#[derive(Debug, Default)]
pub(in crate::adapters) struct Reading {
    answer: Option<Answer>,
    /// The body so far, if it must be looked at.
    body: Vec<u8>,
    length: u64,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    status: u16,
    stays: Stays,
    body: Body,
}

/// Does the connection stay open after the answer?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    Open,
    Closed,
}

/// What of the body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    /// A chunk's size comes next.
    Size,
    /// So much of a chunk, and the line's end after it.
    Chunk(u64),
    /// Lines until an empty one.
    Trailers,
    UntilClosed,
}

/// What a step made of the bytes at hand.
enum Step {
    /// So many are used up; there is more to do.
    Used(usize),
    More,
    Over,
    Broken,
}

impl Talk for Http1 {
    type Reading = Reading;

    fn say(&self, visit: u64, out: &mut Vec<u8>) {
        self.request.write(visit, out);
    }

    fn expects_answer(&self) -> bool {
        true
    }

    fn forget(&self, reading: &mut Reading) {
        (reading.answer, reading.length) = (None, 0);
        reading.body.clear();
        reading.body.shrink_to(KEPT);
    }

    fn hear(&self, visit: u64, reading: &mut Reading, bytes: &[u8], end: End) -> Heard {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let step = match reading.answer {
                None => self.head(reading, rest),
                Some(answer) => self.body(reading, answer, rest, end),
            };
            match step {
                Step::Used(more) => used += more,
                Step::More if end == End::Open => return Heard::More { used },
                Step::More | Step::Broken => return Heard::Over { outcome: Outcome::Unknown, left_open: false },
                Step::Over => return self.over(visit, reading, bytes.len() > used, end),
            }
        }
    }
}

impl Http1 {
    /// Looks for the head; one that says "go on" (1xx) is passed over.
    fn head(&self, reading: &mut Reading, bytes: &[u8]) -> Step {
        let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
        match parsed {
            Ok(httparse::Status::Complete(length)) => {
                let status = response.code.unwrap_or(0);
                if !(100..200).contains(&status) || status == 101 {
                    let Some(answer) = self.answer(&response) else { return Step::Broken };
                    reading.answer = Some(answer);
                }
                Step::Used(length)
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD => Step::More,
            Ok(httparse::Status::Partial) | Err(_) => Step::Broken,
        }
    }

    fn answer(&self, response: &httparse::Response<'_, '_>) -> Option<Answer> {
        let status = response.code?;
        let (mut length, mut chunked, mut encoded) = (None, false, false);
        let mut stays = if response.version == Some(1) { Stays::Open } else { Stays::Closed };
        for header in response.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let stated = std::str::from_utf8(header.value).ok()?.trim().parse().ok()?;
                if length.replace(stated).is_some_and(|before| before != stated) {
                    return None;
                }
            } else if is("transfer-encoding") {
                (encoded, chunked) = (true, last_word(header.value).eq_ignore_ascii_case(b"chunked"));
            } else if is("connection") {
                stays = if has_word(header.value, b"close") {
                    Stays::Closed
                } else if has_word(header.value, b"keep-alive") {
                    Stays::Open
                } else {
                    stays
                };
            }
        }
        let body = match (self.has_body && !matches!(status, 101 | 204 | 304), encoded, length) {
            (false, ..) => Body::Length(0),
            (true, true, _) if chunked => Body::Size,
            (true, false, Some(length)) => Body::Length(length),
            (true, ..) => Body::UntilClosed,
        };
        Some(Answer { status, stays: if status == 101 { Stays::Closed } else { stays }, body })
    }

    fn body(&self, reading: &mut Reading, mut answer: Answer, bytes: &[u8], end: End) -> Step {
        let step = match answer.body {
            Body::Length(0) => return Step::Over,
            Body::Length(left) | Body::Chunk(left) if left > BODY => Step::Broken,
            Body::Length(left) => {
                let taken = self.take(reading, bytes, left);
                answer.body = Body::Length(left - taken as u64);
                if taken == 0 { Step::More } else { Step::Used(taken) }
            }
            Body::UntilClosed if bytes.is_empty() => return if end == End::Open { Step::More } else { Step::Over },
            Body::UntilClosed => Step::Used(self.take(reading, bytes, u64::MAX)),
            Body::Size => match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete((used, size))) => {
                    answer.body = if size == 0 { Body::Trailers } else { Body::Chunk(size) };
                    Step::Used(used)
                }
                Ok(httparse::Status::Partial) if bytes.len() < HEAD => Step::More,
                Ok(httparse::Status::Partial) | Err(_) => Step::Broken,
            },
            Body::Chunk(0) => match bytes {
                [] | [b'\r'] => Step::More,
                [b'\r', b'\n', ..] => {
                    answer.body = Body::Size;
                    Step::Used(2)
                }
                _ => Step::Broken,
            },
            Body::Chunk(left) => {
                let taken = self.take(reading, bytes, left);
                answer.body = Body::Chunk(left - taken as u64);
                if taken == 0 { Step::More } else { Step::Used(taken) }
            }
            Body::Trailers => match bytes.iter().position(|byte| *byte == b'\n') {
                None if bytes.len() < HEAD => Step::More,
                None => Step::Broken,
                Some(at) => {
                    let empty = matches!(&bytes[..at], [] | [b'\r']);
                    answer.body = if empty { Body::Length(0) } else { Body::Trailers };
                    Step::Used(at + 1)
                }
            },
        };
        reading.answer = Some(answer);
        if reading.length > BODY { Step::Broken } else { step }
    }

    /// Takes at most `most` bytes of a body; how many it took.
    fn take(&self, reading: &mut Reading, bytes: &[u8], most: u64) -> usize {
        let taken = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        reading.length += taken as u64;
        if self.expectation.needs_body() && reading.length <= BODY {
            reading.body.extend_from_slice(&bytes[..taken]);
        }
        taken
    }

    fn over(&self, visit: u64, reading: &Reading, is_followed: bool, end: End) -> Heard {
        let Some(answer) = reading.answer else { return Heard::Over { outcome: Outcome::Unknown, left_open: false } };
        let outcome = self.expectation.outcome(answer.status, &reading.body, visit);
        Heard::Over { outcome, left_open: answer.stays == Stays::Open && !is_followed && end == End::Open }
    }
}

fn words(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn has_word(value: &[u8], word: &[u8]) -> bool {
    words(value).any(|one| one.eq_ignore_ascii_case(word))
}

fn last_word(value: &[u8]) -> &[u8] {
    words(value).next_back().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;
    use hyper::header::HeaderMap;

    fn talk(method: Method, contains: Option<&str>, body: &'static str) -> Http1 {
        let message = Message { method, headers: HeaderMap::new(), body: Bytes::from(body) };
        Http1::new(&HeaderValue::from_static("a:1"), "/x?{nonce}", &message, Expectation::new(&[], contains))
    }

    /// What is heard when the answer comes in two pieces, the connection's end told afterwards or not.
    fn heard(talk: &Http1, answer: &[u8], cut: usize, end: End) -> Heard {
        let mut reading = Reading::default();
        let mut left = Vec::new();
        for piece in [&answer[..cut], &answer[cut..]] {
            left.extend_from_slice(piece);
            match talk.hear(7, &mut reading, &left, End::Open) {
                Heard::More { used } => drop(left.drain(..used)),
                over @ Heard::Over { .. } => return over,
            }
        }
        if end == End::Open { Heard::More { used: 0 } } else { talk.hear(7, &mut reading, &left, End::Closed) }
    }

    fn all_cuts(talk: &Http1, answer: &str, end: End) -> Heard {
        let whole = heard(talk, answer.as_bytes(), answer.len(), end);
        for cut in 0..answer.len() {
            assert_eq!(heard(talk, answer.as_bytes(), cut, end), whole, "cut at {cut} of {answer:?}");
        }
        whole
    }

    const OPEN: Heard = Heard::Over { outcome: Outcome::Ok, left_open: true };
    const CLOSED: Heard = Heard::Over { outcome: Outcome::Ok, left_open: false };
    const FAILED: Heard = Heard::Over { outcome: Outcome::Fail, left_open: true };
    const UNDECIDED: Heard = Heard::Over { outcome: Outcome::Unknown, left_open: false };

    #[test]
    fn requests_say_where_and_how_long() {
        let said = |talk: Http1| {
            let mut out = Vec::new();
            talk.say(7, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said(talk(Method::GET, None, "")), "GET /x?7 HTTP/1.1\r\nhost: a:1\r\n\r\n");
        assert_eq!(
            said(talk(Method::POST, None, "ab")),
            "POST /x?7 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 2\r\n\r\nab"
        );
        assert_eq!(said(talk(Method::PUT, None, "")), "PUT /x?7 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn answers_end_where_they_say_however_they_come_in() {
        let get = talk(Method::GET, Some("n{nonce}n"), "");
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nan7n", OPEN),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nn8n", FAILED),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nConnection: Close\r\n\r\nn7n", CLOSED),
            ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nn7n", CLOSED),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nn7n", OPEN),
            ("HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n", FAILED),
            ("HTTP/1.1 304 no\r\ncontent-length: 9\r\n\r\n", FAILED),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nn7\r\n1;x=y\r\nn\r\n0\r\n\r\n", OPEN),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nn7n\r\n0\r\nx-a: b\r\n\r\n", OPEN),
            ("HTTP/1.1 100 go on\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nn7n", OPEN),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", UNDECIDED),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nn7n", UNDECIDED),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\nn7n", UNDECIDED),
            ("SSH-2.0-x\r\n", UNDECIDED),
        ] {
            assert_eq!(all_cuts(&get, answer, End::Open), expected, "{answer:?}");
        }
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_ends_the_answer_and_a_cut_one_is_undecided() {
        let get = talk(Method::GET, Some("n7n"), "");
        assert_eq!(all_cuts(&get, "HTTP/1.1 200 OK\r\n\r\nan7n", End::Closed), CLOSED);
        assert_eq!(all_cuts(&get, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nan7n", End::Closed), UNDECIDED);
        assert_eq!(all_cuts(&get, "HTTP/1.1 200 OK\r\ncontent-le", End::Closed), UNDECIDED);
        assert_eq!(all_cuts(&get, "", End::Closed), UNDECIDED);
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nn7n\r\n";
        assert_eq!(all_cuts(&get, chunked, End::Closed), UNDECIDED);
    }

    #[test]
    fn an_answer_to_head_has_no_body_and_a_body_that_nobody_reads_is_not_kept() {
        let head = talk(Method::HEAD, None, "");
        assert_eq!(all_cuts(&head, "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", End::Open), OPEN);
        let get = talk(Method::GET, None, "");
        let mut reading = Reading::default();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12345";
        assert_eq!(get.hear(7, &mut reading, answer, End::Open), Heard::More { used: answer.len() });
        assert!(reading.body.is_empty());
        assert_eq!(get.hear(7, &mut reading, b"6789", End::Open), OPEN);
    }

    #[test]
    fn what_follows_an_answer_makes_the_connection_useless() {
        let get = talk(Method::GET, None, "");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP/1.1";
        assert_eq!(get.hear(7, &mut Reading::default(), answer, End::Open), CLOSED);
        let endless = vec![b'x'; HEAD];
        let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &endless].concat();
        assert_eq!(get.hear(7, &mut Reading::default(), &head, End::Open), UNDECIDED);
    }
}
