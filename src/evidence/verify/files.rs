//! The files of a run's folder against what its manifest and its list of digests say. Reads every byte once; follows no
//! link; opens nothing outside the folder.

use super::finding::{Area, Checked, Kind};
use crate::evidence::manifest::{self, FileDigest, Manifest};
use crate::evidence::seal::ATTESTATION;
use crate::evidence::sums;
use crate::journal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path};

/// More entries than any run has.
const MOST: usize = 100_000;
/// Texts that are read as a whole are not larger.
const MOST_BYTES: u64 = 64 << 20;

/// A file as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnDisk {
    pub bytes: u64,
    pub sha256: String,
}

/// All files of a folder, by path.
pub(super) type Files = BTreeMap<String, OnDisk>;

/// Reads every file of the folder. Links and the like are found fault with and left alone.
pub(super) fn scan(dir: &Path, seen: &mut Checked) -> Files {
    let (mut files, mut waiting) = (Files::new(), vec![String::new()]);
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(dir.join(&folder)) {
            Ok(entries) => entries,
            Err(error) => {
                seen.find(Kind::Unreadable, folder, format!("the folder cannot be listed: {error}"));
                continue;
            }
        };
        for entry in entries.flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                let name = entry.file_name().to_string_lossy().into_owned();
                seen.find(Kind::BadPath, format!("{folder}{name}"), "its name is no text");
                continue;
            };
            let path = format!("{folder}{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(format!("{path}/")),
                Ok(kind) if kind.is_file() => match digest(&entry.path()) {
                    Ok(found) => drop(files.insert(path, found)),
                    Err(error) => seen.find(Kind::Unreadable, path, format!("it cannot be read: {error}")),
                },
                Ok(kind) if kind.is_symlink() => seen.find(Kind::Link, path, "a link, where evidence has files"),
                Ok(_) => seen.find(Kind::Special, path, "neither a file nor a folder"),
                Err(error) => seen.find(Kind::Unreadable, path, format!("it cannot be looked at: {error}")),
            }
        }
        if files.len() + waiting.len() > MOST {
            seen.find(Kind::Unreadable, folder, format!("more than {MOST} files: this is not the folder of a run"));
            break;
        }
    }
    files
}

fn digest(path: &Path) -> io::Result<OnDisk> {
    let (bytes, sha256) = crate::evidence::digest::of_file(path)?;
    Ok(OnDisk { bytes, sha256 })
}

/// A file of the folder as a whole, if it is there and of a sensible size.
pub(super) fn load(dir: &Path, files: &Files, path: &str) -> Option<Vec<u8>> {
    files.get(path).filter(|found| found.bytes <= MOST_BYTES)?;
    fs::read(dir.join(path)).ok()
}

/// The manifest, if there is one that can be used.
pub(super) fn read_manifest(dir: &Path, files: &Files, seen: &mut Checked) -> Option<Manifest> {
    let found = files.get(manifest::FILE)?;
    seen.manifest = Some(found.sha256.clone());
    let Some(bytes) = load(dir, files, manifest::FILE) else {
        seen.find(Kind::Unreadable, manifest::FILE, "it is larger than any manifest");
        return None;
    };
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => {
            seen.find(Kind::ManifestMalformed, manifest::FILE, format!("it is no manifest: {error}"));
            return None;
        }
    };
    if let Err((kind, why)) = known(value["schema"].as_str(), manifest::VERSION) {
        let kind = if kind == Kind::NewerFormat { kind } else { Kind::ManifestMalformed };
        seen.find(kind, manifest::FILE, why);
        return None;
    }
    match serde_json::from_value::<Manifest>(value) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            seen.find(Kind::ManifestMalformed, manifest::FILE, format!("it is no manifest: {error}"));
            None
        }
    }
}

/// Is a document of the version that is read here?
pub(super) fn known(schema: Option<&str>, version: &str) -> Result<(), (Kind, String)> {
    let Some(schema) = schema else { return Err((Kind::Unreadable, "it does not say what it is".to_owned())) };
    let base = version.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if schema == version {
        Ok(())
    } else if schema.strip_prefix(base).is_some_and(|rest| rest.parse::<u32>().is_ok()) {
        Err((Kind::NewerFormat, format!("it is `{schema}`, and this program reads `{version}`")))
    } else {
        Err((Kind::Unreadable, format!("it is `{schema}`, not `{version}`")))
    }
}

