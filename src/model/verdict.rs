//! How a run ended and how it is judged: two different things.

use serde::{Deserialize, Serialize};

/// The judgement. Ordered so that merging is taking the maximum: `pass < inconclusive < fail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every objective was met and every expectation held.
    Pass,
    /// Not measured well enough, or the fault was not effective.
    Inconclusive,
    /// An objective was missed or an expectation was false.
    Fail,
}

impl Verdict {
    /// The worse of the two.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    /// The worst of all; passing only if there is at least one and all pass, inconclusive if there is none.
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Inconclusive)
    }

    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

/// The life cycle of a run, as its record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It ran through, healed.
    Ended,
    /// A guard, the user or a signal stopped it; everything is healed.
    Aborted,
    /// A fault could not be healed, or nobody knows (the record stops in the middle).
    Dirty,
    /// Nothing was touched.
    NotRun,
    /// Nothing was touched: another drill has a target, or the kill switch is engaged.
    Held,
}
