//! What restores to a Kubernetes cluster share: which cluster and namespace, a name for what they make, waiting.

use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, Cluster, ClusterError, Object};
use crate::faults::kubernetes as clusters;
use crate::faults::{Cx, FaultError};
use crate::model::{Mono, TargetRef};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at what goes on in a cluster.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where is restored to.
pub(super) struct Place {
    pub cluster: Arc<dyn Cluster>,
    pub namespace: String,
}

/// The cluster of a target and its namespace: itself, if it is one.
pub(super) async fn place(target: &TargetRef, cx: &Cx<'_>) -> Result<Place, FaultError> {
    let spec = clusters::spec(target, cx)?;
    let cluster = cx.world.clusters.open(&clusters::access(&spec, cx)?).await?;
    let text = |template: &Option<crate::model::Template>| -> Result<Option<String>, FaultError> {
        let text = template.as_ref().map(|template| cx.text(template)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    };
    let itself = text(&spec.kind)?.is_some_and(|kind| ["namespace", "namespaces", "ns"].contains(&kind.as_str()));
    let named = if itself { text(&spec.name)? } else { text(&spec.namespace)? };
    let namespace = named.unwrap_or_else(|| cluster.facts().namespace);
    Ok(Place { cluster, namespace })
}

/// What became of a wait.
pub(super) enum Look<T> {
    /// It is as it should be.
    Done(T),
    /// Not yet, and what is missing.
    NotYet(String),
}

/// Until when something is looked for.
pub(super) struct Patience<'a> {
    cx: &'a Cx<'a>,
    until: Mono,
    /// For people: `it was not over`.
    what: String,
}

impl<'a> Patience<'a> {
    /// Until this moment.
    pub fn until(until: Mono, what: impl Into<String>, cx: &'a Cx<'a>) -> Self {
        Self { cx, until, what: what.into() }
    }

    /// What was looked for, or nothing after a while, when it is time to look again. A cluster that does not answer is asked
    /// again.
    pub async fn over<T>(&self, look: Result<Look<T>, FaultError>) -> Result<Option<T>, FaultError> {
        let why = match look {
            Ok(Look::Done(done)) => return Ok(Some(done)),
            Ok(Look::NotYet(why)) => why,
            Err(FaultError::World(error @ (AdapterError::Unreachable(_) | AdapterError::TimedOut(_)))) => {
                error.to_string()
            }
            Err(error) => return Err(error),
        };
        let clock = &self.cx.world.clock;
        if clock.mono() >= self.until {
            return Err(AdapterError::TimedOut(format!("{} in time: {why}", self.what)).into());
        }
        clock.sleep_until(clock.mono().after(LOOK_EVERY).min(self.until)).await;
        Ok(None)
    }
}

/// An object that must be there.
pub(super) async fn there(cluster: &dyn Cluster, at: &At) -> Result<Object, FaultError> {
    let found = cluster.get(at).await?;
    found.ok_or_else(|| super::refused(format!("there is no {at}")))
}

/// Is it a refusal that a person has to see to, and not one that passes?
pub(super) fn plain(error: ClusterError) -> FaultError {
    match error {
        ClusterError::Missing(why) => super::refused(why),
        other => other.into(),
    }
}
