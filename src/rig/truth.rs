//! The truth of a rig's facts: when the service was away and for whom, and what became of each write. It is made of the
//! rig's own log alone, and by arithmetic of its own. Pure.

use super::log::{Fact, Fate, Lie};
use super::script::Play;
use std::collections::{BTreeMap, BTreeSet};

/// A moment on CLOCK_MONOTONIC in nanoseconds, known to lie in `[lo, hi]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Not before.
    pub lo: i64,
    /// Not after.
    pub hi: i64,
}

/// Something that was played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// What.
    pub play: Play,
    /// Since when.
    pub start: Moment,
    /// Until when; nothing if it was played to the end of the rig.
    pub end: Option<Moment>,
}

/// A visit that reached the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Its number.
    pub n: u64,
    /// When its request had been read.
    pub t: i64,
    /// Right before the answer was written.
    pub out: i64,
    /// What became of it.
    pub fate: Fate,
}

/// Writer and sequence number.
pub type Key = (u16, u64);

/// A write that reached the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// When its request had been read.
    pub t: i64,
    /// Right before the answer was written.
    pub out: i64,
    /// What became of it.
    pub fate: Fate,
    /// Was it kept?
    pub stored: bool,
}

/// Everything that is true of a rig.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// What was played, in order, without the times in which all was well.
    pub spells: Vec<Spell>,
    /// Visits by whom they are of.
    pub visits: BTreeMap<String, Vec<Visit>>,
    /// Writes; of several attempts the last.
    pub writes: BTreeMap<Key, Write>,
    /// Reads that were answered with "not there".
    pub not_found: u64,
    /// Whom the store lied about.
    pub lies: BTreeSet<(Lie, Key)>,
    /// Did both processes write their logs to the end?
    pub whole: bool,
}

impl Truth {
    /// Of the texts of both logs.
    #[must_use]
    pub fn of(server: &str, control: &str) -> Self {
        let parse = |text: &str| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Fact>>();
        let (server, control) = (parse(server), parse(control));
        let ended = |facts: &[Fact]| matches!(facts.last(), Some(Fact::Ended { .. }));
        let mut truth = Self { whole: ended(&server) && ended(&control), ..Self::default() };
        let mut plays = Vec::new();
        for fact in server.into_iter().chain(control) {
            truth.take(fact, &mut plays);
        }
        plays.sort_by_key(|(moment, _): &(Moment, Play)| moment.lo);
        truth.spells = spells(&plays);
        truth.visits.values_mut().for_each(|visits| visits.sort_by_key(|visit| visit.n));
        truth
    }

    fn take(&mut self, fact: Fact, plays: &mut Vec<(Moment, Play)>) {
        match fact {
            Fact::Plays { from, to, play } => plays.push((Moment { lo: from, hi: to }, play)),
            Fact::Visit { t, out, of, n, fate } => {
                self.visits.entry(of).or_default().push(Visit { n, t, out, fate });
            }
            Fact::Write { t, out, writer, seq, fate, stored, .. } => {
                self.writes.insert((writer, seq), Write { t, out, fate, stored });
            }
            Fact::Read { found, fate, .. } => self.not_found += u64::from(!found && fate == Fate::Served),
            Fact::Lied { lie, writer, seq, .. } => {
                self.lies.insert((lie, (writer, seq)));
            }
            Fact::Started { .. } | Fact::Ended { .. } => {}
        }
    }

    /// Whom the store told this lie about.
    #[must_use]
    pub fn told(&self, lie: Lie) -> BTreeSet<Key> {
        self.lies.iter().filter(|(told, _)| *told == lie).map(|(_, key)| *key).collect()
    }

    /// Is a moment outside of every spell, by so much on either side?
    #[must_use]
    pub fn is_quiet(&self, at: i64, margin: i64) -> bool {
        self.spells
            .iter()
            .all(|spell| at < spell.start.lo - margin || spell.end.is_some_and(|end| at > end.hi + margin))
    }
}

/// Each play until the next one; the same one again is no new one.
fn spells(plays: &[(Moment, Play)]) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    for &(start, play) in plays {
        if let Some(open) = spells.last_mut().filter(|open| open.end.is_none()) {
            if open.play == play {
                continue;
            }
            open.end = Some(start);
        }
        if play != Play::Up {
            spells.push(Spell { play, start, end: None });
        }
    }
    spells
}

