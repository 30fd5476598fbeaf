//! Does the runner itself keep running? A thread wakes a hundred times a second and looks how late it is. What no
//! schedule sees, because nothing was due in it, is seen here: a signal that stopped the process, a frozen cgroup, a quota
//! that is used up, a machine that is paused or has no processor left. Recording it is the business of `watch`, and
//! of a vantage.

use crate::adapters::host;
use crate::clock::Clock;
use crate::event::StallCause;
use crate::model::{Mono, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

const EVERY: Duration = Duration::from_millis(10);
/// Woken so much later than it should be, it was kept from running. Less is told by each schedule for itself.
const LATE: i64 = 25_000_000;
/// How much of the time the thread waits for a processor anyway is looked at so often.
const LOOK: u32 = 50;
/// Spans that wait to be recorded; a runner that is kept from running so often records the longest part of it.
const WAITING: usize = 64;

/// A runner that was kept from running more often has filled its journal with that.
const MOST: u32 = 2_000;

/// A watch that ends when this is dropped.
pub(super) struct Vigil {
    stop: Arc<AtomicBool>,
    spans: mpsc::Receiver<(Span, StallCause)>,
    told: u32,
}

impl Vigil {
    /// Begins; on a simulated clock, or when the system gives no thread, it sees nothing.
    pub fn begin(clock: &Clock) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, spans) = mpsc::channel(WAITING);
        if !matches!(clock, Clock::Simulated(_)) {
            let (clock, stop) = (clock.clone(), Arc::clone(&stop));
            let watch = move || {
                watch(&clock, &stop, |seen| {
                    let _full = tell.try_send(seen);
                });
            };
            let _without = std::thread::Builder::new().name("vigil".to_owned()).spawn(watch);
        }
        Self { stop, spans, told: 0 }
    }

    /// The next span in which this process was kept from running; never, if there is none, or after very many.
    pub async fn next(&mut self) -> (Span, StallCause) {
        match if self.told < MOST { self.spans.recv().await } else { None } {
            Some(seen) => {
                self.told += 1;
                seen
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(clock: &Clock, stop: &AtomicBool, mut tell: impl FnMut((Span, StallCause))) {
    clock.sharpen_this_thread();
    let (mut woke, mut waited, mut ticks) = (clock.mono(), host::waited_for_a_processor(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        clock.block_until(woke.after(EVERY));
        let now = clock.mono();
        ticks += 1;
        if let Some(span) = kept(woke, now) {
            let before = std::mem::replace(&mut waited, host::waited_for_a_processor());
            tell((span, cause(span, before.zip(waited).map(|(before, after)| after - before))));
        } else if ticks.is_multiple_of(LOOK) {
            waited = host::waited_for_a_processor();
        }
        woke = now;
    }
}

/// The span in which it did not run, if it woke too late: it was awake at `woke`.
fn kept(woke: Mono, now: Mono) -> Option<Span> {
    (now - woke.after(EVERY) > LATE).then(|| Span::new(woke, now))
}

/// A thread that was ready waits for a processor, and the system counts that; one that is stopped waits for nothing.
fn cause(span: Span, waited: Option<i64>) -> StallCause {
    match waited {
        Some(waited) if waited > span.width() / 2 => StallCause::Starved,
        _ => StallCause::Paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn a_late_wake_up_is_a_span_from_the_last_time_it_was_awake() {
        let kept = |now: i64| kept(Mono(100 * MS), Mono(now * MS));
        assert_eq!(kept(110), None);
        assert_eq!(kept(135), None);
        assert_eq!(kept(136), Some(Span::new(Mono(100 * MS), Mono(136 * MS))));
    }

    #[test]
    fn who_waits_for_a_processor_is_starved_and_who_waits_for_nothing_was_stopped() {
        let span = Span::new(Mono(0), Mono(700 * MS));
        assert_eq!(cause(span, Some(600 * MS)), StallCause::Starved);
        assert_eq!(cause(span, Some(20 * MS)), StallCause::Paused);
        assert_eq!(cause(span, None), StallCause::Paused);
    }

    #[tokio::test]
    async fn on_a_simulated_clock_nothing_is_seen() {
        tokio::time::pause();
        let mut vigil = Vigil::begin(&Clock::simulated());
        assert!(tokio::time::timeout(Duration::from_secs(60), vigil.next()).await.is_err());
    }
}
