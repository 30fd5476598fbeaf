//! One connection of the rig's server: reads a request, writes an answer; nothing of HTTP beyond what drills ask, and a
//! visit in a plain line.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD: usize = 16 * 1024;
const BODY: usize = 1 << 20;
/// So begins a visit without HTTP; its methods are in capitals.
const PLAIN: &[u8] = b"visit ";

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub method: String,
    pub path: String,
    /// How often a client tried this write before, and this time.
    pub attempt: u32,
    pub body: Vec<u8>,
}

/// A connection and what was read beyond the last request.
pub(super) struct Connection {
    stream: TcpStream,
    rest: Vec<u8>,
    /// Is it spoken to in plain lines?
    plain: bool,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        // Without it answers may wait for the client's acknowledgement.
        let _slower = stream.set_nodelay(true);
        Self { stream, rest: Vec::new(), plain: false }
    }

    /// The next request; nothing when the client has gone.
    pub async fn request(&mut self) -> io::Result<Option<Request>> {
        let head = loop {
            self.plain = self.rest.starts_with(PLAIN);
            if let Some(end) = find(&self.rest, b"\n").filter(|_| self.plain) {
                let line = self.rest.drain(..=end).collect::<Vec<u8>>();
                return Ok(Some(visit(&String::from_utf8_lossy(&line))));
            }
            if let Some(end) = find(&self.rest, b"\r\n\r\n") {
                break self.rest.drain(..end + 4).collect::<Vec<u8>>();
            }
            if self.rest.len() > HEAD {
                return Err(io::Error::other("an endless head"));
            }
            if self.stream.read_buf(&mut self.rest).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(io::Error::other("no request"));
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let length = header(&head, "content-length").unwrap_or(0);
        if length > BODY as u64 {
            return Err(io::Error::other("an oversized body"));
        }
        let length = length as usize;
        while self.rest.len() < length {
            if self.stream.read_buf(&mut self.rest).await? == 0 {
                return Ok(None);
            }
        }
        let attempt = header(&head, "x-blackstart-attempt").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        Ok(Some(Request { method, path, attempt, body: self.rest.drain(..length).collect() }))
    }

    /// Is it over once this request was refused? In plain lines that is how a refusal is told from what is still to come.
    pub fn ends_refused(&self) -> bool {
        self.plain
    }

    /// Answers it; `more` is a header line with its line end, or nothing.
    pub async fn answer(&mut self, status: u16, more: &str, body: &[u8]) -> io::Result<()> {
        if self.plain {
            return self.stream.write_all(&[body, b"\n"].concat()).await;
        }
        let mut bytes = format!("HTTP/1.1 {status} .\r\ncontent-length: {}\r\n{more}\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).await
    }

    /// Until the client has gone; whatever it still says is thrown away.
    pub async fn silence(mut self) {
        loop {
            self.rest.clear();
            if !matches!(self.stream.read_buf(&mut self.rest).await, Ok(1..)) {
                return;
            }
        }
    }

    /// Resets it.
    pub fn reset(self) {
        // Closed without it, the client would be told politely.
        let _polite = self.stream.set_zero_linger();
    }
}

/// The visit of a plain line: the same as by HTTP.
fn visit(line: &str) -> Request {
    let mut words = line.split_whitespace().skip(1);
    let (of, nonce) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = format!("/visit/{of}?nonce={nonce}");
    Request { method: "GET".to_owned(), path, attempt: 1, body: Vec::new() }
}

fn header(head: &str, name: &str) -> Option<u64> {
    let value = head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })?;
    value.parse().ok()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
