//! The open-loop schedule: operation k of a lane is due at t₀ + k/rate, whatever became of the ones before it.
//! On the system clock a thread of its own waits with absolute sleeps, because tokio's timers are a millisecond late;
//! on a simulated clock the same loop is a task. What an operation does when it is due is `drive`'s business.

use crate::adapters::Waker;
use crate::clock::Clock;
use crate::model::{Action, Mono};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The schedule's thread looks at least so often whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// What the operations of a lane do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Write ledger records.
    Write,
    /// Read acknowledged ledger records.
    Read,
    /// Visit the service.
    Visit,
}

impl Lane {
    /// The word in the operations log.
    pub fn action(self) -> Action {
        match self {
            Self::Write => Action::Write,
            Self::Read => Action::Read,
            Self::Visit => Action::Visit,
        }
    }
}

/// A lane and how far it has got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// What is due.
    pub lane: Lane,
    /// Operations a second.
    pub rate: f64,
    /// The number of the next operation.
    pub next: u64,
}

impl Pace {
    /// A lane that has not begun.
    pub fn new(lane: Lane, rate: f64) -> Self {
        Self { lane, rate, next: 0 }
    }

    /// When the next operation is due. The offset is computed from t₀ each time, so errors do not add up: below 10⁸
    /// operations a double is exact to less than a nanosecond.
    fn due(&self, origin: Mono) -> Mono {
        origin + (self.next as f64 * 1e9 / self.rate).round() as i64
    }
}

/// Which operation is due when; of lanes that are due together, the first goes first.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    origin: Mono,
    paces: Vec<Pace>,
}

/// An operation that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Its lane.
    pub lane: Lane,
    /// Its number in the lane.
    pub number: u64,
    /// When.
    pub at: Mono,
}

impl Schedule {
    /// Begins at `origin`; lanes without a positive rate are left out.
    pub fn new(origin: Mono, mut paces: Vec<Pace>) -> Self {
        paces.retain(|pace| pace.rate.is_finite() && pace.rate > 0.0);
        Self { origin, paces }
    }

    /// The operation that is due next, without taking it.
    pub fn peek(&self) -> Option<Due> {
        let due = |p: &Pace| Due { lane: p.lane, number: p.next, at: p.due(self.origin) };
        self.paces.iter().map(due).min_by_key(|due| due.at)
    }

    /// Goes on after `due`.
    pub fn take(&mut self, due: Due) {
        if let Some(pace) = self.paces.iter_mut().find(|pace| pace.lane == due.lane) {
            pace.next += 1;
        }
    }
}

/// Tells a running schedule to stop, and hears when it has.
pub(super) struct Running {
    end: Arc<AtomicI64>,
    ended: tokio::sync::watch::Receiver<bool>,
    waker: Option<Waker>,
}

/// The other end: the running schedule's own.
pub(super) struct Stop {
    end: Arc<AtomicI64>,
    over: tokio::sync::watch::Sender<bool>,
}

/// There is no end yet.
const NO_END: i64 = i64::MAX;

impl Stop {
    /// What is due after this is not due any more; what was due before still is, however late the loop is.
    pub fn end(&self) -> Option<Mono> {
        Some(self.end.load(Ordering::Relaxed)).filter(|end| *end != NO_END).map(Mono)
    }

    /// Is this due before the end?
    pub fn covers(&self, due: Due) -> bool {
        self.end().is_none_or(|end| due.at <= end)
    }

    /// The loop has ended.
    pub fn ended(&self) {
        self.over.send_replace(true);
    }
}

impl Running {
    /// Both ends. `waker` wakes a loop that does not look by itself.
    pub fn new(waker: Option<Waker>) -> (Self, Stop) {
        let end = Arc::new(AtomicI64::new(NO_END));
        let (over, ended) = tokio::sync::watch::channel(false);
        (Self { end: Arc::clone(&end), ended, waker }, Stop { end, over })
    }

