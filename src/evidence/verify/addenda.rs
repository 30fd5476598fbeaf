//! What people added to a run: numbered, each about this manifest and naming the one before it, each with its signature.

use super::files::{Files, known, load};
use super::finding::{Area, Checked, Finding, Kind, Level};
use super::signed::{Worth, judge};
use super::{Policy, Requirement};
use crate::evidence::addendum::{self, Addendum};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// An addendum's file, or its signature's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Addendum,
    Signature,
}

/// Number and part, if this is how files in `addenda/` are named: `0001-review.json`, `0001-review.json.sig`.
pub(super) fn named(name: &str) -> Option<(u32, Part)> {
    let (base, part) = match name.strip_suffix(".sig") {
        Some(base) => (base, Part::Signature),
        None => (name, Part::Addendum),
    };
    let (number, word) = base.strip_suffix(".json")?.split_once('-')?;
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '-';
    let fits = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()) && word.chars().all(plain);
    Some((number.parse().ok().filter(|_| fits)?, part))
}

/// Checks all of them.
///
/// `replaced`: manifests of the run that the one here replaces.
pub(super) fn check(dir: &Path, files: &Files, replaced: &[String], policy: &Policy, seen: &mut Checked) {
    let folder = format!("{}/", addendum::FOLDER);
    let mut by_number: BTreeMap<u32, Vec<&String>> = BTreeMap::new();
    for path in files.keys() {
        match path.strip_prefix(&folder).and_then(named) {
            Some((number, Part::Addendum)) => by_number.entry(number).or_default().push(path),
            Some((_, Part::Signature)) if !files.contains_key(path.trim_end_matches(".sig")) => {
                seen.find(Kind::AddendumNumber, path, "a signature of an addendum that is not there");
            }
            _ => {}
        }
    }
    let (mut expected, mut previous, mut signed) = (1, None, 0);
    for (number, paths) in &by_number {
        for path in paths {
            if *number != expected || paths.len() > 1 {
                let what = format!("number {number}, where number {expected} is due: one is missing, or there twice");
                seen.find(Kind::AddendumNumber, *path, what);
            }
            signed += usize::from(one(dir, files, (path, *number), (previous.as_deref(), replaced), policy, seen));
            previous = files.get(*path).map(|found| found.sha256.clone());
        }
        expected = number + 1;
    }
    if !by_number.is_empty() && !seen.doubts(Area::Addenda) {
        let count = by_number.len();
        seen.good(Area::Addenda, format!("{count}, numbered and chained to the manifest; {signed} signed"));
    }
}

/// One addendum; true if its signature is good.
fn one(
    dir: &Path,
    files: &Files,
    (path, number): (&String, u32),
    (previous, replaced): (Option<&str>, &[String]),
    policy: &Policy,
    seen: &mut Checked,
) -> bool {
    let bytes = load(dir, files, path).unwrap_or_default();
    let Some(addendum) = read(&bytes, path, seen) else { return false };
    if addendum.number != number {
        let what = format!("it says that it is number {}", addendum.number);
        seen.find(Kind::AddendumNumber, path, what);
    }
    let (run, manifest) = (seen.run.clone(), seen.manifest.clone());
    if run.is_some_and(|run| run != addendum.run) {
        seen.find(Kind::AddendumRun, path, format!("it is about the run {}", addendum.run));
    } else if replaced.contains(&addendum.manifest) {
        let what = "it was written before the run's record was continued and sealed anew: look at it again";
        seen.find(Kind::AddendumBefore, path, what);
    } else if manifest.as_deref() != Some(addendum.manifest.as_str()) {
        seen.find(Kind::AddendumRun, path, "it is about another manifest than the one that lies here");
    }
    if addendum.previous.as_deref() != previous {
        let what = match &addendum.previous {
            Some(_) => "the addendum that it names as the one before it is another one, or is not here",
            None => "it says that it is the first, and it is not",
        };
        seen.find(Kind::AddendumChain, path, what);
    }
    let beside = format!("{path}.sig");
    let Some(signature) = load(dir, files, &beside) else {
        let level = if policy.requires(Requirement::Signed) { Level::Unverifiable } else { Level::Remark };
        let what = format!("unsigned: that {} wrote it is only said", addendum.by);
        seen.findings.push(Finding::new(Kind::AddendumUnsigned, path, what).at(level));
        return false;
    };
    match judge(&signature, &bytes, Some(addendum.at), policy) {
        Worth::Good { fingerprint, .. } => {
            second(&fingerprint, path, seen);
            true
        }
        Worth::Unchecked { fingerprint } => {
            second(&fingerprint, path, seen);
            let level = if policy.requires(Requirement::Signed) { Level::Unverifiable } else { Level::Remark };
            let what = format!("signed by the key {fingerprint}; whose it is, --allowed-signers FILE says");
            seen.findings.push(Finding::new(Kind::AddendumSigner, beside, what).at(level));
            true
        }
        Worth::Bad(kind, what) => {
            let kind = if kind == Kind::SignatureUnsupported { kind } else { Kind::AddendumSignature };
            seen.find(kind, beside, what);
            false
        }
    }
}

/// A review by whoever sealed the run is worth less than one by somebody else.
fn second(fingerprint: &str, path: &str, seen: &mut Checked) {
    if seen.fingerprint.as_deref() == Some(fingerprint) {
        seen.find(
            Kind::AddendumSameKey,
            path,
            "signed with the key that sealed the run: no second person vouches for it",
        );
    }
}

fn read(bytes: &[u8], path: &str, seen: &mut Checked) -> Option<Addendum> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            seen.find(Kind::AddendumMalformed, path, format!("it is no addendum: {error}"));
            return None;
        }
    };
    if let Err((kind, why)) = known(value["schema"].as_str(), addendum::VERSION) {
        let kind = if kind == Kind::NewerFormat { kind } else { Kind::AddendumMalformed };
        seen.find(kind, path, why);
        return None;
    }
    let read = serde_json::from_value(value);
    read.map_err(|error| seen.find(Kind::AddendumMalformed, path, format!("it is no addendum: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_like_one_is_an_addendum() {
        assert_eq!(named("0001-review.json"), Some((1, Part::Addendum)));
        assert_eq!(named("0012-review.json.sig"), Some((12, Part::Signature)));
        for name in [
            "1-review.json",
            "0001-review.txt",
            "0001.json",
            "+001-review.json",
            "0001-../x.json",
            "0001-a.json.sig.sig",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
