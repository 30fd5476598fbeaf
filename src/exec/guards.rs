//! How closely guards were looked at. What they look at is in `watch`; this is what lets a report say that something never
//! was: it was looked for so often, and what lasted longer than the widest gap would have been seen.

use super::drill::Drill;
use crate::model::{Mono, Span};
use std::time::Duration;

/// The looks of one guard while guards counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Looks {
    taken: u64,
    broken: u64,
    widest: Duration,
    last: Option<Mono>,
}

/// What one look said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It holds.
    Holds,
    /// It is broken.
    Broken,
}

impl Looks {
    /// One more. What began after the last look began and was over before this one ended may have been missed.
    pub fn add(&mut self, span: Span, said: Said) {
        self.taken += 1;
        self.broken += u64::from(said == Said::Broken);
        self.widest = self.last.map_or(self.widest, |last| self.widest.max(span.hi.since(last)));
        self.last = Some(span.lo);
    }

    /// In a sentence; nothing if nobody looked twice.
    fn words(&self, guard: &str) -> Option<String> {
        let broken = match self.broken {
            0 => "held in".to_owned(),
            n => format!("was broken in {n} of"),
        };
        let (taken, widest) = (self.taken, self.widest.as_millis());
        (taken > 1).then(|| {
            format!("guard `{guard}` {broken} {taken} looks; what lasted longer than {widest} ms would have been seen")
        })
    }
}

impl Drill<'_> {
    /// Notes how closely each guard was looked at.
    pub fn note_guards(&self) {
        let looks = std::mem::take(&mut self.progress().guards);
        for text in looks.iter().filter_map(|(name, looks)| looks.words(name)) {
            self.say(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_been_seen_is_longer_than_from_one_look_into_the_next() {
        let ms = |n: u64| Mono(i64::try_from(n * 1_000_000).unwrap());
        let mut looks = Looks::default();
        assert_eq!(looks.words("one"), None);
        for (lo, hi) in [(0, 10), (100, 130), (400, 420), (500, 505)] {
            looks.add(Span::new(ms(lo), ms(hi)), Said::Holds);
        }
        let said = looks.words("one primary").unwrap();
        assert_eq!(said, "guard `one primary` held in 4 looks; what lasted longer than 320 ms would have been seen");
        looks.add(Span::new(ms(600), ms(601)), Said::Broken);
        assert!(looks.words("x").unwrap().contains("was broken in 1 of 5 looks"));
    }
}
