//! The faults in a proxy and what they mean for one connection: pure. Who sets them and what is done is elsewhere.

use crate::adapters::proxy::{Direction, Effect, LineFault, Side};
use crate::clock::Clock;
use crate::model::Mono;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A line that was idle may send so much at once.
const BURST: Duration = Duration::from_millis(10);

/// All faults in the proxy; replaced as a whole, so that a connection never sees half of a change.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub faults: Vec<Arc<Active>>,
    /// Nobody is let through, whatever the faults say.
    pub closed: bool,
}

/// A fault that is set.
#[derive(Debug)]
pub(super) struct Active {
    pub fault: LineFault,
    /// Differs for every fault that was ever set.
    pub serial: u64,
    lines: [Arc<Line>; 2],
}

/// What a line of a given width has carried: everybody who sends over it waits for his turn.
#[derive(Debug)]
pub(super) struct Line {
    rate: f64,
    free: Mutex<Mono>,
}

impl Line {
    fn new(rate: u64) -> Arc<Self> {
        #[expect(clippy::cast_precision_loss, reason = "a rate beyond 2^52 bytes a second is no limit")]
        let rate = rate.max(1) as f64;
        Arc::new(Self { rate, free: Mutex::new(Mono(0)) })
    }

    /// Reserves the line for so many bytes and says when they may be sent.
    pub fn reserve(&self, bytes: usize, now: Mono) -> Mono {
        #[expect(clippy::cast_precision_loss, reason = "a chunk is small")]
        let takes = Duration::from_secs_f64(bytes as f64 / self.rate);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = i64::try_from(BURST.as_nanos()).unwrap_or_default();
        let start = (*free).max(Mono(now.0.saturating_sub(burst)));
        *free = start.after(takes);
        start
    }

    /// The most to send in one go: 10 ms of the line, so that it is shared evenly.
    pub fn portion(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a chunk")]
        let portion = (self.rate * BURST.as_secs_f64()).clamp(1.0, 65536.0) as usize;
        portion
    }
}

impl Active {
    pub fn new(fault: LineFault, serial: u64) -> Arc<Self> {
        let rate = if let Effect::Bandwidth { rate } = &fault.effect { rate.0 } else { 0 };
        Arc::new(Self { fault, serial, lines: [Line::new(rate), Line::new(rate)] })
    }

    /// Does it touch this connection? Connections are dealt out evenly: of any n in a row, the share of n is touched,
    /// give or take two (the golden ratio's multiples are spread as evenly as can be). An unnumbered one is always touched.
    fn takes(&self, number: Option<u64>) -> bool {
        let Some(number) = number.filter(|_| self.fault.share < 1.0) else { return true };
        let seed = self.fault.owner.bytes().fold(0_u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let place = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(mix(seed));
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a share")]
        let place = (place >> 11) as f64 / (1_u64 << 53) as f64;
        place < self.fault.share
    }
}

/// Bits as if thrown (the finalizer of `SplitMix64`).
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What bytes of one direction of a connection have to bear.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// Nothing passes.
    pub hold: bool,
    pub delay: Duration,
    pub jitter: Duration,
    /// The end is passed on so much later.
    pub slow_close: Duration,
    /// Lines that are shared with others.
    pub lines: Vec<Arc<Line>>,
}

/// What a connection as a whole has to bear.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate {
    pub rules: [Rules; 2],
    /// It is not let in, or thrown out.
    pub reset: bool,
    /// Only new ones are not let in.
    pub refuse: bool,
    /// This side is closed, the other not told.
    pub half: Option<Side>,
    /// It ends when so many bytes have passed.
    pub limits: Vec<Limit>,
}

/// A number of bytes after which a connection ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    pub serial: u64,
    pub direction: Direction,
    pub bytes: u64,
    pub reset: bool,
}

/// The place of a direction in pairs.
pub(super) fn place(way: Direction) -> usize {
    usize::from(way == Direction::ToClient)
}

impl Table {
    /// Does the port itself refuse?
    pub fn refuses(&self) -> bool {
        self.closed || self.faults.iter().any(|a| a.fault.effect == Effect::Refuse && a.fault.share >= 1.0)
    }

    /// What connection `number` has to bear.
    pub fn fate(&self, number: Option<u64>) -> Fate {
        let mut fate = Fate { reset: self.closed, ..Fate::default() };
        for active in self.faults.iter().filter(|a| a.takes(number)) {
            fate.add(active);
        }
        fate
    }
}

