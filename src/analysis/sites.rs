//! Ledgers with several sites: what each lacks that another has, at the heal and at the end, and how long it took from the
//! heal until all held the same.
//!
//! Invariant: a site that could not be read lacks nobody knows how much, never nothing.

use super::parts::{AtSite, at_site};
use super::workload::Measurement;
use super::{Analysis, LedgerResult, ObjectiveResult, Reason, Record};
use crate::event::{
    Event, ReadBack, ReadBackDone, ReadBackStage, RunStarted, SitesLook, SitesSeal, What, WorkloadSeal, WriterFindings,
};
use crate::model::{Action, Interval, ObjectiveKind, Ops, Outcome, RunState, Verdict, WorkloadName, figure};
use std::collections::{BTreeMap, BTreeSet};

/// So many runs of what a site lacks are shown.
const SHOWN: usize = 20;
/// What clients see: a read-back of no site in particular.
const SERVICE: &str = "service";

/// The sites of one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitesResult {
    /// Which ledger.
    pub workload: WorkloadName,
    /// Site by site, in the order of their names.
    pub sites: Vec<SiteResult>,
    /// From the heal until all held the same, in nanoseconds; none if that was not seen.
    pub converged: Option<Interval>,
    /// Where that is none although they were looked at: it takes at least so long.
    pub at_least: Option<i64>,
    /// They had to hold the same so soon, if the playbook says so.
    pub within: Option<i64>,
    /// How it is judged.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub why: String,
    /// `file:line`.
    pub place: String,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteResult {
    /// Its name.
    pub name: String,
    /// Records that another site or the service had, and this one had not, right before the heal.
    pub lacked: Option<u64>,
    /// The same at the end.
    pub lacks: Option<u64>,
    /// Of those that it lacks at the end, the first runs: writer, first and last sequence number.
    pub lacking: Vec<(u16, u64, u64)>,
    /// Acknowledged writes, whoever took them, that are not there at the end.
    pub lost: Option<u64>,
    /// RPO actual in time, were it the only site left.
    pub rpo_time: Option<Interval>,
    /// How service came back here, if the ledger is written at each site and something was broken.
    pub service: Option<AtSite>,
    /// How long it was down here in all, if the ledger is written at each site.
    pub downtime: Option<Interval>,
    /// Why it could not be read at the end.
    pub error: Option<String>,
}

/// Every ledger with sites.
pub(super) fn all(
    run: &RunStarted,
    record: &Record,
    measured: &[Measurement],
    objectives: &[ObjectiveResult],
) -> Vec<SitesResult> {
    let result = |seal: &SitesSeal| Around::of(seal, run, record, measured).result(objectives);
    run.sites.iter().map(result).collect()
}

/// One ledger with sites, and everything that is known of it.
struct Around<'a> {
    seal: &'a SitesSeal,
    record: &'a Record,
    /// The workloads that it consists of, if it is written at each site.
    parts: Vec<&'a WorkloadSeal>,
    measured: Vec<&'a Measurement<'a>>,
}

impl<'a> Around<'a> {
    fn of(seal: &'a SitesSeal, run: &'a RunStarted, record: &'a Record, measured: &'a [Measurement<'a>]) -> Self {
        let part = |part: &&WorkloadSeal| part.site.as_ref().is_some_and(|site| site.of == seal.workload);
        let parts: Vec<&WorkloadSeal> = run.workloads.iter().filter(part).collect();
        let ours =
            |m: &&Measurement| m.result.name == seal.workload || parts.iter().any(|part| part.name == m.result.name);
        let measured = measured.iter().filter(ours).collect();
        Self { seal, record, parts, measured }
    }

    /// The operations logs of all that write to it.
    fn logs(&self) -> Vec<&'a Ops> {
        let names = self.parts.iter().map(|part| &part.name).chain([&self.seal.workload]);
        names.filter_map(|name| self.record.ops.get(name)).collect()
    }

