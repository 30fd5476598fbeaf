//! The files under `addenda/`: reading them with what holds them together, and adding one. What they say is `addendum`'s;
//! whose signatures count is not asked here.
//!
//! Invariant: a file that is there is never written to again.

use super::addendum::{self, Addendum};
use super::manifest::{self, Manifest};
use super::signature::{self, SignatureError};
use super::sums;
use crate::journal::digest;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// A manifest or an addendum is not larger.
const LARGEST: u64 = 64 << 20;
/// A run has at most so many addenda.
const MOST: u32 = 9_999;

/// Why reviews cannot be read or added.
#[derive(Debug, Error)]
pub enum ReviewError {
    /// It was not sealed.
    #[error("the run in {} is not sealed: it has no {}", .0.display(), manifest::FILE)]
    NotSealed(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file is not what it should be.
    #[error("{} is not what it should be: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Somebody else added one at the same time.
    #[error("{} came into being meanwhile", .0.display())]
    Taken(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A sealed run.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of the manifest's bytes, hex.
    pub digest: String,
}

/// The manifest of the run in a folder.
///
/// # Errors
/// `NotSealed` if it has none.
pub fn sealed(dir: &Path) -> Result<Sealed, ReviewError> {
    let path = dir.join(manifest::FILE);
    let bytes = match bounded(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(ReviewError::NotSealed(dir.to_owned())),
        Err(error) => return Err(ReviewError::Unreadable { path, why: error.to_string() }),
    };
    let wrong = |why: String| ReviewError::Wrong { path: path.clone(), why };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
    if manifest.schema != manifest::VERSION {
        return Err(wrong(format!("its schema is `{}`, not `{}`", manifest.schema, manifest::VERSION)));
    }
    Ok(Sealed { manifest, digest: digest(&bytes) })
}

/// Files of a run that are not what its manifest says, or are not there.
#[must_use]
pub fn altered(dir: &Path, manifest: &Manifest) -> Vec<String> {
    let same = |path: &str, wanted: &str| {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        inside && digest_of(&dir.join(path)).is_ok_and(|found| found == wanted)
    };
    manifest.files.iter().filter(|file| !same(&file.path, &file.sha256)).map(|file| file.path.clone()).collect()
}

/// Is this file of a run what its manifest says? No if the manifest does not list it.
#[must_use]
pub fn is_as_sealed(manifest: &Manifest, name: &str, bytes: &[u8]) -> bool {
    manifest.files.iter().any(|file| file.path == name && file.sha256 == digest(bytes))
}

fn digest_of(path: &Path) -> std::io::Result<String> {
    super::digest::of_file(path).map(|(_, sha256)| sha256)
}

/// An addendum as it lies there.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it says.
    pub addendum: Addendum,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Is it signed?
    pub signed: Signed,
}

/// Whether something is signed. Whether that key may sign is not asked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// It has no signature.
    No,
    /// By the key with this fingerprint, `SHA256:…`.
    By(String),
    /// By a kind of key whose signatures are not checked by this program.
    Unchecked(String),
    /// There is a signature, and it is not one of these bytes.
    Wrong(String),
}

fn signed(bytes: &[u8], signature: Option<&[u8]>) -> Signed {
    let Some(signature) = signature else { return Signed::No };
    match signature::checked(bytes, signature) {
        Ok(key) => Signed::By(signature::fingerprint(&key)),
        Err(SignatureError::Unsupported(kind)) => Signed::Unchecked(kind),
        Err(why) => Signed::Wrong(why.to_string()),
    }
}

/// Who signed a run: the signature over its `SHA256SUMS`, which must name this manifest.
#[must_use]
pub fn signer(dir: &Path, sealed: &Sealed) -> Signed {
    let Ok(signature) = bounded(&dir.join(sums::SIGNATURE)) else { return Signed::No };
    let Ok(text) = bounded(&dir.join(sums::FILE)) else {
        return Signed::Wrong(format!("there is no {} that it could be one of", sums::FILE));
    };
    let listed = std::str::from_utf8(&text).ok().and_then(|text| sums::parse(text).ok()).unwrap_or_default();
    if !listed.iter().any(|(path, digest)| path == manifest::FILE && *digest == sealed.digest) {
        return Signed::Wrong(format!("{} does not name this {}", sums::FILE, manifest::FILE));
    }
    signed(&text, Some(&signature))
}

/// The name of an addendum's file.
#[must_use]
pub fn file_name(number: u32) -> String {
    format!("{number:04}-review.json")
}