    /// Starts the loop; `fire` is called for each operation at the moment it is due, never concurrently.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(clock: Clock, schedule: Schedule, fire: impl FnMut(Due) + Send + 'static) -> std::io::Result<Self> {
        let (running, stop) = Self::new(None);
        match clock {
            Clock::System | Clock::Continuing(_) => {
                std::thread::Builder::new().name("schedule".to_owned()).spawn(move || {
                    run_on_thread(&clock, schedule, &stop, fire);
                    stop.ended();
                })?;
            }
            Clock::Simulated(_) => {
                tokio::spawn(async move {
                    run_on_task(&clock, schedule, &stop, fire).await;
                    stop.ended();
                });
            }
        }
        Ok(running)
    }

    /// Nothing becomes due after `at`. Only the first end counts.
    pub fn stop(&self, at: Mono) {
        let _earlier = self.end.compare_exchange(NO_END, at.0, Ordering::Relaxed, Ordering::Relaxed);
        self.waker.iter().for_each(Waker::wake);
    }

    /// Waits until the loop has ended; it does within `LOOK` of [`Running::stop`], or when nothing is in flight any more.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the sender is gone, so the loop is too.
        let _gone = ended.wait_for(|ended| *ended).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody waits for what is left.
        self.stop(Mono(i64::MIN));
    }
}

fn run_on_thread(clock: &Clock, mut schedule: Schedule, stop: &Stop, mut fire: impl FnMut(Due)) {
    clock.sharpen_this_thread();
    while let Some(due) = schedule.peek() {
        clock.block_until(due.at.min(clock.mono().after(LOOK)));
        if !stop.covers(due) {
            return;
        }
        if clock.mono() >= due.at {
            schedule.take(due);
            fire(due);
        }
    }
}

async fn run_on_task(clock: &Clock, mut schedule: Schedule, stop: &Stop, mut fire: impl FnMut(Due)) {
    while let Some(due) = schedule.peek() {
        clock.sleep_until(due.at.min(clock.mono().after(LOOK))).await;
        if !stop.covers(due) {
            return;
        }
        if clock.mono() >= due.at {
            schedule.take(due);
            fire(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn first(mut schedule: Schedule, count: usize) -> Vec<Due> {
        (0..count)
            .filter_map(|_| {
                let due = schedule.peek()?;
                schedule.take(due);
                Some(due)
            })
            .collect()
    }

    #[test]
    fn operations_are_evenly_spaced_and_errors_do_not_add_up() {
        let pace = Pace { lane: Lane::Visit, rate: 3.0, next: 3_000_000 };
        let schedule = Schedule::new(Mono(7), vec![pace]);
        let at: Vec<_> = first(schedule, 4).iter().map(|due| due.at.0).collect();
        let start = 1_000_000 * 1_000_000_000_i64 + 7;
        assert_eq!(at, [start, start + 333_333_333, start + 666_666_667, start + 1_000_000_000]);
    }

    #[test]
    fn lanes_interleave_by_due_time() {
        let paces = vec![Pace::new(Lane::Write, 2.0), Pace::new(Lane::Read, 1.0), Pace::new(Lane::Visit, 0.0)];
        let lanes: Vec<_> = first(Schedule::new(Mono(0), paces), 6).iter().map(|due| (due.lane, due.number)).collect();
        use Lane::{Read, Write};
        assert_eq!(lanes, [(Write, 0), (Read, 0), (Write, 1), (Write, 2), (Read, 1), (Write, 3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_simulated_clock_it_is_punctual_and_stops() {
        let clock = Clock::simulated();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, now) = (Arc::clone(&seen), clock.clone());
        let schedule = Schedule::new(Mono(1_000_000_000), vec![Pace::new(Lane::Visit, 100.0)]);
        let running = Running::start(clock.clone(), schedule, move |due| {
            log.lock().unwrap().push((due.number, now.mono() - due.at));
        })
        .unwrap();
        clock.sleep_until(Mono(1_995_000_000)).await;
        running.stop(clock.mono());
        running.ended().await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 100);
        assert!(seen.iter().enumerate().all(|(k, (number, late))| *number == k as u64 && *late == 0), "{seen:?}");
    }

    #[tokio::test]
    async fn on_the_system_clock_nothing_is_early_and_nothing_is_skipped() {
        let clock = Clock::System;
        let (log, now) = (Arc::new(Mutex::new(Vec::new())), clock.clone());
        let seen = Arc::clone(&log);
        let origin = clock.mono().after(Duration::from_millis(5));
        let schedule = Schedule::new(origin, vec![Pace::new(Lane::Visit, 500.0)]);
        let running = Running::start(clock.clone(), schedule, move |due| {
            log.lock().unwrap().push((due.number, now.mono() - due.at));
        })
        .unwrap();
        tokio::time::timeout(Duration::from_secs(20), async {
            while seen.lock().unwrap().len() < 100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        running.stop(clock.mono());
        running.ended().await;
        let seen = seen.lock().unwrap();
        assert!(seen.iter().enumerate().all(|(k, (number, late))| *number == k as u64 && *late >= 0), "{seen:?}");
    }
}