    fn result(&self, objectives: &[ObjectiveResult]) -> SitesResult {
        let (seal, record) = (self.seal, self.record);
        let (early, last) = (self.copies(ReadBackStage::Early), self.copies(ReadBackStage::Final));
        let frontier = self.frontier(&early);
        let site = |name: &String| {
            let lacking = last.lacking(name, None);
            let part = self.part(name);
            let found = last.found.get(name.as_str());
            let lost = found
                .filter(|_| !self.logs().is_empty())
                .map(|found| self.logs().into_iter().map(|ops| lost(ops, found)).fold(0, u64::saturating_add));
            SiteResult {
                name: name.clone(),
                lacked: frontier.as_ref().and_then(|upto| early.lacking(name, Some(upto))).map(|runs| count(&runs)),
                lacks: lacking.as_ref().map(|runs| count(runs)),
                lacking: lacking.unwrap_or_default().into_iter().take(SHOWN).collect(),
                lost,
                rpo_time: self.books(name, lost).and_then(|ledger| ledger.rpo_time),
                service: part.and_then(|part| at_site(&part.result.recoveries)),
                downtime: part.map(|part| part.result.downtime),
                error: last.errors.get(name.as_str()).cloned(),
            }
        };
        let sites: Vec<SiteResult> = seal.sites.iter().map(site).collect();
        let looks = looks(seal, &record.events);
        let (mut converged, at_least) = convergence(&looks);
        let differ = sites.iter().any(|site| site.lacks.is_some_and(|lacks| lacks > 0));
        if differ {
            // The counts were the same, or became so only afterwards; the records are not.
            converged = None;
        }
        let within = seal.within.map(|d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
        let limits = Limits { within, rpo: self.has_rpo(objectives) };
        let (verdict, why) = judge(&sites, converged, at_least, limits);
        let place = format!("{}:{}", seal.file, seal.line);
        SitesResult { workload: seal.workload.clone(), sites, converged, at_least, within, verdict, why, place }
    }

    /// What is measured of the clients of one site, if they have one of their own.
    fn part(&self, site: &str) -> Option<&'a Measurement<'a>> {
        let part = self.parts.iter().find(|part| part.site.as_ref().is_some_and(|own| own.name == site))?;
        self.measured.iter().copied().find(|m| m.result.name == part.name)
    }

    /// What the site's own copy cost.
    fn books(&self, site: &str, lost: Option<u64>) -> Option<&'a LedgerResult> {
        if let Some(part) = self.part(site) {
            return part.result.ledger.as_ref();
        }
        let whole = self.measured.iter().copied().find(|m| m.result.name == self.seal.workload)?;
        let copy = whole.copies.iter().find(|(name, _)| name == site).map(|(_, ledger)| ledger);
        // A copy that lost nothing has the books of a service that lost nothing.
        copy.or(whole.result.ledger.as_ref().filter(|ledger| lost == Some(0) && ledger.lost == Some(0)))
    }

    /// Does an objective say how much of it may be lost?
    fn has_rpo(&self, objectives: &[ObjectiveResult]) -> bool {
        let ours = |o: &&ObjectiveResult| o.objective.workload == self.seal.workload;
        objectives.iter().filter(ours).any(|o| o.objective.kind != ObjectiveKind::Rto)
    }

    /// The highest number by writer of what was there before any copy was read. What is newer would be missing only
    /// because the sites are read one by one.
    fn frontier(&self, early: &Copies) -> Option<BTreeMap<u16, u64>> {
        if self.parts.is_empty() {
            // The service was read first.
            return early.found.get(SERVICE).map(|found| highest(found));
        }
        // There is none: what had been acknowledged when the first copy was begun was there.
        let began = early.began?;
        let mut highest: BTreeMap<u16, u64> = BTreeMap::new();
        for ops in self.logs() {
            let told = |place: &usize| ops.action(*place) == Action::Write && ops.outcome(*place) == Outcome::Ok;
            let before = (0..ops.len()).filter(told).filter(|place| ops.done(*place).0 < began);
            for key in before.filter_map(|place| ops.key(place)) {
                let last = highest.entry(key.writer).or_default();
                *last = key.seq.max(*last);
            }
        }
        Some(highest)
    }

    fn copies(&self, stage: ReadBackStage) -> Copies<'a> {
        let (mut found, mut errors, mut began) = (BTreeMap::new(), BTreeMap::new(), None::<i64>);
        let ours = |done: &&ReadBackDone| {
            let own = done.workload == self.seal.workload || self.parts.iter().any(|part| part.name == done.workload);
            own && done.stage == stage
        };
        let done = self.record.events.iter().filter_map(|event| match &event.what {
            What::ReadBack(done) => Some(done),
            _ => None,
        });
        for done in done.filter(ours) {
            match done.file.as_ref().and_then(|file| self.record.read_backs.get(file)) {
                Some(read_back) => {
                    found.insert(done.site.as_str(), read_back);
                    began = began.into_iter().chain(done.began.map(|at| at.0)).min();
                }
                None => {
                    let why = done.error.clone().unwrap_or_else(|| "its file does not verify".to_owned());
                    errors.insert(done.site.as_str(), why);
                }
            }
        }
        Copies { found, errors, began }
    }
}

