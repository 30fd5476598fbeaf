//! Which workloads a chart shows, and which of them belong together: one that is seen from several places, or written at
//! several sites, is one thing to its reader.

use crate::analysis::{Analysis, WorkloadResult};
use crate::event::WorkloadSeal;

/// A workload as the playbook calls it, with all places that it was seen from.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// As the playbook calls it.
    pub(super) name: &'a str,
    /// One, or one for each place.
    pub(super) members: Vec<&'a WorkloadResult>,
}

impl Group<'_> {
    /// `page, from 3 places`
    pub(super) fn title(&self) -> String {
        match self.members.len() {
            1 => self.name.to_owned(),
            n => format!("{}, {n} places", self.name),
        }
    }
}

/// What was sealed of a workload.
pub(super) fn seal<'a>(a: &'a Analysis, w: &WorkloadResult) -> Option<&'a WorkloadSeal> {
    a.run.workloads.iter().find(|seal| seal.name == w.name)
}

/// Where a workload was seen from or written at, if the playbook names places.
pub(super) fn place<'a>(a: &'a Analysis, w: &WorkloadResult) -> Option<&'a str> {
    let seal = seal(a, w)?;
    let vantage = seal.vantage.as_ref().map(|vantage| vantage.name.as_str());
    vantage.or(seal.site.as_ref().map(|site| site.name.as_str()))
}

/// All of them, in the playbook's order.
pub(super) fn all(a: &Analysis) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for w in &a.workloads {
        let name = seal(a, w).map_or(w.name.as_str(), |seal| seal.whole().as_str());
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) if place(a, w).is_some() => group.members.push(w),
            _ => groups.push(Group { name, members: vec![w] }),
        }
    }
    groups
}

/// Those that a reader must see if not all have room: what objectives are about first, then what was down longest. In
/// their own order, and how many were left out.
pub(super) fn foremost<T>(of: Vec<T>, most: usize, weight: impl Fn(&T) -> (bool, i64)) -> (Vec<T>, usize) {
    if of.len() <= most {
        return (of, 0);
    }
    let mut order: Vec<(usize, (bool, i64))> = of.iter().map(weight).enumerate().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let kept: std::collections::BTreeSet<usize> = order.iter().take(most).map(|(i, _)| *i).collect();
    let left = of.len() - kept.len();
    (of.into_iter().enumerate().filter(|(i, _)| kept.contains(i)).map(|(_, one)| one).collect(), left)
}

/// How much a workload matters to a reader.
pub(super) fn weight(a: &Analysis, w: &WorkloadResult) -> (bool, i64) {
    let whole = seal(a, w).map_or(&w.name, |seal| seal.whole());
    (a.objectives.iter().any(|o| o.objective.workload == *whole), w.downtime.high)
}

/// The same of a group: its worst place.
pub(super) fn weight_of(a: &Analysis, group: &Group<'_>) -> (bool, i64) {
    group.members.iter().map(|w| weight(a, w)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stay_in_their_own_order() {
        let weights = [(false, 3), (true, 0), (false, 9), (false, 1)];
        assert_eq!(foremost(weights.to_vec(), 2, |w| *w), (vec![(true, 0), (false, 9)], 2));
        assert_eq!(foremost(weights.to_vec(), 4, |w| *w), (weights.to_vec(), 0));
    }
}
