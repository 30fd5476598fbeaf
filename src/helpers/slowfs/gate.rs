//! The gate that every operation goes through: it is kept waiting there, and perhaps sent back with an error. What is
//! taken away lets those who wait for it go on at once.

use crate::adapters::disk::disturb::{Disturb, Operation};
use crate::clock::Clock;
use crate::model::Mono;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All disturbances, by their owners' tags.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    active: BTreeMap<String, Active>,
    drawn: u64,
}

struct Active {
    disturb: Disturb,
    until: Mono,
}

/// What becomes of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sentence {
    /// It waits for so long, as long as the disturbance of this tag is there.
    pub wait: Option<(String, Duration)>,
    /// And ends with this error.
    pub error: Option<i32>,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, tag: &str, disturb: Disturb) {
        let until = Clock::System.mono().after(disturb.limit.0);
        self.state().active.insert(tag.to_owned(), Active { disturb, until });
        self.changed.notify_all();
    }

    /// Was there one?
    pub fn remove(&self, tag: &str) -> Option<Disturb> {
        let removed = self.state().active.remove(tag);
        self.changed.notify_all();
        removed.map(|active| active.disturb)
    }

    pub fn clear(&self) {
        self.state().active.clear();
        self.changed.notify_all();
    }

    pub fn get(&self, tag: &str) -> Option<Disturb> {
        let mut state = self.state();
        state.drop_over(Clock::System.mono());
        state.active.get(tag).map(|active| active.disturb.clone())
    }

    pub fn tags(&self) -> Vec<String> {
        let mut state = self.state();
        state.drop_over(Clock::System.mono());
        state.active.keys().cloned().collect()
    }

    /// Draws what becomes of an operation.
    pub fn judge(&self, operation: Operation) -> Sentence {
        let mut state = self.state();
        if state.active.is_empty() {
            return Sentence::default();
        }
        state.drop_over(Clock::System.mono());
        state.judge(operation)
    }

    /// Waits as long as it is to.
    pub fn serve(&self, sentence: &Sentence) {
        let Some((tag, wait)) = &sentence.wait else { return };
        let until = Clock::System.mono().after(*wait);
        let mut state = self.state();
        loop {
            let now = Clock::System.mono();
            if now >= until || state.active.get(tag).is_none_or(|active| active.until <= now) {
                return;
            }
            let left = until.since(now);
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn drop_over(&mut self, now: Mono) {
        self.active.retain(|_, active| active.until > now);
    }

    /// A number between 0 and 1, different each time: splitmix64.
    fn draw(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.drawn;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn judge(&mut self, operation: Operation) -> Sentence {
        let (luck, spread) = (self.draw(), self.draw());
        let mut sentence = Sentence::default();
        for (tag, active) in &mut self.active {
            let disturb = &mut active.disturb;
            if !disturb.operations.contains(&operation) || luck >= disturb.share {
                continue;
            }
            disturb.hits += 1;
            let (delay, jitter) = (disturb.delay.0.as_secs_f64(), disturb.jitter.0.as_secs_f64());
            let wait = Duration::from_secs_f64((delay + jitter * (spread * 2.0 - 1.0)).max(0.0));
            if sentence.wait.as_ref().map_or(Duration::ZERO, |(_, longest)| *longest) < wait {
                sentence.wait = Some((tag.clone(), wait));
            }
            sentence.error = sentence.error.or(disturb.error.map(|error| error.number()));
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::disk::disturb::IoError;
    use crate::model::Dur;
    use std::sync::Arc;

    fn disturb(delay: u64, share: f64, error: Option<IoError>) -> Disturb {
        let (delay, jitter) = (Dur(Duration::from_millis(delay)), Dur(Duration::from_millis(delay / 10)));
        let operations = vec![Operation::Write];
        Disturb { operations, delay, jitter, error, share, limit: Dur(Duration::from_secs(60)), hits: 0 }
    }

    #[test]
    fn a_share_of_the_operations_that_are_meant_is_disturbed() {
        let gate = Gate::default();
        assert_eq!(gate.judge(Operation::Write), Sentence::default());
        gate.set("a", disturb(100, 0.25, Some(IoError::ENOSPC)));
        assert_eq!(gate.judge(Operation::Read), Sentence::default());
        let hit: Vec<Sentence> =
            (0..4000).map(|_| gate.judge(Operation::Write)).filter(|s| *s != Sentence::default()).collect();
        assert!((800..1200).contains(&hit.len()), "{}", hit.len());
        assert_eq!(gate.get("a").unwrap().hits, hit.len() as u64);
        for sentence in hit {
            assert_eq!(sentence.error, Some(28));
            let (_, wait) = sentence.wait.unwrap();
            assert!((Duration::from_millis(90)..=Duration::from_millis(110)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn what_waits_goes_on_when_the_disturbance_is_taken_away() {
        let gate = Arc::new(Gate::default());
        gate.set("a", disturb(600_000, 1.0, None));
        let sentence = gate.judge(Operation::Write);
        let (waiting, began) = (Arc::clone(&gate), Clock::System.mono());
        let waiter = std::thread::spawn(move || waiting.serve(&sentence));
        assert!(gate.remove("a").is_some() && gate.remove("a").is_none());
        waiter.join().unwrap();
        assert!(Clock::System.mono().since(began) < Duration::from_secs(30));
        assert!(gate.tags().is_empty());
    }

    #[test]
    fn it_is_over_at_its_limit() {
        let gate = Gate::default();
        gate.set("a", Disturb { limit: Dur(Duration::ZERO), ..disturb(600_000, 1.0, None) });
        assert_eq!(gate.judge(Operation::Write), Sentence::default());
        assert_eq!(gate.get("a"), None);
    }
}
