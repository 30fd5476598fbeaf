//! The user's own data before and after, as `report.json` shows it.

use crate::analysis::{FingerprintResult, PartResult};
use crate::model::{Change, Expectation, Named, Verdict};
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
