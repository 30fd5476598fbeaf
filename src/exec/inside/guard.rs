//! The guardian in a pod of its own: watches the runner's Lease, and when that runs out ends the runner's pod and heals from
//! what stands in the cluster. How that is done is handed in.

use super::lease::{self, LENGTH, LOOK, RENEW, Renewed, Seen};
use super::{Seat, SeatError, Sitter, pod};
use crate::adapters::Fut;
use crate::adapters::kubernetes::{Cluster, ClusterError, Deletion, Write};
use crate::clock::Clock;
use crate::exec::StopSignal;
use crate::inside::{
    ANNOTATION_ENDED, ANNOTATION_HEALED, ANNOTATION_POD, ANNOTATION_POD_UID, ANNOTATION_RUN, ANNOTATION_WATCHES,
};
use crate::model::{Mono, RunId};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A look is worth at most this, however long ago the last one was: a guardian that was held up does not count that time.
const WORTH: Duration = Duration::from_secs(3);
/// The runner's pod has so long to go; on a node that is lost it never does.
const POD_GOES: Duration = Duration::from_secs(60);

/// Heals what a run left open, and says what it came to.
pub trait Healing: Send + Sync {
    /// Heals everything of this run; `Err` names what is still open.
    fn heal<'a>(&'a self, run: &'a RunId) -> Fut<'a, Result<String, String>>;
    /// Something to tell whoever reads the pod's log.
    fn say(&self, text: &str);
}

/// How a guardian's work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guarded {
    /// No runner came within its time.
    Nobody,
    /// The run ended by itself.
    Released,
    /// The runner fell silent; this was done in its place.
    TookOver(Result<String, String>),
}

/// Watches over whoever holds the runner's Lease, until the run is over or has to be healed.
///
/// # Errors
/// When the guardian's own Lease is not there, or another guardian has it.
pub async fn guard(
    clock: &Clock,
    cluster: Arc<dyn Cluster>,
    (seat, me, wait): (&Seat, &Sitter, Duration),
    (stop, healing): (&StopSignal, &dyn Healing),
) -> Result<Guarded, SeatError> {
    let holder = me.identity();
    let nobody = json!({ANNOTATION_WATCHES: null});
    lease::acquire(cluster.as_ref(), &seat.guardian(), (&holder, &nobody), (clock, wait)).await?;
    let guard = Guard { cluster, seat, holder: &holder, clock, stop, healing };
    let guarded = guard.watch(wait).await;
    lease::release(guard.cluster.as_ref(), &seat.guardian(), &holder, &nobody).await?;
    guarded
}

struct Guard<'a> {
    cluster: Arc<dyn Cluster>,
    seat: &'a Seat,
    holder: &'a str,
    clock: &'a Clock,
    stop: &'a StopSignal,
    healing: &'a dyn Healing,
}

/// Whom it watches.
struct Watched {
    seen: Seen,
    silence: Duration,
    looked: Mono,
}

