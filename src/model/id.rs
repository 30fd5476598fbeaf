//! Names that must not be mixed up.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )+};
}

name! {
    /// The name of a drill, `[a-z0-9-]+`.
    DrillName,
    /// The identity of one run: UTC time and random letters, sortable, safe as a folder's name.
    RunId,
    /// The id of a step, `[a-z0-9_]+`: as written, or made from its phase and place (`failover_1`).
    StepId,
    /// The id of an injected fault: the id of the step that injects it.
    FaultId,
    /// The name of a workload as written in the playbook; `NAME.probe` for the probe a ledger brings along.
    WorkloadName,
}

/// Whose something is that a fault leaves on a host: the run and the fault.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The run.
    pub run: RunId,
    /// Its fault.
    pub fault: FaultId,
}

impl Owner {
    /// `bs-` and twelve hexadecimal digits of SHA-256 of `RUN/FAULT`: short enough for an interface's or a table's name,
    /// and known before anything is injected.
    #[must_use]
    pub fn tag(&self) -> String {
        let digest = Sha256::digest(self.to_string().as_bytes());
        let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{TAG}{digits}")
    }

    /// Is this word a tag?
    #[must_use]
    pub fn is_tag(word: &str) -> bool {
        let digits = word.strip_prefix(TAG).unwrap_or_default();
        digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}

const TAG: &str = "bs-";

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_short_stable_and_recognised() {
        let owner = Owner { run: "r1".into(), fault: "dies".into() };
        assert_eq!(owner.tag(), owner.tag());
        assert_eq!((owner.tag().len(), owner.to_string().as_str()), (15, "r1/dies"));
        assert!(Owner::is_tag(&owner.tag()));
        assert_ne!(owner.tag(), Owner { fault: "dies2".into(), ..owner }.tag());
        for other in ["bs-", "bs-xyzxyzxyzxyz", "bs-0123456789abc", "eth0", "bs-0123456789AB"] {
            assert!(!Owner::is_tag(other), "{other}");
        }
    }
}