/// What was read back at one stage, by site.
struct Copies<'a> {
    found: BTreeMap<&'a str, &'a ReadBack>,
    errors: BTreeMap<&'a str, String>,
    /// When the first of them was begun.
    began: Option<i64>,
}

impl Copies<'_> {
    /// Runs of what others have, and this site has not; none if it was not read, or no other was.
    fn lacking(&self, site: &str, upto: Option<&BTreeMap<u16, u64>>) -> Option<Vec<(u16, u64, u64)>> {
        let own = self.found.get(site)?;
        let others: Vec<&ReadBack> =
            self.found.iter().filter(|(name, _)| **name != site).map(|(_, found)| *found).collect();
        if others.is_empty() {
            return None;
        }
        let writers: BTreeSet<u16> = others.iter().flat_map(|found| found.writers.keys().copied()).collect();
        let mut runs = Vec::new();
        for writer in writers {
            let last = upto.map_or(Some(u64::MAX), |upto| upto.get(&writer).copied());
            let Some(last) = last else { continue };
            let theirs = union(others.iter().filter_map(|found| found.writers.get(&writer)));
            let ours = own.writers.get(&writer).map_or(&[][..], |found| &found.present);
            runs.extend(minus(&theirs, ours, last).into_iter().map(|(from, to)| (writer, from, to)));
        }
        Some(runs)
    }
}

fn highest(found: &ReadBack) -> BTreeMap<u16, u64> {
    found.writers.iter().filter_map(|(writer, of)| Some((*writer, of.present.last()?.1))).collect()
}

fn count(runs: &[(u16, u64, u64)]) -> u64 {
    runs.iter().fold(0, |sum, (_, from, to)| sum.saturating_add(to - from).saturating_add(1))
}

/// All that any of them has, as ascending runs.
fn union<'a>(each: impl Iterator<Item = &'a WriterFindings>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = each.flat_map(|found| found.present.iter().copied()).collect();
    runs.sort_unstable();
    let mut whole: Vec<(u64, u64)> = Vec::new();
    for (from, to) in runs {
        match whole.last_mut() {
            Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
            _ => whole.push((from, to)),
        }
    }
    whole
}

/// What is in the first list and not in the second, up to a number; both ascend.
fn minus(all: &[(u64, u64)], own: &[(u64, u64)], upto: u64) -> Vec<(u64, u64)> {
    let (mut left, mut place) = (Vec::new(), 0);
    for (from, to) in all.iter().map(|(from, to)| (*from, (*to).min(upto))).filter(|(from, to)| from <= to) {
        let mut next = Some(from);
        while own.get(place).is_some_and(|(_, end)| *end < from) {
            place += 1;
        }
        for (start, end) in own[place..].iter().take_while(|(start, _)| *start <= to) {
            if let Some(at) = next.filter(|at| at < start) {
                left.push((at, start - 1));
            }
            next = end.checked_add(1).filter(|at| *at <= to);
        }
        left.extend(next.map(|at| (at, to)));
    }
    left
}

/// Acknowledged writes that this copy has not.
fn lost(ops: &Ops, found: &ReadBack) -> u64 {
    let gone = |place: &usize| {
        let key = ops.key(*place).filter(|_| ops.action(*place) == Action::Write);
        let Some(key) = key.filter(|_| ops.outcome(*place) == Outcome::Ok) else { return false };
        let runs = found.writers.get(&key.writer).map_or(&[][..], |of| &of.present);
        runs.get(runs.partition_point(|(_, to)| *to < key.seq)).is_none_or(|(from, _)| *from > key.seq)
    };
    (0..ops.len()).filter(gone).count() as u64
}

