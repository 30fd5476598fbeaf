//! A talk over TCP: something is sent, something is expected, either may be left out. Pure.

use super::wire::{End, Heard, Talk};
use crate::adapters::expectation::Numbered;
use crate::model::Outcome;

/// More than this without what is expected in it is no answer.
const MOST: usize = 1 << 20;

/// What is sent and expected.
pub(in crate::adapters) struct Talking {
    send: Numbered,
    expect: Option<Numbered>,
}

impl Talking {
    /// Without `expect` a connection, and whatever is sent on it, is enough.
    pub fn new(send: Option<&str>, expect: Option<&str>) -> Self {
        Self { send: Numbered::of(send.unwrap_or_default()), expect: expect.map(Numbered::of) }
    }
}

impl Talk for Talking {
    type Reading = ();

    fn say(&self, visit: u64, out: &mut Vec<u8>) {
        self.send.write(visit, out);
    }

    fn expects_answer(&self) -> bool {
        self.expect.is_some()
    }

    fn forget(&self, (): &mut ()) {}

    fn hear(&self, visit: u64, (): &mut (), bytes: &[u8], end: End) -> Heard {
        let over = |outcome, left_open| Heard::Over { outcome, left_open };
        match &self.expect {
            None => over(Outcome::Ok, end == End::Open),
            Some(expect) if expect.is_in(bytes, visit) => over(Outcome::Ok, end == End::Open),
            // It answered something else and hung up: that is an answer. Saying nothing is none.
            Some(_) if end == End::Closed && !bytes.is_empty() => over(Outcome::Fail, false),
            Some(_) if end == End::Closed || bytes.len() > MOST => over(Outcome::Unknown, false),
            Some(_) => Heard::More { used: 0 },
        }
    }
}
