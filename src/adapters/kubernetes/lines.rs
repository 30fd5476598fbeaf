//! Lines of an answer that is still coming: events of a watch, logs. Bounded in length; what they mean is not known here.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};

/// A line, without its end.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) state: State,
}

/// How much of a line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// All of it.
    Whole,
    /// It was longer than what is kept.
    Cut,
    /// The answer ended before the line did.
    Open,
}

/// An answer, line by line.
pub(super) struct Lines<B> {
    body: B,
    most: usize,
    kept: Vec<u8>,
    cut: bool,
    chunk: Bytes,
}

impl<B: Body<Data = Bytes> + Unpin> Lines<B> {
    pub(super) fn new(body: B, most: usize) -> Self {
        Self { body, most, kept: Vec::new(), cut: false, chunk: Bytes::new() }
    }

    /// The next one; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, B::Error> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let line = self.chunk.split_to(end + 1);
                self.keep(&line[..end]);
                return Ok(Some(self.take(State::Whole)));
            }
            let rest = std::mem::take(&mut self.chunk);
            self.keep(&rest);
            match self.body.frame().await {
                None if self.kept.is_empty() => return Ok(None),
                None => return Ok(Some(self.take(State::Open))),
                Some(frame) => self.chunk = frame?.into_data().unwrap_or_default(),
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len());
        self.cut |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self, state: State) -> Line {
        let state = if std::mem::take(&mut self.cut) { State::Cut } else { state };
        Line { bytes: std::mem::take(&mut self.kept), state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_cut_or_open() {
        let chunks = ["a", "b\n\ncd", "efgh\nx"]
            .map(|text| Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from(text))));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(chunks));
        let mut lines = Lines::new(body, 4);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push((String::from_utf8(line.bytes).unwrap(), line.state));
        }
        let expected = [("ab", State::Whole), ("", State::Whole), ("cdef", State::Cut), ("x", State::Open)];
        assert_eq!(seen, expected.map(|(text, state)| (text.to_owned(), state)));
    }
}
