//! The wish that a run stops: by a signal, a guard, a limit, or a test. The first wish counts; the rest are counted.

use crate::adapters::Fut;
use crate::event::AbortCause;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// This signal is no wish of one run: it engages the kill switch.
const KILL_SWITCH: &str = "SIGUSR1";

/// Asks a run to stop: it heals, brings its staging down and ends. Clones are the same wish.
#[derive(Debug, Clone)]
pub struct StopSignal {
    cause: Arc<watch::Sender<Option<AbortCause>>>,
    wishes: Arc<AtomicU32>,
    /// A wish there is a wish here, but not the other way round.
    parent: Option<Box<StopSignal>>,
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::new()
    }
}

impl StopSignal {
    /// Nobody wishes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { cause: Arc::new(watch::Sender::new(None)), wishes: Arc::new(AtomicU32::new(0)), parent: None }
    }

    /// One that hears the wishes made here, while its own wishes are not heard here: a guard stops its run, not the
    /// ones after it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent: Some(Box::new(self.clone())), ..Self::new() }
    }

    /// Wishes that the run stops. The first cause is kept.
    pub fn trigger(&self, cause: AbortCause) {
        self.wishes.fetch_add(1, Ordering::SeqCst);
        self.cause.send_if_modified(|kept| {
            let first = kept.is_none();
            if first {
                *kept = Some(cause);
            }
            first
        });
    }

    /// The first cause, if anybody wished.
    #[must_use]
    pub fn requested(&self) -> Option<AbortCause> {
        let above = self.parent.as_ref().and_then(|parent| parent.requested());
        above.or_else(|| self.cause.borrow().clone())
    }

    /// How often it was wished.
    #[must_use]
    pub fn wishes(&self) -> u32 {
        self.wishes.load(Ordering::SeqCst) + self.parent.as_ref().map_or(0, |parent| parent.wishes())
    }

    /// Waits until somebody wishes.
    pub fn wait(&self) -> Fut<'_, ()> {
        Box::pin(async move {
            let mut seen = self.cause.subscribe();
            // The sender lives as long as this borrow of it.
            let own = seen.wait_for(Option::is_some);
            match &self.parent {
                None => drop(own.await),
                Some(parent) => tokio::select! { _ = own => {}, () = parent.wait() => {} },
            }
        })
    }

    /// From now on Ctrl-C, SIGTERM and SIGHUP are wishes, and SIGUSR1 engages the kill switch, as long as the runtime
    /// lives.
    ///
    /// # Errors
    /// When the system lets no handler be installed.
    pub fn listen(&self) -> std::io::Result<()> {
        let kinds = [
            (SignalKind::interrupt(), "SIGINT"),
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::hangup(), "SIGHUP"),
            (SignalKind::user_defined1(), KILL_SWITCH),
        ];
        for (kind, name) in kinds {
            let (mut signals, stop) = (signal(kind)?, self.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    stop.trigger(match name {
                        KILL_SWITCH => AbortCause::KillSwitch(format!("SIGUSR1 to pid {}", std::process::id())),
                        name => AbortCause::Signal(name.to_owned()),
                    });
                }
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_wish_counts() {
        let stop = StopSignal::new();
        assert_eq!((stop.requested(), stop.wishes()), (None, 0));
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.wait().await }
        });
        stop.trigger(AbortCause::MaxDuration);
        stop.trigger(AbortCause::Signal("SIGINT".into()));
        waiting.await.unwrap();
        stop.wait().await;
        assert_eq!((stop.requested(), stop.wishes()), (Some(AbortCause::MaxDuration), 2));
    }

    #[tokio::test]
    async fn a_wish_goes_down_and_not_up() {
        let (above, guard) = (StopSignal::new(), AbortCause::Guard("g".into()));
        let below = above.child();
        below.trigger(guard.clone());
        below.wait().await;
        assert_eq!((above.requested(), below.requested()), (None, Some(guard)));
        let next = above.child();
        let waiting = tokio::spawn({
            let next = next.clone();
            async move { next.wait().await }
        });
        above.trigger(AbortCause::MaxDuration);
        waiting.await.unwrap();
        assert_eq!((next.requested(), next.wishes()), (Some(AbortCause::MaxDuration), 1));
    }
}