/// A time in which somebody could not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// The service stopped working.
    pub start: Moment,
    /// It works again.
    pub end: Moment,
    /// Requests waited instead of being refused.
    pub waits: bool,
}

impl Truth {
    /// The times in which clients with this deadline, in nanoseconds, could not work at all. Times that follow one
    /// another at once are one.
    #[must_use]
    pub fn away(&self, deadline: i64) -> Vec<Away> {
        let mut away: Vec<Away> = Vec::new();
        for spell in &self.spells {
            let waits = match spell.play {
                Play::Refuse | Play::Closed | Play::Moves => false,
                Play::Freeze | Play::BlackHole => true,
                Play::Slow(millis) if i64::from(millis) * 1_000_000 > deadline => true,
                _ => continue,
            };
            let Some(end) = spell.end else { continue };
            match away.last_mut().filter(|last| last.end == spell.start) {
                Some(last) => (last.end, last.waits) = (end, last.waits || waits),
                None => away.push(Away { start: spell.start, end, waits }),
            }
        }
        away
    }

    /// The time in which every so-many-th visit of `of` was refused: from its first refusal to its last.
    #[must_use]
    pub fn spoilt(&self, of: &str) -> Option<Away> {
        let visits = self.visits.get(of)?;
        let bad = |visit: &&Visit| matches!(visit.fate, Fate::Refused | Fate::Cut | Fate::Swallowed);
        let first = visits.iter().filter(bad).map(|visit| visit.t).min()?;
        let last = visits.iter().filter(bad).map(|visit| visit.t).max()?;
        let served = |visit: &&Visit| visit.fate == Fate::Served;
        let before = visits.iter().filter(served).map(|visit| visit.t).filter(|t| *t < first).max()?;
        let after = visits.iter().filter(served).map(|visit| visit.t).filter(|t| *t > last).min()?;
        let (start, end) = (Moment { lo: before, hi: first }, Moment { lo: last, hi: after });
        Some(Away { start, end, waits: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plays(from: i64, play: Play) -> String {
        serde_json::to_string(&Fact::Plays { from, to: from + 1, play }).unwrap() + "\n"
    }

    fn moment(lo: i64) -> Moment {
        Moment { lo, hi: lo + 1 }
    }

    #[test]
    fn what_server_and_controller_wrote_is_one_story() {
        let server = [plays(10, Play::Refuse), plays(40, Play::Up), plays(90, Play::Up)].concat();
        let control = [plays(50, Play::Freeze), plays(80, Play::Up)].concat();
        let truth = Truth::of(&server, &control);
        let spell = |play, from, to| Spell { play, start: moment(from), end: Some(moment(to)) };
        assert_eq!(truth.spells, [spell(Play::Refuse, 10, 40), spell(Play::Freeze, 50, 80)]);
        let away = truth.away(1_000);
        assert_eq!(
            away.iter().map(|a| (a.start.lo, a.end.lo, a.waits)).collect::<Vec<_>>(),
            [(10, 40, false), (50, 80, true)]
        );
        assert!(truth.is_quiet(45, 3) && !truth.is_quiet(45, 4) && !truth.is_quiet(60, 0));
        assert!(!truth.whole);
    }

    #[test]
    fn one_outage_right_after_another_is_one_and_slow_counts_beyond_the_deadline() {
        let log = [plays(10, Play::Refuse), plays(20, Play::Closed), plays(30, Play::Slow(5)), plays(50, Play::Up)];
        let truth = Truth::of(&log.concat(), "");
        let away = |deadline| truth.away(deadline).iter().map(|a| (a.start.lo, a.end.lo, a.waits)).collect::<Vec<_>>();
        assert_eq!(away(6_000_000), [(10, 30, false)]);
        assert_eq!(away(4_000_000), [(10, 50, true)]);
    }

    #[test]
    fn errors_at_a_share_last_from_the_first_to_the_last() {
        let visit = |n: u64, fate| {
            let (t, of) = (n.cast_signed() * 10, "page".to_owned());
            serde_json::to_string(&Fact::Visit { t, out: t, of, n, fate }).unwrap() + "\n"
        };
        use Fate::{Refused, Served};
        let log: String =
            [Served, Served, Refused, Served, Refused, Served].iter().zip(0..).map(|(f, n)| visit(n, *f)).collect();
        let spoilt = Truth::of(&log, "").spoilt("page").unwrap();
        assert_eq!((spoilt.start, spoilt.end), (Moment { lo: 10, hi: 20 }, Moment { lo: 40, hi: 50 }));
    }
}
