//! Reports that are written only where somebody asks for them: few need them, and they are large.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A report that is not written unless it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Also {
    /// OSCAL assessment results.
    Oscal,
    /// An OpenTelemetry trace.
    Trace,
}

impl Also {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Oscal, Self::Trace];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Oscal => "oscal",
            Self::Trace => "trace",
        }
    }
}

/// No report is called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no report `{0}` to ask for; there are oscal and trace")]
pub struct NoSuchReport(String);

impl FromStr for Also {
    type Err = NoSuchReport;

    fn from_str(text: &str) -> Result<Self, NoSuchReport> {
        Self::ALL.into_iter().find(|also| also.word() == text).ok_or_else(|| NoSuchReport(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_is_read_as_it_is_written() {
        for also in Also::ALL {
            assert_eq!(also.word().parse(), Ok(also));
            assert_eq!(serde_json::to_value(also).unwrap(), also.word());
        }
        assert!("pdf".parse::<Also>().is_err());
    }
}