impl Guard<'_> {
    async fn watch(&self, wait: Duration) -> Result<Guarded, SeatError> {
        let until = self.clock.mono().after(wait);
        let (mut watched, mut renewed): (Option<Watched>, Mono) = (None, self.clock.mono());
        loop {
            if self.clock.mono().since(renewed) >= RENEW {
                self.renew().await?;
                renewed = self.clock.mono();
            }
            // What cannot be seen does not count: neither as life nor as silence.
            if let Ok(seen) = lease::look(self.cluster.as_ref(), &self.seat.runner()).await {
                match (seen, &mut watched) {
                    // Whoever made the set has removed it: the run's folder is fetched, or nothing was begun.
                    (None, _) => return Ok(Guarded::Released),
                    (Some(seen), known) if seen.holder().is_none() => {
                        if known.as_ref().is_some_and(|known| ended(&seen, &known.seen)) {
                            return Ok(Guarded::Released);
                        }
                    }
                    (Some(seen), known) => {
                        if let Some(guarded) = self.look(seen, known).await? {
                            return Ok(guarded);
                        }
                    }
                }
            }
            // Whoever watches over a run goes on: its pod is ended with it, or with its node.
            if watched.is_none() && (self.clock.mono() >= until || self.stop.requested().is_some()) {
                return Ok(Guarded::Nobody);
            }
            self.clock.sleep_until(self.clock.mono().after(LOOK)).await;
        }
    }

    /// Its own Lease; another guardian that has it would heal, too.
    async fn renew(&self) -> Result<(), SeatError> {
        let at = self.seat.guardian();
        match lease::renew(self.cluster.as_ref(), &at, self.holder, self.clock).await {
            Ok(Renewed::Lost(to)) => Err(SeatError::Taken(at.to_string(), to)),
            // The runner notices if this goes on.
            Ok(Renewed::Yes(_)) | Err(_) => Ok(()),
        }
    }

    /// A look at a Lease that somebody holds.
    async fn look(&self, seen: Seen, known: &mut Option<Watched>) -> Result<Option<Guarded>, SeatError> {
        let now = self.clock.mono();
        match known {
            Some(known) if known.seen.holder() == seen.holder() => {
                let moved = known.seen.renewed() != seen.renewed();
                let passed = now.since(known.looked).min(WORTH);
                known.silence = if moved { Duration::ZERO } else { known.silence + passed };
                known.looked = now;
                known.seen = seen;
                if known.silence < LENGTH {
                    return Ok(None);
                }
                Ok(self.take_over(&known.seen).await)
            }
            _ => {
                let note = json!({ANNOTATION_WATCHES: seen.holder()});
                // Said again at the next look if it could not be said.
                if lease::note(self.cluster.as_ref(), &self.seat.guardian(), note).await.is_ok() {
                    let run = seen.annotation(ANNOTATION_RUN).unwrap_or_default();
                    self.healing.say(&format!("watching over {run}, which {} runs", seen.holder().unwrap_or_default()));
                    *known = Some(Watched { seen, silence: Duration::ZERO, looked: now });
                }
                Ok(None)
            }
        }
    }

    /// None if the runner has come back in the last moment, or the cluster cannot be asked.
    async fn take_over(&self, seen: &Seen) -> Option<Guarded> {
        let at = self.seat.runner();
        lease::take(self.cluster.as_ref(), (&at, seen), (self.holder, json!({})), self.clock).await.ok()?;
        let run = RunId(seen.annotation(ANNOTATION_RUN).unwrap_or_default().to_owned());
        let silence = LENGTH.as_secs();
        self.healing
            .say(&format!("the runner of {run} gave no sign of life for {silence} s: healing what it left open"));
        let heart = tokio::spawn(beat(
            Arc::clone(&self.cluster),
            self.seat.clone(),
            self.holder.to_owned(),
            self.clock.clone(),
        ));
        self.fence(seen).await;
        let healed = self.healing.heal(&run).await;
        heart.abort();
        let words = match &healed {
            Ok(words) => format!("ok: {words}"),
            Err(open) => format!("not healed: {open}"),
        };
        self.healing.say(&words);
        let ended = healed.is_ok().then_some(&run);
        let said = json!({ANNOTATION_HEALED: words, ANNOTATION_ENDED: ended});
        if let Err(why) = lease::release(self.cluster.as_ref(), &at, self.holder, &said).await {
            self.healing.say(&format!("the run's Lease could not be let go: {why}"));
        }
        Some(Guarded::TookOver(healed))
    }

    /// Ends the runner's pod. A node that is lost never says that it is gone; the runner stops by itself then, before its
    /// Lease runs out, because it cannot renew it.
    async fn fence(&self, seen: &Seen) {
        let (Some(name), Some(uid)) = (seen.annotation(ANNOTATION_POD), seen.annotation(ANNOTATION_POD_UID)) else {
            return;
        };
        let at = pod(&self.seat.namespace, name);
        let how = Deletion { uid: Some(uid.to_owned()), grace: Some(1), propagation: None };
        let until = self.clock.mono().after(POD_GOES);
        loop {
            match self.cluster.get(&at).await {
                Ok(None) => return,
                Ok(Some(now)) if now.uid() != uid || ended_pod(now.text("/status/phase")) => return,
                _ => {}
            }
            match self.cluster.delete(&at, &how, Write::Real).await {
                Err(ClusterError::Forbidden(why)) => {
                    return self.healing.say(&format!("the runner's pod cannot be ended: {why}"));
                }
                Err(ClusterError::Missing(_)) => return,
                _ => {}
            }
            if self.clock.mono() >= until {
                return self.healing.say(&format!("{at} does not go: its node may be lost; healing all the same"));
            }
            self.clock.sleep_until(self.clock.mono().after(LOOK)).await;
        }
    }
}

fn ended_pod(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// The holder that was watched let it go, and its run is over.
fn ended(seen: &Seen, before: &Seen) -> bool {
    seen.annotation(ANNOTATION_ENDED).is_some_and(|run| Some(run) == before.annotation(ANNOTATION_RUN))
}

/// Both Leases are held while it heals.
async fn beat(cluster: Arc<dyn Cluster>, seat: Seat, holder: String, clock: Clock) {
    loop {
        for at in [seat.runner(), seat.guardian()] {
            let _again_soon = lease::renew(cluster.as_ref(), &at, &holder, &clock).await;
        }
        clock.sleep_until(clock.mono().after(RENEW)).await;
    }
}
