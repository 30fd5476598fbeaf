//! The protocol of Redis, RESP version 2 (redis.io/docs/latest/develop/reference/protocol-spec): commands into bytes, bytes
//! into answers. Every length is bounded. What an answer means is not decided here.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A line is a status, an error or a number.
const LINE: u64 = 64 * 1024;
/// A bulk string: a record has at most 1 MiB.
const BULK: i64 = 16 << 20;
/// Elements of one array; a page of a stream has far fewer.
const ELEMENTS: i64 = 1 << 20;
/// Arrays in arrays: `XRANGE` has three levels.
const DEPTH: usize = 8;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A status, like `OK`.
    Status(String),
    /// The server says no.
    Refused(Refusal),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing there.
    Nil,
    /// Several.
    Array(Vec<Value>),
}

/// An error as a server says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The first word: what programs go by.
    pub code: String,
    /// The whole line, for people.
    pub words: String,
}

impl Value {
    /// As text: a status, a bulk string or a number.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(text) => Some(text.clone()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Its elements; none if it is no array.
    pub fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    /// Pairs of a flat array of names and values, as text.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.items().chunks(2).filter_map(|pair| Some((pair.first()?.text()?, pair.get(1)?.text()?)))
    }
}

/// Appends a command: an array of bulk strings.
pub(super) fn command(words: &[&[u8]], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        into.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

/// Reads one answer to its end.
///
/// # Errors
/// When the stream ends or breaks in the middle, or what comes is no answer.
pub(super) async fn answer(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Value> {
    // Arrays that are not full yet: how many elements they will have, and those that are there.
    let mut open: Vec<(usize, Vec<Value>)> = Vec::new();
    loop {
        let mut value = match one(from).await? {
            Part::Whole(value) => value,
            Part::Array(0) => Value::Array(Vec::new()),
            Part::Array(_) if open.len() == DEPTH => return Err(wrong("too many arrays in arrays")),
            Part::Array(length) => {
                open.push((length, Vec::new()));
                continue;
            }
        };
        loop {
            let Some((length, items)) = open.last_mut() else { return Ok(value) };
            items.push(value);
            if items.len() < *length {
                break;
            }
            value = Value::Array(open.pop().map(|(_, items)| items).unwrap_or_default());
        }
    }
}

/// A value, or the beginning of an array of so many.
enum Part {
    Whole(Value),
    Array(usize),
}

async fn one(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Part> {
    let line = line(from).await?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("an empty line"))?;
    let whole = |value| Ok(Part::Whole(value));
    match kind {
        "+" => whole(Value::Status(rest.to_owned())),
        "-" => {
            let code = rest.split(' ').next().unwrap_or_default().to_owned();
            whole(Value::Refused(Refusal { code, words: rest.to_owned() }))
        }
        ":" => whole(Value::Int(number(rest)?)),
        "$" => match number(rest)? {
            -1 => whole(Value::Nil),
            length @ 0..=BULK => whole(Value::Bulk(bulk(from, length.unsigned_abs() as usize).await?)),
            _ => Err(wrong("a string of impossible length")),
        },
        "*" => match number(rest)? {
            -1 => whole(Value::Nil),
            length @ 0..=ELEMENTS => Ok(Part::Array(length.unsigned_abs() as usize)),
            _ => Err(wrong("an array of impossible length")),
        },
        _ => Err(wrong("a line of no known kind")),
    }
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LINE).read_until(b'\n', &mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None if bytes.is_empty() => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
        None => Err(wrong("a line without an end")),
    }
}

async fn bulk(from: &mut (impl AsyncBufRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes).await?;
    if !bytes.ends_with(b"\r\n") {
        return Err(wrong("a string without an end"));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| wrong("no number where one belongs"))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is not Redis: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Value> {
        let mut from = tokio::io::BufReader::with_capacity(3, bytes);
        answer(&mut from).await
    }

    fn bulk_of(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn every_kind_of_answer_is_read() {
        assert_eq!(read(b"+OK\r\n").await.unwrap(), Value::Status("OK".to_owned()));
        assert_eq!(read(b":-3\r\n").await.unwrap(), Value::Int(-3));
        assert_eq!(read(b"$4\r\na\r\nb\r\n").await.unwrap(), bulk_of("a\r\nb"));
        assert_eq!(read(b"$-1\r\n").await.unwrap(), Value::Nil);
        assert_eq!(read(b"*-1\r\n").await.unwrap(), Value::Nil);
        assert_eq!(read(b"*0\r\n").await.unwrap(), Value::Array(vec![]));
        let Value::Refused(refusal) = read(b"-READONLY You can't write\r\n").await.unwrap() else { unreachable!() };
        assert_eq!((refusal.code.as_str(), refusal.words.as_str()), ("READONLY", "READONLY You can't write"));
        let nested = read(b"*2\r\n*2\r\n$1\r\na\r\n*0\r\n*1\r\n*1\r\n:7\r\n").await.unwrap();
        let expected = Value::Array(vec![
            Value::Array(vec![bulk_of("a"), Value::Array(vec![])]),
            Value::Array(vec![Value::Array(vec![Value::Int(7)])]),
        ]);
        assert_eq!(nested, expected);
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_answer_is_an_error() {
        for bytes in [
            &b""[..],
            b"+OK",
            b"$5\r\nab\r\n",
            b"*2\r\n:1\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*99999999\r\n",
            b":x\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"$2\r\nabcd\r\n",
            b"\r\n",
        ] {
            assert!(read(bytes).await.is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let deep = b"*1\r\n".repeat(20);
        assert!(read(&deep).await.is_err());
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut bytes = Vec::new();
        command(&[b"SET", b"a b", b"\r\n"], &mut bytes);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$2\r\n\r\n\r\n");
    }
}
