//! Moments on the runner's monotonic clock, spans between two of them, and durations with error bars.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment: nanoseconds of CLOCK_MONOTONIC of the runner's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub i64);

impl Mono {
    /// The moment `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos((self.0 - earlier.0).max(0).unsigned_abs())
    }
}

impl Sub for Mono {
    type Output = i64;

    /// Nanoseconds from `other` to `self`; negative if `other` is later.
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

impl Add<i64> for Mono {
    type Output = Self;

    fn add(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// The monotonic and the wall clock, read together. The wall time labels; it is never subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// For how long.
    pub mono: Mono,
    /// For when.
    pub wall: DateTime<Utc>,
}

/// An event that happened somewhere in `[lo, hi]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Not before.
    pub lo: Mono,
    /// Not after.
    pub hi: Mono,
}

impl Span {
    /// From the earliest to the latest moment.
    #[must_use]
    pub fn new(lo: Mono, hi: Mono) -> Self {
        Self { lo, hi }
    }

    /// A moment known exactly.
    #[must_use]
    pub fn point(at: Mono) -> Self {
        Self { lo: at, hi: at }
    }

    /// `hi − lo` in nanoseconds.
    #[must_use]
    pub fn width(self) -> i64 {
        self.hi - self.lo
    }
}

/// A measured duration with its error bar, in nanoseconds: the truth lies in `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Not shorter than this.
    pub low: i64,
    /// The single best estimate.
    pub best: i64,
    /// Not longer than this.
    pub high: i64,
}

impl Interval {
    /// Exactly this long.
    #[must_use]
    pub fn exact(nanos: i64) -> Self {
        Self { low: nanos, best: nanos, high: nanos }
    }

    /// Between `low` and `high`, the middle as best estimate; lows are clipped at 0.
    /// `None` if `low` is above `high`: that is an error of the caller's arithmetic, never a measurement.
    #[must_use]
    pub fn between(low: i64, high: i64) -> Option<Self> {
        let low = low.max(0);
        (low <= high).then(|| Self { low, best: low + (high - low) / 2, high })
    }

    /// `high − low` in nanoseconds.
    #[must_use]
    pub fn width(self) -> i64 {
        self.high - self.low
    }
}
