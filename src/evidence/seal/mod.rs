//! Seals a run's folder: its manifest, the guide for whoever checks it, the digests, the signature. Every file appears whole;
//! the digests come last, so a folder that has them is sealed, and one that has not can be sealed anew. What may not be
//! in a folder is refused by name; secrets are looked for before, elsewhere.

mod guide;
mod walk;

use super::manifest::{self, FileDigest, Manifest};
use super::signature::{SignatureError, Signer};
use super::{addendum, dsse, merkle, place, sums};
use crate::event::{RunStarted, What};
use crate::journal::{self, JournalError};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The statement for other programs, in its envelope.
pub const ATTESTATION: &str = "attestation.intoto.jsonl";
/// The guide for whoever does not have this program.
pub const GUIDE: &str = "VERIFY.md";

/// What is made from the manifest: not in it.
pub const FROM_MANIFEST: [&str; 5] = [manifest::FILE, ATTESTATION, sums::FILE, sums::SIGNATURE, sums::STAMP];

/// Why a folder is not sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// It is sealed already, and nothing was added to its record.
    #[error("{} is sealed already, and its record has not grown since", .0.display())]
    Sealed(PathBuf),
    /// It was sealed, and its record is not what was sealed.
    #[error("{} was sealed, and {why}: it is left as it is", dir.display())]
    Changed {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Something is in it that cannot be sealed.
    #[error("{} cannot be sealed: {why}", path.display())]
    Foreign {
        /// What.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Its record cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// Its record has no start.
    #[error("the record in {} has no start", .0.display())]
    NoStart(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {why}", path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}

impl SealError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Io { what, path, why }
    }
}

/// How a folder stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Never sealed, or not to the end.
    Unsealed,
    /// Sealed; SHA-256 of its manifest.
    Sealed(String),
    /// Sealed, and its record was continued since, as a recovery does.
    Grown(String),
}

/// Is a run's folder sealed?
///
/// # Errors
/// When it was, and its record does not begin with what was sealed.
pub fn standing(dir: &Path) -> Result<Standing, SealError> {
    if !dir.join(sums::FILE).exists() {
        return Ok(Standing::Unsealed);
    }
    let changed = |why: String| SealError::Changed { dir: dir.to_path_buf(), why };
    let bytes = std::fs::read(dir.join(manifest::FILE)).map_err(|e| changed(format!("its manifest is gone: {e}")))?;
    let read: Manifest =
        serde_json::from_slice(&bytes).map_err(|e| changed(format!("its manifest cannot be read: {e}")))?;
    let path = dir.join(journal::FILE);
    let record = std::fs::read(&path).map_err(SealError::io("read", &path))?;
    let lines: Vec<&[u8]> = record.split_inclusive(|byte| *byte == b'\n').collect();
    let sealed = usize::try_from(read.journal_lines).unwrap_or(usize::MAX);
    let head = sealed.checked_sub(1).and_then(|last| lines.get(last)).map(|line| journal::digest(line));
    if head.as_ref() != Some(&read.journal_head) {
        return Err(changed("its record does not begin with what was sealed".to_owned()));
    }
    let digest = journal::digest(&bytes);
    Ok(if lines.len() > sealed { Standing::Grown(digest) } else { Standing::Sealed(digest) })
}

/// How a folder is to be sealed.
pub struct Order<'a> {
    /// The run's folder, reports and all.
    pub dir: &'a Path,
    /// What the run came to.
    pub exit_code: u8,
    /// Who signs; nobody, and why.
    pub signer: Result<&'a Signer, String>,
    /// The statement in its envelope, for the manifest's digest; none: no such file.
    pub statement: &'a dyn Fn(&str) -> Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of `MANIFEST.json`, hex.
    pub manifest: String,
    /// The signer's fingerprint; or why nobody signed.
    pub signed: Result<String, String>,
    /// The manifest that this one replaces.
    pub replaces: Option<String>,
    /// What a time stamp is to be over: the file's name.
    pub last: &'static str,
}

