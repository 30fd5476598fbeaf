//! What counts as ok: the one place where an answer of a service becomes an outcome, for every way of visiting. Also
//! texts with the visit's number in them, which tells an answer from a cache's. Pure.

use super::connection::Failure;
use crate::model::Outcome;
use std::io::Write;

const NONCE: &str = "{nonce}";

/// A text with `{nonce}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    /// What stands between the numbers.
    pieces: Vec<Vec<u8>>,
}

impl Numbered {
    pub fn of(text: &str) -> Self {
        Self { pieces: text.split(NONCE).map(|piece| piece.as_bytes().to_vec()).collect() }
    }

    /// Puts other bytes before and after.
    pub fn within(mut self, before: &[u8], after: &[u8]) -> Self {
        if let Some(first) = self.pieces.first_mut() {
            first.splice(0..0, before.iter().copied());
        }
        if let Some(last) = self.pieces.last_mut() {
            last.extend_from_slice(after);
        }
        self
    }

    /// Appends the text with the number in it.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                // Writing to memory does not fail.
                let _written = write!(out, "{number}");
            }
            out.extend_from_slice(piece);
        }
    }

    /// Is the text, with the number in it, somewhere in these bytes?
    pub fn is_in(&self, bytes: &[u8], number: u64) -> bool {
        if let [whole] = self.pieces.as_slice() {
            return contains(bytes, whole);
        }
        let mut text = Vec::new();
        self.write(number, &mut text);
        contains(bytes, &text)
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let last = bytes.len().saturating_sub(part.len() - 1);
    let mut starts = bytes.iter().take(last).enumerate().filter(|(_, byte)| *byte == first);
    starts.any(|(at, _)| bytes[at..].starts_with(part))
}

/// What an answer over HTTP must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expectation {
    status: Vec<u16>,
    contains: Option<Numbered>,
}

impl Expectation {
    /// Any 2xx if no status is given.
    pub fn new(status: &[u16], contains: Option<&str>) -> Self {
        Self { status: status.to_vec(), contains: contains.map(Numbered::of) }
    }

    /// Must the body be looked at?
    pub fn needs_body(&self) -> bool {
        self.contains.is_some()
    }

    /// An answer that was read to its end is ok if it is the expected one, and a definite failure otherwise.
    pub fn outcome(&self, status: u16, body: &[u8], number: u64) -> Outcome {
        let fits = if self.status.is_empty() { (200..300).contains(&status) } else { self.status.contains(&status) };
        let met = fits && self.contains.as_ref().is_none_or(|part| part.is_in(body, number));
        if met { Outcome::Ok } else { Outcome::Fail }
    }
}

impl Failure {
    /// What became of an operation whose answer did not come.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotSent(_) => Outcome::Fail,
            Self::Resources(_) => Outcome::Unsent,
            Self::Undecided(_) => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str, number: u64) -> String {
        let mut out = Vec::new();
        Numbered::of(of).write(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_number_stands_wherever_the_nonce_was() {
        assert_eq!(text("/a?n={nonce}&m={nonce}", 17), "/a?n=17&m=17");
        assert_eq!(text("{nonce}", 0), "0");
        assert_eq!(text("", 9), "");
        let mut out = Vec::new();
        Numbered::of("{nonce}").within(b"GET /", b" x").write(5, &mut out);
        assert_eq!(out, b"GET /5 x");
    }

    #[test]
    fn a_part_is_found_wherever_it_is_and_nowhere_else() {
        assert!(contains(b"", b"") && contains(b"abc", b"") && contains(b"abc", b"abc") && contains(b"aab", b"ab"));
        assert!(!contains(b"", b"a") && !contains(b"ab", b"abc") && !contains(b"abab", b"ba b"));
        assert!(Numbered::of("n={nonce}.").is_in(b"xx n=12. yy", 12));
        assert!(!Numbered::of("n={nonce}.").is_in(b"xx n=123. yy", 12));
    }

    #[test]
    fn an_answer_is_ok_or_a_failure() {
        let any = Expectation::new(&[], None);
        assert_eq!(
            [200, 204, 299, 199, 300, 503].map(|s| any.outcome(s, b"", 0) == Outcome::Ok),
            [true, true, true, false, false, false]
        );
        let own = Expectation::new(&[404], Some("<{nonce}>"));
        assert_eq!(own.outcome(404, b"<3>", 3), Outcome::Ok);
        assert_eq!(own.outcome(404, b"<3>", 4), Outcome::Fail);
        assert_eq!(own.outcome(200, b"<3>", 3), Outcome::Fail);
    }
}
