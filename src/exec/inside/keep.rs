//! The runner's side: holds the run's Lease, waits for its guardian, notices when either is lost, and says at the end what is
//! to be fetched.

use super::lease::{self, LOOK, RENEW, Renewed, Seen};
use super::{Seat, SeatError, Sitter};
use crate::adapters::kubernetes::Cluster;
use crate::clock::Clock;
use crate::event::AbortCause;
use crate::exec::StopSignal;
use crate::inside::{
    ANNOTATION_ARCHIVE, ANNOTATION_COLLECTED, ANNOTATION_ENDED, ANNOTATION_EXIT, ANNOTATION_HEALED, ANNOTATION_HOLDER,
    ANNOTATION_POD, ANNOTATION_POD_UID, ANNOTATION_RUN, ANNOTATION_SIZE, ANNOTATION_WATCHES,
};
use crate::model::{Mono, RunId};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A runner that could not renew for so long stops: it must be done with injecting before the Lease is taken for dead.
const GIVE_UP: Duration = Duration::from_secs(crate::inside::LEASE_SECONDS as u64 * 2 / 3);
/// A guardian that was evicted is started again within this, or the drill stops.
const GUARDIAN_GONE: Duration = Duration::from_secs(crate::inside::LEASE_SECONDS as u64 * 2);

/// A Lease that is held and renewed until it is let go.
pub struct Kept {
    cluster: Arc<dyn Cluster>,
    seat: Seat,
    holder: String,
    run: RunId,
    clock: Clock,
    collected: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

/// What a run left to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the archive, hex.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Takes the Lease and waits until a guardian watches. From then on the drill may begin; it is stopped when the Lease or the
/// guardian is lost.
///
/// # Errors
/// When there is no Lease, somebody else has it, or nobody guards within `wait`.
pub async fn begin(
    clock: &Clock,
    cluster: Arc<dyn Cluster>,
    (seat, me, run): (&Seat, &Sitter, &RunId),
    wait: Duration,
    stop: &StopSignal,
) -> Result<Kept, SeatError> {
    let holder = me.identity();
    let annotations = json!({
        ANNOTATION_RUN: run, ANNOTATION_HOLDER: holder, ANNOTATION_POD: me.pod, ANNOTATION_POD_UID: me.uid,
        ANNOTATION_ARCHIVE: null, ANNOTATION_SIZE: null, ANNOTATION_EXIT: null, ANNOTATION_COLLECTED: null,
        ANNOTATION_ENDED: null, ANNOTATION_HEALED: null,
    });
    lease::acquire(cluster.as_ref(), &seat.runner(), (&holder, &annotations), (clock, Duration::ZERO)).await?;
    let (tell, collected) = watch::channel(None);
    let watch = Watch {
        cluster: Arc::clone(&cluster),
        seat: seat.clone(),
        holder: holder.clone(),
        clock: clock.clone(),
        stop: stop.clone(),
        tell,
    };
    let task = tokio::spawn(watch.go_on());
    let kept = Kept { cluster, seat: seat.clone(), holder, run: run.clone(), clock: clock.clone(), collected, task };
    match kept.guarded(wait, stop).await {
        Ok(()) => Ok(kept),
        Err(why) => {
            kept.release().await?;
            Err(why)
        }
    }
}

impl Kept {
    /// Waits until a guardian has written that it watches this holder.
    async fn guarded(&self, wait: Duration, stop: &StopSignal) -> Result<(), SeatError> {
        let until = self.clock.mono().after(wait);
        loop {
            let seen = lease::look(self.cluster.as_ref(), &self.seat.guardian()).await;
            let why = match &seen {
                Ok(Some(seen)) if watches(seen, &self.holder) => return Ok(()),
                Ok(Some(_)) => format!("no pod holds {} and watches over this run", self.seat.guardian()),
                Ok(None) => format!("there is no {}", self.seat.guardian()),
                Err(why) => why.to_string(),
            };
            if self.clock.mono() >= until {
                return Err(SeatError::Unguarded(format!("{why}, after {} s", wait.as_secs())));
            }
            tokio::select! {
                () = self.clock.sleep_until(self.clock.mono().after(LOOK)) => {}
                () = stop.wait() => return Err(SeatError::Stopped),
            }
        }
    }

