//! Several runs of a drill together: where their measurements lie, and what they support. Pure: samples in, figures out.
//! What may be concluded, and what may not, stands in `docs/statistics.md`.
//!
//! Invariant: a run of which nothing is known counts in every bound as one that took for ever.

mod bound;
mod sample;
mod spread;

pub use bound::{Claim, share_supported};
pub use sample::sample;
pub use spread::{Ends, Spread};

use super::Attribution;
use crate::model::{ClockBasis, DrillName, FaultId, Interval, ObjectiveKind, RunId, RunState, Verdict, WorkloadName};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// What is measured in every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What of it.
    pub kind: ObjectiveKind,
    /// Whose clients.
    pub workload: WorkloadName,
    /// Which clock.
    pub basis: ClockBasis,
    /// After which fault, if the playbook names one.
    pub fault: Option<FaultId>,
}

/// What one run says about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// Nanoseconds, or writes.
    Within(Interval),
    /// It was seen so far and no further.
    AtLeast(i64),
    /// Nothing: the fault did not bite, the record does not verify, the runner could not see.
    Unknown,
    /// The fault never came: no sample at all.
    NotReached,
}

/// A subject in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Of what.
    pub subject: Subject,
    /// The objective, if there is one.
    pub target: Option<i64>,
    /// The figure.
    pub measured: Measured,
    /// Who brought service back.
    pub attribution: Attribution,
    /// Outages until it was sustained; more than one is flapping.
    pub outages: u32,
}

/// A run, as far as statistics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Where.
    pub environment: String,
    /// Parameters as run.
    pub params: BTreeMap<String, String>,
    /// SHA-256 of the resolved playbook, hex.
    pub resolved: String,
    /// SHA-256 of its journal's last line, hex.
    pub head: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// The runner's machine.
    pub host: String,
    /// The tool's version.
    pub tool: String,
    /// Does the drill expect the system to save itself?
    pub expects_failover: bool,
    /// How it ended.
    pub state: RunState,
    /// How it is judged.
    pub verdict: Verdict,
    /// Why its record is not to be believed, if it is not.
    pub doubt: Option<String>,
    /// What it measured.
    pub observations: Vec<Observation>,
}

/// All runs, those of one experiment together.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Experiment by experiment.
    pub groups: Vec<Group>,
    /// Runs that were given more than once and count once.
    pub twice: u64,
}

/// Runs of the same playbook with the same parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The runs, in the order given.
    pub runs: Vec<Sample>,
    /// Subject by subject.
    pub rows: Vec<Row>,
}

/// How often what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Runs in which the fault came: the samples.
    pub runs: u64,
    /// Within the target.
    pub met: u64,
    /// Beyond it.
    pub missed: u64,
    /// Neither, for certain.
    pub undecided: u64,
    /// Measured with both ends.
    pub measured: u64,
    /// Seen so far and no further.
    pub censored: u64,
    /// Of which nothing is known.
    pub unknown: u64,
    /// In which the fault never came, or nothing was touched: no samples.
    pub not_reached: u64,
    /// Service came back by itself.
    pub by_system: u64,
    /// Service came back once the drill had begun to restore, the fault still being there.
    pub by_restore: u64,
    /// Service came back once the fault was removed.
    pub by_heal: u64,
    /// More than one outage until service was sustained.
    pub flapping: u64,
}

/// A subject over all runs of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What.
    pub subject: Subject,
    /// The objective, if there is one.
    pub target: Option<i64>,
    /// Counts.
    pub tally: Tally,
    /// Of the runs that were measured, whole or in part.
    pub spread: Option<Spread>,
    /// What can be claimed, claim by claim.
    pub bounds: Vec<Bound>,
    /// The largest share of all runs for which the largest known figure is a bound: (share, figure).
    pub supported: Option<(f64, i64)>,
}

/// A claim and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The claim.
    pub claim: Claim,
    /// The share lies within this, if the runs say so.
    pub within: Limit,
    /// Does the share meet the target? None without one.
    pub target: Option<Support>,
}

/// A bound, or what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Not more than this.
    Within(i64),
    /// So many more runs, none of them unknown.
    MoreRuns(u64),
    /// So many runs are unknown or without an end, of which at most so many may be.
    TooManyUnknown {
        /// So many are.
        unknown: u64,
        /// So many may be.
        allowed: u64,
        /// So many more runs that are known would do.
        more: u64,
    },
}

/// What the runs say about "this share meets the target".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// They support it.
    Supported,
    /// They do not yet: so many more that meet it would.
    MoreRuns(u64),
    /// They speak against it, with the same confidence.
    Refuted,
}

