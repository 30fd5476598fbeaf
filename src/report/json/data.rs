//! The sites of ledgers, the user's own data before and after, and restores, as `report.json` shows them.

use super::Bar;
use super::build::{time, wall};
use crate::analysis::{AtSite, FingerprintResult, PartResult, RestoreResult, SiteResult, SitesResult};
use crate::model::{Change, Expectation, Named, RestorePart, Verdict};
use crate::report::words::seconds;
use schemars::JsonSchema;
use serde::Serialize;

/// A fingerprint of the user's own data, before and after.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Fingerprint {
    name: String,
    kind: String,
    #[schemars(with = "String", extend("enum" = ["same", "any"]))]
    expect: Expectation,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    why: String,
    /// What is counted (`row`, `entry`, …); empty if nothing was found.
    unit: String,
    parts: Vec<Part>,
    /// What differs by name, where there are names; null if nothing does, or nobody knows.
    names: Option<Names>,
    place: String,
}

/// A table, prefix or directory.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    name: String,
    /// Null if it was not there, or nobody knows.
    before: Option<u64>,
    after: Option<u64>,
    #[schemars(with = "Option<String>", extend("enum" = ["same", "gone", "new", "shape", "fewer", "more", "content", null]))]
    change: Option<Change>,
}

/// All that differs counted, the first of it by name.
#[derive(Debug, Serialize, JsonSchema)]
struct Names {
    missing: u64,
    added: u64,
    changed: u64,
    first: Vec<Name>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Name {
    name: String,
    #[schemars(extend("enum" = ["missing", "added", "changed"]))]
    what: &'static str,
}

pub(super) fn fingerprint(f: &FingerprintResult) -> Fingerprint {
    Fingerprint {
        name: f.name.clone(),
        kind: f.kind.clone(),
        expect: f.expect,
        verdict: f.verdict,
        why: f.why.clone(),
        unit: f.unit.clone(),
        parts: f.parts.iter().map(part).collect(),
        names: f.named.as_ref().map(names),
        place: f.place.clone(),
    }
}

fn part(p: &PartResult) -> Part {
    Part { name: p.name.clone(), before: p.before, after: p.after, change: p.change }
}

fn names(n: &Named) -> Names {
    let first = n.first.iter().map(|(name, what)| Name { name: name.clone(), what: what.word() });
    Names { missing: n.missing, added: n.added, changed: n.changed, first: first.collect() }
}

/// The sites of one ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Sites {
    workload: String,
    sites: Vec<Site>,
    /// From the heal until all held the same; null if nobody saw it.
    converged: Option<Bar>,
    /// Where that is null: it takes at least so long.
    at_least: Option<f64>,
    /// They had to hold the same so soon.
    within: Option<f64>,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    why: String,
    place: String,
}

/// One site. Null is "not known".
#[derive(Debug, Serialize, JsonSchema)]
struct Site {
    name: String,
    /// Records that another site or the service had right before the heal, and this one had not.
    lacked: Option<u64>,
    /// The same at the end.
    lacks: Option<u64>,
    /// The first of those, as inclusive runs.
    lacking: Vec<Lacking>,
    /// Acknowledged writes, whichever site took them, that are not there at the end.
    lost: Option<u64>,
    /// RPO actual in time, were this the only site left.
    rpo_time: Option<Bar>,
    /// What clients of this site saw; left out unless the ledger is written at each site.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<AtThisSite>,
    error: Option<String>,
}

/// What clients of one site saw.
#[derive(Debug, Serialize, JsonSchema)]
struct AtThisSite {
    /// `unaffected`: none was refused or kept waiting.
    #[schemars(extend("enum" = ["unaffected", "back", "not_back"]))]
    state: &'static str,
    /// If it is back: from the fault that it took longest after.
    took: Option<Bar>,
    /// If it is not back, or nobody knows: it takes at least so long.
    at_least: Option<f64>,
    downtime: Option<Bar>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Lacking {
    writer: u16,
    from: u64,
    to: u64,
}

pub(super) fn sites(s: &SitesResult) -> Sites {
    Sites {
        workload: s.workload.0.clone(),
        sites: s.sites.iter().map(site).collect(),
        converged: s.converged.map(time),
        at_least: s.at_least.map(seconds),
        within: s.within.map(seconds),
        verdict: s.verdict,
        why: s.why.clone(),
        place: s.place.clone(),
    }
}

fn site(s: &SiteResult) -> Site {
    Site {
        name: s.name.clone(),
        lacked: s.lacked,
        lacks: s.lacks,
        lacking: s.lacking.iter().map(|&(writer, from, to)| Lacking { writer, from, to }).collect(),
        lost: s.lost,
        rpo_time: s.rpo_time.map(time),
        service: s.service.map(|service| at_site(service, s)),
        error: s.error.clone(),
    }
}

fn at_site(service: AtSite, s: &SiteResult) -> AtThisSite {
    let (state, took, at_least) = match service {
        AtSite::Unaffected => ("unaffected", None, None),
        AtSite::Back(took) => ("back", Some(time(took)), None),
        AtSite::NotBack(at_least) => ("not_back", None, at_least.map(seconds)),
    };
    AtThisSite { state, took, at_least, downtime: s.downtime.map(time) }
}

/// A restore. What it says of itself stands beside what was measured, never in its place.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Restore {
    step: String,
    name: String,
    kind: String,
    /// Its parts that ended, in order.
    parts: Vec<RestorePartTime>,
    /// All of them together.
    seconds: f64,
    /// The backup as its tool calls it.
    backup: String,
    /// When the backup was complete.
    taken: Option<String>,
    /// Everything that was committed up to then is in it, by the server's word and clock.
    recovered_to: Option<String>,
    /// Where in the log that is.
    position: Option<String>,
    /// The loss that follows from that, in seconds before the fault, by wall clocks.
    claimed_loss: Option<Bar>,
    /// What a disaster at the worst moment of the backups' history would have cost; null if nobody can say.
    exposure: Option<RestoreExposure>,
    /// Why nobody can say.
    exposure_unknown: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RestorePartTime {
    #[schemars(with = "String", extend("enum" = ["locate", "fetch", "start", "replay", "ready", "load", "verify"]))]
    part: RestorePart,
    seconds: f64,
    bytes: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RestoreExposure {
    /// In seconds.
    worst: Bar,
    /// Recovery points in the history.
    points: u64,
    /// Places at which something that was archived before is missing.
    holes: u64,
    from: String,
    to: String,
}

pub(super) fn restore(r: &RestoreResult) -> Restore {
    let claim = &r.claim;
    let known = claim.exposure.as_ref().and_then(|exposure| exposure.as_ref().ok());
    let part =
        |p: &crate::analysis::PartTime| RestorePartTime { part: p.part, seconds: seconds(p.took), bytes: p.bytes };
    Restore {
        step: r.step.to_string(),
        name: r.name.clone(),
        kind: r.kind.clone(),
        parts: r.parts.iter().map(part).collect(),
        seconds: seconds(r.took()),
        backup: claim.backup.clone(),
        taken: claim.taken.map(wall),
        recovered_to: claim.recovered_to.map(wall),
        position: claim.position.clone(),
        claimed_loss: r.claimed.map(time),
        exposure: known.map(|e| RestoreExposure {
            worst: time(e.worst),
            points: e.points,
            holes: e.holes,
            from: wall(e.from),
            to: wall(e.to),
        }),
        exposure_unknown: claim.exposure.as_ref().and_then(|exposure| exposure.as_ref().err().cloned()),
        error: r.error.clone(),
    }
}
