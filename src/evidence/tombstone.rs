//! `TOMBSTONE.json`: what stays of a run that was removed, besides its manifest, digests, signatures and addenda. The chain of
//! runs still verifies by it: the next run names the digest of this one's manifest, which is still there. Pure data.

use crate::event::ChainSeal;
use crate::model::{DrillName, RunId, Verdict};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The name of the file.
pub const FILE: &str = "TOMBSTONE.json";
/// The version that this program writes, and the only one that it reads.
pub const VERSION: &str = "blackstart/tombstone/v1";
/// Files that stay, besides the folder of addenda.
const KEPT: [&str; 5] = [FILE, super::manifest::FILE, "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.tsr"];

/// What is known of a run that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// [`VERSION`].
    pub schema: String,
    /// The run.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Its place in the chain of runs, as in its start record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainSeal>,
    /// SHA-256 of its `MANIFEST.json`, hex; none if it was never sealed.
    pub manifest: Option<String>,
    /// SHA-256 of its journal's last line, hex.
    pub journal_head: String,
    /// What it came to, as its own report said; none if it had no report.
    pub verdict: Option<Verdict>,
    /// The same as an exit code.
    pub exit_code: Option<u8>,
    /// When it was removed.
    pub pruned_at: DateTime<Utc>,
    /// By whom: user and machine, or the CI's job.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Does this file of a run's folder stay? By its path in it, `/` between parts.
#[must_use]
pub fn keeps(path: &str) -> bool {
    let addenda = path.strip_prefix(super::addendum::FOLDER).is_some_and(|rest| rest.starts_with('/'));
    addenda || KEPT.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chain_needs_stays() {
        for path in ["TOMBSTONE.json", "MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig", "addenda/0001-review.json.sig"]
        {
            assert!(keeps(path), "{path}");
        }
        for path in ["journal.jsonl", "report.html", "ops/MANIFEST.json", "addenda", "addendum", "SHA256SUMS.bak"] {
            assert!(!keeps(path), "{path}");
        }
    }
}
