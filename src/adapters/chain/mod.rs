//! Where the head of a chain of runs is kept: a folder, or a bucket. Reads it and swaps it if nobody else did meanwhile; what a
//! head says is not known here.

mod bucket;
mod directory;

use super::AdapterError;
use super::data::Bucket;
use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A change is given up when others were quicker so often.
const ATTEMPTS: usize = 20;
/// One change, with all its attempts.
const LIMIT: Duration = Duration::from_secs(15);

/// Where heads are kept.
#[derive(Clone)]
pub enum Keep {
    /// A folder; several runners may share it if its file system has locks.
    Directory(PathBuf),
    /// A bucket, and what the names of its objects begin with. It holds secrets: no `Debug`.
    Bucket(Bucket, String),
}

/// What is to be put in place of what is there; nothing: it is as it should be, and stays.
pub type Change<'a> = &'a (dyn Fn(Option<&str>) -> Result<Option<String>, String> + Sync);

/// How a change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Swapped {
    /// Nobody else could have changed it at the same time.
    Surely,
    /// The server does not keep conditions: two runs at the same time may have taken the same place.
    Unguarded,
}

impl Keep {
    /// Changes what is kept under a name, in one step as others see it. Asks for the change anew when others were quicker.
    ///
    /// # Errors
    /// When it cannot be read or written, when others were always quicker, or why the change is refused.
    pub async fn change(&self, name: &str, change: Change<'_>, clock: &Clock) -> Result<Swapped, AdapterError> {
        let work = async {
            match self {
                Self::Directory(folder) => directory::change(folder, name, change, clock).await,
                Self::Bucket(place, prefix) => bucket::change(place, prefix, name, change).await,
            }
        };
        let late = || AdapterError::TimedOut(format!("{} did not answer within {} s", self.label(), LIMIT.as_secs()));
        tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Where, in words, without secrets.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Directory(folder) => folder.display().to_string(),
            Self::Bucket(place, prefix) => format!("s3://{}/{prefix}", place.name),
        }
    }
}
