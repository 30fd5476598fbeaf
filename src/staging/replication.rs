//! The stream of records from a primary to its standby, over one TCP connection that the standby opens. Lines of text:
//!
//! standby: `hello TERM LENGTH TERM:START,TERM:START…` (its log, in short)
//! primary: `follow TERM SHARED` (discard what is after the first SHARED records), or `no`
//! primary: `INDEX RECORD` for each record, in order, no sooner than the set lag after it was accepted
//! standby: `have LENGTH`, after what it read at once
//!
//! The lag is a delay line at the sender: a record that waits in it dies with the primary, as on a slow link.

use super::log::{Record, TermStart};
use super::node::{Node, Role, Status};
use crate::clock::Clock;
use crate::model::Mono;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const RETRY: Duration = Duration::from_millis(30);
const HANDSHAKE: Duration = Duration::from_secs(5);
const BATCH: usize = 256;
const LINE_LIMIT: u64 = 1 << 20;

/// Serves standbys until the process ends.
pub(super) async fn serve(node: Arc<Node>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = Arc::clone(&node);
                // A broken stream is the standby's to open again.
                tokio::spawn(async move { serve_one(&node, stream).await.ok() });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn serve_one(node: &Node, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let hello = tokio::time::timeout(HANDSHAKE, next_line(&mut read)).await??;
    let (term, length, starts) = parse_hello(&hello).ok_or_else(|| io::Error::other("not a hello"))?;
    let mut status = node.status.subscribe();
    let Some((session, from)) = node.standby_joins(term, &starts, length) else {
        return write.write_all(b"no\n").await;
    };
    let own = node.now().term;
    let ended = tokio::select! {
        ended = send(node, &mut write, own, from) => ended,
        ended = collect(node, &mut read, session) => ended,
        _ = status.wait_for(|s| s.role == Role::Standby || s.term != own) => Ok(()),
    };
    node.standby_leaves(session);
    ended
}

async fn send(node: &Node, write: &mut (impl AsyncWrite + Unpin), term: u64, from: usize) -> io::Result<()> {
    write.write_all(format!("follow {term} {from}\n").as_bytes()).await?;
    let (mut length, mut status, mut next) = (node.length.subscribe(), node.status.subscribe(), from);
    loop {
        length.borrow_and_update();
        status.borrow_and_update();
        let (bytes, after, due) = batch(node, next);
        if after > next {
            write.write_all(&bytes).await?;
            next = after;
            continue;
        }
        let wait = async {
            match due {
                Some(due) => Clock::System.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        // A role that changes to "hands over" wakes the delay line too.
        tokio::select! {
            () = wait => {}
            changed = length.changed(), if due.is_none() => changed.map_err(io::Error::other)?,
            changed = status.changed() => changed.map_err(io::Error::other)?,
        }
    }
}

/// The records from `next` on whose lag is over, encoded; the place after them; and when the next one is due.
fn batch(node: &Node, next: usize) -> (Vec<u8>, usize, Option<Mono>) {
    let (store, now) = (node.store(), Clock::System.mono());
    let lag = if node.hurries() { Duration::ZERO } else { node.settings.lag };
    let mut bytes = Vec::new();
    for place in next..next + BATCH {
        let Some((record, accepted)) = store.at(place) else { return (bytes, place, None) };
        let due = accepted.after(lag);
        if due > now {
            return (bytes, place, Some(due));
        }
        bytes.extend_from_slice(format!("{place} {}\n", record.to_line()).as_bytes());
    }
    (bytes, next + BATCH, None)
}

async fn collect(node: &Node, read: &mut (impl AsyncBufRead + Unpin), session: u64) -> io::Result<()> {
    loop {
        let line = next_line(read).await?;
        let have = line.strip_prefix("have ").and_then(|n| n.parse().ok());
        node.standby_confirms(session, have.ok_or_else(|| io::Error::other("not a confirmation"))?);
    }
}

/// Follows the peer whenever this node is a standby, until the process ends.
pub(super) async fn follow(node: Arc<Node>) {
    let mut status = node.status.subscribe();
    loop {
        if status.wait_for(|s| s.role == Role::Standby).await.is_err() {
            return;
        }
        let mut changed = node.status.subscribe();
        tokio::select! {
            _broken = follow_once(&node) => {}
            _ = changed.wait_for(|s| s.role != Role::Standby) => {}
        }
        node.following.store(false, Ordering::Relaxed);
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once(node: &Node) -> io::Result<()> {
    let mut stream = tokio::time::timeout(HANDSHAKE, TcpStream::connect(node.settings.peer)).await??;
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    write.write_all(hello(node).as_bytes()).await?;
    let answer = tokio::time::timeout(HANDSHAKE, next_line(&mut read)).await??;
    let (term, shared) = parse_follow(&answer).ok_or_else(|| io::Error::other("the peer does not lead"))?;
    if !node.rewind(term, shared) {
        return Err(io::Error::other("cannot follow from there"));
    }
    node.following.store(true, Ordering::Relaxed);
    loop {
        let mut have = apply_line(node, &next_line(&mut read).await?)?;
        while read.buffer().contains(&b'\n') {
            have = apply_line(node, &next_line(&mut read).await?)?;
        }
        write.write_all(format!("have {have}\n").as_bytes()).await?;
    }
}

fn apply_line(node: &Node, line: &str) -> io::Result<usize> {
    let parsed = line.split_once(' ').and_then(|(place, rest)| Some((place.parse().ok()?, Record::from_line(rest)?)));
    let (place, record) = parsed.ok_or_else(|| io::Error::other("not a record"))?;
    node.apply(place, record).ok_or_else(|| io::Error::other("a record that does not fit"))
}

async fn next_line(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    (&mut *read).take(LINE_LIMIT).read_line(&mut line).await?;
    line.strip_suffix('\n').map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn hello(node: &Node) -> String {
    let store = node.store();
    let Status { term, .. } = node.now();
    let starts: Vec<String> = store.terms().iter().map(|(term, start)| format!("{term}:{start}")).collect();
    format!("hello {term} {} {}\n", store.len(), starts.join(","))
}

fn parse_hello(line: &str) -> Option<(u64, usize, Vec<TermStart>)> {
    let mut words = line.strip_prefix("hello ")?.split(' ');
    let (term, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let starts = words.next()?.split(',').filter(|s| !s.is_empty()).map(|pair| {
        let (term, start) = pair.split_once(':')?;
        Some((term.parse().ok()?, start.parse().ok()?))
    });
    Some((term, length, starts.collect::<Option<_>>()?))
}

fn parse_follow(line: &str) -> Option<(u64, usize)> {
    let (term, shared) = line.strip_prefix("follow ")?.split_once(' ')?;
    Some((term.parse().ok()?, shared.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_is_read_back() {
        assert_eq!(parse_hello("hello 3 90 1:0,3:70"), Some((3, 90, vec![(1, 0), (3, 70)])));
        assert_eq!(parse_hello("hello 1 0 "), Some((1, 0, vec![])));
        for bad in ["", "hello", "hello 1", "hello 1 x ", "hello 1 0 1:", "helo 1 0 ", "hello 1 0 1:0,,x"] {
            assert_eq!(parse_hello(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn follow_is_read_back() {
        assert_eq!(parse_follow("follow 2 70"), Some((2, 70)));
        assert_eq!(parse_follow("no"), None);
    }
}
