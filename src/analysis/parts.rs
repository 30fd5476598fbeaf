//! A ledger that is written at each of its sites: every site owes every acknowledged record, whoever took it, and the worst
//! site decides.

use super::ObjectiveResult;
use super::types::{LedgerResult, Recovery};
use crate::event::WorkloadSeal;
use crate::model::{Action, Interval, Mono, OpRecord, Ops};
use std::borrow::Cow;

/// What clients were told, and by whom the writes were made.
pub(super) struct Told<'a> {
    pub ops: Cow<'a, Ops>,
    /// Whose writes these are, and the last moment that each one's log knows of.
    pub writers: Vec<(&'a WorkloadSeal, Mono)>,
}

impl<'a> Told<'a> {
    /// For a site of several the writes of all, with the reads of its own; for everything else its operations.
    pub fn of(
        seal: &'a WorkloadSeal,
        all: &'a [WorkloadSeal],
        own: Cow<'a, Ops>,
        usable: impl Fn(&WorkloadSeal) -> Cow<'a, Ops>,
    ) -> Self {
        let last = |ops: &Ops| ops.bounds().1;
        let Some(site) = &seal.site else {
            let writers = vec![(seal, last(&own))];
            return Self { ops: own, writers };
        };
        let (mut ops, mut writers) = (Ops::new(), Vec::new());
        let parts = all.iter().filter(|part| part.site.as_ref().is_some_and(|other| other.of == site.of));
        for part in parts {
            let theirs = if part.name == seal.name { Cow::Borrowed(&*own) } else { usable(part) };
            writers.push((part, last(&theirs)));
            let wanted = |op: &OpRecord| part.name == seal.name || op.action == Action::Write;
            theirs.iter().filter(wanted).for_each(|op| ops.push(op));
        }
        ops.sort();
        Self { ops: Cow::Owned(ops), writers }
    }

    /// Writes a second.
    pub fn rate(&self) -> f64 {
        self.writers.iter().map(|(seal, _)| seal.rate).sum()
    }
}

/// What a site's own copy cost, where that is more than what the service shows.
pub(super) type Copy = (String, LedgerResult);

/// How service came back at a site, after the fault that it took longest after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtSite {
    /// None of its clients was refused or kept waiting.
    Unaffected,
    /// So long after the fault.
    Back(Interval),
    /// Not, or nobody knows; it takes at least so long if that is known.
    NotBack(Option<i64>),
}

/// None if nothing was broken.
pub(super) fn at_site(recoveries: &[Recovery]) -> Option<AtSite> {
    let took: Option<Vec<Interval>> = recoveries.iter().map(|recovery| recovery.sustained).collect();
    let least = || recoveries.iter().filter_map(|recovery| recovery.at_least).max();
    match took {
        None => Some(AtSite::NotBack(least())),
        Some(took) if recoveries.iter().all(|recovery| recovery.unnoticed) => {
            (!took.is_empty()).then_some(AtSite::Unaffected)
        }
        Some(took) => took.into_iter().max_by_key(|took| took.high).map(AtSite::Back),
    }
}

/// The worst of what one objective came to at several places; what each is called, none for what clients see.
pub(super) fn worst(each: Vec<(Option<&str>, ObjectiveResult)>) -> Option<ObjectiveResult> {
    let names: Vec<&str> = each.iter().filter_map(|(name, _)| *name).collect();
    let several = each.len() > 1;
    let all_sites = names.len() == each.len();
    let rank = |result: &ObjectiveResult| (result.verdict, result.actual.map_or(i64::MAX, |actual| actual.high));
    let mut worst: Option<(Option<&str>, ObjectiveResult)> = None;
    for (name, result) in each {
        // Of equals the first.
        if worst.as_ref().is_none_or(|(_, so_far)| rank(&result) > rank(so_far)) {
            worst = Some((name, result));
        }
    }
    let (name, mut result) = worst?;
    result.why = match name.filter(|_| several) {
        Some(name) if all_sites => format!("{}; at `{name}`, the worst of {}", result.why, names.join(", ")),
        Some(name) => format!("{}; at the site `{name}`, which is worse than what clients see", result.why),
        None => result.why,
    };
    Some(result)
}