/// The list of digests: path to digest; none if it is not there or is no such list.
pub(super) fn read_sums(dir: &Path, files: &Files, seen: &mut Checked) -> Option<BTreeMap<String, String>> {
    let bytes = load(dir, files, sums::FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    match sums::parse(&text) {
        Ok(sums) => {
            for (path, _) in sums.iter().filter(|(path, _)| !inside(path)) {
                seen.find(Kind::BadPath, sums::FILE, format!("it names `{path}`, which is not in the folder"));
            }
            Some(sums.into_iter().filter(|(path, _)| inside(path)).collect())
        }
        Err(error) => {
            seen.find(Kind::SumsMalformed, sums::FILE, error.to_string());
            None
        }
    }
}

/// Is this a plain path below the folder?
pub(super) fn inside(path: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !path.is_empty() && !path.contains(['\\', '\n', '\0']) && Path::new(path).components().all(plain)
}

/// Compares what lies there with what was sealed; each difference is named once.
pub(super) fn compare(files: &Files, manifest: &Manifest, sums: Option<&BTreeMap<String, String>>, seen: &mut Checked) {
    let sealed = sealed(manifest, seen);
    for (path, entry) in &sealed {
        match files.get(*path) {
            None => seen.find(Kind::Missing, *path, "sealed, and not there"),
            Some(found) if found.sha256 != entry.sha256 || found.bytes != entry.bytes => {
                let (now, then) = (short(&found.sha256), short(&entry.sha256));
                let what = format!("{} bytes ({now}…); sealed were {} bytes ({then}…)", found.bytes, entry.bytes);
                seen.find(Kind::Changed, *path, what);
            }
            Some(_) => {}
        }
    }
    let none = BTreeMap::new();
    let named = sums.unwrap_or(&none);
    if sums.is_some() {
        lists(&sealed, named, seen);
        made_from_manifest(files, named, seen);
    }
    let known = |path: &str| sealed.contains_key(path) || named.contains_key(path) || beside(path) || is_made(path);
    for path in files.keys().filter(|path| !known(path)) {
        seen.find(Kind::Added, path, "it was not there when the run was sealed");
    }
    if !seen.doubts(Area::Files) {
        seen.good(Area::Files, format!("{} files, all as the manifest and SHA256SUMS say", named.len()));
    }
}

/// The same where there is no manifest that can be used.
pub(super) fn against_sums(files: &Files, sums: &BTreeMap<String, String>, seen: &mut Checked) {
    for (path, sum) in sums {
        match files.get(path) {
            // The manifest has been missed already.
            None if path == manifest::FILE => {}
            None => seen.find(Kind::Missing, path, "sealed, and not there"),
            Some(found) if found.sha256 != *sum => {
                let what = format!("SHA-256 {}…; SHA256SUMS has {}…", short(&found.sha256), short(sum));
                seen.find(Kind::Changed, path, what);
            }
            Some(_) => {}
        }
    }
}

/// The two lists against each other.
fn lists(sealed: &BTreeMap<&str, &FileDigest>, named: &BTreeMap<String, String>, seen: &mut Checked) {
    for (path, entry) in sealed {
        match named.get(*path) {
            None => seen.find(Kind::NotInSums, *path, "the manifest names it, and SHA256SUMS does not"),
            Some(sum) if *sum != entry.sha256 => {
                let what = format!("for {path} it has another digest than the manifest");
                seen.find(Kind::SumsDisagree, sums::FILE, what);
            }
            Some(_) => {}
        }
    }
    for path in named.keys().filter(|path| !sealed.contains_key(path.as_str()) && !is_made(path)) {
        seen.find(Kind::NotInManifest, path, "SHA256SUMS names it, and the manifest does not");
    }
}

/// What the manifest names, by path; what cannot be meant is found fault with.
fn sealed<'a>(manifest: &'a Manifest, seen: &mut Checked) -> BTreeMap<&'a str, &'a FileDigest> {
    let mut sealed = BTreeMap::new();
    for entry in &manifest.files {
        let path = entry.path.as_str();
        if !inside(path) || is_made(path) || beside(path) {
            seen.find(Kind::BadPath, manifest::FILE, format!("it names `{path}`, which it cannot vouch for"));
        } else if sealed.insert(path, entry).is_some() {
            seen.find(Kind::ManifestMalformed, manifest::FILE, format!("it names `{path}` twice"));
        }
    }
    sealed
}