/// The looks after the last heal.
fn looks<'a>(seal: &SitesSeal, events: &'a [Event]) -> Vec<&'a SitesLook> {
    let ours = events.iter().filter_map(|event| match &event.what {
        What::Sites(look) if look.workload == seal.workload => Some(look),
        _ => None,
    });
    let all: Vec<&SitesLook> = ours.collect();
    let last = all.last().map(|look| look.since);
    all.into_iter().filter(|look| Some(look.since) == last).collect()
}

/// Between the last look that differed and the first that was the same; or at least until the last look.
fn convergence(looks: &[&SitesLook]) -> (Option<Interval>, Option<i64>) {
    let Some(first) = looks.iter().position(|look| look.same) else {
        return (None, looks.last().map(|look| (look.span.lo - look.since).max(0)));
    };
    let before = first.checked_sub(1).map_or(0, |at| looks[at].span.lo - looks[at].since);
    let same = looks[first];
    (Interval::between(before, same.span.hi - same.since), None)
}

/// What the playbook says of sites that differ.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// They must hold the same so soon.
    within: Option<i64>,
    /// Does an objective limit what may be lost? It is judged at every site.
    rpo: bool,
}

fn judge(
    sites: &[SiteResult],
    converged: Option<Interval>,
    at_least: Option<i64>,
    limits: Limits,
) -> (Verdict, String) {
    if let Some(unread) = sites.iter().find(|site| site.lacks.is_none()) {
        let why = unread.error.as_deref().unwrap_or("it was not read back");
        return (Verdict::Inconclusive, format!("the site `{}` is not known at the end: {why}", unread.name));
    }
    let differing: Vec<&SiteResult> = sites.iter().filter(|site| site.lacks.is_some_and(|lacks| lacks > 0)).collect();
    if !differing.is_empty() {
        return differ(&differing, limits);
    }
    let within = limits.within;
    match (converged, within) {
        (Some(took), Some(limit)) if took.low > limit => {
            (Verdict::Fail, format!("they held the same only {} after the heal", figure::at_least(took.low)))
        }
        (Some(took), Some(limit)) if took.high > limit => {
            let why = "whether they held the same in time lies between two looks";
            (Verdict::Inconclusive, format!("{why}: {} to {}", figure::at_least(took.low), figure::at_most(took.high)))
        }
        (Some(took), _) => {
            (Verdict::Pass, format!("all held the same at most {} after the heal", figure::at_most(took.high)))
        }
        (None, Some(limit)) if at_least.is_some_and(|at_least| at_least > limit) => {
            let at_least = at_least.unwrap_or_default();
            (Verdict::Fail, format!("they did not hold the same {} after the heal", figure::at_least(at_least)))
        }
        (None, Some(_)) => (Verdict::Inconclusive, "nobody saw when they held the same".to_owned()),
        (None, None) => (Verdict::Pass, "all hold the same at the end".to_owned()),
    }
}

/// Sites that differ when the load is over and they had time to agree: no drill may pass over that in silence.
fn differ(sites: &[&SiteResult], limits: Limits) -> (Verdict, String) {
    let each = sites.iter().map(|site| {
        let (lacks, lost) = (site.lacks.unwrap_or_default(), site.lost.unwrap_or_default());
        let acknowledged = if lost > 0 { format!("; {lost} acknowledged writes are not there") } else { String::new() };
        format!("`{}` lacks {lacks} records that another site has{acknowledged}", site.name)
    });
    let said = format!("{} at the end", each.collect::<Vec<_>>().join(", "));
    let promised = sites.iter().all(|site| site.lost.is_some_and(|lost| lost > 0));
    match limits {
        Limits { within: Some(_), .. } => (Verdict::Fail, said),
        Limits { rpo: true, .. } if promised => (Verdict::Pass, format!("{said}: counted as loss at that site")),
        _ => (Verdict::Inconclusive, format!("{said}; `converge` or an `rpo` would say whether they may")),
    }
}

