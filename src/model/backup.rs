//! What a restore and a history of backups come to: parts with their times, what the archive says of itself, and how much
//! a disaster at the worst moment would have cost.

use super::{Interval, Span, StepId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A part of a restore, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestorePart {
    /// Finding the backup to restore, and that it covers what is asked for.
    Locate,
    /// Copying the backup to where it is needed.
    Fetch,
    /// Starting the server on it.
    Start,
    /// Replaying what was archived after the backup.
    Replay,
    /// From the end of the replay until the server takes writes.
    Ready,
    /// Loading a dump into a database.
    Load,
    /// Applying objects to a cluster.
    Apply,
    /// Looking whether what should be there is there.
    Verify,
}

impl RestorePart {
    /// As it is shown and stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Locate => "locate",
            Self::Fetch => "fetch",
            Self::Start => "start",
            Self::Replay => "replay",
            Self::Ready => "ready",
            Self::Load => "load",
            Self::Apply => "apply",
            Self::Verify => "verify",
        }
    }
}

/// A part of a restore that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTime {
    /// Which.
    pub part: RestorePart,
    /// From its begin to its end.
    pub span: Span,
    /// How much it moved, in bytes, if anybody counted.
    pub bytes: Option<u64>,
}

/// What a restore says of itself; none of it is taken for the truth.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestoreClaim {
    /// The backup that was used, as its tool calls it.
    pub backup: String,
    /// When the backup was complete, by the clock of whoever took it.
    pub taken: Option<DateTime<Utc>>,
    /// Everything that was committed up to then is in the restored copy, by the server's clock.
    pub recovered_to: Option<DateTime<Utc>>,
    /// Where in the log that is, as the server writes it.
    pub position: Option<String>,
    /// What a disaster at the worst moment of the history would have cost; why nobody can say, if so.
    pub exposure: Option<Result<Exposure, String>>,
}

/// A restore that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The step that asked for it.
    pub step: StepId,
    /// Its round.
    pub round: u32,
    /// Its kind (`pgbackrest`, …).
    pub kind: String,
    /// Its parts that ended, in order.
    pub parts: Vec<RestoreTime>,
    /// What it says of itself.
    pub claim: RestoreClaim,
    /// Why it is not what was asked for, if so.
    pub error: Option<String>,
}

/// What a history of backups would have lost at its worst moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// The largest gap between two recovery points, up to when the later one could be used.
    pub worst: Interval,
    /// Recovery points in the history.
    pub points: u64,
    /// Places at which something that was archived before is missing.
    pub holes: u64,
    /// The oldest recovery point.
    pub from: DateTime<Utc>,
    /// The newest.
    pub to: DateTime<Utc>,
}
