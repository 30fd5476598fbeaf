//! Names that must not be mixed up.

use serde::{Deserialize, Serialize};
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
