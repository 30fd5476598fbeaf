//! What a container has written, in memory and bounded, for whoever reads it or follows it.

use chrono::{DateTime, Utc};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::watch;

/// So many lines are kept, the last ones.
const LINES: usize = 20_000;
/// A longer line is more than one.
const LINE: u64 = 64 * 1024;

/// One line, with its end.
pub type Line = (DateTime<Utc>, Vec<u8>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<Line>,
    /// The number of the first that is kept.
    first: u64,
    writers: u32,
}

/// What one run of a container has written.
pub struct Log {
    kept: Mutex<Kept>,
    changed: watch::Sender<u64>,
}

impl Log {
    pub fn new(writers: u32) -> Self {
        Self { kept: Mutex::new(Kept { writers, ..Kept::default() }), changed: watch::Sender::new(0) }
    }

    /// Keeps what comes, to its end.
    pub async fn keep(&self, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            match (&mut from).take(LINE).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => break,
                Ok(_) => self.put(line),
            }
        }
        self.kept.lock().unwrap().writers -= 1;
        self.changed.send_modify(|count| *count += 1);
    }

    fn put(&self, line: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap();
        kept.lines.push_back((Utc::now(), line));
        if kept.lines.len() > LINES {
            kept.lines.pop_front();
            kept.first += 1;
        }
        drop(kept);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The number of the line from which on there are so many.
    pub fn tail(&self, lines: usize) -> u64 {
        let kept = self.kept.lock().unwrap();
        kept.first + kept.lines.len().saturating_sub(lines) as u64
    }

    /// Lines from this number on and the number after them; none at its end.
    fn from(&self, number: u64) -> (Vec<Line>, u64, bool) {
        let kept = self.kept.lock().unwrap();
        let skip = usize::try_from(number.saturating_sub(kept.first)).unwrap();
        let lines: Vec<Line> = kept.lines.iter().skip(skip).cloned().collect();
        (lines, kept.first + kept.lines.len() as u64, kept.writers == 0)
    }

    /// The next lines from this number on, waited for if asked; none at the end.
    pub async fn next(&self, number: u64, follow: bool) -> Option<(Vec<Line>, u64)> {
        let mut changed = self.changed.subscribe();
        loop {
            let (lines, next, ended) = self.from(number);
            if !lines.is_empty() {
                return Some((lines, next));
            }
            if ended || !follow || changed.changed().await.is_err() {
                return None;
            }
        }
    }
}