impl Fate {
    fn add(&mut self, active: &Active) {
        let LineFault { direction, effect, .. } = &active.fault;
        let mut limit = |bytes: u64, reset| {
            self.limits.push(Limit { serial: active.serial, direction: *direction, bytes, reset });
        };
        match effect {
            Effect::Reset { after } if after.0 == 0 => self.reset = true,
            Effect::Reset { after } => limit(after.0, true),
            Effect::Limit { bytes } => limit(bytes.0, false),
            Effect::HalfOpen { closed } => self.half = Some(*closed),
            Effect::Refuse => self.refuse = true,
            Effect::Latency { .. } | Effect::Bandwidth { .. } | Effect::BlackHole | Effect::SlowClose { .. } => {
                for way in [Direction::ToUpstream, Direction::ToClient] {
                    if direction.covers(way) {
                        self.rules[place(way)].add(effect, &active.lines[place(way)]);
                    }
                }
            }
        }
    }
}

impl Rules {
    fn add(&mut self, effect: &Effect, line: &Arc<Line>) {
        match effect {
            Effect::Latency { delay, jitter } => {
                self.delay += delay.0;
                self.jitter += jitter.0;
            }
            Effect::Bandwidth { .. } => self.lines.push(Arc::clone(line)),
            Effect::BlackHole => self.hold = true,
            Effect::SlowClose { delay } => self.slow_close = self.slow_close.max(delay.0),
            Effect::Reset { .. } | Effect::HalfOpen { .. } | Effect::Limit { .. } | Effect::Refuse => {}
        }
    }

    /// Are bytes passed on as they come?
    pub fn plain(&self) -> bool {
        !self.hold && self.delay.is_zero() && self.jitter.is_zero() && self.lines.is_empty()
    }

    /// When bytes that came in now go out, by a throw of the dice.
    pub fn due(&self, now: Mono, dice: &mut u64) -> Mono {
        if self.jitter.is_zero() {
            return now.after(self.delay);
        }
        *dice = dice.wrapping_add(1);
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a throw")]
        let thrown = (mix(*dice) >> 11) as f64 / (1_u64 << 53) as f64;
        let low = self.delay.saturating_sub(self.jitter);
        now.after(low + (self.delay + self.jitter - low).mul_f64(thrown))
    }

    /// When so many bytes may go over all the lines.
    pub fn reserve(&self, bytes: usize, clock: &Clock) -> Mono {
        let now = clock.mono();
        self.lines.iter().map(|line| line.reserve(bytes, now)).max().unwrap_or(now)
    }

    /// The most to send in one go.
    pub fn portion(&self) -> usize {
        self.lines.iter().map(|line| line.portion()).min().unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dur, Size};

    fn active(owner: &str, share: f64, direction: Direction, effect: Effect) -> Arc<Active> {
        Active::new(LineFault { owner: owner.into(), name: "r/f".into(), direction, share, effect }, 1)
    }

    #[test]
    fn a_share_of_connections_is_that_share_of_any_run_of_them() {
        for (owner, share) in [("bs-1", 0.5), ("bs-2", 0.5), ("bs-3", 0.1), ("bs-4", 0.99), ("bs-5", 0.0)] {
            let fault = active(owner, share, Direction::Both, Effect::BlackHole);
            for first in [0, 7, 1_000_000] {
                let touched = (first..first + 200).filter(|n| fault.takes(Some(*n))).count();
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let off = (touched as f64 - 200.0 * share).abs();
                assert!(off <= 3.0, "{touched} of 200 at {share}");
            }
            assert!(fault.takes(None));
        }
    }

    #[test]
    fn effects_add_up_per_direction() {
        let ms = |n| Dur(Duration::from_millis(n));
        let latency = Effect::Latency { delay: ms(100), jitter: ms(20) };
        let table = Table {
            faults: vec![
                active("a", 1.0, Direction::ToClient, latency.clone()),
                active("b", 1.0, Direction::Both, latency),
                active("c", 1.0, Direction::ToUpstream, Effect::BlackHole),
                active("d", 1.0, Direction::Both, Effect::Limit { bytes: Size(10) }),
                active("e", 1.0, Direction::Both, Effect::Reset { after: Size(0) }),
            ],
            closed: false,
        };
        let fate = table.fate(Some(1));
        let [up, down] = &fate.rules;
        assert!(up.hold && !down.hold && fate.reset && !fate.refuse && !table.refuses());
        assert_eq!((up.delay, down.delay), (ms(100).0, ms(200).0));
        assert_eq!(fate.limits.len(), 1);
        let mut dice = 7;
        for _ in 0..100 {
            let due = down.due(Mono(0), &mut dice).0 / 1_000_000;
            assert!((160..=240).contains(&due), "{due}");
        }
    }

    #[test]
    fn a_line_is_as_wide_as_it_says() {
        let line = Line::new(1_000_000);
        let start = Mono(5_000_000_000);
        let mut last = start;
        for _ in 0..100 {
            last = line.reserve(10_000, start);
        }
        // The first 10 ms are free; the hundredth 10 kB waits for the 99 before it.
        assert_eq!(last.since(start), Duration::from_millis(980));
        assert_eq!(line.portion(), 10_000);
        assert_eq!(Line::new(1).portion(), 1);
    }
}