    /// Says what there is to be fetched, and waits until somebody has it. False if nobody came in time.
    ///
    /// # Errors
    /// When that could not be said.
    pub async fn hand_over(&self, packed: &Packed, exit: u8, hold: Duration) -> Result<Collected, SeatError> {
        let annotations = json!({ANNOTATION_ARCHIVE: packed.digest, ANNOTATION_SIZE: packed.size.to_string(),
            ANNOTATION_EXIT: exit.to_string()});
        lease::note(self.cluster.as_ref(), &self.seat.runner(), annotations).await?;
        let mut collected = self.collected.clone();
        let mine = |digest: &Option<String>| digest.as_deref() == Some(packed.digest.as_str());
        let fetched = tokio::time::timeout(hold, collected.wait_for(mine)).await;
        Ok(if matches!(fetched, Ok(Ok(_))) { Collected::Yes } else { Collected::Nobody })
    }

    /// Lets the Lease go: the run is over and nothing of it is open, so the guardian may end, too.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn release(&self) -> Result<(), SeatError> {
        self.task.abort();
        let ended = json!({ANNOTATION_ENDED: self.run});
        lease::release(self.cluster.as_ref(), &self.seat.runner(), &self.holder, &ended).await
    }
}

impl Drop for Kept {
    /// A Lease that is not let go runs out, and the guardian heals.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Did somebody fetch it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collected {
    /// The very archive.
    Yes,
    /// Not in time.
    Nobody,
}

fn watches(guardian: &Seen, holder: &str) -> bool {
    guardian.holder().is_some() && guardian.annotation(ANNOTATION_WATCHES) == Some(holder)
}

/// Renews, and looks at the guardian.
struct Watch {
    cluster: Arc<dyn Cluster>,
    seat: Seat,
    holder: String,
    clock: Clock,
    stop: StopSignal,
    tell: watch::Sender<Option<String>>,
}

impl Watch {
    async fn go_on(self) {
        let mut renewed = self.clock.mono();
        let mut guardian: Option<(Seen, Mono)> = None;
        loop {
            match lease::renew(self.cluster.as_ref(), &self.seat.runner(), &self.holder, &self.clock).await {
                Ok(Renewed::Yes(seen)) => {
                    renewed = self.clock.mono();
                    let collected = seen.annotation(ANNOTATION_COLLECTED).map(str::to_owned);
                    self.tell.send_if_modified(|known| std::mem::replace(known, collected.clone()) != collected);
                }
                Ok(Renewed::Lost(to)) => {
                    self.give_up(format!("{} was taken by {to}", self.seat.runner()));
                    return;
                }
                Err(why) if self.clock.mono().since(renewed) >= GIVE_UP => {
                    self.give_up(format!("the run's Lease could not be renewed for {} s: {why}", GIVE_UP.as_secs()));
                }
                Err(_) => {}
            }
            if let Some(why) = self.guardian(&mut guardian).await {
                self.give_up(why);
            }
            let pause = if self.clock.mono().since(renewed) > RENEW { LOOK } else { RENEW };
            self.clock.sleep_until(self.clock.mono().after(pause)).await;
        }
    }

    /// Why there is no guardian any more, once one was there.
    async fn guardian(&self, known: &mut Option<(Seen, Mono)>) -> Option<String> {
        // What cannot be seen says nothing; the own Lease decides then.
        let seen = lease::look(self.cluster.as_ref(), &self.seat.guardian()).await.ok()?;
        let now = self.clock.mono();
        match (seen, known.as_ref()) {
            (Some(seen), None) if watches(&seen, &self.holder) => *known = Some((seen, now)),
            (Some(seen), Some((before, _))) if seen.renewed() != before.renewed() && watches(&seen, &self.holder) => {
                *known = Some((seen, now));
            }
            (_, Some((_, since))) if now.since(*since) >= GUARDIAN_GONE => {
                return Some(format!("the guardian's pod gave no sign of life for {} s", GUARDIAN_GONE.as_secs()));
            }
            _ => {}
        }
        None
    }

    fn give_up(&self, why: String) {
        if self.stop.requested().is_none() {
            self.stop.trigger(AbortCause::Guardian(why));
        }
    }
}
