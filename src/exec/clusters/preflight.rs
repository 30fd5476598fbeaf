//! What must be right in the clusters before anything is touched: rights, Leases, nothing of ours left open.

use super::{Refused, Target, lease, record, rights, targets};
use crate::exec::drill::{Broken, Drill};
use crate::faults::kubernetes::Home;
use crate::model::PinnedTarget;
use std::collections::BTreeSet;

impl Drill<'_> {
    /// Every right that the plan needs, asked one by one. What is not known yet (a cluster that does not answer) is said when
    /// targets are found.
    pub async fn allowed(&self) -> Result<(), Broken> {
        let (targets, _) = self.unless_stopped(targets(&self.scene)).await?;
        let missing = self.unless_stopped(rights::missing(self.plan, &self.scene, &targets)).await?;
        if missing.is_empty() { Ok(()) } else { Err(Broken::Preflight(missing)) }
    }

    /// The Leases of what was found are this run's, and nothing is open there.
    pub async fn claim(&self, found: &[PinnedTarget]) -> Result<(), Broken> {
        if found.iter().all(|target| target.objects.is_empty()) {
            return Ok(());
        }
        let (targets, unknown) = self.unless_stopped(targets(&self.scene)).await?;
        if !unknown.is_empty() {
            return Err(Broken::Preflight(unknown));
        }
        let left = self.unless_stopped(self.left_open(&targets)).await?.map_err(|why| Broken::Preflight(vec![why]))?;
        if !left.is_empty() {
            return Err(Broken::Left(left));
        }
        let refused = self.unless_stopped(self.take_leases(found, &targets)).await?.err().unwrap_or_default();
        let (mut held, mut left, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for why in refused {
            match why {
                Refused::Held(why) => held.push(why),
                Refused::Left(why) => left.push(why),
                Refused::Cluster(why) => other.push(why),
            }
        }
        match (left.is_empty(), held.is_empty(), other.is_empty()) {
            (false, ..) => Err(Broken::Left(left)),
            (_, false, _) => Err(Broken::Held(held)),
            (.., false) => Err(Broken::Preflight(other)),
            _ => Ok(()),
        }
    }

    /// Records of runs that are not alive any more.
    async fn left_open(&self, targets: &[Target]) -> Result<Vec<String>, String> {
        let mut left = Vec::new();
        let homes: BTreeSet<&Home> = targets.iter().map(|target| &target.way.home).collect();
        for home in homes {
            let unreadable = |e| format!("the records in {} cannot be read: {e}", home.namespace);
            let cluster = self.world.clusters.open(&home.access).await.map_err(unreadable)?;
            let records = record::all(&*cluster, Some(&home.namespace)).await.map_err(unreadable)?;
            let others = records.into_iter().filter(|record| record.run != self.options.run);
            let others: Vec<record::Record> = others.collect();
            if others.is_empty() {
                continue;
            }
            let now = self.world.clock.stamp().wall;
            let leases = lease::all(&*cluster, Some(&home.namespace)).await.map_err(unreadable)?;
            let lives = |record: &record::Record| {
                let own = leases.iter().filter(|lease| lease::holder(lease) == record.run.as_str());
                own.into_iter().any(|lease| matches!(lease::life(lease, now), lease::Life::Fresh(_)))
            };
            left.extend(others.iter().filter(|r| !lives(r)).map(|record| super::from::left_open(record, home)));
        }
        Ok(left)
    }
}
