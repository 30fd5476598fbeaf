//! What stands in the place of a run whose files were removed on purpose: `TOMBSTONE.json`, the run's manifest, its list of
//! digests and its signature. Writing one is `prune`'s business.

use super::files::{Files, known, load, read_manifest, read_sums};
use super::finding::{Checked, Kind, Level};
use super::runs::Place;
use super::{Policy, addenda, signed, stamps};
use crate::evidence::manifest::{self, Manifest};
use crate::evidence::sums;
pub(super) use crate::evidence::tombstone::FILE;
use crate::evidence::tombstone::{Tombstone, VERSION};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;
use std::path::Path;

/// Checks a tombstone; its place in the chain is that of its manifest.
pub(super) fn check(dir: &Path, files: &Files, policy: &Policy<'_>, seen: &mut Checked) -> Place {
    let manifest = read_manifest(dir, files, seen);
    let sums = read_sums(dir, files, seen);
    for path in files.keys().filter(|path| !kept(path)) {
        seen.find(Kind::Added, path, "it was removed, or never part of the run");
    }
    let Some(tombstone) = read(dir, files, seen) else { return Place::default() };
    (seen.run, seen.drill) = (Some(tombstone.run.clone()), Some(tombstone.drill.clone()));
    (seen.environment, seen.exit_code) = (Some(tombstone.environment.clone()), tombstone.exit_code);
    let (Some(sealed), Some(manifest)) = (&tombstone.manifest, &manifest) else {
        without_manifest(&tombstone, seen);
        return Place { chain: tombstone.chain, ..Place::default() };
    };
    against(&tombstone, sealed, manifest, seen);
    match sums.as_ref().map(|sums| sums.get(manifest::FILE)) {
        Some(sum) if sum == seen.manifest.as_ref() => {}
        Some(_) => seen.find(Kind::Changed, manifest::FILE, "SHA256SUMS, which was kept, has another digest"),
        None => seen.find(Kind::Missing, sums::FILE, "a tombstone keeps it, and it is not here"),
    }
    signed::check(dir, files, (None, began(tombstone.run.as_str())), policy, seen);
    stamps::check(dir, files, policy, seen);
    addenda::check(dir, files, &manifest.replaces, policy, seen);
    if seen.level().is_none_or(|level| level < Level::Broken) {
        seen.find(Kind::Pruned, FILE, "its files were removed on purpose; manifest and digests stand for it");
    }
    Place { chain: manifest.chain.clone(), name: String::new(), replaces: manifest.replaces.clone() }
}

/// What stays of a run.
fn kept(path: &str) -> bool {
    [FILE, manifest::FILE].contains(&path) || super::files::beside(path)
}

fn read(dir: &Path, files: &Files, seen: &mut Checked) -> Option<Tombstone> {
    let bytes = load(dir, files, FILE).unwrap_or_default();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Err((kind, why)) = known(value["schema"].as_str(), VERSION) {
        let kind = if kind == Kind::NewerFormat { kind } else { Kind::Tombstone };
        seen.find(kind, FILE, why);
        return None;
    }
    let read = serde_json::from_value(value);
    read.map_err(|error| seen.find(Kind::Tombstone, FILE, format!("it is no tombstone: {error}"))).ok()
}

fn without_manifest(tombstone: &Tombstone, seen: &mut Checked) {
    match (&tombstone.manifest, &seen.manifest) {
        (None, None) => {
            seen.find(Kind::Unsealed, FILE, "the run was removed and had never been sealed: nothing vouches for it");
        }
        (None, Some(_)) => {
            seen.find(Kind::Tombstone, FILE, "it says that the run was never sealed, and a manifest lies here")
        }
        (Some(_), None) => {
            seen.find(Kind::Missing, manifest::FILE, "a tombstone stands on its run's manifest, and that is not here");
        }
        // The manifest is no manifest; that has been said.
        (Some(_), Some(_)) => {}
    }
}

/// The tombstone says what the manifest says.
fn against(tombstone: &Tombstone, sealed: &str, manifest: &Manifest, seen: &mut Checked) {
    if Some(sealed) != seen.manifest.as_deref() {
        seen.find(Kind::Tombstone, FILE, "it stands for another manifest than the one that lies here");
    }
    let same = tombstone.run == manifest.run
        && tombstone.drill == manifest.drill
        && tombstone.environment == manifest.environment
        && tombstone.chain == manifest.chain
        && tombstone.journal_head == manifest.journal_head
        && tombstone.exit_code.is_none_or(|code| code == manifest.exit_code);
    if !same {
        let what = "run, drill, environment, place in the chain, head or exit code are not those of the manifest";
        seen.find(Kind::Tombstone, FILE, what);
    }
}

/// A run's name begins with the time at which it began: without its record nothing tells more.
fn began(run: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(run.split('-').next()?, "%Y%m%dT%H%M%SZ").ok().map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_when_the_run_began() {
        assert_eq!(began("20261121T041443Z-afgei"), "2026-11-21T04:14:43Z".parse().ok());
        assert_eq!(began("run-1"), None);
    }
}