/// Seals a folder. One that was sealed before is sealed again only if its record was continued.
///
/// # Errors
/// When it cannot be sealed. That nobody could sign is no error: it is said.
pub async fn seal(order: &Order<'_>) -> Result<Sealed, SealError> {
    let dir = order.dir;
    let before = match standing(dir)? {
        Standing::Unsealed => None,
        Standing::Sealed(_) => return Err(SealError::Sealed(dir.to_path_buf())),
        Standing::Grown(digest) => Some(digest),
    };
    let replaces = replaced(dir, before.clone());
    for made in [sums::FILE, sums::SIGNATURE, sums::STAMP, ATTESTATION] {
        let path = dir.join(made);
        place::remove(&path).map_err(SealError::io("remove", &path))?;
    }
    for made in FROM_MANIFEST.iter().chain([&GUIDE]) {
        let draft = place::draft(&dir.join(made));
        place::remove(&draft).map_err(SealError::io("remove", &draft))?;
    }
    let (start, mut manifest) = record(dir)?;
    (manifest.exit_code, manifest.replaces) = (order.exit_code, replaces);
    put(dir, GUIDE, guide::text(&start, &manifest, order.signer.as_ref().ok().copied()).as_bytes())?;
    manifest.files = walk::digests(dir)?;
    let bytes = manifest.bytes();
    put(dir, manifest::FILE, &bytes)?;
    let digest = journal::digest(&bytes);
    let mut others = vec![(manifest::FILE, digest.clone())];
    if let Some(envelope) = (order.statement)(&digest) {
        let envelope = match &order.signer {
            Ok(signer) => dsse::signed(&envelope, signer),
            Err(_) => envelope,
        };
        put(dir, ATTESTATION, envelope.as_bytes())?;
        others.push((ATTESTATION, journal::digest(envelope.as_bytes())));
    }
    let files = manifest.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str()));
    let text = sums::text(files.chain(others.iter().map(|(name, digest)| (*name, digest.as_str()))));
    let signed = sign(dir, &order.signer, text.as_bytes()).await?;
    put(dir, sums::FILE, text.as_bytes())?;
    let last = if signed.is_ok() { sums::SIGNATURE } else { sums::FILE };
    Ok(Sealed { manifest: digest, signed, replaces: before, last })
}

/// The signature stands there before what it is over: whoever sees the digests sees it, too.
async fn sign(dir: &Path, signer: &Result<&Signer, String>, text: &[u8]) -> Result<Result<String, String>, SealError> {
    let signer = match signer {
        Ok(signer) => signer,
        Err(why) => return Ok(Err(why.clone())),
    };
    match signer.sign(text).await {
        Ok(signature) => {
            put(dir, sums::SIGNATURE, signature.as_bytes())?;
            Ok(Ok(signer.fingerprint()))
        }
        Err(why @ SignatureError::CannotSign { .. }) => Ok(Err(why.to_string())),
        Err(other) => Ok(Err(other.to_string())),
    }
}

/// All manifests that a new one stands for.
fn replaced(dir: &Path, last: Option<String>) -> Vec<String> {
    let Some(last) = last else { return Vec::new() };
    let bytes = std::fs::read(dir.join(manifest::FILE)).unwrap_or_default();
    let before: Vec<String> =
        serde_json::from_slice::<Manifest>(&bytes).map(|manifest| manifest.replaces).unwrap_or_default();
    before.into_iter().chain([last]).collect()
}

/// The manifest without files: what it says of the record.
fn record(dir: &Path) -> Result<(RunStarted, Manifest), SealError> {
    let stored = journal::read_events(dir)?;
    let Some(What::RunStarted(start)) = stored.events.first().map(|event| &event.what) else {
        return Err(SealError::NoStart(dir.to_path_buf()));
    };
    let path = dir.join(journal::FILE);
    let bytes = std::fs::read(&path).map_err(SealError::io("read", &path))?;
    let good = usize::try_from(stored.bytes).unwrap_or(usize::MAX).min(bytes.len());
    let manifest = Manifest {
        schema: manifest::VERSION.to_owned(),
        run: start.run.clone(),
        drill: start.drill.clone(),
        environment: start.environment.clone(),
        exit_code: 0,
        journal_head: stored.head.clone(),
        journal_lines: stored.lines,
        journal_root: merkle::root_of_lines(&bytes[..good]),
        chain: start.lineage.as_ref().and_then(|lineage| lineage.chain.clone()),
        replaces: Vec::new(),
        files: Vec::new(),
    };
    Ok(((**start).clone(), manifest))
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SealError> {
    let path = dir.join(name);
    place::put(&path, bytes).map_err(SealError::io("write", &path))
}

impl Manifest {
    /// As it is stored.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // These types have only keys that are text.
        serde_json::to_string_pretty(self).map(|text| text + "\n").unwrap_or_default().into_bytes()
    }
}
