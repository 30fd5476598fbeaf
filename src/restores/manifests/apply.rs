//! Applies a list of objects: first all of it for show, so that what a server refuses is known before anything is changed,
//! then for real, in order.

use super::list::{Item, Scopes};
use super::{DRY, SHOWN};
use crate::adapters::kubernetes::{Applier, At, Cluster, ClusterError, Kind, Object, Write};
use crate::faults::{Cx, FaultError};
use crate::model::Mono;
use crate::restores::cluster::{Look, Patience};
use crate::restores::refused;
use std::collections::BTreeMap;

/// What is being applied.
pub(super) struct Applying<'a> {
    cluster: &'a dyn Cluster,
    by: Applier,
    scopes: &'a Scopes<'a>,
    kinds: BTreeMap<(String, String), Kind>,
}

impl<'a> Applying<'a> {
    pub fn new(cluster: &'a dyn Cluster, by: Applier, scopes: &'a Scopes<'a>) -> Self {
        Self { cluster, by, scopes, kinds: BTreeMap::new() }
    }

    /// The kind of an object, as the server knows it.
    async fn kind(&mut self, item: &Item) -> Result<Kind, ClusterError> {
        let key = (item.api.clone(), item.kind.clone());
        if let Some(kind) = self.kinds.get(&key) {
            return Ok(kind.clone());
        }
        let known = Kind::known(&item.kind.to_lowercase()).filter(|kind| kind.api() == item.api);
        let kind = match (known, item.api.split_once('/')) {
            (Some(kind), _) => kind,
            (None, Some((group, version))) => self.cluster.kind(&format!("{}.{version}.{group}", item.kind)).await?,
            (None, None) => self.cluster.kind(&item.kind).await?,
        };
        // A server that knows the kind in another version would read the fields in another way.
        if kind.api() != item.api {
            return Err(ClusterError::Missing(format!("the server has no {} of {}", item.kind, item.api)));
        }
        self.kinds.insert(key, kind.clone());
        Ok(kind)
    }

    fn at(&self, item: &Item, kind: &Kind) -> At {
        kind.at(Some(item.namespace.as_deref().unwrap_or(self.scopes.namespace)), &item.name)
    }

    async fn one(&self, item: &Item, at: &At, write: Write) -> Result<Object, ClusterError> {
        let mut object = item.object.clone();
        if let Some(namespace) = &at.namespace {
            object["metadata"]["namespace"] = serde_json::Value::String(namespace.clone());
        }
        self.cluster.apply_by(&self.by, at, &object, write).await
    }

    /// Everything that the server would refuse, at once. What depends on a namespace or a definition that is among the objects
    /// and not there yet can only be tried when it is.
    pub async fn rehearse(&mut self, items: &[Item]) -> Result<(), FaultError> {
        let first = |kind: &str| items.iter().any(|item| item.kind == kind);
        let (spaces, definitions) = (first("Namespace"), first("CustomResourceDefinition"));
        let mut wrong = Vec::new();
        for item in items {
            let kind = match self.kind(item).await {
                Ok(kind) => kind,
                Err(ClusterError::Missing(_)) if definitions => continue,
                Err(ClusterError::Missing(why)) => {
                    wrong.push(format!("{}: {why}", item.words()));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(why) = self.scopes.outside(item, &kind) {
                wrong.push(why);
                continue;
            }
            let at = self.at(item, &kind);
            match self.one(item, &at, DRY).await {
                Ok(_) => {}
                Err(ClusterError::Missing(_)) if spaces => {}
                Err(ClusterError::Conflict(why)) => wrong.push(format!(
                    "{}: {why}; heal what changed it, name the `manager` that owns it, or write `conflicts: take_over`",
                    item.words()
                )),
                Err(
                    error @ (ClusterError::Missing(_)
                    | ClusterError::Exists(_)
                    | ClusterError::Forbidden(_)
                    | ClusterError::Invalid(_)),
                ) => wrong.push(format!("{}: {error}", item.words())),
                Err(error) => return Err(error.into()),
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let more = wrong.len().saturating_sub(SHOWN);
        wrong.truncate(SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Err(refused(format!("nothing was applied: {}{more}", wrong.join("; "))))
    }

    /// Applies one after the other.
    pub async fn apply(&mut self, items: &[Item], cx: &Cx<'_>, until: Mono) -> Result<Vec<(Kind, At)>, FaultError> {
        let mut applied: Vec<(Kind, At)> = Vec::new();
        for item in items {
            let so_far = format!("{} of {} objects are applied", applied.len(), items.len());
            let kind = self.known(item, cx, until).await?;
            if let Some(why) = self.scopes.outside(item, &kind) {
                return Err(refused(format!("{so_far}: {why}")));
            }
            let at = self.at(item, &kind);
            let patience = Patience::until(until, format!("{so_far}, and {at} could not be"), cx);
            while patience.over(self.really(item, &at, &so_far).await).await?.is_none() {}
            applied.push((kind, at));
        }
        Ok(applied)
    }

    async fn really(&self, item: &Item, at: &At, so_far: &str) -> Result<Look<()>, FaultError> {
        match self.one(item, at, Write::Real).await {
            // It is on its way out: what is applied to it goes with it.
            Ok(object) if object.ending() => Ok(Look::NotYet("the one that is there is being deleted".to_owned())),
            Ok(_) => Ok(Look::Done(())),
            // The server asks to come later.
            Err(ClusterError::Blocked(why)) => Ok(Look::NotYet(why)),
            Err(error @ (ClusterError::Unreachable(_) | ClusterError::TimedOut(_))) => Err(error.into()),
            Err(error) => Err(refused(format!("{so_far}; {at}: {error}"))),
        }
    }

    /// A kind whose definition was applied just now is known some moments later.
    async fn known(&mut self, item: &Item, cx: &Cx<'_>, until: Mono) -> Result<Kind, FaultError> {
        let patience = Patience::until(until, format!("the server did not know what {} is", item.words()), cx);
        loop {
            let look = match self.kind(item).await {
                Ok(kind) => Ok(Look::Done(kind)),
                Err(ClusterError::Missing(why)) => Ok(Look::NotYet(why)),
                Err(error) => Err(error.into()),
            };
            if let Some(kind) = patience.over(look).await? {
                return Ok(kind);
            }
        }
    }
}
