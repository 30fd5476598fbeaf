//! A small HTTP/1.1 client for the router: one request at a time on a connection that is kept. It exists because the
//! router must know whether a single byte of a request was sent when it failed, which decides between "definitely did
//! not happen" and "unknown". It speaks to our own nodes only; it is not a general client.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const LINE_LIMIT: u64 = 8 * 1024;
const HEADERS_LIMIT: usize = 64;
const BODY_LIMIT: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;

/// The first part of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub length: Length,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes are left.
    Bytes(u64),
    /// It comes in chunks.
    Chunked,
    /// It is over.
    Done,
}

impl Head {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A connection to a node.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Whether an idle connection can be used again: the other side has neither closed it nor said anything.
    pub fn is_idle(&self) -> bool {
        let mut byte = [0];
        let waiting = self.stream.get_ref().try_read(&mut byte);
        self.stream.buffer().is_empty() && waiting.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a whole request; `sent` becomes true with its first byte.
    pub async fn send(&mut self, request: &[u8], sent: &AtomicBool) -> io::Result<()> {
        let mut rest = request;
        while !rest.is_empty() {
            let count = self.stream.get_mut().write(rest).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent.store(true, Ordering::Relaxed);
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Reads the first part of the answer.
    pub async fn head(&mut self) -> io::Result<Head> {
        let line = self.line().await?;
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("not an HTTP answer"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            if headers.len() == HEADERS_LIMIT {
                return Err(io::Error::other("too many headers"));
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let mut head = Head { status, headers, length: Length::Done };
        head.length = match (head.header("content-length"), head.header("transfer-encoding")) {
            (Some(n), _) => Length::Bytes(n.parse().map_err(io::Error::other)?),
            (None, Some("chunked")) => Length::Chunked,
            (None, _) => Length::Done,
        };
        Ok(head)
    }

    /// Reads the next piece of a body; `None` at its end.
    pub async fn piece(&mut self, length: &mut Length) -> io::Result<Option<Vec<u8>>> {
        let size = match *length {
            Length::Done | Length::Bytes(0) => return Ok(None),
            Length::Bytes(left) => usize::try_from(left).unwrap_or(PIECE).min(PIECE),
            Length::Chunked => {
                let line = self.line().await?;
                let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                if size > BODY_LIMIT {
                    return Err(io::Error::other("an oversized chunk"));
                }
                usize::try_from(size).map_err(io::Error::other)?
            }
        };
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes).await?;
        if *length == Length::Chunked {
            self.line().await?;
            if size == 0 {
                *length = Length::Done;
                return Ok(None);
            }
        } else if let Length::Bytes(left) = length {
            *left -= size as u64;
        }
        Ok(Some(bytes))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(LINE_LIMIT).read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }
}

/// One request on a connection of its own; the status and the body, within `limit`.
pub(super) async fn ask(address: SocketAddr, method: &str, path: &str, limit: Duration) -> io::Result<(u16, Vec<u8>)> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: node\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        connection.send(request.as_bytes(), &AtomicBool::new(false)).await?;
        let head = connection.head().await?;
        let (mut length, mut body) = (head.length, Vec::new());
        while let Some(piece) = connection.piece(&mut length).await? {
            if (body.len() + piece.len()) as u64 > BODY_LIMIT {
                return Err(io::Error::other("an oversized answer"));
            }
            body.extend(piece);
        }
        Ok((head.status, body))
    };
    tokio::time::timeout(limit, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that reads a little and then answers with `text` and closes.
    async fn answering(text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let _ = stream.read(&mut bytes).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        address
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn reads_both_kinds_of_bodies() {
        let counted = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
        assert_eq!(ask(counted, "GET", "/", LIMIT).await.unwrap(), (200, b"hello".to_vec()));
        let chunked =
            answering("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n").await;
        assert_eq!(ask(chunked, "GET", "/", LIMIT).await.unwrap(), (503, b"hello".to_vec()));
    }

    #[tokio::test]
    async fn a_cut_answer_is_an_error() {
        for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "SMTP ready\r\n\r\n"]
        {
            let address = answering(text).await;
            assert!(ask(address, "GET", "/", LIMIT).await.is_err(), "{text:?}");
        }
    }
}
