//! The section `evidence:` of the configuration: who signs, who may sign, where the chain of runs is kept, and what else is
//! made of runs. Paths are relative to the configuration's file.

use super::{Also, Upload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How runs become evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Who signs; nobody if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// OpenSSH's `allowed_signers` file: whose signatures count when runs are checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<PathBuf>,
    /// An authority whose time stamps are put over the start record and the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Where the chain of runs is kept: a folder, or `s3://BUCKET/PREFIX`; `chain` in the state directory if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The runner's name in the chain; this machine, or the CI's project, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_name: Option<String>,
    /// Reports that are written besides: `oscal`, `trace`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<Also>,
    /// Where the archive of every run is put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// Where the index of runs is: a SQLite file, or `postgresql://USER@HOST/DATABASE`;
    /// `.blackstart/history.sqlite` in the folder of runs if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// A file that holds the password for that database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_password: Option<PathBuf>,
}

impl Evidence {
    /// Is nothing asked for?
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// An SSH key: a private one without a passphrase, or a public one whose private half `ssh-agent` or a token holds.
    pub key: PathBuf,
}

/// A time-stamping authority (RFC 3161).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Its URL.
    pub url: String,
    /// A PEM file with its certificates: for TLS, and to check its stamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}
