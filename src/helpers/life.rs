//! How long a helper lives: as long as its runner, a bounded time longer, and never beyond its deadline.

use crate::adapters::proxy::{Keep, Life};
use crate::clock::Clock;
use crate::model::Orphaned;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose a helper is, and what happens without him.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    keep: Keep,
    orphaned: Arc<AtomicBool>,
}

impl Keeper {
    pub fn new(keep: Keep) -> Self {
        Self { keep, orphaned: Arc::default() }
    }

    /// Is the runner gone?
    pub fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::SeqCst)
    }

    /// How it stands.
    pub fn life(&self) -> Life {
        match (self.keep.runner, self.is_orphaned(), self.keep.orphaned) {
            (None, ..) => Life::OnItsOwn,
            (Some(_), false, _) => Life::Held,
            (Some(_), true, Orphaned::Open) => Life::OrphanedOpen,
            (Some(_), true, Orphaned::Closed) => Life::OrphanedClosed,
        }
    }

    /// Until the helper must end. When the runner goes, `left` is called once.
    pub async fn over(&self, left: impl FnOnce(Orphaned)) {
        let clock = Clock::System;
        let end = async {
            match self.keep.deadline {
                Some(limit) => clock.sleep_until(clock.mono().after(limit.0)).await,
                None => std::future::pending().await,
            }
        };
        let orphan = async {
            let Some(runner) = self.keep.runner else { return std::future::pending().await };
            gone(runner).await;
            self.orphaned.store(true, Ordering::SeqCst);
            left(self.keep.orphaned);
            clock.sleep_until(clock.mono().after(self.keep.linger.0)).await;
        };
        tokio::select! {
            () = end => {}
            () = orphan => {}
        }
    }
}

/// Until this very process is gone. A thread waits for it in the kernel: it costs nothing until then.
async fn gone(runner: (i32, u64)) {
    let Some(handle) = handle(runner) else { return };
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        // A pidfd is readable when its process has ended.
        let mut wanted = [PollFd::new(&handle, PollFlags::IN)];
        while poll(&mut wanted, None) == Err(rustix::io::Errno::INTR) {}
        drop(tell);
    });
    let _gone = told.await;
}

fn handle((pid, started): (i32, u64)) -> Option<OwnedFd> {
    let handle = pidfd_open(Pid::from_raw(pid).filter(|_| pid > 0)?, PidfdFlags::NONBLOCK).ok()?;
    // The handle was opened first: if the start time is right now, the handle can only be of this very process.
    (crate::adapters::host::started(pid) == Some(started)).then_some(handle)
}

/// Until a signal asks it to end.
pub(super) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let asked = |kind| async move {
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = asked(SignalKind::terminate()) => {}
        () = asked(SignalKind::interrupt()) => {}
    }
}
