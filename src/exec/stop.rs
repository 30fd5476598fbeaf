//! The wish that a run stops: by a signal, a guard, a limit, or a test. The first wish counts; the rest are counted.

use crate::event::AbortCause;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Asks a run to stop: it heals, brings its staging down and ends. Clones are the same wish.
#[derive(Debug, Clone)]
pub struct StopSignal {
    cause: Arc<watch::Sender<Option<AbortCause>>>,
    wishes: Arc<AtomicU32>,
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
        Self { cause: Arc::new(watch::Sender::new(None)), wishes: Arc::new(AtomicU32::new(0)) }
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
        self.cause.borrow().clone()
    }

    /// How often it was wished.
    #[must_use]
    pub fn wishes(&self) -> u32 {
        self.wishes.load(Ordering::SeqCst)
    }

    /// Waits until somebody wishes.
    pub async fn wait(&self) {
        let mut seen = self.cause.subscribe();
        // The sender lives as long as this borrow of it.
        let _never_closed = seen.wait_for(Option::is_some).await;
    }

    /// From now on Ctrl-C, SIGTERM and SIGHUP are wishes, as long as the runtime lives.
    ///
    /// # Errors
    /// When the system lets no handler be installed.
    pub fn listen(&self) -> std::io::Result<()> {
        let kinds = [
            (SignalKind::interrupt(), "SIGINT"),
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::hangup(), "SIGHUP"),
        ];
        for (kind, name) in kinds {
            let (mut signals, stop) = (signal(kind)?, self.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    stop.trigger(AbortCause::Signal(name.to_owned()));
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
}
