//! A Lease as it is seen, taken and renewed. Whether a holder is alive is decided by whether its renewals change while
//! somebody looks, never by comparing clocks of two machines.

use super::SeatError;
use crate::adapters::kubernetes::{At, Cluster, ClusterError, Object, Patch, Write};
use crate::clock::Clock;
use crate::inside::LEASE_SECONDS;
use serde_json::{Value, json};
use std::time::Duration;

/// A holder that is not heard of for so long is taken for dead.
pub(super) const LENGTH: Duration = Duration::from_secs(LEASE_SECONDS as u64);
/// It is renewed this often.
pub(super) const RENEW: Duration = Duration::from_secs(LEASE_SECONDS as u64 / 5);
/// A call may take so long, so that a renewal fits into a Lease several times.
pub(super) const CALL: Duration = Duration::from_secs(LEASE_SECONDS as u64 / 5);
/// Between two looks at somebody else's.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A Lease as it was a moment ago.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    object: Object,
}

impl Seen {
    pub fn holder(&self) -> Option<&str> {
        Some(self.object.text("/spec/holderIdentity")).filter(|holder| !holder.is_empty())
    }

    /// Opaque: it is only compared with itself.
    pub fn renewed(&self) -> &str {
        self.object.text("/spec/renewTime")
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.object.annotation(name).filter(|text| !text.is_empty())
    }

    fn transitions(&self) -> i64 {
        self.object.number("/spec/leaseTransitions").unwrap_or_default()
    }
}

async fn in_time<T>(at: &At, call: impl Future<Output = Result<T, ClusterError>>) -> Result<T, SeatError> {
    let answered = tokio::time::timeout(CALL, call).await;
    let late = || ClusterError::TimedOut(format!("no answer within {} s", CALL.as_secs()));
    answered.unwrap_or_else(|_| Err(late())).map_err(|e| SeatError::Cluster(at.to_string(), e))
}

/// Looks at it; none if it is not there.
pub(super) async fn look(cluster: &dyn Cluster, at: &At) -> Result<Option<Seen>, SeatError> {
    Ok(in_time(at, cluster.get(at)).await?.map(|object| Seen { object }))
}

fn now(clock: &Clock) -> String {
    clock.stamp().wall.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Takes it if it is still as it was seen. `annotations` that are null are taken off.
pub(super) async fn take(
    cluster: &dyn Cluster,
    (at, seen): (&At, &Seen),
    (holder, annotations): (&str, Value),
    clock: &Clock,
) -> Result<Seen, SeatError> {
    let now = now(clock);
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": seen.object.version(), "annotations": annotations},
        "spec": {"holderIdentity": holder, "acquireTime": now, "renewTime": now, "leaseDurationSeconds": LEASE_SECONDS,
            "leaseTransitions": seen.transitions() + 1},
    }));
    let object = in_time(at, cluster.patch(at, None, &patch, Write::Real)).await?;
    Ok(Seen { object })
}

/// Waits until nobody who is alive holds it, at most `wait`, and takes it.
pub(super) async fn acquire(
    cluster: &dyn Cluster,
    at: &At,
    (holder, annotations): (&str, &Value),
    (clock, wait): (&Clock, Duration),
) -> Result<Seen, SeatError> {
    let until = clock.mono().after(wait + LENGTH);
    let mut known: Option<(Seen, crate::model::Mono)> = None;
    loop {
        let seen = look(cluster, at).await?.ok_or_else(|| SeatError::Missing(at.to_string()))?;
        let free = match (seen.holder(), &known) {
            (None, _) => true,
            (Some(other), _) if other == holder => true,
            (Some(_), Some((before, since)))
                if before.renewed() == seen.renewed() && before.holder() == seen.holder() =>
            {
                clock.mono().since(*since) >= LENGTH
            }
            (Some(_), _) => {
                known = Some((seen.clone(), clock.mono()));
                false
            }
        };
        if free {
            match take(cluster, (at, &seen), (holder, annotations.clone()), clock).await {
                Err(SeatError::Cluster(_, ClusterError::Conflict(_))) => {}
                taken => return taken,
            }
        }
        if clock.mono() >= until {
            return Err(SeatError::Taken(at.to_string(), seen.holder().unwrap_or("somebody else").to_owned()));
        }
        clock.sleep_until(clock.mono().after(LOOK)).await;
    }
}

/// What came of a renewal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Renewed {
    /// It is ours; as it is now.
    Yes(Seen),
    /// Somebody else holds it.
    Lost(String),
}

/// Renews it if it is still ours.
pub(super) async fn renew(cluster: &dyn Cluster, at: &At, holder: &str, clock: &Clock) -> Result<Renewed, SeatError> {
    let patch = Patch::Json(json!([
        {"op": "test", "path": "/spec/holderIdentity", "value": holder},
        {"op": "add", "path": "/spec/renewTime", "value": now(clock)},
    ]));
    match in_time(at, cluster.patch(at, None, &patch, Write::Real)).await {
        Ok(object) => Ok(Renewed::Yes(Seen { object })),
        Err(why) => match look(cluster, at).await? {
            Some(seen) if seen.holder() == Some(holder) => Err(why),
            Some(seen) => Ok(Renewed::Lost(seen.holder().unwrap_or("nobody").to_owned())),
            None => Ok(Renewed::Lost("nobody: it was removed".to_owned())),
        },
    }
}

/// Writes annotations on it, whoever holds it.
pub(super) async fn note(cluster: &dyn Cluster, at: &At, annotations: Value) -> Result<(), SeatError> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    in_time(at, cluster.patch(at, None, &patch, Write::Real)).await.map(drop)
}

/// Lets it go, with annotations. One that is not ours any more, or gone, is let go already.
pub(super) async fn release(
    cluster: &dyn Cluster,
    at: &At,
    holder: &str,
    annotations: &Value,
) -> Result<(), SeatError> {
    for _ in 0..5 {
        let Some(seen) = look(cluster, at).await? else { return Ok(()) };
        if seen.holder() != Some(holder) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": seen.object.version(), "annotations": annotations},
            "spec": {"holderIdentity": null},
        }));
        match in_time(at, cluster.patch(at, None, &patch, Write::Real)).await {
            Err(SeatError::Cluster(_, ClusterError::Conflict(_))) => {}
            other => return other.map(drop),
        }
    }
    Err(SeatError::Taken(at.to_string(), "somebody who changes it all the time".to_owned()))
}