/// Puts runs of the same experiment together and computes what they say.
#[must_use]
pub fn statistics(samples: Vec<Sample>, claims: &[Claim]) -> Statistics {
    let (mut groups, mut seen, mut twice) = (Vec::<Vec<Sample>>::new(), BTreeSet::new(), 0);
    for sample in samples {
        if !seen.insert((sample.run.clone(), sample.head.clone())) {
            twice += 1;
            continue;
        }
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| alike(first, &sample))) {
            Some(group) => group.push(sample),
            None => groups.push(vec![sample]),
        }
    }
    let groups = groups.into_iter().map(|runs| Group { rows: rows(&runs, claims), runs }).collect();
    Statistics { groups, twice }
}

fn alike(a: &Sample, b: &Sample) -> bool {
    a.drill == b.drill && a.environment == b.environment && a.params == b.params && a.resolved == b.resolved
}

fn rows(runs: &[Sample], claims: &[Claim]) -> Vec<Row> {
    let mut subjects: Vec<&Subject> = Vec::new();
    for observation in runs.iter().flat_map(|run| &run.observations) {
        if !subjects.contains(&&observation.subject) {
            subjects.push(&observation.subject);
        }
    }
    subjects.into_iter().map(|subject| row(subject, runs, claims)).collect()
}

fn row(subject: &Subject, runs: &[Sample], claims: &[Claim]) -> Row {
    let (mut tally, mut ends, mut target) = (Tally::default(), Vec::new(), None);
    for run in runs {
        let found = run.observations.iter().find(|o| o.subject == *subject);
        target = target.or_else(|| found.and_then(|o| o.target));
        // A record that ends before it says anything of it hides whether the fault came.
        let nothing = if run.doubt.is_some() { Measured::Unknown } else { Measured::NotReached };
        let measured = found.map_or(nothing, |o| o.measured);
        if (!run.ran() && run.doubt.is_none()) || measured == Measured::NotReached {
            tally.not_reached += 1;
            continue;
        }
        tally.add(found, measured);
        ends.extend(match measured {
            Measured::Within(i) => Some(Ends { low: i.low, high: Some(i.high) }),
            Measured::AtLeast(low) => Some(Ends { low, high: None }),
            Measured::Unknown | Measured::NotReached => None,
        });
    }
    let mut highs: Vec<i64> = ends.iter().filter_map(|e| e.high).collect();
    highs.sort_unstable();
    let bounds = claims.iter().map(|claim| bound(*claim, &tally, &highs, target)).collect();
    let confidence = claims.first().map_or(0.95, |claim| claim.confidence());
    let supported = highs.last().map(|high| (share_supported(tally.runs, tally.endless(), confidence), *high));
    Row { subject: subject.clone(), target, tally, spread: Spread::of(&ends), bounds, supported }
}

impl Tally {
    fn add(&mut self, found: Option<&Observation>, measured: Measured) {
        self.runs += 1;
        match measured {
            Measured::Within(_) => self.measured += 1,
            Measured::AtLeast(_) => self.censored += 1,
            Measured::Unknown | Measured::NotReached => self.unknown += 1,
        }
        let Some(found) = found else { return };
        match found.verdict() {
            Some(Verdict::Pass) => self.met += 1,
            Some(Verdict::Fail) => self.missed += 1,
            Some(Verdict::Inconclusive) => self.undecided += 1,
            None => {}
        }
        if measured == Measured::Unknown {
            return;
        }
        match found.attribution {
            Attribution::System => self.by_system += 1,
            Attribution::Restore => self.by_restore += 1,
            Attribution::Heal => self.by_heal += 1,
            Attribution::None => {}
        }
        self.flapping += u64::from(found.outages > 1);
    }

    /// Runs that a bound takes to have lasted for ever.
    #[must_use]
    pub fn endless(&self) -> u64 {
        self.censored + self.unknown
    }
}

/// `highs` are the known upper ends, in order; the others have none.
fn bound(claim: Claim, tally: &Tally, highs: &[i64], target: Option<i64>) -> Bound {
    let (n, endless) = (tally.runs, tally.endless());
    let more = |r: u64| claim.needed(r).saturating_sub(n);
    let within = match claim.allowed(n) {
        None => Limit::MoreRuns(more(endless)),
        Some(allowed) if endless > allowed => Limit::TooManyUnknown { unknown: endless, allowed, more: more(endless) },
        // The run with exactly `allowed` above it.
        Some(allowed) => {
            let place = usize::try_from(n - allowed).unwrap_or(usize::MAX);
            highs.get(place.saturating_sub(1)).map_or(Limit::MoreRuns(more(endless)), |high| Limit::Within(*high))
        }
    };
    let support = |_| match n - tally.met {
        not_met if claim.holds(n, not_met) => Support::Supported,
        _ if claim.refuted(n, tally.missed) => Support::Refuted,
        not_met => Support::MoreRuns(more(not_met)),
    };
    Bound { claim, within, target: target.map(support) }
}

#[cfg(test)]
mod tests;