/// What a reader must be told. A run that ended before its end says that itself.
pub(super) fn reasons(analysis: &Analysis) -> Vec<Reason> {
    if analysis.state != RunState::Ended {
        return Vec::new();
    }
    let judged = analysis.sites.iter().filter(|sites| sites.verdict != Verdict::Pass);
    let reason = |sites: &SitesResult| {
        let text = format!("the sites of `{}`: {}", sites.workload, sites.why);
        Reason { verdict: sites.verdict, text, place: Some(sites.place.clone()) }
    };
    judged.map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mono, Span};
    use proptest::prelude::*;

    fn runs(numbers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
        let each: Vec<WriterFindings> =
            numbers.iter().map(|n| WriterFindings { present: vec![(*n, *n)], ..WriterFindings::default() }).collect();
        union(each.iter())
    }

    proptest! {
        /// Against sets, number by number.
        #[test]
        fn what_is_lacking_is_exactly_the_difference(
            all in prop::collection::btree_set(0_u64..40, 0..40),
            own in prop::collection::btree_set(0_u64..40, 0..40),
            upto in 0_u64..45,
        ) {
            let left = minus(&runs(&all), &runs(&own), upto);
            let listed: Vec<u64> = left.iter().flat_map(|(from, to)| *from..=*to).collect();
            let truth: Vec<u64> = all.difference(&own).copied().filter(|n| *n <= upto).collect();
            prop_assert_eq!(listed, truth);
        }
    }

    fn look(at: i64, same: bool) -> SitesLook {
        let span = Span::new(Mono(at), Mono(at + 10));
        SitesLook { workload: "w".into(), since: Mono(1_000), span, same, sites: BTreeMap::new() }
    }

    #[test]
    fn convergence_lies_between_two_looks() {
        let (first, last, same) = (look(1_005, false), look(3_000, false), look(3_200, true));
        let took = |looks: &[&SitesLook]| convergence(looks);
        let between = Interval::between(2_000, 2_210);
        assert_eq!(took(&[&first, &last, &same]), (between, None));
        assert_eq!(took(&[&same]), (Interval::between(0, 2_210), None), "the same at the first look");
        assert_eq!(took(&[&first, &last]), (None, Some(2_000)));
        assert_eq!(took(&[]), (None, None));
    }

    fn site(name: &str, lacks: Option<u64>) -> SiteResult {
        SiteResult {
            name: name.to_owned(),
            lacked: None,
            lacks,
            lacking: Vec::new(),
            lost: lacks,
            rpo_time: None,
            service: None,
            downtime: None,
            error: None,
        }
    }

    #[test]
    fn a_limit_is_met_missed_or_undecided_and_what_was_not_read_is_no_pass() {
        let same = [site("a", Some(0)), site("b", Some(0))];
        let took = Interval::between(2_000, 2_210);
        let verdict = |sites: &[SiteResult], took, at_least, within| {
            judge(sites, took, at_least, Limits { within, rpo: false }).0
        };
        assert_eq!(verdict(&same, took, None, Some(2_210)), Verdict::Pass);
        assert_eq!(verdict(&same, took, None, Some(2_100)), Verdict::Inconclusive);
        assert_eq!(verdict(&same, took, None, Some(1_999)), Verdict::Fail);
        assert_eq!(verdict(&same, took, None, None), Verdict::Pass);
        assert_eq!(verdict(&same, None, Some(9_000), Some(2_000)), Verdict::Fail);
        assert_eq!(verdict(&same, None, Some(1_000), Some(2_000)), Verdict::Inconclusive);
        assert_eq!(verdict(&same, None, None, None), Verdict::Pass);
        let differ = [site("a", Some(3)), site("b", Some(0))];
        assert_eq!(verdict(&differ, None, None, Some(2_000)), Verdict::Fail);
        assert_eq!(verdict(&differ, None, None, None), Verdict::Inconclusive, "no clean pass");
        assert_eq!(verdict(&[site("a", None), site("b", Some(0))], took, None, None), Verdict::Inconclusive);
    }

    #[test]
    fn what_a_site_lacks_for_good_is_loss_there_or_needs_a_word_of_the_playbook() {
        let (promised, not) = (site("a", Some(3)), SiteResult { lost: Some(0), ..site("a", Some(3)) });
        let verdict = |site: &SiteResult, within, rpo| {
            judge(&[site.clone(), super::tests::site("b", Some(0))], None, None, Limits { within, rpo })
        };
        assert_eq!(verdict(&promised, None, true).0, Verdict::Pass, "the objective judges it at that site");
        assert_eq!(
            verdict(&not, None, true).0,
            Verdict::Inconclusive,
            "nobody was promised it: no loss, and not the same"
        );
        assert_eq!(verdict(&promised, Some(1), true).0, Verdict::Fail);
        let (_, why) = verdict(&promised, None, false);
        assert!(why.contains("`a` lacks 3 records") && why.contains("3 acknowledged writes are not there"), "{why}");
    }
}
