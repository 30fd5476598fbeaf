//! `evidence.upload:` where archives of runs are put, so that whoever can write here cannot change them there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Where the archive of every run is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// `s3://BUCKET/PREFIX`; log-in, region and endpoint are those of the environment (`AWS_…`).
    pub to: String,
    /// How long nobody can change or remove it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_lock: Option<ObjectLock>,
    /// A run whose archive could not be put there is no pass (exit code 2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// S3 object lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectLock {
    /// Who can lift it.
    pub mode: LockMode,
    /// How long, from the upload on: `400d`, `7y`.
    pub retain: String,
}

/// Who can lift an object lock before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Nobody, not even the owner of the account.
    Compliance,
    /// Whoever has the right `s3:BypassGovernanceRetention`.
    Governance,
}

impl LockMode {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Compliance => "compliance",
            Self::Governance => "governance",
        }
    }
}

/// No mode is called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no mode `{0}`; there are compliance and governance")]
pub struct NoSuchMode(String);

impl FromStr for LockMode {
    type Err = NoSuchMode;

    fn from_str(text: &str) -> Result<Self, NoSuchMode> {
        let all = [Self::Compliance, Self::Governance];
        all.into_iter().find(|mode| mode.word() == text).ok_or_else(|| NoSuchMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in [LockMode::Compliance, LockMode::Governance] {
            assert_eq!(mode.word().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.word());
        }
        assert!("legal_hold".parse::<LockMode>().is_err());
    }
}
