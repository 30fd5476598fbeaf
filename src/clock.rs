//! The only reader of time: the monotonic clock for how long, the wall clock for when, taken together.
//! Nothing else in the crate asks the system what time it is, so a drill can run in simulated time.

use crate::model::{Mono, Stamp};
use chrono::{DateTime, TimeDelta, Utc};
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::time::Duration;

/// Where a run takes its time from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// CLOCK_MONOTONIC and the wall clock of this machine.
    System,
    /// The same, so many nanoseconds ahead: a record that was begun before a reboot goes on, or another machine's clock is
    /// kept.
    Continuing(i64),
    /// tokio's (paused) clock, counted from an epoch; repeatable.
    Simulated(Epoch),
}

/// The start of a simulated clock.
#[derive(Debug, Clone)]
pub struct Epoch {
    start: tokio::time::Instant,
    wall: DateTime<Utc>,
}

impl Clock {
    /// A simulated clock that reads zero now. Call it inside a tokio runtime whose clock is paused.
    #[must_use]
    pub fn simulated() -> Self {
        Self::Simulated(Epoch { start: tokio::time::Instant::now(), wall: DateTime::UNIX_EPOCH })
    }

    /// This machine's clocks, going on after a moment of another boot; how much later it is now only the wall clock knows.
    #[must_use]
    pub fn continuing(last: &Stamp) -> Self {
        let now = Self::System.stamp();
        let later = (now.wall - last.wall).num_nanoseconds().unwrap_or_default().max(1);
        Self::Continuing(last.mono.0.saturating_add(later) - now.mono.0)
    }

    /// Nanoseconds on the monotonic clock.
    #[must_use]
    pub fn mono(&self) -> Mono {
        match self {
            Self::System => Mono(nanos(ClockId::CLOCK_MONOTONIC)),
            Self::Continuing(ahead) => Mono(nanos(ClockId::CLOCK_MONOTONIC).saturating_add(*ahead)),
            Self::Simulated(epoch) => Mono(i64::try_from(epoch.start.elapsed().as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    /// The monotonic and the wall clock, read together.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let mono = self.mono();
        let wall = match self {
            Self::System | Self::Continuing(_) => Utc::now(),
            Self::Simulated(epoch) => epoch.wall + TimeDelta::nanoseconds(mono.0),
        };
        Stamp { mono, wall }
    }

    /// CLOCK_BOOTTIME in nanoseconds: it goes on while the machine is suspended, so that
    /// `boot_nanos − mono` changes exactly when the machine slept.
    #[must_use]
    pub fn boot_nanos(&self) -> i64 {
        match self {
            Self::System | Self::Continuing(_) => nanos(ClockId::CLOCK_BOOTTIME),
            Self::Simulated(_) => self.mono().0,
        }
    }

    /// Waits until `due` without blocking the thread; for waits where a millisecond more does not matter.
    pub async fn sleep_until(&self, due: Mono) {
        let left = due.0 - self.mono().0;
        if left > 0 {
            tokio::time::sleep(Duration::from_nanos(left.unsigned_abs())).await;
        }
    }

    /// Asks the kernel to wake this thread as punctually as it can (its timers may otherwise be 50 µs late, to save power).
    /// Without effect where that is not allowed, and on a simulated clock.
    pub fn sharpen_this_thread(&self) {
        if matches!(self, Self::System | Self::Continuing(_)) {
            let _less_punctual = nix::sys::prctl::set_timerslack(1);
        }
    }

    /// A moment as the kernel's CLOCK_MONOTONIC counts it, for timers of the kernel. Without meaning on a simulated clock.
    #[must_use]
    pub fn kernel_time(&self, at: Mono) -> Duration {
        let ahead = if let Self::Continuing(ahead) = self { *ahead } else { 0 };
        Duration::from_nanos(at.0.saturating_sub(ahead).max(0).unsigned_abs())
    }

    /// Blocks this thread until `due` with an absolute sleep; for the dedicated thread of a schedule.
    /// On a simulated clock it returns at once: simulated schedules use [`Clock::sleep_until`].
    pub fn block_until(&self, due: Mono) {
        if matches!(self, Self::System | Self::Continuing(_)) {
            let at = nix::sys::time::TimeSpec::from_duration(self.kernel_time(due));
            while clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &at)
                == Err(nix::errno::Errno::EINTR)
            {}
        }
    }
}

fn nanos(id: ClockId) -> i64 {
    clock_gettime(id).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}
