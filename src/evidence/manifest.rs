//! `MANIFEST.json`: what a sealed run's folder holds. Pure data; who writes it is `seal`, who checks it is `verify`.

use crate::event::ChainSeal;
use crate::model::{DrillName, RunId};
use serde::{Deserialize, Serialize};

/// The name of the file.
pub const FILE: &str = "MANIFEST.json";
/// The version that this program writes, and the only one that it reads.
pub const VERSION: &str = "blackstart/manifest/v1";

/// What a sealed run's folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub schema: String,
    /// The run.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its environment.
    pub environment: String,
    /// What the run came to: the exit code, as everywhere.
    pub exit_code: u8,
    /// SHA-256 of the journal's last line, hex.
    pub journal_head: String,
    /// Lines of the journal.
    pub journal_lines: u64,
    /// RFC 9162 §2.1.1 tree head (SHA-256, hex) over the journal's lines, each with its line break, in order: a single
    /// record can be proven to be in it without showing the others.
    pub journal_root: String,
    /// The same place as in the start record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainSeal>,
    /// SHA-256 of the manifests that this one replaces, oldest first: the run was sealed, and then its record was continued
    /// by a recovery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Every file of the run but this one and what is made from it (`attestation.intoto.jsonl`, `SHA256SUMS` and what
    /// stands beside it), by path, sorted.
    pub files: Vec<FileDigest>,
}

/// A file and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Relative to the run's folder, `/` between parts.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}