/// The manifest itself, and what is made from it, are vouched for by the list of digests alone.
fn made_from_manifest(files: &Files, sums: &BTreeMap<String, String>, seen: &mut Checked) {
    for path in [manifest::FILE, ATTESTATION] {
        match (files.get(path), sums.get(path)) {
            (Some(found), Some(sum)) if found.sha256 != *sum => {
                let what = format!("SHA-256 {}…; SHA256SUMS has {}…", short(&found.sha256), short(sum));
                seen.find(Kind::Changed, path, what);
            }
            (None, Some(_)) => seen.find(Kind::Missing, path, "sealed, and not there"),
            (Some(_), None) if path == manifest::FILE => {
                seen.find(Kind::NotInSums, path, "SHA256SUMS does not name it");
            }
            (Some(_), None) => seen.find(Kind::Added, path, "it was not there when the run was sealed"),
            _ => {}
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn is_made(path: &str) -> bool {
    path == manifest::FILE || path == ATTESTATION
}

/// What stands beside the seal, and comes after it: vouched for by itself.
pub(super) fn beside(path: &str) -> bool {
    let addendum = || path.strip_prefix("addenda/").is_some_and(|name| super::addenda::named(name).is_some());
    [sums::FILE, sums::SIGNATURE, sums::STAMP].contains(&path) || addendum()
}

/// The attestation must be about this manifest, whoever signed it.
pub(super) fn attestation(dir: &Path, files: &Files, seen: &mut Checked) {
    let Some(bytes) = load(dir, files, ATTESTATION) else { return };
    let manifest = seen.manifest.clone().unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        if !subjects(line).is_some_and(|digests| digests.contains(&manifest)) {
            seen.find(Kind::AttestationSubject, ATTESTATION, "it is not about this run's manifest");
        }
    }
}

/// SHA-256 of all subjects of an in-toto statement in a DSSE envelope.
fn subjects(line: &[u8]) -> Option<Vec<String>> {
    use base64::Engine;
    let envelope: Value = serde_json::from_slice(line).ok()?;
    let payload = base64::engine::general_purpose::STANDARD.decode(envelope["payload"].as_str()?).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let subjects = statement["subject"].as_array()?;
    Some(subjects.iter().filter_map(|one| Some(one["digest"]["sha256"].as_str()?.to_owned())).collect())
}

/// The bytes that were signed: the list of digests as it lies there, checked against what was hashed.
pub(super) fn signed_bytes(dir: &Path, files: &Files) -> Option<Vec<u8>> {
    let bytes = load(dir, files, sums::FILE)?;
    (journal::digest(&bytes) == files.get(sums::FILE)?.sha256).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below() {
        for (path, fits) in [
            ("a", true),
            ("ops/a.ops", true),
            ("", false),
            ("/etc/passwd", false),
            ("../a", false),
            ("a/../../b", false),
            ("./a", false),
            ("a\nb", false),
        ] {
            assert_eq!(inside(path), fits, "{path}");
        }
    }

    #[test]
    fn a_later_version_is_said_to_be_one() {
        assert_eq!(known(Some(manifest::VERSION), manifest::VERSION), Ok(()));
        let kind = |schema| known(schema, manifest::VERSION).unwrap_err().0;
        assert_eq!(kind(Some("blackstart/manifest/v2")), Kind::NewerFormat);
        assert_eq!(kind(Some("something")), Kind::Unreadable);
        assert_eq!(kind(None), Kind::Unreadable);
    }
}