/// All addenda of a run, in order.
///
/// # Errors
/// When one is missing, is about something else, or does not name the one before it.
pub fn read(dir: &Path, sealed: &Sealed) -> Result<Vec<Stored>, ReviewError> {
    let folder = dir.join(addendum::FOLDER);
    // Before the first is read: whatever is there by then had all before it, and others may add some meanwhile.
    let last = last(&folder);
    let mut all: Vec<Stored> = Vec::new();
    for number in 1..=MOST {
        let path = folder.join(file_name(number));
        let bytes = match bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(ReviewError::Unreadable { path, why: error.to_string() }),
        };
        let wrong = |why: String| ReviewError::Wrong { path: path.clone(), why };
        let addendum: Addendum = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        let before = all.last().map(|stored| stored.sha256.clone());
        if let Some(why) = unfit(&addendum, number, sealed, before.as_deref()) {
            return Err(wrong(why));
        }
        let signature = bounded(&signature_of(&path)).ok();
        let signed = signed(&bytes, signature.as_deref());
        all.push(Stored { addendum, sha256: digest(&bytes), signed });
    }
    match last {
        Some(last) if last > all.len() => {
            let path = folder.join(file_name(u32::try_from(last).unwrap_or(MOST)));
            Err(ReviewError::Wrong { path, why: "one before it is missing".to_owned() })
        }
        _ => Ok(all),
    }
}

/// Why an addendum does not belong at its place.
fn unfit(addendum: &Addendum, number: u32, sealed: &Sealed, before: Option<&str>) -> Option<String> {
    let said = |what: bool, why: &str| what.then(|| why.to_owned());
    said(addendum.schema != addendum::VERSION, "its schema is another one")
        .or_else(|| said(addendum.number != number, "it says another number than its name"))
        .or_else(|| said(addendum.run != sealed.manifest.run, "it is about another run"))
        .or_else(|| said(!is_of(sealed, &addendum.manifest), "it is about another manifest"))
        .or_else(|| said(addendum.previous.as_deref() != before, "it does not name the one before it"))
}

/// The run's manifest, or one that it had before a recovery continued its record.
fn is_of(sealed: &Sealed, manifest: &str) -> bool {
    sealed.digest == manifest || sealed.manifest.replaces.iter().any(|before| before == manifest)
}

/// The highest number that an addendum has there.
fn last(folder: &Path) -> Option<usize> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix("-review.json")?.parse().ok()).max()
}

/// An addendum's bytes.
#[must_use]
pub fn bytes(addendum: &Addendum) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(addendum).unwrap_or_default();
    text.push('\n');
    text.into_bytes()
}

/// Puts an addendum in its place, whole, with its signature beside it.
///
/// # Errors
/// `Taken` if one with this number is there already: read again, number anew, try again.
pub fn add(dir: &Path, number: u32, bytes: &[u8], signature: Option<&str>) -> Result<PathBuf, ReviewError> {
    let folder = dir.join(addendum::FOLDER);
    let path = folder.join(file_name(number));
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source: std::io::Error| ReviewError::Unwritable { path, source }
    };
    fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
    place(&folder, &path, bytes).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => ReviewError::Taken(path.clone()),
        _ => ReviewError::Unwritable { path: path.clone(), source },
    })?;
    if let Some(signature) = signature {
        let beside = signature_of(&path);
        place(&folder, &beside, signature.as_bytes()).map_err(unwritable(&beside))?;
    }
    Ok(path)
}

fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// A file appears whole, and only where there is none: a link to a name that is there fails.
fn place(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = folder.join(format!(".{}.new", std::process::id()));
    drop(fs::remove_file(&unfinished));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
    let placed = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&unfinished, path));
    drop(fs::remove_file(&unfinished));
    placed?;
    File::open(folder)?.sync_all()
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is too large"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), 1, b"one", Some("sig")).unwrap();
        assert!(matches!(add(dir.path(), 1, b"two", None), Err(ReviewError::Taken(_))));
        let folder = dir.path().join(addendum::FOLDER);
        assert_eq!(fs::read(folder.join("0001-review.json")).unwrap(), b"one");
        assert_eq!(fs::read(folder.join("0001-review.json.sig")).unwrap(), b"sig");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    }

    #[test]
    fn a_run_without_a_manifest_is_not_sealed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(sealed(dir.path()), Err(ReviewError::NotSealed(_))));
        fs::write(dir.path().join(manifest::FILE), "{}").unwrap();
        assert!(matches!(sealed(dir.path()), Err(ReviewError::Wrong { .. })));
    }

    #[test]
    fn a_manifest_names_nothing_outside_its_run() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "x").unwrap();
        let file = |path: &str| manifest::FileDigest { path: path.to_owned(), bytes: 1, sha256: digest(b"x") };
        let manifest = Manifest {
            schema: manifest::VERSION.to_owned(),
            run: "r".into(),
            drill: "d".into(),
            environment: String::new(),
            exit_code: 0,
            journal_head: String::new(),
            journal_lines: 0,
            journal_root: String::new(),
            chain: None,
            replaces: Vec::new(),
            files: vec![file("a"), file("b"), file("../a"), file("/etc/passwd")],
        };
        assert_eq!(altered(dir.path(), &manifest), ["b", "../a", "/etc/passwd"]);
    }
}
